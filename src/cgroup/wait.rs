//! Waiting with a deadline: by event where the kernel gives one, else by polling with growing pauses.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::error::{Doing, Result};

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

/// Waits for a notification on a kernfs file that has been read before; `false` when the deadline has passed.
pub fn notification(file: impl AsFd, deadline: Instant) -> Result<bool> {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(false);
        }
        // Rounded up, so that the last millisecond is not a busy loop.
        let left = i32::try_from(left.as_millis() + 1).unwrap_or(i32::MAX);
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        match poll(&mut [PollFd::new(file.as_fd(), PollFlags::POLLPRI)], timeout) {
            Ok(0) | Err(Errno::EINTR) => continue,
            Ok(_) => return Ok(true),
            Err(errno) => return Err(errno).doing(|| "polling a cgroup's events"),
        }
    }
}
