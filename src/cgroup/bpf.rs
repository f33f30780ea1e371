//! bpf(2), as thin as it can be.

use std::os::fd::{FromRawFd, OwnedFd};

use nix::errno::Errno;

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
