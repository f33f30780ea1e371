//! Limits from the configuration, the list of pids, and statistics.

mod common;

use std::path::{Path, PathBuf};

use berth::{Container, ExitStatus, Force, ProcessOptions};
use common::*;
use serde_json::{Value, json};

/// Reads a file of the container's cgroup by its v1 or its v2 name. None if this host does not have the controller.
fn read(container: &Container, controller: &str, v1: &str, v2: &str) -> Option<String> {
    let text = |path: PathBuf| std::fs::read_to_string(path).ok().map(|text| text.trim().to_owned());
    match cgroup_of(container, controller) {
        Some(dir) => Some(text(dir.join(v1)).unwrap_or_else(|| panic!("{v1}"))),
        None => text(cgroup_of(container, "")?.join(v2)),
    }
}

/// Returns whether this host has the controller.
fn has(controller: &str) -> bool {
    let v2 = std::fs::read_to_string("/sys/fs/cgroup/cgroup.controllers").unwrap_or_default();
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    let v1 = mounts.lines().any(|line| {
        let options = line.rsplit(' ').next().unwrap();
        line.contains(" - cgroup ") && options.split(',').any(|option| option == controller)
    });
    v1 || v2.split_whitespace().any(|name| name == controller)
}

fn with_resources(config: &mut Value, name: &str, value: Value) {
    config["linux"]["resources"][name] = value;
}

#[test]
fn memory_limits_reach_the_kernel() {
    if !has("memory") {
        return;
    }
    let test = TestRuntime::new();
    let mut config = shell("sleep 1000");
    with_resources(&mut config, "memory", json!({ "limit": 64 << 20, "reservation": 32 << 20 }));
    let container = test.run(&config, &quiet()).unwrap();
    let file = |v1, v2| read(&container, "memory", v1, v2).unwrap();
    assert_eq!(file("memory.limit_in_bytes", "memory.max"), (64 << 20).to_string());
    assert_eq!(file("memory.soft_limit_in_bytes", "memory.low"), (32 << 20).to_string());
    let stats = container.stats().unwrap();
    assert_eq!(stats.memory_limit, Some(64 << 20));
    assert!(stats.memory_usage.unwrap() > 0 && stats.memory_usage.unwrap() < 64 << 20);
}

#[test]
fn a_process_above_the_memory_limit_is_killed() {
    if !has("memory") {
        return;
    }
    let test = TestRuntime::new();
    let mut config = shell("tail -c 100000000 /dev/zero; echo \"tail: $?\"");
    with_resources(&mut config, "memory", json!({ "limit": 16 << 20, "swap": 16 << 20 }));
    let container = test.run(&config, &piped()).unwrap();
    let text = read_all(&container.init_process().unwrap());
    container.wait(LONG).unwrap();
    assert!(!text.contains("tail: 0"), "{text}");
    assert!(container.stats().unwrap().oom_kills.unwrap() >= 1);
    container.delete(Force::No).unwrap();
}

#[test]
fn cpu_limits_reach_the_kernel() {
    if !has("cpu") {
        return;
    }
    let test = TestRuntime::new();
    let mut config = shell("sleep 1000");
    with_resources(&mut config, "cpu", json!({ "shares": 512, "quota": 50_000, "period": 100_000 }));
    let container = test.run(&config, &quiet()).unwrap();
    match cgroup_of(&container, "cpu") {
        Some(_) => {
            let file = |name| read(&container, "cpu", name, "").unwrap();
            assert_eq!(file("cpu.shares"), "512");
            assert_eq!(file("cpu.cfs_quota_us"), "50000");
            assert_eq!(file("cpu.cfs_period_us"), "100000");
        }
        None => {
            let file = |name| read(&container, "cpu", "", name).unwrap();
            assert_eq!(file("cpu.max"), "50000 100000");
            let weight: u32 = file("cpu.weight").parse().unwrap();
            assert!((1..100).contains(&weight), "{weight}");
        }
    }
}

#[test]
fn the_cpuset_reaches_the_kernel() {
    if !has("cpuset") {
        return;
    }
    let test = TestRuntime::new();
    let mut config = shell("grep -E '(Cpus|Mems)_allowed_list' /proc/self/status | cut -f2");
    with_resources(&mut config, "cpu", json!({ "cpus": "0", "mems": "0" }));
    assert_eq!(test.stdout_of(&config), "0\n0\n");
}

#[test]
fn a_cpu_quota_throttles() {
    if !has("cpu") {
        return;
    }
    let test = TestRuntime::new();
    let mut config = shell("while :; do :; done");
    with_resources(&mut config, "cpu", json!({ "quota": 5_000, "period": 50_000 }));
    let container = test.run(&config, &quiet()).unwrap();
    eventually("throttling", || container.stats().unwrap().cpu_throttled_periods.unwrap() > 2);
    let stats = container.stats().unwrap();
    assert!(stats.cpu_periods.unwrap() >= stats.cpu_throttled_periods.unwrap());
    assert!(stats.cpu_throttled_ns.unwrap() > 0);
}

#[test]
fn the_limit_of_pids_takes_effect() {
    if !has("pids") {
        return;
    }
    let test = TestRuntime::new();
    let mut config = shell("for n in 1 2 3 4 5 6 7 8; do sleep 1000 & done; wait");
    with_resources(&mut config, "pids", json!({ "limit": 5 }));
    let container = test.run(&config, &piped()).unwrap();
    assert_eq!(read(&container, "pids", "pids.max", "pids.max").unwrap(), "5");
    let stats = || container.stats().unwrap();
    assert_eq!(stats().pids_limit, Some(5));
    // The shell exits when it cannot fork, and the other processes with it.
    let text = read_all(&container.init_process().unwrap());
    assert!(text.contains("can't fork"), "{text}");
    assert_eq!(container.wait(LONG).unwrap(), ExitStatus::Exited(2));
    container.delete(Force::No).unwrap();
}

/// OCI runtime specification 1.3: 0 is a limit, as in the kernel, and no process besides init can start.
#[test]
fn a_pids_limit_of_zero_is_a_limit() {
    if !has("pids") {
        return;
    }
    let test = TestRuntime::new();
    let mut config = shell("sleep 0 || echo; exit 3");
    config["ociVersion"] = "1.3.0".into();
    with_resources(&mut config, "pids", json!({ "limit": 0 }));
    let container = test.create(&config, &piped()).unwrap();
    assert_eq!(read(&container, "pids", "pids.max", "pids.max").unwrap(), "0");
    container.start().unwrap();
    let text = read_all(&container.init_process().unwrap());
    assert!(text.contains("can't fork"), "{text}");
    container.wait(LONG).unwrap();
    container.delete(Force::No).unwrap();
    // An absent limit is no limit.
    with_resources(&mut config, "pids", json!({}));
    assert_eq!(test.output(&config).1, ExitStatus::Exited(3));
}

/// Before 1.3 those wrote 0 who wanted no limit, for which runc and crun need no controller.
#[test]
fn a_pids_limit_of_zero_was_none_before_1_3() {
    let test = TestRuntime::new();
    let mut config = shell("sleep 0 || echo; exit 3");
    config["ociVersion"] = "1.0.2".into();
    with_resources(&mut config, "pids", json!({ "limit": 0 }));
    let container = test.run(&config, &quiet()).unwrap();
    if has("pids") {
        assert_eq!(read(&container, "pids", "pids.max", "pids.max").unwrap(), "max");
    }
    assert_eq!(container.wait(LONG).unwrap(), ExitStatus::Exited(3));
    container.delete(Force::No).unwrap();
}

#[test]
fn pids_are_listed() {
    let test = TestRuntime::new();
    let container = test.run(&shell("sleep 1000 & sleep 1000 & wait"), &quiet()).unwrap();
    let init = container.init_process().unwrap().pid();
    eventually("three processes", || container.pids().unwrap().len() == 3);
    let pids = container.pids().unwrap();
    assert!(pids.contains(&init) && pids.is_sorted(), "{pids:?}");
    for pid in &pids {
        let namespace = |pid: i32| std::fs::read_link(format!("/proc/{pid}/ns/pid")).unwrap();
        assert_eq!(namespace(*pid), namespace(init), "as the caller numbers them");
    }
    let exec = container.exec(&parsed(&shell_process("exec sleep 1000")), &quiet()).unwrap();
    assert!(container.pids().unwrap().contains(&exec.pid()));
    let created = test.create(&shell("true"), &quiet()).unwrap();
    assert_eq!(created.pids().unwrap(), [created.init_process().unwrap().pid()]);
}

#[test]
fn statistics_are_plausible() {
    let test = TestRuntime::new();
    let script = "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; head -c 3000000 /dev/zero >/dev/shm/x; sleep 1000";
    let container = test.run(&shell(script), &quiet()).unwrap();
    let stats = || container.stats().unwrap();
    if has("cpuacct") || has("cpu") {
        eventually("work", || stats().cpu_usage_ns.unwrap() > 20_000_000);
        let used = stats();
        let parts = used.cpu_user_ns.unwrap() + used.cpu_system_ns.unwrap();
        assert!(parts > 0 && parts <= used.cpu_usage_ns.unwrap() * 2, "{used:?}");
    }
    if has("memory") {
        eventually("memory", || stats().memory_usage.unwrap() > 3_000_000);
        let used = stats();
        assert!(used.memory_usage.unwrap() < 100 << 20 && used.memory_limit.is_none(), "{used:?}");
        assert!(used.memory_peak.is_none_or(|peak| peak >= 3_000_000), "{used:?}");
        assert_eq!(used.oom_kills, Some(0));
    }
    if has("pids") {
        assert!((1..=3).contains(&stats().pids_current.unwrap()), "{:?}", stats());
        assert_eq!(stats().pids_limit, None);
    }
}

#[test]
fn the_cgroup_is_where_the_configuration_says_and_gone_after_delete() {
    let test = TestRuntime::new();
    let name = unique("limits");
    let mut config = shell("sleep 1000");
    config["linux"]["cgroupsPath"] = json!(format!("/{name}/deep/er"));
    let container = test.run(&config, &quiet()).unwrap();
    let state: Value = serde_json::from_str(&container.state_json().unwrap()).unwrap();
    let paths: Vec<PathBuf> =
        state["cgroupPaths"].as_object().unwrap().values().map(|path| path.as_str().unwrap().into()).collect();
    let pid = container.init_process().unwrap().pid().to_string();
    for path in &paths {
        assert!(path.ends_with(Path::new(&name).join("deep/er")), "{}", path.display());
        let members = std::fs::read_to_string(path.join("cgroup.procs")).unwrap();
        assert!(members.lines().any(|line| line == pid), "{}", path.display());
    }
    container.delete(Force::Kill).unwrap();
    for path in &paths {
        assert!(!path.parent().unwrap().parent().unwrap().exists(), "{}", path.display());
    }
}

#[test]
fn a_limit_that_this_host_cannot_keep_is_refused_and_nothing_is_left() {
    if has("memory") {
        return;
    }
    let test = TestRuntime::new();
    let mut config = shell("true");
    with_resources(&mut config, "memory", json!({ "limit": 64 << 20 }));
    let error = test.create(&config, &quiet()).unwrap_err();
    assert!(error.message.contains("memory"), "{error}");
    assert!(test.runtime.ids().unwrap().is_empty());
    assert_eq!(test.output(&shell("exit 2")).1, ExitStatus::Exited(2));
}

#[test]
fn a_memory_limit_below_what_init_needs_is_named() {
    if !has("memory") {
        return;
    }
    let test = TestRuntime::new();
    let mut config = shell("true");
    with_resources(&mut config, "memory", json!({ "limit": 8192, "swap": 8192 }));
    // While this hook runs, init waits in the middle of setup: the limit applies already.
    config["hooks"] = json!({ "createRuntime": [{ "path": "/bin/true" }] });
    let error = test.create(&config, &quiet()).unwrap_err();
    assert!(error.message.contains("linux.resources.memory.limit is 8192 bytes"), "{error}");
    assert_eq!(
        (error.errno, &error.detail["json_path"]),
        (Some(nix::errno::Errno::ENOMEM), &json!("linux.resources.memory.limit"))
    );
    assert!(error.detail["oom_kills"].as_u64() > Some(0), "{:?}", error.detail);
    assert!(test.runtime.ids().unwrap().is_empty());
}

#[test]
fn exec_into_a_cgroup_without_memory_is_an_error_that_says_so() {
    let test = TestRuntime::new();
    let container = test.run(&shell("sleep 1000"), &quiet()).unwrap();
    // Only v1 allows a child cgroup with its own limits below a cgroup with processes.
    let Some(memory) = cgroup_of(&container, "memory") else { return };
    let below = memory.join("below");
    std::fs::create_dir(&below).unwrap();
    std::fs::write(below.join("memory.limit_in_bytes"), "8192").unwrap();
    let options = ProcessOptions { cgroups: vec!["memory:below".into()], ..quiet() };
    let error = container.exec(&parsed(&shell_process("true")), &options).unwrap_err();
    assert!(error.message.contains("OOM killer"), "{error}");
    assert!(error.message.ends_with("the limit of this cgroup, or of one above, is too low"), "{error}");
    // The container itself keeps running.
    assert_eq!(container.status().unwrap(), berth::Status::Running);
    container.delete(Force::Kill).unwrap();
}
