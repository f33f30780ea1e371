//! Device nodes that the caller creates because init, in a user namespace, cannot: they are bind-mounted.

use std::path::PathBuf;

use nix::fcntl::{AtFlags, OFlag, openat};
use nix::sys::stat::{FchmodatFlags, Mode, SFlag, fchmodat, makedev, mkdirat, mknodat};
use nix::unistd::{Gid, Uid, fchownat};

use super::Directory;
use crate::error::{Context, Result};
use crate::plan::CallerNode;

/// The directory of the device nodes that are bind-mounted in a user namespace, where init cannot create nodes.
pub const DEVICES: &str = "devices";

impl Directory {
    pub fn devices(&self) -> PathBuf {
        self.path.join(DEVICES)
    }

    /// Creates the device nodes that a container bind-mounts, with the mode and owner that they have in the container.
    pub fn make_devices(&self, nodes: &[CallerNode]) -> Result<()> {
        if nodes.is_empty() {
            return Ok(());
        }
        let doing = || format!("creating {}", self.devices().display());
        mkdirat(&self.fd, DEVICES, Mode::S_IRWXU).context(doing)?;
        let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let directory = openat(&self.fd, DEVICES, flags, Mode::empty()).context(doing)?;
        for node in nodes {
            let doing = || format!("creating the device {}", node.path.display());
            let name = node.path.file_name().unwrap_or_default();
            let (kind, mode) = (SFlag::from_bits_truncate(node.mode), Mode::from_bits_truncate(node.mode));
            let device = makedev(node.device.major.into(), node.device.minor.into());
            let (uid, gid) = (Uid::from_raw(node.uid), Gid::from_raw(node.gid));
            mknodat(&directory, name, kind & SFlag::S_IFMT, Mode::empty(), device).context(doing)?;
            fchownat(&directory, name, Some(uid), Some(gid), AtFlags::AT_SYMLINK_NOFOLLOW).context(doing)?;
            // fchmodat, unlike mknodat, ignores the caller's umask.
            fchmodat(&directory, name, mode, FchmodatFlags::FollowSymlink).context(doing)?;
        }
        Ok(())
    }
}
