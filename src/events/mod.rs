//! What happens to a container's memory, as descriptors for the host's own loop.
//!
//! Each subscription has one descriptor that polls readable: an epoll instance with what tells of the event and with the
//! pidfd of the container's init, so that it also wakes whoever waits for an event that will never come.
//!
//! cgroup v1 counts events into an eventfd by itself. On v2, `memory.events` is watched with inotify and its counter
//! compared; and a pressure trigger (PSI) reports through [`aio`], because asking whether it has fired takes the event
//! away: a trigger that lay in the epoll instance would be used up by the host's own poll.

mod aio;
mod source;

use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Mutex, PoisonError};

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags};

use crate::deadline::Deadline;
use crate::error::{Code, Context, Error, Result};
pub use source::Source;

/// How hard memory is to get. Each level is told at its own threshold, see [`Level::trigger`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Level {
    /// Memory is being reclaimed: caches suffer.
    Low = 1,
    /// Processes wait noticeably.
    Medium = 2,
    /// Little work is done for want of memory; the OOM killer may be next.
    Critical = 3,
}

impl Level {
    pub const ALL: [Level; 3] = [Level::Low, Level::Medium, Level::Critical];

    /// As cgroup v1 spells it.
    pub fn name(self) -> &'static str {
        match self {
            Level::Low => "low",
            Level::Medium => "medium",
            Level::Critical => "critical",
        }
    }

    /// As a PSI trigger of v2: for some process or for every process at once (full), how long it has waited for memory
    /// within how long, in microseconds. `seconds` is 1; callers without CAP_SYS_RESOURCE may only ask for multiples of 2.
    pub fn trigger(self, seconds: u32) -> String {
        let (who, each_second) = match self {
            Level::Low => ("some", 30_000),
            Level::Medium => ("some", 100_000),
            Level::Critical => ("full", 100_000),
        };
        format!("{who} {} {}", each_second * seconds, 1_000_000 * seconds)
    }
}

/// What has happened since the last question.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Occurred {
    pub count: u64,
    /// The container's init is gone: nothing more will come.
    pub ended: bool,
}

/// A subscription. Dropping it ends it.
#[derive(Debug)]
pub struct Events {
    poll: Epoll,
    source: Mutex<Source>,
    init: OwnedFd,
}

impl Events {
    pub(crate) fn new(source: Source, init: OwnedFd) -> Result<Events> {
        let doing = || "making a descriptor for events";
        let poll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).context(doing)?;
        poll.add(source.descriptor(), EpollEvent::new(EpollFlags::EPOLLIN, 0)).context(doing)?;
        poll.add(&init, EpollEvent::new(EpollFlags::EPOLLIN, 1)).context(doing)?;
        Ok(Events { poll, source: Mutex::new(source), init })
    }

    /// A duplicate of the descriptor that polls readable when there may be something to read.
    pub fn descriptor(&self) -> Result<OwnedFd> {
        self.poll.0.try_clone().context(|| "duplicating the descriptor of events")
    }

    /// Takes what has happened; waits for it if there is nothing yet. [`Code::Timeout`] if there is nothing by then.
    pub fn read(&self, timeout_ms: i64) -> Result<Occurred> {
        let deadline = Deadline::after_ms(timeout_ms);
        let now = Deadline::after_ms(0);
        loop {
            // Asked before the events are taken: all that happened before the end is told with it or before it.
            let over = now.readable(self.init.as_fd()).context(|| "looking at the container's init")?;
            let taken = self.source.lock().unwrap_or_else(PoisonError::into_inner).take()?;
            let occurred = Occurred { count: taken.unwrap_or(0), ended: over || taken.is_none() };
            if occurred.count > 0 || occurred.ended {
                return Ok(occurred);
            }
            if !deadline.readable(self.poll.0.as_fd()).context(|| "waiting for an event")? {
                return Err(Error::new(Code::Timeout, "no event has come in time"));
            }
        }
    }
}
