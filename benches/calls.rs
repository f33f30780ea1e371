//! Benchmarks of calls that a caller makes often.
//!
//!     cargo bench --bench calls
//!
//! As root; the last ones use a sleeping container.

use std::path::PathBuf;

use berth::spec::Config;
use berth::{Container, Force, ProcessOptions, Runtime, Settings, Stdio};

fn main() {
    divan::main();
}

fn json() -> String {
    Config::default_json().replace("\"terminal\": true", "\"terminal\": false")
}

fn config() -> Config {
    // Nothing is executed, so any directory can be the root filesystem.
    Config::from_json(&json(), Some("/".as_ref())).expect("the default configuration")
}

#[divan::bench]
fn configuration_from_json(bencher: divan::Bencher) {
    let json = json();
    bencher.bench(|| Config::from_json(&json, Some("/".as_ref())));
}

#[divan::bench]
fn configuration_checked(bencher: divan::Bencher) {
    let config = config();
    bencher.bench(|| config.validate());
}

/// A filter as long as those of container engines: some 300 system calls, and one with a condition.
fn filtered(errno: u32) -> Config {
    let mut config: serde_json::Value = serde_json::from_str(&json()).expect("JSON");
    let names = include_str!("system-calls").split_whitespace().collect::<Vec<_>>();
    config["linux"]["seccomp"] = serde_json::json!({
        "defaultAction": "SCMP_ACT_ERRNO",
        "defaultErrnoRet": errno,
        "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
        "syscalls": [
            { "names": names, "action": "SCMP_ACT_ALLOW" },
            { "names": ["personality"], "action": "SCMP_ACT_ALLOW", "args": [{ "index": 0, "value": 0, "op": "SCMP_CMP_EQ" }] },
        ],
    });
    Config::from_json(&config.to_string(), Some("/".as_ref())).expect("a configuration with a filter")
}

#[divan::bench]
fn filter_known(bencher: divan::Bencher) {
    let config = filtered(1);
    config.validate().expect("a filter");
    bencher.bench(|| config.validate());
}

/// A different filter each time, to bypass the cache.
#[divan::bench]
fn filter_new(bencher: divan::Bencher) {
    let mut errno = 1;
    let next = || {
        errno += 1;
        filtered(errno % 4000 + 1)
    };
    bencher.with_inputs(next).bench_local_values(|config| config.validate());
}

#[divan::bench]
fn plan_compiled_and_explained(bencher: divan::Bencher) {
    let config = config();
    bencher.bench(|| berth::explain(&config).expect("a plan"));
}

/// A created container whose init waits for start; deleted on drop.
struct Waiting {
    container: Container,
    root: PathBuf,
}

impl Waiting {
    fn new(name: &str) -> Waiting {
        let id = format!("bench-{name}-{}", std::process::id());
        let root = std::env::temp_dir().join(format!("berth-{id}"));
        let runtime = Runtime::new(Settings { root: root.clone(), ..Settings::default() }).expect("a state root");
        let options = ProcessOptions { stdio: [Stdio::Null; 3], ..ProcessOptions::default() };
        let container = Container::create(&runtime, &id, &config(), &options).expect("a container (root is needed)");
        Waiting { container, root }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let _ = self.container.delete(Force::Kill);
        let _ = std::fs::remove_dir(&self.root);
    }
}

#[divan::bench]
fn status(bencher: divan::Bencher) {
    let waiting = Waiting::new("status");
    bencher.bench_local(|| waiting.container.status().expect("a status"));
}

#[divan::bench]
fn state_as_json(bencher: divan::Bencher) {
    let waiting = Waiting::new("state");
    bencher.bench_local(|| waiting.container.state_json().expect("a state"));
}

#[divan::bench]
fn pids(bencher: divan::Bencher) {
    let waiting = Waiting::new("pids");
    bencher.bench_local(|| waiting.container.pids().expect("pids"));
}

#[divan::bench]
fn statistics(bencher: divan::Bencher) {
    let waiting = Waiting::new("stats");
    bencher.bench_local(|| waiting.container.stats().expect("statistics"));
}
