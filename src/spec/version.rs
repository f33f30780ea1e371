//! Checks `ociVersion`, on which the meaning of some fields depends.

use serde_json::Value;

use super::VERSIONS;
use crate::error::{Error, Result};

/// The major and minor version number of a configuration.
pub(super) type Version = (u64, u64);

/// The newest minor version whose fields `schema` lists.
const NEWEST_MINOR: u64 = 3;

/// Checks that the version is SemVer 2.0.0, of major version 1. A newer minor version only adds fields (config.md:
/// unknown ones are ignored), so it is accepted with a warning.
pub(super) fn check(config: &Value, notices: &mut Vec<String>) -> Result<Version> {
    const EXPECTED: &str = "expected a version from 1.0.0 to 1.3.x, or a later one that begins with 1";
    let version = config["ociVersion"].as_str().unwrap_or_default();
    match parse(version) {
        Some((1, minor)) => {
            if minor > NEWEST_MINOR {
                notices.push(format!(
                    "ociVersion {version:?} is newer than {}, the newest that is known; unknown fields are ignored",
                    VERSIONS.1
                ));
            }
            Ok((1, minor))
        }
        Some(_) => Err(Error::unsupported_field(
            "ociVersion",
            format!("{version:?} is not a version this libberth implements; {EXPECTED}"),
        )),
        None => Err(Error::config("ociVersion", format!("{version:?} is not a version; {EXPECTED}"))),
    }
}

/// Returns the version of a document that has been checked.
pub(super) fn of(config: &Value) -> Version {
    config["ociVersion"].as_str().and_then(parse).unwrap_or_default()
}

fn parse(version: &str) -> Option<Version> {
    let release = version.split(['-', '+']).next().unwrap_or_default();
    let numbers: Vec<Option<u64>> = release.split('.').map(number).collect();
    match numbers[..] {
        [Some(major), Some(minor), Some(_)] => Some((major, minor)),
        _ => None,
    }
}

/// Parses a number of SemVer: digits, without a leading zero.
fn number(text: &str) -> Option<u64> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|_| plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newer_minor_version_is_logged_once() {
        for (version, told) in [("1.0.0", 0), ("1.3.99-dev+x", 0), ("1.4.0", 1), ("1.10.0-rc.1", 1)] {
            let mut notices = Vec::new();
            let config = serde_json::json!({ "ociVersion": version });
            assert_eq!(check(&config, &mut notices).unwrap(), of(&config), "{version}");
            assert_eq!(notices.len(), told, "{version}: {notices:?}");
        }
        assert_eq!(of(&serde_json::json!({ "ociVersion": "1.12.3" })), (1, 12));
    }
}
