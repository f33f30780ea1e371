//! Waits with a deadline: for an event if the kernel sends one, else by polling at growing intervals.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;

use crate::error::{Context, Result};

/// The pauses of a polling loop: from 50 µs, doubling to 10 ms.
pub struct Backoff {
    deadline: Instant,
    pause: Duration,
}

impl Backoff {
    pub fn until(deadline: Instant) -> Backoff {
        Backoff { deadline, pause: Duration::from_micros(50) }
    }

    /// Sleeps for the next pause. Returns `false` immediately if the deadline has passed.
    pub fn pause(&mut self) -> bool {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return false;
        }
        std::thread::sleep(self.pause.min(left));
        self.pause = (self.pause * 2).min(Duration::from_millis(10));
        true
    }
}

/// Waits until a kernfs file, which has been read before, should be read again. Returns `false` if the deadline has
/// passed.
///
/// Since Linux 4.17 the kernel delays notifications of a cgroup file that follow within 10 ms of one another, so
/// waiting for the second of two successive changes would always take that long. So the first calls, which `look`
/// counts, also return without a notification, after a short and growing time.
pub fn notification(file: impl AsFd, look: u32, deadline: Instant) -> Result<bool> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Ok(false);
    }
    let early = (look < 9).then(|| Duration::from_micros(50 << look));
    let timeout = TimeSpec::from_duration(early.map_or(left, |early| early.min(left)));
    match ppoll(&mut [PollFd::new(file.as_fd(), PollFlags::POLLPRI)], Some(timeout), None) {
        Ok(_) | Err(Errno::EINTR) => Ok(true),
        Err(errno) => Err(errno).context(|| "polling a cgroup's events"),
    }
}
