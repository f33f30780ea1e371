//! The rules for paths that stand in a config. `at` is where they stand, spelled out only for an error.

use std::fmt::Display;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use crate::error::{Error, Result};

/// What one path may be long for the kernel, its NUL included.
const PATH_MAX: usize = libc::PATH_MAX as usize;
/// And one name in it.
const NAME_MAX: usize = 255;

pub(super) fn bounded(path: &Path, at: impl Display) -> Result<()> {
    let length = path.as_os_str().len();
    if length >= PATH_MAX {
        return Err(Error::config(&at.to_string(), format!("is {length} bytes long; expected less than {PATH_MAX}")));
    }
    let too_long = path.iter().find(|name| name.len() > NAME_MAX);
    if let Some(name) = too_long {
        return Err(Error::config(
            &at.to_string(),
            format!("has a name of {} bytes in it; expected at most {NAME_MAX} for each", name.len()),
        ));
    }
    Ok(())
}

pub(super) fn absolute(path: &Path, at: impl Display) -> Result<()> {
    if !path.is_absolute() {
        return Err(Error::config(
            &at.to_string(),
            format!("{path:?} is not absolute; expected a path that begins with /"),
        ));
    }
    bounded(path, at)
}

/// `..` names a different place before and after symlinks are resolved, so nothing in a container is
/// named with it.
pub(super) fn no_parent(path: &Path, at: impl Display) -> Result<()> {
    if path.components().any(|component| component == Component::ParentDir) {
        return Err(Error::config(&at.to_string(), format!("{path:?} contains \"..\"; expected a path without it")));
    }
    Ok(())
}

/// A path inside the container, but not its root, in its shortest spelling.
pub(super) fn inside(path: &Path, at: impl Display + Copy) -> Result<PathBuf> {
    if is_plain(path) {
        return Ok(path.to_owned());
    }
    no_parent(path, at)?;
    absolute(path, at)?;
    let plain: PathBuf = path.components().collect();
    if plain == Path::new("/") {
        return Err(Error::config(&at.to_string(), format!("{path:?} is the root itself; expected a path below it")));
    }
    Ok(plain)
}

/// Whether the path is what [`inside`] makes of one, as almost all are.
fn is_plain(path: &Path) -> bool {
    let bytes = path.as_os_str().as_bytes();
    let is_name = |name: &[u8]| !matches!(name, b"" | b"." | b"..") && name.len() <= NAME_MAX;
    bytes.len() < PATH_MAX && bytes.strip_prefix(b"/").is_some_and(|names| names.split(|b| *b == b'/').all(is_name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_inside_gets_its_shortest_spelling() {
        let long = format!("/{}", "n".repeat(NAME_MAX));
        for (given, plain) in
            [("/a/b", "/a/b"), ("/a//b/", "/a/b"), ("/./a/.", "/a"), ("/.a/..b", "/.a/..b"), (&long, &long)]
        {
            assert_eq!(inside(Path::new(given), "at").unwrap(), Path::new(plain), "{given}");
            assert!(is_plain(Path::new(plain)), "{plain}");
        }
        let deep = "/n".repeat(PATH_MAX / 2);
        for refused in ["", "a", "/", "//", "/.", "/a/..", "/../a", &format!("{long}n"), &deep] {
            assert!(inside(Path::new(refused), "at").is_err(), "{refused}");
            assert!(!is_plain(Path::new(refused)), "{refused}");
        }
    }
}
