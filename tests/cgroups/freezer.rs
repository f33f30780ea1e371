//! Freezing, thawing and signalling.

use std::path::Path;
use std::time::{Duration, Instant};

use berth::Code;

use crate::support::{Group, eventually, soon};

/// Returns a script that counts into a file; reading the file twice shows whether the script runs.
fn counter(file: &Path) -> String {
    format!("i=0; while :; do i=$((i+1)); echo $i > {}; done", file.display())
}

fn is_running(file: &Path) -> bool {
    let before = std::fs::read(file).unwrap_or_default();
    std::thread::sleep(Duration::from_millis(60));
    std::fs::read(file).unwrap_or_default() != before
}

#[test]
fn a_frozen_container_does_not_run_until_it_is_thawed() {
    let Some(mut group) = Group::new() else { return };
    // On a tmpfs, because a busy disk would block the writer, too.
    let folder = tempfile::tempdir_in("/dev/shm").unwrap();
    let file = folder.path().join("count");
    group.run(&counter(&file));
    eventually("it counts", || file.exists());
    assert!(!group.cgroup.is_frozen().unwrap());
    for _ in 0..5 {
        group.cgroup.freeze(soon()).unwrap();
        assert!(group.cgroup.is_frozen().unwrap());
        assert!(!is_running(&file));
        group.cgroup.freeze(soon()).expect("freezing twice is fine");
        group.cgroup.thaw(soon()).unwrap();
        assert!(!group.cgroup.is_frozen().unwrap());
        eventually("it counts again", || is_running(&file));
    }
    group.cgroup.thaw(soon()).expect("thawing twice is fine");
}

#[test]
fn forking_processes_are_frozen() {
    let Some(mut group) = Group::new() else { return };
    for _ in 0..4 {
        group.run("f() { f & }; f");
    }
    for _ in 0..20 {
        group.cgroup.freeze(soon()).unwrap();
        let before = group.pids();
        std::thread::sleep(Duration::from_millis(5));
        assert_eq!(group.pids(), before);
        group.cgroup.thaw(soon()).unwrap();
    }
}

#[test]
fn an_empty_container_can_be_frozen() {
    let Some(group) = Group::new() else { return };
    group.cgroup.freeze(soon()).unwrap();
    assert!(group.cgroup.is_frozen().unwrap());
    group.cgroup.thaw(soon()).unwrap();
    assert!(!group.cgroup.is_frozen().unwrap());
}

#[test]
fn a_freeze_that_misses_its_deadline_leaves_nothing_frozen() {
    let Some(mut group) = Group::new() else { return };
    for _ in 0..4 {
        group.run("f() { f & }; f");
    }
    let mut missed = 0;
    for _ in 0..50 {
        match group.cgroup.freeze(Instant::now()) {
            Ok(()) => group.cgroup.thaw(soon()).unwrap(),
            Err(error) => {
                missed += 1;
                assert_eq!(error.code, Code::Timeout, "{error}");
                assert!(!group.cgroup.is_frozen().unwrap());
            }
        }
    }
    eprintln!("{missed} of 50 missed the deadline");
}

#[test]
fn freezing_a_removed_cgroup_is_an_error_and_thawing_it_is_not() {
    let Some(group) = Group::new() else { return };
    group.cgroup.remove(soon()).unwrap();
    assert!(group.cgroup.freeze(soon()).is_err());
    group.cgroup.thaw(soon()).unwrap();
}

#[test]
fn a_signal_reaches_every_process_once() {
    let Some(mut group) = Group::new() else { return };
    let folder = tempfile::tempdir().unwrap();
    let mark = folder.path().display();
    for number in 0..5 {
        group.run(&format!(
            "trap 'echo x >> {mark}/{number}' USR1; : > {mark}/ready{number}; while :; do sleep 100 & wait; done"
        ));
    }
    eventually("all are ready", || (0..5).all(|number| folder.path().join(format!("ready{number}")).exists()));
    group.cgroup.signal_all(libc::SIGUSR1).unwrap();
    let got = |number| std::fs::read_to_string(folder.path().join(format!("{number}"))).unwrap_or_default();
    eventually("all got it", || (0..5).all(|number| got(number) == "x\n"));
    assert!(!group.cgroup.is_frozen().unwrap());
    // A frozen container stays frozen, and handles the signal after it is thawed.
    group.cgroup.freeze(soon()).unwrap();
    group.cgroup.signal_all(libc::SIGUSR1).unwrap();
    assert!(group.cgroup.is_frozen().unwrap());
    assert!((0..5).all(|number| got(number) == "x\n"));
    group.cgroup.thaw(soon()).unwrap();
    eventually("all got the second", || (0..5).all(|number| got(number) == "x\nx\n"));
}

#[test]
fn a_signal_to_an_empty_cgroup_succeeds() {
    let Some(group) = Group::new() else { return };
    group.cgroup.signal_all(libc::SIGTERM).unwrap();
    group.cgroup.kill_all(soon()).unwrap();
}
