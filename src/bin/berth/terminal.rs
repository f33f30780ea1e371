//! The caller's terminal while a process in the foreground uses it.

use std::fs::File;
use std::io::IsTerminal;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use rustix::termios::{OptionalActions, OutputModes, Termios, tcgetattr, tcsetattr};

use crate::failure::Failure;

/// A terminal in raw mode until dropped.
pub struct HostTerminal {
    fd: OwnedFd,
    before: Termios,
}

impl HostTerminal {
    /// Puts the caller's terminal, if there is one, into raw mode: the container's terminal handles echo, input lines
    /// and signals. The caller's still turns newlines into line ends, which the container's leaves as they are.
    pub fn take() -> Result<Option<HostTerminal>, Failure> {
        let doing = |errno: rustix::io::Errno| Failure::io(&errno.into(), "setting the terminal");
        let Some(fd) = find() else { return Ok(None) };
        let before = tcgetattr(&fd).map_err(doing)?;
        let mut raw = before.clone();
        raw.make_raw();
        raw.output_modes |= OutputModes::OPOST;
        tcsetattr(&fd, OptionalActions::Now, &raw).map_err(doing)?;
        Ok(Some(HostTerminal { fd, before }))
    }

    /// Returns rows and columns.
    pub fn size(&self) -> Option<(u16, u16)> {
        size(&self.fd)
    }
}

impl Drop for HostTerminal {
    fn drop(&mut self) {
        // The terminal is gone (hung up).
        let _ = tcsetattr(&self.fd, OptionalActions::Now, &self.before);
    }
}

/// Unbuffered key presses, until dropped.
pub struct Keys {
    terminal: HostTerminal,
}

impl Keys {
    /// Returns None without a terminal.
    pub fn take() -> Result<Option<Keys>, Failure> {
        if std::io::stdin().is_terminal() {
            Ok(HostTerminal::take()?.map(|terminal| Keys { terminal }))
        } else {
            Ok(None)
        }
    }

    /// Reads pending keys. Returns whether one of them quits: q, or an interrupt key.
    pub fn ends(&self) -> bool {
        let mut keys = [0u8; 64];
        match nix::unistd::read(&self.terminal.fd, &mut keys) {
            Ok(count @ 1..) => keys[..count].iter().any(|key| matches!(key, b'q' | 3 | 4 | 28)),
            _ => true,
        }
    }
}

impl AsFd for Keys {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.terminal.fd.as_fd()
    }
}

/// Returns the first standard stream that is a terminal, or the controlling terminal.
pub fn find() -> Option<OwnedFd> {
    let streams = [std::io::stdin().as_fd(), std::io::stdout().as_fd(), std::io::stderr().as_fd()]
        // A closed stream is no terminal.
        .map(|stream| stream.try_clone_to_owned().ok());
    let terminal = streams.into_iter().flatten().find(|stream| stream.is_terminal());
    terminal.or_else(|| File::open("/dev/tty").ok().map(OwnedFd::from))
}

pub fn size(terminal: &OwnedFd) -> Option<(u16, u16)> {
    let mut size = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: TIOCGWINSZ fills the struct.
    let result = unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCGWINSZ, &mut size) };
    Errno::result(result).ok().map(|_| (size.ws_row, size.ws_col))
}
