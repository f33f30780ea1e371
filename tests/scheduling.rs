//! Scheduler, I/O priority, CPU affinity, memory policy and personality of a process.

mod common;

use berth::{Code, Force};
use common::*;
use nix::errno::Errno;
use serde_json::{Value, json};

/// Reads a field of /proc/<pid>/stat by its number in proc_pid_stat(5), where the state is 3.
fn stat_field(pid: i32, field: usize) -> i64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let (_, rest) = text.rsplit_once(')').unwrap();
    rest.split_whitespace().nth(field - 3).unwrap().parse().unwrap()
}

const NICE: usize = 19;
const RT_PRIORITY: usize = 40;
const POLICY: usize = 41;

fn io_priority(pid: i32) -> i64 {
    // SAFETY: numbers only.
    unsafe { libc::syscall(libc::SYS_ioprio_get, 1, pid) }
}

fn allowed(pid: i32) -> String {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    status_line(&status, "Cpus_allowed_list").to_owned()
}

/// Returns the configuration of an idle container, with one member of its process changed.
fn idle(name: &str, value: Value) -> Value {
    let mut config = shell("sleep 1000");
    config["process"][name] = value;
    config
}

fn may_schedule_in_real_time() -> bool {
    // With RT_GROUP_SCHED on cgroup v1, a cgroup has no realtime budget unless it is given some.
    !std::path::Path::new("/sys/fs/cgroup/cpu/cpu.rt_runtime_us").exists()
}

#[test]
fn the_scheduler_of_the_container_is_as_configured() {
    let test = TestRuntime::new();
    // Attributes that the scheduler does not set are inherited, and the caller may have a nice value.
    let own = stat_field(std::process::id() as i32, NICE);
    for (scheduler, policy, nice) in [
        (json!({ "policy": "SCHED_BATCH", "nice": 7 }), libc::SCHED_BATCH, 7),
        (json!({ "policy": "SCHED_OTHER", "nice": -3 }), libc::SCHED_OTHER, -3),
        (json!({ "policy": "SCHED_IDLE" }), libc::SCHED_IDLE, own),
    ] {
        let container = test.run(&idle("scheduler", scheduler.clone()), &quiet()).unwrap();
        let pid = container.init_process().unwrap().pid();
        assert_eq!((stat_field(pid, POLICY), stat_field(pid, NICE)), (i64::from(policy), nice), "{scheduler}");
        container.delete(Force::Kill).unwrap();
    }
}

#[test]
fn a_policy_of_real_time_is_set_or_explained() {
    let test = TestRuntime::new();
    for (scheduler, policy, priority) in [
        (json!({ "policy": "SCHED_FIFO", "priority": 5 }), libc::SCHED_FIFO, 5),
        (json!({ "policy": "SCHED_RR", "priority": 1, "flags": ["SCHED_FLAG_RESET_ON_FORK"] }), libc::SCHED_RR, 1),
    ] {
        match test.run(&idle("scheduler", scheduler.clone()), &quiet()) {
            Ok(container) => {
                let pid = container.init_process().unwrap().pid();
                assert_eq!((stat_field(pid, POLICY), stat_field(pid, RT_PRIORITY)), (i64::from(policy), priority));
                container.delete(Force::Kill).unwrap();
            }
            Err(error) => {
                assert!(!may_schedule_in_real_time(), "{error}");
                assert_eq!((error.code, error.errno), (Code::System, Some(Errno::EPERM)));
                assert!(error.message.starts_with("setting the scheduler SCHED_"), "{error}");
                assert!(test.runtime.ids().unwrap().is_empty());
            }
        }
    }
}

#[test]
fn a_deadline_is_set_or_explained() {
    let test = TestRuntime::new();
    let times = json!({ "policy": "SCHED_DEADLINE", "nice": 19, "runtime": 1_000_000, "deadline": 5_000_000, "period": 10_000_000 });
    match test.run(&idle("scheduler", times), &quiet()) {
        Ok(container) => {
            let pid = container.init_process().unwrap().pid();
            let mut found = [0u64; 6];
            // SAFETY: the struct is 48 bytes long in its first version (sched_setattr(2)).
            let result = unsafe { libc::syscall(libc::SYS_sched_getattr, pid, found.as_mut_ptr(), 48, 0) };
            assert_eq!((result, found[0] >> 32, &found[3..]), (0, 6, &[1_000_000, 5_000_000, 10_000_000][..]));
        }
        // A deadline task fails within a cpuset, or if the machine has no bandwidth left.
        Err(error) => {
            assert!(matches!(error.errno, Some(Errno::EPERM | Errno::EBUSY)), "{error}");
            assert!(error.message.contains("SCHED_DEADLINE, runtime 1000000, deadline 5000000"), "{error}");
        }
    }
}

#[test]
fn in_a_user_namespace_too_the_host_may_prefer_the_container() {
    let test = TestRuntime::new();
    let mut config = idle("scheduler", json!({ "policy": "SCHED_OTHER", "nice": -5 }));
    config["process"]["ioPriority"] = json!({ "class": "IOPRIO_CLASS_RT", "priority": 2 });
    with_user_namespace(&mut config);
    let container = test.run(&config, &quiet()).unwrap();
    let pid = container.init_process().unwrap().pid();
    assert_eq!(stat_field(pid, NICE), -5);
    assert_eq!(io_priority(pid), 1 << 13 | 2);
}

#[test]
fn the_io_priority_is_as_configured() {
    let test = TestRuntime::new();
    for (class, level, expected) in
        [("IOPRIO_CLASS_RT", 0, 1 << 13), ("IOPRIO_CLASS_BE", 6, 2 << 13 | 6), ("IOPRIO_CLASS_IDLE", 0, 3 << 13)]
    {
        let config = idle("ioPriority", json!({ "class": class, "priority": level }));
        let container = test.run(&config, &quiet()).unwrap();
        assert_eq!(io_priority(container.init_process().unwrap().pid()), expected, "{class}");
        container.delete(Force::Kill).unwrap();
    }
}

#[test]
fn exec_has_the_scheduling_of_the_container_unless_it_says_its_own() {
    let test = TestRuntime::new();
    let mut config = idle("scheduler", json!({ "policy": "SCHED_BATCH", "nice": 4 }));
    config["process"]["ioPriority"] = json!({ "class": "IOPRIO_CLASS_BE", "priority": 7 });
    let container = test.run(&config, &quiet()).unwrap();
    let facts = |process: &Value| {
        let process = container.exec(&parsed(process), &quiet()).unwrap();
        let facts = (stat_field(process.pid(), POLICY), stat_field(process.pid(), NICE), io_priority(process.pid()));
        process.signal(libc::SIGKILL).unwrap();
        process.wait(LONG).unwrap();
        facts
    };
    let mut process = shell_process("sleep 1000");
    assert_eq!(facts(&process), (i64::from(libc::SCHED_BATCH), 4, 2 << 13 | 7));
    process["scheduler"] = json!({ "policy": "SCHED_OTHER", "nice": 2 });
    process["ioPriority"] = json!({ "class": "IOPRIO_CLASS_IDLE", "priority": 0 });
    assert_eq!(facts(&process), (i64::from(libc::SCHED_OTHER), 2, 3 << 13));
}

#[test]
fn an_executed_process_is_kept_to_its_processors_and_init_is_not() {
    let test = TestRuntime::new();
    let online = allowed(1);
    if !online.contains(['-', ',']) {
        return; // one processor is all there is
    }
    let mut config = shell("sleep 1000");
    config["process"]["execCPUAffinity"] = json!({ "initial": "0", "final": "1" });
    let container = test.run(&config, &quiet()).unwrap();
    let init = allowed(container.init_process().unwrap().pid());
    assert!(init.contains(['-', ',']), "{init}");
    let seen = |process: &Value| {
        let process = container.exec(&parsed(process), &quiet()).unwrap();
        let seen = allowed(process.pid());
        process.signal(libc::SIGKILL).unwrap();
        process.wait(LONG).unwrap();
        seen
    };
    let mut process = shell_process("sleep 1000");
    assert_eq!(seen(&process), "1", "the container's");
    process["execCPUAffinity"] = json!({ "initial": "1", "final": "0" });
    assert_eq!(seen(&process), "0", "its own");
    process["execCPUAffinity"] = json!({ "initial": "", "final": "0-1" });
    assert_eq!(seen(&process), "0-1");
}

#[test]
fn processors_that_are_not_there_are_named() {
    let test = TestRuntime::new();
    let container = test.run(&shell("sleep 1000"), &quiet()).unwrap();
    for place in ["initial", "final"] {
        let mut process = shell_process("true");
        process["execCPUAffinity"] = json!({ place: "8000-8191" });
        let error = container.exec(&parsed(&process), &quiet()).unwrap_err();
        assert_eq!(error.errno, Some(Errno::EINVAL));
        assert!(error.message.starts_with("setting CPU affinity to 8000-8191"), "{error}");
    }
    assert_eq!(container.pids().unwrap().len(), 1);
}

#[test]
fn the_personality_shows_in_uname_and_for_exec_too() {
    let test = TestRuntime::new();
    let mut config = shell("uname -m; sleep 1000");
    for (domain, machine) in [("LINUX32", "i686\n"), ("LINUX", "x86_64\n")] {
        // The specification supports no flags: they are ignored.
        config["linux"]["personality"] = json!({ "domain": domain, "flags": ["ADDR_NO_RANDOMIZE"] });
        let container = test.run(&config, &quiet()).unwrap();
        assert_eq!(exec_shell(&container, "uname -m"), machine, "{domain}");
        container.delete(Force::Kill).unwrap();
        let mut once = config.clone();
        once["process"]["args"] = json!(["uname", "-m"]);
        assert_eq!(test.stdout_of(&once), machine, "{domain}");
    }
}

#[test]
fn the_memory_policy_is_as_configured_and_for_exec_too() {
    let test = TestRuntime::new();
    let policy = "grep -o -m1 'bind[^ ]*\\|prefer[^ ]*\\|interleave[^ ]*\\|local\\|default' /proc/self/numa_maps";
    if !std::path::Path::new("/proc/self/numa_maps").exists() {
        return; // a kernel without NUMA
    }
    for (policy_json, expected) in [
        (json!({ "mode": "MPOL_BIND", "nodes": "0" }), "bind:0\n"),
        (json!({ "mode": "MPOL_BIND", "nodes": "0", "flags": ["MPOL_F_STATIC_NODES"] }), "bind=static:0\n"),
        (
            json!({ "mode": "MPOL_INTERLEAVE", "nodes": "0", "flags": ["MPOL_F_RELATIVE_NODES"] }),
            "interleave=relative:0\n",
        ),
        (json!({ "mode": "MPOL_PREFERRED", "nodes": "0" }), "prefer:0\n"),
        (json!({ "mode": "MPOL_LOCAL" }), "local\n"),
        (json!({ "mode": "MPOL_DEFAULT" }), "default\n"),
    ] {
        let mut config = shell(&format!("{policy}; sleep 1000"));
        config["linux"]["memoryPolicy"] = policy_json.clone();
        let container = test.run(&config, &quiet()).unwrap_or_else(|error| panic!("{policy_json}: {error}"));
        assert_eq!(exec_shell(&container, policy), expected, "{policy_json}");
        container.delete(Force::Kill).unwrap();
        let mut once = config.clone();
        once["process"]["args"] = json!(["sh", "-c", policy]);
        assert_eq!(test.stdout_of(&once), expected, "{policy_json}");
    }
}

#[test]
fn a_memory_node_that_is_not_there_is_named() {
    let test = TestRuntime::new();
    let mut config = shell("true");
    config["linux"]["memoryPolicy"] = json!({ "mode": "MPOL_BIND", "nodes": "1000-1001" });
    let error = test.run(&config, &quiet()).unwrap_err();
    assert_eq!(error.code, Code::System);
    assert!(error.message.starts_with("setting the memory policy MPOL_BIND on nodes 1000-1001"), "{error}");
    assert!(test.runtime.ids().unwrap().is_empty());
}
