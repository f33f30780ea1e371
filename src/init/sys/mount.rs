//! Mounts: made unattached, changed and attached by descriptor.

use super::*;

pub const OPEN_TREE_CLONE: u32 = 1;
pub const MOVE_MOUNT_F_EMPTY_PATH: u32 = 0x04;
pub const MOVE_MOUNT_T_EMPTY_PATH: u32 = 0x40;
pub const MOUNT_ATTR_RDONLY: u64 = 0x01;
pub const MOUNT_ATTR_NOSUID: u64 = 0x02;
pub const MOUNT_ATTR_NODEV: u64 = 0x04;
pub const MOUNT_ATTR_NOEXEC: u64 = 0x08;
pub const MOUNT_ATTR_ATIME: u64 = 0x70;
pub const MOUNT_ATTR_NOATIME: u64 = 0x10;
pub const MOUNT_ATTR_STRICTATIME: u64 = 0x20;
pub const MOUNT_ATTR_NODIRATIME: u64 = 0x80;
pub const MOUNT_ATTR_NOSYMFOLLOW: u64 = 0x20_0000;
pub const MS_REMOUNT: u64 = 32;
pub const MS_BIND: u64 = 4096;
pub const MS_SLAVE: u64 = 1 << 19;
pub const MS_REC: u64 = 1 << 14;
pub const MNT_DETACH: u32 = 2;

pub fn open_tree(dir: i32, path: Str, flags: u32) -> Result<i32> {
    call!(nr::OPEN_TREE, dir, path.as_ptr(), flags | O_CLOEXEC as u32).map(|fd| fd as i32)
}

/// Attaches the detached tree `from` on what `onto` refers to.
pub fn attach(from: i32, onto: i32) -> Result<()> {
    let flags = MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH;
    call!(nr::MOVE_MOUNT, from, EMPTY.as_ptr(), onto, EMPTY.as_ptr(), flags).map(|_| ())
}

/// The same with a path of the host. A tree that is attached already moves.
pub fn attach_at(from: i32, path: Str) -> Result<()> {
    call!(nr::MOVE_MOUNT, from, EMPTY.as_ptr(), AT_FDCWD, path.as_ptr(), MOVE_MOUNT_F_EMPTY_PATH).map(|_| ())
}

pub fn fsopen(kind: Str) -> Result<i32> {
    const FSOPEN_CLOEXEC: usize = 1;
    call!(nr::FSOPEN, kind.as_ptr(), FSOPEN_CLOEXEC).map(|fd| fd as i32)
}

pub fn fsconfig_flag(context: i32, key: Str) -> Result<()> {
    call!(nr::FSCONFIG, context, 0, key.as_ptr(), 0, 0).map(|_| ())
}

pub fn fsconfig_string(context: i32, key: Str, value: Str) -> Result<()> {
    call!(nr::FSCONFIG, context, 1, key.as_ptr(), value.as_ptr(), 0).map(|_| ())
}

pub fn fsconfig_create(context: i32) -> Result<()> {
    call!(nr::FSCONFIG, context, 6, 0, 0, 0).map(|_| ())
}

/// A context for changing the filesystem that is mounted at a descriptor.
pub fn fspick(mount: i32) -> Result<i32> {
    const FSPICK_CLOEXEC: usize = 1;
    const FSPICK_EMPTY_PATH: usize = 8;
    call!(nr::FSPICK, mount, EMPTY.as_ptr(), FSPICK_CLOEXEC | FSPICK_EMPTY_PATH).map(|fd| fd as i32)
}

pub fn fsconfig_reconfigure(context: i32) -> Result<()> {
    call!(nr::FSCONFIG, context, 7, 0, 0, 0).map(|_| ())
}

pub fn fsmount(context: i32, attributes: u64) -> Result<i32> {
    const FSMOUNT_CLOEXEC: usize = 1;
    call!(nr::FSMOUNT, context, FSMOUNT_CLOEXEC, attributes).map(|fd| fd as i32)
}

#[repr(C)]
struct MountAttr {
    set: u64,
    clear: u64,
    propagation: u64,
    userns_fd: u64,
}

/// Maps the owners in an unattached tree by a user namespace: of one mount, or of all its mounts.
pub fn map_owners(tree: i32, recursive: bool, namespace: i32) -> Result<()> {
    const MOUNT_ATTR_IDMAP: u64 = 0x10_0000;
    let attr = MountAttr { set: MOUNT_ATTR_IDMAP, clear: 0, propagation: 0, userns_fd: namespace as u64 };
    let flags = AT_EMPTY_PATH | if recursive { AT_RECURSIVE } else { 0 };
    call!(nr::MOUNT_SETATTR, tree, EMPTY.as_ptr(), flags, &raw const attr, size_of::<MountAttr>()).map(|_| ())
}

pub fn mount_setattr(fd: i32, recursive: bool, set: u64, clear: u64, propagation: u64) -> Result<()> {
    let attr = MountAttr { set, clear, propagation, userns_fd: 0 };
    let flags = AT_EMPTY_PATH | if recursive { AT_RECURSIVE } else { 0 };
    call!(nr::MOUNT_SETATTR, fd, EMPTY.as_ptr(), flags, &raw const attr, size_of::<MountAttr>()).map(|_| ())
}

/// mount(2) for what needs no source and no type: propagation and remounts.
pub fn mount_flags(target: Str, flags: u64) -> Result<()> {
    call!(nr::MOUNT, 0, target.as_ptr(), 0, flags, 0).map(|_| ())
}

pub fn pivot_root(new: Str, old: Str) -> Result<()> {
    call!(nr::PIVOT_ROOT, new.as_ptr(), old.as_ptr()).map(|_| ())
}

pub fn umount(path: Str, flags: u32) -> Result<()> {
    call!(nr::UMOUNT2, path.as_ptr(), flags).map(|_| ())
}
