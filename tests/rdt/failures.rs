//! Unsupported configurations, and callers that are killed.

use std::path::Path;

use berth::{Code, Container, Force, Runtime, Settings, fault};
use serde_json::json;

use crate::common::{TestRuntime, quiet, runner, unique};
use crate::support::*;

pub fn absent() {
    if expected() {
        return;
    }
    let test = TestRuntime::new();
    let config = config(json!({ "closID": "berth" }));
    for result in [test.config(&config).validate(), test.create(&config, &quiet()).map(drop)] {
        let error = result.unwrap_err();
        assert_eq!(error.code, Code::Unsupported, "{error}");
        assert!(error.message.starts_with("linux.intelRdt: no resctrl filesystem is mounted"), "{error}");
    }
    assert!(test.runtime.ids().unwrap().is_empty());
    let mut plain = config;
    plain["linux"].as_object_mut().unwrap().remove("intelRdt");
    let container = test.run(&plain, &quiet()).unwrap();
    let error = container.set(r#"{"intelRdt": {"l3CacheSchema": "L3:0=f"}}"#).unwrap_err();
    assert!(error.message.starts_with("linux.intelRdt: the container was created without it"), "{error}");
}

pub fn not_mounted() {
    if std::env::var_os("BERTH_VM").is_none() {
        return; // a host's own stays where it is
    }
    mount(false);
    let error = TestRuntime::new().create(&config(full()), &quiet()).unwrap_err();
    assert_eq!(error.code, Code::Unsupported);
    assert!(error.message.contains("mount -t resctrl resctrl /sys/fs/resctrl"), "{error}");
    mount(true);
}

pub fn refused() {
    mount(true);
    let test = TestRuntime::new();
    let class = Class::named("refused");
    for (mut rdt, path, words) in [
        (json!({ "l3CacheSchema": "L3:0=5" }), "linux.intelRdt.l3CacheSchema", "The mask 5 has non-consecutive 1-bits"),
        (json!({ "memBwSchema": "MB:0=5" }), "linux.intelRdt.memBwSchema", "out of range"),
        (json!({ "l3CacheSchema": "L3:0=f", "memBwSchema": "MB:7=50" }), "linux.intelRdt", "Invalid argument"),
        (json!({ "schemata": ["L3:0=f", "L3:0=x"] }), "linux.intelRdt.schemata", "x"),
    ] {
        for name in ["", &class.0] {
            rdt["closID"] = name.into();
            let error = test.create(&config(rdt.clone()), &quiet()).unwrap_err();
            assert_eq!(error.detail["json_path"], path, "{error}");
            assert!(error.message.starts_with(&format!("{path}: ")), "{error}");
            assert!(error.message.to_lowercase().contains(&words.to_lowercase()), "{error}");
            assert_eq!(classes(), Vec::<String>::new(), "{error}");
        }
    }
    assert!(test.runtime.ids().unwrap().is_empty());
}

pub fn exhausted() {
    mount(true);
    let test = TestRuntime::new();
    let mut made = Vec::new();
    while std::fs::create_dir(at(&format!("full-{}", made.len()), "")).is_ok() {
        made.push(Class(format!("full-{}", made.len())));
    }
    let error = test.create(&config(full()), &quiet()).unwrap_err();
    assert!(error.message.contains("the processor supports no more groups") && !made.is_empty(), "{error}");
    assert_eq!(classes().len(), made.len());
    assert!(test.runtime.ids().unwrap().is_empty());
}

pub fn taken() {
    mount(true);
    let test = TestRuntime::new();
    let class = Class::made("taken");
    let error =
        Container::create(&test.runtime, &class.0, &test.config(&config(full())), &quiet()).map(drop).unwrap_err();
    assert!(error.message.ends_with("exists already, and is not this container's"), "{error}");
    assert!(class.exists());
    let id = unique("c");
    let monitor = at(&class.0, "mon_groups").join(&id);
    std::fs::create_dir(&monitor).unwrap();
    let wanted = test.config(&config(json!({ "closID": class.0, "enableMonitoring": true })));
    let error = Container::create(&test.runtime, &id, &wanted, &quiet()).map(drop).unwrap_err();
    assert!(error.message.ends_with("exists already, and is not this container's"), "{error}");
    assert!(monitor.exists() && test.runtime.ids().unwrap().is_empty());
}

pub fn lacking() {
    mount(true);
    let test = TestRuntime::new();
    let error = test.config(&config(json!({ "schemata": ["L4:0=f"] }))).validate().unwrap_err();
    assert_eq!(error.code, Code::Unsupported);
    let words = "linux.intelRdt.schemata: this host's resctrl filesystem has no \"L4\"; expected lines for: L2, L3, MB";
    assert_eq!(error.message, words);
}

fn runtime(root: &str) -> Runtime {
    Runtime::new(Settings { root: root.into(), ..Settings::default() }).unwrap()
}

/// `[root, id, point, closID]`
pub fn create(args: &[String]) {
    let test = runtime(&args[0]);
    fault::arm(&args[2], 1);
    let mut rdt = full();
    rdt["closID"] = args[3].clone().into();
    let config = config(rdt).to_string();
    let config = berth::spec::Config::from_json(&config, Some(crate::common::rootfs())).unwrap();
    Container::create(&test, &args[1], &config, &quiet()).unwrap();
}

/// `[root, id, point]`
pub fn delete(args: &[String]) {
    let container = runtime(&args[0]).load(&args[1]).unwrap();
    fault::arm(&args[2], 1);
    container.delete(Force::Kill).unwrap();
}

fn die(name: &str, args: &[&str]) {
    use std::os::unix::process::ExitStatusExt;
    let status = runner::start(&mut runner::caller(name, args)).end();
    assert_eq!(status.signal(), Some(libc::SIGKILL), "{args:?}");
}

pub fn killed() {
    mount(true);
    let test = TestRuntime::new();
    let root = test.dir.path().join("state");
    let root = root.to_str().unwrap();
    let class = Class::named("killed");
    for point in ["create.recorded", "create.limits", "create.resctrl", "create.attached", "create.ready"] {
        for name in ["", &class.0] {
            let id = unique("c");
            die("create", &[root, &id, point, name]);
            assert_eq!(test.runtime.recover().unwrap(), [id]);
            assert_eq!(classes(), Vec::<String>::new(), "{point}");
        }
    }
    for point in ["delete.recorded", "delete.killed", "delete.cgroups", "delete.resctrl"] {
        let container = test.run(&config(full()), &quiet()).unwrap();
        die("delete", &[root, container.id(), point]);
        assert_eq!(test.runtime.recover().unwrap(), [container.id().to_owned()]);
        assert_eq!(classes(), Vec::<String>::new(), "{point}");
    }
    // After create, a named class stays whoever is killed; the monitoring group is removed with the container.
    let id = unique("c");
    die("create", &[root, &id, "create.committed", &class.0]);
    test.runtime.load(&id).unwrap().delete(Force::Kill).unwrap();
    assert!(class.exists() && !at(&class.0, "mon_groups").join(&id).exists());
}

pub fn damaged() {
    mount(true);
    let test = TestRuntime::new();
    let class = Class::made("damaged");
    for name in ["", &class.0] {
        let mut rdt = json!({ "enableMonitoring": true });
        rdt["closID"] = name.into();
        let container = test.run(&config(rdt), &quiet()).unwrap();
        std::fs::write(Path::new(test.runtime.root()).join(container.id()).join("state.json"), "{").unwrap();
        test.runtime.load(container.id()).unwrap().delete(Force::Kill).unwrap();
        assert_eq!(classes(), std::slice::from_ref(&class.0));
        assert_eq!(std::fs::read_dir(at(&class.0, "mon_groups")).unwrap().count(), 0);
    }
}
