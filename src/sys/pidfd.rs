//! Refers to processes by pidfd, which never refers to another process later. Waiting
//! for an exit status by pidfd is in `exit_status`.

use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

use nix::errno::Errno;

/// Opens a pidfd (pidfd_open(2)), with close-on-exec.
pub fn open(pid: i32) -> nix::Result<OwnedFd> {
    // SAFETY: no pointers.
    let result = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    // SAFETY: the call has just returned this descriptor, which nobody else owns.
    Errno::result(result).map(|fd| unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// Sends a signal to the process of the pidfd (pidfd_send_signal(2)), never to another one with the same pid.
pub fn send_signal(pidfd: impl AsFd, signal: i32) -> nix::Result<()> {
    let no_info = std::ptr::null::<libc::siginfo_t>();
    let pidfd = pidfd.as_fd().as_raw_fd();
    // SAFETY: the only pointer is siginfo, which may be NULL.
    let result = unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd, signal, no_info, 0) };
    Errno::result(result).map(drop)
}
