//! Mount system calls: create mounts unattached, change and attach them by descriptor.

use linux_raw_sys::general::{self as kernel, fsconfig_command};

use super::*;

/// Opens the mount at a path, or with OPEN_TREE_CLONE an unattached copy of it.
pub fn open_tree(dir: i32, path: Str, flags: u32) -> Result<i32> {
    call!(__NR_open_tree, dir, path.as_ptr(), flags | O_CLOEXEC as u32).map(|fd| fd as i32)
}

/// Attaches the detached tree `from` to the file that `onto` refers to.
pub fn attach(from: i32, onto: i32) -> Result<()> {
    let flags = MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH;
    call!(__NR_move_mount, from, EMPTY.as_ptr(), onto, EMPTY.as_ptr(), flags).map(|_| ())
}

/// Attaches `from` at a path of the host. A tree that is already attached is moved.
pub fn attach_at(from: i32, path: Str) -> Result<()> {
    call!(__NR_move_mount, from, EMPTY.as_ptr(), AT_FDCWD, path.as_ptr(), MOVE_MOUNT_F_EMPTY_PATH).map(|_| ())
}

/// Creates a context for a new filesystem of this type.
pub fn fsopen(kind: Str) -> Result<i32> {
    call!(__NR_fsopen, kind.as_ptr(), kernel::FSOPEN_CLOEXEC).map(|fd| fd as i32)
}

/// Sets an option without a value in a context.
pub fn fsconfig_flag(context: i32, key: Str) -> Result<()> {
    call!(__NR_fsconfig, context, fsconfig_command::FSCONFIG_SET_FLAG, key.as_ptr(), 0, 0).map(|_| ())
}

/// Sets an option with a value in a context.
pub fn fsconfig_string(context: i32, key: Str, value: Str) -> Result<()> {
    call!(__NR_fsconfig, context, fsconfig_command::FSCONFIG_SET_STRING, key.as_ptr(), value.as_ptr(), 0).map(|_| ())
}

/// Creates the filesystem of a context.
pub fn fsconfig_create(context: i32) -> Result<()> {
    call!(__NR_fsconfig, context, fsconfig_command::FSCONFIG_CMD_CREATE, 0, 0, 0).map(|_| ())
}

/// Creates a context for changing the filesystem that is mounted at a descriptor.
pub fn fspick(mount: i32) -> Result<i32> {
    call!(__NR_fspick, mount, EMPTY.as_ptr(), kernel::FSPICK_CLOEXEC | kernel::FSPICK_EMPTY_PATH).map(|fd| fd as i32)
}

/// Changes the filesystem of a context of [`fspick`].
pub fn fsconfig_reconfigure(context: i32) -> Result<()> {
    call!(__NR_fsconfig, context, fsconfig_command::FSCONFIG_CMD_RECONFIGURE, 0, 0, 0).map(|_| ())
}

/// Creates an unattached mount of a context's filesystem, with attributes (MOUNT_ATTR_…).
pub fn fsmount(context: i32, attributes: u64) -> Result<i32> {
    call!(__NR_fsmount, context, kernel::FSMOUNT_CLOEXEC, attributes).map(|fd| fd as i32)
}

/// Maps the owners in an unattached tree by a user namespace: in one mount, or in all mounts.
pub fn map_owners(tree: i32, recursive: bool, namespace: i32) -> Result<()> {
    let attr =
        kernel::mount_attr { attr_set: MOUNT_ATTR_IDMAP, attr_clr: 0, propagation: 0, userns_fd: namespace as u64 };
    let flags = AT_EMPTY_PATH | if recursive { AT_RECURSIVE } else { 0 };
    call!(__NR_mount_setattr, tree, EMPTY.as_ptr(), flags, &raw const attr, size_of::<kernel::mount_attr>()).map(|_| ())
}

/// Sets and clears attributes (MOUNT_ATTR_…) of a mount, or of all mounts of a tree, and sets their propagation; 0 keeps it.
pub fn mount_setattr(fd: i32, recursive: bool, set: u64, clear: u64, propagation: u64) -> Result<()> {
    let attr = kernel::mount_attr { attr_set: set, attr_clr: clear, propagation, userns_fd: 0 };
    let flags = AT_EMPTY_PATH | if recursive { AT_RECURSIVE } else { 0 };
    call!(__NR_mount_setattr, fd, EMPTY.as_ptr(), flags, &raw const attr, size_of::<kernel::mount_attr>()).map(|_| ())
}

/// Calls mount(2) without source and type: for propagation and remounts.
pub fn mount_flags(target: Str, flags: u64) -> Result<()> {
    call!(__NR_mount, 0, target.as_ptr(), 0, flags, 0).map(|_| ())
}

/// Mounts a new filesystem with mount(2).
pub fn mount_filesystem(source: Str, target: Str, kind: Str, flags: u64, data: Str) -> Result<()> {
    call!(__NR_mount, source.as_ptr(), target.as_ptr(), kind.as_ptr(), flags, data.as_ptr()).map(|_| ())
}

/// Moves the root mount to `old` and makes `new` the root (pivot_root(2)).
pub fn pivot_root(new: Str, old: Str) -> Result<()> {
    call!(__NR_pivot_root, new.as_ptr(), old.as_ptr()).map(|_| ())
}

/// Unmounts the mount at a path (umount2(2)).
pub fn umount(path: Str, flags: u32) -> Result<()> {
    call!(__NR_umount2, path.as_ptr(), flags).map(|_| ())
}
