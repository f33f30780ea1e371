//! Runs a process in the foreground: forwards signals to it, connects its terminal or pipes with the caller's streams,
//! and exits with its exit status.

use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
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

/// The time to wait for more output of a process that has ended: another process may keep a pipe open.
const DRAIN_TIMEOUT: Duration = Duration::from_millis(200);
/// The time that a process has to end after a hangup, and its output's reader after a signal that ended the process.
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
    outputs: Outputs,
}

/// The outputs of a process, each of which a thread copies to the caller's stream.
struct Outputs {
    /// Those that are not yet copied to their end.
    open: usize,
    /// Each reports when all of it was copied, or that it could not be written.
    copied: Receiver<io::Result<()>>,
    report: Sender<io::Result<()>>,
    /// Readable after each report.
    reported: Arc<EventFd>,
    progress: Arc<Progress>,
}

/// What the copying threads are doing.
#[derive(Default)]
struct Progress {
    /// The number of threads that have input which is not yet written.
    writing: AtomicUsize,
    /// The number of bytes written.
    bytes: AtomicU64,
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
        let mut attached = Attached { signals: self.signals, host: None, outputs: Outputs::new()? };
        if self.terminal {
            if let Some(master) = process.terminal()? {
                let host = HostTerminal::take()?;
                input(ours(&std::io::stdin())?, duplicate(&master)?);
                attached.outputs.copy(master, ours(&std::io::stdout())?);
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
            attached.outputs.copy(from, ours(&std::io::stdout())?);
        }
        if let Some(errors) = errors {
            attached.outputs.copy(errors, ours(&std::io::stderr())?);
        }
        Ok(attached)
    }
}

impl Outputs {
    fn new() -> Result<Outputs, Failure> {
        let (report, copied) = channel();
        let reported = EventFd::from_value_and_flags(0, EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK);
        let reported = Arc::new(reported.map_err(|errno| Failure::io(&errno.into(), "making an eventfd"))?);
        Ok(Outputs { open: 0, copied, report, reported, progress: Arc::default() })
    }

    fn copy(&mut self, from: OwnedFd, to: OwnedFd) {
        let (report, reported, progress) = (self.report.clone(), self.reported.clone(), self.progress.clone());
        self.open += 1;
        thread::spawn(move || {
            // After the end of the session, nobody waits for this thread.
            let _ = report.send(copy(from.into(), to.into(), &progress));
            // It fails only if the count overflows.
            let _ = reported.write(1);
        });
    }

    /// Takes what the threads have reported. Returns the first error.
    fn take_reports(&mut self) -> io::Result<()> {
        // EAGAIN: nobody has reported anything since.
        let _ = self.reported.read();
        let reports: Vec<_> = self.copied.try_iter().collect();
        self.open -= reports.len();
        reports.into_iter().collect()
    }
}

fn input(from: OwnedFd, to: OwnedFd) {
    // A process that reads no input is no error.
    thread::spawn(move || drop(copy(from.into(), to.into(), &Progress::default())));
}

/// Copies until the end of the input. Returns an error of writing.
fn copy(mut from: File, mut to: File, progress: &Progress) -> io::Result<()> {
    let mut bytes = [0u8; 32 << 10];
    loop {
        match from.read(&mut bytes) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            // EIO: the last process has closed its end of a terminal (pty(7)).
            Ok(0) | Err(_) => return Ok(()),
            Ok(count) => {
                progress.writing.fetch_add(1, Ordering::SeqCst);
                let written = to.write_all(&bytes[..count]);
                progress.bytes.fetch_add(count as u64, Ordering::SeqCst);
                progress.writing.fetch_sub(1, Ordering::SeqCst);
                written?;
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

/// Returns whether a signal asks a program to end.
fn ends(signal: i32) -> bool {
    [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGTERM].contains(&signal)
}

fn readable(fd: BorrowedFd<'_>) -> PollFd<'_> {
    PollFd::new(fd, PollFlags::POLLIN)
}

impl Attached {
    /// Forwards signals until the process has ended, then copies its remaining output. A process whose output cannot be
    /// written is ended: first by a hangup, as by the end of its terminal, then by SIGKILL.
    pub fn wait(mut self, process: &Process) -> Result<ExitStatus, Failure> {
        let mut ending = Ending::No;
        let mut written = Ok(());
        let mut told_to_end = None;
        loop {
            let mut fds = [process.pidfd(), self.signals.as_fd(), self.outputs.reported.as_fd()].map(readable);
            match poll(&mut fds, ending.timeout()) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(errno) => return Err(Failure::io(&errno.into(), "waiting for the process")),
            }
            let ended = fds[0].any().unwrap_or(true);
            while let Ok(Some(signal)) = self.signals.read_signal() {
                let signal = signal.ssi_signo as i32;
                told_to_end = Some(signal).filter(|signal| ends(*signal)).or(told_to_end);
                self.take(signal, process);
            }
            written = written.and(self.outputs.take_reports());
            if ended {
                break;
            }
            ending = ending.next(written.is_err(), process);
        }
        let status = process.wait(-1)?;
        written.map_err(|error| Failure::output(&error))?;
        let interrupted = self.drain(process, told_to_end)?;
        Ok(interrupted.map_or(status, |signal| ExitStatus::Signaled { signal, core_dumped: false }))
    }

    /// Waits until the output of a process that has ended is copied, however slowly it is read, or until no more of it
    /// comes. Returns the signal that has interrupted this. If a signal has told the process itself to end
    /// (`told_to_end`), a reader that reads nothing is not waited for, and the signal is returned, too.
    fn drain(&mut self, process: &Process, told_to_end: Option<i32>) -> Result<Option<i32>, Failure> {
        let mut bytes = self.outputs.progress.bytes.load(Ordering::SeqCst);
        let mut since = Instant::now();
        while self.outputs.open > 0 {
            let mut fds = [self.signals.as_fd(), self.outputs.reported.as_fd()].map(readable);
            match poll(&mut fds, PollTimeout::try_from(DRAIN_TIMEOUT).unwrap_or(PollTimeout::MAX)) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(errno) => return Err(Failure::io(&errno.into(), "waiting for the output")),
            }
            while let Ok(Some(signal)) = self.signals.read_signal() {
                match signal.ssi_signo as i32 {
                    signal if ends(signal) => return Ok(Some(signal)),
                    libc::SIGCHLD => reap_others(process),
                    _ => {}
                }
            }
            self.outputs.take_reports().map_err(|error| Failure::output(&error))?;
            // In this order: a thread counts its bytes first.
            let is_writing = self.outputs.progress.writing.load(Ordering::SeqCst) > 0;
            let before = std::mem::replace(&mut bytes, self.outputs.progress.bytes.load(Ordering::SeqCst));
            if bytes != before {
                since = Instant::now();
            }
            match told_to_end {
                _ if !is_writing && since.elapsed() >= DRAIN_TIMEOUT => break,
                Some(signal) if is_writing && since.elapsed() >= HANGUP_TIMEOUT => return Ok(Some(signal)),
                _ => {}
            }
        }
        Ok(None)
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
                // It has ended. If somebody else has reaped it, the next round finds another.
                let _ = waitpid(pid, Some(WaitPidFlag::WNOHANG));
            }
            _ => return,
        }
    }
}
