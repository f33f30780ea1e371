//! Operations on one container that run at the same time, and what others see meanwhile.

mod common;

use std::process::{Command, Stdio};
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use berth::{Code, Container, Force, Recipients, Status};
use common::{TestRuntime, eventually, parsed, quiet, shell, shell_process, unique};
use serde_json::Value;

/// Forks all the time, and ignores SIGWINCH.
const RESTLESS: &str = "while :; do (true) & (true) & wait; done";

fn is_expected(result: berth::Result<()>) {
    if let Err(error) = result {
        let codes = [Code::Paused, Code::NotPaused, Code::NotRunning, Code::NotFound];
        assert!(codes.contains(&error.code), "{:?}: {error}", error.code);
    }
}

/// Runs one of the operations that other callers may run on the container.
fn disturb(container: &Container, what: usize) {
    match what {
        0 => {
            is_expected(container.pause());
            is_expected(container.resume());
        }
        1 => match container.exec(&parsed(&shell_process("true")), &quiet()) {
            Ok(process) => drop(process.wait(common::LONG)),
            // The container ended during the exec.
            Err(error) if matches!(error.code, Code::System | Code::StatusUnknown) => {
                let running = || container.status().is_ok_and(|status| status == Status::Running);
                eventually(&format!("the end that explains {error:?}"), || !running());
            }
            Err(error) => is_expected(Err(error)),
        },
        2 => match container.set(r#"{"pids": {"limit": 500}}"#) {
            Err(error) if error.code == Code::Unsupported => {}
            other => is_expected(other),
        },
        _ => is_expected(container.signal(libc::SIGWINCH, Recipients::All)),
    }
}

fn in_vm() -> bool {
    std::env::var_os("BERTH_VM").is_some()
}

fn seconds() -> Duration {
    Duration::from_secs(if in_vm() { 10 } else { 2 })
}

#[test]
fn pausing_races_with_exec_set_and_signals_and_leaves_nothing_frozen() {
    let test = TestRuntime::new();
    let container = test.run(&shell(RESTLESS), &quiet()).unwrap();
    let end = Instant::now() + seconds();
    std::thread::scope(|scope| {
        for what in 0..4 {
            let container = test.runtime.load(container.id()).unwrap();
            scope.spawn(move || {
                while Instant::now() < end {
                    disturb(&container, what);
                }
            });
        }
    });
    assert_eq!(container.status().unwrap(), Status::Running);
    let before = container.stats().unwrap().cpu_usage_ns;
    eventually("it continues", || container.stats().unwrap().cpu_usage_ns > before);
    container.delete(Force::Kill).unwrap();
}

#[test]
fn deleting_while_others_pause_exec_and_set_leaves_nothing() {
    let test = TestRuntime::new();
    for _ in 0..5 {
        let container = test.run(&shell(RESTLESS), &quiet()).unwrap();
        let state: serde_json::Value = serde_json::from_str(&container.state_json().unwrap()).unwrap();
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for what in 0..4 {
                let container = test.runtime.load(container.id()).unwrap();
                let over = &over;
                scope.spawn(move || {
                    while !over.load(Ordering::Relaxed) {
                        disturb(&container, what);
                    }
                });
            }
            std::thread::sleep(Duration::from_millis(50));
            let deleted = container.delete(Force::Kill);
            over.store(true, Ordering::Relaxed);
            deleted.unwrap();
        });
        assert_eq!(container.status().unwrap_err().code, Code::NotFound);
        for dir in state["cgroupPaths"].as_object().unwrap().values() {
            assert!(!std::path::Path::new(dir.as_str().unwrap()).exists(), "{dir}");
        }
    }
    assert!(test.runtime.ids().unwrap().is_empty());
}

#[test]
fn a_paused_container_stays_paused_after_any_signal() {
    let test = TestRuntime::new();
    let container = test.run(&shell(RESTLESS), &quiet()).unwrap();
    container.pause().unwrap();
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for _ in 0..10 {
                    container.signal(libc::SIGWINCH, Recipients::All).unwrap();
                    assert_eq!(container.status().unwrap(), Status::Paused);
                }
            });
        }
    });
    container.resume().unwrap();
    container.pause().unwrap();
    container.signal(libc::SIGKILL, Recipients::All).unwrap();
    container.wait(common::LONG).unwrap();
    assert_eq!(container.status().unwrap(), Status::Stopped);
    container.delete(Force::No).unwrap();
}

/// Until it is started, every reader sees a container as "creating" or "created": also while its directory has no
/// record, and if its creator writes the record and exits between two reads.
#[test]
fn a_container_never_appears_stopped_before_it_is_started() {
    let test = TestRuntime::new();
    let bundle = test.bundle("b", &shell("sleep 1000"));
    let ids: Vec<String> = (0..if in_vm() { 5 } else { 80 }).map(|_| unique("seen")).collect();
    let (current, done) = (AtomicUsize::new(0), AtomicBool::new(false));
    let is_early = |status: &str| matches!(status, "creating" | "created");
    std::thread::scope(|scope| {
        for by_list in [false, false, true] {
            let (test, ids, current, done) = (&test, &ids, &current, &done);
            scope.spawn(move || {
                while !done.load(Ordering::Relaxed) {
                    let id = &ids[current.load(Ordering::Relaxed)];
                    if by_list {
                        let states: Value = serde_json::from_str(&test.runtime.states_json().unwrap()).unwrap();
                        for state in states.as_array().unwrap() {
                            assert!(is_early(state["status"].as_str().unwrap()), "{state}");
                        }
                        continue;
                    }
                    match test.runtime.load(id).and_then(|container| container.status()) {
                        Ok(status) => assert!(is_early(status.name()), "{id} is {status:?}"),
                        Err(error) => assert_eq!(error.code, Code::NotFound, "{error}"),
                    }
                }
            });
        }
        // Every creator is a process of its own, which ends as soon as the container is created.
        let created = std::panic::catch_unwind(|| {
            for (index, id) in ids.iter().enumerate() {
                current.store(index, Ordering::Relaxed);
                let mut creator = Command::new(env!("CARGO_BIN_EXE_berth"));
                creator.arg("--root").arg(test.runtime.root()).args(["create", "--bundle"]).arg(&bundle).arg(id);
                // Not a pipe: the container keeps the streams.
                creator.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
                assert!(creator.status().unwrap().success(), "{id}");
            }
        });
        done.store(true, Ordering::Relaxed);
        created.unwrap();
    });
    for id in &ids {
        test.runtime.load(id).unwrap().delete(Force::Kill).unwrap();
    }
}

/// `berth delete` removes a container that was never started. One that is started at this moment is not killed.
#[test]
fn deleting_a_created_container_never_kills_a_started_one() {
    let test = TestRuntime::new();
    let mut started = 0;
    for round in 0..if in_vm() { 10 } else { 60 } {
        let container = test.create(&shell("sleep 1000"), &quiet()).unwrap();
        let deleter = test.runtime.load(container.id()).unwrap();
        let barrier = Barrier::new(2);
        let (start, delete) = std::thread::scope(|scope| {
            let other = scope.spawn(|| {
                barrier.wait();
                if round % 2 == 0 {
                    std::thread::yield_now();
                }
                deleter.delete(Force::Created)
            });
            barrier.wait();
            (container.start(), other.join().unwrap())
        });
        match (start, delete) {
            (Ok(()), Err(error)) => {
                assert_eq!(error.code, Code::NotStopped, "{error}");
                assert_eq!(container.status().unwrap(), Status::Running);
                container.delete(Force::Kill).unwrap();
                started += 1;
            }
            (Err(error), Ok(())) => assert!(matches!(error.code, Code::NotFound | Code::NotRunning), "{error}"),
            other => panic!("{other:?}"),
        }
    }
    println!("{started} of the containers were started");
}

/// Init may be killed when it has opened exec.fifo and not written to it yet: nobody has started the container then.
#[test]
fn a_container_that_is_killed_at_its_start_is_not_called_running() {
    let test = TestRuntime::new();
    for round in 0..if in_vm() { 10 } else { 100 } {
        let container = test.create(&shell("sleep 1000"), &quiet()).unwrap();
        let killer = test.runtime.load(container.id()).unwrap();
        let barrier = Barrier::new(2);
        let start = std::thread::scope(|scope| {
            scope.spawn(|| {
                barrier.wait();
                // At different moments of the start.
                (0..round % 8).for_each(|_| std::thread::yield_now());
                killer.signal(libc::SIGKILL, Recipients::Init).unwrap();
            });
            barrier.wait();
            container.start()
        });
        if let Err(error) = start {
            assert_eq!(error.code, Code::NotRunning, "{error}");
        }
        container.delete(Force::Kill).unwrap();
    }
}

/// A delete may remove the directory of a create that has only just made it.
#[test]
fn a_create_beside_forced_deletes_of_its_id_succeeds() {
    let test = TestRuntime::new();
    let id = unique("deleted");
    let (config, done) = (test.config(&shell("sleep 1000")), AtomicBool::new(false));
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    match test.runtime.load(&id).and_then(|container| container.delete(Force::Kill)) {
                        Err(error) if error.code != Code::NotFound => panic!("{error}"),
                        _ => {}
                    }
                }
            });
        }
        let create = || Container::create(&test.runtime, &id, &config, &quiet()).map(drop);
        let results: Vec<_> = (0..if in_vm() { 20 } else { 300 }).map(|_| create()).collect();
        done.store(true, Ordering::Relaxed);
        for result in results {
            // The container of the round before may be there still.
            assert!(result.as_ref().map_or_else(|error| error.code == Code::IdInUse, |()| true), "{result:?}");
        }
    });
}
