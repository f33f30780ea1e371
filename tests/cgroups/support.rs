//! The cgroups of one test, removed with all their processes when the test ends.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use berth::cgroup::{self, Cgroup, Layout};
use oci_spec::runtime::LinuxResources;

pub struct Group {
    pub layout: Layout,
    pub cgroup: Box<dyn Cgroup>,
    children: Vec<Child>,
}

/// Returns a name that is unique among all tests and runs, and contains the name of the run.
pub fn unique() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let run = std::env::var("BERTH_TEST_RUN").unwrap_or_else(|_| "run".into());
    format!("berth-test-{run}-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

pub fn soon() -> Instant {
    Instant::now() + Duration::from_secs(10)
}

pub fn json(text: &str) -> LinuxResources {
    serde_json::from_str(text).unwrap()
}

impl Group {
    /// Creates the cgroups; prints why and returns `None` if the test cannot run.
    pub fn new() -> Option<Group> {
        Group::at(&format!("/{}", unique()))
    }

    pub fn at(path: &str) -> Option<Group> {
        // SAFETY: the call takes no arguments.
        if unsafe { libc::geteuid() } != 0 {
            eprintln!("SKIPPED: needs root");
            return None;
        }
        let layout = cgroup::plan(Some(Path::new(path)), "unused").unwrap();
        let cgroup = cgroup::open(&layout).unwrap();
        cgroup.create().unwrap();
        Some(Group { layout, cgroup, children: Vec::new() })
    }

    /// Returns the directory of a v1 controller, or the v2 directory if that has the controller.
    pub fn controller(&self, name: &str) -> Option<PathBuf> {
        let in_tree = |tree: &&PathBuf| {
            let list = std::fs::read_to_string(tree.join("cgroup.controllers")).unwrap();
            list.split_whitespace().any(|present| present == name)
        };
        let found = self.layout.paths.get(name).or_else(|| self.layout.paths.get("").filter(in_tree));
        if found.is_none() {
            eprintln!("SKIPPED: the host has no {name} controller");
        }
        found.cloned()
    }

    pub fn is_v1(&self, name: &str) -> bool {
        self.layout.paths.contains_key(name)
    }

    /// Starts a shell script in the cgroup; returns its pid once it runs there.
    pub fn run(&mut self, script: &str) -> i32 {
        let mut child = Command::new("sh")
            .args(["-c", &format!("read go; {script}")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let pid = child.id() as i32;
        self.cgroup.attach(pid).unwrap();
        child.stdin.take().unwrap().write_all(b"go\n").unwrap();
        self.children.push(child);
        pid
    }

    /// Runs a shell script in the cgroup; returns its exit code and output.
    pub fn output(&mut self, script: &str) -> (Option<i32>, String) {
        self.run(script);
        let output = self.children.pop().unwrap().wait_with_output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8_lossy(&text).into_owned())
    }

    pub fn pids(&self) -> Vec<i32> {
        self.cgroup.pids().unwrap()
    }

    /// Returns whether no directory of the layout exists any more.
    pub fn is_gone(&self) -> bool {
        self.layout.paths.values().chain(&self.layout.made).all(|path| !path.exists())
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let killed = self.cgroup.kill_all(soon());
        for child in &mut self.children {
            let _ = child.wait();
        }
        let removed = self.cgroup.remove(soon());
        if !std::thread::panicking() {
            killed.unwrap();
            removed.unwrap();
        }
    }
}

/// Polls the condition for at most a minute.
pub fn eventually(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !condition() {
        assert!(Instant::now() < deadline, "never happened: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

pub fn read(dir: &Path, file: &str) -> String {
    std::fs::read_to_string(dir.join(file)).unwrap().trim().to_owned()
}
