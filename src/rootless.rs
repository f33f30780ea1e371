//! The decision whether a runtime is rootless: whether its containers may do without cgroups of their own.

use nix::unistd::Uid;

use crate::error::Result;
use crate::sys::procfs;

/// Whether new containers do without their own cgroups if the caller lacks the privileges to create them. If the
/// configuration requires cgroups, create fails nevertheless.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rootless {
    /// Every container has its own cgroups.
    #[default]
    No,
    /// Containers do without cgroups that the caller may not create.
    Yes,
    /// Depends on the caller at the first create: `Yes` without root, and as root of a user namespace, whose cgroups
    /// may belong to others; otherwise `No`.
    Auto,
}

impl Rootless {
    /// Decides for the calling process.
    pub(crate) fn holds(self) -> Result<bool> {
        match self {
            Rootless::No => Ok(false),
            Rootless::Yes => Ok(true),
            Rootless::Auto => Ok(!Uid::effective().is_root() || procfs::in_user_namespace()?),
        }
    }
}
