//! Chooses the device nodes to bind-mount in a user namespace, where mknod(2) of devices is forbidden.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use berth_init::fields::Device;
use nix::sys::stat::{SFlag, major, minor};
use serde_json::{Value, json};

use crate::error::{Code, Error, Result};
use crate::spec::idmap;
use crate::spec::oci::{LinuxIdMapping, Spec};
use crate::sys::procfs;

/// A node that the caller creates in the state directory if init may not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallerNode {
    pub path: PathBuf,
    /// The permissions and the file type.
    pub mode: u32,
    pub device: Device,
    /// The user, as an id of the host.
    pub uid: u32,
    /// The group, as an id of the host.
    pub gid: u32,
}

impl CallerNode {
    pub fn explain(&self) -> Value {
        let CallerNode { device, uid, gid, .. } = self;
        let path = self.path.display();
        let mode = self.mode & 0o7777;
        json!({ "text": format!("creating the device {path} ({device}, mode {mode:04o}) of uid {uid}, gid {gid}") })
    }
}

/// Whether the caller can create nodes that work as devices in a user namespace. Nodes on a filesystem that was mounted
/// in a user namespace do not.
pub fn can_make() -> Result<bool> {
    let has = |capability| {
        caps::has_cap(None, caps::CapSet::Effective, capability)
            .map_err(|error| Error::new(Code::System, format!("reading the caller's capabilities: {error}")))
    };
    let all = has(caps::Capability::CAP_MKNOD)? && has(caps::Capability::CAP_CHOWN)?;
    Ok(all && has(caps::Capability::CAP_SYS_ADMIN)? && !procfs::in_user_namespace()?)
}

/// Returns the host's ids for an owner in the container, by the configured mappings. Returns `None` without mappings
/// (if a user namespace is joined) and for ids that are not mapped.
pub fn host_owner(spec: &Spec, uid: u32, gid: u32) -> Option<(u32, u32)> {
    let linux = spec.linux().as_ref()?;
    let host = |maps: &Option<Vec<LinuxIdMapping>>, id| idmap::to_host(maps.as_deref().unwrap_or_default(), id);
    Some((host(linux.uid_mappings(), uid)?, host(linux.gid_mappings(), gid)?))
}

/// Finds the host's node of a device: at the same path, or at the name that the kernel gives the device.
pub fn find(path: &Path, kind: u32, device: Device) -> Option<PathBuf> {
    // What cannot be examined is not found.
    let is_it = |path: &PathBuf| {
        path.metadata().is_ok_and(|found| {
            let number = found.rdev();
            SFlag::from_bits_truncate(found.mode()) & SFlag::S_IFMT == SFlag::from_bits_truncate(kind)
                && (major(number), minor(number)) == (device.major.into(), device.minor.into())
        })
    };
    let named = || {
        let class = if kind == libc::S_IFBLK { "block" } else { "char" };
        let uevent = std::fs::read_to_string(format!("/sys/dev/{class}/{device}/uevent")).ok()?;
        let name = uevent.lines().find_map(|line| line.strip_prefix("DEVNAME="))?;
        Some(Path::new("/dev").join(name))
    };
    Some(path.to_owned()).filter(is_it).or_else(|| named().filter(is_it))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_found_by_its_numbers() {
        let null = Some(PathBuf::from("/dev/null"));
        assert_eq!(find(Path::new("/dev/null"), libc::S_IFCHR, Device { major: 1, minor: 3 }), null);
        assert_eq!(find(Path::new("/nowhere/x"), libc::S_IFCHR, Device { major: 1, minor: 3 }), null);
        assert_eq!(
            find(Path::new("/dev/zero"), libc::S_IFCHR, Device { major: 1, minor: 3 }),
            null,
            "another device of that path"
        );
        assert_eq!(find(Path::new("/dev/null"), libc::S_IFBLK, Device { major: 1, minor: 3 }), None);
        assert_eq!(find(Path::new("/dev/null"), libc::S_IFCHR, Device { major: 4000, minor: 3 }), None);
    }
}
