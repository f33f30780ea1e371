//! Reads CRIU's log: the lines with errors for an error's message, and its end for the detail.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::fd::OwnedFd;

use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;
use nix::unistd::{UnlinkatFlags, unlinkat};

/// How many bytes of the log's end are read, and how many of them go into the detail.
const MAX_BYTES: u64 = 1 << 20;
const TAIL_BYTES: usize = 8 << 10;
/// The number of errors that are quoted. The first error is the cause, the others follow from it; a few of them may
/// tell where it happened.
const MAX_ERRORS: usize = 3;

/// The log of one run, read at each query.
pub struct CriuLog<'a> {
    pub directory: &'a OwnedFd,
    pub name: &'a str,
}

impl CriuLog<'_> {
    /// Removes the log of an earlier run. CRIU creates its log anew: it would write through a symbolic link.
    pub fn forget(&self) {
        // There is none, or CRIU reports that it cannot create its log.
        let _ = unlinkat(self.directory, self.name, UnlinkatFlags::NoRemoveDir);
    }

    pub fn text(&self) -> String {
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        let Ok(fd) = openat(self.directory, self.name, flags, Mode::empty()) else { return String::new() };
        let mut file = File::from(fd);
        let length = file.metadata().map_or(0, |found| found.len());
        // The log only explains an error: what cannot be read of it is left out.
        let _ = file.seek(SeekFrom::Start(length.saturating_sub(MAX_BYTES)));
        let mut bytes = Vec::new();
        let _ = file.take(MAX_BYTES).read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

/// Returns the first errors of a log, each without its time and position in CRIU's sources.
pub fn errors(text: &str) -> Vec<&str> {
    let mut found: Vec<&str> = Vec::new();
    for said in text.lines().filter_map(error) {
        if !found.contains(&said) {
            found.push(said);
        }
    }
    found.truncate(MAX_ERRORS);
    found
}

/// Returns the message of a line: "Can't lookup mount=29" of "(00.012345)   1234: Error (criu/files-reg.c:1831): Can't
/// lookup mount=29".
fn error(line: &str) -> Option<&str> {
    let (_, rest) = line.split_once("Error (")?;
    let (_, said) = rest.split_once("): ")?;
    // CRIU also logs as an error what it tries and can do without.
    const IGNORED: [&str; 5] = [
        "tun: Unable to create tun",
        "rlimit: Can't setup RLIMIT_NOFILE",
        "execvp(\"iptables",
        "execvp(\"ip6tables",
        "exited, status=",
    ];
    let ignored = said.ends_with("-restore -V failed") || IGNORED.iter().any(|ignored| said.starts_with(ignored));
    Some(said.trim()).filter(|said| !said.is_empty() && !ignored)
}

/// Returns the last complete lines.
pub fn tail(text: &str) -> &str {
    let mut start = text.len().saturating_sub(TAIL_BYTES);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    match text[start..].split_once('\n') {
        Some((_, lines)) if start > 0 => lines,
        _ => &text[start..],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "\
(00.000021) Version: 4.1.1 (gitid 0)
(00.012345)   1234: Error (criu/files-reg.c:1831): Can't lookup mount=29 for fd=1 path=/tmp/log
(00.012346) Warn  (criu/x.c:1): nothing
(00.012347) Error (criu/cr-dump.c:1674): Dump files (pid: 7) failed with -1
(00.012348) Error (criu/cr-dump.c:1674): Dump files (pid: 7) failed with -1
(00.012349) Error (criu/cr-dump.c:2111): Dumping FAILED.
(00.012349) Error (criu/cr-dump.c:2111): and more
";

    #[test]
    fn the_first_errors_are_quoted_once_each() {
        let expected =
            ["Can't lookup mount=29 for fd=1 path=/tmp/log", "Dump files (pid: 7) failed with -1", "Dumping FAILED."];
        assert_eq!(errors(LOG), expected);
        assert!(errors("").is_empty());
    }

    #[test]
    fn the_tail_is_whole_lines() {
        assert_eq!(tail(LOG), LOG);
        let long = "é line\n".repeat(5000);
        let end = tail(&long);
        assert!(end.len() <= TAIL_BYTES && end.starts_with("é line\n") && end.ends_with("é line\n"));
        assert_eq!(tail(""), "");
    }
}
