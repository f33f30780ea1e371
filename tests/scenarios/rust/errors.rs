//! Scenarios of errors: bad input, and calls in the wrong state.

use std::path::Path;
use std::time::{Duration, Instant};

use berth::spec::Config;
use berth::{Code, Force, Recipients, Stage, Status};
use nix::errno::Errno;
use serde_json::{Value, json};

use super::*;

pub const ALL: &[Scenario] = &[
    ("bad-config", bad_config),
    ("bad-resources", bad_resources),
    ("bad-process", bad_process),
    ("bad-id", bad_id),
    ("bad-argument", bad_argument),
    ("id-in-use", id_in_use),
    ("not-found", not_found),
    ("wrong-state", wrong_state),
    ("error-facts", error_facts),
    ("timeout", timeout),
];

fn sleeping(test: &TestRuntime) -> Container {
    test.run(&shell("exec sleep 1000"), &quiet()).unwrap()
}

fn read(config: &Value) -> berth::Result<Config> {
    Config::from_json(&config.to_string(), Some(rootfs()))
}

fn with_wrong_host_name() -> Value {
    let mut config = shell("true");
    config["hostname"] = json!(7);
    config
}

fn bad_config(_: &TestRuntime) {
    fails(Code::ConfigInvalid, "hostname", read(&with_wrong_host_name()));
    let mut config = shell("true");
    config["linux"]["namespaces"][2]["type"] = json!("colour");
    fails(Code::ConfigInvalid, "linux.namespaces[2].type", read(&config));
    fails(Code::ConfigInvalid, "JSON", Config::from_json("{\"ociVersion\":", Some(rootfs())));
}

fn bad_resources(test: &TestRuntime) {
    let container = sleeping(test);
    let before = container.config_json().unwrap();
    fails(Code::ConfigInvalid, "memory.limit", container.set(r#"{"memory":{"limit":-5}}"#));
    assert_eq!(container.config_json().unwrap(), before);
}

fn bad_process(test: &TestRuntime) {
    let mut config = shell("true");
    config["process"]["args"] = json!(["/bin/nothing-here"]);
    let error = fails(Code::System, "/bin/nothing-here", test.run(&config, &quiet()));
    assert_eq!((error.errno, error.stage), (Some(Errno::ENOENT), Stage::Init));
    assert!(test.runtime.ids().unwrap().is_empty());
}

fn bad_id(test: &TestRuntime) {
    let config = test.config(&shell("true"));
    for id in ["", "../up", &"x".repeat(201)] {
        fails(Code::IdInvalid, "id", Container::create(&test.runtime, id, &config, &quiet()));
        fails(Code::IdInvalid, "id", test.runtime.load(id));
    }
}

fn bad_argument(test: &TestRuntime) {
    let container = sleeping(test);
    fails(Code::InvalidArgument, "NUL", Config::from_bundle(Path::new("a\0b")));
    fails(Code::InvalidArgument, "999", container.signal(999, Recipients::Init));
    assert_eq!(container.status().unwrap(), Status::Running);
}

fn id_in_use(test: &TestRuntime) {
    let container = sleeping(test);
    let config = test.config(&shell("true"));
    fails(Code::IdInUse, container.id(), Container::create(&test.runtime, container.id(), &config, &quiet()));
    assert_eq!(container.status().unwrap(), Status::Running);
}

fn not_found(test: &TestRuntime) {
    fails(Code::NotFound, "not-there", test.runtime.load("not-there"));
}

fn wrong_state(test: &TestRuntime) {
    let container = sleeping(test);
    fails(Code::AlreadyRunning, "running", container.start());
    fails(Code::NotPaused, "running", container.resume());
    fails(Code::NotStopped, "running", container.delete(Force::No));
    container.pause().unwrap();
    fails(Code::Paused, "paused", container.pause());
    container.resume().unwrap();
    container.signal(libc::SIGKILL, Recipients::Init).unwrap();
    assert_eq!(container.end(), KILLED);
    fails(Code::NotRunning, "stopped", container.signal(libc::SIGKILL, Recipients::Init));
}

fn error_facts(_: &TestRuntime) {
    let error = fails(Code::ConfigInvalid, "hostname", read(&with_wrong_host_name()));
    assert_eq!((error.errno, error.stage, &error.detail["json_path"]), (None, Stage::Host, &json!("hostname")));
    let error = fails(Code::System, "/nothing/here", Config::from_bundle(Path::new("/nothing/here")));
    assert_eq!(error.errno, Some(Errno::ENOENT));
    assert!(error.code.describe().len() > 5);
}

fn timeout(test: &TestRuntime) {
    let container = sleeping(test);
    fails(Code::Timeout, "in time", container.wait(0));
    let before = Instant::now();
    fails(Code::Timeout, "in time", container.wait(200));
    assert!(before.elapsed() >= Duration::from_millis(199));
}
