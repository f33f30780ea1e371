//! Freezing a container during concurrent operations.

mod common;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use berth::{Code, Container, Force, Recipients, Status};
use common::{Host, eventually, parsed, quiet, shell, shell_process};

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

fn seconds() -> Duration {
    Duration::from_secs(if std::env::var_os("BERTH_VM").is_some() { 10 } else { 2 })
}

#[test]
fn pausing_races_with_exec_set_and_signals_and_leaves_nothing_frozen() {
    let host = Host::new();
    let container = host.run(&shell(RESTLESS), &quiet()).unwrap();
    let end = Instant::now() + seconds();
    std::thread::scope(|scope| {
        for what in 0..4 {
            let container = host.runtime.load(container.id()).unwrap();
            scope.spawn(move || {
                while Instant::now() < end {
                    disturb(&container, what);
                }
            });
        }
    });
    assert_eq!(container.status().unwrap(), Status::Running);
    let before = container.stats().unwrap().cpu_usage_ns;
    eventually("it goes on", || container.stats().unwrap().cpu_usage_ns > before);
    container.delete(Force::Kill).unwrap();
}

#[test]
fn deleting_while_others_pause_exec_and_set_leaves_nothing() {
    let host = Host::new();
    for _ in 0..5 {
        let container = host.run(&shell(RESTLESS), &quiet()).unwrap();
        let state: serde_json::Value = serde_json::from_str(&container.state_json().unwrap()).unwrap();
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for what in 0..4 {
                let container = host.runtime.load(container.id()).unwrap();
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
    assert!(host.runtime.ids().unwrap().is_empty());
}

#[test]
fn a_paused_container_stays_paused_whatever_is_sent_to_it() {
    let host = Host::new();
    let container = host.run(&shell(RESTLESS), &quiet()).unwrap();
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
