//! Delegates a cgroup: a container whose cgroup mount is writable creates cgroups there (OCI runtime specification,
//! "Cgroup ownership").

use std::os::fd::AsFd;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::AtFlags;
use nix::unistd::{Uid, fchownat};

use crate::error::{Context, Result};
use crate::sys::kernfs;

/// The kernel's list of the files that may be delegated; without it, the list in cgroups(7) applies.
const DELEGATED: &str = "/sys/kernel/cgroup/delegate";
const ALWAYS: &str = "cgroup.procs\ncgroup.subtree_control\ncgroup.threads\n";

/// Changes the owner of a cgroup's directory and of the files in the list, none of which is a limit of the cgroup
/// itself. Does nothing if the caller lacks the privilege.
pub fn give(dir: &Path, uid: u32) -> Result<()> {
    let fd = kernfs::open_dir(dir)?;
    let listed = std::fs::read_to_string(DELEGATED).unwrap_or_else(|_| ALWAYS.to_owned());
    for name in listed.lines().chain(["."]) {
        match fchownat(fd.as_fd(), name, Some(Uid::from_raw(uid)), None, AtFlags::AT_SYMLINK_NOFOLLOW) {
            // The file exists only in the root cgroup, or its controller is not enabled.
            Err(Errno::ENOENT) => {}
            Err(Errno::EPERM) => {
                log::debug!("not delegating {}: the caller may not change its owner", dir.display());
                return Ok(());
            }
            other => other.context(|| format!("changing the owner of {} in {} to uid {uid}", name, dir.display()))?,
        }
    }
    Ok(())
}
