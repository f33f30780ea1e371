//! Enables controllers in the v2 hierarchy.

use std::path::Path;

use crate::error::{Error, Result};
use crate::sys::kernfs;

/// The controllers that libberth uses for limits or statistics. It leaves others as the host has them.
pub const MANAGED: [&str; 5] = ["cpu", "cpuset", "io", "memory", "pids"];

/// Enables the available controllers of `wanted` in every cgroup above `leaf`, from the top down.
///
/// A controller that cannot be enabled is no error here: a cgroup above may have processes (EBUSY) or another owner
/// (EACCES). It matters only if a limit needs the controller, and setting that limit then reports what is missing.
pub fn enable(leaf: &Path, wanted: &[&str]) -> Result<()> {
    let above = leaf.ancestors().skip(1).map_while(|directory| match available(directory) {
        Ok(Some(list)) => Some((directory, list)),
        // Above the root of the hierarchy.
        _ => None,
    });
    let above: Vec<(&Path, String)> = above.collect();
    let has = |list: &str, name: &str| list.split_whitespace().any(|present| present == name);
    for (directory, known) in above.into_iter().rev() {
        // A missing controller may have been enabled above by now, by this loop or by somebody else.
        let known = if wanted.iter().all(|name| has(&known, name)) { Some(known) } else { available(directory)? };
        let Some(available) = known else { return Ok(()) };
        let enabled = kernfs::read_optional(directory, "cgroup.subtree_control")?.unwrap_or_default();
        let lacking = wanted.iter().filter(|name| has(&available, name) && !has(&enabled, name));
        let lacking: Vec<String> = lacking.map(|name| format!("+{name}")).collect();
        if lacking.is_empty() {
            continue;
        }
        let write = |value: &str| kernfs::write(directory, "cgroup.subtree_control", value);
        let report = |error: Error| log::debug!("not enabled: {error}");
        if let Err(error) = write(&lacking.join(" ")) {
            report(error);
            if lacking.len() > 1 {
                lacking.iter().for_each(|one| write(one).unwrap_or_else(report));
            }
        }
    }
    Ok(())
}

fn available(directory: &Path) -> Result<Option<String>> {
    kernfs::read_optional(directory, "cgroup.controllers")
}
