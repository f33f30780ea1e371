//! Containers as systemd scopes. Needs systemd as PID 1 and cgroup v2 only: the virtual machine has both.

#[path = "../common/mod.rs"]
mod common;

mod interference;
mod limits;
mod names;

use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use berth::spec::Config;
use berth::{Code, Container, Force, Manager, Runtime, Settings, Status};
use common::{LONG, TestRuntime, quiet, rootfs, shell, unique};
use serde_json::{Value, json};

/// A runtime whose containers are scopes. Some tests have systemd re-executed, and meanwhile it answers nobody: so there is
/// one test at a time.
struct Managed {
    test: TestRuntime,
    _alone: MutexGuard<'static, ()>,
}

impl std::ops::Deref for Managed {
    type Target = TestRuntime;

    fn deref(&self) -> &TestRuntime {
        &self.test
    }
}

static ALONE: Mutex<()> = Mutex::new(());

fn manager() -> Option<Managed> {
    let tree = std::fs::read_to_string("/sys/fs/cgroup/cgroup.controllers").unwrap_or_default();
    if !std::path::Path::new("/run/systemd/system").exists() || !tree.contains("memory") {
        eprintln!("SKIPPED: needs systemd and cgroup v2 alone");
        return None;
    }
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let mut test = TestRuntime::new();
    let cgroup_manager = Manager::Systemd { annotations: true };
    let root = test.dir.path().join("state");
    test.runtime = Runtime::new(Settings { root, cgroup_manager, ..Settings::default() }).unwrap();
    Some(Managed { test, _alone })
}

/// Runs a command that asks systemd, again while systemd is off the bus: another test may have it re-executed.
fn ask(program: &str, arguments: &[&str]) -> String {
    let deadline = Instant::now() + Duration::from_secs(120);
    loop {
        let output = Command::new(program).args(arguments).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        if output.status.success() && said.is_empty() {
            return String::from_utf8(output.stdout).unwrap();
        }
        let absent = ["Connection refused", "Connection reset", "Failed to connect", "Transport endpoint", "timed out"];
        let again = absent.iter().any(|words| said.contains(words)) && Instant::now() < deadline;
        assert!(again || output.status.success(), "{program} {arguments:?}: {said}");
        if !again {
            return String::from_utf8(output.stdout).unwrap();
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn systemctl(arguments: &[&str]) {
    ask("systemctl", arguments);
}

/// Starts a scope in system.slice, for which systemd writes its neighbours anew.
fn start_neighbour() {
    ask("systemd-run", &["--quiet", "--scope", "--slice=system.slice", "true"]);
}

/// Returns all properties of a unit, each in a line.
fn show(unit: &str) -> String {
    ask("systemctl", &["show", unit])
}

/// Returns a property of a unit, as `systemctl show` prints it.
fn property(unit: &str, name: &str) -> String {
    ask("systemctl", &["show", "--value", "--property", name, unit]).trim().to_owned()
}

fn unit(container: &Container) -> String {
    format!("berth-{}.scope", container.id())
}

fn read(container: &Container, file: &str) -> String {
    let state: Value = serde_json::from_str(&container.state_json().unwrap()).unwrap();
    let dir = state["cgroupPaths"][""].as_str().unwrap().to_owned();
    std::fs::read_to_string(format!("{dir}/{file}")).unwrap().trim().to_owned()
}

#[test]
fn without_systemd_nothing_is_made() {
    if manager().is_some() {
        return;
    }
    let mut test = TestRuntime::new();
    let cgroup_manager = Manager::Systemd { annotations: false };
    let root = test.dir.path().join("state");
    test.runtime = Runtime::new(Settings { root, cgroup_manager, ..Settings::default() }).unwrap();
    let error = test.create(&shell("true"), &quiet()).unwrap_err();
    assert_eq!(error.code, Code::Unsupported, "{error}");
    assert!(error.message.contains("systemd"), "{error}");
    assert!(test.runtime.ids().unwrap().is_empty());
}

#[test]
fn a_container_is_a_scope_with_its_limits_until_delete() {
    let Some(test) = manager() else { return };
    let mut config = shell("sleep 1000");
    config["linux"]["resources"]["memory"] = json!({ "limit": 64 << 20, "swap": 96 << 20 });
    config["linux"]["resources"]["cpu"] = json!({ "shares": 512, "quota": 25_000, "period": 50_000, "cpus": "0" });
    config["linux"]["resources"]["pids"] = json!({ "limit": 50 });
    config["annotations"] = json!({ "org.systemd.property.TimeoutStopUSec": "uint64 1234000" });
    let container = test.create(&config, &quiet()).unwrap();
    let unit = unit(&container);
    assert_eq!(container.status().unwrap(), Status::Created);
    assert_eq!(property(&unit, "ActiveState"), "active");
    assert_eq!((property(&unit, "Slice"), property(&unit, "Delegate")), ("system.slice".into(), "yes".into()));
    assert!(property(&unit, "TimeoutStopUSec").starts_with("1.234"));
    assert_eq!((property(&unit, "MemoryMax"), property(&unit, "TasksMax")), ("67108864".into(), "50".into()));
    assert_eq!((property(&unit, "CPUWeight"), property(&unit, "AllowedCPUs")), ("59".into(), "0".into()));
    assert_eq!(
        (read(&container, "memory.max"), read(&container, "memory.swap.max")),
        ("67108864".into(), "33554432".into())
    );
    assert_eq!((read(&container, "cpu.max"), read(&container, "pids.max")), ("25000 50000".into(), "50".into()));
    container.start().unwrap();
    assert_eq!(container.pids().unwrap(), [container.init_process().unwrap().pid()]);
    // An executed process is in the same scope.
    let in_scope = common::exec_shell(&container, "cat /proc/self/cgroup");
    assert!(in_scope.contains("0::/"), "{in_scope}");

    container
        .set(r#"{"memory": {"limit": 83886080}, "pids": {"limit": 60}, "unified": {"memory.high": "75497472"}}"#)
        .unwrap();
    assert_eq!((property(&unit, "MemoryMax"), property(&unit, "TasksMax")), ("83886080".into(), "60".into()));
    assert_eq!(
        (property(&unit, "MemoryHigh"), read(&container, "memory.high")),
        ("75497472".into(), "75497472".into())
    );
    // The limits survive a reload of systemd.
    systemctl(&["daemon-reload"]);
    assert_eq!((read(&container, "memory.max"), read(&container, "pids.max")), ("83886080".into(), "60".into()));

    container.pause().unwrap();
    assert_eq!(container.status().unwrap(), Status::Paused);
    container.resume().unwrap();
    assert!(container.stats().unwrap().memory_usage > Some(0));
    let loaded = test.runtime.load(container.id()).unwrap();
    loaded.delete(Force::Kill).unwrap();
    assert_eq!(property(&unit, "LoadState"), "not-found");
    assert!(!std::path::Path::new(&format!("/sys/fs/cgroup/system.slice/{unit}")).exists());
}

#[test]
fn a_failed_change_is_undone_in_systemd_too() {
    let Some(test) = manager() else { return };
    let mut config = shell("sleep 1000");
    config["linux"]["resources"]["pids"] = json!({ "limit": 50 });
    let container = test.run(&config, &quiet()).unwrap();
    let obstacle = test.runtime.root().join(container.id()).join("config.json.new");
    std::fs::create_dir(&obstacle).unwrap();
    container.set(r#"{"memory": {"limit": 83886080}, "pids": {"limit": 60}}"#).unwrap_err();
    std::fs::remove_dir(&obstacle).unwrap();
    let unit = unit(&container);
    assert_eq!((property(&unit, "MemoryMax"), property(&unit, "TasksMax")), ("infinity".into(), "50".into()));
    assert_eq!((read(&container, "memory.max"), read(&container, "pids.max")), ("max".into(), "50".into()));
}

#[test]
fn a_slice_can_be_chosen_and_a_name_is_taken_once() {
    let Some(test) = manager() else { return };
    let mut config = shell("sleep 1000");
    let name = unique("scope");
    config["linux"]["cgroupsPath"] = json!(format!("berth-test.slice:web:{name}"));
    let container = test.run(&config, &quiet()).unwrap();
    let dir = format!("/sys/fs/cgroup/berth.slice/berth-test.slice/web-{name}.scope");
    assert!(std::path::Path::new(&dir).exists());
    let error = test.create(&config, &quiet()).unwrap_err();
    assert!(error.message.contains(&name), "{error}");
    assert_eq!(test.runtime.ids().unwrap(), [container.id()]);
    container.delete(Force::Kill).unwrap();
    assert!(!std::path::Path::new(&dir).exists());
    // The name can be used again.
    test.run(&config, &quiet()).unwrap().delete(Force::Kill).unwrap();
    for slice in ["berth-test.slice", "berth.slice"] {
        let _ = Command::new("systemctl").args(["stop", slice]).status();
    }
}

#[test]
fn a_container_that_ends_by_itself_leaves_no_unit() {
    let Some(test) = manager() else { return };
    let container = test.run(&shell("exit 3"), &quiet()).unwrap();
    let unit = unit(&container);
    assert_eq!(container.wait(LONG).unwrap(), berth::ExitStatus::Exited(3));
    container.delete(Force::No).unwrap();
    common::eventually("the unit is gone", || property(&unit, "LoadState") == "not-found");
}

#[test]
fn annotations_take_effect_only_if_the_caller_permits_them() {
    let Some(test) = manager() else { return };
    let mut config = shell("sleep 1000");
    config["annotations"] = json!({ "org.systemd.property.Description": "nonsense without quotes" });
    let error = test.create(&config, &quiet()).unwrap_err();
    assert_eq!(error.code, Code::ConfigInvalid, "{error}");
    let cgroup_manager = Manager::Systemd { annotations: false };
    let settings = Settings { root: test.dir.path().join("state"), cgroup_manager, ..Settings::default() };
    let runtime = Runtime::new(settings).unwrap();
    let config = Config::from_json(&config.to_string(), Some(rootfs())).unwrap();
    let container = Container::create(&runtime, &unique("c"), &config, &quiet()).unwrap();
    assert!(property(&unit(&container), "Description").starts_with("libberth container"));
}

/// `berth --systemd-cgroup`, and crun's option for the same.
#[test]
fn the_command_line_has_options_for_systemd_cgroups() {
    let there = manager().is_some();
    let dir = tempfile::Builder::new().prefix("berth-test-").tempdir().unwrap();
    let mut config = shell("exec sleep 1000");
    config["root"]["path"] = json!(rootfs());
    std::fs::write(dir.path().join("config.json"), config.to_string()).unwrap();
    let berth = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_berth"));
        command.arg("--root").arg(dir.path().join("state")).args(args).current_dir(dir.path());
        // A file, because a background process would keep a pipe open.
        let file = std::fs::File::create(dir.path().join("output")).unwrap();
        let status = command.stdin(std::process::Stdio::null()).stdout(file.try_clone().unwrap()).stderr(file);
        (status.status().unwrap().code(), std::fs::read_to_string(dir.path().join("output")).unwrap())
    };
    for manager in ["--systemd-cgroup", "--cgroup-manager=systemd"] {
        let id = unique("cli");
        let (code, output) = berth(&[manager, "run", "-d", &id]);
        let unit = format!("berth-{id}.scope");
        if there {
            assert_eq!((code, property(&unit, "ActiveState")), (Some(0), "active".into()), "{output}");
            assert_eq!(berth(&["delete", "--force", &id]).0, Some(0));
            assert_eq!(property(&unit, "LoadState"), "not-found");
        } else {
            assert!(code == Some(1) && output.contains("systemd"), "{output}");
        }
    }
}
