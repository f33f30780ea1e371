//! Memory events, from containers that really run out of memory.

mod common;

use std::os::fd::AsFd;

use berth::{Code, Container, Events, ExitStatus, Force, Level, Recipients};
use common::{LONG, TestRuntime, quiet, shell};
use nix::poll::{PollFd, PollFlags, poll};
use serde_json::json;

const KILLED: ExitStatus = ExitStatus::Signaled { signal: libc::SIGKILL, core_dumped: false };

/// Creates a container with a memory limit of 24 MiB; None if the host cannot limit memory.
fn limited(test: &TestRuntime, script: &str) -> Option<Container> {
    let mut config = shell(script);
    config["linux"]["resources"]["memory"] = json!({ "limit": 24 << 20, "swap": 24 << 20 });
    match test.create(&config, &quiet()) {
        Err(error) if error.code == Code::Unsupported && error.message.contains("memory") => {
            eprintln!("SKIPPED: the host has no memory controller");
            None
        }
        container => Some(container.unwrap()),
    }
}

fn is_readable(events: &Events, timeout_ms: u16) -> bool {
    let fd = events.descriptor().unwrap();
    poll(&mut [PollFd::new(fd.as_fd(), PollFlags::POLLIN)], timeout_ms).unwrap() > 0
}

const EAT: &str = "exec tail /dev/zero";

#[test]
fn oom_kills_are_reported_and_counted_before_the_end() {
    let test = TestRuntime::new();
    let Some(container) = limited(&test, EAT) else { return };
    let events = container.notify_oom().unwrap();
    assert!(!is_readable(&events, 0));
    assert_eq!(events.read(0).unwrap_err().code, Code::Timeout);
    container.start().unwrap();
    assert_eq!(container.wait(LONG).unwrap(), KILLED);
    assert!(is_readable(&events, 60_000));
    let mut occurred = events.read(LONG).unwrap();
    assert!(occurred.count > 0, "{occurred:?}");
    while !occurred.ended {
        occurred = events.read(LONG).unwrap();
    }
    assert_eq!(events.read(0).unwrap(), berth::Occurred { count: 0, ended: true });
    assert!(container.oom_killed().unwrap());
    assert!(container.stats().unwrap().oom_kills > Some(0));
    // The events of a deleted container stay readable, and report that it ended.
    container.delete(Force::No).unwrap();
    assert_eq!(events.read(0).unwrap(), berth::Occurred { count: 0, ended: true });
}

#[test]
fn a_process_that_is_out_of_memory_does_not_end_the_container() {
    let test = TestRuntime::new();
    let Some(container) = limited(&test, "tail /dev/zero; tail /dev/zero; sleep 1000") else { return };
    let events = container.notify_oom().unwrap();
    container.start().unwrap();
    let mut count = 0;
    while count < 2 {
        let occurred = events.read(LONG).unwrap();
        assert!(!occurred.ended && occurred.count > 0, "{occurred:?}");
        count += occurred.count;
    }
    container.signal(libc::SIGKILL, Recipients::Init).unwrap();
    assert_eq!(container.wait(LONG).unwrap(), KILLED);
    assert!(events.read(LONG).unwrap().ended);
    // init was killed by the signal; that other processes were OOM-killed does not count.
    assert!(!container.oom_killed().unwrap());
}

#[test]
fn a_killed_process_is_not_an_oom_killed_one() {
    let test = TestRuntime::new();
    let Some(container) = limited(&test, "sleep 1000") else { return };
    container.start().unwrap();
    assert_eq!(container.oom_killed().unwrap_err().code, Code::Timeout);
    let pid = nix::unistd::Pid::from_raw(container.init_process().unwrap().pid());
    // A signal sent with kill(2), not through the library.
    nix::sys::signal::kill(pid, nix::sys::signal::SIGKILL).unwrap();
    assert_eq!(container.wait(LONG).unwrap(), KILLED);
    assert!(!container.oom_killed().unwrap());
}

#[test]
fn pressure_is_reported_at_every_level() {
    let test = TestRuntime::new();
    // The limit leaves a few MiB for the page cache, so that each read of a file larger than that reclaims memory.
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let large = directory.path().join("large");
    std::fs::File::create(&large).unwrap().set_len(64 << 20).unwrap();
    let script = "dd if=/dev/zero of=/tmp/a bs=1M count=18 2>/dev/null; \
                  reading() { while :; do cat /large > /dev/null; done; }; reading & reading & reading";
    let mut config = shell(script);
    config["linux"]["resources"]["memory"] = json!({ "limit": 24 << 20, "swap": 24 << 20 });
    config["mounts"].as_array_mut().unwrap().extend([
        json!({ "destination": "/tmp", "type": "tmpfs", "source": "tmpfs" }),
        json!({ "destination": "/large", "type": "bind", "source": large, "options": ["bind", "ro"] }),
    ]);
    let container = match test.create(&config, &quiet()) {
        Err(error) if error.code == Code::Unsupported => return eprintln!("SKIPPED: the host cannot limit memory"),
        other => other.unwrap(),
    };
    let all: Vec<Events> = Level::ALL.iter().map(|level| container.notify_memory_pressure(*level).unwrap()).collect();
    assert!(all.iter().all(|events| events.read(0).unwrap_err().code == Code::Timeout));
    container.start().unwrap();
    let low = all[0].read(LONG).unwrap();
    assert!(low.count > 0 && !low.ended, "{low:?}");
    // Events must repeat.
    assert!(all[0].read(LONG).unwrap().count > 0);
    container.delete(Force::Kill).unwrap();
    for events in &all {
        assert!(is_readable(events, 60_000));
        let mut occurred = events.read(LONG).unwrap();
        while !occurred.ended {
            occurred = events.read(LONG).unwrap();
        }
    }
}

#[test]
fn pressure_without_a_memory_limit_reports_no_event() {
    let test = TestRuntime::new();
    let container = test.run(&shell("sleep 1000"), &quiet()).unwrap();
    let events = match container.notify_memory_pressure(Level::Critical) {
        Err(error) if error.code == Code::Unsupported => return eprintln!("SKIPPED: {error}"),
        other => other.unwrap(),
    };
    assert_eq!(events.read(20).unwrap_err().code, Code::Timeout);
    let waiter = std::thread::scope(|scope| {
        let waiter = scope.spawn(|| events.read(LONG));
        container.delete(Force::Kill).unwrap();
        waiter.join().unwrap()
    });
    assert_eq!(waiter.unwrap(), berth::Occurred { count: 0, ended: true });
}

#[test]
fn there_are_no_events_of_a_stopped_container() {
    let test = TestRuntime::new();
    let container = test.run(&shell("exit 0"), &quiet()).unwrap();
    container.wait(LONG).unwrap();
    assert_eq!(container.notify_oom().unwrap_err().code, Code::NotRunning);
    assert_eq!(container.notify_memory_pressure(Level::Low).unwrap_err().code, Code::NotRunning);
    container.delete(Force::No).unwrap();
    assert_eq!(container.notify_oom().unwrap_err().code, Code::NotFound);
}
