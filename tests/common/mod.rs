//! Helpers shared by the integration tests: a root filesystem, bundles, a state root, containers that are deleted on
//! drop.
#![allow(dead_code)] // each test program uses its part
#![allow(unused_imports)] // as above

mod apparmor;
mod caller;
mod edit;
mod kernel;
mod logged;
mod table;
mod wait;

pub use apparmor::*;
pub use caller::*;
pub use edit::*;
pub use kernel::*;
pub use logged::*;
pub use table::*;
pub use wait::*;

pub mod leftovers;
pub mod myself;
pub mod runner;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use berth::spec::Config;
use berth::{Container, ExitStatus, Force, Process, ProcessOptions, Runtime, Settings, Stdio};
use serde_json::{Value, json};

/// A timeout in milliseconds that no test should reach, not even on slow machines and emulators.
pub const LONG: i64 = 120_000;

/// Returns the root filesystem that all tests share read-only: busybox and links to it.
pub fn rootfs() -> &'static Path {
    static ROOTFS: OnceLock<PathBuf> = OnceLock::new();
    ROOTFS.get_or_init(|| {
        let path = std::env::var_os("BERTH_TEST_ROOTFS").map(PathBuf::from);
        path.unwrap_or_else(|| {
            let target = std::env::current_exe().unwrap().ancestors().nth(3).unwrap().to_owned();
            let path = target.join("test-rootfs");
            let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tools/rootfs");
            // Several test programs may start at once: each builds its own copy, and the first rename wins.
            if !path.exists() {
                let mine = target.join(format!("test-rootfs.{}", std::process::id()));
                let status = Command::new(script).arg(&mine).status().expect("tools/rootfs runs");
                assert!(status.success(), "tools/rootfs failed");
                if std::fs::rename(&mine, &path).is_err() {
                    std::fs::remove_dir_all(&mine).unwrap();
                }
            }
            path
        })
    })
}

/// Returns the path of CRIU: `BERTH_TEST_CRIU`, or what tools/install-criu installs.
pub fn criu() -> PathBuf {
    static CRIU: OnceLock<PathBuf> = OnceLock::new();
    CRIU.get_or_init(|| {
        let given = std::env::var_os("BERTH_TEST_CRIU").map(PathBuf::from);
        given.unwrap_or_else(|| {
            let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tools/install-criu");
            let output = Command::new(script).output().expect("tools/install-criu runs");
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            PathBuf::from(String::from_utf8(output.stdout).unwrap().trim())
        })
    })
    .clone()
}

/// Returns a name that is unique among all running tests, and contains the name of the run.
pub fn unique(name: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("test-{}{name}-{}-{}", run_name(), std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Returns `BERTH_TEST_RUN` and a dash, by which tools/leftovers recognizes what this run of the tests made.
pub fn run_name() -> String {
    std::env::var("BERTH_TEST_RUN").map(|run| run + "-").unwrap_or_default()
}

/// Returns the configuration that `runc spec` writes, without a terminal, running a shell script.
pub fn shell(script: &str) -> Value {
    let mut config: Value = serde_json::from_str(&Config::default_json()).unwrap();
    config["process"]["terminal"] = json!(false);
    config["process"]["args"] = json!(["/bin/sh", "-c", script]);
    config
}

/// A temporary directory with a state root, and a runtime on it. Deletes all its containers on drop.
pub struct TestRuntime {
    pub dir: tempfile::TempDir,
    pub runtime: Runtime,
}

impl TestRuntime {
    pub fn new() -> TestRuntime {
        TestRuntime::with(|_| {})
    }

    /// Creates the runtime with changed settings.
    pub fn with(change: impl FnOnce(&mut Settings)) -> TestRuntime {
        let dir = tempfile::Builder::new().prefix("berth-test-").tempdir().unwrap();
        let mut settings = Settings { root: dir.path().join("state"), ..Settings::default() };
        change(&mut settings);
        TestRuntime { runtime: Runtime::new(settings).unwrap(), dir }
    }

    pub fn config(&self, config: &Value) -> Config {
        load_config(config)
    }

    pub fn create(&self, config: &Value, options: &ProcessOptions) -> berth::Result<Container> {
        Container::create(&self.runtime, &unique("c"), &self.config(config), options)
    }

    pub fn run(&self, config: &Value, options: &ProcessOptions) -> berth::Result<Container> {
        Container::run(&self.runtime, &unique("c"), &self.config(config), options)
    }

    /// Runs a container until it stops; returns its standard output and error joined, and its exit status.
    pub fn output(&self, config: &Value) -> (String, ExitStatus) {
        let options = ProcessOptions { stdio: [Stdio::Null, Stdio::Pipe, Stdio::Pipe], ..ProcessOptions::default() };
        let container = self.run(config, &options).unwrap_or_else(|error| panic!("{error} {:?}", error.detail));
        let process = container.init_process().unwrap();
        let text = read_all(&process);
        let status = container.wait(LONG).unwrap();
        container.delete(Force::No).unwrap();
        (text, status)
    }

    /// Runs a container that must exit with 0, and returns its output.
    pub fn stdout_of(&self, config: &Value) -> String {
        let (text, status) = self.output(config);
        assert_eq!(status, ExitStatus::Exited(0), "{text}");
        text
    }
}

impl Drop for TestRuntime {
    fn drop(&mut self) {
        for container in self.runtime.list().unwrap_or_default() {
            let _ = container.delete(Force::Kill);
        }
    }
}

/// Reads a process's output pipes until it closes them.
pub fn read_all(process: &Process) -> String {
    use std::io::Read;
    let [_, out, err] = process.take_stdio();
    let reader = |fd: Option<std::os::fd::OwnedFd>| {
        std::thread::spawn(move || {
            let mut text = String::new();
            if let Some(fd) = fd {
                let _ = std::fs::File::from(fd).read_to_string(&mut text);
            }
            text
        })
    };
    let (out, err) = (reader(out), reader(err));
    out.join().unwrap() + &err.join().unwrap()
}

pub fn quiet() -> ProcessOptions {
    ProcessOptions { stdio: [Stdio::Null; 3], ..ProcessOptions::default() }
}

pub fn piped() -> ProcessOptions {
    ProcessOptions { stdio: [Stdio::Null, Stdio::Pipe, Stdio::Pipe], ..ProcessOptions::default() }
}
