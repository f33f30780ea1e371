//! Programs of the host that a call runs and waits for: hooks, and CRIU. Of what they print the end is kept, and they have
//! a deadline.

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
    pidfd::{self, ExitStatus},
    procfs,
};

/// How long a program that has ended may stay a zombie whose status the host's own waiting has not taken yet.
const REAPED: Duration = Duration::from_secs(2);
/// How much of a program's output is kept.
const OUTPUT: usize = 4096;

/// What a program prints: our end of its pipe, and the end of what came through.
pub struct Output {
    pipe: OwnedFd,
    open: bool,
    bytes: Vec<u8>,
}

impl Output {
    /// The second is the program's end.
    pub fn new() -> Result<(Output, OwnedFd)> {
        let (pipe, theirs) = pipe2(OFlag::O_CLOEXEC).context(|| "making a pipe")?;
        set_nonblocking(&pipe)?;
        Ok((Output { pipe, open: true, bytes: Vec::new() }, theirs))
    }

    /// Takes what the program prints until one of `others` (the program's pidfd, a socket) has something to say, which is
    /// the answer for each; none has when the deadline has passed.
    pub fn watch<const N: usize>(&mut self, others: [BorrowedFd; N], deadline: Deadline) -> Result<[bool; N]> {
        loop {
            let mut fds = Vec::with_capacity(N + 1);
            fds.extend(others.iter().map(|fd| (*fd, PollFlags::POLLIN)));
            // A pipe that has been closed would poll ready for ever; it is left out then.
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

    /// Until the program itself has ended; children of it that hold the pipe open are not waited for. None: too late.
    pub fn until_end(&mut self, pidfd: &OwnedFd, deadline: Deadline) -> Result<Option<ExitStatus>> {
        let [ended] = self.watch([pidfd.as_fd()], deadline)?;
        self.drain();
        if ended { pidfd::wait(pidfd, Deadline::after(REAPED)).map(Some) } else { Ok(None) }
    }

    /// Reads once; false when the pipe is closed.
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

    /// What is in the pipe already. Bounded, because a child of the program may write on.
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

    /// The last line, for the sentence.
    pub fn quoted(&self) -> String {
        match self.text().lines().last() {
            Some(line) => format!(": {line}"),
            None => String::new(),
        }
    }
}

/// When the program has ended, and before it is reaped: what it has started goes, too.
pub fn end_group(child: &spawn::Child) {
    let own = std::process::id() as i32;
    // A host that waits for all its children may have taken it, and then the number may be another's.
    if matches!(procfs::stat(child.pid), Ok(Some(stat)) if stat.parent == own) {
        let _ = nix::sys::signal::killpg(nix::unistd::Pid::from_raw(child.pid), nix::sys::signal::Signal::SIGKILL);
    }
}

/// The program leads its own session, so its children go with it unless they have left.
pub fn kill_group(child: spawn::Child) {
    let group = nix::unistd::Pid::from_raw(child.pid);
    // Alive, so the number is its own.
    if Deadline::after_ms(0).readable(child.pidfd.as_fd()) == Ok(false) {
        let _ = nix::sys::signal::killpg(group, nix::sys::signal::Signal::SIGKILL);
    }
    children::kill_and_reap(child.into());
}

fn set_nonblocking(fd: &OwnedFd) -> Result<()> {
    let flags = fcntl(fd, FcntlArg::F_GETFL).context(|| "looking at a pipe")?;
    let flags = OFlag::from_bits_retain(flags) | OFlag::O_NONBLOCK;
    fcntl(fd, FcntlArg::F_SETFL(flags)).map(|_| ()).context(|| "changing a pipe")
}
