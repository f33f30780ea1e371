//! Dumps a container, deletes it, and restores it where it was.

use berth::{Code, ExitStatus, Force, Recipients, Status};

use crate::common::*;
use crate::support::*;

#[test]
fn a_counter_continues_where_it_was() {
    let test = test_runtime();
    let data = test.data();
    let config = counter(&data);
    let container = test.run(&config, &quiet()).unwrap();
    counts_on(&data);
    checkpoint(&container, &into(&test.images("images")));
    assert_eq!(container.status().unwrap(), Status::Stopped);
    assert_eq!(container.pids().unwrap(), Vec::<i32>::new());
    let stood_at = count(&data);
    assert!(matches!(container.wait(0).unwrap(), ExitStatus::Signaled { signal: libc::SIGKILL, .. }));
    container.delete(Force::No).unwrap();

    let restored = test.restored(&config, &test.images("images"));
    assert_eq!(restored.status().unwrap(), Status::Running);
    let goes_on = counts_on(&data);
    assert!(goes_on > stood_at && goes_on < stood_at + 10_000, "{stood_at} {goes_on}");
    restored.signal(libc::SIGKILL, Recipients::Init).unwrap();
    assert!(matches!(restored.wait(LONG).unwrap(), ExitStatus::Signaled { signal: libc::SIGKILL, .. }));
    restored.delete(Force::No).unwrap();
}

#[test]
fn a_container_that_is_left_running_is_not_disturbed() {
    let test = test_runtime();
    let data = test.data();
    let config = counter(&data);
    let container = test.run(&config, &quiet()).unwrap();
    counts_on(&data);
    let options = berth::criu::CheckpointOptions { leave_running: true, ..into(&test.images("images")) };
    checkpoint(&container, &options);
    assert_eq!(container.status().unwrap(), Status::Running);
    counts_on(&data);
    // The container has written to its files since, so a restore from these images is not guaranteed to work.
    end(container);
}

#[test]
fn a_container_that_was_not_started_cannot_be_dumped() {
    let test = test_runtime();
    let container = test.create(&shell("exit"), &quiet()).unwrap();
    let error = container.checkpoint(&into(&test.images("images"))).unwrap_err();
    assert_eq!(error.code, Code::NotRunning, "{error}");
    assert!(!test.images("images").exists());
    end(container);
}
