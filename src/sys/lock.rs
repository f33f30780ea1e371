//! The lock on a directory: orders threads and processes, and does not wait for ever.

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

/// The lock, held until dropped.
#[derive(Debug)]
pub struct Lock {
    fd: OwnedFd,
}

impl Lock {
    /// Waits for the lock on an open directory, which must be an open file of its own: flock(2) orders open files, so two
    /// threads with the same one would not exclude each other.
    pub fn of(fd: OwnedFd, kind: LockKind, deadline: Deadline, what: impl Fn() -> String) -> Result<Lock> {
        let lock = Lock { fd };
        lock.acquire(kind, deadline, what)?;
        Ok(lock)
    }

    /// flock(2) cannot wait with a time limit, so the lock is tried again and again.
    fn acquire(&self, kind: LockKind, deadline: Deadline, what: impl Fn() -> String) -> Result<()> {
        let mut pause = Duration::from_micros(200);
        while !self.attempt(kind).context(|| format!("locking {}", what()))? {
            if deadline.passed() {
                let message = format!("{} is locked by another process or thread", what());
                return Err(Error::new(Code::Busy, message));
            }
            std::thread::sleep(pause);
            // Short, so that those who take it again and again do not always come first.
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
    /// Unlocked by name: a child that the host has forked meanwhile holds a copy of the descriptor, and closing ours
    /// would leave the lock with it.
    fn drop(&mut self) {
        let _ = flock(self.fd.as_fd(), libc::LOCK_UN);
    }
}

fn flock(fd: BorrowedFd, operation: i32) -> nix::Result<()> {
    // SAFETY: no pointers.
    Errno::result(unsafe { libc::flock(fd.as_raw_fd(), operation) }).map(|_| ())
}
