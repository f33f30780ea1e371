//! Scenarios of queries: containers, runtimes and configurations.

use std::io::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use berth::spec::Config;
use berth::{Code, Container, Force, Level, MissingProgram, ProcessOptions, Recipients, Runtime, Settings, Status};
use log::{LevelFilter, Log, Metadata, Record};
use serde_json::{Value, json};

use super::*;

pub const ALL: &[Scenario] = &[
    ("stats", stats),
    ("stats-json", stats_json),
    ("set-limits", set_limits),
    ("oom-event", oom_event),
    ("pressure-event", pressure_event),
    ("list", list),
    ("load-from-another-handle", load_from_another_handle),
    ("force-delete", force_delete),
    ("recover", recover),
    ("hook-fails", hook_fails),
    ("interfaces", interfaces),
    ("networks", networks),
    ("state-json", state_json),
    ("config-json", config_json),
    ("explain", explain),
    ("explain-runtime", explain_runtime),
    ("log", log),
];

fn sleeping(test: &TestRuntime) -> Container {
    test.run(&shell("exec sleep 1000"), &quiet()).unwrap()
}

fn decoded(text: berth::Result<String>) -> Value {
    serde_json::from_str(&text.unwrap()).unwrap()
}

fn cpu_time(container: &Container) -> u64 {
    let stats = container.stats().unwrap();
    assert_eq!((stats.memory_limit, stats.pids_limit), (None, None));
    stats.cpu_usage_ns.unwrap()
}

fn stats(test: &TestRuntime) {
    let container = test.run(&shell("while :; do :; done"), &quiet()).unwrap();
    let before = cpu_time(&container);
    eventually("more CPU time", || cpu_time(&container) > before);
}

fn stats_json(test: &TestRuntime) {
    let usage = decoded(sleeping(test).stats_json());
    assert!(usage["cpu"].is_object() && usage["memory"].is_object() && usage["pids"].is_object(), "{usage}");
    assert_eq!(usage["network_interfaces"][0]["Name"], "lo");
}

/// Skips the scenario if the machine does not have the controller.
fn unless_unsupported<T>(result: berth::Result<T>, controller: &str) -> T {
    match result {
        Err(error) if error.code == Code::Unsupported => skip(&format!("no {controller} controller")),
        other => other.unwrap(),
    }
}

fn set_limits(test: &TestRuntime) {
    let container = sleeping(test);
    unless_unsupported(container.set(r#"{"pids":{"limit":77}}"#), "pids");
    assert_eq!(container.stats().unwrap().pids_limit, Some(77));
    assert_eq!(decoded(container.config_json())["linux"]["resources"]["pids"]["limit"], 77);
}

fn oom_event(test: &TestRuntime) {
    let mut config = shell("exec tail /dev/zero");
    config["linux"]["resources"]["memory"] = json!({ "limit": 24 << 20, "swap": 24 << 20 });
    let container = unless_unsupported(test.create(&config, &quiet()), "memory");
    let events = container.notify_oom().unwrap();
    let descriptor = events.descriptor().unwrap();
    assert!(is_cloexec(&descriptor));
    fails(Code::Timeout, "", events.read(0));
    container.start().unwrap();
    assert!(is_readable(&descriptor, long()));
    let (mut count, mut ended) = (0, false);
    while !ended {
        let occurred = events.read(LONG).unwrap();
        (count, ended) = (count + occurred.count, occurred.ended);
    }
    assert!(count > 0);
    assert_eq!(container.end(), KILLED);
    assert!(container.oom_killed().unwrap());
}

fn pressure_event(test: &TestRuntime) {
    let container = sleeping(test);
    let all = Level::ALL.map(|level| match container.notify_memory_pressure(level) {
        Err(error) if error.code == Code::Unsupported => skip("memory pressure is not measured"),
        other => other.unwrap(),
    });
    for events in &all {
        fails(Code::Timeout, "", events.read(0));
    }
    container.signal(libc::SIGKILL, Recipients::Init).unwrap();
    for events in &all {
        while !events.read(LONG).unwrap().ended {}
    }
}

fn list(test: &TestRuntime) {
    let ids = || test.runtime.ids().unwrap();
    assert!(ids().is_empty());
    let config = test.config(&shell("exec sleep 1000"));
    let names = [unique("a"), unique("b")];
    let b = Container::create(&test.runtime, &names[1], &config, &quiet()).unwrap();
    let a = Container::run(&test.runtime, &names[0], &config, &quiet()).unwrap();
    assert_eq!(ids(), names);
    let states = decoded(test.runtime.states_json());
    assert_eq!((&states[0]["id"], &states[1]["id"]), (&json!(names[0]), &json!(names[1])));
    a.delete(Force::Kill).unwrap();
    b.delete(Force::Kill).unwrap();
    assert!(ids().is_empty());
}

fn load_from_another_handle(test: &TestRuntime) {
    let container = test.create(&shell("exec sleep 1000"), &quiet()).unwrap();
    let settings = Settings { root: test.runtime.root().to_owned(), ..Settings::default() };
    let loaded = Runtime::new(settings).unwrap().load(container.id()).unwrap();
    assert_eq!(loaded.status().unwrap(), Status::Created);
    loaded.start().unwrap();
    assert_eq!((loaded.status().unwrap(), container.status().unwrap()), (Status::Running, Status::Running));
}

fn force_delete(test: &TestRuntime) {
    let container = sleeping(test);
    fails(Code::NotStopped, container.id(), container.delete(Force::No));
    container.delete(Force::Kill).unwrap();
    let config = test.config(&shell("exec sleep 1000"));
    let again = Container::run(&test.runtime, container.id(), &config, &quiet()).unwrap();
    assert_eq!(again.status().unwrap(), Status::Running);
}

fn recover(test: &TestRuntime) {
    let container = sleeping(test);
    assert!(test.runtime.recover().unwrap().is_empty());
    assert_eq!(container.status().unwrap(), Status::Running);
}

fn interfaces(test: &TestRuntime) {
    assert!(sleeping(test).interfaces().unwrap().iter().any(|interface| interface.name == "lo"));
}

fn networks(test: &TestRuntime) {
    let config = test.config(&shell("exec sleep 1000"));
    let connected = config.with_networks(r#"{"networks":[{"type":"veth","name":"net0"}]}"#).unwrap();
    let container = Container::run(&test.runtime, &unique("networks"), &connected, &quiet()).unwrap();
    let network = &decoded(container.interfaces_json(false))["networks"][0];
    assert_eq!(network["name"], "net0");
    assert!(network["hostInterfaceName"].as_str().unwrap().starts_with("berth"), "{network}");
    let inside = container.interfaces().unwrap();
    assert!(inside.iter().any(|interface| interface.name == "net0" && interface.up));
}

fn state_json(test: &TestRuntime) {
    let mut config = shell("exec sleep 1000");
    config["annotations"] = json!({ "org.example": "mine" });
    let container = test.run(&config, &quiet()).unwrap();
    let state = decoded(container.state_json());
    assert_eq!((&state["id"], &state["status"]), (&json!(container.id()), &json!("running")));
    assert_eq!(state["pid"], container.init_process().unwrap().pid());
    assert_eq!(state["annotations"]["org.example"], "mine");
}

fn config_json(test: &TestRuntime) {
    let text = shell("exec sleep 1000").to_string();
    let config = Config::from_json(&text, Some(rootfs())).unwrap();
    assert_eq!(config.json(), text);
    let container = Container::run(&test.runtime, &unique("config"), &config, &quiet()).unwrap();
    assert_eq!(container.config_json().unwrap(), text);
}

fn explain(test: &TestRuntime) {
    let text = berth::explain(&test.config(&shell("true"))).unwrap();
    assert!(text.contains("\"steps\":[") && text.contains("\"/proc\""), "{text}");
    assert!(test.runtime.ids().unwrap().is_empty());
}

fn hook_fails(test: &TestRuntime) {
    let hook_env = vec!["WHO=the caller".to_owned(), "PATH=/bin".to_owned()];
    let other =
        Runtime::new(Settings { root: test.runtime.root().to_owned(), hook_env, ..Settings::default() }).unwrap();
    let mut config = shell("exec sleep 1000");
    let busybox = rootfs().join("bin/busybox");
    config["hooks"] = json!({ "poststart": [{ "path": busybox, "args": ["sh", "-c", "echo it is $WHO; exit 3"] }] });
    let container = Container::create(&other, &unique("hook"), &test.config(&config), &quiet()).unwrap();
    fails(Code::Hook, "it is the caller", container.start());
    fails(Code::NotFound, container.id(), container.delete(Force::Kill));
    fails(Code::NotFound, container.id(), other.load(container.id()));
}

fn explain_runtime(test: &TestRuntime) {
    let config = test.config(&shell("true"));
    let searches_program = |missing_program| {
        let options = ProcessOptions { missing_program, ..ProcessOptions::default() };
        test.runtime.explain(&config, &options).unwrap().contains("FindProgram")
    };
    assert!(searches_program(MissingProgram::AtCreate) && !searches_program(MissingProgram::AtStart));
    assert!(test.runtime.ids().unwrap().is_empty());
}

/// In Rust the library logs through the `log` crate, and the program's logger decides where messages go.
struct Logger;

static WARNINGS: AtomicUsize = AtomicUsize::new(0);
static LINES: Mutex<Option<File>> = Mutex::new(None);

impl Log for Logger {
    fn enabled(&self, _: &Metadata) -> bool {
        true
    }

    fn log(&self, record: &Record) {
        let text = record.args().to_string();
        if record.level() == log::Level::Warn && record.target().starts_with("berth::") && text.contains("sorry") {
            match &mut *LINES.lock().unwrap() {
                Some(file) => writeln!(file, "{text}").unwrap(),
                None => _ = WARNINGS.fetch_add(1, Ordering::Relaxed),
            }
        }
    }

    fn flush(&self) {}
}

/// A failing poststop hook is only logged.
fn warn(test: &TestRuntime) {
    let mut config = shell("true");
    let busybox = rootfs().join("bin/busybox");
    config["hooks"] = json!({ "poststop": [{ "path": busybox, "args": ["sh", "-c", "echo sorry; exit 3"] }] });
    test.run(&config, &quiet()).unwrap().delete(Force::Kill).unwrap();
}

fn log(test: &TestRuntime) {
    let warnings = || WARNINGS.load(Ordering::Relaxed);
    log::set_logger(&Logger).unwrap();
    log::set_max_level(LevelFilter::Debug);
    warn(test);
    assert_eq!(warnings(), 1);
    log::set_max_level(LevelFilter::Error);
    warn(test);
    assert_eq!(warnings(), 1);
    log::set_max_level(LevelFilter::Debug);
    let (reader, writer) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC).unwrap();
    *LINES.lock().unwrap() = Some(File::from(writer));
    warn(test);
    *LINES.lock().unwrap() = None;
    log::set_max_level(LevelFilter::Off);
    warn(test);
    assert_eq!(warnings(), 1);
    let text = text_of(Some(reader));
    assert_eq!(text.matches("sorry").count(), 1, "{text}");
}
