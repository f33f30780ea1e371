//! The system calls that nix has no safe form of. Each wrapper is as thin as it can be.

use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use nix::errno::Errno;

/// A descriptor of a process, which never comes to mean another process (Linux 5.3; always close-on-exec).
pub fn pidfd_open(pid: i32) -> Result<OwnedFd, Errno> {
    // SAFETY: takes two integers and touches no memory.
    let fd = Errno::result(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) })?;
    // SAFETY: the kernel has just given us this descriptor and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

pub fn pidfd_send_signal(pidfd: BorrowedFd, signal: i32) -> Result<(), Errno> {
    let no_info = std::ptr::null::<libc::siginfo_t>();
    // SAFETY: siginfo may be NULL; the other arguments are integers.
    let result = unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_raw_fd(), signal, no_info, 0) };
    Errno::result(result).map(drop)
}

/// `bpf(2)`. `attributes` must begin with the fields that `command` expects, laid out as in `union bpf_attr`.
pub fn bpf<T>(command: u32, attributes: &mut T) -> Result<i32, Errno> {
    let size = size_of::<T>() as u32;
    // SAFETY: the kernel reads and writes at most `size` bytes at `attributes`, and the addresses inside
    // belong to buffers that the caller borrows for longer than this call.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_mut(attributes), size) };
    Errno::result(result).map(|value| value as i32)
}

/// Takes over a descriptor that `bpf` returned (bpf descriptors are always close-on-exec).
pub fn own(fd: i32) -> OwnedFd {
    // SAFETY: callers pass what a descriptor-returning bpf command has just returned.
    unsafe { OwnedFd::from_raw_fd(fd) }
}
