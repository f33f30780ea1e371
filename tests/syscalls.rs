//! Upper bounds for the number of system calls of the library and berth-init, which does not depend on the load of the
//! machine. If a change exceeds a bound, fix the change or raise the bound deliberately. Bounds leave room for polling
//! of the kernel.

mod common;

use std::path::Path;
use std::process::Command;

use berth::{Container, Force, Runtime};
use common::*;

fn main() {
    runner::main(
        &[
            ("create_to_delete_makes_no_more_system_calls_than_before", || bounded("life_cycles", 740, 80)),
            ("an_exec_makes_no_more_system_calls_than_before", || bounded("execs", 320, 16)),
            ("statistics_cost_one_read_a_file", || bounded("statistics", 10, 6)),
            ("pausing_and_resuming_makes_no_more_system_calls_than_before", || bounded("pauses", 160, 20)),
        ],
        &[("life_cycles", life_cycles), ("execs", execs), ("statistics", statistics), ("pauses", pauses)],
    );
}

/// Checks the number of system calls of one more round: at most `most`, plus `each` for every v1 hierarchy. Debug
/// builds make more calls than release builds, because the standard library checks each descriptor before closing it.
fn bounded(caller: &str, most: usize, each: usize) {
    let (few, many) = (2, 42);
    let dir = tempfile::Builder::new().prefix("berth-test-").tempdir().unwrap();
    // Waiting for a cgroup to become empty polls; take the minimum of several runs.
    let least = |rounds| (0..3).map(|_| counted(caller, rounds, dir.path())).min().unwrap();
    let calls = least(many).saturating_sub(least(few)) / (many - few);
    let v1 = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    let hierarchies = v1.lines().filter(|line| line.contains(" - cgroup ")).count();
    let bound = most + each * hierarchies;
    println!("{caller}: {calls} system calls each, with {hierarchies} hierarchies of v1; the bound is {bound}");
    assert!(calls > 0 && calls <= bound, "{caller}: {calls} system calls, the bound is {bound}");
}

/// Counts the system calls of a caller and its containers with strace.
fn counted(caller: &str, rounds: usize, dir: &Path) -> usize {
    let (summary, id) = (dir.join("summary"), unique(caller));
    let mut command = Command::new("strace");
    command.args(["-f", "-c", "-o"]).arg(&summary).arg(std::env::current_exe().unwrap());
    command.args(["--caller", caller, dir.join("state").to_str().unwrap(), &id, &rounds.to_string()]);
    command.env("BERTH_TEST_ROOTFS", rootfs());
    runner::run(&mut command);
    leftovers::nothing_stays(&id, &dir.join("state"));
    let summary = std::fs::read_to_string(summary).unwrap();
    let total = summary.lines().rfind(|line| line.ends_with("total")).expect("strace's last line");
    total.split_whitespace().nth(3).and_then(|calls| calls.parse().ok()).expect("the number of calls")
}

fn caller(args: &[String]) -> (Runtime, String, usize) {
    let runtime = runtime_of(args);
    (runtime, args[1].clone(), args[2].parse().unwrap())
}

/// Creates a container with the default configuration, for which init performs all usual steps.
fn create(runtime: &Runtime, id: &str, program: &str) -> Container {
    Container::create(runtime, id, &shell_config(program), &quiet()).unwrap()
}

fn life_cycles(args: &[String]) {
    let (runtime, id, rounds) = caller(args);
    for round in 0..rounds {
        let container = create(&runtime, &format!("{id}-{round}"), "exit 0");
        container.start().unwrap();
        container.wait(LONG).unwrap();
        container.delete(Force::No).unwrap();
    }
}

fn in_a_container(args: &[String], mut work: impl FnMut(&Container)) {
    let (runtime, id, rounds) = caller(args);
    let container = create(&runtime, &id, "sleep 100000");
    container.start().unwrap();
    (0..rounds).for_each(|_| work(&container));
    container.delete(Force::Kill).unwrap();
}

fn execs(args: &[String]) {
    let process = serde_json::json!({ "cwd": "/", "args": ["/bin/true"], "user": { "uid": 0, "gid": 0 } });
    let process = serde_json::from_value(process).unwrap();
    in_a_container(args, |container| {
        container.exec(&process, &quiet()).unwrap().wait(LONG).unwrap();
    });
}

fn statistics(args: &[String]) {
    in_a_container(args, |container| {
        container.stats().unwrap();
    });
}

fn pauses(args: &[String]) {
    in_a_container(args, |container| {
        container.pause().unwrap();
        container.resume().unwrap();
    });
}
