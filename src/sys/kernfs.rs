//! All access to directories and files of cgroup and resctrl filesystems.
//!
//! Paths come from a state file that other processes might have modified. So every open refuses symbolic links in any
//! component and checks that the opened file is on such a filesystem: nothing outside can be read, written, created or
//! removed through this module.

use std::ffi::OsStr;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Component, Path};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, OpenHow, ResolveFlag, openat, openat2};
use nix::sys::stat::{FchmodatFlags, Mode, fchmodat, fstatat, mkdirat};
use nix::sys::statfs::{CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC, FsType, fstatfs, statfs};
use nix::unistd::{AccessFlags, UnlinkatFlags, faccessat, unlinkat};

use crate::error::{Code, Context, Error, Result};

/// RDTGROUP_SUPER_MAGIC of linux/magic.h.
const RESCTRL_SUPER_MAGIC: FsType = FsType(0x0765_5821);

const CGROUP_FILESYSTEMS: [FsType; 3] = [CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC, RESCTRL_SUPER_MAGIC];

/// Opens a directory or file of a cgroup or resctrl filesystem.
pub fn open(path: &Path, flags: OFlag) -> Result<OwnedFd> {
    let fd = open_without_links(path, flags | OFlag::O_CLOEXEC).context(|| format!("opening {}", path.display()))?;
    let kind = fstatfs(&fd).context(|| format!("reading the filesystem type of {}", path.display()))?.filesystem_type();
    if !CGROUP_FILESYSTEMS.contains(&kind) {
        return Err(Error::new(Code::System, format!("{} is not on a cgroup filesystem", path.display())));
    }
    Ok(fd)
}

pub fn open_dir(path: &Path) -> Result<OwnedFd> {
    open(path, OFlag::O_RDONLY | OFlag::O_DIRECTORY)
}

fn open_without_links(path: &Path, flags: OFlag) -> Result<OwnedFd, Errno> {
    let how = OpenHow::new().flags(flags | OFlag::O_NOFOLLOW).resolve(ResolveFlag::RESOLVE_NO_SYMLINKS);
    match openat2(AT_FDCWD, path, how) {
        // ENOSYS before Linux 5.6; both from seccomp filters that do not know openat2.
        Err(Errno::ENOSYS | Errno::EPERM) => walk(path, flags),
        result => result,
    }
}

/// Does what openat2 does, one component at a time.
fn walk(path: &Path, flags: OFlag) -> Result<OwnedFd, Errno> {
    let step = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let mut here = openat(AT_FDCWD, "/", step, Mode::empty())?;
    let mut components = path.components().peekable();
    if components.next() != Some(Component::RootDir) {
        return Err(Errno::EINVAL);
    }
    while let Some(component) = components.next() {
        let Component::Normal(name) = component else { return Err(Errno::EINVAL) };
        let last = components.peek().is_none();
        let flags = if last { flags | OFlag::O_NOFOLLOW } else { step };
        here = openat(&here, name, flags, Mode::empty())?;
    }
    Ok(here)
}

/// Whether the error means that the file does not exist (any more). A descriptor of a removed cgroup returns ENODEV.
pub fn is_gone(error: &Error) -> bool {
    matches!(error.errno, Some(Errno::ENOENT | Errno::ENODEV))
}

/// Turns "does not exist" into `None`.
pub fn optional<T>(result: Result<T>) -> Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if is_gone(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

pub fn exists(path: &Path) -> Result<bool> {
    optional(open(path, OFlag::O_PATH)).map(|found| found.is_some())
}

/// Whether the caller has this access (faccessat(2)). A missing or read-only directory counts as no.
pub fn may(path: &Path, access: AccessFlags) -> bool {
    faccessat(AT_FDCWD, path, access, AtFlags::AT_EACCESS).is_ok()
}

/// Lists a directory; empty if it does not exist.
pub fn list(dir: &Path) -> Result<Vec<String>> {
    let Some(fd) = optional(open_dir(dir))? else { return Ok(Vec::new()) };
    let doing = || format!("listing {}", dir.display());
    let mut listing = nix::dir::Dir::from_fd(fd).context(doing)?;
    let mut names = Vec::new();
    for entry in listing.iter() {
        names.push(entry.context(doing)?.file_name().to_string_lossy().into_owned());
    }
    Ok(names)
}

/// Reads a file completely.
pub fn read(dir: &Path, file: &str) -> Result<String> {
    let path = dir.join(file);
    let fd = open(&path, OFlag::O_RDONLY)?;
    read_all(fd.as_fd()).context(|| format!("reading {}", path.display()))
}

pub fn read_optional(dir: &Path, file: &str) -> Result<Option<String>> {
    optional(read(dir, file))
}

/// Reads the whole file from the beginning, so that an open descriptor can be read repeatedly.
pub fn read_all(fd: impl AsFd) -> Result<String, Errno> {
    let mut text = Vec::new();
    let mut chunk = [0u8; 4096];
    loop {
        match nix::sys::uio::pread(&fd, &mut chunk, text.len() as i64) {
            Ok(0) => break,
            Ok(count) => text.extend_from_slice(&chunk[..count]),
            Err(Errno::EINTR) => continue,
            Err(errno) => return Err(errno),
        }
    }
    String::from_utf8(text).map_err(|_| Errno::EILSEQ)
}

/// Writes a value in one call, as the kernel requires.
pub fn write(dir: &Path, file: &str, value: &str) -> Result<()> {
    let path = dir.join(file);
    let fd = open(&path, OFlag::O_WRONLY)?;
    write_all(fd.as_fd(), value).context(|| format!("setting {} to \"{value}\"", path.display()))
}

/// Writes a value like [`write`]. Returns `false` if the directory does not exist any more.
pub fn write_unless_removed(dir: &Path, file: &str, value: &str) -> Result<bool> {
    match write(dir, file, value) {
        Err(error) if is_gone(&error) && !exists(dir)? => Ok(false),
        result => result.map(|()| true),
    }
}

pub fn write_all(fd: impl AsFd, value: &str) -> Result<(), Errno> {
    loop {
        match nix::unistd::write(&fd, value.as_bytes()) {
            Ok(count) if count == value.len() => return Ok(()),
            Ok(_) => return Err(Errno::EIO),
            Err(Errno::EINTR) => continue,
            Err(errno) => return Err(errno),
        }
    }
}

/// Returns the parent's descriptor and the last component.
pub fn parent(path: &Path) -> Result<(OwnedFd, &OsStr)> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(Error::new(Code::System, format!("{} has no parent directory", path.display())));
    };
    Ok((open(parent, OFlag::O_PATH | OFlag::O_DIRECTORY)?, name))
}

/// Creates a directory. Returns `false` if it exists.
pub fn make_dir(path: &Path) -> Result<bool> {
    let (parent, name) = parent(path)?;
    let mode = Mode::from_bits_truncate(0o755);
    match mkdirat(&parent, name, mode) {
        // Set the mode independently of the caller's umask: the container's processes read their limits here.
        Ok(()) => match fchmodat(&parent, name, mode, FchmodatFlags::FollowSymlink) {
            Ok(()) => Ok(true),
            Err(errno) => {
                // The caller takes an error to mean that nothing was created.
                let removed = unlinkat(&parent, name, UnlinkatFlags::RemoveDir);
                let error = Error::system(errno, format!("setting the mode of cgroup {}", path.display()));
                Err(removed.map_or_else(|errno| error.clone().detail("cleanup", errno.desc()), |()| error.clone()))
            }
        },
        Err(Errno::EEXIST) => Ok(false),
        // The errno alone does not explain the failure.
        Err(Errno::EAGAIN) => {
            let reason = "cgroup.max.descendants or cgroup.max.depth of a cgroup above does not allow another one";
            let problem = format!("creating cgroup {}: {reason}", path.display());
            Err(Error::new(Code::System, problem).with_errno(Errno::EAGAIN))
        }
        Err(errno) => Err(Error::system(errno, format!("creating cgroup {}", path.display()))),
    }
}

/// Removes one directory that has no children. Also works in a caller without a free descriptor, so that a failed step
/// can be undone there.
pub fn remove_dir(path: &Path) -> Result<()> {
    let (parent, name) = match parent(path) {
        Err(error) if matches!(error.errno, Some(Errno::EMFILE | Errno::ENFILE)) => return remove_by_path(path, error),
        other => other?,
    };
    let result = match unlinkat(&parent, name, UnlinkatFlags::RemoveDir) {
        // A read-only mount returns EROFS whether or not the directory exists.
        Err(Errno::EROFS) if !exists(path)? => Err(Errno::ENOENT),
        other => other,
    };
    result.context(|| format!("removing {}", path.display()))
}

/// Removes a directory by its path. Nobody but the host's root can put a symbolic link into a path of a cgroup
/// filesystem. `error` is the reason for not doing it by descriptor.
fn remove_by_path(path: &Path, error: Error) -> Result<()> {
    let kind = match statfs(path) {
        Err(errno) => return Err(errno).context(|| format!("removing {}", path.display())),
        Ok(found) => found.filesystem_type(),
    };
    if !CGROUP_FILESYSTEMS.contains(&kind) {
        return Err(error);
    }
    unlinkat(AT_FDCWD, path, UnlinkatFlags::RemoveDir).context(|| format!("removing {}", path.display()))
}

/// Returns the device number of the file at `path`, for comparison with a line of mountinfo.
pub fn device(path: &Path) -> Result<u64, Errno> {
    fstatat(AT_FDCWD, path, AtFlags::AT_SYMLINK_NOFOLLOW).map(|stat| stat.st_dev)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_symlink_is_not_followed_by_either_way_of_opening() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        std::fs::create_dir(root.join("real")).unwrap();
        std::fs::write(root.join("real/file"), "x").unwrap();
        std::os::unix::fs::symlink("real", root.join("link")).unwrap();
        for open in [open_without_links, walk] {
            assert!(open(&root.join("real/file"), OFlag::O_RDONLY).is_ok());
            let refused = open(&root.join("link/file"), OFlag::O_RDONLY).unwrap_err();
            assert!(matches!(refused, Errno::ELOOP | Errno::ENOTDIR), "{refused}");
            let refused = open(&root.join("link"), OFlag::O_RDONLY).unwrap_err();
            assert!(matches!(refused, Errno::ELOOP | Errno::ENOTDIR), "{refused}");
        }
    }

    #[test]
    fn a_directory_that_is_no_cgroup_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let error = make_dir(&root.join("x")).unwrap_err();
        assert!(error.message.ends_with("is not on a cgroup filesystem"), "{error}");
        assert!(!root.join("x").exists());
    }
}
