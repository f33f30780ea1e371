//! The processes that this library has started and whose end nobody has taken yet.
//!
//! A process that has ended, and whose parent has not taken its status, keeps the init of its pid namespace from
//! ending. The parent is the host, which may have dropped the handle or not come to waiting yet. So those who wait for
//! an init to end take the ends of the others meanwhile; the status stays for whoever asks a handle.

use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard};

use crate::deadline::Deadline;
use crate::error::Result;
use crate::spawn::{self, ExitStatus, Look};

#[derive(Debug)]
pub(crate) struct Child {
    pub pid: i32,
    pub pidfd: OwnedFd,
    /// The init of the container it is in: itself or another.
    leader: i32,
    exit: Mutex<Option<ExitStatus>>,
}

static CHILDREN: Mutex<Vec<Arc<Child>>> = Mutex::new(Vec::new());

impl Child {
    pub fn new(pid: i32, pidfd: OwnedFd, leader: i32) -> Arc<Child> {
        Arc::new(Child { pid, pidfd, leader, exit: Mutex::new(None) })
    }

    /// Keeps it until its end is taken, also when all handles on it are dropped.
    pub fn register(self: &Arc<Child>) {
        let mut children = locked(&CHILDREN);
        // Those that nobody else knows any more are looked at now and then, so that they do not pile up.
        children.retain(|child| !(child.is_taken() || Arc::strong_count(child) == 1 && child.take_if_ended()));
        children.push(self.clone());
    }

    fn is_taken(&self) -> bool {
        locked(&self.exit).is_some()
    }

    pub fn is_leader(&self) -> bool {
        self.leader == self.pid
    }

    /// Waits for its end.
    pub fn wait(&self, deadline: Deadline) -> Result<ExitStatus> {
        spawn::wait_with(&self.pidfd, deadline, || self.look())
    }

    /// Whoever takes the status from the kernel leaves it for all. The lock is held for a look, not for a wait.
    fn look(&self) -> Result<Look> {
        let mut known = locked(&self.exit);
        if let Some(status) = *known {
            return Ok(Look::Ended(status));
        }
        let look = spawn::look(&self.pidfd)?;
        if let Look::Ended(status) = look {
            *known = Some(status);
        }
        Ok(look)
    }

    /// False when it lives. A status that somebody else has taken is as good as taken.
    fn take_if_ended(&self) -> bool {
        matches!(self.look(), Ok(Look::Ended(_) | Look::Unknown))
    }
}

/// Takes the ends of all children that have ended.
pub(crate) fn take_ended() {
    take(|_| true);
}

/// The same for those in the container of this init.
pub(crate) fn take_companions(leader: i32) {
    take(|child| child.leader == leader && !child.is_leader());
}

fn take(chosen: impl Fn(&Child) -> bool) {
    let children: Vec<Arc<Child>> = locked(&CHILDREN).iter().filter(|child| chosen(child)).cloned().collect();
    let ended: Vec<Arc<Child>> = children.into_iter().filter(|child| child.take_if_ended()).collect();
    if !ended.is_empty() {
        locked(&CHILDREN).retain(|child| !ended.iter().any(|other| Arc::ptr_eq(child, other)));
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}
