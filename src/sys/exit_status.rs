//! Exit statuses of processes, requested through their pidfds only, since the caller's other children must not be
//! affected.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::PollFlags;
use nix::sys::signal::Signal;

use super::pidfd::send_signal;
use crate::deadline::Deadline;
use crate::error::{Code, Context, Error, Result};

/// The way a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitStatus {
    /// It exited with this status.
    Exited(i32),
    /// A signal killed it.
    Signaled {
        /// The signal's number.
        signal: i32,
        /// Whether it left a core dump.
        core_dumped: bool,
    },
}

impl ExitStatus {
    /// Decodes a status of waitpid(2).
    fn from_raw(raw: i32) -> ExitStatus {
        if libc::WIFSIGNALED(raw) {
            ExitStatus::Signaled { signal: libc::WTERMSIG(raw), core_dumped: libc::WCOREDUMP(raw) }
        } else {
            ExitStatus::Exited(libc::WEXITSTATUS(raw))
        }
    }

    /// Describes the status, as the end of a sentence: "exited with status 1".
    pub fn describe(self) -> String {
        match self {
            ExitStatus::Exited(code) => format!("exited with status {code}"),
            ExitStatus::Signaled { signal, .. } => match Signal::try_from(signal) {
                Ok(name) => format!("was killed by {name}"),
                Err(_) => format!("was killed by signal {signal}"),
            },
        }
    }
}

/// The state of a process at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProcessState {
    Alive,
    Ended(ExitStatus),
    /// A zombie; only its parent may take the status.
    Unreaped,
    /// Ended; somebody else has taken the status, and the kernel does not report it.
    Unknown,
}

/// Returns the state of a process without waiting, and takes the status of a child that has ended.
///
/// If the caller's own waitpid(-1) has taken the status, or the process is not the caller's child, the kernel is asked
/// (PIDFD_INFO_EXIT, Linux 6.15), which knows the status once the parent has taken it.
pub fn poll_state(pidfd: &OwnedFd) -> Result<ProcessState> {
    if let Some(poll_state) = child_state(pidfd)? {
        return Ok(poll_state);
    }
    if !Deadline::after_ms(0).readable(pidfd.as_fd()).context(|| "examining a process")? {
        return Ok(ProcessState::Alive);
    }
    if let Some(status) = recorded(pidfd) {
        return Ok(ProcessState::Ended(status));
    }
    match send_signal(pidfd, 0) {
        Err(Errno::ESRCH) => Ok(recorded(pidfd).map_or(ProcessState::Unknown, ProcessState::Ended)),
        _ => Ok(ProcessState::Unreaped),
    }
}

/// Returns the state of a child, or `None` if the process is not, or no longer, a child of the caller. Does not use
/// nix, whose waitid takes the status of a process killed by a real-time signal and then cannot represent it.
fn child_state(pidfd: &OwnedFd) -> Result<Option<ProcessState>> {
    let flags = libc::WEXITED | libc::WNOHANG | libc::__WALL;
    // SAFETY: all-zero is a valid siginfo_t, and waitid fills it.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    let result = loop {
        // SAFETY: `info` is valid for writing.
        let result = unsafe { libc::waitid(libc::P_PIDFD, pidfd.as_raw_fd() as libc::id_t, &mut info, flags) };
        match Errno::result(result) {
            Err(Errno::EINTR) => {}
            other => break other,
        }
    };
    match result {
        Err(Errno::ECHILD) => Ok(None),
        Err(errno) => Err(Error::system(errno, "waiting for a process")),
        // SAFETY: waitid has filled the fields of a SIGCHLD siginfo, or left zeros.
        Ok(_) => Ok(Some(unsafe {
            match info.si_code {
                libc::CLD_EXITED => ProcessState::Ended(ExitStatus::Exited(info.si_status())),
                libc::CLD_KILLED => {
                    ProcessState::Ended(ExitStatus::Signaled { signal: info.si_status(), core_dumped: false })
                }
                libc::CLD_DUMPED => {
                    ProcessState::Ended(ExitStatus::Signaled { signal: info.si_status(), core_dumped: true })
                }
                _ => ProcessState::Alive,
            }
        })),
    }
}

/// The time that another process's child may stay a zombie before its status counts as unknown.
const ZOMBIE_TIMEOUT: Duration = Duration::from_secs(1);

/// Waits for a process until `poll_state` (which may serialize threads) returns its exit status.
///
/// Returns [`Code::StatusUnknown`], never a guess, if the status cannot be found.
pub fn wait_with(
    pidfd: &OwnedFd,
    deadline: Deadline,
    poll_state: impl Fn() -> Result<ProcessState>,
) -> Result<ExitStatus> {
    let late = || Error::new(Code::Timeout, "the process has not ended in time");
    let unknown =
        || Error::new(Code::StatusUnknown, "the process has ended; its exit status was consumed by another wait");
    let mut zombie_deadline: Option<Deadline> = None;
    loop {
        match poll_state()? {
            ProcessState::Ended(status) => return Ok(status),
            ProcessState::Unknown => return Err(unknown()),
            ProcessState::Alive if deadline.passed() => return Err(late()),
            ProcessState::Alive => {
                deadline.readable(pidfd.as_fd()).context(|| "waiting for a process")?;
            }
            ProcessState::Unreaped if deadline.passed() || zombie_deadline.is_some_and(Deadline::passed) => {
                return Err(unknown());
            }
            ProcessState::Unreaped => {
                zombie_deadline.get_or_insert_with(|| Deadline::after(ZOMBIE_TIMEOUT));
                // POLLHUP: the parent has taken the status (since Linux 6.9; older kernels do not report that).
                let pause = Deadline::after(Duration::from_millis(20));
                pause.poll([(pidfd.as_fd(), PollFlags::empty())]).context(|| "waiting for a process")?;
            }
        }
    }
}

pub fn wait(pidfd: &OwnedFd, deadline: Deadline) -> Result<ExitStatus> {
    wait_with(pidfd, deadline, || poll_state(pidfd))
}

/// struct pidfd_info of linux/pidfd.h, the first 64 bytes (PIDFD_INFO_SIZE_VER0).
#[repr(C)]
#[derive(Default)]
struct PidfdInfo {
    mask: u64,
    cgroup_id: u64,
    ids: [u32; 11],
    exit_code: i32,
}

fn recorded(pidfd: &OwnedFd) -> Option<ExitStatus> {
    const PIDFD_GET_INFO: libc::c_ulong = 0xc040_ff0b; // _IOWR(0xff, 11, 64 bytes)
    const PIDFD_INFO_EXIT: u64 = 1 << 3;
    let mut info = PidfdInfo { mask: PIDFD_INFO_EXIT, ..PidfdInfo::default() };
    // SAFETY: the struct has the size that the request's number says.
    let result = unsafe { libc::ioctl(pidfd.as_raw_fd(), PIDFD_GET_INFO, &mut info) };
    (result == 0 && info.mask & PIDFD_INFO_EXIT != 0).then(|| ExitStatus::from_raw(info.exit_code))
}
