//! `exec.fifo`, at which init waits for start.

use std::ffi::OsStr;
use std::os::fd::OwnedFd;

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat};
use nix::sys::stat::{FchmodatFlags, Mode, SFlag, UtimensatFlags, fchmodat, fstat, fstatat, mknodat, utimensat};
use nix::sys::time::TimeSpec;

use super::Directory;
use crate::error::{Code, Context, Error, Result};

pub(super) const FIFO: &str = "exec.fifo";
/// The time of the last change of a fifo into which nothing was written.
const NEVER: TimeSpec = TimeSpec::new(0, 0);

impl Directory {
    /// Creates exec.fifo and returns an O_PATH descriptor of it. The container's root must be able to write to it, also
    /// in a joined user namespace, whose mappings are not known here. So its mode lets every user write; the
    /// directory's mode keeps other users out.
    pub fn make_fifo(&self) -> Result<OwnedFd> {
        let doing = || format!("creating {}", self.path.join(FIFO).display());
        let mode = Mode::S_IRUSR | Mode::S_IWUSR | Mode::S_IWGRP | Mode::S_IWOTH;
        mknodat(&self.fd, FIFO, SFlag::S_IFIFO, mode, 0).context(doing)?;
        // fchmodat, unlike mknodat, ignores the caller's umask.
        fchmodat(&self.fd, FIFO, mode, FchmodatFlags::FollowSymlink).context(doing)?;
        utimensat(&self.fd, FIFO, &NEVER, &NEVER, UtimensatFlags::NoFollowSymlink).context(doing)?;
        let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        openat(&self.fd, FIFO, flags, Mode::empty()).context(doing)
    }

    /// Whether init has never written to the fifo, so that no start has released it.
    pub fn is_fifo_unused(&self) -> bool {
        fstatat(&self.fd, FIFO, AtFlags::AT_SYMLINK_NOFOLLOW)
            .is_ok_and(|found| (found.st_mtime, found.st_mtime_nsec) == (NEVER.tv_sec(), NEVER.tv_nsec()))
    }

    /// Opens the reading end, which releases init. Returns `None` if the fifo does not exist, or no longer.
    pub fn open_fifo(&self) -> Result<Option<OwnedFd>> {
        let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        match openat(&self.fd, FIFO, flags, Mode::empty()) {
            Err(Errno::ENOENT) => Ok(None),
            other => {
                let fifo = other.context(|| format!("opening {}", self.path.join(FIFO).display()))?;
                let found = fstat(&fifo).context(|| format!("examining {}", self.path.join(FIFO).display()))?;
                if found.st_mode & libc::S_IFMT != libc::S_IFIFO {
                    let message = format!("{} is not a FIFO", self.path.join(FIFO).display());
                    return Err(Error::new(Code::System, message).with_errno(Errno::EUCLEAN));
                }
                Ok(Some(fifo))
            }
        }
    }

    pub fn remove_fifo(&self) -> Result<()> {
        self.unlink(OsStr::new(FIFO))
    }
}
