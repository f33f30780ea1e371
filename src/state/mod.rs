//! The state root: its lock, and `<root>/<id>/` with the container's lock, the record (`state.json`), the configuration and `exec.fifo`.
//!
//! The record is written before anything on the host is created, and replaced atomically: so if a process is killed at
//! any point, the next one finds in the record what may have to be removed.

mod any_path;
mod device_nodes;
mod directory;
mod exec_fifo;
mod lock;
mod record;
mod state_json;

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::dir::{Dir, Type};
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, open, openat};
use nix::sys::stat::{Mode, fstat, fstatat, mkdirat};
use nix::sys::statfs::{TMPFS_MAGIC, fstatfs};
use nix::unistd::{Uid, UnlinkatFlags, unlinkat};

pub use device_nodes::DEVICES;
pub use directory::Directory;
pub(crate) use record::PlanInputs;
pub use record::{CheckpointInProgress, Init, Phase, RECORD_VERSION, Record, RootMount};
use state_json::STATE;
pub use state_json::is_damaged;

use crate::error::{Code, Context, Error, Result};

/// The directory with the state directories of a runtime's containers.
#[derive(Debug)]
pub struct Root {
    fd: Arc<OwnedFd>,
    path: PathBuf,
    /// Whether it is on a tmpfs.
    volatile: bool,
}

impl Root {
    /// Opens the state root, and creates missing directories with access for the caller only. Refuses a directory that
    /// others may write to, because they could create containers in it.
    pub fn open(path: &Path) -> Result<Root> {
        make_private(path)?;
        let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC | OFlag::O_RDONLY;
        let fd = open(path, flags, Mode::empty()).context(|| format!("opening the state root {}", path.display()))?;
        let fd = Arc::new(fd);
        let found = fstat(&fd).context(|| format!("examining the state root {}", path.display()))?;
        if found.st_uid != Uid::effective().as_raw() || found.st_mode & 0o022 != 0 {
            let message = format!(
                "the state root {} belongs to uid {} with mode {:04o}; it must be the caller's and not writable by others",
                path.display(),
                found.st_uid,
                found.st_mode & 0o7777
            );
            return Err(Error::new(Code::System, message).with_errno(Errno::EACCES));
        }
        // If in doubt, files are synchronized.
        let volatile = fstatfs(&fd).is_ok_and(|found| found.filesystem_type() == TMPFS_MAGIC);
        Ok(Root { fd, path: path.to_owned(), volatile })
    }

    /// Returns the ids of all containers, sorted. Files and directories that others have put here are none.
    pub fn ids(&self) -> Result<Vec<String>> {
        let doing = || format!("listing {}", self.path.display());
        let mut dir = Dir::openat(&self.fd, ".", OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty()).context(doing)?;
        let mut ids = Vec::new();
        for entry in dir.iter() {
            let entry = entry.context(doing)?;
            if let Ok(name) = entry.file_name().to_str()
                && check_id(name).is_ok()
                && self.is_containers(name, entry.file_type())?
            {
                ids.push(name.to_owned());
            }
        }
        ids.sort();
        Ok(ids)
    }

    /// Whether an entry of the state root is a container's directory.
    fn is_containers(&self, name: &str, kind: Option<Type>) -> Result<bool> {
        if kind.is_some_and(|kind| kind != Type::Directory) {
            return Ok(false);
        }
        let record = Path::new(name).join(STATE);
        // If there is none, or it cannot be examined, the directory tells.
        if fstatat(&self.fd, &record, AtFlags::AT_SYMLINK_NOFOLLOW).is_ok() {
            return Ok(true);
        }
        match self.directory(name) {
            Ok(directory) => directory.is_foreign().map(|foreign| !foreign),
            Err(error) if error.code == Code::NotFound => Ok(false),
            // A filesystem that does not tell the kind of its entries.
            Err(error) if matches!(error.errno, Some(Errno::ENOTDIR | Errno::ELOOP)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    pub fn make(&self, id: &str) -> Result<Directory> {
        match mkdirat(&self.fd, id, Mode::S_IRWXU) {
            Err(Errno::EEXIST) => return Err(in_use(id)),
            other => other.context(|| format!("creating the state directory {}", self.path.join(id).display()))?,
        }
        self.directory(id).map_err(|error| match error.code {
            // Another process has removed it already.
            Code::NotFound => error,
            _ => match unlinkat(&self.fd, id, UnlinkatFlags::RemoveDir) {
                Ok(()) => error,
                Err(errno) => {
                    error.detail("cleanup", format!("removing {}: {}", self.path.join(id).display(), errno.desc()))
                }
            },
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
    let created = builder.create(path).or_else(|error| match error.kind() {
        // The builder gives this reason also for a directory that it could not look at.
        std::io::ErrorKind::AlreadyExists if std::fs::metadata(path)?.is_dir() => Ok(()),
        _ => Err(error),
    });
    created.context(|| format!("creating the state root {}", path.display()))
}

/// Checks a container's id, which becomes the name of a directory and of a cgroup.
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

#[cfg(test)]
mod tests {
    use super::state_json::{STATE, STATE_NEW};
    use super::*;
    use crate::cgroup::Layout;
    use crate::deadline::Deadline;

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
    fn no_lock_of_others_holds_up_a_call() {
        use std::os::unix::fs::{MetadataExt, PermissionsExt};

        use crate::sys::flock::{Lock, LockKind};

        let (_dir, root) = root();
        let (lock, at_once) = (root.path.join(".lock"), Deadline::after_ms(0));
        std::fs::set_permissions(&root.path, PermissionsExt::from_mode(0o755)).unwrap();
        let opened = std::fs::File::open(&root.path).unwrap();
        let _other_holder = Lock::of(opened.into(), LockKind::Exclusive, at_once, String::new).unwrap();
        let shared = root.lock(LockKind::Shared, at_once).unwrap();
        assert_eq!(root.lock(LockKind::Exclusive, at_once).unwrap_err().code, Code::Busy);
        drop(shared);
        drop(root.lock(LockKind::Exclusive, at_once).unwrap());
        assert_eq!(std::fs::metadata(&lock).unwrap().mode() & 0o7777, 0o600);
        assert_eq!(root.ids().unwrap(), Vec::<String>::new());
        assert_eq!(root.make("a").unwrap().path().metadata().unwrap().mode() & 0o7777, 0o700);

        let refused = || root.lock(LockKind::Shared, at_once).unwrap_err();
        std::fs::set_permissions(&lock, PermissionsExt::from_mode(0o644)).unwrap();
        assert_eq!(refused().errno, Some(Errno::EACCES));
        std::fs::remove_file(&lock).unwrap();
        nix::unistd::mkfifo(&lock, Mode::S_IRWXU).unwrap();
        assert_eq!(refused().errno, Some(Errno::EACCES));
        std::fs::remove_file(&lock).unwrap();
        std::os::unix::fs::symlink("elsewhere", &lock).unwrap();
        assert_eq!(refused().errno, Some(Errno::ELOOP));
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
