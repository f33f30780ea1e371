//! JSON documents that the library prints match the published JSON schemas of the OCI runtime specification
//! (tests/oci-schema).

mod common;

#[path = "common/oci_schema.rs"]
mod oci_schema;

use berth::{Force, Recipients};
use common::*;
use oci_schema::Schemas;
use serde_json::{Value, json};

fn assert_fits(document: &str, schema: &str) -> Value {
    let value: Value = serde_json::from_str(document).unwrap();
    assert_eq!(Schemas::published().file(schema).problems(&value), [""; 0], "{document}");
    value
}

#[test]
fn the_features_document() {
    assert_fits(&berth::features_json(), "features-schema.json");
}

#[test]
fn default_configurations() {
    assert_fits(&berth::spec::Config::default_json(), "config-schema.json");
    assert_fits(&berth::spec::Config::default_rootless_json(1000, 1000).unwrap(), "config-schema.json");
}

#[test]
fn the_state_from_create_to_delete() {
    let test = TestRuntime::new();
    let mut config = shell("sleep 1000");
    config["annotations"] = json!({ "com.example.key": "value" });
    let log = test.dir.path().join("state-of-hook");
    let program = format!("cat >{}", log.display());
    config["hooks"]["createRuntime"] = json!([{ "path": "/bin/sh", "args": ["sh", "-c", program] }]);

    let container = test.create(&config, &quiet()).unwrap();
    let status = |document: &str| assert_fits(document, "state-schema.json")["status"].clone();
    assert_eq!(status(&std::fs::read_to_string(log).unwrap()), "created");
    assert_eq!(status(&container.state_json().unwrap()), "created");
    container.start().unwrap();
    assert_eq!(status(&container.state_json().unwrap()), "running");
    container.signal(libc::SIGKILL, Recipients::Init).unwrap();
    container.wait(LONG).unwrap();
    assert_eq!(status(&container.state_json().unwrap()), "stopped");
    container.delete(Force::No).unwrap();
}

#[test]
fn the_state_of_a_paused_container_is_a_status_more() {
    let test = TestRuntime::new();
    let container = test.run(&shell("sleep 1000"), &quiet()).unwrap();
    container.pause().unwrap();
    let state: Value = serde_json::from_str(&container.state_json().unwrap()).unwrap();
    // runtime.md allows a runtime to define additional statuses, but the schema does not.
    let problems = Schemas::published().file("state-schema.json").problems(&state);
    assert_eq!(problems, [r#"(document).status: "paused" is none of the values"#]);
}

#[test]
fn violations_of_a_schema_are_found() {
    let schemas = Schemas::published();
    let bad = json!({ "ociVersion": 1, "id": "a", "status": "gone", "pid": -1, "annotations": { "a": true } });
    let problems = schemas.file("state-schema.json").problems(&bad);
    let expected = [
        "(document): lacks bundle",
        "(document).ociVersion: 1 is not of the type string",
        r#"(document).status: "gone" is none of the values"#,
        "(document).pid: -1 is too small",
        "(document).annotations.a: true is not of the type string",
    ];
    assert_eq!(problems, expected);
    let bad = json!({ "ociVersionMin": "1.0.0", "ociVersionMax": "1.3.0", "linux": { "capabilities": ["NET_ADMIN"] } });
    let problems = schemas.file("features-schema.json").problems(&bad);
    assert_eq!(problems, [r#"(document).linux.capabilities[0]: "NET_ADMIN" does not match the pattern"#]);
}
