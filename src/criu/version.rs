//! Parses CRIU's version, as `criu -V` prints it.

use std::fmt;
use std::path::Path;

use super::command;
use crate::deadline::Deadline;
use crate::error::{Code, Error, Result, Stage};
use crate::sys::exit_status::ExitStatus;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    pub major: u32,
    pub minor: u32,
    pub sublevel: u32,
}

impl fmt::Display for Version {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        write!(formatter, "{}.{}", self.major, self.minor)?;
        if self.sublevel > 0 { write!(formatter, ".{}", self.sublevel) } else { Ok(()) }
    }
}

impl Version {
    pub const fn new(major: u32, minor: u32, sublevel: u32) -> Version {
        Version { major, minor, sublevel }
    }

    /// Parses the version of a release ("Version: 4.1.1"), or of a build between two releases ("Version: 1.6" and
    /// "GitID: v1.5-123-gabc"), which counts as the release after the tag.
    pub fn parse(text: &str) -> Option<Version> {
        let line = |name: &str| text.lines().find_map(|line| line.trim().strip_prefix(name)).map(str::trim);
        let tag = line("GitID:").and_then(|id| id.strip_prefix('v')).filter(|id| id.contains('-'));
        let Some(tag) = tag.and_then(|id| id.split('-').next()) else {
            // The text is a release's, or its GitID names no tag that commits are counted from.
            return line("Version:").and_then(numbers).map(|(version, _)| version);
        };
        let (mut version, parts) = numbers(tag)?;
        if parts == 3 {
            version.sublevel += 1
        } else {
            version.minor += 1
        }
        Some(version)
    }

    /// Runs `criu -V`, and parses its version.
    pub(crate) fn of(program: &Path, deadline: Deadline) -> Result<Version> {
        let (status, text) = command::run(program, &["-V"], deadline)?;
        if status != ExitStatus::Exited(0) {
            let message = format!("{} -V {}: {text}", program.display(), status.describe());
            return Err(Error::new(Code::Criu, message).with_stage(Stage::Criu));
        }
        let unknown = || {
            let message = format!("{} -V printed no version of CRIU: {text:?}", program.display());
            Error::new(Code::Criu, message).with_stage(Stage::Criu)
        };
        Version::parse(&text).ok_or_else(unknown)
    }

    pub(crate) fn at_least(self, oldest: Version) -> Result<()> {
        if self >= oldest {
            return Ok(());
        }
        let message = format!("CRIU {self} is too old; expected {oldest} or newer");
        Err(Error::new(Code::Unsupported, message).with_stage(Stage::Criu))
    }
}

/// Parses "4.1.1" or "1.6", and returns how many numbers the text has.
fn numbers(text: &str) -> Option<(Version, usize)> {
    let parts: Option<Vec<u32>> = text.split('.').map(|part| part.parse().ok()).collect();
    match parts?[..] {
        [major, minor] => Some((Version::new(major, minor, 0), 2)),
        [major, minor, sublevel] => Some((Version::new(major, minor, sublevel), 3)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_and_builds_between_them_are_read() {
        let cases = [
            ("Version: 1.6\n", (1, 6, 0)),
            ("Version: 1.5.2\n", (1, 5, 2)),
            ("Version: 4.1.1\nGitID: v4.1.1\n", (4, 1, 1)),
            // A build after a tag counts as the next version, as far as the tag determines it.
            ("Version: 1.5\nGitID: v1.5-123-g0000000\n", (1, 6, 0)),
            ("Version: 1.5.2\nGitID: v1.5.2-7-gabcdef\n", (1, 5, 3)),
        ];
        for (text, (major, minor, sublevel)) in cases {
            assert_eq!(Version::parse(text), Some(Version::new(major, minor, sublevel)), "{text:?}");
        }
        for text in
            ["", "Version: \n", "Version: four\n", "Version: 4\n", "Version: 4.1-rc1\n", "GitID: v1-2-g3\n", "4.1"]
        {
            assert_eq!(Version::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn versions_have_an_order_and_a_name() {
        assert!(Version::new(3, 15, 0) < Version::new(4, 0, 0) && Version::new(4, 1, 0) < Version::new(4, 1, 1));
        assert_eq!(Version::new(4, 1, 0).to_string(), "4.1");
        assert_eq!(Version::new(4, 1, 1).to_string(), "4.1.1");
        let error = Version::new(3, 14, 1).at_least(Version::new(3, 15, 0)).unwrap_err();
        assert_eq!(error.message, "CRIU 3.14.1 is too old; expected 3.15 or newer");
    }
}
