//! The locks of the state root and of a container's state directory.

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;

use super::{Directory, Root, not_found};
use crate::deadline::Deadline;
use crate::error::{Context, Result};
use crate::sys::flock::{Lock, LockKind};

const DIRECTORY: OFlag = OFlag::O_DIRECTORY.union(OFlag::O_CLOEXEC).union(OFlag::O_RDONLY);

impl Root {
    /// Locks the state root. A creator holds the lock shared until it has locked the directory that it has created. So
    /// the owner of the exclusive lock knows that an unlocked directory without a record was left by a killed creator.
    pub fn lock(&self, kind: LockKind, deadline: Deadline) -> Result<Lock> {
        let doing = || format!("opening {}", self.path.display());
        let fd = openat(&self.fd, ".", DIRECTORY, Mode::empty()).context(doing)?;
        Lock::of(fd, kind, deadline, || format!("the state root {}", self.path.display()))
    }
}

impl Directory {
    /// Takes the lock that every change of the container needs. Other threads and processes wait for it, at most until
    /// their deadline. Reading needs no lock.
    pub fn lock(&self, deadline: Deadline) -> Result<Lock> {
        let fd = match openat(&self.fd, ".", DIRECTORY, Mode::empty()) {
            Err(Errno::ENOENT) => return Err(not_found(&self.id)),
            other => other.context(|| format!("opening {}", self.path.display()))?,
        };
        let lock = Lock::of(fd, LockKind::Exclusive, deadline, || format!("container {:?}", self.id))
            .map_err(|error| error.detail("id", self.id.as_str()))?;
        // The previous owner of the lock may have deleted the container.
        if self.is_gone()? { Err(not_found(&self.id)) } else { Ok(lock) }
    }
}
