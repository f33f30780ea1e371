use super::*;

const NEW: Host = Host { version: 257, bfq: false };

fn of(text: &str, host: Host) -> Properties {
    of_resources(&serde_json::from_str(text).unwrap(), host)
}

fn get(list: &Properties, name: &str) -> Option<Value> {
    list.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
}

fn one(text: &str, name: &str) -> Option<Value> {
    get(&of(text, NEW), name)
}

#[test]
fn the_version_is_a_number_whatever_a_distribution_adds() {
    for (text, expected) in [
        ("252", Some(252)),
        ("252.39-1~deb12u1", Some(252)),
        ("249.11-0ubuntu3.12", Some(249)),
        ("v245.4-1.fc32", Some(245)),
        ("v251.4-54.fc37", Some(251)),
        ("257~rc1", Some(257)),
        ("256.7-1-arch", Some(256)),
        ("", None),
        ("v", None),
        ("vv1", None),
    ] {
        assert_eq!(version(text), expected, "{text}");
    }
}

#[test]
fn actions_are_not_repeated() {
    let resources = serde_json::from_str(
        r#"{"memory": {"limit": 5, "checkBeforeUpdate": true}, "pids": {"limit": 7},
            "unified": {"cgroup.freeze": "0", "memory.reclaim": "1M", "memory.peak": "0", "memory.swap.peak": "0",
                        "memory.high": "9", "cgroup.max.depth": "3"}}"#,
    );
    let expected = serde_json::from_str(
        r#"{"memory": {"limit": 5}, "pids": {"limit": 7}, "unified": {"memory.high": "9", "cgroup.max.depth": "3"}}"#,
    );
    let expected: LinuxResources = expected.unwrap();
    assert_eq!(lasting(&resources.unwrap()), expected);
}

#[test]
fn typed_fields_become_properties() {
    let list = of(
        r#"{"memory": {"limit": 100, "swap": 150, "reservation": 50}, "pids": {"limit": -1},
            "cpu": {"shares": 1024, "quota": 25000, "period": 100000, "cpus": "0,9", "mems": "0"}}"#,
        NEW,
    );
    let number = |value| Some(Value::U64(value));
    assert_eq!((get(&list, "MemoryMax"), get(&list, "MemorySwapMax")), (number(100), number(50)));
    assert_eq!((get(&list, "MemoryLow"), get(&list, "TasksMax")), (number(50), number(UNLIMITED)));
    assert_eq!((get(&list, "CPUWeight"), get(&list, "CPUQuotaPerSecUSec")), (number(100), number(250_000)));
    assert_eq!(get(&list, "CPUQuotaPeriodUSec"), number(100_000));
    assert_eq!(get(&list, "AllowedCPUs"), Some(Value::Bytes(vec![1, 2])));
    assert_eq!(get(&list, "AllowedMemoryNodes"), Some(Value::Bytes(vec![1])));
    assert_eq!(of(r#"{"pids": {"limit": 0}}"#, NEW), [("TasksMax".to_owned(), Value::U64(1))]);
    assert_eq!(of("{}", NEW), []);
}

/// Also with what the kernel accepts beside plain numbers.
#[test]
fn files_become_properties() {
    for (file, text, property, value) in [
        ("cpu.weight", "7\n", "CPUWeight", Value::U64(7)),
        ("cpu.weight.nice", "0", "CPUWeight", Value::U64(100)),
        ("cpu.weight.nice", "-1", "CPUWeight", Value::U64(125)),
        ("cpu.idle", "1", "CPUWeight", Value::U64(0)),
        ("cpu.idle", "0", "CPUWeight", Value::U64(UNLIMITED)),
        ("cpu.max", "50000", "CPUQuotaPerSecUSec", Value::U64(500_000)),
        ("cpu.max", "max 50000", "CPUQuotaPerSecUSec", Value::U64(UNLIMITED)),
        ("cpu.max", "5000 50000", "CPUQuotaPeriodUSec", Value::U64(50_000)),
        ("cpu.max", "33333 100000", "CPUQuotaPerSecUSec", Value::U64(340_000)),
        ("cpuset.cpus", "0-1", "AllowedCPUs", Value::Bytes(vec![3])),
        ("cpuset.mems", "0", "AllowedMemoryNodes", Value::Bytes(vec![1])),
        ("memory.min", "1M", "MemoryMin", Value::U64(1 << 20)),
        ("memory.low", "max", "MemoryLow", Value::U64(UNLIMITED)),
        ("memory.high", "4096", "MemoryHigh", Value::U64(4096)),
        ("memory.high", "0", "MemoryHigh", Value::U64(1)),
        ("memory.max", "1g", "MemoryMax", Value::U64(1 << 30)),
        ("memory.max", "0", "MemoryMax", Value::U64(1)),
        ("memory.swap.max", "0", "MemorySwapMax", Value::U64(0)),
        ("memory.zswap.max", "0", "MemoryZSwapMax", Value::U64(0)),
        ("memory.zswap.writeback", "0", "MemoryZSwapWriteback", Value::Bool(false)),
        ("pids.max", "max", "TasksMax", Value::U64(UNLIMITED)),
        ("pids.max", "0", "TasksMax", Value::U64(1)),
        ("io.weight", "200", "IOWeight", Value::U64(200)),
        ("io.weight", "default 200", "IOWeight", Value::U64(200)),
        ("io.bfq.weight", "200", "IOWeight", Value::U64(1200)),
        ("io.weight", "8:0 300", "IODeviceWeight", device("8:0", 300)),
        ("io.max", "8:0 rbps=5 wiops=max", "IOReadBandwidthMax", device("8:0", 5)),
        ("io.max", "8:0 rbps=5 wiops=max", "IOWriteIOPSMax", device("8:0", UNLIMITED)),
        ("io.max", "8:0 wbps=5\n8:0 wbps=6", "IOWriteBandwidthMax", device("8:0", 6)),
        ("io.latency", "8:0 target=75", "IODeviceLatencyTargetUSec", device("8:0", 75)),
    ] {
        let text = serde_json::json!({ "unified": { file: text } }).to_string();
        assert_eq!(one(&text, property), Some(value), "{text}");
    }
}

fn device(key: &str, number: u64) -> Value {
    Value::Devices(vec![(format!("/dev/block/{key}"), number)])
}

#[test]
fn what_is_no_value_or_has_no_property_is_left_to_the_kernel() {
    for (file, text) in [
        ("memory.max", "x"),
        ("memory.max", "1X"),
        ("memory.max", "99999999999999999999G"),
        ("cpu.weight", "0"),
        ("cpu.weight", "10001"),
        ("cpu.weight.nice", "20"),
        ("cpu.max", ""),
        ("cpu.max", "1 x"),
        ("io.max", "8:0"),
        ("io.weight", "8:0 x"),
        ("cpuset.cpus", "\n"),
        ("memory.oom.group", "1"),
        ("cpu.max.burst", "1"),
        ("hugetlb.2MB.max", "0"),
    ] {
        let text = serde_json::json!({ "unified": { file: text } }).to_string();
        let list: Vec<_> = of(&text, NEW).into_iter().filter(|(name, _)| name != "CPUQuotaPeriodUSec").collect();
        assert_eq!(list, [], "{text}");
    }
}

#[test]
fn files_refine_fields() {
    let text = r#"{"cpu": {"quota": 10000, "period": 50000, "shares": 512, "idle": 1}, "memory": {"limit": 5},
                   "unified": {"cpu.max": "20000", "cpu.idle": "0", "memory.max": "7"}}"#;
    assert_eq!(one(text, "CPUQuotaPerSecUSec"), Some(Value::U64(400_000)));
    assert_eq!(one(text, "CPUWeight"), Some(Value::U64(59)));
    assert_eq!(one(text, "MemoryMax"), Some(Value::U64(7)));
}

#[test]
fn block_devices_have_weights_and_throttles() {
    let text = r#"{"blockIO": {"weight": 500, "weightDevice": [{"major": 8, "minor": 16, "weight": 10}],
        "throttleReadBpsDevice": [{"major": 8, "minor": 0, "rate": 5}, {"major": 8, "minor": 16, "rate": 6}],
        "throttleWriteIOPSDevice": [{"major": 8, "minor": 0, "rate": 0}]}}"#;
    assert_eq!(one(text, "IOWeight"), Some(Value::U64(4950)));
    let bfq = of(text, Host { bfq: true, ..NEW });
    assert_eq!(get(&bfq, "IOWeight"), Some(Value::U64(4500)));
    assert_eq!(get(&bfq, "IODeviceWeight"), Some(device("8:16", 10)));
    let both = vec![("/dev/block/8:0".to_owned(), 5), ("/dev/block/8:16".to_owned(), 6)];
    assert_eq!(one(text, "IOReadBandwidthMax"), Some(Value::Devices(both)));
    assert_eq!(one(text, "IOWriteIOPSMax"), Some(device("8:0", UNLIMITED)));
}

#[test]
fn an_older_systemd_gets_what_it_knows() {
    let text = r#"{"cpu": {"idle": 1, "cpus": "0", "quota": 5000, "period": 50000},
                   "unified": {"memory.zswap.max": "0", "pids.max": "5"}}"#;
    let old = of(text, Host { version: 239, bfq: false });
    let names: Vec<&str> = old.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["CPUQuotaPerSecUSec", "TasksMax"]);
}

#[test]
fn the_policy_of_oom_kills_is_given_at_the_start() {
    let of = |text: &str, version| {
        let text = serde_json::json!({ "unified": { "memory.oom.group": text } }).to_string();
        let resources = serde_json::from_str(&text).unwrap();
        at_start_only(&resources, Host { version, bfq: false }).map(|(_, value)| value)
    };
    assert_eq!(of("1\n", 257), Some(Value::Text("kill".into())));
    assert_eq!(of("0", 257), Some(Value::Text("continue".into())));
    assert_eq!((of("2", 257), of("1", 252)), (None, None));
}

#[test]
fn a_property_that_is_taken_back_gets_the_value_of_no_limit() {
    let changed = of(
        r#"{"cpu": {"cpus": "0", "quota": 5000, "period": 50000}, "memory": {"reservation": 5},
            "unified": {"io.max": "8:0 rbps=5", "memory.zswap.writeback": "0"}}"#,
        NEW,
    );
    let defaults = defaults(&changed);
    assert_eq!(get(&defaults, "AllowedCPUs"), Some(Value::Bytes(Vec::new())));
    assert_eq!(get(&defaults, "IOReadBandwidthMax"), Some(Value::Devices(Vec::new())));
    assert_eq!(get(&defaults, "CPUQuotaPerSecUSec"), Some(Value::U64(UNLIMITED)));
    assert_eq!(get(&defaults, "CPUQuotaPeriodUSec"), Some(Value::U64(100_000)));
    assert_eq!(get(&defaults, "MemoryLow"), Some(Value::U64(0)));
    assert_eq!(get(&defaults, "MemoryZSwapWriteback"), Some(Value::Bool(true)));
}
