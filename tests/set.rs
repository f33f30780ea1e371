//! Changing the limits of a running container.

mod common;

use berth::{Code, Force, Status};
use common::{TestRuntime, quiet, shell};
use serde_json::{Value, json};

/// Reads pids.max, the limit with the same format in v1 and v2; None without a pids controller.
fn tasks(state: &str) -> Option<String> {
    let state: Value = serde_json::from_str(state).unwrap();
    let dir = state["cgroupPaths"].get("pids").or(state["cgroupPaths"].get("")).and_then(Value::as_str).unwrap();
    std::fs::read_to_string(format!("{dir}/pids.max")).ok().map(|text| text.trim().to_owned())
}

fn resources(config: &str) -> Value {
    serde_json::from_str::<Value>(config).unwrap()["linux"]["resources"].take()
}

#[test]
fn limits_are_changed_saved_and_the_base_of_the_next_change() {
    let test = TestRuntime::new();
    let container = test.create(&shell("sleep 1000"), &quiet()).unwrap();
    let devices = resources(&container.config_json().unwrap())["devices"].clone();
    if tasks(&container.state_json().unwrap()).is_none() {
        let error = container.set(r#"{"pids": {"limit": 50}}"#).unwrap_err();
        assert_eq!(error.code, Code::Unsupported, "{error}");
        assert_eq!(resources(&container.config_json().unwrap())["pids"], Value::Null);
        return;
    }
    let check = |expected: &str| assert_eq!(tasks(&container.state_json().unwrap()).as_deref(), Some(expected));
    container.set(r#"{"pids": {"limit": 50}}"#).unwrap();
    check("50");
    container.start().unwrap();
    container.set(r#"{"pids": {"limit": 60}, "memory": {}}"#).unwrap();
    check("60");
    container.pause().unwrap();
    container.set(r#"{"pids": {"limit": 70}}"#).unwrap();
    assert_eq!(container.status().unwrap(), Status::Paused);
    check("70");
    container.resume().unwrap();
    // A second handle, as another process would load it.
    let other = test.runtime.load(container.id()).unwrap();
    let saved = resources(&other.config_json().unwrap());
    assert_eq!(saved, json!({ "devices": devices, "pids": { "limit": 70 }, "memory": {} }));
    other.set(r#"{"pids": {"limit": -1}}"#).unwrap();
    check("max");
    container.delete(Force::Kill).unwrap();
    assert_eq!(container.set("{}").unwrap_err().code, Code::NotFound);
}

#[test]
fn a_stopped_container_cannot_be_changed() {
    let test = TestRuntime::new();
    let container = test.run(&shell("exit 0"), &quiet()).unwrap();
    container.wait(common::LONG).unwrap();
    assert_eq!(container.set("{}").unwrap_err().code, Code::NotRunning);
}

#[test]
fn a_change_that_cannot_be_saved_is_undone() {
    let test = TestRuntime::new();
    let container = test.run(&shell("sleep 1000"), &quiet()).unwrap();
    let Some(before) = tasks(&container.state_json().unwrap()) else { return };
    let config = container.config_json().unwrap();
    let obstacle = test.runtime.root().join(container.id()).join("config.json.new");
    std::fs::create_dir(&obstacle).unwrap();
    let error = container.set(r#"{"pids": {"limit": 50}}"#).unwrap_err();
    assert!(error.message.contains("config.json.new"), "{error}");
    assert_eq!(error.detail["restored"], true);
    assert_eq!(tasks(&container.state_json().unwrap()), Some(before));
    assert_eq!(container.config_json().unwrap(), config);
    std::fs::remove_dir(&obstacle).unwrap();
    container.set(r#"{"pids": {"limit": 50}}"#).unwrap();
}

#[test]
fn invalid_limits_are_refused_before_anything_is_changed() {
    let test = TestRuntime::new();
    let container = test.run(&shell("sleep 1000"), &quiet()).unwrap();
    let before = tasks(&container.state_json().unwrap());
    let cases = [
        (r#"{"pids": {"limit": 50}, "memory": {"limit": -7}}"#, "linux.resources.memory.limit"),
        (r#"{"pids": {"limit": 50}, "memory": {"swap": 1048576}}"#, "linux.resources.memory.swap"),
        (r#"{"pids": {"limit": 50}, "unified": {"../pids.max": "1"}}"#, "linux.resources.unified[\"../pids.max\"]"),
    ];
    for (change, path) in cases {
        let error = container.set(change).unwrap_err();
        assert_eq!(error.code, Code::ConfigInvalid, "{error}");
        assert_eq!(error.detail["json_path"], path);
        assert_eq!(tasks(&container.state_json().unwrap()), before);
    }
}

#[test]
fn a_refusal_of_the_kernel_names_the_field_as_the_documents_check_does() {
    let test = TestRuntime::new();
    let container = test.run(&shell("sleep 1000"), &quiet()).unwrap();
    let path = |change: &str, field: &str| {
        let error = container.set(change).unwrap_err();
        assert!(error.message.contains(field), "{error}");
        assert_eq!(error.detail["json_path"], field);
        error.code
    };
    assert_eq!(path(r#"{"memory": {"limit": -2}}"#, "linux.resources.memory.limit"), Code::ConfigInvalid);
    let refused = path(r#"{"pids": {"limit": 9223372036854775807}}"#, "linux.resources.pids.limit");
    assert!(matches!(refused, Code::System | Code::Unsupported), "{refused:?}");
}

#[test]
fn device_rules_change_only_when_they_are_given() {
    let test = TestRuntime::new();
    let mut config = shell("sleep 1000");
    // Reading the kernel's log also needs a capability.
    common::set_capabilities(&mut config, &["CAP_SYSLOG"]);
    config["linux"]["devices"] = json!([{ "path": "/dev/kmsg0", "type": "c", "major": 1, "minor": 11 }]);
    let rule = json!({ "allow": true, "type": "c", "major": 1, "minor": 11, "access": "r" });
    config["linux"]["resources"] = json!({ "devices": [{ "allow": false, "access": "rwm" }, rule] });
    let container = test.run(&config, &quiet()).unwrap();
    let opens = || {
        let script = "if (: < /dev/kmsg0) 2>/dev/null; then echo yes; else echo no; fi";
        common::exec_shell(&container, script).trim().to_owned()
    };
    assert_eq!(opens(), "yes");
    container.set("{}").unwrap();
    assert_eq!(opens(), "yes");
    container.set(r#"{"devices": []}"#).unwrap();
    assert_eq!(opens(), "no");
    // A change that fails later restores the rules.
    let obstacle = test.runtime.root().join(container.id()).join("config.json.new");
    std::fs::create_dir(&obstacle).unwrap();
    container.set(&json!({ "devices": [rule] }).to_string()).unwrap_err();
    assert_eq!(opens(), "no");
    std::fs::remove_dir(&obstacle).unwrap();
    container.set(&json!({ "devices": [rule] }).to_string()).unwrap();
    assert_eq!(opens(), "yes");
}
