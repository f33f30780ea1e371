//! The state directory: `<root>/<id>/` with the lock, the record (`state.json`), the configuration and `exec.fifo`.
//!
//! The record is written before anything on the host is made and replaced atomically, so that whoever is killed at
//! whatever moment, the next one knows what there may be to remove.

use std::ffi::{CStr, OsStr};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, RenameFlags, open, openat, renameat, renameat2};
use nix::sys::stat::{FchmodatFlags, Mode, SFlag, fchmodat, fstat, fstatat, makedev, mkdirat, mknodat};
use nix::sys::statfs::{TMPFS_MAGIC, fstatfs};
use nix::unistd::{Gid, Uid, UnlinkatFlags, fchownat, unlinkat};
use serde::{Deserialize, Serialize};

use super::any_path;
use super::checkpoint::CheckpointInProgress;
use super::lock::{Lock, LockKind};
use super::plan_inputs::PlanInputs;
use crate::cgroup::Layout;
use crate::criu;
use crate::deadline::Deadline;
use crate::error::{Code, Context, Error, Result};
use crate::fault;
use crate::identity::Identity;
use crate::network::Journal;
use crate::plan::HostNode;
use crate::rdt::Group;

const STATE: &str = "state.json";
const STATE_NEW: &str = "state.json.new";
const CONFIG: &str = "config.json";
const CONFIG_NEW: &str = "config.json.new";
pub const FIFO: &str = "exec.fifo";
/// Nodes that are bound in a user namespace, where init cannot make any.
pub const DEVICES: &str = "devices";
const NETWORK_NAMESPACE: &str = "netns";
const CRIU_WORK: &CStr = c"criu.work";
/// A record is a few kilobytes. The bound only keeps a broken file from filling the host's memory.
const MOST_BYTES: u64 = 32 << 20;

/// How far a container has come, as its record says. The kernel is asked for the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    Creating,
    Created,
    Deleting,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Record {
    /// Of this layout.
    pub version: u32,
    pub id: String,
    pub phase: Phase,
    /// Who is creating or deleting it.
    pub owner: Identity,
    #[serde(with = "any_path::optional")]
    pub bundle: Option<PathBuf>,
    /// RFC 3339.
    pub created: String,
    pub init: Option<Init>,
    #[serde(flatten)]
    pub(crate) inputs: PlanInputs,
    /// CLONE_NEW… of the namespaces that are not the host's.
    pub namespaces: u64,
    /// What init's standard descriptors are: "pipe:[123]", "/dev/null" … (for checkpoints, as the seed has it).
    #[serde(default)]
    pub external_descriptors: Vec<String>,
    /// Links of the container, if it has any that are ours to remove.
    #[serde(default)]
    pub(crate) network: Option<Journal>,
    /// A checkpoint that somebody is at work on.
    #[serde(default)]
    pub(super) checkpoint: Option<CheckpointInProgress>,
}

impl Record {
    /// All that is known is where there may be cgroups, and what there may be in resctrl.
    pub(crate) fn placeholder(id: &str, cgroup: Layout, resctrl: Option<Group>) -> Record {
        Record {
            version: RECORD_VERSION,
            id: id.to_owned(),
            phase: Phase::Deleting,
            owner: Identity { pid: 0, start_time: 0, boot_id: String::new() },
            bundle: None,
            created: String::new(),
            init: None,
            inputs: PlanInputs { cgroup, resctrl, ..PlanInputs::default() },
            namespaces: 0,
            external_descriptors: Vec::new(),
            network: None,
            checkpoint: None,
        }
    }

    /// It lives without its creator from here on.
    pub fn mark_created(&mut self) {
        self.phase = Phase::Created;
        if let Some(group) = &mut self.inputs.resctrl {
            group.mark_created();
        }
    }
}

pub const RECORD_VERSION: u32 = 1;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Init {
    #[serde(flatten)]
    pub identity: Identity,
    /// Device and inode of berth-init: as long as this is what the process executes, it is *created*.
    pub image: (u64, u64),
}

/// The directory with all containers of a runtime.
#[derive(Debug)]
pub struct Root {
    fd: Arc<OwnedFd>,
    path: PathBuf,
    /// It is on a tmpfs.
    volatile: bool,
}

impl Root {
    /// Opens the state root; missing directories are made for root alone. A directory that others may write to is
    /// refused: they could plant containers in it.
    pub fn open(path: &Path) -> Result<Root> {
        make_private(path)?;
        let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC | OFlag::O_RDONLY;
        let fd = open(path, flags, Mode::empty()).context(|| format!("opening the state root {}", path.display()))?;
        let fd = Arc::new(fd);
        let found = fstat(&fd).context(|| format!("looking at the state root {}", path.display()))?;
        if found.st_uid != Uid::effective().as_raw() || found.st_mode & 0o022 != 0 {
            let message = format!(
                "the state root {} belongs to uid {} with mode {:04o}; it must be the caller's and not writable by others",
                path.display(),
                found.st_uid,
                found.st_mode & 0o7777
            );
            return Err(Error::new(Code::System, message).with_errno(Errno::EACCES));
        }
        let volatile = fstatfs(&fd).is_ok_and(|found| found.filesystem_type() == TMPFS_MAGIC);
        Ok(Root { fd, path: path.to_owned(), volatile })
    }

    pub fn ids(&self) -> Result<Vec<String>> {
        let doing = || format!("listing {}", self.path.display());
        let mut dir = Dir::openat(&self.fd, ".", OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty()).context(doing)?;
        let mut ids = Vec::new();
        for entry in dir.iter() {
            let entry = entry.context(doing)?;
            if let Ok(name) = entry.file_name().to_str()
                && check_id(name).is_ok()
            {
                ids.push(name.to_owned());
            }
        }
        ids.sort();
        Ok(ids)
    }

    /// Shared by creators until they have the lock of the directory they have made, so that whoever has it exclusively
    /// knows an unlocked directory without a record for a killed creator's.
    pub fn lock(&self, kind: LockKind, deadline: Deadline) -> Result<Lock> {
        let flags = OFlag::O_DIRECTORY | OFlag::O_CLOEXEC | OFlag::O_RDONLY;
        let doing = || format!("opening {}", self.path.display());
        let fd = openat(&self.fd, ".", flags, Mode::empty()).context(doing)?;
        Lock::of(fd, kind, deadline, || format!("the state root {}", self.path.display()))
    }

    pub fn make(&self, id: &str) -> Result<Directory> {
        match mkdirat(&self.fd, id, Mode::S_IRWXU) {
            Err(Errno::EEXIST) => return Err(in_use(id)),
            other => other.context(|| format!("making the state directory {}", self.path.join(id).display()))?,
        }
        self.directory(id).inspect_err(|error| {
            // Not found: somebody else has removed it.
            if error.code != Code::NotFound {
                let _ = unlinkat(&self.fd, id, UnlinkatFlags::RemoveDir);
            }
        })
    }

    pub fn directory(&self, id: &str) -> Result<Directory> {
        let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC | OFlag::O_RDONLY;
        let path = self.path.join(id);
        match openat(&self.fd, id, flags, Mode::empty()) {
            Err(Errno::ENOENT) => Err(not_found(id)),
            other => {
                let fd = other.context(|| format!("opening the state directory {}", path.display()))?;
                Ok(Directory { root: self.fd.clone(), fd, path, id: id.to_owned(), volatile: self.volatile })
            }
        }
    }
}

pub fn in_use(id: &str) -> Error {
    Error::new(Code::IdInUse, format!("container {id:?} exists already")).detail("id", id)
}

pub fn not_found(id: &str) -> Error {
    Error::new(Code::NotFound, format!("container {id:?} does not exist")).detail("id", id)
}

fn make_private(path: &Path) -> Result<()> {
    if !path.is_absolute() {
        return Err(Error::invalid_argument(format!("the state root {path:?} is not an absolute path")));
    }
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).context(|| format!("making the state root {}", path.display()))
}

/// What containers may be called: the name becomes a directory and a cgroup.
pub fn check_id(id: &str) -> Result<()> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_+-.".contains(&byte);
    let problem = if id.is_empty() {
        "is empty"
    } else if id.len() > 200 {
        "is longer than 200 bytes"
    } else if !id.as_bytes()[0].is_ascii_alphanumeric() && id.as_bytes()[0] != b'_' {
        "does not begin with a letter, a digit or \"_\""
    } else if !id.bytes().all(allowed) {
        "has other characters than letters, digits and \"_+-.\""
    } else {
        return Ok(());
    };
    Err(Error::new(Code::IdInvalid, format!("container id {id:?} {problem}")).detail("id", id))
}

/// Whether an error of [`Directory::read`] says that there is something, but no record: torn, or put there by others.
pub fn is_damaged(error: &Error) -> bool {
    matches!(error.errno, Some(Errno::EUCLEAN | Errno::ELOOP))
}

/// One container's directory, held open.
#[derive(Debug)]
pub struct Directory {
    root: Arc<OwnedFd>,
    fd: OwnedFd,
    path: PathBuf,
    id: String,
    volatile: bool,
}

impl Directory {
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Descriptors that mean nothing but that there is room for others.
    pub fn spare(&self, count: usize) -> Result<Vec<OwnedFd>> {
        (0..count).map(|_| self.fd.try_clone().context(|| "keeping descriptors in reserve")).collect()
    }

    /// Orders all that changes the container: other threads and other processes wait, but not longer than the
    /// deadline. Reading needs no lock.
    pub fn lock(&self, deadline: Deadline) -> Result<Lock> {
        let flags = OFlag::O_DIRECTORY | OFlag::O_CLOEXEC | OFlag::O_RDONLY;
        let fd = match openat(&self.fd, ".", flags, Mode::empty()) {
            Err(Errno::ENOENT) => return Err(not_found(&self.id)),
            other => other.context(|| format!("opening {}", self.path.display()))?,
        };
        let lock = Lock::of(fd, LockKind::Exclusive, deadline, || format!("container {:?}", self.id))
            .map_err(|error| error.detail("id", self.id.as_str()))?;
        // Whoever had it before us may have deleted the container.
        if self.is_gone()? { Err(not_found(&self.id)) } else { Ok(lock) }
    }

    /// Whether nobody has written a record yet. Needs no descriptor.
    pub fn is_empty(&self) -> bool {
        fstatat(&self.fd, STATE, AtFlags::AT_SYMLINK_NOFOLLOW) == Err(Errno::ENOENT)
    }

    fn is_gone(&self) -> Result<bool> {
        Ok(fstat(&self.fd).context(|| format!("looking at {}", self.path.display()))?.st_nlink == 0)
    }

    /// The record; None in the moment before the first one is written (or for ever, if its writer was killed then).
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

    /// Writes what [`Directory::commit`] makes the record.
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

    /// Writes a file of another name first: readers, and whoever comes after a crash, see the old one or the new one.
    fn replace(&self, new: &str, name: &str, bytes: &[u8]) -> Result<()> {
        let result = self.write_file(new, bytes).and_then(|()| self.rename(new, name));
        self.unlink_after(result, new)
    }

    /// On a disk the two change places and the old one is removed, where the filesystem can do that: ext4 writes a file to
    /// the disk before it renames it over another one, which takes longer than all else here, and no record outlives the
    /// boot.
    fn rename(&self, new: &str, name: &str) -> Result<()> {
        let exchange = || renameat2(&self.fd, new, &self.fd, name, RenameFlags::RENAME_EXCHANGE);
        let exchanged = if self.volatile { Err(Errno::EINVAL) } else { exchange() };
        match exchanged {
            Ok(()) => return self.unlink(OsStr::new(new)),
            // ENOENT: the first of its name.
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
        // What is not text is damaged, which the parser says.
        Ok(Some(
            String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()),
        ))
    }

    pub fn devices(&self) -> PathBuf {
        self.path.join(DEVICES)
    }

    /// Makes device nodes for a container that binds them, each with the mode and owner that it is to have inside.
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
            // Whatever the caller's umask is.
            fchmodat(&directory, name, mode, FchmodatFlags::FollowSymlink).context(doing)?;
        }
        Ok(())
    }

    /// Makes exec.fifo and returns an O_PATH descriptor of it. Whoever is root in the container may write to it, also in
    /// a user namespace that is joined, whose ids are not known here: the directory keeps everybody else out.
    pub fn make_fifo(&self) -> Result<OwnedFd> {
        let doing = || format!("making {}", self.path.join(FIFO).display());
        let mode = Mode::S_IRUSR | Mode::S_IWUSR | Mode::S_IWGRP | Mode::S_IWOTH;
        nix::sys::stat::mknodat(&self.fd, FIFO, nix::sys::stat::SFlag::S_IFIFO, mode, 0).context(doing)?;
        // Whatever the host's umask is.
        fchmodat(&self.fd, FIFO, mode, FchmodatFlags::FollowSymlink).context(doing)?;
        let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        openat(&self.fd, FIFO, flags, Mode::empty()).context(doing)
    }

    /// The reading end; opening it lets init go on. None if there is no fifo (any more).
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

    /// Where a network namespace is kept while devices of the host are in it.
    pub fn network_namespace(&self) -> PathBuf {
        self.path.join(NETWORK_NAMESPACE)
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

    /// Removes everything, the record last: until then a further delete still knows what there is.
    pub fn remove(&self) -> Result<()> {
        let doing = || format!("removing {}", self.path.join(criu::WORK).display());
        criu::remove_tree(&self.fd, CRIU_WORK).context(doing)?;
        criu::remove_tree(&self.fd, c"devices").context(|| format!("removing {}", self.devices().display()))?;
        for name in [FIFO, NETWORK_NAMESPACE, CONFIG, CONFIG_NEW, STATE_NEW, STATE] {
            self.unlink(OsStr::new(name))?;
        }
        fault::point("delete.emptied");
        // Removed by somebody else, the name may be another container's by now.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn root() -> (tempfile::TempDir, Root) {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::open(&dir.path().join("state")).unwrap();
        (dir, root)
    }

    fn record(id: &str) -> Record {
        Record { phase: Phase::Creating, ..Record::placeholder(id, Layout::default(), None) }
    }

    #[test]
    fn ids_that_could_leave_the_directory_are_refused() {
        for bad in ["", ".", "..", "a/b", "../x", "-x", ".x", "a b", "a\0", "ä", &"x".repeat(201)] {
            assert_eq!(check_id(bad).unwrap_err().code, Code::IdInvalid, "{bad:?}");
        }
        for good in ["a", "_", "web-1.2_x+y", &"x".repeat(200)] {
            check_id(good).unwrap();
        }
    }

    #[test]
    fn a_record_is_replaced_whole() {
        let (_dir, root) = root();
        let directory = root.make("a").unwrap();
        assert!(directory.read().unwrap().is_none());
        directory.write(&record("a")).unwrap();
        directory.write(&Record { phase: Phase::Created, ..record("a") }).unwrap();
        assert_eq!(directory.read().unwrap().unwrap().phase, Phase::Created);
        assert!(!directory.path().join(STATE_NEW).exists());
    }

    #[test]
    fn a_torn_record_is_an_error_that_names_the_file() {
        let (_dir, root) = root();
        let directory = root.make("a").unwrap();
        std::fs::write(directory.path().join(STATE), "{\"version\":1,").unwrap();
        let error = directory.read().unwrap_err();
        assert!(error.message.contains("a/state.json is damaged"), "{error}");
    }

    #[test]
    fn an_id_is_made_once() {
        let (_dir, root) = root();
        root.make("a").unwrap();
        assert_eq!(root.make("a").unwrap_err().code, Code::IdInUse);
        assert_eq!(root.directory("b").unwrap_err().code, Code::NotFound);
        assert_eq!(root.ids().unwrap(), ["a"]);
    }

    #[test]
    fn a_removed_container_is_not_found_by_those_who_have_it_open() {
        let (_dir, root) = root();
        let directory = root.make("a").unwrap();
        directory.write(&record("a")).unwrap();
        root.directory("a").unwrap().remove().unwrap();
        assert_eq!(directory.read().unwrap_err().code, Code::NotFound);
        assert_eq!(directory.lock(Deadline::NEVER).unwrap_err().code, Code::NotFound);
    }

    #[test]
    fn the_lock_excludes_others_and_does_not_wait_for_ever() {
        let (_dir, root) = root();
        let directory = root.make("a").unwrap();
        let lock = directory.lock(Deadline::after_ms(0)).unwrap();
        assert_eq!(directory.lock(Deadline::after_ms(0)).unwrap_err().code, Code::Busy);
        drop(lock);
        directory.lock(Deadline::after_ms(0)).unwrap();
    }

    #[test]
    fn a_state_root_that_others_can_write_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("open");
        std::fs::create_dir(&path).unwrap();
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
        assert_eq!(Root::open(&path).unwrap_err().errno, Some(Errno::EACCES));
        std::os::unix::fs::symlink("/tmp", dir.path().join("link")).unwrap();
        assert!(Root::open(&dir.path().join("link")).is_err());
    }
}
