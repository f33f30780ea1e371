//! The caller's /proc, through one descriptor that is verified once: the root of a procfs, not covered by another
//! mount.
//!
//! Every file below /proc is opened through it, so that a false /proc causes an error and not a wrong answer. The
//! exceptions are paths that the user gives (a namespace to join), paths that another process resolves (links in a
//! container's /dev), and [`path_of`].

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::path::PathBuf;

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat, readlinkat};
use nix::sys::stat::{Mode, fstat, fstatat};
use nix::sys::statfs::{PROC_SUPER_MAGIC, fstatfs};
use once_cell::sync::OnceCell;

use crate::error::{Code, Context, Error, Result};

/// The status of a process in /proc at one moment.
pub struct ProcStat {
    pub parent: i32,
    pub session: i32,
    /// The start time in clock ticks since boot (proc_pid_stat(5), field 22).
    pub start_time: u64,
    /// The state: R, S, D, Z …
    pub state: char,
    /// The process name: that of the program, truncated by the kernel, or the one that the process has set.
    pub name: String,
}

/// Returns the root of procfs, verified once per process.
pub fn root() -> Result<BorrowedFd<'static>> {
    static PROC: OnceCell<OwnedFd> = OnceCell::new();
    PROC.get_or_try_init(open_root).map(|fd| fd.as_fd())
}

fn open_root() -> Result<OwnedFd> {
    const PROC_ROOT_INO: u64 = 1;
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let fd = nix::fcntl::open("/proc", flags, Mode::empty()).context(|| "opening /proc")?;
    let kind = fstatfs(&fd).context(|| "examining /proc")?.filesystem_type();
    let found = fstat(&fd).context(|| "examining /proc")?;
    if kind != PROC_SUPER_MAGIC || found.st_ino != PROC_ROOT_INO {
        return Err(Error::new(Code::Unsupported, "/proc is not the root of a proc filesystem"));
    }
    // ENOENT: the caller has no pid in the namespace of that procfs.
    let own = std::process::id().to_string();
    match readlinkat(&fd, "self") {
        Ok(found) if found == *own => Ok(fd),
        Ok(_) | Err(Errno::ENOENT) => Err(Error::new(
            Code::Unsupported,
            "/proc belongs to another pid namespace than the caller; expected one that was mounted in the caller's \
             (unshare --mount-proc does)",
        )),
        Err(errno) => Err(Error::system(errno, "reading /proc/self")),
    }
}

/// Opens a file below /proc, close-on-exec. The last component may be a magic link, which is followed.
pub fn open(path: &str, flags: OFlag) -> Result<OwnedFd> {
    openat(root()?, path, flags | OFlag::O_CLOEXEC, Mode::empty()).context(|| format!("opening /proc/{path}"))
}

/// Opens a file as [`open`] does. Returns `None` if the process, or this file of it, does not exist.
pub fn open_optional(path: &str, flags: OFlag) -> Result<Option<OwnedFd>> {
    match open(path, flags) {
        Ok(fd) => Ok(Some(fd)),
        Err(error) if matches!(error.errno, Some(Errno::ENOENT | Errno::ESRCH)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Reads the bytes of a file below /proc. Returns `None` if the process no longer exists. `room` is the usual size.
pub fn read_bytes(path: &str, room: usize) -> Result<Option<Vec<u8>>> {
    let doing = || format!("reading /proc/{path}");
    let file = match openat(root()?, path, OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty()) {
        Err(Errno::ENOENT | Errno::ESRCH) => return Ok(None),
        other => other.context(doing)?,
    };
    match read_to_end(File::from(file), room) {
        Err(error) if error.raw_os_error() == Some(libc::ESRCH) => Ok(None),
        Err(error) => Err(Error::io(&error, doing())),
        Ok(bytes) => Ok(Some(bytes)),
    }
}

/// Reads a file below /proc that always exists, as text. Replaces bytes that are not UTF-8.
pub fn read(path: &str) -> Result<String> {
    let gone = || Error::system(Errno::ENOENT, format!("reading /proc/{path}"));
    read_optional(path)?.ok_or_else(gone)
}

/// Reads a file of a process, as text. Returns `None` if the process no longer exists.
pub fn read_optional(path: &str) -> Result<Option<String>> {
    Ok(read_bytes(path, 2048)?.map(|bytes| match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
    }))
}

/// Returns device and inode of the target of a path below /proc. Follows a magic link at its end: that of a namespace
/// identifies the namespace.
pub fn identity_of(path: &str) -> Result<(u64, u64)> {
    let found = fstatat(root()?, path, AtFlags::empty()).context(|| format!("examining /proc/{path}"))?;
    Ok((found.st_dev, found.st_ino))
}

/// Returns the names in a directory below /proc.
pub fn list(path: &str) -> Result<Vec<String>> {
    let doing = || format!("listing /proc/{path}");
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let mut listing = Dir::openat(root()?, path, flags, Mode::empty()).context(doing)?;
    let mut names = Vec::new();
    for entry in listing.iter() {
        let name = entry.context(doing)?.file_name().to_string_lossy().into_owned();
        if name != "." && name != ".." {
            names.push(name);
        }
    }
    Ok(names)
}

/// Returns the target of a descriptor of the caller: a path, or "pipe:[1]" and the like (proc_pid_fd(5)).
pub fn target_of(fd: impl AsFd) -> Result<PathBuf> {
    target_of_number(fd.as_fd().as_raw_fd())
}

/// Returns the target of a descriptor number, which need not be open.
pub fn target_of_number(number: RawFd) -> Result<PathBuf> {
    let target = readlinkat(root()?, format!("self/fd/{number}").as_str());
    target.map(PathBuf::from).context(|| format!("reading /proc/self/fd/{number}"))
}

/// Returns a path for a descriptor of the caller, for system calls that accept no descriptor: mount(2) and
/// inotify_add_watch(2). The calling process must use it immediately.
pub fn path_of(fd: impl AsFd) -> Result<String> {
    root()?;
    Ok(format!("/proc/self/fd/{}", fd.as_fd().as_raw_fd()))
}

/// Reopens the target of a descriptor of the caller, with other flags.
pub fn reopen(fd: impl AsFd, flags: OFlag) -> Result<OwnedFd> {
    open(&format!("self/fd/{}", fd.as_fd().as_raw_fd()), flags)
}

/// Reads an open procfs file from its current position. Such files report no size; `room` is the usual size and keeps
/// the number of reads low.
pub fn read_to_end(file: impl Read, room: usize) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(room);
    // `take` avoids the queries for size and position that `File` makes first.
    file.take(u64::MAX).read_to_end(&mut bytes)?;
    Ok(bytes)
}

pub fn stat(pid: i32) -> Result<Option<ProcStat>> {
    let Some(text) = read_optional(&format!("{pid}/stat"))? else { return Ok(None) };
    let found = parse_stat(&text);
    found.map(Some).ok_or_else(|| Error::system(Errno::EPROTO, format!("reading /proc/{pid}/stat")))
}

pub fn parse_stat(text: &str) -> Option<ProcStat> {
    // The name in parentheses may contain anything, including parentheses.
    let (before, after) = text.rsplit_once(") ")?;
    let name = before.split_once('(').map_or("", |(_, name)| name).to_owned();
    let fields: Vec<&str> = after.split(' ').collect();
    Some(ProcStat {
        state: fields.first()?.chars().next()?,
        parent: fields.get(1)?.parse().ok()?,
        session: fields.get(3)?.parse().ok()?,
        start_time: fields.get(19)?.parse().ok()?,
        name,
    })
}

/// Whether the caller is in a user namespace other than the initial one, in which ids are not mapped.
pub fn in_user_namespace() -> Result<bool> {
    let map = read("self/uid_map")?;
    Ok(map.split_whitespace().ne(["0", "0", "4294967295"]))
}

/// Returns the value of a field in the text of /proc/<pid>/status (proc_pid_status(5)).
pub fn status_field<'a>(status: &'a str, name: &str) -> Option<&'a str> {
    status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
}

/// Returns the lines of /proc/<pid>/uid_map or gid_map: first inner id, first outer id, count (user_namespaces(7)).
pub fn id_mappings(map: &str) -> impl Iterator<Item = [u32; 3]> {
    map.lines().filter_map(|line| {
        let numbers: Vec<u32> = line.split_whitespace().filter_map(|number| number.parse().ok()).collect();
        numbers.try_into().ok()
    })
}

/// Returns whether the kernel has registered a filesystem, by the text of /proc/filesystems (filesystems(5)).
pub fn has_filesystem(filesystems: &str, name: &str) -> bool {
    filesystems.lines().any(|line| line.split_whitespace().last() == Some(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_is_read_whole() {
        let text = "7 (a) b) (c) S 1 7 5 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 99 8 9\n";
        let found = parse_stat(text).unwrap();
        assert_eq!((found.name.as_str(), found.state), ("a) b) (c", 'S'));
        assert_eq!((found.parent, found.session, found.start_time), (1, 5, 99));
    }

    #[test]
    fn a_line_that_is_cut_off_is_no_answer() {
        for text in ["", "7 (a", "7 (a) ", "7 (a) S 1 7", "7 (a) S x 7 5 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 99 8 9"]
        {
            assert!(parse_stat(text).is_none(), "{text}");
        }
    }

    #[test]
    fn a_process_that_is_gone_has_no_files() {
        // Larger than any pid_max.
        assert!(read_optional("4194305/stat").unwrap().is_none());
        assert!(open_optional("4194305/ns/net", OFlag::O_RDONLY).unwrap().is_none());
        assert!(stat(std::process::id() as i32).unwrap().is_some());
    }
}
