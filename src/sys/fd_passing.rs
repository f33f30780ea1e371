//! Descriptors to other programs: a text and a descriptor (SCM_RIGHTS, unix(7)) over a connection of their own.

use std::io::IoSlice;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::path::Path;

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, ControlMessage, MsgFlags, SockFlag, SockType, UnixAddr, connect, sendmsg, setsockopt, socket,
    sockopt::SendTimeout,
};
use nix::sys::time::{TimeVal, TimeValLike};

use crate::deadline::Deadline;
use crate::error::{Code, Error, Result};

/// `doing` names the act for errors. A receiver that is full or stuck holds us no longer than until the deadline.
pub fn send(path: &Path, text: &[u8], fd: &OwnedFd, deadline: Deadline, doing: impl Fn() -> String) -> Result<()> {
    connect_and_send(path, text, fd, deadline).map_err(|errno| match errno {
        // What a socket with a timeout answers when it is over (socket(7)).
        Errno::EAGAIN | Errno::EINPROGRESS => {
            Error::new(Code::Timeout, format!("{}: nobody has taken it in time", doing())).with_errno(errno)
        }
        errno => Error::system(errno, doing()),
    })
}

fn connect_and_send(path: &Path, text: &[u8], fd: &OwnedFd, deadline: Deadline) -> nix::Result<()> {
    let address = UnixAddr::new(path)?;
    let socket = socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    patiently(&socket, deadline, || connect(socket.as_raw_fd(), &address))?;
    let fds = [fd.as_raw_fd()];
    let mut sent = 0;
    while sent < text.len() {
        // The descriptor goes with the first part only.
        let rights = [ControlMessage::ScmRights(&fds)];
        let control = if sent == 0 { &rights[..] } else { &[] };
        let rest = [IoSlice::new(&text[sent..])];
        let raw: RawFd = socket.as_raw_fd();
        sent += patiently(&socket, deadline, || sendmsg::<()>(raw, &rest, control, MsgFlags::MSG_NOSIGNAL, None))?;
    }
    Ok(())
}

/// A call on the socket, with what is left of the time. AF_UNIX's connect obeys the sending timeout, too.
fn patiently<T>(socket: &OwnedFd, deadline: Deadline, mut call: impl FnMut() -> nix::Result<T>) -> nix::Result<T> {
    loop {
        setsockopt(socket, SendTimeout, &TimeVal::milliseconds(deadline.left_ms()))?;
        match call() {
            Err(Errno::EINTR) if !deadline.passed() => {}
            other => return other,
        }
    }
}
