//! The mounts of the caller's namespace that a new root filesystem is attached among.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::error::Result;
use crate::sys::mountinfo;

/// Returns the mounts of the caller's namespace that would let a process bypass masks if it escaped from its root:
/// complete procfs and sysfs mounts, the latest first. Those beneath the root filesystem belong to the container.
pub fn revealing_mounts(rootfs: &Path) -> Result<Vec<PathBuf>> {
    let table = mountinfo::read("self")?;
    let reveals = |mount: &mountinfo::Mount| mount.shows_all() && ["proc", "sysfs"].contains(&mount.kind.as_ref());
    let mut found: Vec<PathBuf> = mountinfo::parse(&table)
        .filter(|mount| reveals(mount) && !mount.point.starts_with(rootfs))
        .map(|mount| mount.point.into_owned())
        .collect();
    found.reverse();
    Ok(found)
}

/// Returns the mounts that must not propagate to the host before `hidden` is unmounted and the root is moved onto "/":
/// an unmount propagates through the parent mount's peers (mount_namespaces(7)), so these are the parents, and the
/// hidden mounts with all below them, whose children are unmounted, too. Other mounts may stay shared with the host on
/// purpose. A mount that covers another one at the same path cannot be addressed; then all mounts are returned.
pub fn cut_for_hiding(hidden: &[PathBuf]) -> Result<Vec<(PathBuf, u64)>> {
    let points = mount_points()?;
    if hidden.iter().any(|path| points.iter().filter(|point| *point == path).count() > 1) {
        return Ok(vec![("/".into(), libc::MS_SLAVE | libc::MS_REC)]);
    }
    let parents = hidden.iter().map(|path| longest(&points, path.parent().unwrap_or(path)));
    let mut cut: BTreeMap<PathBuf, u64> =
        parents.chain([PathBuf::from("/")]).map(|path| (path, libc::MS_SLAVE)).collect();
    cut.extend(hidden.iter().map(|path| (path.clone(), libc::MS_SLAVE | libc::MS_REC)));
    Ok(cut.into_iter().collect())
}

/// Returns the mount point, in the caller's namespace, of the mount that contains a path.
pub fn mount_point_of(path: &Path) -> Result<PathBuf> {
    Ok(longest(&mount_points()?, path))
}

fn mount_points() -> Result<Vec<PathBuf>> {
    let table = mountinfo::read("self")?;
    Ok(mountinfo::parse(&table).map(|mount| mount.point.into_owned()).collect())
}

/// Returns the mount point that contains a path: the longest prefix.
fn longest(points: &[PathBuf], path: &Path) -> PathBuf {
    let holding = points.iter().filter(|point| path.starts_with(point));
    holding.max_by_key(|point| point.as_os_str().len()).cloned().unwrap_or_else(|| "/".into())
}
