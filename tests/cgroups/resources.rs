//! Less common resources: which files are written, and the errors where the kernel does not support them.

use berth::Code;

use crate::support::{Group, json, read};

/// Returns a block device that the kernel can throttle: a whole disk of /proc/partitions.
fn disk() -> Option<String> {
    let disks = std::fs::read_dir("/sys/block").ok()?.flatten();
    let mut disks: Vec<_> = disks.filter(|disk| disk.path().join("device").exists()).collect();
    disks.sort_by_key(|disk| disk.file_name());
    let number = std::fs::read_to_string(disks.first()?.path().join("dev")).ok()?;
    Some(number.trim().to_owned())
}

/// Returns the directory of a v1 controller, or the v2 directory if the resource can be tested there without changing
/// the host.
fn place(group: &Group, v1: &str, v2: &str) -> Option<(std::path::PathBuf, bool)> {
    if let Some(dir) = group.layout.paths.get(v1) {
        return Some((dir.clone(), true));
    }
    let tree = group.layout.paths.get("").filter(|tree| tree.join(v2).exists());
    if tree.is_none() {
        eprintln!("SKIPPED: the host has neither {v1} nor {v2}");
    }
    tree.map(|tree| (tree.clone(), false))
}

#[test]
fn disks_are_throttled_and_released() {
    let Some(group) = Group::new() else { return };
    let Some((dir, v1)) = place(&group, "blkio", "io.max") else { return };
    let Some(disk) = disk() else { return eprintln!("SKIPPED: there is no disk") };
    let (major, minor) = disk.split_once(':').unwrap();
    let throttle = |rate: u64| {
        let device = format!(r#"[{{"major": {major}, "minor": {minor}, "rate": {rate}}}]"#);
        let text =
            format!(r#"{{"blockIO": {{"throttleReadBpsDevice": {device}, "throttleWriteIOPSDevice": {device}}}}}"#);
        group.cgroup.apply(&json(&text)).unwrap();
    };
    throttle(5_000_000);
    if v1 {
        assert_eq!(read(&dir, "blkio.throttle.read_bps_device"), format!("{disk} 5000000"));
        assert_eq!(read(&dir, "blkio.throttle.write_iops_device"), format!("{disk} 5000000"));
    } else {
        assert_eq!(read(&dir, "io.max"), format!("{disk} rbps=5000000 wbps=max riops=max wiops=5000000"))
    }
    throttle(0);
    assert_eq!(read(&dir, if v1 { "blkio.throttle.read_bps_device" } else { "io.max" }), "");
}

#[test]
fn a_block_io_weight_is_set_or_reported_as_missing() {
    let Some(group) = Group::new() else { return };
    let Some((dir, v1)) = place(&group, "blkio", "io.stat") else { return };
    let result = group.cgroup.apply(&json(r#"{"blockIO": {"weight": 500}}"#));
    let files = if v1 {
        [("blkio.bfq.weight", "500"), ("blkio.weight", "500")]
    } else {
        [("io.bfq.weight", "default 500"), ("io.weight", "default 4950")]
    };
    match files.iter().find(|(file, _)| dir.join(file).exists()) {
        Some((file, expected)) => {
            result.unwrap();
            assert_eq!(read(&dir, file).lines().next(), Some(*expected));
        }
        None => assert!(result.unwrap_err().message.starts_with("linux.resources.blockIO.weight: ")),
    }
    // Current kernels have no leaf weights.
    if !dir.join("blkio.leaf_weight").exists() {
        let error = group.cgroup.apply(&json(r#"{"blockIO": {"leafWeight": 500}}"#)).unwrap_err();
        assert_eq!(error.code, Code::Unsupported, "{error}");
        assert_eq!(error.detail["json_path"], "linux.resources.blockIO.leafWeight");
    }
}

#[test]
fn swappiness_and_the_oom_killer_are_set_on_v1_and_refused_on_v2() {
    let Some(group) = Group::new() else { return };
    let Some(dir) = group.controller("memory") else { return };
    for (resources, field, file, expected) in [
        (r#"{"memory": {"swappiness": 7}}"#, "swappiness", "memory.swappiness", "7"),
        (r#"{"memory": {"disableOOMKiller": true}}"#, "disableOOMKiller", "memory.oom_control", "oom_kill_disable 1"),
        (r#"{"memory": {"kernelTCP": 1048576}}"#, "kernelTCP", "memory.kmem.tcp.limit_in_bytes", "1048576"),
    ] {
        let result = group.cgroup.apply(&json(resources));
        if group.is_v1("memory") {
            // Kernels without separate accounting of TCP buffers do not have this file.
            if dir.join(file).exists() {
                result.unwrap();
                assert_eq!(read(&dir, file).lines().next(), Some(expected));
            }
        } else {
            let error = result.unwrap_err();
            assert_eq!(error.code, Code::Unsupported, "{error}");
            assert_eq!(error.detail["json_path"], format!("linux.resources.memory.{field}"));
        }
    }
    group.cgroup.apply(&json(r#"{"memory": {"useHierarchy": true, "disableOOMKiller": false}}"#)).unwrap();
    // Current kernels always use the hierarchy; v1 of an old kernel may allow false.
    match group.cgroup.apply(&json(r#"{"memory": {"useHierarchy": false}}"#)) {
        Ok(()) => assert_eq!(read(&dir, "memory.use_hierarchy"), "0"),
        Err(error) => assert_eq!(error.detail["json_path"], "linux.resources.memory.useHierarchy", "{error}"),
    }
}

#[test]
fn realtime_is_set_or_reported_as_missing() {
    let Some(group) = Group::new() else { return };
    let Some(dir) = group.controller("cpu") else { return };
    let result = group.cgroup.apply(&json(r#"{"cpu": {"realtimePeriod": 500000, "realtimeRuntime": 1}}"#));
    match result {
        Ok(()) => assert_eq!(read(&dir, "cpu.rt_period_us"), "500000"),
        Err(error) if group.is_v1("cpu") => {
            assert!(error.message.starts_with("linux.resources.cpu.realtime"), "{error}");
            // A cgroup gets no realtime budget if its parent has none.
            assert!(error.code == Code::Unsupported || error.errno == Some(nix::errno::Errno::EINVAL), "{error}");
        }
        Err(error) => assert_eq!(error.code, Code::Unsupported, "{error}"),
    }
}

#[test]
fn huge_pages_are_limited() {
    let Some(group) = Group::new() else { return };
    let v2_has = std::fs::read_to_string("/sys/fs/cgroup/cgroup.subtree_control").unwrap_or_default();
    if !group.is_v1("hugetlb") && !v2_has.contains("hugetlb") && std::env::var_os("BERTH_VM").is_none() {
        return eprintln!("SKIPPED: this machine does not hand hugetlb down, and the test does not change that");
    }
    let sizes = r#"[{"pageSize": "2MB", "limit": 4194304}]"#;
    group.cgroup.apply(&json(&format!(r#"{{"hugepageLimits": {sizes}}}"#))).unwrap();
    let (dir, file) = match group.layout.paths.get("hugetlb") {
        Some(dir) => (dir, "hugetlb.2MB.limit_in_bytes"),
        None => (&group.layout.paths[""], "hugetlb.2MB.max"),
    };
    assert_eq!(read(dir, file), "4194304");
    let error = group.cgroup.apply(&json(r#"{"hugepageLimits": [{"pageSize": "3MB", "limit": 1}]}"#)).unwrap_err();
    assert_eq!(error.code, Code::Unsupported, "{error}");
    assert!(error.message.contains("hugetlb.3MB."), "{error}");
}

#[test]
fn packets_get_class_and_priority_or_the_fields_are_unsupported() {
    let Some(group) = Group::new() else { return };
    let class = group.cgroup.apply(&json(r#"{"network": {"classID": 1048577}}"#));
    match group.layout.paths.get("net_cls") {
        Some(dir) => assert_eq!((class.is_ok(), read(dir, "net_cls.classid")), (true, "1048577".into())),
        None => assert_eq!(class.unwrap_err().detail["json_path"], "linux.resources.network.classID"),
    }
    let priority = group.cgroup.apply(&json(r#"{"network": {"priorities": [{"name": "lo", "priority": 3}]}}"#));
    match group.layout.paths.get("net_prio") {
        Some(dir) => {
            priority.unwrap();
            assert!(read(dir, "net_prio.ifpriomap").lines().any(|line| line == "lo 3"));
        }
        None => assert_eq!(priority.unwrap_err().detail["json_path"], "linux.resources.network.priorities"),
    }
}

#[test]
fn unified_is_written_verbatim() {
    let Some(group) = Group::new() else { return };
    let apply = |text: &str| group.cgroup.apply(&json(&format!(r#"{{"unified": {text}}}"#)));
    let Some(tree) = group.layout.paths.get("") else {
        let error = apply(r#"{"cgroup.max.depth": "3"}"#).unwrap_err();
        return assert!(error.message.starts_with("linux.resources.unified: the host mounts no cgroup v2"), "{error}");
    };
    apply(r#"{"cgroup.max.depth": "3", "cgroup.max.descendants": "17"}"#).unwrap();
    assert_eq!((read(tree, "cgroup.max.depth"), read(tree, "cgroup.max.descendants")), ("3".into(), "17".into()));
    if tree.join("memory.high").exists() {
        apply(r#"{"memory.high": "41943040", "memory.low": "max"}"#).unwrap();
        assert_eq!((read(tree, "memory.high"), read(tree, "memory.low")), ("41943040".into(), "max".into()));
    }
    let error = apply(r#"{"cgroup.max.depth": "many"}"#).unwrap_err();
    let expected = format!(
        "linux.resources.unified[\"cgroup.max.depth\"]: setting {}/cgroup.max.depth to \"many\": ",
        tree.display()
    );
    assert!(error.message.starts_with(&expected), "{error}");
    let error = apply(r#"{"misc.nothing": "1"}"#).unwrap_err();
    assert_eq!(error.code, Code::Unsupported, "{error}");
    for escape in ["../cgroup.max.depth", "cgroup.procs", "cgroup.kill", "below/memory.high"] {
        assert_eq!(apply(&format!(r#"{{"{escape}": "1"}}"#)).unwrap_err().code, Code::ConfigInvalid, "{escape}");
    }
}

#[test]
fn limits_written_before_a_refusal_are_restored() {
    let Some(group) = Group::new() else { return };
    let (Some(memory), Some(cpu)) = (group.controller("memory"), group.controller("cpu")) else { return };
    let files: &[&str] = if group.is_v1("memory") {
        &["memory.limit_in_bytes", "memory.memsw.limit_in_bytes", "memory.swappiness", "memory.oom_control"]
    } else {
        &["memory.max", "memory.swap.max", "memory.low"]
    };
    let cpu_files: &[&str] = if group.is_v1("cpu") {
        &["cpu.shares", "cpu.cfs_quota_us", "cpu.cfs_period_us", "cpu.idle"]
    } else {
        &["cpu.weight", "cpu.max", "cpu.idle"]
    };
    let all = || {
        let list = files.iter().map(|file| (&memory, file)).chain(cpu_files.iter().map(|file| (&cpu, file)));
        list.filter(|(dir, file)| dir.join(file).exists()).map(|(dir, file)| read(dir, file)).collect::<Vec<_>>()
    };
    let v1_only = if group.is_v1("memory") { r#""swappiness": 5, "disableOOMKiller": true,"# } else { "" };
    for (limit, swap, quota) in [(64, 128, 20_000), (16, 20, 5_000), (256, 900, 90_000)] {
        let (limit, swap) = (limit << 20, swap << 20);
        let before = all();
        let text = |tail: &str| {
            format!(
                r#"{{"memory": {{{v1_only} "limit": {limit}, "swap": {swap}, "reservation": 8388608}},
                "cpu": {{"shares": 77, "quota": {quota}, "period": 50000, "idle": 1}}{tail}}}"#
            )
        };
        let error = group.cgroup.apply(&json(&text(r#", "blockIO": {"leafWeight": 10}"#))).unwrap_err();
        assert_eq!(error.detail["restored"], true, "{error}");
        assert_eq!(all(), before, "{limit}");
        group.cgroup.apply(&json(&text("").replace("\"idle\": 1", "\"idle\": 0"))).unwrap();
        assert_ne!(all(), before);
    }
}
