//! Hooks that do not end, or that print too much.

use std::time::{Duration, Instant};

use berth::{Code, Force, Stage};

use serde_json::json;

use crate::common::*;
use crate::support::*;

#[test]
fn a_hook_that_does_not_end_is_killed_with_its_children() {
    let test = TestRuntime::new();
    let (program, pids) = (test.path("hook"), test.path("pids"));
    script(&program, &format!("sleep 1000 & echo $! >{0}; echo $$ >>{0}; echo words; wait", pids.display()));
    let mut config = shell("true");
    add(&mut config, "createRuntime", json!({ "path": program, "env": ["PATH=/bin"], "timeout": 1 }));
    let begin = Instant::now();
    let error = test.create(&config, &quiet()).unwrap_err();
    assert_eq!((error.code, error.stage), (Code::Timeout, Stage::Hook));
    assert!(error.message.contains("within 1 s") && error.message.contains("words"), "{error}");
    assert!(begin.elapsed() >= Duration::from_secs(1) && begin.elapsed() < SOON);
    for pid in std::fs::read_to_string(&pids).unwrap().lines() {
        // An orphan may stay a zombie until PID 1 of the machine reaps it.
        eventually("its end", || {
            std::fs::read_to_string(format!("/proc/{pid}/stat")).map_or(true, |stat| stat.contains(") Z "))
        });
    }
    assert!(test.runtime.ids().unwrap().is_empty());
}

#[test]
fn a_hook_inside_the_container_that_does_not_end_is_killed() {
    let test = TestRuntime::new();
    let mut config = shell("true");
    let endless = json!({ "path": "/bin/sh", "args": ["sh", "-c", "sleep 1000 & sleep 1000; true"], "timeout": 1 });
    add(&mut config, "startContainer", endless);
    let begin = Instant::now();
    assert_eq!(test.run(&config, &quiet()).unwrap_err().code, Code::Timeout);
    assert!(begin.elapsed() < SOON);
    assert!(test.runtime.ids().unwrap().is_empty());
}

#[test]
fn much_output_neither_hangs_nor_is_kept() {
    let test = TestRuntime::new();
    let program = test.path("loud");
    script(&program, "head -c 20000000 /dev/zero | tr '\\0' x; echo; echo the end; exit 1");
    let mut config = shell("true");
    add(&mut config, "createRuntime", json!({ "path": program, "env": ["PATH=/usr/bin:/bin"] }));
    let error = test.create(&config, &quiet()).unwrap_err();
    assert!(error.message.ends_with("the end"), "{}", error.message.len());
    let kept = error.detail["output"].as_str().unwrap();
    assert!(kept.len() <= 4096 && kept.ends_with("the end"), "{}", kept.len());
}

#[test]
fn what_a_hook_says_does_not_control_the_readers_terminal() {
    let test = TestRuntime::new();
    let program = test.path("painter");
    script(&program, "printf 'one\\033[2J\\ntwo\\033]0;title\\007\\302\\2331m\\342\\200\\256\\r'; exit 1");
    let mut config = shell("true");
    add(&mut config, "createRuntime", json!({ "path": program, "env": ["PATH=/usr/bin:/bin"] }));
    let error = test.create(&config, &quiet()).unwrap_err();
    assert!(error.message.contains(r"two\u{1b}]0;title\u{7}\u{9b}1m\u{202e}"), "{error}");
    assert!(!error.message.contains(|c: char| c.is_control()), "{error:?}");
    let kept = error.detail["output"].as_str().unwrap();
    assert!(kept.starts_with("one\\u{1b}[2J\ntwo"), "{kept:?}");
}

#[test]
fn a_child_that_holds_the_pipe_does_not_block_create() {
    let test = TestRuntime::new();
    let (program, pid) = (test.path("hook"), test.path("pid"));
    script(&program, &format!("sleep 1000 & echo $! >{}; echo done", pid.display()));
    let mut config = shell("true");
    add(&mut config, "createRuntime", json!({ "path": program, "env": ["PATH=/bin"] }));
    let begin = Instant::now();
    let container = test.create(&config, &quiet()).unwrap();
    assert!(begin.elapsed() < SOON);
    container.delete(Force::Kill).unwrap();
    let pid = std::fs::read_to_string(&pid).unwrap().trim().parse().unwrap();
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL).unwrap();
}
