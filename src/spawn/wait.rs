//! How a process ended, asked through its pidfd only: the host's other children are none of our business.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::signal::Signal;
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};

use nix::poll::PollFlags;

use crate::deadline::Deadline;
use crate::error::{Code, Doing, Error, Result};

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitStatus {
    Exited(i32),
    Signaled { signal: i32, core_dumped: bool },
}

impl ExitStatus {
    /// From the encoding of waitpid(2).
    fn from_raw(raw: i32) -> ExitStatus {
        if libc::WIFSIGNALED(raw) {
            ExitStatus::Signaled { signal: libc::WTERMSIG(raw), core_dumped: libc::WCOREDUMP(raw) }
        } else {
            ExitStatus::Exited(libc::WEXITSTATUS(raw))
        }
    }

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

/// Waits for the end of a child and takes its status; for processes that end at once or have been killed.
pub fn reap(pidfd: &OwnedFd) -> Option<ExitStatus> {
    loop {
        match waitid(Id::PIDFd(pidfd.as_fd()), WaitPidFlag::WEXITED | WaitPidFlag::__WALL) {
            Err(Errno::EINTR) => {}
            Ok(status) => return ended(status),
            Err(_) => return None,
        }
    }
}

fn ended(status: WaitStatus) -> Option<ExitStatus> {
    match status {
        WaitStatus::Exited(_, code) => Some(ExitStatus::Exited(code)),
        WaitStatus::Signaled(_, signal, core_dumped) => {
            Some(ExitStatus::Signaled { signal: signal as i32, core_dumped })
        }
        _ => None,
    }
}

/// What is known of a process at one moment.
enum Look {
    Alive,
    Ended(ExitStatus),
    /// Not our child, or taken already.
    NotOurs,
}

fn look(pidfd: &OwnedFd) -> Result<Look> {
    let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::__WALL;
    loop {
        return match waitid(Id::PIDFd(pidfd.as_fd()), flags) {
            Err(Errno::EINTR) => continue,
            Err(Errno::ECHILD) => Ok(Look::NotOurs),
            // nix has no name for real-time signals; the status says the number.
            Err(Errno::EINVAL) => raw_look(pidfd),
            Err(errno) => Err(Error::system(errno, "waiting for a process")),
            Ok(status) => Ok(ended(status).map_or(Look::Alive, Look::Ended)),
        };
    }
}

/// The same without nix, which cannot express a process killed by a real-time signal.
fn raw_look(pidfd: &OwnedFd) -> Result<Look> {
    // SAFETY: all-zero is a valid siginfo_t, and waitid fills it.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    let flags = libc::WEXITED | libc::WNOHANG | libc::__WALL;
    // SAFETY: `info` is valid for writing.
    let result = unsafe { libc::waitid(libc::P_PIDFD, pidfd.as_raw_fd() as libc::id_t, &mut info, flags) };
    match Errno::result(result) {
        Err(Errno::ECHILD) => Ok(Look::NotOurs),
        Err(errno) => Err(Error::system(errno, "waiting for a process")),
        // SAFETY: waitid has filled the fields of a SIGCHLD siginfo, or left zeros.
        Ok(_) => Ok(unsafe {
            match info.si_code {
                libc::CLD_EXITED => Look::Ended(ExitStatus::Exited(info.si_status())),
                libc::CLD_KILLED => Look::Ended(ExitStatus::Signaled { signal: info.si_status(), core_dumped: false }),
                libc::CLD_DUMPED => Look::Ended(ExitStatus::Signaled { signal: info.si_status(), core_dumped: true }),
                _ => Look::Alive,
            }
        }),
    }
}

/// Waits until the process has ended, and tells how.
///
/// A status that the host's own waitpid(-1) has taken, or that belongs to another process's child, is asked of the
/// kernel (PIDFD_INFO_EXIT, Linux 6.15). Where it does not know, the answer is [`Code::StatusUnknown`].
pub fn wait(pidfd: &OwnedFd, deadline: Deadline) -> Result<ExitStatus> {
    let ready = deadline.readable(pidfd.as_fd()).doing(|| "waiting for a process")?;
    if !ready {
        return Err(Error::new(Code::Timeout, "the process has not ended in time"));
    }
    match look(pidfd)? {
        Look::Ended(status) => return Ok(status),
        Look::Alive => return Err(Error::new(Code::Timeout, "the process has not ended in time")),
        Look::NotOurs => {}
    }
    if let Some(status) = recorded(pidfd) {
        return Ok(status);
    }
    // The kernel records the status when the parent has taken it, which is when poll adds POLLHUP (pidfd_open(2)).
    let reaped = deadline.poll([(pidfd.as_fd(), PollFlags::empty())]).doing(|| "waiting for a process")?;
    let unknown =
        || Error::new(Code::StatusUnknown, "the process has ended; its exit status was taken by somebody else");
    if reaped[0].contains(PollFlags::POLLHUP) { recorded(pidfd).ok_or_else(unknown) } else { Err(unknown()) }
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
