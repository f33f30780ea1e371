//! What every failure says: a stable code, an errno where there was one, the stage it happened in,
//! and one sentence that names the object. Errors are built where that name is known.

use std::fmt;

use nix::errno::Errno;
use serde_json::{Map, Value};

/// What calls of the library return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The stable error codes of the C ABI. Numbers never change: append, never renumber.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(i32)]
pub enum Code {
    /// A container with this id exists already.
    IdInUse = -1,
    /// The id has characters or a length that are not allowed.
    IdInvalid = -2,
    /// The state root has no container with this id.
    NotFound = -3,
    /// The container is paused and the call needs it running.
    Paused = -4,
    /// The container is not stopped and the call needs it stopped.
    NotStopped = -5,
    /// The container is not running (or, where the call allows it, not created).
    NotRunning = -6,
    /// The container is not paused and the call needs it paused.
    NotPaused = -7,
    /// The container was already started.
    AlreadyRunning = -8,
    /// The configuration is invalid; the message has the JSON path.
    ConfigInvalid = -9,
    /// The process has a terminal, so its streams cannot be chosen.
    ConsoleExists = -10,
    /// A system call failed; the errno says why.
    System = -11,
    /// The kernel, the host or this version of libberth does not support the request.
    Unsupported = -12,
    /// The deadline passed.
    Timeout = -13,
    /// Another process holds the container's lock.
    Busy = -14,
    /// CRIU failed.
    Criu = -15,
    /// A hook failed.
    Hook = -16,
    /// The process has ended, and its exit status is no longer available.
    StatusUnknown = -17,
    /// A parameter is NULL, malformed or out of range.
    InvalidArgument = -18,
    /// A defect of libberth, caught at the boundary of the C ABI.
    Internal = -19,
}

impl Code {
    pub(crate) const ALL: [Code; 19] = [
        Code::IdInUse,
        Code::IdInvalid,
        Code::NotFound,
        Code::Paused,
        Code::NotStopped,
        Code::NotRunning,
        Code::NotPaused,
        Code::AlreadyRunning,
        Code::ConfigInvalid,
        Code::ConsoleExists,
        Code::System,
        Code::Unsupported,
        Code::Timeout,
        Code::Busy,
        Code::Criu,
        Code::Hook,
        Code::StatusUnknown,
        Code::InvalidArgument,
        Code::Internal,
    ];

    /// Returns a short description of the code, for callers without an error object.
    pub fn describe(self) -> &'static str {
        match self {
            Code::IdInUse => "container id is in use",
            Code::IdInvalid => "container id is invalid",
            Code::NotFound => "container does not exist",
            Code::Paused => "container is paused",
            Code::NotStopped => "container is not stopped",
            Code::NotRunning => "container is not running",
            Code::NotPaused => "container is not paused",
            Code::AlreadyRunning => "container is already running",
            Code::ConfigInvalid => "configuration is invalid",
            Code::ConsoleExists => "process has a terminal already",
            Code::System => "system error",
            Code::Unsupported => "not supported",
            Code::Timeout => "timed out",
            Code::Busy => "container is locked by another process",
            Code::Criu => "CRIU failed",
            Code::Hook => "hook failed",
            Code::StatusUnknown => "exit status is unknown",
            Code::InvalidArgument => "invalid argument",
            Code::Internal => "internal error",
        }
    }
}

/// The stage at which a call failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(i32)]
pub enum Stage {
    /// The caller, inside libberth.
    #[default]
    Host = 0,
    /// berth-init, inside the container.
    Init = 1,
    /// A hook.
    Hook = 2,
    /// CRIU.
    Criu = 3,
}

impl Stage {
    /// The stage as a word: "host", "init", "hook" or "criu".
    pub fn name(self) -> &'static str {
        match self {
            Stage::Host => "host",
            Stage::Init => "init",
            Stage::Hook => "hook",
            Stage::Criu => "criu",
        }
    }
}

/// An error with its details. Displays as its message.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// What kind of failure it is.
    pub code: Code,
    /// The kernel's reason, where there was one.
    pub errno: Option<Errno>,
    /// Which process failed.
    pub stage: Stage,
    /// One sentence without a newline.
    pub message: String,
    /// Details (step, path, hook index …) as a JSON object.
    pub detail: Map<String, Value>,
}

impl Error {
    /// An error of the calling process. `message` is made [`printable`].
    pub fn new(code: Code, message: impl Into<String>) -> Error {
        Error { code, errno: None, stage: Stage::Host, message: printable(message), detail: Map::new() }
    }

    /// Creates the error of a failed system call. `doing` names the operation and its object ("creating cgroup
    /// /sys/fs/cgroup/x").
    pub fn system(errno: Errno, doing: impl fmt::Display) -> Error {
        Error { errno: Some(errno), ..Error::new(Code::System, format!("{doing}: {}", reason(errno))) }
    }

    /// Creates the error of a failed file operation of the standard library.
    pub fn io(error: &std::io::Error, doing: impl fmt::Display) -> Error {
        match error.raw_os_error() {
            Some(raw) => Error::system(Errno::from_raw(raw), doing),
            None => Error::new(Code::System, format!("{doing}: {error}")),
        }
    }

    /// A parameter that is malformed or out of range.
    pub fn invalid_argument(message: impl Into<String>) -> Error {
        Error::new(Code::InvalidArgument, message)
    }

    /// Creates the error of an invalid field. `path` is its JSON path, like `linux.resources.pids.limit`.
    pub fn config(path: &str, problem: impl fmt::Display) -> Error {
        Error::new(Code::ConfigInvalid, format!("{path}: {problem}")).detail("json_path", path)
    }

    /// Creates the error of a field that this version or this host does not support.
    pub fn unsupported_field(path: &str, what: impl fmt::Display) -> Error {
        Error::new(Code::Unsupported, format!("{path}: {what}")).detail("json_path", path)
    }

    /// Adds the kernel's reason.
    pub fn with_errno(mut self, errno: Errno) -> Error {
        self.errno = Some(errno);
        self
    }

    /// Says which process failed.
    pub fn with_stage(mut self, stage: Stage) -> Error {
        self.stage = stage;
        self
    }

    /// Adds a fact to [`Error::detail`]. Control characters of a text are escaped, except newlines and tabs.
    pub fn detail(mut self, key: &str, value: impl Into<Value>) -> Error {
        let value = match value.into() {
            Value::String(text) => Value::String(escaped(text, |c| misleads(c) && !matches!(c, '\n' | '\t'))),
            other => other,
        };
        self.detail.insert(key.to_owned(), value);
        self
    }

    /// Prefixes the message with the operation that failed.
    pub fn context(mut self, doing: impl fmt::Display) -> Error {
        self.message = printable(format!("{doing}: {}", self.message));
        self
    }

    /// Adds text to the end of the message.
    pub fn append(mut self, text: &str) -> Error {
        self.message = printable(self.message + text);
        self
    }
}

/// Makes one line of `text` that a terminal shows as it is: line breaks and tabs become spaces, and other control
/// characters are escaped (`\u{1b}`). Messages quote what containers have written or named, which must neither control
/// the terminal of the reader nor look like another line of a log.
pub fn printable(text: impl Into<String>) -> String {
    let text: String = text.into();
    if !text.contains(misleads) {
        return text;
    }
    escaped(text.replace(['\n', '\r', '\t'], " "), misleads)
}

/// Whether a terminal obeys the character instead of showing it: the C0 and C1 control characters, and those of Unicode
/// that break lines or change the direction of text.
fn misleads(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn escaped(text: String, escape: impl Fn(char) -> bool) -> String {
    if !text.contains(&escape) {
        return text;
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if escape(c) { shown.extend(c.escape_unicode()) } else { shown.push(c) }
    }
    shown
}

/// Returns the errno's description in lower case, for the middle of a sentence.
pub fn reason(errno: Errno) -> String {
    let text = errno.desc();
    let mut chars = text.chars();
    match (chars.next(), text.chars().nth(1)) {
        // "RPC …" stays, "No such file" becomes "no such file".
        (Some(first), Some(second)) if !second.is_uppercase() => first.to_lowercase().chain(chars).collect(),
        _ => text.to_owned(),
    }
}

/// Adds the operation to a bare errno or an I/O error: `result.context(|| …)`.
pub trait Context<T> {
    /// The error says what was being done, and why it failed: "opening /x: no such file or directory".
    fn context<D: fmt::Display>(self, what: impl FnOnce() -> D) -> Result<T>;
}

impl<T> Context<T> for std::result::Result<T, Errno> {
    fn context<D: fmt::Display>(self, what: impl FnOnce() -> D) -> Result<T> {
        self.map_err(|errno| Error::system(errno, what()))
    }
}

impl<T> Context<T> for std::io::Result<T> {
    fn context<D: fmt::Display>(self, what: impl FnOnce() -> D) -> Result<T> {
        self.map_err(|error| Error::io(&error, what()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_one_line() {
        assert_eq!(Error::new(Code::Hook, "a\nb").message, "a b");
    }

    #[test]
    fn a_terminal_is_not_controlled_by_what_an_error_quotes() {
        let foreign = "é\x1b[2J\u{9b}1m\x7f\0\u{202e}\t\r\nx";
        let shown = "é\\u{1b}[2J\\u{9b}1m\\u{7f}\\u{0}\\u{202e}   x";
        assert_eq!(printable(foreign), shown);
        assert_eq!(printable(shown), shown);
        assert_eq!(Error::new(Code::Hook, foreign).message, shown);
        assert_eq!(Error::new(Code::Hook, "a").context(foreign).message, format!("{shown}: a"));
        assert_eq!(Error::new(Code::Hook, "a").append(foreign).message, format!("a{shown}"));
        let detail = Error::new(Code::Hook, "a").detail("output", "a\x1b[2J\u{9b}\tb\nc").detail;
        assert_eq!(detail["output"], "a\\u{1b}[2J\\u{9b}\tb\nc");
    }

    #[test]
    fn a_system_error_names_the_act_and_the_reason() {
        let error = Error::system(Errno::ENOENT, "opening /x");
        assert_eq!(error.message, "opening /x: no such file or directory");
        assert_eq!(error.errno, Some(Errno::ENOENT));
    }

    #[test]
    fn codes_are_distinct_and_described() {
        let mut seen = std::collections::HashSet::new();
        for code in Code::ALL {
            assert!(seen.insert(code as i32) && !code.describe().is_empty());
        }
    }
}
