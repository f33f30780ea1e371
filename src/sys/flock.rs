//! flock(2) on a file or a directory: excludes other threads and processes, and waits with a deadline.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use nix::errno::Errno;

use crate::deadline::Deadline;
use crate::error::{Code, Context, Error, Result};

#[derive(Clone, Copy, Debug)]
#[repr(i32)]
pub enum LockKind {
    Shared = libc::LOCK_SH,
    Exclusive = libc::LOCK_EX,
}

/// A lock that is held until dropped.
#[derive(Debug)]
pub struct Lock {
    fd: OwnedFd,
}

impl Lock {
    /// Waits for the lock on an open file or directory. `fd` must be a separate open file description: flock(2) belongs to it,
    /// so two threads with the same one would not exclude each other.
    pub fn of(fd: OwnedFd, kind: LockKind, deadline: Deadline, what: impl Fn() -> String) -> Result<Lock> {
        let lock = Lock { fd };
        lock.acquire(kind, deadline, what)?;
        Ok(lock)
    }

    /// Tries repeatedly to take the lock, since flock(2) has no timeout.
    fn acquire(&self, kind: LockKind, deadline: Deadline, what: impl Fn() -> String) -> Result<()> {
        let mut pause = Duration::from_micros(200);
        while !self.attempt(kind).context(|| format!("locking {}", what()))? {
            if deadline.passed() {
                let message = format!("{} is locked by another process or thread", what());
                return Err(Error::new(Code::Busy, message));
            }
            std::thread::sleep(pause);
            // Keep the pause short, so that threads which take the lock repeatedly do not always win.
            pause = (pause * 2).min(Duration::from_millis(3));
        }
        Ok(())
    }

    fn attempt(&self, kind: LockKind) -> nix::Result<bool> {
        match flock(self.fd.as_fd(), kind as i32 | libc::LOCK_NB) {
            Ok(()) => Ok(true),
            Err(Errno::EWOULDBLOCK | Errno::EINTR) => Ok(false),
            Err(errno) => Err(errno),
        }
    }
}

impl Drop for Lock {
    /// Unlocks explicitly: a child that the caller has forked meanwhile holds a copy of the descriptor, so closing this
    /// one would not release the lock.
    fn drop(&mut self) {
        // It cannot fail for an open descriptor, and closing it follows.
        let _ = flock(self.fd.as_fd(), libc::LOCK_UN);
    }
}

fn flock(fd: BorrowedFd, operation: i32) -> nix::Result<()> {
    // SAFETY: no pointers.
    Errno::result(unsafe { libc::flock(fd.as_raw_fd(), operation) }).map(|_| ())
}
