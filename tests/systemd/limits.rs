//! Limits stay as the container's record has them, in the scope and in systemd, whatever systemd does meanwhile.

use std::path::Path;

use berth::{Container, Force};
use serde_json::json;

use super::common::{quiet, shell};
use super::{manager, read, show, start_neighbour, systemctl, unit};

/// A file of the scope and its value, the property of the unit and its value.
type Limit<'a> = (&'a str, &'a str, &'a str, &'a str);

#[track_caller]
fn check(container: &Container, moment: &str, limits: &[Limit]) {
    let shown = show(&unit(container));
    for (file, value, name, text) in limits.iter().copied() {
        assert_eq!(read(container, file), value, "{file}, {moment}");
        if !name.is_empty() {
            let property = shown.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
            assert_eq!(property, Some(text), "{name}, {moment}");
        }
    }
}

/// Makes systemd write all scopes anew.
fn rewrite(verb: &str) {
    systemctl(&[verb]);
    start_neighbour();
}

/// Returns the numbers of the disk that the machine has.
fn disk() -> String {
    std::fs::read_to_string("/sys/block/vda/dev").unwrap().trim().to_owned()
}

#[test]
fn fields_and_files_outlive_a_reload_and_a_neighbour() {
    let Some(test) = manager() else { return };
    let disk = disk();
    let (major, minor) = disk.split_once(':').unwrap();
    let number = |text: &str| text.parse::<i64>().unwrap();
    let throttle = json!([{ "major": number(major), "minor": number(minor), "rate": 1 << 20 }]);

    let mut config = shell("sleep 1000");
    let resources = &mut config["linux"]["resources"];
    resources["cpu"] =
        json!({ "shares": 512, "quota": 25_000, "period": 50_000, "burst": 1000, "cpus": "0", "mems": "0" });
    resources["memory"] = json!({ "limit": 64 << 20, "swap": 96 << 20, "reservation": 16 << 20 });
    resources["pids"] = json!({ "limit": 50 });
    resources["blockIO"] = json!({ "throttleReadBpsDevice": throttle });
    let fields = test.run(&config, &quiet()).unwrap();
    let read_throttle = format!("{disk} rbps=1048576 wbps=max riops=max wiops=max");
    let read_property = format!("/dev/block/{disk} 1048576");
    let of_fields: [Limit; 10] = [
        ("cpu.weight", "59", "CPUWeight", "59"),
        ("cpu.max", "25000 50000", "CPUQuotaPerSecUSec", "500ms"),
        ("cpu.max.burst", "1000", "CPUQuotaPeriodUSec", "50ms"),
        ("cpuset.cpus", "0", "AllowedCPUs", "0"),
        ("cpuset.mems", "0", "AllowedMemoryNodes", "0"),
        ("memory.max", "67108864", "MemoryMax", "67108864"),
        ("memory.swap.max", "33554432", "MemorySwapMax", "33554432"),
        ("memory.low", "16777216", "MemoryLow", "16777216"),
        ("pids.max", "50", "TasksMax", "50"),
        ("io.max", &read_throttle, "IOReadBandwidthMax", &read_property),
    ];

    let mut config = shell("sleep 1000");
    config["linux"]["resources"]["unified"] = json!({
        "cpu.max": "50000 200000",
        "cpu.idle": "1",
        "cpuset.cpus": "0",
        "io.max": format!("{disk} wiops=100"),
        "memory.min": "1M",
        "memory.low": "2M",
        "memory.high": "48M",
        "memory.max": "64M",
        "memory.swap.max": "0",
        "memory.oom.group": "1",
        "pids.max": "60",
    });
    let files = test.run(&config, &quiet()).unwrap();
    let write_throttle = format!("{disk} rbps=max wbps=max riops=max wiops=100");
    let write_property = format!("/dev/block/{disk} 100");
    let of_files: [Limit; 11] = [
        ("cpu.max", "50000 200000", "CPUQuotaPerSecUSec", "250ms"),
        ("cpu.idle", "1", "CPUWeight", "idle"),
        ("cpuset.cpus", "0", "AllowedCPUs", "0"),
        ("io.max", &write_throttle, "IOWriteIOPSMax", &write_property),
        ("memory.min", "1048576", "MemoryMin", "1048576"),
        ("memory.low", "2097152", "MemoryLow", "2097152"),
        ("memory.high", "50331648", "MemoryHigh", "50331648"),
        ("memory.max", "67108864", "MemoryMax", "67108864"),
        ("memory.swap.max", "0", "MemorySwapMax", "0"),
        ("memory.oom.group", "1", "OOMPolicy", "kill"),
        ("pids.max", "60", "TasksMax", "60"),
    ];

    check(&fields, "created", &of_fields);
    check(&files, "created", &of_files);
    for verb in ["daemon-reload", "daemon-reexec"] {
        rewrite(verb);
        check(&fields, verb, &of_fields);
        check(&files, verb, &of_files);
    }
    for container in [fields, files] {
        container.delete(Force::Kill).unwrap();
    }
}

#[test]
fn an_update_keeps_what_it_does_not_mention() {
    let Some(test) = manager() else { return };
    let mut config = shell("sleep 1000");
    let resources = &mut config["linux"]["resources"];
    resources["cpu"] = json!({ "shares": 512, "quota": 25_000, "period": 50_000 });
    // A quota that systemd rounds, and a file that it does not know.
    resources["unified"] = json!({ "memory.high": "48M", "memory.oom.group": "0" });
    let container = test.run(&config, &quiet()).unwrap();
    let kept: [Limit; 3] = [
        ("cpu.weight", "59", "CPUWeight", "59"),
        ("memory.high", "50331648", "MemoryHigh", "50331648"),
        ("memory.oom.group", "0", "", ""),
    ];
    let bandwidth = |moment: &str, max: &str, quota: &str, period: &str| {
        let bandwidth: [Limit; 2] =
            [("cpu.max", max, "CPUQuotaPerSecUSec", quota), ("cpu.max", max, "CPUQuotaPeriodUSec", period)];
        check(&container, moment, &[&kept[..], &bandwidth].concat());
    };
    container.set(r#"{"pids": {"limit": 60}}"#).unwrap();
    bandwidth("another limit", "25000 50000", "500ms", "50ms");
    container.set(r#"{"cpu": {"quota": 10000}}"#).unwrap();
    bandwidth("a quota alone", "10000 50000", "200ms", "50ms");
    container.set(r#"{"cpu": {"period": 20000}}"#).unwrap();
    bandwidth("a period alone", "10000 20000", "500ms", "20ms");
    container.set(r#"{"unified": {"cpu.max": "33333 100000"}}"#).unwrap();
    bandwidth("a file", "33333 100000", "340ms", "100ms");
    container.set(r#"{"cpu": {"period": 50000}}"#).unwrap();
    bandwidth("the half of a file", "33333 50000", "670ms", "50ms");
    container.set(r#"{"unified": {"memory.oom.group": "1"}}"#).unwrap();
    container.set(r#"{"memory": {"limit": 67108864}}"#).unwrap();
    assert_eq!(read(&container, "memory.oom.group"), "1");
    rewrite("daemon-reload");
    let changed: [Limit; 3] = [
        // systemd keeps whole percents.
        ("cpu.max", "33500 50000", "CPUQuotaPerSecUSec", "670ms"),
        ("memory.max", "67108864", "MemoryMax", "67108864"),
        ("pids.max", "60", "TasksMax", "60"),
    ];
    check(&container, "reloaded", &[&kept[..2], &changed].concat());
    container.delete(Force::Kill).unwrap();
}

#[test]
fn an_idle_container_can_be_changed() {
    let Some(test) = manager() else { return };
    let mut config = shell("sleep 1000");
    config["linux"]["resources"]["cpu"] = json!({ "shares": 512, "idle": 1 });
    let container = test.run(&config, &quiet()).unwrap();
    check(&container, "created", &[("cpu.idle", "1", "CPUWeight", "idle")]);
    container.set(r#"{"pids": {"limit": 60}}"#).unwrap();
    check(&container, "another limit", &[("cpu.idle", "1", "CPUWeight", "idle"), ("pids.max", "60", "TasksMax", "60")]);
    container.set(r#"{"cpu": {"idle": 0}}"#).unwrap();
    check(&container, "no longer idle", &[("cpu.idle", "0", "CPUWeight", "59"), ("cpu.weight", "59", "", "")]);
    container.delete(Force::Kill).unwrap();
}

/// A weight of blockIO is kept in the file that the kernel has, with or without BFQ.
#[test]
fn block_weights_outlive_a_reload() {
    let Some(test) = manager() else { return };
    let mut config = shell("sleep 1000");
    config["linux"]["resources"]["blockIO"] = json!({ "weight": 500 });
    let has = |file: &str| Path::new("/sys/fs/cgroup/system.slice").join(file).exists();
    let limit = match (has("io.bfq.weight"), has("io.weight")) {
        (true, _) => ("io.bfq.weight", "default 500", "IOWeight", "4500"),
        (false, true) => ("io.weight", "default 4950", "IOWeight", "4950"),
        (false, false) => return eprintln!("SKIPPED: this kernel has no weights of block devices"),
    };
    let container = test.run(&config, &quiet()).unwrap();
    check(&container, "created", &[limit]);
    rewrite("daemon-reload");
    check(&container, "reloaded", &[limit]);
    container.delete(Force::Kill).unwrap();
}
