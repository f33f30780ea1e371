//! Runs a process in the foreground: forwards signals to it, connects its terminal or pipes with the caller's streams,
//! and exits with its exit status.

use std::fs::File;
use std::io::{IsTerminal, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use berth::{Code, ExitStatus, Process, Stdio};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl;
use nix::sys::signal::SigSet;
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{Id, WaitPidFlag, waitid, waitpid};

use crate::failure::Failure;
use crate::terminal::HostTerminal;

/// The time to wait for the remaining output of a process that has ended.
const DRAIN_TIMEOUT: Duration = Duration::from_millis(200);

/// A session before its process exists.
pub struct Session {
    signals: SignalFd,
    terminal: bool,
}

/// A session whose process's streams are connected to the caller's.
pub struct Attached {
    signals: SignalFd,
    host: Option<HostTerminal>,
    /// Each output reports when all of it was copied.
    copied: Receiver<()>,
    outputs: usize,
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
        let mut attached = Attached { signals: self.signals, host: None, copied, outputs: 0 };
        let mut output = |from: OwnedFd, to: OwnedFd| {
            let done = done.clone();
            attached.outputs += 1;
            thread::spawn(move || {
                copy(from.into(), to.into());
                let _ = done.send(());
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
    thread::spawn(move || copy(from.into(), to.into()));
}

/// Copies until the end of the input, or until the output has no reader.
fn copy(mut from: File, mut to: File) {
    let mut bytes = [0u8; 32 << 10];
    loop {
        match from.read(&mut bytes) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            // EIO: the last process has closed its end of a terminal (pty(7)).
            Ok(0) | Err(_) => return,
            Ok(count) => {
                if to.write_all(&bytes[..count]).is_err() {
                    return;
                }
            }
        }
    }
}

fn ours(stream: &impl AsFd) -> Result<OwnedFd, Failure> {
    stream.as_fd().try_clone_to_owned().map_err(|error| Failure::io(&error, "duplicating a stream"))
}

fn duplicate(fd: &OwnedFd) -> Result<OwnedFd, Failure> {
    fd.try_clone().map_err(|error| Failure::io(&error, "duplicating a stream"))
}

impl Attached {
    /// Forwards signals until the process has ended, then copies its remaining output.
    pub fn wait(self, process: &Process) -> Result<ExitStatus, Failure> {
        loop {
            let mut fds =
                [PollFd::new(process.pidfd(), PollFlags::POLLIN), PollFd::new(self.signals.as_fd(), PollFlags::POLLIN)];
            match poll(&mut fds, PollTimeout::NONE) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(errno) => return Err(Failure::io(&errno.into(), "waiting for the process")),
            }
            let ended = fds[0].any().unwrap_or(true);
            while let Ok(Some(signal)) = self.signals.read_signal() {
                self.take(signal.ssi_signo as i32, process);
            }
            if ended {
                break;
            }
        }
        let status = process.wait(-1)?;
        for _ in 0..self.outputs {
            if self.copied.recv_timeout(DRAIN_TIMEOUT).is_err() {
                break;
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
