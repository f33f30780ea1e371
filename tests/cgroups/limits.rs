//! Limits are written in a valid order, and take effect.

use berth::Code;

use crate::support::{Group, eventually, json, read};

const MIB: i64 = 1 << 20;

fn memory(limit: i64, swap: i64) -> oci_spec::runtime::LinuxResources {
    json(&format!(r#"{{"memory": {{"limit": {limit}, "swap": {swap}}}}}"#))
}

#[test]
fn memory_and_swap_are_raised_and_lowered() {
    let Some(group) = Group::new() else { return };
    let Some(dir) = group.controller("memory") else { return };
    let v1 = group.is_v1("memory");
    let steps = [(64, 128), (256, 512), (32, 48), (600, 600), (16, 700), (700, 700), (-1, -1), (64, 64)];
    for (limit, swap) in steps.map(|(limit, swap)| (limit * MIB, swap * MIB)) {
        let (limit, swap) = (limit.max(-1), swap.max(-1));
        group.cgroup.apply(&memory(limit, swap)).unwrap();
        let stats = group.cgroup.stats().unwrap();
        assert_eq!(stats.memory_limit, u64::try_from(limit).ok());
        if !v1 || dir.join("memory.memsw.limit_in_bytes").exists() {
            let alone = (limit != -1).then(|| (swap - limit) as u64);
            assert_eq!(stats.memory_swap_limit, alone, "{limit} {swap}");
        }
    }
    let error = group.cgroup.apply(&memory(64 * MIB, 32 * MIB)).unwrap_err();
    assert_eq!(error.code, Code::ConfigInvalid);
}

#[test]
fn memory_is_really_limited() {
    let Some(mut group) = Group::new() else { return };
    if group.controller("memory").is_none() {
        return;
    }
    group.cgroup.apply(&memory(24 * MIB, 24 * MIB)).unwrap();
    let (code, output) = group.output("head -c 100000000 /dev/zero | tail | wc -c; true");
    assert!(code == Some(0) && output.lines().any(|line| line == "0"), "{output}");
    let stats = group.cgroup.stats().unwrap();
    assert!(stats.oom_kills >= Some(1), "{stats:?}");
    assert!(stats.memory_peak.is_none_or(|peak| peak > 20 << 20 && peak <= 24 << 20), "{stats:?}");
}

#[test]
fn a_limit_below_usage_is_refused_if_asked() {
    let Some(mut group) = Group::new() else { return };
    if group.controller("memory").is_none() {
        return;
    }
    group.run("x=$(head -c 3000000 /dev/zero | tr '\\0' x); sleep 100");
    eventually("it uses memory", || group.cgroup.stats().unwrap().memory_usage > Some(2_000_000));
    let error = group.cgroup.apply(&json(r#"{"memory": {"limit": 4096, "checkBeforeUpdate": true}}"#)).unwrap_err();
    assert!(error.message.starts_with("linux.resources.memory.limit: 4096 is less than"), "{error}");
}

#[test]
fn a_refusal_names_file_value_and_reason() {
    let Some(group) = Group::new() else { return };
    let Some(dir) = group.controller("cpuset") else { return };
    let error = group.cgroup.apply(&json(r#"{"cpu": {"cpus": "9999"}}"#)).unwrap_err();
    let file = dir.join("cpuset.cpus");
    let expected = format!("linux.resources.cpu.cpus: setting {} to \"9999\": ", file.display());
    assert!(error.message.starts_with(&expected), "{error}");
    assert_eq!(error.detail["json_path"], "linux.resources.cpu.cpus");
}

#[test]
fn a_limit_without_its_controller_is_refused() {
    let Some(group) = Group::new() else { return };
    for (controller, resources) in [
        ("memory", r#"{"memory": {"limit": 100000000}}"#),
        ("pids", r#"{"pids": {"limit": 10}}"#),
        ("cpu", r#"{"cpu": {"shares": 10}}"#),
    ] {
        if group.controller(controller).is_some() {
            continue;
        }
        let error = group.cgroup.apply(&json(resources)).unwrap_err();
        assert_eq!(error.code, Code::Unsupported, "{error}");
        assert!(error.message.contains(controller), "{error}");
    }
    // Empty limits need no controller.
    group.cgroup.apply(&json(r#"{"memory": {}, "cpu": {}}"#)).unwrap();
}

#[test]
fn the_number_of_tasks_is_really_limited() {
    let Some(mut group) = Group::new() else { return };
    if group.controller("pids").is_none() {
        return;
    }
    group.cgroup.apply(&json(r#"{"pids": {"limit": 5}}"#)).unwrap();
    let (_, output) = group.output("for i in 1 2 3 4 5 6 7 8; do sleep 0.3 & done; echo made");
    assert!(output.to_lowercase().contains("fork"), "{output}");
    let stats = group.cgroup.stats().unwrap();
    assert_eq!(stats.pids_limit, Some(5));
    assert!(stats.pids_current.is_some_and(|tasks| tasks <= 5), "{stats:?}");
    group.cgroup.apply(&json(r#"{"pids": {"limit": -1}}"#)).unwrap();
    assert_eq!(group.cgroup.stats().unwrap().pids_limit, None);
}

#[test]
fn cpu_time_is_limited_in_any_order() {
    let Some(mut group) = Group::new() else { return };
    let Some(dir) = group.controller("cpu") else { return };
    let v1 = group.is_v1("cpu");
    let steps = [(50_000, 100_000), (1_000_000, 1_000_000), (1_000, 10_000), (400_000, 200_000), (-1, 100_000)];
    for (quota, period) in steps {
        let text = format!(r#"{{"cpu": {{"shares": 512, "quota": {quota}, "period": {period}}}}}"#);
        group.cgroup.apply(&json(&text)).unwrap();
        if v1 {
            assert_eq!(read(&dir, "cpu.cfs_quota_us"), quota.to_string());
            assert_eq!(read(&dir, "cpu.cfs_period_us"), period.to_string());
            assert_eq!(read(&dir, "cpu.shares"), "512");
        } else {
            let quota = if quota < 0 { "max".to_owned() } else { quota.to_string() };
            assert_eq!(read(&dir, "cpu.max"), format!("{quota} {period}"));
            assert_eq!(read(&dir, "cpu.weight"), "59");
        }
    }
    // A quota that the test exceeds even on a busy machine.
    group.cgroup.apply(&json(r#"{"cpu": {"quota": 2000, "period": 50000}}"#)).unwrap();
    group.output("i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done");
    let stats = group.cgroup.stats().unwrap();
    assert!(stats.cpu_throttled_periods > Some(0) && stats.cpu_periods >= stats.cpu_throttled_periods, "{stats:?}");
    assert!(stats.cpu_throttled_ns > Some(0) && stats.cpu_usage_ns > Some(5_000_000), "{stats:?}");
}

#[test]
fn burst_and_idle_are_set_and_reset() {
    let Some(group) = Group::new() else { return };
    let Some(dir) = group.controller("cpu") else { return };
    if !dir.join("cpu.idle").exists() {
        eprintln!("SKIPPED: this kernel has no cpu.idle");
        return;
    }
    let burst = if group.is_v1("cpu") { "cpu.cfs_burst_us" } else { "cpu.max.burst" };
    for (quota, size) in [(20_000, 10_000), (80_000, 70_000), (10_000, 5_000)] {
        group.cgroup.apply(&json(&format!(r#"{{"cpu": {{"quota": {quota}, "burst": {size}}}}}"#))).unwrap();
        assert_eq!(read(&dir, burst), size.to_string());
    }
    // A quota may be removed while the burst stays, which then has no effect.
    group.cgroup.apply(&json(r#"{"cpu": {"quota": -1, "burst": 5000}}"#)).unwrap();
    assert_eq!(read(&dir, burst), "5000");
    group.cgroup.apply(&json(r#"{"cpu": {"shares": 100, "idle": 1}}"#)).unwrap();
    assert_eq!(read(&dir, "cpu.idle"), "1");
    group.cgroup.apply(&json(r#"{"cpu": {"shares": 100, "idle": 0}}"#)).unwrap();
    assert_eq!(read(&dir, "cpu.idle"), "0");
}

#[test]
fn cpus_are_inherited_and_limited() {
    let Some(mut group) = Group::new() else { return };
    let Some(dir) = group.controller("cpuset") else { return };
    if group.is_v1("cpuset") {
        assert_eq!(read(&dir, "cpuset.cpus"), read(dir.parent().unwrap(), "cpuset.cpus"));
    }
    group.cgroup.apply(&json(r#"{"cpu": {"cpus": "0", "mems": "0"}}"#)).unwrap();
    let (_, output) = group.output("grep Cpus_allowed_list /proc/self/status");
    assert_eq!(output.split_whitespace().last(), Some("0"));
}

#[test]
fn usage_is_counted() {
    let Some(mut group) = Group::new() else { return };
    group.output("i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done");
    let stats = group.cgroup.stats().unwrap();
    assert!(stats.cpu_usage_ns > Some(1_000_000), "{stats:?}");
    assert!(stats.cpu_user_ns.is_some() && stats.cpu_system_ns.is_some(), "{stats:?}");
}
