//! OCI `linux.resources.unified`: names of v2 files and the text to write to each.

use std::collections::{BTreeMap, HashMap};

use crate::cgroup::journal::LimitTarget;
use crate::error::Result;
use crate::spec::unified::{FIELD, check};

/// Returns the controllers that the files belong to.
pub fn controllers(files: &HashMap<String, String>) -> Vec<&str> {
    let mut controllers: Vec<&str> = files.keys().filter_map(|name| Some(name.split_once('.')?.0)).collect();
    controllers.sort_unstable();
    controllers.dedup();
    controllers
}

pub fn apply(place: LimitTarget, files: &HashMap<String, String>) -> Result<()> {
    check(files, FIELD)?;
    // Sorted, so that the order of writes is deterministic.
    for (name, value) in files.iter().collect::<BTreeMap<_, _>>() {
        let field = format!("{FIELD}[{name:?}]");
        // A file with one line for each key accepts one key per write.
        for line in value.lines().filter(|line| !line.trim().is_empty()) {
            match line.split_once(' ') {
                Some((key, rest)) if key.contains(':') || key == "default" => {
                    place.set_keyed(name, key, rest, absent(name), &field)?;
                }
                _ => place.set(name, line, &field)?,
            }
        }
    }
    Ok(())
}

/// Returns the value that removes a key's line.
fn absent(file: &str) -> &'static str {
    match file {
        "io.max" => "rbps=max wbps=max riops=max wiops=max",
        "io.latency" => "target=0",
        _ => "default",
    }
}
