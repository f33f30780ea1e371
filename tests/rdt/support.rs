//! Helpers that read resctrl, and containers with `intelRdt`.

use std::path::{Path, PathBuf};
use std::process::Command;

use berth::Container;
use serde_json::{Value, json};

use crate::common::{shell, unique};

pub const MOUNT: &str = "/sys/fs/resctrl";

/// Returns whether resctrl must exist: in a virtual machine that was started with it. Only there the tests mount it.
pub fn expected() -> bool {
    let promised = std::fs::read_to_string("/proc/cmdline").unwrap().contains("berth.resctrl");
    if promised {
        let filesystems = std::fs::read_to_string("/proc/filesystems").unwrap();
        assert!(filesystems.contains("resctrl"), "the virtual machine was to have resctrl");
    }
    promised || mounted()
}

pub fn mounted() -> bool {
    Path::new(MOUNT).join("schemata").exists()
}

/// Mounts or unmounts resctrl in the virtual machine; a host's own mount is left alone.
pub fn mount(wanted: bool) {
    if wanted != mounted() {
        let mut command = Command::new(if wanted { "mount" } else { "umount" });
        let command = if wanted { command.args(["-t", "resctrl", "resctrl", MOUNT]) } else { command.arg(MOUNT) };
        assert!(command.status().unwrap().success());
    }
}

pub fn at(group: &str, file: &str) -> PathBuf {
    Path::new(MOUNT).join(group).join(file)
}

pub fn read(group: &str, file: &str) -> String {
    let path = at(group, file);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Returns the line of a resource, with all its domains.
pub fn line(group: &str, resource: &str) -> String {
    let text = read(group, "schemata");
    let line = text.lines().map(|line| line.replace(' ', "")).find(|line| line.starts_with(&format!("{resource}:")));
    line.unwrap_or_else(|| panic!("no {resource} in {text}"))
}

pub fn tasks(group: &str) -> Vec<i32> {
    read(group, "tasks").lines().map(|line| line.parse().unwrap()).collect()
}

/// Lists the classes, without the root class.
pub fn classes() -> Vec<String> {
    let entries = std::fs::read_dir(MOUNT).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = entries.filter(|name| at(name, "tasks").exists()).collect();
    names.sort();
    names
}

pub fn init(container: &Container) -> i32 {
    let state: Value = serde_json::from_str(&container.state_json().unwrap()).unwrap();
    state["pid"].as_i64().unwrap() as i32
}

pub fn config(rdt: Value) -> Value {
    let mut config = shell("sleep 1000 & sleep 1000 & wait");
    config["linux"]["intelRdt"] = rdt;
    config
}

/// A class as an administrator creates it. Removed on drop.
pub struct Class(pub String);

impl Class {
    pub fn named(name: &str) -> Class {
        Class(unique(name))
    }

    pub fn made(name: &str) -> Class {
        let class = Class::named(name);
        std::fs::create_dir(at(&class.0, "")).unwrap();
        class
    }

    pub fn exists(&self) -> bool {
        at(&self.0, "tasks").exists()
    }
}

impl Drop for Class {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir(at(&self.0, ""));
    }
}

/// Returns a configuration with shares of all kinds.
pub fn full() -> Value {
    json!({
        "l3CacheSchema": "L3:0=f;1=f0", "memBwSchema": "MB:0=50", "schemata": ["L2:0=3", "L3:1=f00"],
        "enableMonitoring": true,
    })
}
