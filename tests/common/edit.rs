//! Helpers that change a configuration and that read facts about a running container.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use berth::spec::{self, oci};
use berth::{Container, ExitStatus};
use serde_json::{Value, json};

use super::{LONG, TestRuntime, piped, read_all, rootfs};

/// Pairs of a namespace's name in a configuration and its name in /proc/<pid>/ns.
pub const NAMESPACES: [(&str, &str); 8] = [
    ("cgroup", "cgroup"),
    ("ipc", "ipc"),
    ("mount", "mnt"),
    ("network", "net"),
    ("pid", "pid"),
    ("time", "time"),
    ("user", "user"),
    ("uts", "uts"),
];

pub fn without_namespace(config: &mut Value, kind: &str) {
    namespaces(config).retain(|namespace| namespace["type"] != kind);
}

pub fn with_namespace(config: &mut Value, kind: &str) {
    without_namespace(config, kind);
    namespaces(config).push(json!({ "type": kind }));
}

pub fn join_namespace(config: &mut Value, kind: &str, path: &str) {
    without_namespace(config, kind);
    namespaces(config).push(json!({ "type": kind, "path": path }));
}

fn namespaces(config: &mut Value) -> &mut Vec<Value> {
    config["linux"]["namespaces"].as_array_mut().unwrap()
}

pub const ID_BASE: u32 = 100_000;
pub const ID_COUNT: u32 = 65_536;

/// Adds a new user namespace whose ids are mapped to host ids from [`ID_BASE`] on.
pub fn with_user_namespace(config: &mut Value) {
    with_namespace(config, "user");
    let map = json!([{ "containerID": 0, "hostID": ID_BASE, "size": ID_COUNT }]);
    config["linux"]["uidMappings"] = map.clone();
    config["linux"]["gidMappings"] = map;
}

pub fn push_mount(config: &mut Value, mount: Value) {
    config["mounts"].as_array_mut().unwrap().push(mount);
}

pub fn mount_on<'a>(config: &'a mut Value, destination: &str) -> &'a mut Value {
    let mounts = config["mounts"].as_array_mut().unwrap();
    mounts.iter_mut().find(|mount| mount["destination"] == destination).expect("the mount is there")
}

pub fn writable(config: &mut Value) {
    config["root"]["readonly"] = json!(false);
}

/// Sets the bounding, effective and permitted set to the same capabilities.
pub fn set_capabilities(config: &mut Value, names: &[&str]) {
    config["process"]["capabilities"] = json!({ "bounding": names, "effective": names, "permitted": names });
}

/// Returns a process specification for exec that runs a shell script.
pub fn shell_process(script: &str) -> Value {
    json!({
        "user": { "uid": 0, "gid": 0 },
        "args": ["/bin/sh", "-c", script],
        "env": ["PATH=/bin"],
        "cwd": "/",
    })
}

pub fn parsed(process: &Value) -> oci::Process {
    spec::parse_process(&process.to_string()).unwrap()
}

/// Executes a process, waits until it exits, and returns its output and exit status.
pub fn exec_output(container: &Container, process: &Value) -> (String, ExitStatus) {
    let process = container.exec(&parsed(process), &piped()).unwrap_or_else(|error| panic!("{error}"));
    let text = read_all(&process);
    (text, process.wait(LONG).unwrap())
}

/// Executes a shell script that must succeed, and returns its output.
pub fn exec_shell(container: &Container, script: &str) -> String {
    let (text, status) = exec_output(container, &shell_process(script));
    assert_eq!(status, ExitStatus::Exited(0), "{script}: {text}");
    text
}

/// Returns the path /proc/<pid>/<name> of the container's init.
pub fn proc_of(container: &Container, name: &str) -> PathBuf {
    format!("/proc/{}/{name}", container.init_process().unwrap().pid()).into()
}

/// Returns the container's cgroup directory for a v1 controller; "" means the v2 hierarchy.
pub fn cgroup_of(container: &Container, controller: &str) -> Option<PathBuf> {
    let state: Value = serde_json::from_str(&container.state_json().unwrap()).unwrap();
    state["cgroupPaths"][controller].as_str().map(PathBuf::from)
}

/// Like [`cgroup_of`], but reads the state file: for a container that cannot be loaded.
pub fn cgroup_of_state(root: &Path, id: &str, controller: &str) -> Option<PathBuf> {
    let text = std::fs::read_to_string(root.join(id).join("state.json")).unwrap();
    let state: Value = serde_json::from_str(&text).unwrap();
    state["cgroup"]["paths"][controller].as_str().map(PathBuf::from)
}

/// Returns the value of the line `key:` of /proc/<pid>/status.
pub fn status_line<'a>(status: &'a str, key: &str) -> &'a str {
    let line = status.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
    line.unwrap_or_else(|| panic!("no {key} in {status}")).trim()
}

/// Writes an executable shell script on the host.
pub fn script(path: &Path, text: &str) {
    std::fs::write(path, format!("#!/bin/sh\n{text}\n")).unwrap();
    std::fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
}

impl TestRuntime {
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Creates a directory that every user can read, including users of the container.
    pub fn make_dir(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir(&path).unwrap();
        for open in [self.dir.path(), &path] {
            std::fs::set_permissions(open, Permissions::from_mode(0o755)).unwrap();
        }
        path
    }

    /// Creates a bundle with a copy of the root filesystem, which the test may modify.
    pub fn bundle(&self, name: &str, config: &Value) -> PathBuf {
        let bundle = self.make_dir(name);
        let copied = Command::new("cp").arg("-a").arg(rootfs()).arg(bundle.join("rootfs")).status().unwrap();
        assert!(copied.success());
        self.write_config(&bundle, config);
        bundle
    }

    pub fn write_config(&self, bundle: &Path, config: &Value) {
        std::fs::write(bundle.join("config.json"), config.to_string()).unwrap();
    }
}
