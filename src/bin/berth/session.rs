//! Runs a process in the foreground: forwards signals to it, connects its terminal or pipes with the caller's streams,
//! and exits with its exit status.

use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use berth::{Code, ExitStatus, Process, Stdio};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::prctl;
use nix::sys::signal::SigSet;
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{Id, WaitPidFlag, waitid, waitpid};

use crate::failure::Failure;
use crate::terminal::HostTerminal;

/// The time to wait for the remaining output of a process that has ended.
const DRAIN_TIMEOUT: Duration = Duration::from_millis(200);
/// The time that a process has to end after a hangup.
const HANGUP_TIMEOUT: Duration = Duration::from_secs(1);

/// A session before its process exists.
pub struct Session {
    signals: SignalFd,
    terminal: bool,
}

/// A session whose process's streams are connected to the caller's.
pub struct Attached {
    signals: SignalFd,
    host: Option<HostTerminal>,
    /// Each output reports when all of it was copied, or that it could not be written.
    copied: Receiver<io::Result<()>>,
    outputs: usize,
    /// Readable when an output could not be written.
    lost: Arc<EventFd>,
}

/// Returns the exit status as a shell computes it.
pub fn code(ended: ExitStatus) -> u8 {
    match ended {
        ExitStatus::Exited(code) => code as u8,
        ExitStatus::Signaled { signal, .. } => 128u8.wrapping_add(signal as u8),
    }
}

/// Makes this process the subreaper of the container's orphans.
pub fn become_subreaper() -> Result<(), Failure> {
    prctl::set_child_subreaper(true).map_err(|errno| Failure::io(&errno.into(), "becoming a subreaper"))
}

impl Session {
    /// Blocks signals until there is a process to forward them to.
    pub fn begin(terminal: bool) -> Result<Session, Failure> {
        let doing = |errno: Errno| Failure::io(&errno.into(), "opening a signalfd");
        let all = SigSet::all();
        all.thread_block().map_err(doing)?;
        let signals = SignalFd::with_flags(&all, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK).map_err(doing)?;
        Ok(Session { signals, terminal })
    }

    /// Passes the caller's own streams to the process, but never its terminal: a container could inject input there
    /// (TIOCSTI).
    pub fn stdio(&self) -> [Stdio; 3] {
        if self.terminal {
            return Default::default();
        }
        let stream = |is_terminal: bool| if is_terminal { Stdio::Pipe } else { Stdio::Inherit };
        let ours = [std::io::stdin().is_terminal(), std::io::stdout().is_terminal(), std::io::stderr().is_terminal()];
        ours.map(stream)
    }

    /// Connects the process's terminal or pipes with the caller's streams. The process need not be started yet.
    pub fn attach(self, process: &Process) -> Result<Attached, Failure> {
        let (done, copied) = channel();
        let lost = EventFd::from_value_and_flags(0, EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK);
        let lost = Arc::new(lost.map_err(|errno| Failure::io(&errno.into(), "making an eventfd"))?);
        let mut attached = Attached { signals: self.signals, host: None, copied, outputs: 0, lost: lost.clone() };
        let mut output = |from: OwnedFd, to: OwnedFd| {
            let (done, lost) = (done.clone(), lost.clone());
            attached.outputs += 1;
            thread::spawn(move || {
                let written = copy(from.into(), to.into());
                let is_lost = written.is_err();
                // After that, nobody waits for this thread.
                let _ = done.send(written);
                if is_lost {
                    let _ = lost.write(1);
                }
            });
        };
        if self.terminal {
            if let Some(master) = process.terminal()? {
                let host = HostTerminal::take()?;
                input(ours(&std::io::stdin())?, duplicate(&master)?);
                output(master, ours(&std::io::stdout())?);
                attached.host = host;
                attached.resize(process);
            }
            return Ok(attached);
        }
        let [to, from, errors] = process.take_stdio();
        if let Some(to) = to {
            input(ours(&std::io::stdin())?, to);
        }
        if let Some(from) = from {
            output(from, ours(&std::io::stdout())?);
        }
        if let Some(errors) = errors {
            output(errors, ours(&std::io::stderr())?);
        }
        Ok(attached)
    }
}

fn input(from: OwnedFd, to: OwnedFd) {
    // A process that reads no input is no error.
    thread::spawn(move || drop(copy(from.into(), to.into())));
}

/// Copies until the end of the input. Returns an error of writing.
fn copy(mut from: File, mut to: File) -> io::Result<()> {
    let mut bytes = [0u8; 32 << 10];
    loop {
        match from.read(&mut bytes) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            // EIO: the last process has closed its end of a terminal (pty(7)).
            Ok(0) | Err(_) => return Ok(()),
            Ok(count) => to.write_all(&bytes[..count])?,
        }
    }
}

fn ours(stream: &impl AsFd) -> Result<OwnedFd, Failure> {
    stream.as_fd().try_clone_to_owned().map_err(|error| Failure::io(&error, "duplicating a stream"))
}

fn duplicate(fd: &OwnedFd) -> Result<OwnedFd, Failure> {
    fd.try_clone().map_err(|error| Failure::io(&error, "duplicating a stream"))
}

/// How far the end of a process is whose output cannot be written.
#[derive(Clone, Copy, PartialEq)]
enum Ending {
    No,
    HungUp { until: Instant },
    Killed,
}

impl Ending {
    fn timeout(self) -> PollTimeout {
        match self {
            Ending::HungUp { until } => {
                let left = until.saturating_duration_since(Instant::now());
                // One more, since it is rounded down.
                PollTimeout::try_from(left + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX)
            }
            Ending::No | Ending::Killed => PollTimeout::NONE,
        }
    }

    fn next(self, lost: bool, process: &Process) -> Ending {
        let send = |signal: i32| match process.signal(signal) {
            Err(error) if error.code != Code::NotRunning => log::warn!("ending the process: {error}"),
            _ => {}
        };
        match self {
            Ending::No if lost => {
                send(libc::SIGHUP);
                Ending::HungUp { until: Instant::now() + HANGUP_TIMEOUT }
            }
            Ending::HungUp { until } if Instant::now() >= until => {
                send(libc::SIGKILL);
                Ending::Killed
            }
            other => other,
        }
    }
}

fn readable(fd: BorrowedFd<'_>) -> PollFd<'_> {
    PollFd::new(fd, PollFlags::POLLIN)
}

impl Attached {
    /// Forwards signals until the process has ended, then copies its remaining output. A process whose output cannot be
    /// written is ended: first by a hangup, as by the end of its terminal, then by SIGKILL.
    pub fn wait(self, process: &Process) -> Result<ExitStatus, Failure> {
        let mut ending = Ending::No;
        loop {
            let mut fds = [process.pidfd(), self.signals.as_fd(), self.lost.as_fd()].map(readable);
            let watched = if ending == Ending::No { &mut fds[..] } else { &mut fds[..2] };
            match poll(watched, ending.timeout()) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(errno) => return Err(Failure::io(&errno.into(), "waiting for the process")),
            }
            let [ended, _, lost] = fds.map(|fd| fd.any().unwrap_or(true));
            while let Ok(Some(signal)) = self.signals.read_signal() {
                self.take(signal.ssi_signo as i32, process);
            }
            if ended {
                break;
            }
            ending = ending.next(lost, process);
        }
        let status = process.wait(-1)?;
        for _ in 0..self.outputs {
            match self.copied.recv_timeout(DRAIN_TIMEOUT) {
                Ok(written) => written.map_err(|error| Failure::output(&error))?,
                Err(_) => break,
            }
        }
        Ok(status)
    }

    fn take(&self, signal: i32, process: &Process) {
        match signal {
            libc::SIGCHLD => reap_others(process),
            libc::SIGWINCH if self.host.is_some() => self.resize(process),
            // These concern berth itself and its terminal, or (SIGURG) Go's scheduler.
            libc::SIGPIPE | libc::SIGTTIN | libc::SIGTTOU | libc::SIGURG => {}
            signal => match process.signal(signal) {
                Err(error) if error.code != Code::NotRunning => log::warn!("forwarding signal {signal}: {error}"),
                _ => {}
            },
        }
    }

    fn resize(&self, process: &Process) {
        if let Some((rows, columns)) = self.host.as_ref().and_then(HostTerminal::size)
            && let Err(error) = process.resize_terminal(rows, columns)
        {
            log::debug!("resizing the terminal: {error}");
        }
    }
}

/// Reaps adopted orphans. The library waits for the process itself.
fn reap_others(process: &Process) {
    let look = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    while let Ok(status) = waitid(Id::All, look) {
        match status.pid() {
            Some(pid) if pid.as_raw() != process.pid() => {
                let _ = waitpid(pid, Some(WaitPidFlag::WNOHANG));
            }
            _ => return,
        }
    }
}
