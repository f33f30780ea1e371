//! Sockets.

use super::*;

pub const AF_UNIX: i32 = 1;
pub const AF_NETLINK: i32 = 16;
pub const SOCK_DGRAM: i32 = 2;
pub const SOCK_RAW: i32 = 3;

pub fn socket(family: i32, kind: i32, protocol: i32) -> Result<i32> {
    const SOCK_CLOEXEC: i32 = 0o2_000_000;
    call!(nr::SOCKET, family, kind | SOCK_CLOEXEC, protocol).map(|fd| fd as i32)
}

#[repr(C)]
struct Iovec {
    base: *const u8,
    len: usize,
}

#[repr(C)]
struct Msghdr {
    name: usize,
    name_len: u64,
    iov: *const Iovec,
    iov_len: usize,
    control: *const u8,
    control_len: usize,
    flags: u64,
}

#[repr(C)]
struct ControlFd {
    len: usize,
    level: i32,
    kind: i32,
    fd: i32,
    _pad: i32,
}

const SOL_SOCKET: i32 = 1;
const SCM_RIGHTS: i32 = 1;

/// One datagram, with at most one descriptor.
pub fn send(socket: i32, bytes: &[u8], fd: Option<i32>) -> Result<()> {
    const MSG_NOSIGNAL: usize = 0x4000;
    let iov = Iovec { base: bytes.as_ptr(), len: bytes.len() };
    // cmsg_len counts the header and the descriptor, without the padding after it.
    let control = ControlFd { len: 20, level: SOL_SOCKET, kind: SCM_RIGHTS, fd: fd.unwrap_or(-1), _pad: 0 };
    let (control, control_len) =
        if fd.is_some() { (&raw const control as *const u8, size_of::<ControlFd>()) } else { (core::ptr::null(), 0) };
    let header = Msghdr { name: 0, name_len: 0, iov: &iov, iov_len: 1, control, control_len, flags: 0 };
    loop {
        match call!(nr::SENDMSG, socket, &raw const header, MSG_NOSIGNAL) {
            Err(EINTR) => {}
            other => return other.map(|_| ()),
        }
    }
}

/// Waits for a datagram, and takes the descriptor that comes with it.
pub fn receive_fd(socket: i32) -> Result<i32> {
    const MSG_CMSG_CLOEXEC: usize = 0x4000_0000;
    let mut word = 0u8;
    let iov = Iovec { base: &raw mut word, len: 1 };
    let mut control = ControlFd { len: 0, level: 0, kind: 0, fd: -1, _pad: 0 };
    let mut header = Msghdr {
        name: 0,
        name_len: 0,
        iov: &iov,
        iov_len: 1,
        control: &raw mut control as *const u8,
        control_len: size_of::<ControlFd>(),
        flags: 0,
    };
    while let Err(errno) = call!(nr::RECVMSG, socket, &raw mut header, MSG_CMSG_CLOEXEC) {
        if errno != EINTR {
            return Err(errno);
        }
    }
    // SAFETY: written by the kernel through the pointer above.
    let control = unsafe { (&raw const control).read_volatile() };
    match (control.len, control.level, control.kind) {
        (20, SOL_SOCKET, SCM_RIGHTS) => Ok(control.fd),
        _ => Err(EPROTO),
    }
}
