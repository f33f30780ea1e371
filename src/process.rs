//! A process of a container, as the caller uses it: pid, pidfd, the caller's ends of its pipes, and its exit status.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use nix::sys::statfs::{FsType, fstatfs};
use nix::unistd::{Gid, Uid, fchown, pipe2};

use crate::deadline::Deadline;
use crate::error::{Code, Context, Error, Result};
use crate::sys::{
    children::{self, ChildExit},
    exit_status::ExitStatus,
    pidfd,
};

/// The source or destination of a standard stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stdio {
    /// The caller's own stream.
    #[default]
    Inherit,
    /// /dev/null.
    Null,
    /// A descriptor of the caller, which remains open in the caller.
    Fd(RawFd),
    /// A new pipe. [`Process::take_stdio`] returns the caller's end.
    Pipe,
}

/// The options for starting a process, in addition to its specification.
#[derive(Clone, Debug, Default)]
pub struct ProcessOptions {
    /// Standard input, output and error. With `process.terminal` these are the terminal, and the options must be the
    /// default.
    pub stdio: [Stdio; 3],
    /// Descriptors of the caller that become descriptors 3, 4 and so on of the process. They remain open in the caller.
    /// -1 leaves a number closed.
    pub extra_fds: Vec<RawFd>,
    /// The path of a unix socket that receives the terminal's master, like runc's `--console-socket`. Without it,
    /// [`Process::terminal`] returns the master.
    pub console_socket: Option<std::path::PathBuf>,
    /// With `process.terminal`: newlines in the output stay as they are, because ONLCR (termios(3)) is cleared, as runc
    /// does for a session in the foreground. A terminal on which the output is shown must then have ONLCR itself.
    pub plain_newlines: bool,
    /// The signal that the process gets when the *thread* that has started it ends (PR_SET_PDEATHSIG(2const)); 0 for
    /// none.
    pub parent_death_signal: i32,
    /// Create only: the session keyring. exec uses the setting of the container.
    pub keyring: Keyring,
    /// Create only: when a missing program is an error. exec always reports it at once.
    pub missing_program: MissingProgram,
    /// Exec only: what happens if the container is paused.
    pub paused: Paused,
    /// Exec only: the process's cgroups below the container's, which must exist: "path" for all hierarchies, or
    /// `controller[,controller]:path` for those of the controllers. If empty, the process is in the container's own
    /// cgroups.
    pub cgroups: Vec<String>,
}

/// The session keyring (keyrings(7)) of a container's processes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Keyring {
    /// A new, empty keyring for each process.
    #[default]
    New,
    /// The caller's keyring.
    Inherit,
}

/// When a missing program of a container is an error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MissingProgram {
    /// When start executes it: until then, hooks may create it.
    #[default]
    AtStart,
    /// At create, as for runc and crun.
    AtCreate,
}

/// What exec does if the container is paused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Paused {
    /// Fails with [`Code::Paused`].
    #[default]
    Refuse,
    /// Waits: the program starts when the container is resumed. The call returns then, or fails after the setup
    /// timeout.
    Wait,
}

impl ProcessOptions {
    pub(crate) fn check(&self, terminal: bool) -> Result<()> {
        if terminal && self.stdio.iter().any(|stdio| *stdio != Stdio::Inherit) {
            let message = "process.terminal is true, so the standard streams are the terminal; leave them at their \
                           default or set process.terminal to false";
            return Err(Error::new(Code::ConsoleExists, message));
        }
        if !terminal && self.console_socket.is_some() {
            return Err(Error::invalid_argument("a console socket was given, but process.terminal is not true"));
        }
        if !(0..=64).contains(&self.parent_death_signal) {
            let message = format!("parent_death_signal {} is not a signal; expected 0 to 64", self.parent_death_signal);
            return Err(Error::invalid_argument(message));
        }
        for cgroup in &self.cgroups {
            check_cgroup(cgroup)?;
        }
        for (index, fd) in self.extra_fds.iter().enumerate().filter(|(_, fd)| **fd != -1) {
            check_open(*fd, &format!("extra_fds[{index}]"))?;
        }
        Ok(())
    }
}

fn check_cgroup(cgroup: &str) -> Result<()> {
    let path = cgroup.split_once(':').map_or(cgroup, |(_, path)| path);
    let mut components = Path::new(path).components();
    if components.any(|component| component == std::path::Component::ParentDir) || path.contains('\0') {
        Err(Error::invalid_argument(format!("cgroup {cgroup:?} could lead out of the container's cgroup"))
            .detail("cgroup", cgroup))
    } else {
        Ok(())
    }
}

fn check_open(fd: RawFd, what: &str) -> Result<()> {
    // SAFETY: F_GETFD only reads flags; an invalid number is EBADF.
    let result = unsafe { libc::fcntl(fd, libc::F_GETFD) };
    match Errno::result(result) {
        Ok(_) => Ok(()),
        Err(Errno::EBADF) => {
            let message = format!("{what} is {fd}, which is not an open descriptor");
            Err(Error::invalid_argument(message).with_errno(Errno::EBADF))
        }
        Err(errno) => Err(Error::system(errno, format!("examining {what}, descriptor {fd}, with fcntl(F_GETFD)"))),
    }
}

/// Duplicates a descriptor of the caller.
pub(crate) fn duplicate(fd: RawFd, what: &str) -> Result<OwnedFd> {
    check_open(fd, what)?;
    // SAFETY: the descriptor is open, and borrowed for this call only.
    let borrowed = unsafe { BorrowedFd::borrow_raw(fd) };
    borrowed.try_clone_to_owned().context(|| format!("duplicating {what}"))
}

/// The standard streams of a process that is about to be started.
pub(crate) struct Streams {
    /// The descriptors that become 0, 1, 2 and so on.
    pub low: Vec<RawFd>,
    /// The caller's ends of new pipes.
    pub caller_ends: [Option<OwnedFd>; 3],
    /// The process's ends of new pipes, kept open until it has them.
    pipes: Vec<OwnedFd>,
    /// /dev/null, also kept open until the process has it.
    null: Option<OwnedFd>,
}

impl Streams {
    pub fn open(options: &ProcessOptions, terminal: bool) -> Result<Streams> {
        let mut streams = Streams { low: Vec::new(), caller_ends: [None, None, None], pipes: Vec::new(), null: None };
        for (index, stdio) in options.stdio.iter().enumerate() {
            let name = ["stdin", "stdout", "stderr"][index];
            let fd = match stdio {
                // The terminal replaces them later.
                _ if terminal => streams.null()?,
                Stdio::Null => streams.null()?,
                Stdio::Inherit => {
                    check_open(index as RawFd, &format!("the caller's {name}"))?;
                    index as RawFd
                }
                Stdio::Fd(fd) => {
                    check_open(*fd, name)?;
                    *fd
                }
                Stdio::Pipe => streams.pipe(index)?,
            };
            streams.low.push(fd);
        }
        streams.low.extend(&options.extra_fds);
        Ok(streams)
    }

    fn null(&mut self) -> Result<RawFd> {
        if self.null.is_none() {
            let null = open("/dev/null", OFlag::O_RDWR | OFlag::O_CLOEXEC, Mode::empty());
            self.null = Some(null.context(|| "opening /dev/null")?);
        }
        Ok(self.null.as_ref().map_or(-1, AsRawFd::as_raw_fd))
    }

    fn pipe(&mut self, index: usize) -> Result<RawFd> {
        let (read, write) = pipe2(OFlag::O_CLOEXEC).context(|| "creating a pipe")?;
        let (ours, theirs) = if index == 0 { (write, read) } else { (read, write) };
        let number = theirs.as_raw_fd();
        self.caller_ends[index] = Some(ours);
        self.pipes.push(theirs);
        Ok(number)
    }

    /// Changes the owner of the new pipes to the process's user, as an id of the host, so that the process can open
    /// them again through /proc/self/fd. init does the same for the streams that the caller has passed, except pipes
    /// whose owner is not mapped in the container's user namespace: their owner is changed here, if that is permitted.
    /// Without an owner nothing changes: the process cannot be started with an id that is not mapped.
    pub(crate) fn give(&self, owner: Option<Owner>, in_user_namespace: bool) -> Result<()> {
        let Some(Owner { uid, gid }) = owner.filter(|owner| (owner.uid, owner.gid) != (0, 0)) else { return Ok(()) };
        for pipe in self.low.iter().take(3).filter(|fd| in_user_namespace && is_anonymous_pipe(**fd)) {
            // SAFETY: the descriptor is open, and borrowed for this call only.
            let given = fchown(unsafe { BorrowedFd::borrow_raw(*pipe) }, Some(Uid::from_raw(uid)), None);
            given.unwrap_or_else(|errno| log::debug!("giving descriptor {pipe} to uid {uid}: {errno}"));
        }
        for pipe in &self.pipes {
            fchown(pipe.as_fd(), Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))
                .context(|| format!("changing the owner of a pipe to uid {uid}"))?;
        }
        Ok(())
    }
}

/// Whether this is a pipe without a name in a filesystem.
fn is_anonymous_pipe(fd: RawFd) -> bool {
    const PIPEFS_MAGIC: FsType = FsType(0x5049_5045); // linux/magic.h
    // SAFETY: the descriptor is open, and borrowed for this call only.
    let filesystem = fstatfs(unsafe { BorrowedFd::borrow_raw(fd) });
    filesystem.is_ok_and(|filesystem| filesystem.filesystem_type() == PIPEFS_MAGIC)
}

/// A user and a group, as ids of the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    pub uid: u32,
    pub gid: u32,
}

/// A process: a container's init, or one that exec has started. Thread-safe; clones refer to the same process.
#[derive(Clone, Debug)]
pub struct Process {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    end: Arc<ChildExit>,
    /// The state directory of the container, if the process is its init.
    init_of: Option<PathBuf>,
    stdio: Mutex<[Option<OwnedFd>; 3]>,
    terminal: Mutex<Option<OwnedFd>>,
    /// Whether a SIGKILL was sent through this handle.
    killed: AtomicBool,
}

impl Process {
    pub(crate) fn new(pid: i32, pidfd: OwnedFd, stdio: [Option<OwnedFd>; 3]) -> Process {
        Process::of(Arc::new(ChildExit::new(pid, pidfd)), None, stdio)
    }

    /// Returns the init of the container with this state directory.
    pub(crate) fn init(end: Arc<ChildExit>, container: &Path, stdio: [Option<OwnedFd>; 3]) -> Process {
        Process::of(end, Some(container.to_owned()), stdio)
    }

    fn of(end: Arc<ChildExit>, init_of: Option<PathBuf>, stdio: [Option<OwnedFd>; 3]) -> Process {
        let (stdio, terminal) = (Mutex::new(stdio), Mutex::new(None));
        let inner = Inner { end, init_of, stdio, terminal, killed: AtomicBool::new(false) };
        Process { inner: Arc::new(inner) }
    }

    pub(crate) fn with_terminal(self, master: Option<OwnedFd>) -> Process {
        *locked(&self.inner.terminal) = master;
        self
    }

    pub(crate) fn end(&self) -> Arc<ChildExit> {
        self.inner.end.clone()
    }

    /// Kills a child after an error, and reaps it.
    pub(crate) fn kill_and_reap(&self) {
        children::kill_and_reap(self.end());
    }

    /// Returns the pid in the caller's pid namespace.
    pub fn pid(&self) -> i32 {
        self.inner.end.pid
    }

    /// Returns a pidfd, which polls readable when the process has ended.
    pub fn pidfd(&self) -> BorrowedFd<'_> {
        self.inner.end.pidfd()
    }

    pub(crate) fn has_ended(&self) -> bool {
        // poll(2) of one descriptor fails only for want of memory.
        Deadline::after_ms(0).readable(self.pidfd()).unwrap_or(false)
    }

    /// Waits until the process has ended. Several threads may call this, and later calls return the same status.
    pub fn wait(&self, timeout_ms: i64) -> Result<ExitStatus> {
        self.wait_until(Deadline::after_ms(timeout_ms))
    }

    pub(crate) fn wait_until(&self, deadline: Deadline) -> Result<ExitStatus> {
        if let Some(container) = &self.inner.init_of {
            children::wait_for_init(container, self.pidfd(), deadline);
        }
        self.inner.end.wait_until(deadline)
    }

    pub(crate) fn was_killed(&self) -> bool {
        self.inner.killed.load(Ordering::Relaxed)
    }

    /// Notes that this handle kills the process, unless the process has ended already.
    pub(crate) fn note_kill_if_alive(&self) {
        if !self.has_ended() {
            self.inner.killed.store(true, Ordering::Relaxed);
        }
    }

    /// Sends a signal (pidfd_send_signal(2)); 0 only checks that the process exists. Returns [`Code::NotRunning`] if it
    /// has ended.
    pub fn signal(&self, signal: i32) -> Result<()> {
        // Before the signal is sent, because a thread that waits may see the exit at once.
        if signal == libc::SIGKILL {
            self.note_kill_if_alive();
        }
        match pidfd::send_signal(&self.inner.end.pidfd, signal) {
            Err(Errno::ESRCH) => Err(Error::new(Code::NotRunning, format!("process {} has ended", self.inner.end.pid))
                .with_errno(Errno::ESRCH)),
            Err(Errno::EINVAL) => Err(Error::invalid_argument(format!("{signal} is not a signal number"))),
            other => other.context(|| format!("sending signal {signal} to process {}", self.inner.end.pid)),
        }
    }

    /// Returns the caller's ends of the pipes that [`Stdio::Pipe`] has requested. Each is returned only once.
    pub fn take_stdio(&self) -> [Option<OwnedFd>; 3] {
        std::mem::take(&mut *locked(&self.inner.stdio))
    }

    /// Returns a duplicate of the master of the process's terminal. The original stays here for further calls and for
    /// resizing.
    pub fn terminal(&self) -> Result<Option<OwnedFd>> {
        let terminal = locked(&self.inner.terminal);
        terminal.as_ref().map(|fd| fd.try_clone().context(|| "duplicating the terminal")).transpose()
    }

    /// Sets the window size of the process's terminal, which sends SIGWINCH to its foreground processes.
    pub fn resize_terminal(&self, rows: u16, columns: u16) -> Result<()> {
        let terminal = locked(&self.inner.terminal);
        let Some(master) = terminal.as_ref() else {
            let message = format!("process {} has no terminal that this handle knows", self.inner.end.pid);
            return Err(Error::invalid_argument(message));
        };
        let size = libc::winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        let fd = std::os::fd::AsRawFd::as_raw_fd(master);
        // SAFETY: `size` is the struct that TIOCSWINSZ reads.
        let result = unsafe { libc::ioctl(fd, libc::TIOCSWINSZ, &size) };
        Errno::result(result).map(|_| ()).context(|| "resizing the terminal")
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}
