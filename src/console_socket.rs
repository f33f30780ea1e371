//! The console socket, which receives a container's terminal, like runc's `--console-socket`.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

use crate::deadline::Deadline;
use crate::error::Result;
use crate::sys::fd_passing;

/// Sends the terminal's master to a console socket as runc does: in one message, whose data is the path of the
/// multiplexer.
pub fn send_terminal(path: &Path, master: &OwnedFd) -> Result<()> {
    const SEND_TIMEOUT: Duration = Duration::from_secs(10);
    let doing = || format!("sending the terminal to the console socket {}", path.display());
    fd_passing::send(path, b"/dev/ptmx", master, Deadline::after(SEND_TIMEOUT), doing)
}
