//! Keeps the caller's children started by libberth until they are reaped.
//!
//! A caller may drop its handle on a process, or never ask for its status. The process would remain a zombie, and a
//! container's pid namespace cannot end with a zombie in it: init would block in its exit, together with everybody who
//! waits for it. So each child is kept here until the next call on its container takes its status, which its handles
//! share.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::exit_status::{self, ExitStatus, ProcessState};
use super::pidfd;
use crate::deadline::Deadline;
use crate::error::{Code, Result};

/// A child and its exit status, shared by its handles and this list.
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
        // The child is killed by its own parent, so permission cannot be denied; ESRCH: it has exited.
        let _ = pidfd::send_signal(&self.pidfd, libc::SIGKILL);
    }

    pub fn wait_until(&self, deadline: Deadline) -> Result<ExitStatus> {
        exit_status::wait_with(&self.pidfd, deadline, || self.poll_state())
    }

    /// Looks without waiting, and stores the status for all threads. Holds the lock only for that.
    fn poll_state(&self) -> Result<ProcessState> {
        let mut known = self.exit.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some(status) = *known {
            return Ok(ProcessState::Ended(status));
        }
        let state = exit_status::poll_state(&self.pidfd)?;
        if let ProcessState::Ended(status) = state {
            *known = Some(status);
        }
        Ok(state)
    }
}

/// Children by the state directory of their container; by an empty path those that were killed before they belonged to
/// one.
#[derive(Default)]
struct Children {
    of: BTreeMap<PathBuf, Vec<Arc<ChildExit>>>,
    /// The last container that [`reap_some`] has handled.
    last_reaped: PathBuf,
}

fn children() -> MutexGuard<'static, Children> {
    static CHILDREN: OnceLock<Mutex<Children>> = OnceLock::new();
    CHILDREN.get_or_init(Mutex::default).lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

pub fn keep(container: &Path, end: Arc<ChildExit>) {
    children().of.entry(container.to_owned()).or_default().push(end);
}

/// Returns a kept child of a container, for another handle on it: the handles share the status.
pub fn kept(container: &Path, pid: i32) -> Option<Arc<ChildExit>> {
    let children = children();
    let end = children.of.get(container)?.iter().find(|end| end.pid == pid)?;
    // After a fork of the caller the list names children of the parent, whose pids may have been reused.
    (pidfd::send_signal(&end.pidfd, 0) != Err(Errno::ESRCH)).then(|| end.clone())
}

/// Reaps the children of a container that have exited.
pub fn reap(container: &Path) {
    children().reap(container);
}

pub fn reap_all() {
    children().of.retain(|_, ends| {
        take(ends);
        !ends.is_empty()
    });
}

/// Reaps the exited children of a few containers, and on the next call those of the following ones: every container is
/// handled eventually, and the cost of a call does not grow with their number.
pub fn reap_some() {
    const BATCH: usize = 8;
    let mut children = children();
    let after = (Bound::Excluded(children.last_reaped.clone()), Bound::Unbounded);
    let next: Vec<PathBuf> = children.of.range(after).take(BATCH).map(|(container, _)| container.clone()).collect();
    next.iter().for_each(|container| children.reap(container));
    // At the end of the list, handle the children without a container and start again.
    if next.len() < BATCH {
        children.reap(Path::new(""));
    }
    children.last_reaped = next.into_iter().nth(BATCH - 1).unwrap_or_default();
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
        // Any answer but a timeout means that there is no status left to take.
        let ended = ended.next().unwrap_or(false);
        !ended || end.wait_until(Deadline::after_ms(0)).is_err_and(|error| error.code == Code::Timeout)
    });
}

/// Kills a child and reaps it.
pub fn kill_and_reap(child: Arc<ChildExit>) {
    child.kill();
    reap_ending(child);
}

/// Reaps a child that is about to exit. A frozen child dies only when it is thawed, and a later call reaps it.
pub fn reap_ending(child: Arc<ChildExit>) {
    const REAP_TIMEOUT: Duration = Duration::from_millis(500);
    if child.wait_until(Deadline::after(REAP_TIMEOUT)).is_err_and(|error| error.code == Code::Timeout) {
        keep(Path::new(""), child);
    }
}

/// Waits until `init` has exited, and reaps meanwhile the children that would prevent that.
pub fn wait_for_init(container: &Path, init: BorrowedFd, deadline: Deadline) {
    // Poll again after this time, to include children that other threads start.
    const POLL_INTERVAL: Duration = Duration::from_secs(1);
    reap(container);
    loop {
        let others = children().of.get(container).cloned().unwrap_or_default();
        let fds = std::iter::once(init).chain(others.iter().map(|end| end.pidfd()));
        let mut fds: Vec<PollFd> = fds.map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
        let outcome = poll(&mut fds, deadline.within(POLL_INTERVAL).poll_timeout());
        let ended = outcome.is_ok() && fds[0].any().unwrap_or(true);
        if ended || deadline.passed() || outcome.is_err_and(|errno| errno != Errno::EINTR) {
            return;
        }
        // Reap the container's children, and after a timeout all: a process of another container may be in this one's
        // pid namespace.
        match outcome {
            Ok(0) => reap_all(),
            _ => reap(container),
        }
    }
}
