//! Process and resource documents that are separate from a configuration.

use super::*;
use crate::spec::parse_process;

#[test]
fn a_process_is_checked_with_paths_of_its_own_document() {
    let good = r#"{"user": {"uid": 1, "gid": 2}, "args": ["true"], "cwd": "/"}"#;
    let process = parse_process(good).unwrap();
    assert_eq!((process.user().uid(), process.user().gid()), (1, 2));
    for user in ["", r#""user": {}, "#] {
        let process = parse_process(&format!(r#"{{{user}"args": ["true"], "cwd": "/"}}"#)).unwrap();
        assert_eq!((process.user().uid(), process.user().gid()), (0, 0), "Go leaves out what is 0");
    }
    let process = parse_process(r#"{"args": ["true"], "cwd": "/", "env": ["A=1", "B=1", "A=2"]}"#).unwrap();
    assert_eq!(process.env().as_deref(), Some(&["B=1".to_owned(), "A=2".to_owned()][..]));

    let cases = [
        ("/args", "[]", Code::ConfigInvalid, "args", "is empty"),
        ("/args", "[\"\"]", Code::ConfigInvalid, "args[0]", "is empty"),
        ("/cwd", "\"x\"", Code::ConfigInvalid, "cwd", "is not absolute"),
        ("/env", "[\"x\"]", Code::ConfigInvalid, "env[0]", "NAME=value"),
        ("/user/uid", "\"1\"", Code::ConfigInvalid, "user.uid", "\"1\" is not valid here"),
        (
            "/rlimits",
            r#"[{"type": "RLIMIT_CPU", "soft": 2, "hard": 1}]"#,
            Code::ConfigInvalid,
            "rlimits[0].soft",
            "2 is above",
        ),
        ("/selinuxLabel", "\"x \"", Code::ConfigInvalid, "selinuxLabel", "leading or trailing blanks"),
    ];
    for (place, value, code, path, words) in cases {
        let mut document: Value = parsed(good);
        change(&mut document, place, value);
        let error = parse_process(&document.to_string()).unwrap_err();
        explains(&error, code, path, words).unwrap();
    }
    assert!(parse_process("{").unwrap_err().message.starts_with("the process is not valid JSON"));
}

fn limited(resources: &str) -> Config {
    Config::from_json(&changed(&[("/linux/resources", resources)]), None).unwrap()
}

#[test]
fn a_change_of_limits_is_checked_with_the_paths_of_the_configuration() {
    let config = limited(r#"{"memory": {"limit": 1000, "swap": 2000}, "cpu": {"quota": 5000}}"#);
    let cases = [
        (r#"{"cpu": {"quota": 1}}"#, "linux.resources.cpu.quota", "1 is not a quota"),
        (r#"{"unified": {"a": "b"}}"#, "linux.resources.unified[\"a\"]", "is not the name of a cgroup file"),
        // The next changes contradict limits of the configuration.
        (
            r#"{"memory": {"limit": 3000}}"#,
            "linux.resources.memory.swap",
            "2000 is memory and swap together, and below",
        ),
        (r#"{"memory": {"swap": 500}}"#, "linux.resources.memory.swap", "below the memory limit 1000"),
        (r#"{"cpu": {"burst": 5001}}"#, "linux.resources.cpu.burst", "5001 is above the quota"),
    ];
    for (change, path, words) in cases {
        let error = config.with_resources(change).unwrap_err();
        explains(&error, Code::ConfigInvalid, path, words).unwrap();
    }
    let error = config.with_resources("[").unwrap_err();
    assert!(error.message.starts_with("the resources is not valid JSON"), "{error}");
}

#[test]
fn a_change_of_limits_replaces_only_the_given_values() {
    let before = r#"{"memory": {"limit": 1000, "swap": 2000, "x": 1}, "pids": {"limit": 5}, "unified": {"memory.high": "1"},
        "devices": [{"allow": true, "access": "r"}]}"#;
    let change = limited(before)
        .with_resources(
            r#"{"memory": {"limit": 1500}, "unified": {"memory.low": "2"}, "devices": [], "cpu": {"shares": 2}}"#,
        )
        .unwrap();
    let saved: Value = parsed(change.config.json());
    let expected = r#"{"memory": {"limit": 1500, "swap": 2000, "x": 1}, "pids": {"limit": 5}, "cpu": {"shares": 2},
        "unified": {"memory.high": "1", "memory.low": "2"}, "devices": []}"#;
    assert_eq!(saved["linux"]["resources"], parsed(expected));
    assert_eq!(saved["process"], parsed(&changed(&[]))["process"]);
    // Memory and swap are written together; other limits that were not given are not written.
    let memory = change.write.memory().unwrap();
    assert_eq!((memory.limit(), memory.swap()), (Some(1500), Some(2000)));
    assert!(change.write.pids().is_none() && change.write.devices().as_deref() == Some(&[]));
    let unlimited = limited(before).with_resources(r#"{"memory": {"limit": -1}}"#).unwrap();
    assert_eq!(unlimited.write.memory().unwrap().swap(), Some(-1));
    // A configuration without limits.
    let config = Config::from_json(&changed(&[("/linux/resources", "")]), None).unwrap();
    assert_eq!(
        config.with_resources(r#"{"pids": {"limit": 7}}"#).unwrap().write.pids().map(|pids| pids.limit()),
        Some(7)
    );
}

#[test]
fn a_limit_of_no_processes_is_one_from_version_1_3_on() {
    let write = |version: &str, limit: &str| {
        let resources = format!(r#"{{"pids": {{"limit": {limit}}}}}"#);
        let config = Config::from_json(&changed(&[("/ociVersion", version), ("/linux/resources", &resources)]), None);
        let config = config.unwrap();
        let created = config.spec().linux().as_ref().and_then(|linux| linux.resources().as_ref());
        let created = created.and_then(|resources| resources.pids().as_ref()).map(|pids| pids.limit());
        let changed = config.with_resources(&resources).unwrap().write.pids().map(|pids| pids.limit());
        assert_eq!(created, changed, "{version} {limit}");
        created
    };
    for version in ["\"1.0.2-dev\"", "\"1.2.99\""] {
        assert_eq!(write(version, "0"), None, "{version}");
        assert_eq!(write(version, "1"), Some(1), "{version}");
    }
    for version in ["\"1.3.0\"", "\"1.10.0\""] {
        assert_eq!(write(version, "0"), Some(0), "{version}");
        assert_eq!(write(version, "-5"), Some(-1), "{version}");
    }
}

#[test]
fn a_change_of_shares_is_one_of_a_container_that_has_them() {
    let none = Config::from_json(&changed(&[]), None).unwrap();
    let error = none.with_resources(r#"{"intelRdt": {"l3CacheSchema": "L3:0=f"}}"#).unwrap_err();
    explains(&error, Code::ConfigInvalid, "linux.intelRdt", "the container was created without it").unwrap();
    let before = r#"{"closID": "x", "l3CacheSchema": "L3:0=ff", "memBwSchema": "MB:0=50"}"#;
    let config = Config::from_json(&changed(&[("/linux/intelRdt", before)]), None).unwrap();
    let change = config.with_resources(r#"{"intelRdt": {"l3CacheSchema": "L3:0=f"}, "pids": {"limit": 7}}"#).unwrap();
    assert_eq!(change.write.pids().map(|pids| pids.limit()), Some(7));
    // Only the given limits are written.
    assert_eq!(change.shares.iter().flat_map(|write| &write.lines).collect::<Vec<_>>(), ["L3:0=f"]);
    let saved = parsed(change.config.json());
    let expected = r#"{"closID": "x", "l3CacheSchema": "L3:0=f", "memBwSchema": "MB:0=50"}"#;
    assert_eq!(saved["linux"]["intelRdt"], parsed(expected));
    assert_eq!(saved["linux"]["resources"].get("intelRdt"), None);
    for (change, path) in [
        (r#"{"intelRdt": {"closID": "y"}}"#, "linux.intelRdt.closID"),
        (r#"{"intelRdt": {"enableCMT": true}}"#, "linux.intelRdt.enableCMT"),
    ] {
        let error = config.with_resources(change).unwrap_err();
        explains(&error, Code::Unsupported, path, "is decided when the container is created").unwrap();
    }
}

#[test]
fn a_quota_is_written_with_its_period() {
    let before = r#"{"cpu": {"quota": 10000, "period": 50000, "shares": 2}}"#;
    for (change, quota, period) in [
        (r#"{"cpu": {"quota": 20000}}"#, Some(20_000), Some(50_000)),
        (r#"{"cpu": {"period": 20000}}"#, Some(10_000), Some(20_000)),
        (r#"{"cpu": {"quota": -1}}"#, Some(-1), Some(50_000)),
        (r#"{"cpu": {"shares": 3}}"#, None, None),
    ] {
        let change = limited(before).with_resources(change).unwrap();
        let cpu = change.write.cpu().as_ref().unwrap();
        assert_eq!((cpu.quota(), cpu.period()), (quota, period));
    }
}

/// Files refine fields, so a file that stays would undo a later change of the field.
#[test]
fn a_changed_field_replaces_the_file_that_was_given_for_it() {
    for (files, change, expected) in [
        (r#"{"memory.max": "9"}"#, r#"{"memory": {"limit": 5}}"#, r#"{"memory": {"limit": 5}, "unified": {}}"#),
        (
            r#"{"cpu.max": "9000 50000"}"#,
            r#"{"cpu": {"quota": 5000}}"#,
            r#"{"cpu": {"quota": 5000, "period": 50000}, "unified": {}}"#,
        ),
        (
            r#"{"cpu.max": "max 50000"}"#,
            r#"{"cpu": {"period": 20000}}"#,
            r#"{"cpu": {"quota": -1, "period": 20000}, "unified": {}}"#,
        ),
        (
            r#"{"cpu.max": "9000"}"#,
            r#"{"cpu": {"shares": 7, "quota": 0}}"#,
            r#"{"cpu": {"shares": 7, "quota": 0}, "unified": {"cpu.max": "9000"}}"#,
        ),
        (r#"{"cpu.weight.nice": "1"}"#, r#"{"unified": {"cpu.weight": "5"}}"#, r#"{"unified": {"cpu.weight": "5"}}"#),
    ] {
        let changed = limited(&format!(r#"{{"unified": {files}}}"#)).with_resources(change).unwrap();
        assert_eq!(parsed(changed.config.json())["linux"]["resources"], parsed(expected), "{files} {change}");
    }
}
