//! Sockets.

use core::ptr::{null, null_mut};

use linux_raw_sys::general::iovec;
use linux_raw_sys::net::{self, cmsghdr, msghdr};

use super::*;

/// Creates a socket with close-on-exec.
pub fn socket(family: i32, kind: i32, protocol: i32) -> Result<i32> {
    call!(__NR_socket, family, kind | O_CLOEXEC as i32, protocol).map(|fd| fd as i32)
}

/// A control message with one descriptor.
#[repr(C)]
struct ControlFd {
    header: cmsghdr,
    fd: i32,
    _pad: i32,
}

impl ControlFd {
    /// cmsg_len counts the header and the descriptor, without the padding after it.
    const HEADER: cmsghdr = cmsghdr {
        cmsg_len: size_of::<cmsghdr>() + size_of::<i32>(),
        cmsg_level: net::SOL_SOCKET as i32,
        cmsg_type: net::SCM_RIGHTS as i32,
    };
}

fn message(iov: &iovec, control: *const ControlFd) -> msghdr {
    msghdr {
        msg_name: null_mut(),
        msg_namelen: 0,
        msg_iov: (&raw const *iov).cast_mut().cast(),
        msg_iovlen: 1,
        msg_control: control as *mut core::ffi::c_void,
        msg_controllen: if control.is_null() { 0 } else { size_of::<ControlFd>() },
        msg_flags: 0,
    }
}

/// Sends one datagram, with at most one descriptor.
pub fn send(socket: i32, bytes: &[u8], fd: Option<i32>) -> Result<()> {
    let iov = iovec { iov_base: bytes.as_ptr() as *mut core::ffi::c_void, iov_len: bytes.len() as u64 };
    let control = ControlFd { header: ControlFd::HEADER, fd: fd.unwrap_or(-1), _pad: 0 };
    let header = message(&iov, if fd.is_some() { &raw const control } else { null() });
    loop {
        match call!(__NR_sendmsg, socket, &raw const header, net::MSG_NOSIGNAL) {
            Err(EINTR) => {}
            other => return other.map(|_| ()),
        }
    }
}

/// Waits for a datagram, and returns the descriptor that it carries.
pub fn receive_fd(socket: i32) -> Result<i32> {
    let mut word = 0u8;
    let iov = iovec { iov_base: &raw mut word as *mut core::ffi::c_void, iov_len: 1 };
    let mut control = ControlFd { header: cmsghdr { cmsg_len: 0, cmsg_level: 0, cmsg_type: 0 }, fd: -1, _pad: 0 };
    let mut header = message(&iov, &raw mut control);
    while let Err(errno) = call!(__NR_recvmsg, socket, &raw mut header, net::MSG_CMSG_CLOEXEC) {
        if errno != EINTR {
            return Err(errno);
        }
    }
    // SAFETY: written by the kernel through the pointer above.
    let ControlFd { header, fd, .. } = unsafe { (&raw const control).read_volatile() };
    let expected = ControlFd::HEADER;
    let found = (header.cmsg_len, header.cmsg_level, header.cmsg_type);
    if found == (expected.cmsg_len, expected.cmsg_level, expected.cmsg_type) { Ok(fd) } else { Err(EPROTO) }
}
