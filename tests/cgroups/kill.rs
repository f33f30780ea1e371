//! Killing all processes.

use std::time::{Duration, Instant};

use crate::support::{Group, eventually, json, read, soon};

#[test]
fn all_processes_of_a_running_container_are_killed() {
    let Some(mut group) = Group::new() else { return };
    for _ in 0..10 {
        group.run("trap '' TERM INT; sleep 100 & sleep 100 & wait; sleep 100");
    }
    eventually("all run", || group.pids().len() == 30);
    let begin = Instant::now();
    group.cgroup.kill_all(soon()).unwrap();
    assert!(group.pids().is_empty());
    assert!(begin.elapsed() < Duration::from_secs(2), "{:?}", begin.elapsed());
}

#[test]
fn a_frozen_container_is_killed() {
    let Some(mut group) = Group::new() else { return };
    for _ in 0..5 {
        group.run("sleep 100 & wait");
    }
    group.cgroup.freeze(soon()).unwrap();
    let begin = Instant::now();
    group.cgroup.kill_all(soon()).unwrap();
    assert!(group.pids().is_empty());
    assert!(begin.elapsed() < Duration::from_secs(2), "{:?}", begin.elapsed());
}

#[test]
fn a_cgroup_frozen_below_is_killed() {
    let Some(mut group) = Group::new() else { return };
    let pid = group.run("sleep 100");
    let (freezer, file, value) = match group.layout.paths.get("freezer") {
        Some(dir) => (dir.join("below"), "freezer.state", "FROZEN"),
        None => (group.layout.paths[""].join("below"), "cgroup.freeze", "1"),
    };
    std::fs::create_dir(&freezer).unwrap();
    std::fs::write(freezer.join("cgroup.procs"), pid.to_string()).unwrap();
    std::fs::write(freezer.join(file), value).unwrap();
    group.cgroup.kill_all(soon()).unwrap();
    assert!(group.pids().is_empty());
}

#[test]
fn processes_that_fork_and_leave_are_killed() {
    let Some(mut group) = Group::new() else { return };
    // Each process exits as soon as it has forked its successor, so a list of pids is always outdated.
    for _ in 0..8 {
        group.run("f() { f & }; f");
    }
    std::thread::sleep(Duration::from_millis(50));
    group.cgroup.kill_all(soon()).unwrap();
    std::thread::sleep(Duration::from_millis(50));
    assert!(group.pids().is_empty());
}

#[test]
fn a_fork_bomb_is_killed() {
    let Some(mut group) = Group::new() else { return };
    if group.controller("pids").is_none() {
        return;
    }
    group.cgroup.apply(&json(r#"{"pids": {"limit": 150}}"#)).unwrap();
    // bash retries a fork that fails; other shells exit.
    group.run("exec bash -c 'b() { b | b & b; }; b' 2> /dev/null");
    eventually("it has grown", || group.pids().len() > 60);
    group.cgroup.kill_all(soon()).unwrap();
    assert!(group.pids().is_empty());
}

/// A cgroup that the container was given is used again after it.
#[test]
fn killing_without_freezing_leaves_the_limit_of_processes() {
    let Some(mut group) = Group::new() else { return };
    let Some(pids) = group.controller("pids").filter(|_| group.is_v1("pids")) else { return };
    group.cgroup.apply(&json(r#"{"pids": {"limit": 150}}"#)).unwrap();
    let tree = group.layout.paths.get("").cloned();
    for _ in 0..10 {
        let pid = group.run("while :; do :; done");
        // Else they are killed through the v2 hierarchy.
        if let Some(tree) = &tree {
            std::fs::write(tree.with_file_name("cgroup.procs"), pid.to_string()).unwrap();
        }
    }
    // Without time to freeze them, forks are prevented until they are killed.
    let _ = group.cgroup.kill_all(Instant::now());
    group.cgroup.kill_all(soon()).unwrap();
    assert_eq!(read(&pids, "pids.max").trim(), "150");
}

#[test]
fn a_process_that_left_one_hierarchy_is_killed_too() {
    let Some(mut group) = Group::new() else { return };
    let Some(tree) = group.layout.paths.get("").filter(|_| group.layout.paths.len() > 1).cloned() else {
        eprintln!("SKIPPED: the host is not a hybrid one");
        return;
    };
    let pid = group.run("exec sleep 100");
    std::fs::write(tree.with_file_name("cgroup.procs"), pid.to_string()).unwrap();
    assert_eq!(group.pids(), [pid]);
    group.cgroup.kill_all(soon()).unwrap();
    assert!(group.pids().is_empty());
}
