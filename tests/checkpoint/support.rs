//! What the scenarios share: a host with CRIU, containers that say how far they are, and a way there and back.

use std::path::{Path, PathBuf};
use std::process::Command;

use berth::criu::{CheckpointOptions, RestoreOptions, check_json};
use berth::{Container, Force, ProcessOptions, Runtime, Settings};
use serde_json::{Value, json};

use crate::common::*;

/// As [`Host::new`], with CRIU.
pub fn host() -> Host {
    host_with(&criu())
}

/// The same with another program for CRIU.
pub fn host_with(criu: &Path) -> Host {
    let mut host = Host::new();
    host.runtime = runtime(&host.path("state"), criu);
    host
}

pub fn runtime(root: &Path, criu: &Path) -> Runtime {
    Runtime::new(Settings { root: root.into(), criu: Some(criu.into()), ..Settings::default() }).unwrap()
}

/// A directory of the host, in the container under /data.
pub fn with_data(config: &mut Value, data: &Path) {
    let mount = json!({ "destination": "/data", "type": "bind", "source": data, "options": ["bind", "rw"] });
    push_mount(config, mount);
}

/// A shell that counts, and writes each number to /data/count: whole, so that nobody reads half of one.
pub fn counter(data: &Path) -> Value {
    let count = "n=0; while :; do n=$((n+1)); echo $n > /data/new; mv /data/new /data/count; sleep 0.01; done";
    let mut config = shell(count);
    with_data(&mut config, data);
    config
}

pub fn count(data: &Path) -> u64 {
    std::fs::read_to_string(data.join("count")).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0)
}

/// Waits until the counter has come further, and returns where it is.
pub fn counts_on(data: &Path) -> u64 {
    let before = count(data);
    eventually("the counter goes on", || count(data) > before);
    count(data)
}

/// The files of a counter as they were when it was dumped. Images do not have them: who restores twice, and lets the
/// container run in between, puts them back (one of them may be open in the images).
pub struct Files(Vec<(PathBuf, Vec<u8>)>);

impl Files {
    pub fn of(data: &Path) -> Files {
        let entries = std::fs::read_dir(data).unwrap().map(|entry| entry.unwrap().path());
        Files(entries.map(|path| (path.clone(), std::fs::read(path).unwrap())).collect())
    }

    pub fn put_back(&self) {
        self.0.iter().for_each(|(path, bytes)| std::fs::write(path, bytes).unwrap());
    }

    /// The same files in another directory.
    pub fn copy_to(&self, directory: &Path) {
        self.0
            .iter()
            .for_each(|(path, bytes)| std::fs::write(directory.join(path.file_name().unwrap()), bytes).unwrap());
    }
}

impl Host {
    pub fn data(&self) -> PathBuf {
        self.make_dir("data")
    }

    pub fn images(&self, name: &str) -> PathBuf {
        self.path(name)
    }

    /// Runs a counter of this configuration, and dumps it: it is gone afterwards.
    pub fn dumped(&self, config: &Value, data: &Path, options: &CheckpointOptions) {
        let container = self.run(config, &quiet()).unwrap();
        counts_on(data);
        checkpoint(&container, options);
        end(container);
    }

    pub fn restore(&self, config: &Value, options: &RestoreOptions) -> berth::Result<Container> {
        Container::restore(&self.runtime, &unique("r"), &self.config(config), options)
    }

    /// Restores with all defaults, which must work.
    pub fn restored(&self, config: &Value, images: &Path) -> Container {
        self.restore(config, &from(images)).unwrap_or_else(|error| panic!("{error}\n{}", told(&error)))
    }
}

pub fn into(images: &Path) -> CheckpointOptions {
    CheckpointOptions::into_directory(images)
}

pub fn from(images: &Path) -> RestoreOptions {
    RestoreOptions { process: quiet(), ..RestoreOptions::from_directory(images) }
}

pub fn from_with(images: &Path, process: ProcessOptions) -> RestoreOptions {
    RestoreOptions { process, ..RestoreOptions::from_directory(images) }
}

/// A checkpoint that must work.
pub fn checkpoint(container: &Container, options: &CheckpointOptions) {
    container.checkpoint(options).unwrap_or_else(|error| panic!("{error}\n{}", told(&error)));
}

/// The end of CRIU's log, for a test that fails.
pub fn told(error: &berth::Error) -> String {
    error.detail.get("log").and_then(Value::as_str).unwrap_or_default().to_owned()
}

pub fn end(container: Container) {
    container.delete(Force::Kill).unwrap();
}

/// The survivor of survivor.c, in a directory that becomes the container's /data.
pub fn survivor(data: &Path) {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/checkpoint/survivor.c");
    let program = data.join("survivor");
    match std::env::var_os("BERTH_TEST_PROGRAMS") {
        // Compiled outside, where there is no compiler.
        Some(programs) => drop(std::fs::copy(PathBuf::from(programs).join("survivor"), program).unwrap()),
        None => {
            let made = Command::new("cc").args(["-static", "-O1", "-Wall", "-o"]).arg(program).arg(source).status();
            assert!(made.expect("cc runs").success());
        }
    }
}

/// What `check_json` says of a feature.
pub fn feature(host: &Host, name: &str) -> bool {
    let report: Value = serde_json::from_str(&check_json(&host.runtime).unwrap()).unwrap();
    report["features"][name].as_bool().unwrap()
}
