//! Units of the same name, and input that systemd would refuse.

use std::process::{Command, Stdio};

use berth::{Code, Force};
use serde_json::json;

use super::common::{eventually, quiet, shell, unique};
use super::{manager, property, systemctl};

fn named(name: &str) -> serde_json::Value {
    let mut config = shell("sleep 1000");
    config["linux"]["cgroupsPath"] = json!(format!("system.slice:t:{name}"));
    config
}

#[test]
fn a_failed_unit_of_the_same_name_is_forgotten() {
    let Some(test) = manager() else { return };
    let name = unique("failed");
    let unit = format!("t-{name}.scope");
    let mut scope = Command::new("systemd-run");
    let arguments = ["--quiet", "--scope", "--unit", &unit, "--property=RuntimeMaxSec=1", "sleep", "1000"];
    let mut scope = scope.args(arguments).stdin(Stdio::null()).spawn().unwrap();
    eventually("the scope has failed", || property(&unit, "ActiveState") == "failed");
    scope.wait().unwrap();
    let container = test.run(&named(&name), &quiet()).unwrap();
    assert_eq!((property(&unit, "ActiveState"), property(&unit, "Result")), ("active".into(), "success".into()));
    container.delete(Force::Kill).unwrap();
    assert_eq!(property(&unit, "LoadState"), "not-found");
}

#[test]
fn an_active_unit_of_the_same_name_is_left_alone() {
    let Some(test) = manager() else { return };
    let name = unique("foreign");
    let unit = format!("t-{name}.scope");
    let mut scope = Command::new("systemd-run");
    let mut scope = scope.args(["--quiet", "--scope", "--unit", &unit, "sleep", "1000"]).spawn().unwrap();
    eventually("the scope is active", || property(&unit, "ActiveState") == "active");
    let error = test.create(&named(&name), &quiet()).unwrap_err();
    assert!(error.message.contains(&unit), "{error}");
    assert!(test.runtime.ids().unwrap().is_empty());
    assert_eq!(property(&unit, "ActiveState"), "active");
    systemctl(&["stop", &unit]);
    scope.wait().unwrap();
}

#[test]
fn what_systemd_would_refuse_is_one_error_and_no_unit() {
    let Some(test) = manager() else { return };
    let name = unique("bad");
    for (path, annotation, words) in [
        ("system.slice:t:NAME/x", ("", ""), "'/'"),
        ("system.slice:t:NAME+x", ("", ""), "'+'"),
        ("system:t:NAME", ("", ""), "\"system\" is not the name of a slice"),
        ("a--b.slice:t:NAME", ("", ""), "is not the name of a slice"),
        ("/NAME", ("", ""), "slice:prefix:name"),
        ("system.slice:t:NAME", ("TimeoutStopUSec", "true"), "TimeoutStopUSec"),
        ("system.slice:t:NAME", ("TimeoutStopUSec", "nonsense"), "TimeoutStopUSec"),
        ("system.slice:t:NAME", ("NoSuchProperty", "true"), "NoSuchProperty"),
    ] {
        let mut config = shell("true");
        config["linux"]["cgroupsPath"] = json!(path.replace("NAME", &name));
        let (key, value) = annotation;
        if !key.is_empty() {
            config["annotations"] = json!({ format!("org.systemd.property.{key}"): value });
        }
        let error = test.create(&config, &quiet()).unwrap_err();
        assert!(error.message.contains(words), "{path} {annotation:?}: {error}");
        assert_eq!(error.code, if value == "true" { Code::System } else { Code::ConfigInvalid }, "{error}");
        assert!(test.runtime.ids().unwrap().is_empty());
        eventually("there is no unit", || property(&format!("t-{name}.scope"), "LoadState") == "not-found");
    }
}

#[test]
fn a_property_in_seconds_is_set_in_microseconds() {
    let Some(test) = manager() else { return };
    let name = unique("seconds");
    let mut config = named(&name);
    config["annotations"] = json!({ "org.systemd.property.TimeoutStopSec": "uint64 7" });
    let container = test.create(&config, &quiet()).unwrap();
    assert_eq!(property(&format!("t-{name}.scope"), "TimeoutStopUSec"), "7s");
    container.delete(Force::Kill).unwrap();
}
