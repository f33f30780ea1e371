//! The cpuset controller of cgroup v1.

use std::path::Path;

use oci_spec::runtime::LinuxCpu;

use crate::cgroup::journal::LimitTarget;
use crate::error::Result;
use crate::sys::kernfs;

/// Returns the fields of this controller (v1 and v2) that have a value: file, value, JSON path.
pub fn fields(cpu: &LinuxCpu) -> impl Iterator<Item = (&'static str, &str, &'static str)> {
    let cpus = cpu.cpus().as_deref().map(|value| ("cpuset.cpus", value, "linux.resources.cpu.cpus"));
    let mems = cpu.mems().as_deref().map(|value| ("cpuset.mems", value, "linux.resources.cpu.mems"));
    [cpus, mems].into_iter().flatten().filter(|(_, value, _)| !value.trim().is_empty())
}

pub fn apply(place: LimitTarget, cpu: &LinuxCpu) -> Result<()> {
    fields(cpu).try_for_each(|(file, value, field)| place.set(file, value, field))
}

/// Copies CPUs and memory nodes from the nearest cgroup above that has them. A new v1 cpuset has none, and accepts no
/// process before they are set.
pub fn inherit(dir: &Path) -> Result<()> {
    for file in ["cpuset.cpus", "cpuset.mems"] {
        inherit_file(dir, file)?;
    }
    Ok(())
}

fn inherit_file(dir: &Path, file: &str) -> Result<()> {
    let mut empty = Vec::new();
    for above in dir.ancestors() {
        match kernfs::read_optional(above, file)? {
            Some(text) if text.trim().is_empty() => empty.push(above),
            Some(text) => {
                return empty.iter().rev().try_for_each(|below| kernfs::write(below, file, text.trim()));
            }
            None => break,
        }
    }
    Ok(())
}
