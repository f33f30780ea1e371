//! Memory events of a container, as descriptors for the caller's event loop.
//!
//! Each subscription has one descriptor that polls readable: an epoll instance with the source of the event and the
//! pidfd of the container's init, so that the container's end wakes a waiter, too.
//!
//! cgroup v1 counts events into an eventfd. On v2, inotify watches `memory.events`, whose counter is compared. A
//! pressure trigger (PSI) reports through [`aio`], because polling it consumes the event: in the epoll instance it
//! would be consumed by the caller's own poll.

mod aio;
mod source;

use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Mutex, PoisonError};

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags};

use crate::deadline::Deadline;
use crate::error::{Code, Context, Error, Result};
pub use source::{Source, counter};

/// A memory pressure level. Each is reported at its own threshold, see [`Level::trigger`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Level {
    /// The kernel reclaims memory; caches shrink.
    Low = 1,
    /// Processes are stalled noticeably.
    Medium = 2,
    /// Little work gets done for lack of memory; the OOM killer may be next.
    Critical = 3,
}

impl Level {
    /// All levels, the lowest first.
    pub const ALL: [Level; 3] = [Level::Low, Level::Medium, Level::Critical];

    /// Returns the name that cgroup v1 uses.
    pub fn name(self) -> &'static str {
        match self {
            Level::Low => "low",
            Level::Medium => "medium",
            Level::Critical => "critical",
        }
    }

    /// Returns the PSI trigger for v2: the stall of some or of all (full) tasks within a window, in microseconds.
    /// `seconds` is 1; callers without CAP_SYS_RESOURCE may only use multiples of 2.
    pub fn trigger(self, seconds: u32) -> String {
        let (who, each_second) = match self {
            Level::Low => ("some", 30_000),
            Level::Medium => ("some", 100_000),
            Level::Critical => ("full", 100_000),
        };
        format!("{who} {} {}", each_second * seconds, 1_000_000 * seconds)
    }
}

/// What has happened since the previous read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Occurred {
    /// How often.
    pub count: u64,
    /// Whether the container's init has ended: no more events follow.
    pub ended: bool,
}

/// A subscription. Dropping it ends the subscription.
#[derive(Debug)]
pub struct Events {
    poll: Epoll,
    source: Mutex<Source>,
    init: OwnedFd,
}

impl Events {
    pub(crate) fn new(source: Source, init: OwnedFd) -> Result<Events> {
        let doing = || "creating an epoll instance for events";
        let poll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).context(doing)?;
        poll.add(source.descriptor(), EpollEvent::new(EpollFlags::EPOLLIN, 0)).context(doing)?;
        poll.add(&init, EpollEvent::new(EpollFlags::EPOLLIN, 1)).context(doing)?;
        Ok(Events { poll, source: Mutex::new(source), init })
    }

    /// Returns a duplicate of the descriptor that polls readable when an event may be available.
    pub fn descriptor(&self) -> Result<OwnedFd> {
        self.poll.0.try_clone().context(|| "duplicating the descriptor of events")
    }

    /// Returns the events since the previous read and waits for one if there is none. Fails with [`Code::Timeout`] if
    /// there is none in time.
    pub fn read(&self, timeout_ms: i64) -> Result<Occurred> {
        let deadline = Deadline::after_ms(timeout_ms);
        let now = Deadline::after_ms(0);
        loop {
            // Checked before the events are read: all events before the end are returned with it or before it.
            let over = now.readable(self.init.as_fd()).context(|| "examining the container's init")?;
            let taken = self.source.lock().unwrap_or_else(PoisonError::into_inner).take()?;
            let occurred = Occurred { count: taken.unwrap_or(0), ended: over || taken.is_none() };
            if occurred.count > 0 || occurred.ended {
                return Ok(occurred);
            }
            if !deadline.readable(self.poll.0.as_fd()).context(|| "waiting for an event")? {
                return Err(Error::new(Code::Timeout, "no event arrived in time"));
            }
        }
    }
}
