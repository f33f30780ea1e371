//! The destination of the library's log: a function or a descriptor of the caller, or none.

use std::cell::Cell;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{PoisonError, RwLock};
use std::time::SystemTime;

use log::{Level, LevelFilter, Log, Metadata, Record};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, pthread_sigmask};
use serde_json::json;

use crate::error::{Code, Error, Result, printable};

/// A callback that receives level, target and message.
type Function = dyn Fn(Level, &str, &str) + Send + Sync;

pub enum Sink {
    Function(Box<Function>),
    /// JSON, one object per line.
    Lines(OwnedFd),
}

static LOGGER: Logger = Logger { sink: RwLock::new(None) };

thread_local! {
    /// Whether this thread is in the sink. Messages that the sink itself logs are dropped, because they would recurse.
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// The most verbose level that is logged. The default excludes traces.
static MAX_LEVEL: AtomicUsize = AtomicUsize::new(LevelFilter::Debug as usize);

struct Logger {
    sink: RwLock<Option<Sink>>,
}

/// Replaces the sink. When this returns, no thread uses the previous one.
pub fn set(sink: Option<Sink>) -> Result<()> {
    if INSIDE.get() {
        return Err(Error::new(Code::Busy, "the log cannot be changed from inside its own callback"));
    }
    let mut current = LOGGER.sink.write().unwrap_or_else(PoisonError::into_inner);
    if !std::ptr::addr_eq(log::logger(), &LOGGER) && log::set_logger(&LOGGER).is_err() {
        // Another thread may have set this logger first.
        if !std::ptr::addr_eq(log::logger(), &LOGGER) {
            let message = "the program has set a logger of its own, which already receives this library's log";
            return Err(Error::new(Code::Unsupported, message));
        }
    }
    *current = sink;
    apply_level(&current);
    Ok(())
}

/// Sets the most verbose level that is logged. Messages beyond it are not even formatted.
pub fn set_level(max: Level) -> Result<()> {
    if INSIDE.get() {
        return Err(Error::new(Code::Busy, "the log cannot be changed from inside its own callback"));
    }
    MAX_LEVEL.store(max as usize, Ordering::Relaxed);
    let sink = LOGGER.sink.read().unwrap_or_else(PoisonError::into_inner);
    apply_level(&sink);
    Ok(())
}

fn apply_level(sink: &Option<Sink>) {
    let max = MAX_LEVEL.load(Ordering::Relaxed);
    let max = LevelFilter::iter().find(|level| *level as usize == max && sink.is_some());
    if std::ptr::addr_eq(log::logger(), &LOGGER) {
        log::set_max_level(max.unwrap_or(LevelFilter::Off));
    }
}

impl Log for Logger {
    fn enabled(&self, _: &Metadata) -> bool {
        true
    }

    fn log(&self, record: &Record) {
        if INSIDE.replace(true) {
            return;
        }
        let sink = self.sink.read().unwrap_or_else(PoisonError::into_inner);
        let message = printable(record.args().to_string());
        match &*sink {
            Some(Sink::Function(function)) => function(record.level(), record.target(), &message),
            Some(Sink::Lines(fd)) => write(fd, &line(record.level(), record.target(), &message)),
            None => {}
        }
        drop(sink);
        INSIDE.set(false);
    }

    fn flush(&self) {}
}

/// The largest line that a pipe accepts atomically (PIPE_BUF, pipe(7)).
const MAX_LINE: usize = 4096;

fn line(level: Level, target: &str, message: &str) -> String {
    let time = humantime::format_rfc3339_micros(SystemTime::now()).to_string();
    let level = level.as_str().to_ascii_lowercase();
    let with =
        |message: &str| format!("{}\n", json!({ "time": time, "level": level, "target": target, "msg": message }));
    let whole = with(message);
    if whole.len() <= MAX_LINE {
        return whole;
    }
    // JSON needs at most six bytes for a character (\u001f, or four of UTF-8).
    with(&message.chars().take(MAX_LINE / 8).chain(['…']).collect::<String>())
}

/// Writes a line if that is possible without blocking; otherwise the line is lost.
fn write(fd: &OwnedFd, line: &str) {
    let mut ready = [PollFd::new(fd.as_fd(), PollFlags::POLLOUT)];
    if poll(&mut ready, PollTimeout::ZERO) == Ok(1) {
        // The line is lost.
        let _ = write_without_sigpipe(fd, line.as_bytes());
    }
}

/// Writes to a descriptor of the caller's, and keeps a SIGPIPE that this causes from the program. The kernel sends the
/// signal to the writing thread, which therefore blocks it meanwhile, and consumes it if this write has caused it.
pub fn write_without_sigpipe(fd: &OwnedFd, bytes: &[u8]) -> Result<usize, Errno> {
    let pipe = SigSet::from(Signal::SIGPIPE);
    let mut before = SigSet::empty();
    let pending = is_pending(Signal::SIGPIPE);
    pthread_sigmask(SigmaskHow::SIG_BLOCK, Some(&pipe), Some(&mut before))?;
    let written = nix::unistd::write(fd, bytes);
    if written == Err(Errno::EPIPE) && !pending {
        let at_once = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: the set and the time are valid, and no information about the signal is requested.
        unsafe { libc::sigtimedwait(pipe.as_ref(), std::ptr::null_mut(), &at_once) };
    }
    // It fails only for an invalid first argument.
    let _ = pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&before), None);
    written
}

fn is_pending(signal: Signal) -> bool {
    let mut set = SigSet::empty().as_ref().to_owned();
    // SAFETY: `set` is a valid signal set, which sigpending fills and sigismember reads.
    unsafe { libc::sigpending(&mut set) == 0 && libc::sigismember(&set, signal as i32) == 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_json_and_fits_into_a_pipe() {
        let value: serde_json::Value = serde_json::from_str(&line(Level::Warn, "berth::x", "a \"b\"")).unwrap();
        assert_eq!((&value["level"], &value["msg"]), (&json!("warn"), &json!("a \"b\"")));
        assert!(line(Level::Warn, "berth::x", &"\u{1}".repeat(9000)).len() <= MAX_LINE);
    }

    #[test]
    fn a_line_without_a_reader_is_dropped_without_blocking() {
        let (read, full) = nix::unistd::pipe().unwrap();
        for _ in 0..64 {
            write(&full, &"x".repeat(MAX_LINE));
        }
        drop(read);
        // This process ignores SIGPIPE; tests/c/log.c shows that the signal is not delivered.
        write(&full, "x");
        assert!(!is_pending(Signal::SIGPIPE));
    }
}
