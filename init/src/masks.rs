//! Masked and read-only paths of the root filesystem, and mounts of the host that a container must not see.

use super::fields::Attributes;
use super::mounts::{Mounter, existing};
use super::plan::Path;
use super::sys::*;
use super::tree;

impl Mounter<'_> {
    /// Hides a path. `empty` is the empty directory that covers directories, once it exists.
    pub fn mask(&mut self, path: Path, empty: &mut i32) -> Result<()> {
        let Some(target) = existing(tree::open(self.top, path.as_str(), O_PATH))? else { return Ok(()) };
        let result =
            if file_type(&stat(target)?) == S_IFDIR { self.mask_directory(target, empty) } else { mask_file(target) };
        close(target);
        result
    }

    fn mask_directory(&mut self, target: i32, empty: &mut i32) -> Result<()> {
        if *empty >= 0 {
            let again = open_tree(*empty, EMPTY, OPEN_TREE_CLONE | AT_EMPTY_PATH)?;
            let result = attach(again, target);
            close(again);
            return result;
        }
        let made = empty_directory()?;
        attach(made, target)?;
        *empty = made;
        Ok(())
    }

    /// Makes a path read-only, with all mounts below it.
    pub fn readonly(&self, path: Path) -> Result<()> {
        let Some(target) = existing(tree::open(self.top, path.as_str(), O_PATH))? else { return Ok(()) };
        let result = self.readonly_at(target);
        close(target);
        result
    }

    fn readonly_at(&self, target: i32) -> Result<()> {
        let copy = open_tree(target, EMPTY, OPEN_TREE_CLONE | AT_RECURSIVE | AT_EMPTY_PATH)?;
        let result = match mount_setattr(copy, true, MOUNT_ATTR_RDONLY, 0, 0) {
            Ok(()) => attach(copy, target),
            Err(refused @ (ENOSYS | EPERM)) => {
                let attributes = Attributes { set: MOUNT_ATTR_RDONLY, ..Attributes::default() };
                attach(copy, target).and_then(|()| attributes.remount(self.proc, copy, refused))
            }
            Err(errno) => Err(errno),
        };
        close(copy);
        result
    }
}

/// Covers a file with the host's /dev/null, after verifying it: the image's /dev/null may be anything (CVE-2025-31133).
fn mask_file(target: i32) -> Result<()> {
    let null = open_tree(AT_FDCWD, Str::literal(c"/dev/null"), OPEN_TREE_CLONE)?;
    let result = if is_device(&stat(null)?, S_IFCHR, 1, 3) { attach(null, target) } else { Err(ENODEV) };
    close(null);
    result
}

/// Unmounts a mount inherited from the host. If that is forbidden, as in a user namespace (mount_namespaces(7)), covers
/// it.
pub fn hide_host(path: Str) -> Result<()> {
    match umount(path, MNT_DETACH) {
        Err(EINVAL | EPERM) => {}
        Err(ENOENT) => return Ok(()), // beneath one that is gone
        other => return other,
    }
    let empty = empty_directory()?;
    let result = attach_at(empty, path);
    close(empty);
    match result {
        Err(ENOENT) => Ok(()),
        other => other,
    }
}

/// Creates an empty filesystem that nobody can write to.
fn empty_directory() -> Result<i32> {
    let context = fsopen(Str::literal(c"tmpfs"))?;
    let attributes = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
    let made = fsconfig_string(context, Str::literal(c"nr_inodes"), Str::literal(c"1"))
        .and_then(|()| fsconfig_create(context))
        .and_then(|()| fsmount(context, attributes));
    close(context);
    made
}

/// Makes the root filesystem's mount read-only.
pub fn readonly_root(proc: i32, root: i32) -> Result<()> {
    let attributes = Attributes { set: MOUNT_ATTR_RDONLY, ..Attributes::default() };
    match attributes.set_on(root) {
        Err(refused @ (ENOSYS | EPERM)) => attributes.remount(proc, root, refused),
        other => other,
    }
}
