//! Who owns a cgroup: a container that has its part of the tree read-write makes cgroups of its own there (OCI runtime
//! specification, "Cgroup ownership").

use std::os::fd::AsFd;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::AtFlags;
use nix::unistd::{Uid, fchownat};

use crate::error::{Context, Result};
use crate::sys::kernfs;

/// The kernel's own list of what may be handed down, and what cgroups(7) says where it has none.
const DELEGATED: &str = "/sys/kernel/cgroup/delegate";
const ALWAYS: &str = "cgroup.procs\ncgroup.subtree_control\ncgroup.threads\n";

/// Hands a cgroup's directory and the files of the list over; nothing that is a limit of it is among them. A caller that may
/// not do so (one without privileges) leaves it as it is.
pub fn give(dir: &Path, uid: u32) -> Result<()> {
    let fd = kernfs::open_dir(dir)?;
    let listed = std::fs::read_to_string(DELEGATED).unwrap_or_else(|_| ALWAYS.to_owned());
    for name in listed.lines().chain(["."]) {
        match fchownat(fd.as_fd(), name, Some(Uid::from_raw(uid)), None, AtFlags::AT_SYMLINK_NOFOLLOW) {
            // The root's own, or of a controller that is not enabled.
            Err(Errno::ENOENT) => {}
            Err(Errno::EPERM) => {
                log::debug!("{} stays its owner's: the caller may not hand it over", dir.display());
                return Ok(());
            }
            other => other.context(|| format!("handing {} of {} over to uid {uid}", name, dir.display()))?,
        }
    }
    Ok(())
}
