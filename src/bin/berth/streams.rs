//! Passes further descriptors and sockets to the process, and writes the pid file.

use std::fs::File;
use std::io::IoSlice;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::path::{Path, PathBuf};

use clap::Args;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};

use crate::failure::Failure;
use crate::files;

/// The first descriptor after the standard streams.
const FIRST: RawFd = 3;

#[derive(Args)]
pub struct Descriptors {
    /// Pass up to N additional descriptors to the container, after those of $LISTEN_FDS
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    preserve_fds: u16,
}

impl Descriptors {
    /// Returns the sockets of the service manager, and the descriptors to preserve, with -1 for those that are not open.
    /// As with crun, N may be larger than what the caller has.
    pub fn numbers(&self) -> Vec<RawFd> {
        let sockets = FIRST..FIRST + listening();
        let preserved = sockets.end..sockets.end + RawFd::from(self.preserve_fds);
        let last = preserved.clone().rev().find(|fd| is_inherited(*fd));
        let preserved = preserved.take_while(|fd| Some(*fd) <= last).map(|fd| if is_inherited(fd) { fd } else { -1 });
        sockets.chain(preserved).collect()
    }

    pub fn check(&self) -> Result<(), Failure> {
        let count = listening();
        for (index, fd) in (FIRST..FIRST + count).enumerate() {
            // SAFETY: borrowed for one call, which fails if the number is not an open descriptor.
            let borrowed = unsafe { BorrowedFd::borrow_raw(fd) };
            fcntl(borrowed, FcntlArg::F_GETFD).map_err(|errno| {
                let reason = match errno {
                    Errno::EBADF => format!("descriptor {fd} is not open, but $LISTEN_FDS includes it"),
                    other => format!("descriptor {fd} cannot be examined: {}", other.desc()),
                };
                Failure::new(format!("unable to stat preserved-fd {index} (of {count}): {reason}"))
            })?;
        }
        Ok(())
    }

    /// Returns the environment variables that announce the passed sockets (sd_listen_fds(3)).
    pub fn environment(&self) -> Vec<String> {
        match listening() {
            0 => Vec::new(),
            count => {
                let names = std::env::var("LISTEN_FDNAMES").ok().map(|names| format!("LISTEN_FDNAMES={names}"));
                let variables = [format!("LISTEN_FDS={count}"), "LISTEN_PID=1".to_owned()];
                variables.into_iter().chain(names).collect()
            }
        }
    }
}

/// Returns whether the caller has passed this descriptor. Those that berth has opened are close-on-exec.
fn is_inherited(fd: RawFd) -> bool {
    // SAFETY: borrowed for one call, which fails if the number is not an open descriptor.
    let borrowed = unsafe { BorrowedFd::borrow_raw(fd) };
    fcntl(borrowed, FcntlArg::F_GETFD).is_ok_and(|flags| flags & libc::FD_CLOEXEC == 0)
}

/// Returns the number of sockets that the service manager has passed to this process.
fn listening() -> RawFd {
    let number = |name: &str| std::env::var(name).ok().and_then(|value| value.parse::<u16>().ok());
    let ours = std::env::var("LISTEN_PID").is_ok_and(|pid| pid == std::process::id().to_string());
    if ours { number("LISTEN_FDS").map_or(0, RawFd::from) } else { 0 }
}

/// Sends a pidfd over a unix socket, as runc's --pidfd-socket.
pub fn send_pidfd(socket: &Path, pidfd: BorrowedFd) -> Result<(), Failure> {
    let doing = || format!("sending the pidfd to {}", socket.display());
    let stream = files::connected(socket).map_err(|errno| Failure::io(&errno.into(), doing()))?;
    let rights = [pidfd.as_raw_fd()];
    let message = [ControlMessage::ScmRights(&rights)];
    let sent = sendmsg::<()>(stream.as_raw_fd(), &[IoSlice::new(b"pidfd")], &message, MsgFlags::MSG_NOSIGNAL, None);
    sent.map(drop).map_err(|errno| Failure::io(&errno.into(), doing()))
}

/// A pid file, complete or absent. Removed on drop unless [`PidFile::keep`] was called.
pub struct PidFile {
    written: Option<(PathBuf, File)>,
}

impl PidFile {
    pub fn write(path: Option<&Path>, pid: i32) -> Result<PidFile, Failure> {
        let Some(path) = path else { return Ok(PidFile { written: None }) };
        if path.file_name().is_none() {
            return Err(Failure::new(format!("{} is not a file name", path.display())));
        }
        let file = files::replace(path, pid.to_string().as_bytes(), "the pid file")?;
        Ok(PidFile { written: Some((path.to_owned(), file)) })
    }

    pub fn keep(mut self) {
        self.written = None;
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        if let Some((path, file)) = &self.written {
            files::remove(path, file);
        }
    }
}
