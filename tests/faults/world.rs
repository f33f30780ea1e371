//! Where a verb is run: a state root with another container beside the one that is worked on, and what must hold
//! afterwards.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::common::{leftovers, rootfs, shell, unique};
use crate::driver::{Call, Fault, Outcome, Traced};

/// No call lasts longer, whatever fails.
const LONGEST: Duration = Duration::from_secs(60);

pub struct World {
    dir: tempfile::TempDir,
    /// The container that is worked on.
    pub id: String,
    other: Other,
}

/// The container that must stay as it is.
struct Other {
    id: String,
    pid: i32,
    record: Vec<u8>,
}

/// A command that has ended.
pub struct Ended {
    pub good: bool,
    pub text: String,
}

/// Returns a configuration with some of everything.
fn config(id: &str) -> Value {
    let mut config = shell("sleep 1000");
    config["root"]["path"] = json!(rootfs());
    config["linux"]["cgroupsPath"] = json!(format!("/{id}"));
    config["linux"]["resources"]["memory"] = json!({ "limit": 64 << 20 });
    config["linux"]["resources"]["pids"] = json!({ "limit": 100 });
    config["linux"]["sysctl"] = json!({ "kernel.msgmnb": "4321" });
    config["hooks"] = json!({ "createRuntime": [{ "path": "/bin/true" }] });
    config
}

/// The configuration of a container in a user namespace.
fn mapped_config(id: &str) -> Value {
    let mut config = config(id);
    crate::common::with_user_namespace(&mut config);
    config
}

impl World {
    pub fn new() -> World {
        let dir = tempfile::Builder::new().prefix("berth-test-").tempdir().unwrap();
        std::fs::set_permissions(dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o711)).unwrap();
        let (id, other) = (unique("faulty"), unique("untouched"));
        let mut world = World { dir, id: id.clone(), other: Other { id: other.clone(), pid: 0, record: Vec::new() } };
        std::fs::create_dir(world.path("tmp")).unwrap();
        for (bundle, config) in [("bundle", config(&id)), ("mapped", mapped_config(&id)), ("other", config(&other))] {
            std::fs::create_dir(world.path(bundle)).unwrap();
            std::fs::write(world.path(bundle).join("config.json"), config.to_string()).unwrap();
        }
        world.must(&["run", "--detach", "--bundle", world.text("other").as_str(), &other]);
        world.other.pid = world.pid_of(&other).expect("the other container runs");
        world.other.record = world.record_of_other();
        world
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    fn record_of_other(&self) -> Vec<u8> {
        std::fs::read(self.path("state").join(&self.other.id).join("state.json")).unwrap_or_default()
    }

    fn line(&self, args: &[&str]) -> Vec<String> {
        let mut line = vec![env!("CARGO_BIN_EXE_berth").to_owned(), "--root".to_owned(), self.text("state")];
        if ["checkpoint", "restore"].contains(&args[0]) {
            line.extend(std::env::var("BERTH_TEST_CRIU").map(|criu| ["--criu".to_owned(), criu]).into_iter().flatten());
        }
        line.extend(args.iter().map(|arg| (*arg).to_owned()));
        line
    }

    /// Runs a command of `berth` as it is.
    pub fn berth(&self, args: &[&str]) -> Ended {
        let output = self.path("output-of-check");
        let file = std::fs::File::create(&output).unwrap();
        let mut command = Command::new("timeout");
        // A container keeps the streams, and a checkpoint would need the file.
        let keeps = ["create", "run"].contains(&args[0]);
        let log = ["--log", output.to_str().unwrap()];
        let args = [if keeps { log.as_slice() } else { &[] }, args].concat();
        command.arg(LONGEST.as_secs().to_string()).args(self.line(&args)).stdin(Stdio::null());
        command.env("TMPDIR", self.path("tmp"));
        let stream = || if keeps { Stdio::null() } else { file.try_clone().unwrap().into() };
        command.stdout(stream()).stderr(stream());
        let status = command.spawn().unwrap().wait().unwrap();
        Ended { good: status.success(), text: std::fs::read_to_string(output).unwrap_or_default() }
    }

    pub fn must(&self, args: &[&str]) {
        let ended = self.berth(args);
        assert!(ended.good, "berth {args:?}: {}", ended.text);
    }

    /// Runs a command under the tracer.
    pub fn traced(&self, args: &[&str], also: Option<i32>, fault: Option<(Call, Fault)>) -> (Outcome, String) {
        let path = std::env::var("PATH").unwrap_or_default();
        let environment = [format!("PATH={path}"), format!("TMPDIR={}", self.text("tmp")), "NO_COLOR=1".into()];
        let output = self.path("output");
        let traced =
            Traced { command: &self.line(args), environment: &environment, also, output: &output, longest: LONGEST };
        let outcome = traced.run(fault);
        (outcome, std::fs::read_to_string(output).unwrap_or_default())
    }

    fn state_of(&self, id: &str) -> Option<Value> {
        let ended = self.berth(&["state", id]);
        ended.good.then(|| serde_json::from_str(&ended.text).ok()).flatten()
    }

    pub fn pid_of(&self, id: &str) -> Option<i32> {
        self.state_of(id)?["pid"].as_i64().map(|pid| pid as i32)
    }

    pub fn pid(&self) -> Option<i32> {
        self.pid_of(&self.id)
    }

    pub fn status(&self) -> Option<String> {
        self.state_of(&self.id)?["status"].as_str().map(str::to_owned)
    }

    /// Removes the container with one forced delete, and says what is not as it must be afterwards.
    pub fn cleaned(&self) -> Result<(), String> {
        reap();
        if self.nothing_is_left().is_ok() {
            return self.other_is_untouched();
        }
        let deleted = self.berth(&["delete", "--force", &self.id]);
        if !deleted.good {
            return Err(format!("a forced delete fails: {}", deleted.text));
        }
        let deadline = Instant::now() + Duration::from_secs(10);
        while let Err(left) = self.nothing_is_left() {
            if Instant::now() > deadline {
                return Err(format!("after a forced delete: {left}"));
            }
            reap();
            std::thread::sleep(Duration::from_millis(1));
        }
        let _ = std::fs::remove_dir_all(self.path("images"));
        self.other_is_untouched()
    }

    fn nothing_is_left(&self) -> Result<(), String> {
        let mut processes = leftovers::children();
        processes.retain(|pid| *pid != self.other.pid);
        let mut states = leftovers::files(&self.path("state"));
        states.retain(|path| !path.ends_with(&self.other.id) && !path.ends_with(".lock"));
        let left: [(&str, Vec<String>); 5] = [
            ("processes", processes.iter().map(|pid| described(*pid)).collect()),
            ("cgroups", shown(&leftovers::cgroups(&self.id))),
            ("states", shown(&states)),
            ("temporary files", shown(&leftovers::files(&self.path("tmp")))),
            ("mounts", leftovers::mounts(self.dir.path().to_str().unwrap())),
        ];
        let left: Vec<String> = left.iter().filter(|kind| !kind.1.is_empty()).map(|kind| format!("{kind:?}")).collect();
        if left.is_empty() { Ok(()) } else { Err(left.join(", ")) }
    }

    fn other_is_untouched(&self) -> Result<(), String> {
        let frozen = std::fs::read_to_string(format!("/proc/{}/wchan", self.other.pid)).unwrap_or_default();
        if self.record_of_other() != self.other.record {
            return Err("the other container's record has changed".into());
        }
        let state = std::fs::read_to_string(format!("/proc/{}/stat", self.other.pid)).unwrap_or_default();
        let runs = state.contains(") S ") || state.contains(") R ");
        if !runs || frozen.contains("freez") {
            return Err(format!("the other container's process is {state:?}, waiting in {frozen:?}"));
        }
        Ok(())
    }

    /// Says whether the id can be used again.
    pub fn usable_again(&self) -> Result<(), String> {
        let created = self.berth(&["create", "--bundle", &self.text("bundle"), &self.id]);
        if !created.good {
            return Err(format!("the id is not usable: {}", created.text));
        }
        self.cleaned()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        for id in [&self.id, &self.other.id] {
            self.berth(&["delete", "--force", id]);
        }
        reap();
    }
}

fn shown(paths: &[PathBuf]) -> Vec<String> {
    paths.iter().map(|path| path.display().to_string()).collect()
}

fn described(pid: i32) -> String {
    let read = |name: &str| std::fs::read_to_string(Path::new("/proc").join(pid.to_string()).join(name));
    format!("{pid} {:?} in {:?}", read("comm").unwrap_or_default().trim(), read("wchan").unwrap_or_default())
}

/// Reaps the orphans that have ended.
fn reap() {
    // SAFETY: no status is asked for.
    while unsafe { libc::waitpid(-1, std::ptr::null_mut(), libc::WNOHANG | libc::__WALL) } > 0 {}
}
