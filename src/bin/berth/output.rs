//! Standard output: every print is flushed, so that a command learns of write errors.

use std::io::Write;

use crate::failure::Failure;

/// Prints text. All of it is written when this returns.
pub fn print(text: impl AsRef<str>) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    let written = out.write_all(text.as_ref().as_bytes()).and_then(|()| out.flush());
    written.map_err(|error| Failure::output(&error))
}

/// Prints text and a newline.
pub fn print_line(text: impl std::fmt::Display) -> Result<(), Failure> {
    print(format!("{text}\n"))
}

/// Writes to standard error. Ignores failures, which cannot be reported.
pub fn tell(text: impl std::fmt::Display) {
    let _ = write!(std::io::stderr(), "{text}");
}

/// Ends this process as the system ends one that writes to a closed pipe: quietly, by SIGPIPE.
pub fn end_by_closed_pipe() -> u8 {
    use nix::sys::signal::{SigHandler, SigSet, Signal, raise, signal};
    // SAFETY: the default action runs no code of this program.
    let default = unsafe { signal(Signal::SIGPIPE, SigHandler::SigDfl) };
    let mut set = SigSet::empty();
    set.add(Signal::SIGPIPE);
    // If one of these calls fails, the returned status is what a shell reports for SIGPIPE.
    let _ = default.and_then(|_| set.thread_unblock()).and_then(|()| raise(Signal::SIGPIPE));
    128 + Signal::SIGPIPE as u8
}
