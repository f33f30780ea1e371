//! Checks and normalizes the paths of a configuration. `at` is their JSON path, formatted only for an error.

use std::fmt::Display;
use std::fs::Metadata;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use crate::error::{Error, Result};

/// The kernel's limit for a path, including its NUL.
const PATH_MAX: usize = libc::PATH_MAX as usize;
/// The kernel's limit for one component of a path.
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

/// Returns the path in its shortest spelling, with each `..` resolved lexically and never above the root, as runc and
/// crun do. So symlinks do not decide which path in the container is meant.
pub fn lexical(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir if plain.file_name().is_some() => drop(plain.pop()),
            Component::ParentDir | Component::CurDir => {}
            other => plain.push(other),
        }
    }
    plain
}

/// Checks a path inside the container, which must not be its root, and returns its shortest spelling.
pub(super) fn inside(path: &Path, at: impl Display + Copy) -> Result<PathBuf> {
    let plain = root_or_inside(path, at)?;
    if plain == Path::new("/") {
        return Err(Error::config(&at.to_string(), format!("{path:?} is the root itself; expected a path below it")));
    }
    Ok(plain)
}

/// Checks a path inside the container, and returns its shortest spelling.
pub(super) fn root_or_inside(path: &Path, at: impl Display + Copy) -> Result<PathBuf> {
    if is_plain(path) {
        return Ok(path.to_owned());
    }
    absolute(path, at)?;
    Ok(lexical(path))
}

/// Returns the path within the directory `rootfs` of `path`, a path of the host, if it lies there; symlinks before
/// `rootfs` are resolved. None if the root filesystem is "/", which is the host's own.
pub fn beneath(rootfs: &Path, path: &Path) -> Option<PathBuf> {
    let same = |about: &Metadata, other: &Metadata| (about.dev(), about.ino()) == (other.dev(), other.ino());
    let root = rootfs.metadata().ok()?;
    if same(&root, &Path::new("/").metadata().ok()?) {
        return None;
    }
    let mut directories: Vec<&Path> = path.ancestors().collect();
    directories.reverse();
    for directory in directories {
        // The same directory under another real path is a bind mount of it elsewhere, and does not count.
        let is_root =
            same(&directory.metadata().ok()?, &root) && directory.canonicalize().ok()? == rootfs.canonicalize().ok()?;
        if is_root {
            let rest = path.strip_prefix(directory).ok()?;
            // With `..` in it the path may lead out of the root filesystem, and in again.
            if rest.components().all(|component| component != Component::ParentDir) {
                return Some(Path::new("/").join(rest));
            }
        }
    }
    None
}

/// Returns whether [`root_or_inside`] would return the path unchanged, as for almost all paths.
fn is_plain(path: &Path) -> bool {
    let bytes = path.as_os_str().as_bytes();
    let is_name = |name: &[u8]| !matches!(name, b"" | b"." | b"..") && name.len() <= NAME_MAX;
    bytes.len() < PATH_MAX && bytes.strip_prefix(b"/").is_some_and(|names| names.split(|b| *b == b'/').all(is_name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_beneath_the_root_filesystem_is_converted() {
        let dir = tempfile::Builder::new().prefix("berth-paths-").tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::create_dir_all(at("b/rootfs/a")).unwrap();
        std::os::unix::fs::symlink("b", at("link")).unwrap();
        std::os::unix::fs::symlink("/etc", at("b/rootfs/etc")).unwrap();
        let root = at("b/rootfs");
        for (path, inside) in [
            ("b/rootfs/a/not/there", Some("/a/not/there")),
            ("link/rootfs/etc/passwd", Some("/etc/passwd")),
            ("b/rootfs", Some("/")),
            ("b/rootfs/../x", None),
            ("b/rootfs/../rootfs/a/x", Some("/a/x")),
            ("b/rootfs/a/../../../b/rootfs/x", Some("/x")),
            ("b/rootfs-2/x", None),
            ("b", None),
        ] {
            assert_eq!(beneath(&root, &at(path)), inside.map(PathBuf::from), "{path}");
        }
        assert_eq!(beneath(Path::new("/"), &at("b")), None);
        assert_eq!(beneath(&at("missing"), &at("b")), None);
    }

    #[test]
    fn a_path_inside_gets_its_shortest_spelling() {
        let long = format!("/{}", "n".repeat(NAME_MAX));
        for (given, plain) in [
            ("/a/b", "/a/b"),
            ("/a//b/", "/a/b"),
            ("/./a/.", "/a"),
            ("/.a/..b", "/.a/..b"),
            (&long, &long),
            ("/a/../b/..//c", "/c"),
            ("/../../a/", "/a"),
        ] {
            assert_eq!(inside(Path::new(given), "at").unwrap(), Path::new(plain), "{given}");
            assert!(is_plain(Path::new(plain)), "{plain}");
        }
        let deep = "/n".repeat(PATH_MAX / 2);
        for relative in [("a/../b", "b"), ("../b", "b"), ("..", ""), ("./a/b/..", "a")] {
            assert_eq!(lexical(Path::new(relative.0)), Path::new(relative.1), "{relative:?}");
        }
        for refused in ["", "a", "/", "//", "/.", "/a/..", "/..", &format!("{long}n"), &deep] {
            assert!(inside(Path::new(refused), "at").is_err(), "{refused}");
            assert!(!is_plain(Path::new(refused)), "{refused}");
        }
    }
}
