//! Deadlines: every call that waits has one, and signals to the caller neither shorten nor extend it.

use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

#[derive(Clone, Copy, Debug)]
pub struct Deadline(Option<Instant>);

impl Deadline {
    pub const NEVER: Deadline = Deadline(None);

    /// Returns the deadline after a timeout in milliseconds. Negative means never, 0 means to check once.
    pub fn after_ms(timeout_ms: i64) -> Deadline {
        match u64::try_from(timeout_ms) {
            Ok(ms) => Deadline::after(Duration::from_millis(ms)),
            Err(_) => Deadline::NEVER,
        }
    }

    pub fn after(duration: Duration) -> Deadline {
        Deadline(Instant::now().checked_add(duration))
    }

    /// Returns this deadline or the end of `longest`, whichever is earlier.
    pub fn within(self, longest: Duration) -> Deadline {
        let end = Instant::now() + longest;
        Deadline(Some(self.0.map_or(end, |at| at.min(end))))
    }

    pub fn passed(self) -> bool {
        self.0.is_some_and(|at| at <= Instant::now())
    }

    /// Returns the remaining time for interfaces in which 0 means no timeout: at least 1, and an hour if there is no
    /// deadline.
    pub fn left_ms(self) -> i64 {
        const HOUR: i64 = 3_600_000;
        let left = self.0.map(|at| at.saturating_duration_since(Instant::now()).as_millis());
        left.map_or(HOUR, |left| i64::try_from(left).unwrap_or(HOUR)).clamp(1, HOUR)
    }

    pub fn poll_timeout(self) -> PollTimeout {
        let Some(at) = self.0 else { return PollTimeout::NONE };
        // Round up: a poll that ends just before the deadline would have to be repeated.
        let left = at.saturating_duration_since(Instant::now()).as_micros().div_ceil(1000);
        PollTimeout::try_from(i32::try_from(left).unwrap_or(i32::MAX)).unwrap_or(PollTimeout::MAX)
    }

    /// Calls poll(2) until a descriptor is ready or the deadline has passed, and returns the events of each descriptor.
    pub fn poll<const N: usize>(self, fds: [(BorrowedFd, PollFlags); N]) -> Result<[PollFlags; N], Errno> {
        let mut fds = fds.map(|(fd, events)| PollFd::new(fd, events));
        self.poll_until(&mut fds)?;
        Ok(fds.map(|fd| answer(&fd)))
    }

    fn poll_until(self, fds: &mut [PollFd]) -> Result<(), Errno> {
        loop {
            match poll(fds, self.poll_timeout()) {
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno),
                Ok(0) if !self.passed() => {}
                Ok(_) => return Ok(()),
            }
        }
    }

    /// As [`Deadline::poll`], for a number of descriptors that is not known at compile time.
    pub fn poll_all(self, fds: &[(BorrowedFd, PollFlags)]) -> Result<Vec<PollFlags>, Errno> {
        let mut fds: Vec<PollFd> = fds.iter().map(|(fd, events)| PollFd::new(*fd, *events)).collect();
        self.poll_until(&mut fds)?;
        Ok(fds.iter().map(answer).collect())
    }

    /// Whether `fd` becomes readable before the deadline.
    pub fn readable(self, fd: BorrowedFd) -> Result<bool, Errno> {
        Ok(!self.poll([(fd, PollFlags::POLLIN)])?[0].is_empty())
    }
}

fn answer(fd: &PollFd) -> PollFlags {
    fd.revents().unwrap_or(PollFlags::empty())
}
