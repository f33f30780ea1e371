//! The file of a container's record, `state.json`: reading, writing and replacing it. The fields are in `record`.

use std::ffi::OsStr;

use nix::errno::Errno;
use nix::fcntl::{AtFlags, RenameFlags, renameat, renameat2};
use nix::sys::stat::fstatat;
use nix::unistd::{UnlinkatFlags, unlinkat};

use super::directory::Directory;
use super::not_found;
use super::record::{RECORD_VERSION, Record};
use crate::error::{Code, Context, Error, Result};
use crate::fault;

pub(super) const STATE: &str = "state.json";
pub(super) const STATE_NEW: &str = "state.json.new";

/// Whether an error of [`Directory::read`] means that a record exists but cannot be used: it is damaged, or not written by
/// this version of libberth.
pub fn is_damaged(error: &Error) -> bool {
    matches!(error.errno, Some(Errno::EUCLEAN | Errno::ELOOP))
}

impl Directory {
    /// Whether no record has been written yet. Needs no free descriptor.
    pub fn is_empty(&self) -> Result<bool> {
        match fstatat(&self.fd, STATE, AtFlags::AT_SYMLINK_NOFOLLOW) {
            Err(Errno::ENOENT) => Ok(true),
            other => other.map(|_| false).context(|| format!("looking at {}", self.path.join(STATE).display())),
        }
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
            let message = format!(
                "container {:?} was created by another version of libberth (record {})",
                self.id, record.version
            );
            return Err(Error::new(Code::Unsupported, message).with_errno(Errno::EUCLEAN));
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

    /// Replaces a file atomically, by writing a temporary file and renaming it: readers see the old content or the new,
    /// also after a crash.
    pub(super) fn replace(&self, new: &str, name: &str, bytes: &[u8]) -> Result<()> {
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
            // Report the first error. Delete removes the file, and the next write overwrites it.
            let _ = unlinkat(&self.fd, name, UnlinkatFlags::NoRemoveDir);
        })
    }
}
