//! Copies the content of a directory of the image into a new filesystem (the mount option `tmpcopyup`): files,
//! directories, symlinks and nodes with their owners, modes and times. It copies neither extended attributes nor
//! sockets, which are useless without their process.
//!
//! The image is untrusted: nothing is opened through a symlink, only regular files and directories are opened, and the
//! depth is limited. The new filesystem limits the amount.

use core::mem::offset_of;

use linux_raw_sys::general::linux_dirent64;

use super::fields::Device;
use super::sys::*;
use super::tree::reopen;

/// The largest depth; each level uses about 3 KB of stack.
const MAX_DEPTH: u32 = 256;

/// Copies the content of directory `from` into directory `to`; both may be O_PATH descriptors.
/// `proc` is the host's procfs.
pub fn content(proc: i32, from: i32, to: i32) -> Result<()> {
    let from = openat(from, DOT, O_RDONLY | O_DIRECTORY, 0)?;
    let result = directory(proc, from, to, 0);
    close(from);
    result
}

/// Sets the owner and the mode of directory `to` to those of `from`.
pub fn owner(from: i32, to: i32) -> Result<()> {
    let found = stat(from)?;
    chown(to, found.stx_uid, found.stx_gid)?;
    chmod_at(to, DOT, found.stx_mode as u32 & 0o7777)
}

fn directory(proc: i32, from: i32, to: i32, depth: u32) -> Result<()> {
    if depth == MAX_DEPTH {
        return Err(ELOOP);
    }
    let mut buffer = Entries([0; 2048]);
    loop {
        let count = getdents(from, &mut buffer.0)?;
        if count == 0 {
            return Ok(());
        }
        let mut at = 0;
        while at < count {
            let at_length = at + offset_of!(linux_dirent64, d_reclen);
            let length = u16::from_ne_bytes([buffer.0[at_length], buffer.0[at_length + 1]]) as usize;
            // SAFETY: the kernel terminates the name with a NUL within the entry, and the buffer is valid while the
            // name is used.
            let name = unsafe { Str::new(buffer.0[at + offset_of!(linux_dirent64, d_name)..].as_ptr()) };
            if !matches!(name.bytes(), b"." | b"..") {
                entry(proc, from, to, name, depth)?;
            }
            at += length;
        }
    }
}

/// The kernel aligns the entries it writes.
#[repr(align(8))]
struct Entries([u8; 2048]);

/// Copies an entry. Its name is looked up once: owner, mode and content are those of one file, even if the name is given
/// to another file meanwhile.
fn entry(proc: i32, from: i32, to: i32, name: Str, depth: u32) -> Result<()> {
    let source = openat(from, name, O_PATH | O_NOFOLLOW, 0)?;
    let result = stat(source).and_then(|found| match file_type(&found) {
        S_IFDIR => subdirectory(proc, source, to, name, &found, depth),
        S_IFREG => file(proc, source, to, name, &found),
        S_IFLNK => symlink(source, to, name, &found),
        S_IFSOCK => Ok(()),
        _ => node(to, name, &found),
    });
    close(source);
    result
}

fn subdirectory(proc: i32, source: i32, to: i32, name: Str, found: &Statx, depth: u32) -> Result<()> {
    mkdirat(to, name, 0o700)?;
    let inner = openat(to, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0)?;
    let result = openat(source, DOT, O_RDONLY | O_DIRECTORY, 0).and_then(|source| {
        let result = directory(proc, source, inner, depth + 1);
        close(source);
        result
    });
    let result = result.and_then(|()| finish(inner, found));
    close(inner);
    result
}

fn file(proc: i32, source: i32, to: i32, name: Str, found: &Statx) -> Result<()> {
    let source = reopen(proc, source, O_RDONLY)?;
    let result = openat(to, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600).and_then(|copy| {
        let result = bytes(source, copy).and_then(|()| finish(copy, found));
        close(copy);
        result
    });
    close(source);
    result
}

fn bytes(from: i32, to: i32) -> Result<()> {
    const CHUNK: usize = 1 << 20;
    while sendfile(to, from, CHUNK)? > 0 {}
    Ok(())
}

/// Sets owner, mode and times. The owner comes first, because changing it clears set-uid bits.
fn finish(fd: i32, found: &Statx) -> Result<()> {
    chown(fd, found.stx_uid, found.stx_gid)?;
    fchmod(fd, found.stx_mode as u32 & 0o7777)?;
    set_times(fd, found)
}

#[inline(never)] // its buffer is not for the stack of each level
fn symlink(source: i32, to: i32, name: Str, found: &Statx) -> Result<()> {
    let mut target = [0u8; 4096];
    let len = readlinkat(source, EMPTY, &mut target)?;
    if len == target.len() {
        return Err(ENAMETOOLONG);
    }
    // SAFETY: the rest of the buffer is zeros, and the buffer is valid until the link is created.
    symlinkat(unsafe { Str::new(target.as_ptr()) }, to, name)?;
    chown_new(to, name, found)
}

fn node(to: i32, name: Str, found: &Statx) -> Result<()> {
    let device = super::nodes::device_number(Device { major: found.stx_rdev_major, minor: found.stx_rdev_minor });
    // The umask is 0, so the node gets exactly this mode.
    mknodat(to, name, found.stx_mode as u32, device)?;
    chown_new(to, name, found)
}

fn chown_new(to: i32, name: Str, found: &Statx) -> Result<()> {
    let made = openat(to, name, O_PATH | O_NOFOLLOW, 0)?;
    let result = chown(made, found.stx_uid, found.stx_gid);
    close(made);
    result
}

#[cfg(all(test, not(miri)))] // which knows no system calls and no assembly
mod tests {
    use std::fs;
    use std::os::fd::AsRawFd;
    use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};

    use super::*;

    struct Pair(tempfile::TempDir, fs::File, fs::File);

    fn pair() -> Pair {
        let dir = tempfile::Builder::new().prefix("berth-copy-").tempdir().unwrap();
        let make = |name: &str| {
            fs::create_dir(dir.path().join(name)).unwrap();
            fs::File::open(dir.path().join(name)).unwrap()
        };
        let (from, to) = (make("from"), make("to"));
        Pair(dir, from, to)
    }

    impl Pair {
        fn from(&self, name: &str) -> std::path::PathBuf {
            self.0.path().join("from").join(name)
        }
        fn to(&self, name: &str) -> std::path::PathBuf {
            self.0.path().join("to").join(name)
        }
        fn copy(&self) -> Result<()> {
            let proc = fs::File::open("/proc").unwrap();
            content(proc.as_raw_fd(), self.1.as_raw_fd(), self.2.as_raw_fd())
        }
    }

    #[test]
    fn a_tree_is_copied_as_it_is() {
        let pair = pair();
        fs::create_dir_all(pair.from("a/b")).unwrap();
        let content: Vec<u8> = (0..3_000_000u32).map(|n| n as u8).collect();
        fs::write(pair.from("a/b/file"), &content).unwrap();
        std::os::unix::fs::chown(pair.from("a/b/file"), Some(5), Some(6)).unwrap();
        fs::set_permissions(pair.from("a/b/file"), fs::Permissions::from_mode(0o4751)).unwrap();
        fs::set_permissions(pair.from("a/b"), fs::Permissions::from_mode(0o1570)).unwrap();
        symlink("../../outside", pair.from("a/link")).unwrap();
        nix::unistd::mkfifo(&pair.from("fifo"), nix::sys::stat::Mode::from_bits_truncate(0o640)).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(pair.from("socket")).unwrap();
        for n in 0..300 {
            fs::write(pair.from(&format!("a/a file with a name of some length {n}")), "").unwrap();
        }
        pair.copy().unwrap();
        assert!(fs::read(pair.to("a/b/file")).unwrap() == content);
        let (made, found) = (fs::metadata(pair.to("a/b/file")).unwrap(), fs::metadata(pair.from("a/b/file")).unwrap());
        assert_eq!((made.mode() & 0o7777, made.uid(), made.gid()), (0o4751, 5, 6));
        assert_eq!((made.mtime(), made.mtime_nsec()), (found.mtime(), found.mtime_nsec()));
        assert_eq!(fs::metadata(pair.to("a/b")).unwrap().mode() & 0o7777, 0o1570);
        assert_eq!(fs::read_link(pair.to("a/link")).unwrap().to_str(), Some("../../outside"));
        assert!(fs::metadata(pair.to("fifo")).unwrap().file_type().is_fifo());
        assert!(!pair.to("socket").exists());
        assert_eq!(fs::read_dir(pair.to("a")).unwrap().count(), 302);
        assert!(!pair.0.path().join("outside").exists());
    }

    #[test]
    fn owner_mode_and_content_are_of_one_file() {
        use std::sync::atomic::{AtomicBool, Ordering};

        let mut pair = pair();
        for (name, content, mode, uid) in [("a", "set-uid", 0o4755, 0), ("b", "evil", 0o644, 1000)] {
            fs::write(pair.from(name), content).unwrap();
            std::os::unix::fs::chown(pair.from(name), Some(uid), Some(uid)).unwrap();
            fs::set_permissions(pair.from(name), fs::Permissions::from_mode(mode)).unwrap();
        }
        let (a, b, ended) = (pair.from("a"), pair.from("b"), AtomicBool::new(false));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let flags = nix::fcntl::RenameFlags::RENAME_EXCHANGE;
                while !ended.load(Ordering::Relaxed) {
                    nix::fcntl::renameat2(nix::fcntl::AT_FDCWD, &a, nix::fcntl::AT_FDCWD, &b, flags).unwrap();
                }
            });
            let end = std::time::Instant::now() + std::time::Duration::from_secs(2);
            let mut mixed = None;
            while mixed.is_none() && std::time::Instant::now() < end {
                pair.copy().unwrap();
                mixed = ["a", "b"].into_iter().find_map(|name| {
                    let found = fs::metadata(pair.to(name)).unwrap();
                    let content = fs::read_to_string(pair.to(name)).unwrap();
                    let whole = match (found.mode() & 0o7777, found.uid()) {
                        (0o4755, 0) => content == "set-uid",
                        (0o644, 1000) => content == "evil",
                        _ => false,
                    };
                    (!whole).then(|| format!("{:o} {} {content}", found.mode(), found.uid()))
                });
                fs::remove_dir_all(pair.0.path().join("to")).unwrap();
                fs::create_dir(pair.0.path().join("to")).unwrap();
                pair.2 = fs::File::open(pair.0.path().join("to")).unwrap();
            }
            ended.store(true, Ordering::Relaxed);
            assert_eq!(mixed, None);
        });
    }

    #[test]
    fn a_tree_without_a_bottom_is_refused() {
        let pair = pair();
        // Use descriptors, because the path becomes too long for the kernel.
        let mut at = pair.1.try_clone().unwrap();
        for _ in 0..MAX_DEPTH {
            let name = std::path::Path::new("d");
            nix::sys::stat::mkdirat(&at, name, nix::sys::stat::Mode::S_IRWXU).unwrap();
            let flags = nix::fcntl::OFlag::O_DIRECTORY;
            at = nix::fcntl::openat(&at, name, flags, nix::sys::stat::Mode::empty()).unwrap().into();
        }
        assert_eq!(pair.copy(), Err(ELOOP));
    }
}
