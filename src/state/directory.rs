//! The state directory of a container: its configuration, and what reads, writes and removes its files.

use std::ffi::{CStr, CString, OsStr};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::{Mode, fstat};
use nix::unistd::{UnlinkatFlags, unlinkat};

use super::exec_fifo::FIFO;
use super::not_found;
use super::state_json::{STATE, STATE_NEW};
use crate::criu;
use crate::error::{Code, Context, Error, Result};
use crate::fault;

const CONFIG: &str = "config.json";
const CONFIG_NEW: &str = "config.json.new";
const NETWORK_NAMESPACE: &str = "netns";
const CRIU_WORK: &CStr = c"criu.work";
/// The size limit for reading a file. A record has a few kilobytes; the limit prevents a broken file from filling the
/// caller's memory.
const MAX_BYTES: u64 = 32 << 20;

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
        (0..count).map(|_| self.fd.try_clone().context(|| "reserving descriptors")).collect()
    }

    pub(super) fn is_gone(&self) -> Result<bool> {
        Ok(fstat(&self.fd).context(|| format!("examining {}", self.path.display()))?.st_nlink == 0)
    }

    /// Whether the directory was made by others: it has no record, and not what a creator writes before the record.
    pub fn is_foreign(&self) -> Result<bool> {
        let names = self.names().context(|| format!("listing {}", self.path.display()))?;
        Ok(!names.iter().any(|name| name.to_bytes() == STATE.as_bytes()) && names.iter().any(|name| is_unknown(name)))
    }

    /// Returns the names in the directory; none if it has been removed.
    fn names(&self) -> nix::Result<Vec<CString>> {
        let flags = OFlag::O_DIRECTORY | OFlag::O_CLOEXEC | OFlag::O_RDONLY;
        let mut listing = match Dir::openat(&self.fd, ".", flags, Mode::empty()) {
            Err(Errno::ENOENT) => return Ok(Vec::new()),
            other => other?,
        };
        let names = listing.iter().map(|entry| entry.map(|entry| entry.file_name().to_owned()));
        names.filter(|name| !matches!(name, Ok(name) if name.as_c_str() == c"." || name.as_c_str() == c"..")).collect()
    }

    /// Fails if the directory has files of others. It could not be removed, and without its record it would no longer be
    /// a container's, so that no later delete would find it.
    fn check_emptied(&self) -> Result<()> {
        let names = match self.names() {
            // A caller without a free descriptor can delete, too.
            Err(Errno::EMFILE | Errno::ENFILE) => return Ok(()),
            other => other.context(|| format!("listing {}", self.path.display()))?,
        };
        let Some(name) = names.iter().find(|name| is_unknown(name)) else { return Ok(()) };
        let file = self.path.join(OsStr::from_bytes(name.to_bytes()));
        let message = format!("{} is not the container's: remove it, and delete the container again", file.display());
        Err(Error::new(Code::System, message).with_errno(Errno::ENOTEMPTY))
    }

    pub fn write_config(&self, json: &str) -> Result<()> {
        self.write_file(CONFIG, json.as_bytes())
    }

    pub fn replace_config(&self, json: &str) -> Result<()> {
        self.replace(CONFIG_NEW, CONFIG, json.as_bytes())
    }

    pub fn read_config(&self) -> Result<String> {
        self.read_file(CONFIG)?.ok_or_else(|| not_found(&self.id))
    }

    pub(super) fn write_file(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let doing = || format!("writing {}", self.path.join(name).display());
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_TRUNC | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let fd = openat(&self.fd, name, flags, Mode::S_IRUSR | Mode::S_IWUSR).context(doing)?;
        File::from(fd).write_all(bytes).context(doing)
    }

    pub(super) fn read_file(&self, name: &str) -> Result<Option<String>> {
        let doing = || format!("reading {}", self.path.join(name).display());
        // O_NONBLOCK: opening a fifo must not wait for a writer.
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
        let fd = match openat(&self.fd, name, flags, Mode::empty()) {
            Err(Errno::ENOENT) => return Ok(None),
            other => other.context(doing)?,
        };
        if fstat(&fd).context(doing)?.st_mode & libc::S_IFMT != libc::S_IFREG {
            let message = format!("{} is damaged: it is not a regular file", self.path.join(name).display());
            return Err(Error::new(Code::System, message).with_errno(Errno::EUCLEAN));
        }
        let mut bytes = Vec::with_capacity(4096); // a record, in one read
        File::from(fd).take(MAX_BYTES).read_to_end(&mut bytes).context(doing)?;
        // Keep invalid UTF-8: the parser reports that the file is damaged.
        Ok(Some(
            String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()),
        ))
    }

    /// Returns the path that keeps a network namespace while devices of the host are in it.
    pub fn network_namespace(&self) -> PathBuf {
        self.path.join(NETWORK_NAMESPACE)
    }

    pub(super) fn unlink(&self, name: &OsStr) -> Result<()> {
        match unlinkat(&self.fd, name, UnlinkatFlags::NoRemoveDir) {
            Ok(()) | Err(Errno::ENOENT) => Ok(()),
            Err(errno) => Err(Error::system(errno, format!("removing {}", self.path.join(name).display()))),
        }
    }

    /// Removes the directory with all its files, the record last: a later delete needs it if this one is interrupted.
    pub fn remove(&self) -> Result<()> {
        let doing = || format!("removing {}", self.path.join(criu::CRIU_WORK_DIR).display());
        criu::remove_tree(&self.fd, CRIU_WORK).context(doing)?;
        criu::remove_tree(&self.fd, c"devices").context(|| format!("removing {}", self.devices().display()))?;
        for name in [FIFO, NETWORK_NAMESPACE] {
            self.unlink(OsStr::new(name))?;
        }
        self.check_emptied()?;
        for name in [CONFIG, CONFIG_NEW, STATE_NEW, STATE] {
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

/// Whether no creator writes a file of this name before the record, nor is it the record.
fn is_unknown(name: &CStr) -> bool {
    ![CONFIG, CONFIG_NEW, STATE_NEW, STATE].iter().any(|known| known.as_bytes() == name.to_bytes())
}
