//! What the integration tests share: a root filesystem, bundles, a state root, and a container that cleans up.
#![allow(dead_code)] // each test program uses its part
#![allow(unused_imports)] // as above

mod apparmor;
mod edit;
mod table;
mod wait;

pub use apparmor::*;
pub use edit::*;
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

/// A generous bound for everything that should take milliseconds: slow machines and emulators included.
pub const LONG: i64 = 120_000;

/// The root filesystem that all tests read: busybox and its applets.
pub fn rootfs() -> &'static Path {
    static ROOTFS: OnceLock<PathBuf> = OnceLock::new();
    ROOTFS.get_or_init(|| {
        let path = std::env::var_os("BERTH_TEST_ROOTFS").map(PathBuf::from);
        path.unwrap_or_else(|| {
            let target = std::env::current_exe().unwrap().ancestors().nth(3).unwrap().to_owned();
            let path = target.join("test-rootfs");
            let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tools/rootfs");
            // Several test programs may start at once: each makes its own and puts it in place whole.
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

/// The CRIU that the tests bring, or the one that the environment names.
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

/// A name that no other test has.
pub fn unique(name: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("test-{name}-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// `runc spec`'s configuration without a terminal, running a shell script.
pub fn shell(script: &str) -> Value {
    let mut config: Value = serde_json::from_str(&Config::default_json()).unwrap();
    config["process"]["terminal"] = json!(false);
    config["process"]["args"] = json!(["/bin/sh", "-c", script]);
    config
}

/// A state root and the containers made in it; all gone when dropped.
pub struct Host {
    pub dir: tempfile::TempDir,
    pub runtime: Runtime,
}

impl Host {
    pub fn new() -> Host {
        Host::with(|_| {})
    }

    /// With other settings of the runtime.
    pub fn with(change: impl FnOnce(&mut Settings)) -> Host {
        let dir = tempfile::Builder::new().prefix("berth-test-").tempdir().unwrap();
        let mut settings = Settings { root: dir.path().join("state"), ..Settings::default() };
        change(&mut settings);
        Host { runtime: Runtime::new(settings).unwrap(), dir }
    }

    pub fn config(&self, config: &Value) -> Config {
        Config::from_json(&config.to_string(), Some(rootfs())).unwrap()
    }

    pub fn create(&self, config: &Value, options: &ProcessOptions) -> berth::Result<Container> {
        Container::create(&self.runtime, &unique("c"), &self.config(config), options)
    }

    pub fn run(&self, config: &Value, options: &ProcessOptions) -> berth::Result<Container> {
        Container::run(&self.runtime, &unique("c"), &self.config(config), options)
    }

    /// Runs to the end; standard output and error as one text.
    pub fn output(&self, config: &Value) -> (String, ExitStatus) {
        let options = ProcessOptions { stdio: [Stdio::Null, Stdio::Pipe, Stdio::Pipe], ..ProcessOptions::default() };
        let container = self.run(config, &options).unwrap_or_else(|error| panic!("{error} {:?}", error.detail));
        let process = container.init_process().unwrap();
        let text = read_all(&process);
        let status = container.wait(LONG).unwrap();
        container.delete(Force::No).unwrap();
        (text, status)
    }

    /// The same for a script that must succeed.
    pub fn stdout_of(&self, config: &Value) -> String {
        let (text, status) = self.output(config);
        assert_eq!(status, ExitStatus::Exited(0), "{text}");
        text
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        for container in self.runtime.list().unwrap_or_default() {
            let _ = container.delete(Force::Kill);
        }
    }
}

/// Everything that a process writes to its pipes, until it closes them.
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
