//! Who may read the images of a checkpoint: they contain the memory of processes, so only their owner may.

use std::ffi::CStr;
use std::os::fd::OwnedFd;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat};
use nix::sys::stat::{FileStat, Mode, SFlag, fchmod, fstat, fstatat};
use nix::unistd::{Gid, Uid, fchown};

use super::ImageDir;
use crate::error::{Code, Context, Error, Result};
use crate::spec::namespaces::Namespaces;
use crate::spec::oci::LinuxNamespaceType;
use crate::spec::{Config, idmap};

/// The host's ids of root in a container's user namespace.
#[derive(Clone, Copy)]
pub struct Owner {
    uid: Uid,
    gid: Gid,
}

impl Owner {
    /// Returns None if the container has no new user namespace. When CRIU restores, it opens images in that namespace:
    /// first with the host's root, whose capabilities only apply to files with ids that are mapped, then as its root.
    pub fn of(config: &Config) -> Option<Owner> {
        let spec = config.spec();
        let linux = spec.linux().as_ref().filter(|_| Namespaces::of(spec).is_new(LinuxNamespaceType::User))?;
        let uid = idmap::to_host(linux.uid_mappings().as_deref()?, 0)?;
        let gid = idmap::to_host(linux.gid_mappings().as_deref()?, 0)?;
        Some(Owner { uid: Uid::from_raw(uid), gid: Gid::from_raw(gid) })
    }

    /// Returns whether the owner has the permissions `bits` (4 read, 1 search).
    fn may(self, status: &FileStat, bits: libc::mode_t) -> bool {
        let owns = (status.st_uid, status.st_gid) == (self.uid.as_raw(), self.gid.as_raw());
        let shift = if owns { 6 } else { 0 };
        status.st_mode >> shift & bits == bits
    }
}

impl ImageDir {
    /// Makes the images, and their directory if this library has created it, accessible to `owner` alone
    /// (None: the caller). A directory of the caller's keeps its owner and mode.
    pub fn restrict(&self, owner: Option<Owner>) -> Result<()> {
        if self.made {
            restrict(&self.fd, owner, Mode::S_IRWXU).context(|| setting(&self.path))?;
        }
        for name in self.names()?.iter().filter(|name| is_image(name)) {
            let path = || self.path.join(name.to_string_lossy().as_ref());
            let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
            let file = match openat(&self.fd, name.as_c_str(), flags, Mode::empty()) {
                // A symbolic link is not CRIU's; the caller may have moved the file meanwhile.
                Err(Errno::ENOENT | Errno::ELOOP) => continue,
                other => other.context(|| setting(&path()))?,
            };
            if is_regular(&fstat(&file).context(|| setting(&path()))?) {
                restrict(&file, owner, Mode::S_IRUSR | Mode::S_IWUSR).context(|| setting(&path()))?;
            }
        }
        Ok(())
    }

    /// Checks that `owner` may search the directory and read the images. CRIU would only report "Permission denied".
    pub fn check_readable(&self, owner: Owner) -> Result<()> {
        let looking = || format!("examining {}", self.path.display());
        if !owner.may(&fstat(&self.fd).context(looking)?, 0o1) {
            return Err(unreadable(&self.path, owner));
        }
        for name in self.names()?.iter().filter(|name| is_image(name)) {
            let status = fstatat(&self.fd, name.as_c_str(), AtFlags::AT_SYMLINK_NOFOLLOW).context(looking)?;
            if is_regular(&status) && !owner.may(&status, 0o4) {
                return Err(unreadable(&self.path.join(name.to_string_lossy().as_ref()), owner));
            }
        }
        Ok(())
    }
}

fn is_image(name: &CStr) -> bool {
    name.to_bytes().ends_with(b".img")
}

fn is_regular(status: &FileStat) -> bool {
    status.st_mode & SFlag::S_IFMT.bits() == SFlag::S_IFREG.bits()
}

/// Changes the owner before the mode, which a change of the owner may reset.
fn restrict(file: &OwnedFd, owner: Option<Owner>, mode: Mode) -> nix::Result<()> {
    if let Some(Owner { uid, gid }) = owner {
        fchown(file, Some(uid), Some(gid))?;
    }
    fchmod(file, mode)
}

fn setting(path: &Path) -> String {
    format!("setting owner and mode of {}", path.display())
}

fn unreadable(path: &Path, Owner { uid, gid }: Owner) -> Error {
    let message = format!(
        "CRIU cannot read {} as root of the container's user namespace (chown it to {uid}:{gid})",
        path.display()
    );
    Error::new(Code::System, message).with_errno(Errno::EACCES)
}
