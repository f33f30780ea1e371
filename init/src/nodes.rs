//! Creates device nodes and other special files beneath the container's root.

use super::fields::Device;
use super::plan::Path;
use super::resolve::{Resolved, resolve};
use super::sys::*;
use super::tree::{Top, in_directory, in_parent, self_fd};

/// A device node to create.
#[derive(Clone, Copy)]
pub struct Node {
    pub mode: u32,
    pub device: Device,
    pub uid: u32,
    pub gid: u32,
}

/// Creates the device node `name` in the directory `parent`, or at the target of a symlink of that name.
pub fn make_node(proc: i32, top: Top, parent: Path, name: Str, node: Node) -> Result<()> {
    match in_directory(top, parent, |parent| make_node_at(proc, parent, name, node)) {
        Err(ELOOP) => {}
        other => return other,
    }
    let mut resolved = Resolved::new();
    resolve(top, parent.as_str(), Some(name), &mut resolved)?;
    in_parent(top.strictly(), resolved.path(), |parent, name| make_node_at(proc, parent, name, node))
}

/// Creates a device node in `parent`; an existing one must be the same device.
fn make_node_at(proc: i32, parent: i32, name: Str, node: Node) -> Result<()> {
    let Node { mode, device, uid, gid } = node;
    let made = match mknodat(parent, name, mode, device_number(device)) {
        Ok(()) => true,
        Err(EEXIST) => false,
        Err(errno) => return Err(errno),
    };
    if made && (uid, gid) == (0, 0) {
        return Ok(()); // umask is 0, so the mode is what was asked
    }
    let there = openat(parent, name, O_PATH | O_NOFOLLOW, 0)?;
    let result = stat(there).and_then(|found| {
        if file_type(&found) == S_IFLNK {
            return Err(ELOOP);
        }
        if !is_device(&found, mode & S_IFMT, device.major, device.minor) {
            return Err(EEXIST);
        }
        chown(there, uid, gid)?;
        if made { Ok(()) } else { chmod_fd(proc, there, mode & 0o7777) }
    });
    close(there);
    result
}

/// Changes the permissions of the file that an O_PATH descriptor refers to, through /proc/self/fd: fchmodat2 exists
/// only since Linux 6.6.
fn chmod_fd(proc: i32, fd: i32, mode: u32) -> Result<()> {
    let mut buffer = [0; 32];
    chmod_at(proc, self_fd(fd, &mut buffer), mode)
}

/// Returns the kernel's dev_t as user space passes it to mknod(2).
pub fn device_number(Device { major, minor }: Device) -> u64 {
    ((major as u64 & 0xffff_f000) << 32)
        | ((major as u64 & 0xfff) << 8)
        | ((minor as u64 & 0xffff_ff00) << 12)
        | (minor as u64 & 0xff)
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;

    use super::super::test_root::{path, root};
    use super::*;

    #[test]
    #[cfg_attr(miri, ignore = "makes system calls")]
    fn an_existing_file_is_not_taken_for_a_device() {
        let root = root();
        let proc = std::fs::File::open("/proc").unwrap();
        std::fs::write(root.inside("null"), "").unwrap();
        let node = Node { mode: S_IFCHR | 0o666, device: Device { major: 1, minor: 3 }, uid: 0, gid: 0 };
        let made = make_node(proc.as_raw_fd(), root.top(), path("/"), Str::literal(c"null"), node);
        assert_eq!(made, Err(EEXIST));
    }

    #[test]
    #[cfg_attr(miri, ignore = "makes system calls")]
    fn a_node_is_made_where_a_symlink_of_its_name_leads_to() {
        let root = root();
        let proc = std::fs::File::open("/proc").unwrap();
        std::os::unix::fs::symlink("/far/away", root.inside("pipe")).unwrap();
        let node = Node { mode: libc::S_IFIFO | 0o600, device: Device::default(), uid: 0, gid: 0 };
        let make = |top| make_node(proc.as_raw_fd(), top, path("/"), Str::literal(c"pipe"), node);
        assert_eq!(make(root.top().strictly()), Err(ELOOP));
        make(root.top()).unwrap();
        make(root.top()).unwrap();
        assert!(std::os::unix::fs::FileTypeExt::is_fifo(&root.inside("far/away").metadata().unwrap().file_type()));
        assert!(root.outside_is_empty());
    }

    #[test]
    fn device_numbers_are_the_kernels() {
        assert_eq!(device_number(Device { major: 1, minor: 3 }), libc::makedev(1, 3));
        assert_eq!(device_number(Device { major: 0x12345, minor: 0x6789a }), libc::makedev(0x12345, 0x6789a));
    }
}
