//! Signals to a container.

mod common;

use berth::{Code, Container, ExitStatus, Force, Recipients, Status};
use common::*;
use serde_json::json;

fn killed(signal: i32) -> ExitStatus {
    ExitStatus::Signaled { signal, core_dumped: false }
}

/// A container whose init and two other processes log that they are ready, and which signals they get.
fn listening(test: &TestRuntime) -> (Container, std::path::PathBuf) {
    let shared = test.make_dir("shared");
    let child = "trap 'echo got >>/mnt/NAME' USR1; echo ready >/mnt/NAME.ready; while :; do sleep 0.02; done";
    let one = child.replace("NAME", "one");
    let two = child.replace("NAME", "two");
    let init = child.replace("NAME", "init");
    let mut config = shell(&format!("({one}) & ({two}) & {init}"));
    push_mount(&mut config, json!({ "destination": "/mnt", "type": "bind", "source": shared, "options": ["bind"] }));
    let container = test.run(&config, &quiet()).unwrap();
    for name in ["one", "two", "init"] {
        eventually_read(&shared.join(format!("{name}.ready")));
    }
    (container, shared)
}

#[test]
fn a_signal_goes_to_init_or_to_all() {
    let test = TestRuntime::new();
    let (container, shared) = listening(&test);
    let got = |name: &str| std::fs::read_to_string(shared.join(name)).unwrap_or_default();
    container.signal(libc::SIGUSR1, Recipients::Init).unwrap();
    eventually("the signal", || got("init") == "got\n");
    assert_eq!((got("one"), got("two")), (String::new(), String::new()));
    container.signal(libc::SIGUSR1, Recipients::All).unwrap();
    for (name, times) in [("init", 2), ("one", 1), ("two", 1)] {
        eventually(name, || got(name) == "got\n".repeat(times));
    }
    assert_eq!(container.status().unwrap(), Status::Running);
}

#[test]
fn killing_all_leaves_no_process() {
    let test = TestRuntime::new();
    let mut config = shell("sleep 1000 & sleep 1000 & sleep 1000");
    without_namespace(&mut config, "pid");
    let container = test.run(&config, &quiet()).unwrap();
    eventually("two children", || container.pids().unwrap().len() == 3);
    container.signal(libc::SIGKILL, Recipients::Init).unwrap();
    assert_eq!(container.wait(LONG).unwrap(), killed(libc::SIGKILL));
    assert_eq!(container.pids().unwrap().len(), 2, "they outlive it without a pid namespace");
    container.signal(libc::SIGKILL, Recipients::All).unwrap();
    assert!(container.pids().unwrap().is_empty());
    container.delete(Force::No).unwrap();
}

#[test]
fn a_paused_container_is_killed() {
    let test = TestRuntime::new();
    for to in [Recipients::Init, Recipients::All] {
        let container = test.run(&shell("sleep 1000"), &quiet()).unwrap();
        container.pause().unwrap();
        container.signal(libc::SIGKILL, to).unwrap();
        assert_eq!(container.wait(LONG).unwrap(), killed(libc::SIGKILL), "{to:?}");
        assert_eq!(container.status().unwrap(), Status::Stopped);
        container.delete(Force::No).unwrap();
    }
    let container = test.run(&shell("sleep 1000 & sleep 1000"), &quiet()).unwrap();
    container.pause().unwrap();
    assert_eq!(container.delete(Force::No).unwrap_err().code, Code::NotStopped);
    container.delete(Force::Kill).unwrap();
    assert_eq!(container.wait(LONG).unwrap(), killed(libc::SIGKILL), "the handle has seen it");
}

#[test]
fn other_signals_wait_until_a_paused_container_is_resumed() {
    let test = TestRuntime::new();
    let container = test.run(&shell("trap 'exit 9' TERM; while :; do sleep 0.02; done"), &quiet()).unwrap();
    // When the shell sleeps in a child, it has set its trap.
    eventually("the loop", || container.pids().unwrap().len() == 2);
    container.pause().unwrap();
    container.signal(libc::SIGTERM, Recipients::Init).unwrap();
    assert_eq!(container.status().unwrap(), Status::Paused);
    assert_eq!(container.wait(50).unwrap_err().code, Code::Timeout);
    container.resume().unwrap();
    assert_eq!(container.wait(LONG).unwrap(), ExitStatus::Exited(9));
}

#[test]
fn a_created_container_takes_signals() {
    let test = TestRuntime::new();
    let container = test.create(&shell("true"), &quiet()).unwrap();
    container.signal(0, Recipients::Init).unwrap();
    container.signal(libc::SIGKILL, Recipients::Init).unwrap();
    assert_eq!(container.wait(LONG).unwrap(), killed(libc::SIGKILL));
    assert_eq!(container.start().unwrap_err().code, Code::NotRunning);
    container.delete(Force::No).unwrap();
}

#[test]
fn invalid_signal_numbers_are_refused() {
    let test = TestRuntime::new();
    let container = test.run(&shell("sleep 1000"), &quiet()).unwrap();
    for wrong in [-1, 65, 1000, i32::MIN, i32::MAX] {
        for to in [Recipients::Init, Recipients::All] {
            assert_eq!(container.signal(wrong, to).unwrap_err().code, Code::InvalidArgument, "{wrong}");
        }
    }
    container.signal(0, Recipients::Init).unwrap();
    container.signal(0, Recipients::All).unwrap();
    assert_eq!(container.status().unwrap(), Status::Running);
}

#[test]
fn real_time_signals_are_delivered_and_reported() {
    let test = TestRuntime::new();
    let mut config = shell("sleep 1000");
    // In its own pid namespace init ignores signals that it does not handle.
    without_namespace(&mut config, "pid");
    config["process"]["args"] = json!(["/bin/sleep", "1000"]);
    let container = test.run(&config, &quiet()).unwrap();
    container.signal(40, Recipients::Init).unwrap();
    assert_eq!(container.wait(LONG).unwrap(), killed(40));
}

#[test]
fn after_the_end_signals_reach_no_process() {
    let test = TestRuntime::new();
    let container = test.run(&shell("true"), &quiet()).unwrap();
    container.wait(LONG).unwrap();
    let error = container.signal(libc::SIGTERM, Recipients::Init).unwrap_err();
    assert_eq!((error.code, error.errno), (Code::NotRunning, Some(nix::errno::Errno::ESRCH)));
    container.signal(libc::SIGKILL, Recipients::All).unwrap();
    container.delete(Force::No).unwrap();
    assert_eq!(container.signal(libc::SIGTERM, Recipients::Init).unwrap_err().code, Code::NotFound);
    assert_eq!(container.signal(libc::SIGKILL, Recipients::All).unwrap_err().code, Code::NotFound);
}
