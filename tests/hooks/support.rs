//! Hooks that record what they get, and checks of what is left.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::common::*;

pub const SOON: Duration = Duration::from_secs(20);

pub fn hook(path: &Path, args: &[&str]) -> Value {
    json!({ "path": path, "args": args })
}

pub fn add(config: &mut Value, kind: &str, hook: Value) {
    if config["hooks"][kind].is_null() {
        config["hooks"][kind] = json!([]);
    }
    config["hooks"][kind].as_array_mut().unwrap().push(hook);
}

/// Writes a hook that appends its name and the state that it gets to a log on the host; returns (hook, log).
pub fn recorder(test: &TestRuntime) -> (std::path::PathBuf, std::path::PathBuf) {
    let (program, log) = (test.path("recorder"), test.path("log"));
    // A single write(2), so that lines of concurrent hooks do not mix.
    script(&program, &format!("state=$(cat); echo \"$0 $1 $state\" >>{}", log.display()));
    (program, log)
}

/// Returns the kinds and states in a log.
pub fn entries(log: &Path) -> Vec<(String, Value)> {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let entry = |line: &str| {
        let (head, state) = line.split_at(line.find('{').unwrap());
        (head.trim().rsplit(' ').next().unwrap().to_owned(), serde_json::from_str(state).unwrap())
    };
    text.lines().map(entry).collect()
}

/// Asserts that a failed create left nothing.
pub fn assert_nothing_left(test: &TestRuntime, cgroup: &str) {
    assert!(test.runtime.ids().unwrap().is_empty());
    let found = std::process::Command::new("find").args(["/sys/fs/cgroup", "-maxdepth", "3", "-name", cgroup]).output();
    assert_eq!(String::from_utf8_lossy(&found.unwrap().stdout), "");
}
