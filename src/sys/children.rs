//! Our children that nobody has waited for yet.
//!
//! A host may drop its handle on a process, or never ask for its status. The process would stay a zombie, and a
//! container's pid namespace cannot end while there is one in it: its init would hang in its own exit, and whoever
//! waits for it with it. So each child is kept here until its status has been taken, in whatever call on its container
//! comes next; the status is then found in its handle.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::pidfd::{self, ExitStatus, Look};
use crate::deadline::Deadline;
use crate::error::{Code, Result};

/// How a process ends; shared by its handles and by the list here.
#[derive(Debug)]
pub struct ChildExit {
    pub pid: i32,
    pub pidfd: OwnedFd,
    exit: Mutex<Option<ExitStatus>>,
}

impl ChildExit {
    pub fn new(pid: i32, pidfd: OwnedFd) -> ChildExit {
        ChildExit { pid, pidfd, exit: Mutex::new(None) }
    }

    pub fn pidfd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }

    pub fn kill(&self) {
        let _ = pidfd::send_signal(&self.pidfd, libc::SIGKILL);
    }

    pub fn wait_until(&self, deadline: Deadline) -> Result<ExitStatus> {
        pidfd::wait_with(&self.pidfd, deadline, || self.look())
    }

    /// Whichever thread takes the status from the kernel leaves it for all. The lock is held for a look, not for a wait.
    fn look(&self) -> Result<Look> {
        let mut known = self.exit.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some(status) = *known {
            return Ok(Look::Ended(status));
        }
        let look = pidfd::look(&self.pidfd)?;
        if let Look::Ended(status) = look {
            *known = Some(status);
        }
        Ok(look)
    }
}

/// By the state directory of their container; by none at all those that have been killed before they had become one's.
#[derive(Default)]
struct Children {
    of: BTreeMap<PathBuf, Vec<Arc<ChildExit>>>,
    /// Up to where [`reap_some`] has looked.
    looked_at: PathBuf,
}

fn children() -> MutexGuard<'static, Children> {
    static CHILDREN: OnceLock<Mutex<Children>> = OnceLock::new();
    CHILDREN.get_or_init(Mutex::default).lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

pub fn keep(container: &Path, end: Arc<ChildExit>) {
    children().of.entry(container.to_owned()).or_default().push(end);
}

/// A child of a container's, for a further handle on it: whoever takes the status leaves it for both.
pub fn kept(container: &Path, pid: i32) -> Option<Arc<ChildExit>> {
    let children = children();
    let end = children.of.get(container)?.iter().find(|end| end.pid == pid)?;
    // A forked host has a list of children that are not its own, and the number may be another's by now.
    (pidfd::send_signal(&end.pidfd, 0) != Err(Errno::ESRCH)).then(|| end.clone())
}

/// Takes the status of those of a container that have ended.
pub fn reap(container: &Path) {
    children().reap(container);
}

pub fn reap_all() {
    children().of.retain(|_, ends| {
        take(ends);
        !ends.is_empty()
    });
}

/// The same for a few containers, and at the next call for those after them: each is looked at in the end, and what
/// one call costs does not grow with their number.
pub fn reap_some() {
    const FEW: usize = 8;
    let mut children = children();
    let after = (Bound::Excluded(children.looked_at.clone()), Bound::Unbounded);
    let next: Vec<PathBuf> = children.of.range(after).take(FEW).map(|(container, _)| container.clone()).collect();
    next.iter().for_each(|container| children.reap(container));
    // At the end it begins anew, with those that belong to no container.
    if next.len() < FEW {
        children.reap(Path::new(""));
    }
    children.looked_at = next.into_iter().nth(FEW - 1).unwrap_or_default();
}

impl Children {
    fn reap(&mut self, container: &Path) {
        if let Some(ends) = self.of.get_mut(container) {
            take(ends);
            if ends.is_empty() {
                self.of.remove(container);
            }
        }
    }
}

fn take(ends: &mut Vec<Arc<ChildExit>>) {
    let mut fds: Vec<PollFd> = ends.iter().map(|end| PollFd::new(end.pidfd(), PollFlags::POLLIN)).collect();
    if !matches!(poll(&mut fds, PollTimeout::ZERO), Ok(1..)) {
        return;
    }
    let ended: Vec<bool> = fds.iter().map(|fd| fd.any().unwrap_or(true)).collect();
    let mut ended = ended.into_iter();
    ends.retain(|end| {
        // Whatever the answer, there is nothing more to take.
        let ended = ended.next().unwrap_or(false);
        !ended || end.wait_until(Deadline::after_ms(0)).is_err_and(|error| error.code == Code::Timeout)
    });
}

/// Ends a child that must not go on.
pub fn kill_and_reap(child: Arc<ChildExit>) {
    child.kill();
    reap_ending(child);
}

/// Takes the status of a child that ends at once. One that the freezer holds dies when it is let go, and is reaped by
/// a later call.
pub fn reap_ending(child: Arc<ChildExit>) {
    const MOMENT: Duration = Duration::from_millis(500);
    if child.wait_until(Deadline::after(MOMENT)).is_err_and(|error| error.code == Code::Timeout) {
        keep(Path::new(""), child);
    }
}

/// Waits until `init` has ended, and reaps meanwhile what would keep it from that.
pub fn wait_for_init(container: &Path, init: BorrowedFd, deadline: Deadline) {
    // What another thread starts after a look is seen at the next.
    const LOOK: Duration = Duration::from_secs(1);
    reap(container);
    loop {
        let others = children().of.get(container).cloned().unwrap_or_default();
        let fds = std::iter::once(init).chain(others.iter().map(|end| end.pidfd()));
        let mut fds: Vec<PollFd> = fds.map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
        let outcome = poll(&mut fds, deadline.within(LOOK).poll_timeout());
        let ended = outcome.is_ok() && fds[0].any().unwrap_or(true);
        if ended || deadline.passed() || outcome.is_err_and(|errno| errno != Errno::EINTR) {
            return;
        }
        // Its own, and after a while all: another container's process may live in this one's pid namespace.
        match outcome {
            Ok(0) => reap_all(),
            _ => reap(container),
        }
    }
}
