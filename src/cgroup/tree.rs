//! Walks a cgroup and all cgroups below it.
//!
//! The container may have created the cgroups below, so the walk is iterative, uses two descriptors at any depth, uses
//! names instead of paths (a path can exceed PATH_MAX), and expects directories to appear and vanish.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::Instant;

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::{Mode, fstat};
use nix::unistd::{UnlinkatFlags, unlinkat};

use super::wait::Backoff;
use crate::error::{Context, Error, Result};
use crate::sys::kernfs;

const DIRECTORY: OFlag = OFlag::O_RDONLY.union(OFlag::O_DIRECTORY).union(OFlag::O_NOFOLLOW).union(OFlag::O_CLOEXEC);

/// Calls `enter` with each directory, parents first, and `leave` with the parent and name of each directory below the
/// top, children first. A top that does not exist counts as an empty tree.
pub fn walk(
    top: &Path,
    mut enter: impl FnMut(BorrowedFd) -> Result<()>,
    mut leave: impl FnMut(BorrowedFd, &CStr) -> Result<()>,
) -> Result<()> {
    let Some(mut here) = kernfs::optional(kernfs::open_dir(top))? else { return Ok(()) };
    let within = || format!("walking the cgroups below {}", top.display());
    enter(here.as_fd())?;
    // The name of each level, and its children that are still to be visited.
    let mut levels = vec![(CString::default(), children(&here).context(within)?)];
    while let Some((_, pending)) = levels.last_mut() {
        if let Some(name) = pending.pop() {
            match openat(&here, name.as_c_str(), DIRECTORY, Mode::empty()) {
                Ok(child) => {
                    enter(child.as_fd())?;
                    levels.push((name, children(&child).context(within)?));
                    here = child;
                }
                Err(Errno::ENOENT | Errno::ENODEV) => {}
                Err(errno) => return Err(errno).context(within),
            }
            continue;
        }
        let Some((name, _)) = levels.pop() else { break };
        if levels.is_empty() {
            break;
        }
        here = openat(&here, "..", DIRECTORY, Mode::empty()).context(within)?;
        leave(here.as_fd(), &name)?;
    }
    Ok(())
}

/// Returns the names of a directory's subdirectories.
fn children(dir: &OwnedFd) -> Result<Vec<CString>, Errno> {
    // In kernfs the link count is 2 plus the number of subdirectories, so the usual leaf needs no listing.
    if fstat(dir)?.st_nlink == 2 {
        return Ok(Vec::new());
    }
    let mut names = Vec::new();
    for entry in Dir::openat(dir, ".", DIRECTORY, Mode::empty())?.iter() {
        let entry = match entry {
            Ok(entry) => entry,
            Err(Errno::ENOENT | Errno::ENODEV) => break,
            Err(errno) => return Err(errno),
        };
        let name = entry.file_name();
        if entry.file_type() == Some(nix::dir::Type::Directory) && name != c"." && name != c".." {
            names.push(name.to_owned());
        }
    }
    Ok(names)
}

/// Calls `each` with `top` and every directory below it.
pub fn each(top: &Path, each: impl FnMut(BorrowedFd) -> Result<()>) -> Result<()> {
    walk(top, each, |_, _| Ok(()))
}

/// Opens a file of a directory passed by [`each`]; returns `None` if either no longer exists.
pub fn file(dir: BorrowedFd, name: &str, flags: OFlag) -> Result<Option<OwnedFd>> {
    match openat(dir, name, flags | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC, Mode::empty()) {
        Ok(file) => Ok(Some(file)),
        Err(Errno::ENOENT | Errno::ENODEV) => Ok(None),
        Err(errno) => Err(errno).context(|| format!("opening {name} of a cgroup")),
    }
}

/// Removes a cgroup and everything below it. Retries until the deadline while the kernel returns EBUSY: a killed
/// process leaves its cgroup a moment after it has died. A missing cgroup is a success.
pub fn remove(top: &Path, deadline: Instant) -> Result<()> {
    until_gone(deadline, || remove_once(top))
}

/// Removes everything below a cgroup as [`remove`] does, but keeps the cgroup itself.
pub fn remove_below(top: &Path, deadline: Instant) -> Result<()> {
    until_gone(deadline, || remove_children(top).map(drop))
}

fn until_gone(deadline: Instant, remove: impl Fn() -> Result<()>) -> Result<()> {
    let mut backoff = Backoff::until(deadline);
    loop {
        let error = match remove() {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        let busy = matches!(error.errno, Some(Errno::EBUSY | Errno::ENOTEMPTY));
        if !busy || !backoff.pause() {
            return Err(error);
        }
    }
}

fn remove_once(top: &Path) -> Result<()> {
    // Usually the cgroup has no children.
    let error = match kernfs::remove_dir(top) {
        Err(error) if matches!(error.errno, Some(Errno::EBUSY | Errno::ENOTEMPTY)) => error,
        Err(error) if kernfs::is_gone(&error) => return Ok(()),
        result => return result,
    };
    if !remove_children(top)? {
        return Err(error);
    }
    match kernfs::remove_dir(top) {
        Err(error) if kernfs::is_gone(&error) => Ok(()),
        result => result,
    }
}

/// Removes the cgroups below `top`. Returns whether there were any.
fn remove_children(top: &Path) -> Result<bool> {
    let mut children = false;
    walk(
        top,
        |_| Ok(()),
        |parent, name| {
            children = true;
            match unlinkat(parent, name, UnlinkatFlags::RemoveDir) {
                Ok(()) | Err(Errno::ENOENT | Errno::ENODEV) => Ok(()),
                Err(errno) => {
                    let name = name.to_string_lossy();
                    Err(Error::system(errno, format!("removing cgroup {name} below {}", top.display())))
                }
            }
        },
    )?;
    Ok(children)
}
