//! Waiting with a deadline: by event where the kernel gives one, else by polling with growing pauses.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;

use crate::error::{Context, Result};

/// Pauses between looks at something that has no event, from 50 µs doubling to 10 ms.
pub struct Backoff {
    deadline: Instant,
    pause: Duration,
}

impl Backoff {
    pub fn until(deadline: Instant) -> Backoff {
        Backoff { deadline, pause: Duration::from_micros(50) }
    }

    /// Pauses; `false`, at once, when the deadline has passed.
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

/// Waits on a kernfs file that has been read before, until it is worth reading again; `false` when the deadline
/// has passed.
///
/// The kernel holds back notifications of a cgroup file that come within 10 ms of one another (since Linux 4.17):
/// who waits for the second of two changes in a row would always wait that long. So `look` counts the calls, and
/// the first of them also return, without a notification, after a short and growing time.
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
