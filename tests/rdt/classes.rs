//! Named classes, and changes of the shares of running containers.

use berth::{Code, Force};
use serde_json::{Value, json};

use crate::common::{TestRuntime, quiet};
use crate::support::*;

pub fn named() {
    mount(true);
    let test = TestRuntime::new();
    let class = Class::named("gold");
    // The kernel rounds bandwidth up, here 33 to 40.
    let wanted = json!({ "closID": class.0, "l3CacheSchema": "L3:0=ff", "memBwSchema": "MB:0=33" });
    let first = test.run(&config(wanted.clone()), &quiet()).unwrap();
    assert_eq!((line(&class.0, "L3"), line(&class.0, "MB")), ("L3:0=0ff;1=fff".into(), "MB:0=40;1=100".into()));
    let second = test.create(&config(wanted), &quiet()).unwrap();
    assert!([init(&first), init(&second)].iter().all(|pid| tasks(&class.0).contains(pid)));
    let other = json!({ "closID": class.0, "l3CacheSchema": "L3:0=f" });
    let error = test.create(&config(other), &quiet()).unwrap_err();
    assert_eq!((error.code, error.detail["json_path"].as_str()), (Code::ConfigInvalid, Some("linux.intelRdt.closID")));
    assert!(error.message.ends_with("exists, and has L3:0=0ff, not f"), "{error}");
    second.delete(Force::Kill).unwrap();
    first.delete(Force::Kill).unwrap();
    assert!(class.exists() && tasks(&class.0).is_empty());
}

pub fn configured() {
    mount(true);
    let test = TestRuntime::new();
    let class = Class::made("given");
    std::fs::write(at(&class.0, "schemata"), "L3:1=f0\n").unwrap();
    let wanted = json!({ "closID": class.0, "enableMonitoring": true });
    let container = test.create(&config(wanted), &quiet()).unwrap();
    let monitor = format!("{}/mon_groups/{}", class.0, container.id());
    assert_eq!((tasks(&class.0), tasks(&monitor)), (vec![init(&container)], vec![init(&container)]));
    assert_eq!(line(&class.0, "L3"), "L3:0=fff;1=0f0");
    container.delete(Force::Kill).unwrap();
    assert!(class.exists() && !at(&monitor, "").exists());

    let missing = config(json!({ "closID": "berth-nobody-has-made-it" }));
    let error = test.create(&missing, &quiet()).unwrap_err();
    assert!(error.message.starts_with("linux.intelRdt.closID: there is no resctrl group"), "{error}");
    for name in ["info", "mon_data", "mon_groups"] {
        let error = test.create(&config(json!({ "closID": name })), &quiet()).unwrap_err();
        assert!(error.message.ends_with("is not a resctrl group; expected one"), "{error}");
    }
}

pub fn root() {
    mount(true);
    let test = TestRuntime::new();
    let before = read("", "schemata");
    let container = test.create(&config(json!({ "closID": "/", "enableMonitoring": true })), &quiet()).unwrap();
    let monitor = format!("mon_groups/{}", container.id());
    assert_eq!(tasks(&monitor), [init(&container)]);
    assert!(tasks("").contains(&init(&container)) && classes().is_empty());
    container.delete(Force::Kill).unwrap();
    assert!(!at(&monitor, "").exists());
    assert_eq!(read("", "schemata"), before);
}

pub fn changed() {
    mount(true);
    let test = TestRuntime::new();
    let container = test.run(&config(json!({ "l3CacheSchema": "L3:0=f" })), &quiet()).unwrap();
    let id = container.id();
    container
        .set(r#"{"intelRdt": {"memBwSchema": "MB:1=20", "schemata": ["L2:1=f0"]}, "pids": {"limit": 50}}"#)
        .unwrap();
    let shares = || ["L3", "MB", "L2"].map(|resource| line(id, resource));
    let expected = ["L3:0=00f;1=fff", "MB:0=100;1=20", "L2:0=0ff;1=0f0"];
    assert_eq!(shares(), expected);
    let saved: Value = serde_json::from_str(&container.config_json().unwrap()).unwrap();
    let rdt = json!({ "l3CacheSchema": "L3:0=f", "memBwSchema": "MB:1=20", "schemata": ["L2:1=f0"] });
    assert_eq!(saved["linux"]["intelRdt"], rdt);
    // The kernel accepts the first of the two, but not the second.
    let error = container.set(r#"{"intelRdt": {"l3CacheSchema": "L3:0=1", "schemata": ["L3:1=5"]}}"#).unwrap_err();
    assert_eq!(error.detail["json_path"], "linux.intelRdt.schemata");
    assert!(error.message.contains("non-consecutive"), "{error}");
    assert_eq!((shares(), &error.detail["restored"]), (expected.map(str::to_owned), &json!(true)));
    for (change, words) in [
        (r#"{"intelRdt": {"closID": "x"}}"#, "linux.intelRdt.closID: is decided when the container is created"),
        (r#"{"intelRdt": {"enableMonitoring": true}}"#, "linux.intelRdt.enableMonitoring: is decided"),
        (r#"{"intelRdt": {"memBwSchema": "L3:0=f"}}"#, "linux.intelRdt.memBwSchema"),
        (r#"{"intelRdt": 1}"#, "linux.intelRdt: 1 is not valid here"),
    ] {
        let error = container.set(change).unwrap_err();
        assert!(error.message.starts_with(words), "{error}");
    }
    assert_eq!(shares(), expected);
}

pub fn changed_by_command() {
    mount(true);
    let test = TestRuntime::new();
    let container = test.run(&config(json!({})), &quiet()).unwrap();
    let berth = |args: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_berth"));
        command.arg("--root").arg(test.runtime.root()).args(args).arg(container.id());
        let output = command.output().unwrap();
        (output.status.success(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
    };
    let done = berth(&["update", "--l3-cache-schema", "L3:0=3", "--mem-bw-schema", "MB:0=30;1=30"]);
    assert_eq!(done, (true, String::new()));
    assert_eq!(
        (line(container.id(), "L3"), line(container.id(), "MB")),
        ("L3:0=003;1=fff".into(), "MB:0=30;1=30".into())
    );
    let (good, words) = berth(&["update", "--mem-bw-schema", "MB:0=3000"]);
    assert!(!good && words.contains("linux.intelRdt.memBwSchema"), "{words}");
    let (good, stats) = berth(&["events", "--stats"]);
    assert!(good && stats.contains(r#""l3_cache_schema":"L3:0=003;1=fff""#), "{stats}");
}
