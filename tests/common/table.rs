//! Helpers for tests of mounts: parsing mountinfo, bind mounts, and bundles with a root filesystem of their own.

use std::path::Path;

use berth::Container;
use berth::spec::Config;
use serde_json::{Value, json};

use super::{LONG, TestRuntime, piped, read_all, unique};

/// The fields of a line of /proc/self/mountinfo.
#[derive(Debug)]
pub struct Mounted {
    pub options: Vec<String>,
    pub optional: String,
    pub kind: String,
    pub super_options: Vec<String>,
}

pub fn mounted(mountinfo: &str, point: &str) -> Mounted {
    let line = mountinfo.lines().rfind(|line| line.split(' ').nth(4) == Some(point));
    let line = line.unwrap_or_else(|| panic!("nothing on {point}:\n{mountinfo}"));
    let (before, after) = line.split_once(" - ").unwrap();
    let fields: Vec<&str> = before.split(' ').collect();
    let after: Vec<&str> = after.split(' ').collect();
    let list = |text: &str| text.split(',').map(str::to_owned).collect();
    Mounted {
        options: list(fields[5]),
        optional: fields[6..].join(" "),
        kind: after[0].into(),
        super_options: list(after[2]),
    }
}

pub const TABLE: &str = "exec cat /proc/self/mountinfo";

pub fn bind(source: &Path, destination: &str, options: &[&str]) -> Value {
    json!({ "destination": destination, "type": "bind", "source": source, "options": options })
}

/// Runs a container from a bundle, and returns its output.
pub fn in_bundle(test: &TestRuntime, bundle: &Path) -> berth::Result<String> {
    let config = Config::from_bundle(bundle)?;
    let container = Container::run(&test.runtime, &unique("m"), &config, &piped())?;
    let text = read_all(&container.init_process().unwrap());
    container.wait(LONG)?;
    container.delete(berth::Force::No)?;
    Ok(text)
}
