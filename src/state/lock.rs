//! The locks of the state root and of a container's state directory.

use std::os::fd::OwnedFd;

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::{Mode, fstat};
use nix::unistd::Uid;

use super::{Directory, Root, not_found};
use crate::deadline::Deadline;
use crate::error::{Code, Context, Error, Result};
use crate::sys::flock::{Lock, LockKind};

const DIRECTORY: OFlag = OFlag::O_DIRECTORY.union(OFlag::O_CLOEXEC).union(OFlag::O_RDONLY);
/// The lock file of a state root that others may read. No container has such an id.
const LOCK: &str = ".lock";

impl Root {
    /// Locks the state root. A creator holds the lock shared until it has locked the directory that it has created. So
    /// the owner of the exclusive lock knows that an unlocked directory without a record was left by a killed creator.
    pub fn lock(&self, kind: LockKind, deadline: Deadline) -> Result<Lock> {
        let doing = || format!("examining the state root {}", self.path.display());
        let readable = fstat(&self.fd).context(doing)?.st_mode & 0o044 != 0;
        let fd = if readable { self.lock_file()? } else { self.reopened()? };
        Lock::of(fd, kind, deadline, || format!("the state root {}", self.path.display()))
    }

    fn reopened(&self) -> Result<OwnedFd> {
        openat(&self.fd, ".", DIRECTORY, Mode::empty()).context(|| format!("opening {}", self.path.display()))
    }

    /// Opens the lock file of a state root that others may read: whoever can open a directory can lock it, and the file
    /// is for its owner only.
    fn lock_file(&self) -> Result<OwnedFd> {
        let path = self.path.join(LOCK);
        // O_NONBLOCK: opening a fifo must not wait.
        let flags = OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        let fd = openat(&self.fd, LOCK, flags, Mode::S_IRUSR | Mode::S_IWUSR)
            .context(|| format!("opening {}", path.display()))?;
        let found = fstat(&fd).context(|| format!("examining {}", path.display()))?;
        let is_file = found.st_mode & libc::S_IFMT == libc::S_IFREG;
        if !is_file || found.st_uid != Uid::effective().as_raw() || found.st_mode & 0o077 != 0 {
            let message = format!(
                "the lock {} belongs to uid {} with mode {:06o}; it must be a file that only the caller can open",
                path.display(),
                found.st_uid,
                found.st_mode
            );
            return Err(Error::new(Code::System, message).with_errno(Errno::EACCES));
        }
        Ok(fd)
    }
}

impl Directory {
    /// Takes the lock that every change of the container needs. It is on the directory, which only its owner can open. Other threads and processes wait for it, at most until
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
