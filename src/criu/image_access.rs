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

/// Who reads the images of a container with a user namespace: CRIU opens them inside it, first as the caller, before ids
/// are mapped and capabilities help, then as root of that namespace.
#[derive(Clone, Copy)]
pub struct Owner {
    /// The host's id of root in the user namespace.
    uid: Uid,
    /// The caller's group.
    gid: Gid,
}

impl Owner {
    /// Returns None if the container has no new user namespace.
    pub fn of(config: &Config) -> Option<Owner> {
        let spec = config.spec();
        let linux = spec.linux().as_ref().filter(|_| Namespaces::of(spec).is_new(LinuxNamespaceType::User))?;
        let uid = idmap::to_host(linux.uid_mappings().as_deref()?, 0)?;
        Some(Owner { uid: Uid::from_raw(uid), gid: Gid::effective() })
    }

    /// Returns whether both the caller and root of the user namespace have the permissions `bits` (4 read, 1 search).
    fn may(self, status: &FileStat, bits: libc::mode_t) -> bool {
        let has = |shift: u32| status.st_mode >> shift & bits == bits;
        let mapped_root = if status.st_uid == self.uid.as_raw() { has(6) } else { has(0) };
        let caller = match (status.st_uid, status.st_gid) {
            (uid, _) if uid == Uid::effective().as_raw() => has(6),
            (_, gid) if gid == self.gid.as_raw() => has(3),
            _ => has(0),
        };
        mapped_root && caller
    }
}

impl ImageDir {
    /// Makes the images, and their directory if this library has created it, accessible to `owner` alone
    /// (None: the caller). A directory of the caller's keeps its owner and mode, and so do files in it that CRIU cannot
    /// have written: with other names elsewhere, or of other users.
    pub fn restrict(&self, owner: Option<Owner>) -> Result<()> {
        let directory = if owner.is_some() { Mode::S_IRWXU | Mode::S_IXGRP } else { Mode::S_IRWXU };
        if self.made {
            restrict(&self.fd, owner, directory).context(|| setting(&self.path))?;
        }
        for name in self.names()?.iter().filter(|name| is_image(name)) {
            let path = || self.path.join(name.to_string_lossy().as_ref());
            let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
            let file = match openat(&self.fd, name.as_c_str(), flags, Mode::empty()) {
                // A symbolic link is not CRIU's; the caller may have moved the file meanwhile.
                Err(Errno::ENOENT | Errno::ELOOP) => continue,
                other => other.context(|| setting(&path()))?,
            };
            if may_be_written(&fstat(&file).context(|| setting(&path()))?, owner) {
                restrict_image(&file, owner).context(|| setting(&path()))?;
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

pub(super) fn is_image(name: &CStr) -> bool {
    name.to_bytes().ends_with(b".img")
}

fn is_regular(status: &FileStat) -> bool {
    status.st_mode & SFlag::S_IFMT.bits() == SFlag::S_IFREG.bits()
}

/// Whether a file can be one of CRIU's, which the caller has started, or of an earlier dump for the same owner.
fn may_be_written(status: &FileStat, owner: Option<Owner>) -> bool {
    let is_own = status.st_uid == Uid::effective().as_raw();
    let is_owners = owner.is_some_and(|owner| status.st_uid == owner.uid.as_raw());
    is_regular(status) && status.st_nlink == 1 && (is_own || is_owners)
}

/// Makes an image readable for those who read images.
pub(super) fn restrict_image(file: &OwnedFd, owner: Option<Owner>) -> nix::Result<()> {
    let group = if owner.is_some() { Mode::S_IRGRP } else { Mode::empty() };
    restrict(file, owner, Mode::S_IRUSR | Mode::S_IWUSR | group)
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
        "CRIU cannot read {} as root of the container's user namespace (chown it to {uid}:{gid}, with permissions for \
         user and group)",
        path.display()
    );
    Error::new(Code::System, message).with_errno(Errno::EACCES)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn only_files_that_can_be_crius_are_restricted() {
        let dir = tempfile::Builder::new().prefix("berth-test-").tempdir().unwrap();
        let images = ImageDir::open(dir.path(), "image directory").unwrap();
        let path = |name: &str| dir.path().join(name);
        for name in ["core-1.img", "linked.img", "of-others.img", "notes"] {
            std::fs::write(path(name), "").unwrap();
            std::fs::set_permissions(path(name), PermissionsExt::from_mode(0o644)).unwrap();
        }
        std::fs::hard_link(path("linked.img"), path("elsewhere")).unwrap();
        let mut kept = vec!["linked.img", "notes"];
        if Uid::effective().is_root() {
            std::os::unix::fs::chown(path("of-others.img"), Some(61234), None).unwrap();
            kept.push("of-others.img");
        }
        images.restrict(None).unwrap();
        let mode = |name: &str| std::fs::metadata(path(name)).unwrap().permissions().mode() & 0o7777;
        assert_eq!(mode("core-1.img"), 0o600);
        for name in kept {
            assert_eq!(mode(name), 0o644, "{name}");
        }
    }
}
