//! Finds the host's resctrl filesystem.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::sys::{kernfs, mountinfo, procfs};

/// The field that needs resctrl.
pub const FIELD: &str = "linux.intelRdt";

/// Returns the mount point of the whole filesystem. Without one, the error says what would help.
pub fn find() -> Result<PathBuf> {
    let table = mountinfo::read("self")?;
    // A mount hidden below another one is listed but not reachable: whatever the error, it is of no use.
    match mounts(&table).into_iter().find(|point| kernfs::exists(&point.join("schemata")).unwrap_or(false)) {
        Some(point) => Ok(point),
        None => Err(Error::unsupported_field(FIELD, reason(&procfs::read("filesystems")?))),
    }
}

/// Whether the whole filesystem is mounted there.
pub fn is_mounted(point: &Path) -> Result<bool> {
    Ok(mounts(&mountinfo::read("self")?).iter().any(|found| found == point))
}

pub fn mounts(table: &[u8]) -> Vec<PathBuf> {
    let whole = mountinfo::parse(table).filter(|mount| mount.kind == "resctrl" && mount.shows_all());
    whole.map(|mount| mount.point.into_owned()).collect()
}

/// The kernel registers the filesystem only if the processor supports it.
fn reason(filesystems: &str) -> &'static str {
    if procfs::has_filesystem(filesystems, "resctrl") {
        "no resctrl filesystem is mounted; expected one: mount -t resctrl resctrl /sys/fs/resctrl"
    } else {
        "no resctrl filesystem is mounted, and this processor or this kernel has none; leave the field out, or use a \
         host with Intel RDT"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mount_of_the_whole_is_found() {
        let mountinfo = "31 23 0:27 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw\n\
                         58 23 0:30 /web /srv/part rw - resctrl resctrl rw\n\
                         57 23 0:30 / /sys/fs/re\\040sctrl rw,relatime shared:30 - resctrl resctrl rw,mba_MBps\n";
        assert_eq!(mounts(mountinfo.as_bytes()), [PathBuf::from("/sys/fs/re sctrl")]);
        assert_eq!(mounts(b""), Vec::<PathBuf>::new());
    }

    #[test]
    fn a_missing_feature_is_named() {
        assert!(reason("nodev\tcgroup2\nnodev\tresctrl\n").contains("mount -t resctrl"));
        assert!(reason("nodev\tcgroup2\n\text4\n").contains("this processor or this kernel has none"));
    }
}
