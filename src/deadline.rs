//! Waiting that ends: every call that waits has a deadline, and signals of the host do not shorten or lengthen it.

use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

#[derive(Clone, Copy, Debug)]
pub struct Deadline(Option<Instant>);

impl Deadline {
    pub const NEVER: Deadline = Deadline(None);

    /// Negative means for ever, 0 a single look.
    pub fn after_ms(timeout_ms: i64) -> Deadline {
        match u64::try_from(timeout_ms) {
            Ok(ms) => Deadline::after(Duration::from_millis(ms)),
            Err(_) => Deadline::NEVER,
        }
    }

    pub fn after(duration: Duration) -> Deadline {
        Deadline(Instant::now().checked_add(duration))
    }

    /// This deadline or the end of `longest`, whichever comes first.
    pub fn within(self, longest: Duration) -> Deadline {
        let end = Instant::now() + longest;
        Deadline(Some(self.0.map_or(end, |at| at.min(end))))
    }

    pub fn passed(self) -> bool {
        self.0.is_some_and(|at| at <= Instant::now())
    }

    /// For timeouts where 0 means for ever: at least 1, and an hour instead of for ever.
    pub fn left_ms(self) -> i64 {
        const HOUR: i64 = 3_600_000;
        let left = self.0.map(|at| at.saturating_duration_since(Instant::now()).as_millis());
        left.map_or(HOUR, |left| i64::try_from(left).unwrap_or(HOUR)).clamp(1, HOUR)
    }

    pub fn poll_timeout(self) -> PollTimeout {
        let Some(at) = self.0 else { return PollTimeout::NONE };
        // Rounded up: a poll that ends just before the deadline would only be repeated.
        let left = at.saturating_duration_since(Instant::now()).as_micros().div_ceil(1000);
        PollTimeout::try_from(i32::try_from(left).unwrap_or(i32::MAX)).unwrap_or(PollTimeout::MAX)
    }

    /// poll(2) until something is ready or the deadline has passed; returns what is ready for each descriptor.
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

    /// The same for a number of descriptors that is known only now.
    pub fn poll_all(self, fds: &[(BorrowedFd, PollFlags)]) -> Result<Vec<PollFlags>, Errno> {
        let mut fds: Vec<PollFd> = fds.iter().map(|(fd, events)| PollFd::new(*fd, *events)).collect();
        self.poll_until(&mut fds)?;
        Ok(fds.iter().map(answer).collect())
    }

    /// Whether `fd` becomes readable in time.
    pub fn readable(self, fd: BorrowedFd) -> Result<bool, Errno> {
        Ok(!self.poll([(fd, PollFlags::POLLIN)])?[0].is_empty())
    }
}

fn answer(fd: &PollFd) -> PollFlags {
    fd.revents().unwrap_or(PollFlags::empty())
}
