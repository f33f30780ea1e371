//! A failed step is undone: also if the failing system call is the one that completes it, and if no further descriptor
//! can be opened. strace makes the calls fail.

mod common;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use berth::{Force, Status};
use common::leftovers::cgroups;
use common::{TestRuntime, quiet, shell, unique};
use serde_json::{Value, json};

const SOON: Duration = Duration::from_secs(25);

fn berth(test: &TestRuntime) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_berth"));
    command.arg("--root").arg(test.path("state")).stdin(Stdio::null());
    command
}

/// Runs a command of berth under strace, which injects a fault into all its processes. strace runs beside it (-D), since it
/// traces the container for as long as it runs.
fn faulty(test: &TestRuntime, inject: &str, arguments: &[&str]) -> Output {
    let output = test.path("output");
    let mut command = Command::new("strace");
    command
        .args(["-D", "-f", "-qq", "-o", "/dev/null", "-e", &format!("inject={inject}")])
        .arg(env!("CARGO_BIN_EXE_berth"));
    command.arg("--root").arg(test.path("state")).args(arguments).stdin(Stdio::null()).stdout(Stdio::null());
    // Not a pipe: a created container keeps the streams.
    let status = command.stderr(std::fs::File::create(&output).unwrap()).status().unwrap();
    Output { status, stdout: Vec::new(), stderr: std::fs::read(output).unwrap() }
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn skips() -> bool {
    let traces =
        Command::new("strace").args(["-qq", "-o", "/dev/null", "true"]).status().is_ok_and(|end| end.success());
    if !traces {
        eprintln!("SKIPPED: strace is missing or may not trace");
    }
    !traces
}

fn state_directories(test: &TestRuntime) -> Vec<PathBuf> {
    let found = std::fs::read_dir(test.path("state")).into_iter().flatten().flatten();
    found.map(|entry| entry.path()).collect()
}

/// Makes the call fail at each of its first `count` places in create, and asserts that a failed create leaves nothing, or
/// says what it leaves and keeps the record, by which a forced delete removes it.
fn create_with(call: &str, errno: &str, from_then_on: bool, count: u32) {
    if skips() {
        return;
    }
    let test = TestRuntime::new();
    let (mut failed, mut left) = (0, 0);
    for place in 1..=count {
        let id = unique("undo");
        let mut config = shell("sleep 1000");
        config["linux"]["cgroupsPath"] = json!(format!("/{id}"));
        let bundle = test.make_dir(&id);
        config["root"]["path"] = json!(common::rootfs());
        test.write_config(&bundle, &config);
        let inject = format!("{call}:error={errno}:when={place}{}", if from_then_on { "+" } else { "" });
        let output = faulty(&test, &inject, &["create", "--bundle", bundle.to_str().unwrap(), &id]);
        if !output.status.success() {
            failed += 1;
            if state_directories(&test).is_empty() {
                assert_eq!(cgroups(&id), Vec::<PathBuf>::new(), "{inject}: {}", text(&output));
                continue;
            }
            left += 1;
        }
        let deleted = berth(&test).args(["delete", "--force", &id]).output().unwrap();
        assert!(deleted.status.success(), "{inject}: {} {}", text(&output), text(&deleted));
        assert_eq!(cgroups(&id), Vec::<PathBuf>::new(), "{inject}: {}", text(&output));
        assert_eq!(state_directories(&test), Vec::<PathBuf>::new(), "{inject}: {}", text(&output));
    }
    println!("{call} {errno}: {failed} of {count} creates failed, {left} of them left something to delete");
}

#[test]
fn create_without_further_descriptors_leaves_no_cgroup() {
    create_with("openat2", "EMFILE", true, if std::env::var_os("BERTH_VM").is_some() { 20 } else { 80 });
}

#[test]
fn create_that_cannot_set_a_mode_leaves_no_cgroup() {
    create_with("fchmodat", "EPERM", false, 14);
}

#[test]
fn create_that_cannot_look_at_a_file_leaves_no_directory() {
    create_with("newfstatat,fstat", "EIO", false, 30);
}

#[test]
fn create_that_cannot_remove_says_so_and_delete_tries_again() {
    create_with("fchmodat,unlinkat", "EIO", true, 14);
}

/// Without the message that names the forked process, the caller waited for its whole deadline.
#[test]
fn a_message_of_init_that_is_not_sent_does_not_hold_up_exec() {
    if skips() {
        return;
    }
    let test = TestRuntime::new();
    let container = test.run(&shell("sleep 1000"), &quiet()).unwrap();
    for when in ["1", "1+", "2"] {
        let begin = Instant::now();
        let output = faulty(&test, &format!("sendmsg:error=ENOBUFS:when={when}"), &["exec", container.id(), "true"]);
        assert!(begin.elapsed() < SOON, "{when}: {:?} {}", begin.elapsed(), text(&output));
    }
    assert_eq!(container.pids().unwrap(), [container.init_process().unwrap().pid()], "nothing is left of them");
}

/// In a frozen cgroup of v1, SIGKILL has no effect.
#[test]
fn delete_kills_what_somebody_has_frozen_elsewhere() {
    let freezer = Path::new("/sys/fs/cgroup/freezer");
    if !freezer.join("cgroup.procs").exists() {
        return eprintln!("SKIPPED: the host has no v1 freezer");
    }
    let test = TestRuntime::new();
    for by_handle in [true, false] {
        let name = unique("berth-foreign");
        let container = test.run(&shell("sleep 1000 & wait"), &quiet()).unwrap();
        let state: Value = serde_json::from_str(&container.state_json().unwrap()).unwrap();
        let foreign = freezer.join(&name);
        std::fs::create_dir(&foreign).unwrap();
        for pid in container.pids().unwrap() {
            std::fs::write(foreign.join("cgroup.procs"), pid.to_string()).unwrap();
        }
        std::fs::write(foreign.join("freezer.state"), "FROZEN").unwrap();
        let begin = Instant::now();
        let deleted = if by_handle {
            container.delete(Force::Kill).map_err(|error| error.to_string())
        } else {
            let output = berth(&test).args(["delete", "--force", container.id()]).output().unwrap();
            output.status.success().then_some(()).ok_or_else(|| text(&output))
        };
        let took = begin.elapsed();
        // Whatever the outcome, nothing stays behind.
        std::fs::write(foreign.join("freezer.state"), "THAWED").unwrap();
        common::eventually("an empty foreign cgroup", || std::fs::remove_dir(&foreign).is_ok());
        deleted.unwrap();
        assert!(took < SOON, "{took:?}");
        for path in state["cgroupPaths"].as_object().unwrap().values() {
            assert!(!Path::new(path.as_str().unwrap()).exists(), "{path}");
        }
        assert!(container.status().is_err() && state["status"] == Status::Running.name());
    }
}
