//! The rules for paths that stand in a config.

use std::path::{Component, Path, PathBuf};

use crate::error::{Error, Result};

/// What one path may be long for the kernel, its NUL included.
const PATH_MAX: usize = libc::PATH_MAX as usize;
/// And one name in it.
const NAME_MAX: usize = 255;

pub(super) fn bounded(path: &Path, json_path: &str) -> Result<()> {
    let length = path.as_os_str().len();
    if length >= PATH_MAX {
        return Err(Error::config(json_path, format!("is {length} bytes long; expected less than {PATH_MAX}")));
    }
    let too_long = path.iter().find(|name| name.len() > NAME_MAX);
    if let Some(name) = too_long {
        return Err(Error::config(
            json_path,
            format!("has a name of {} bytes in it; expected at most {NAME_MAX} for each", name.len()),
        ));
    }
    Ok(())
}

pub(super) fn absolute(path: &Path, json_path: &str) -> Result<()> {
    if !path.is_absolute() {
        return Err(Error::config(json_path, format!("{path:?} is not absolute; expected a path that begins with /")));
    }
    bounded(path, json_path)
}

/// `..` names a different place before and after symlinks are resolved, so nothing in a container is
/// named with it.
pub(super) fn no_parent(path: &Path, json_path: &str) -> Result<()> {
    if path.components().any(|component| component == Component::ParentDir) {
        return Err(Error::config(json_path, format!("{path:?} contains \"..\"; expected a path without it")));
    }
    Ok(())
}

/// A path inside the container, but not its root, in its shortest spelling.
pub(super) fn inside(path: &Path, json_path: &str) -> Result<PathBuf> {
    no_parent(path, json_path)?;
    absolute(path, json_path)?;
    let plain: PathBuf = path.components().collect();
    if plain == Path::new("/") {
        return Err(Error::config(json_path, format!("{path:?} is the root itself; expected a path below it")));
    }
    Ok(plain)
}
