//! Sends a descriptor with a text to another program (SCM_RIGHTS, unix(7)), over a new connection.

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

/// Connects to `path` and sends `text` and `fd`. `doing` names the action in errors. A receiver that is busy or stuck
/// blocks the call only until the deadline.
pub fn send(path: &Path, text: &[u8], fd: &OwnedFd, deadline: Deadline, doing: impl Fn() -> String) -> Result<()> {
    connect_and_send(path, text, fd, deadline).map_err(|errno| match errno {
        // The errno of a socket call whose timeout has expired (socket(7)).
        Errno::EAGAIN | Errno::EINPROGRESS => {
            Error::new(Code::Timeout, format!("{}: the receiver did not accept it in time", doing())).with_errno(errno)
        }
        errno => Error::system(errno, doing()),
    })
}

fn connect_and_send(path: &Path, text: &[u8], fd: &OwnedFd, deadline: Deadline) -> nix::Result<()> {
    let address = UnixAddr::new(path)?;
    let socket = socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    with_send_timeout(&socket, deadline, || connect(socket.as_raw_fd(), &address))?;
    let fds = [fd.as_raw_fd()];
    let mut sent = 0;
    while sent < text.len() {
        // Send the descriptor with the first part only.
        let rights = [ControlMessage::ScmRights(&fds)];
        let control = if sent == 0 { &rights[..] } else { &[] };
        let rest = [IoSlice::new(&text[sent..])];
        let raw: RawFd = socket.as_raw_fd();
        sent +=
            with_send_timeout(&socket, deadline, || sendmsg::<()>(raw, &rest, control, MsgFlags::MSG_NOSIGNAL, None))?;
    }
    Ok(())
}

/// Makes a call on the socket, limited to the remaining time. The send timeout also limits AF_UNIX's connect.
fn with_send_timeout<T>(
    socket: &OwnedFd,
    deadline: Deadline,
    mut call: impl FnMut() -> nix::Result<T>,
) -> nix::Result<T> {
    loop {
        setsockopt(socket, SendTimeout, &TimeVal::milliseconds(deadline.left_ms()))?;
        match call() {
            Err(Errno::EINTR) if !deadline.passed() => {}
            other => return other,
        }
    }
}
