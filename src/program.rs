//! Programs of the host that a call runs and waits for, with a deadline: hooks, and CRIU. Only the end of their output
//! is kept.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::PollFlags;
use nix::unistd::pipe2;

use crate::deadline::Deadline;
use crate::error::{Context, Result};
use crate::spawn::{self};
use crate::sys::{
    children,
    exit_status::{self, ExitStatus},
    procfs,
};

/// The time that a program that has ended may remain a zombie: the caller's own wait may be taking its status.
const REAPED: Duration = Duration::from_secs(2);
/// The number of bytes of a program's output that are kept.
const OUTPUT: usize = 4096;

/// The output of a program: the reading end of its pipe, and the last bytes that were read.
pub struct Output {
    pipe: OwnedFd,
    open: bool,
    bytes: Vec<u8>,
}

impl Output {
    /// Returns the output, and the program's end of the pipe.
    pub fn new() -> Result<(Output, OwnedFd)> {
        let (pipe, theirs) = pipe2(OFlag::O_CLOEXEC).context(|| "creating a pipe")?;
        set_nonblocking(&pipe)?;
        Ok((Output { pipe, open: true, bytes: Vec::new() }, theirs))
    }

    /// Reads the output until one of `others` (the program's pidfd, a socket) is ready. Returns for each whether it is
    /// ready; none is if the deadline has passed.
    pub fn watch<const N: usize>(&mut self, others: [BorrowedFd; N], deadline: Deadline) -> Result<[bool; N]> {
        loop {
            let mut fds = Vec::with_capacity(N + 1);
            fds.extend(others.iter().map(|fd| (*fd, PollFlags::POLLIN)));
            // Leave out a closed pipe, which would always poll ready.
            fds.extend(self.open.then(|| (self.pipe.as_fd(), PollFlags::POLLIN)));
            let ready = deadline.poll_all(&fds).context(|| "waiting for a program")?;
            let mut answers = [false; N];
            for (answer, ready) in answers.iter_mut().zip(&ready) {
                *answer = !ready.is_empty();
            }
            if answers.contains(&true) || deadline.passed() {
                return Ok(answers);
            }
            if ready.get(N).is_some_and(|ready| !ready.is_empty()) {
                self.open = self.take();
            }
        }
    }

    /// Reads the output until the program has ended. Does not wait for its children, which may hold the pipe open.
    /// Returns `None` after the deadline.
    pub fn until_end(&mut self, pidfd: &OwnedFd, deadline: Deadline) -> Result<Option<ExitStatus>> {
        let [ended] = self.watch([pidfd.as_fd()], deadline)?;
        self.drain();
        if ended { exit_status::wait(pidfd, Deadline::after(REAPED)).map(Some) } else { Ok(None) }
    }

    /// Reads once. Returns `false` if the pipe is closed.
    fn take(&mut self) -> bool {
        let mut buffer = [0u8; 16 << 10];
        match nix::unistd::read(&self.pipe, &mut buffer) {
            Ok(0) => false,
            Ok(len) => {
                self.bytes.extend_from_slice(&buffer[..len]);
                let excess = self.bytes.len().saturating_sub(OUTPUT);
                self.bytes.drain(..excess);
                true
            }
            Err(errno) => errno == Errno::EAGAIN,
        }
    }

    /// Reads what is in the pipe already. The number of reads is limited, because a child of the program may continue
    /// to write.
    pub fn drain(&mut self) {
        for _ in 0..64 {
            let before = self.bytes.len();
            if !self.take() || self.bytes.len() == before && before < OUTPUT {
                return;
            }
        }
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).trim().to_owned()
    }

    /// Returns the last line, for use in an error message.
    pub fn quoted(&self) -> String {
        match self.text().lines().last() {
            Some(line) => format!(": {line}"),
            None => String::new(),
        }
    }
}

/// Kills the processes that a program has started, after it has ended and before it is reaped.
pub fn end_group(child: &spawn::Child) {
    let own = std::process::id() as i32;
    // A caller that waits for all its children may have reaped the program, and the pid may be in use again.
    if matches!(procfs::stat(child.pid), Ok(Some(stat)) if stat.parent == own) {
        // No process of the group is left.
        let _ = nix::sys::signal::killpg(nix::unistd::Pid::from_raw(child.pid), nix::sys::signal::Signal::SIGKILL);
    }
}

/// Kills a program and its process group. The program leads its own session, so its children are killed, too, unless
/// they have left the group.
pub fn kill_group(child: spawn::Child) {
    let group = nix::unistd::Pid::from_raw(child.pid);
    // The program is alive, so its pid has not been reused. If it ends now, there is nothing to kill.
    if Deadline::after_ms(0).readable(child.pidfd.as_fd()) == Ok(false) {
        let _ = nix::sys::signal::killpg(group, nix::sys::signal::Signal::SIGKILL);
    }
    children::kill_and_reap(child.into());
}

fn set_nonblocking(fd: &OwnedFd) -> Result<()> {
    let flags = fcntl(fd, FcntlArg::F_GETFL).context(|| "examining a pipe")?;
    let flags = OFlag::from_bits_retain(flags) | OFlag::O_NONBLOCK;
    fcntl(fd, FcntlArg::F_SETFL(flags)).map(|_| ()).context(|| "setting flags of a pipe")
}
