//! The state directory of a container: its record, its configuration and `exec.fifo`.

use std::ffi::{CStr, OsStr};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, RenameFlags, openat, renameat, renameat2};
use nix::sys::stat::{FchmodatFlags, Mode, SFlag, fchmodat, fstat, fstatat, makedev, mkdirat, mknodat};
use nix::unistd::{Gid, Uid, UnlinkatFlags, fchownat, unlinkat};

use super::not_found;
use super::record::{RECORD_VERSION, Record};
use crate::criu;
use crate::deadline::Deadline;
use crate::error::{Code, Context, Error, Result};
use crate::fault;
use crate::plan::HostNode;
use crate::sys::lock::{Lock, LockKind};

pub(super) const STATE: &str = "state.json";
pub(super) const STATE_NEW: &str = "state.json.new";
const CONFIG: &str = "config.json";
const CONFIG_NEW: &str = "config.json.new";
const FIFO: &str = "exec.fifo";
const NETWORK_NAMESPACE: &str = "netns";
/// The directory of the device nodes that are bind-mounted in a user namespace, where init cannot create nodes.
pub const DEVICES: &str = "devices";
const CRIU_WORK: &CStr = c"criu.work";
/// The size limit for reading a file. A record has a few kilobytes; the limit prevents a broken file from filling the
/// caller's memory.
const MOST_BYTES: u64 = 32 << 20;

/// Whether an error of [`Directory::read`] means that a record exists but is damaged: incomplete, or not written by
/// libberth.
pub fn is_damaged(error: &Error) -> bool {
    matches!(error.errno, Some(Errno::EUCLEAN | Errno::ELOOP))
}

/// The state directory of a container, held open.
#[derive(Debug)]
pub struct Directory {
    pub(super) root: Arc<OwnedFd>,
    pub(super) fd: OwnedFd,
    pub(super) path: PathBuf,
    pub(super) id: String,
    /// Whether the state root is on a tmpfs.
    pub(super) volatile: bool,
}

impl Directory {
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns descriptors that only reserve space in the descriptor table: closing them lets others be opened.
    pub fn spare(&self, count: usize) -> Result<Vec<OwnedFd>> {
        (0..count).map(|_| self.fd.try_clone().context(|| "keeping descriptors in reserve")).collect()
    }

    /// Takes the lock that every change of the container needs. Other threads and processes wait for it, at most until
    /// their deadline. Reading needs no lock.
    pub fn lock(&self, deadline: Deadline) -> Result<Lock> {
        let flags = OFlag::O_DIRECTORY | OFlag::O_CLOEXEC | OFlag::O_RDONLY;
        let fd = match openat(&self.fd, ".", flags, Mode::empty()) {
            Err(Errno::ENOENT) => return Err(not_found(&self.id)),
            other => other.context(|| format!("opening {}", self.path.display()))?,
        };
        let lock = Lock::of(fd, LockKind::Exclusive, deadline, || format!("container {:?}", self.id))
            .map_err(|error| error.detail("id", self.id.as_str()))?;
        // The previous owner of the lock may have deleted the container.
        if self.is_gone()? { Err(not_found(&self.id)) } else { Ok(lock) }
    }

    /// Whether no record has been written yet. Needs no free descriptor.
    pub fn is_empty(&self) -> bool {
        fstatat(&self.fd, STATE, AtFlags::AT_SYMLINK_NOFOLLOW) == Err(Errno::ENOENT)
    }

    fn is_gone(&self) -> Result<bool> {
        Ok(fstat(&self.fd).context(|| format!("looking at {}", self.path.display()))?.st_nlink == 0)
    }

    /// Reads the record. Returns `None` before the first one is written, and permanently if its writer was killed
    /// before that.
    pub fn read(&self) -> Result<Option<Record>> {
        let Some(text) = self.read_file(STATE)? else {
            return if self.is_gone()? { Err(not_found(&self.id)) } else { Ok(None) };
        };
        let record: Record = serde_json::from_str(&text).map_err(|error| {
            let message = format!(
                "{} is damaged: {error}; a forced delete removes what can be found",
                self.path.join(STATE).display()
            );
            Error::new(Code::System, message).with_errno(Errno::EUCLEAN)
        })?;
        if record.version != RECORD_VERSION {
            let message =
                format!("container {:?} was made by another version of libberth (record {})", self.id, record.version);
            return Err(Error::new(Code::Unsupported, message));
        }
        Ok(Some(record))
    }

    pub fn write(&self, record: &Record) -> Result<()> {
        self.prepare(record)?;
        self.commit()
    }

    /// Writes the record to a temporary file, which [`Directory::commit`] renames.
    pub fn prepare(&self, record: &Record) -> Result<()> {
        let text = serde_json::to_vec(record).map_err(|error| Error::new(Code::Internal, error.to_string()))?;
        self.unlink_after(self.write_file(STATE_NEW, &text), STATE_NEW)
    }

    pub fn commit(&self) -> Result<()> {
        fault::point("record.written");
        self.unlink_after(self.rename(STATE_NEW, STATE), STATE_NEW)
    }

    pub fn write_config(&self, json: &str) -> Result<()> {
        self.write_file(CONFIG, json.as_bytes())
    }

    pub fn replace_config(&self, json: &str) -> Result<()> {
        self.replace(CONFIG_NEW, CONFIG, json.as_bytes())
    }

    /// Replaces a file atomically, by writing a temporary file and renaming it: readers see the old content or the new,
    /// also after a crash.
    fn replace(&self, new: &str, name: &str, bytes: &[u8]) -> Result<()> {
        let result = self.write_file(new, bytes).and_then(|()| self.rename(new, name));
        self.unlink_after(result, new)
    }

    /// Replaces file `name` with file `new`. On a disk, the two are exchanged and the old file is removed, if the
    /// filesystem supports that: ext4 writes a file's data to the disk before it renames the file over another one,
    /// which takes longer than everything else here. Records need not survive a reboot, because containers do not
    /// either.
    fn rename(&self, new: &str, name: &str) -> Result<()> {
        let exchange = || renameat2(&self.fd, new, &self.fd, name, RenameFlags::RENAME_EXCHANGE);
        let exchanged = if self.volatile { Err(Errno::EINVAL) } else { exchange() };
        match exchanged {
            Ok(()) => return self.unlink(OsStr::new(new)),
            // ENOENT: there is no old file yet.
            Err(Errno::ENOENT | Errno::EINVAL | Errno::ENOSYS | Errno::EPERM) => {}
            Err(errno) => return Err(Error::system(errno, format!("replacing {}", self.path.join(name).display()))),
        }
        renameat(&self.fd, new, &self.fd, name).context(|| format!("replacing {}", self.path.join(name).display()))
    }

    fn unlink_after(&self, result: Result<()>, name: &str) -> Result<()> {
        result.inspect_err(|_| {
            let _ = unlinkat(&self.fd, name, UnlinkatFlags::NoRemoveDir);
        })
    }

    pub fn read_config(&self) -> Result<String> {
        self.read_file(CONFIG)?.ok_or_else(|| not_found(&self.id))
    }

    fn write_file(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let doing = || format!("writing {}", self.path.join(name).display());
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_TRUNC | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let fd = openat(&self.fd, name, flags, Mode::S_IRUSR | Mode::S_IWUSR).context(doing)?;
        File::from(fd).write_all(bytes).context(doing)
    }

    fn read_file(&self, name: &str) -> Result<Option<String>> {
        let doing = || format!("reading {}", self.path.join(name).display());
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let fd = match openat(&self.fd, name, flags, Mode::empty()) {
            Err(Errno::ENOENT) => return Ok(None),
            other => other.context(doing)?,
        };
        let mut bytes = Vec::with_capacity(4096); // a record, in one read
        File::from(fd).take(MOST_BYTES).read_to_end(&mut bytes).context(doing)?;
        // Keep invalid UTF-8: the parser reports that the file is damaged.
        Ok(Some(
            String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()),
        ))
    }

    /// Creates exec.fifo and returns an O_PATH descriptor of it. The container's root must be able to write to it, also
    /// in a joined user namespace, whose mappings are not known here. So its mode lets every user write; the
    /// directory's mode keeps other users out.
    pub fn make_fifo(&self) -> Result<OwnedFd> {
        let doing = || format!("making {}", self.path.join(FIFO).display());
        let mode = Mode::S_IRUSR | Mode::S_IWUSR | Mode::S_IWGRP | Mode::S_IWOTH;
        nix::sys::stat::mknodat(&self.fd, FIFO, nix::sys::stat::SFlag::S_IFIFO, mode, 0).context(doing)?;
        // fchmodat, unlike mknodat, ignores the caller's umask.
        fchmodat(&self.fd, FIFO, mode, FchmodatFlags::FollowSymlink).context(doing)?;
        let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        openat(&self.fd, FIFO, flags, Mode::empty()).context(doing)
    }

    /// Opens the reading end, which releases init. Returns `None` if the fifo does not exist, or no longer.
    pub fn open_fifo(&self) -> Result<Option<OwnedFd>> {
        let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        match openat(&self.fd, FIFO, flags, Mode::empty()) {
            Err(Errno::ENOENT) => Ok(None),
            other => {
                let fifo = other.context(|| format!("opening {}", self.path.join(FIFO).display()))?;
                let found = fstat(&fifo).context(|| format!("looking at {}", self.path.join(FIFO).display()))?;
                if found.st_mode & libc::S_IFMT != libc::S_IFIFO {
                    let message = format!("{} is not a fifo", self.path.join(FIFO).display());
                    return Err(Error::new(Code::System, message).with_errno(Errno::EUCLEAN));
                }
                Ok(Some(fifo))
            }
        }
    }

    /// Returns the path that keeps a network namespace while devices of the host are in it.
    pub fn network_namespace(&self) -> PathBuf {
        self.path.join(NETWORK_NAMESPACE)
    }

    pub fn devices(&self) -> PathBuf {
        self.path.join(DEVICES)
    }

    /// Creates the device nodes that a container bind-mounts, with the mode and owner that they have in the container.
    pub fn make_devices(&self, nodes: &[HostNode]) -> Result<()> {
        if nodes.is_empty() {
            return Ok(());
        }
        let doing = || format!("making {}", self.devices().display());
        mkdirat(&self.fd, DEVICES, Mode::S_IRWXU).context(doing)?;
        let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let directory = openat(&self.fd, DEVICES, flags, Mode::empty()).context(doing)?;
        for node in nodes {
            let doing = || format!("making the device {}", node.path.display());
            let name = node.path.file_name().unwrap_or_default();
            let (kind, mode) = (SFlag::from_bits_truncate(node.mode), Mode::from_bits_truncate(node.mode));
            let device = makedev(node.device.0.into(), node.device.1.into());
            let (uid, gid) = (Uid::from_raw(node.owner.0), Gid::from_raw(node.owner.1));
            mknodat(&directory, name, kind & SFlag::S_IFMT, Mode::empty(), device).context(doing)?;
            fchownat(&directory, name, Some(uid), Some(gid), AtFlags::AT_SYMLINK_NOFOLLOW).context(doing)?;
            // fchmodat, unlike mknodat, ignores the caller's umask.
            fchmodat(&directory, name, mode, FchmodatFlags::FollowSymlink).context(doing)?;
        }
        Ok(())
    }

    pub fn remove_fifo(&self) -> Result<()> {
        self.unlink(OsStr::new(FIFO))
    }

    fn unlink(&self, name: &OsStr) -> Result<()> {
        match unlinkat(&self.fd, name, UnlinkatFlags::NoRemoveDir) {
            Ok(()) | Err(Errno::ENOENT) => Ok(()),
            Err(errno) => Err(Error::system(errno, format!("removing {}", self.path.join(name).display()))),
        }
    }

    /// Removes the directory with all its files, the record last: a later delete needs it if this one is interrupted.
    pub fn remove(&self) -> Result<()> {
        let doing = || format!("removing {}", self.path.join(criu::WORK).display());
        criu::remove_tree(&self.fd, CRIU_WORK).context(doing)?;
        criu::remove_tree(&self.fd, c"devices").context(|| format!("removing {}", self.devices().display()))?;
        for name in [FIFO, NETWORK_NAMESPACE, CONFIG, CONFIG_NEW, STATE_NEW, STATE] {
            self.unlink(OsStr::new(name))?;
        }
        fault::point("delete.emptied");
        // If another process has removed the directory, the name may belong to a new container.
        if self.is_gone()? {
            return Ok(());
        }
        let doing = || format!("removing {}", self.path.display());
        match unlinkat(&self.root, self.id.as_str(), UnlinkatFlags::RemoveDir) {
            Ok(()) | Err(Errno::ENOENT) => Ok(()),
            Err(errno) => Err(Error::system(errno, doing())),
        }
    }
}
