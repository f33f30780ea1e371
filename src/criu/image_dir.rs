//! The directories of a checkpoint: images, and CRIU's work directory.

use std::ffi::{CStr, CString};
use std::fs::{DirBuilder, File};
use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, OpenHow, ResolveFlag, open, openat, openat2, renameat};
use nix::sys::stat::{Mode, fstat, fstatat};
use nix::unistd::{UnlinkatFlags, unlinkat};

use super::image_access::{Owner, is_image, restrict_image};
use crate::error::{Code, Context, Error, Result};
use crate::sys::procfs;

/// CRIU's work directory, in the container's state directory, unless the caller names another.
pub const CRIU_WORK_DIR: &str = "criu.work";
/// The file with the targets of the standard streams, in the image directory.
const DESCRIPTORS: &str = "descriptors.json";
const DESCRIPTORS_NEW: &str = "descriptors.json.new";
const MAX_BYTES: u64 = 1 << 20;
/// Prefix of files in the work directory that are mounted over images, so that CRIU reads them instead.
const REPLACEMENT_PREFIX: &str = "instead-of-";
/// Name prefixes of the temporary directories on which CRIU mounts cgroups.
const TEMP_PREFIXES: [&str; 2] = [".criu.cgyard.", ".criu.cgmounts."];

/// An open directory and its path.
pub struct ImageDir {
    pub fd: OwnedFd,
    pub path: PathBuf,
    /// Whether this library has created it, and so may remove it.
    pub(super) made: bool,
}

impl ImageDir {
    /// Opens the directory, and creates it first if it does not exist, for its owner alone.
    pub fn make(path: &Path, what: &str) -> Result<ImageDir> {
        let made = make_dir(path).context(|| format!("creating the {what} {}", path.display()))?;
        Ok(ImageDir { made, ..ImageDir::open(path, what)? })
    }

    pub fn open(path: &Path, what: &str) -> Result<ImageDir> {
        if path.as_os_str().is_empty() {
            return Err(Error::invalid_argument(format!("the {what} is an empty path")));
        }
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let fd = open(path, flags, Mode::empty()).context(|| format!("opening the {what} {}", path.display()))?;
        let path = std::path::absolute(path).context(|| format!("resolving the {what} {}", path.display()))?;
        Ok(ImageDir { fd, path, made: false })
    }

    /// Returns the descriptor's number, for CRIU, which opens the directory through the caller's /proc/<pid>/fd.
    pub fn number(&self) -> RawFd {
        self.fd.as_raw_fd()
    }

    /// Opens the same directory in the mount namespace of `pid`, which can mount only on directories of its own.
    pub fn seen_by(&self, pid: i32) -> Result<OwnedFd> {
        let doing = || format!("opening {} for process {pid}", self.path.display());
        let root = procfs::open_optional(&format!("{pid}/root"), OFlag::O_PATH | OFlag::O_DIRECTORY)?;
        // The process has exited; the error of its channel is a better message.
        let Some(root) = root else { return self.fd.try_clone().context(doing) };
        // Use the path without symlinks: an absolute symlink would lead back to the caller's own namespace.
        let path = self.plain_path()?;
        let resolve = ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS;
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let opened = openat2(&root, &path, OpenHow::new().flags(flags).resolve(resolve)).context(doing)?;
        let (ours, theirs) = (fstat(&self.fd).context(doing)?, fstat(&opened).context(doing)?);
        if (ours.st_dev, ours.st_ino) == (theirs.st_dev, theirs.st_ino) {
            Ok(opened)
        } else {
            Err(Error::system(Errno::ESTALE, doing()))
        }
    }

    /// Checks that files can be created in the directory, which CRIU would notice late.
    pub fn check_writable(&self) -> Result<()> {
        let doing = || format!("writing into {}", self.path.display());
        let flags = OFlag::O_WRONLY | OFlag::O_TMPFILE | OFlag::O_CLOEXEC;
        match openat(&self.fd, ".", flags, Mode::S_IRUSR | Mode::S_IWUSR) {
            // These errnos mean that the filesystem does not support O_TMPFILE, and do not tell whether it is writable.
            Ok(_) | Err(Errno::EOPNOTSUPP | Errno::EISDIR) => Ok(()),
            Err(errno) => Err(errno).context(doing),
        }
    }

    /// Undoes a failed checkpoint: removes the descriptors file, and the directory if this library has created it. The
    /// directory stays with the file `log` if that is in it, since it tells why the checkpoint has failed. Images in a
    /// directory of the caller's stay, but are no checkpoint.
    pub fn discard(&self, log: &str) {
        if let Err(error) = self.forget_descriptors() {
            log::warn!("the images of a failed checkpoint look complete: {error}");
        }
        if !self.made {
            return;
        }
        let names = match self.names() {
            Ok(names) => names,
            Err(error) => return log::warn!("removing {}: {error}", self.path.display()),
        };
        if names.iter().any(|name| name.to_bytes() == log.as_bytes()) {
            for name in names.iter().filter(|name| name.to_bytes() != log.as_bytes()) {
                if let Err(errno) = remove_tree(&self.fd, name) {
                    let path = self.path.join(name.to_string_lossy().as_ref());
                    log::warn!("removing {}: {}", path.display(), crate::error::reason(errno));
                }
            }
            return;
        }
        if let (Some(parent), Some(name)) = (self.path.parent(), self.path.file_name()) {
            let name = CString::new(name.as_encoded_bytes()).unwrap_or_default();
            let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
            let removed = open(parent, flags, Mode::empty()).and_then(|parent| remove_tree(&parent, &name));
            if let Err(errno) = removed {
                log::warn!("removing {}: {}", self.path.display(), crate::error::reason(errno));
            }
        }
    }

    /// Checks that the directory has nothing through which a checkpoint would write elsewhere: symbolic links, devices,
    /// FIFOs, and files with other names that it would overwrite. Only the link to the images of the previous dump may be
    /// there. Sockets, which `criu lazy-pages` leaves, cannot be opened.
    pub fn check_plain(&self) -> Result<()> {
        const PARENT: &CStr = c"parent";
        for name in self.names()?.iter().filter(|name| name.as_c_str() != PARENT) {
            let path = || self.path.join(name.to_string_lossy().as_ref());
            let found = match fstatat(&self.fd, name.as_c_str(), AtFlags::AT_SYMLINK_NOFOLLOW) {
                Err(Errno::ENOENT) => continue,
                other => other.context(|| format!("looking at {}", path().display()))?,
            };
            let problem = match found.st_mode & libc::S_IFMT {
                libc::S_IFREG if found.st_nlink > 1 && is_overwritten(name) => "has other hard links",
                libc::S_IFREG | libc::S_IFDIR | libc::S_IFSOCK => continue,
                _ => "is not a regular file",
            };
            let message = format!("{} {problem}: images are not written there", path().display());
            return Err(Error::new(Code::System, message).with_errno(Errno::EEXIST));
        }
        Ok(())
    }

    /// Removes the descriptors file. Without it the directory is no checkpoint, until a dump has succeeded.
    pub fn forget_descriptors(&self) -> Result<()> {
        match unlinkat(&self.fd, DESCRIPTORS, UnlinkatFlags::NoRemoveDir) {
            Ok(()) | Err(Errno::ENOENT) => Ok(()),
            Err(errno) => Err(errno).context(|| format!("removing {}", self.path.join(DESCRIPTORS).display())),
        }
    }

    /// Writes the targets of the standard streams, in the format of libcontainer's `descriptors.json`.
    pub fn write_descriptors(&self, descriptors: &[String]) -> Result<()> {
        let doing = || format!("writing {}", self.path.join(DESCRIPTORS).display());
        let text = serde_json::to_vec(descriptors).map_err(|error| Error::new(Code::Internal, error.to_string()))?;
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_TRUNC | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let written = openat(&self.fd, DESCRIPTORS_NEW, flags, Mode::S_IRUSR | Mode::S_IWUSR)
            .context(doing)
            .and_then(|fd| File::from(fd).write_all(&text).context(doing))
            .and_then(|()| renameat(&self.fd, DESCRIPTORS_NEW, &self.fd, DESCRIPTORS).context(doing));
        written.inspect_err(|_| {
            // Report the first error. The next checkpoint overwrites this file.
            let _ = unlinkat(&self.fd, DESCRIPTORS_NEW, UnlinkatFlags::NoRemoveDir);
        })
    }

    /// Reads the targets of the standard streams. The file may come from anywhere, so its whole content is checked.
    pub fn read_descriptors(&self) -> Result<Vec<String>> {
        let name = self.path.join(DESCRIPTORS);
        let doing = || format!("reading {}", name.display());
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        let fd = match openat(&self.fd, DESCRIPTORS, flags, Mode::empty()) {
            Err(Errno::ENOENT) => {
                let message = format!("{} has no {DESCRIPTORS}: it holds no checkpoint", self.path.display());
                return Err(Error::new(Code::System, message).with_errno(Errno::ENOENT));
            }
            other => other.context(doing)?,
        };
        let mut text = Vec::new();
        File::from(fd).take(MAX_BYTES).read_to_end(&mut text).context(doing)?;
        descriptors_of(&text, &name)
    }

    pub fn names(&self) -> Result<Vec<CString>> {
        names(&self.fd).context(|| format!("listing {}", self.path.display()))
    }

    /// Writes the replacement for an image, for those who read images, and returns its path.
    pub fn write_instead(&self, image: &str, bytes: &[u8], owner: Option<Owner>) -> Result<PathBuf> {
        let name = format!("{REPLACEMENT_PREFIX}{image}");
        let path = self.path.join(&name);
        let doing = || format!("writing {}", path.display());
        match unlinkat(&self.fd, name.as_str(), UnlinkatFlags::NoRemoveDir) {
            Ok(()) | Err(Errno::ENOENT) => {}
            Err(errno) => return Err(errno).context(doing),
        }
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let fd = openat(&self.fd, name.as_str(), flags, Mode::S_IRUSR | Mode::S_IWUSR).context(doing)?;
        restrict_image(&fd, owner).context(doing)?;
        File::from(fd).write_all(bytes).context(doing)?;
        Ok(path)
    }

    /// Returns the current path of the directory, without symlinks.
    pub fn plain_path(&self) -> Result<PathBuf> {
        procfs::target_of(&self.fd)
    }

    /// Removes the files of one run, and the directories that a killed CRIU leaves. Nothing is mounted on those, since
    /// CRIU's mounts were in its own namespace.
    pub fn tidy(&self) {
        // What stays is harmless: CRIU does not read these names.
        for name in self.names().unwrap_or_default() {
            if name.to_bytes().starts_with(REPLACEMENT_PREFIX.as_bytes()) {
                let _ = unlinkat(&self.fd, name.as_c_str(), UnlinkatFlags::NoRemoveDir);
            }
            if TEMP_PREFIXES.iter().any(|litter| name.to_bytes().starts_with(litter.as_bytes())) {
                let _ = unlinkat(&self.fd, name.as_c_str(), UnlinkatFlags::RemoveDir);
            }
        }
    }
}

/// Creates a directory and its missing parents. Returns whether this call has created it, and not another process.
fn make_dir(path: &Path) -> std::io::Result<bool> {
    let mut builder = DirBuilder::new();
    builder.mode(0o700);
    let create = |builder: &DirBuilder| match builder.create(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    };
    match (create(&builder), path.parent()) {
        (Err(error), Some(parent)) if error.kind() == ErrorKind::NotFound => {
            builder.recursive(true).create(parent)?;
            create(builder.recursive(false))
        }
        // Opening an empty path fails, with a better message.
        (Err(_), None) if path.as_os_str().is_empty() => Ok(false),
        (created, _) => created,
    }
}

/// Whether a checkpoint writes a file of this name: CRIU its images, logs and statistics, this library the descriptors.
fn is_overwritten(name: &CStr) -> bool {
    let bytes = name.to_bytes();
    is_image(name) || bytes.ends_with(b".log") || bytes.starts_with(b"stats-") || bytes == DESCRIPTORS_NEW.as_bytes()
}

pub(super) fn names(directory: &OwnedFd) -> nix::Result<Vec<CString>> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let mut found = Vec::new();
    for entry in Dir::openat(directory.as_fd(), ".", flags, Mode::empty())?.iter() {
        let name = entry?.file_name().to_owned();
        if name.as_c_str() != c"." && name.as_c_str() != c".." {
            found.push(name);
        }
    }
    Ok(found)
}

/// Parses the content of the descriptors file `name`.
pub fn descriptors_of(text: &[u8], name: &Path) -> Result<Vec<String>> {
    serde_json::from_slice(text).map_err(|error| {
        let message = format!("{} is damaged: {error}", name.display());
        Error::new(Code::System, message).with_errno(Errno::EUCLEAN)
    })
}

/// Removes a directory and its content, without following symlinks and without leaving its filesystem. Success if it
/// does not exist.
pub fn remove_tree(parent: &OwnedFd, name: &CStr) -> nix::Result<()> {
    // Try to remove it first: if it does not exist or is empty, that needs no descriptor, and the caller may be at its
    // limit.
    match unlinkat(parent, name, UnlinkatFlags::RemoveDir) {
        Ok(()) | Err(Errno::ENOENT) => return Ok(()),
        Err(_) => {}
    }
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let directory = match openat(parent, name, flags, Mode::empty()) {
        Err(Errno::ENOENT) => return Ok(()),
        Err(Errno::ENOTDIR | Errno::ELOOP) => return unlinkat(parent, name, UnlinkatFlags::NoRemoveDir),
        other => other?,
    };
    if fstat(&directory)?.st_dev != fstat(parent)?.st_dev {
        return Err(Errno::EXDEV);
    }
    for entry in names(&directory)? {
        remove_tree(&directory, &entry)?;
    }
    match unlinkat(parent, name, UnlinkatFlags::RemoveDir) {
        Err(Errno::ENOENT) => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn images() -> (tempfile::TempDir, ImageDir) {
        let dir = tempfile::Builder::new().prefix("berth-test-").tempdir().unwrap();
        let images = ImageDir::make(&dir.path().join("a/images"), "image directory").unwrap();
        (dir, images)
    }

    #[test]
    fn descriptors_come_back() {
        let (_dir, images) = images();
        assert!(images.read_descriptors().unwrap_err().message.contains("holds no checkpoint"));
        let written = vec!["/dev/null".to_owned(), "pipe:[12]".to_owned()];
        images.write_descriptors(&written).unwrap();
        assert_eq!(images.read_descriptors().unwrap(), written);
        std::fs::write(images.path.join(DESCRIPTORS), "[1]").unwrap();
        assert!(images.read_descriptors().unwrap_err().message.contains("is damaged"));
    }

    #[test]
    fn only_one_caller_has_made_a_directory() {
        let dir = tempfile::Builder::new().prefix("berth-test-").tempdir().unwrap();
        let at_once = std::sync::Barrier::new(4);
        for round in 0..200 {
            let path = dir.path().join(format!("{round}/images"));
            let make = || {
                at_once.wait();
                usize::from(ImageDir::make(&path, "image directory").unwrap().made)
            };
            let made: usize = std::thread::scope(|scope| {
                let callers: Vec<_> = (0..4).map(|_| scope.spawn(make)).collect();
                callers.into_iter().map(|caller| caller.join().unwrap()).sum()
            });
            assert_eq!(made, 1);
            assert!(!ImageDir::make(&path, "image directory").unwrap().made);
        }
    }

    #[test]
    fn nothing_is_written_through_what_others_have_put_there() {
        let (dir, images) = images();
        let link = |name: &str| std::os::unix::fs::symlink(dir.path().join("kept"), images.path.join(name)).unwrap();
        link("parent");
        images.check_plain().unwrap();
        link("pages-1.img");
        let error = images.check_plain().unwrap_err();
        assert!(error.message.contains("pages-1.img is not a regular file"), "{error}");
        std::fs::remove_file(images.path.join("pages-1.img")).unwrap();

        // Nor into files that have another name; sockets and files that are not overwritten do not matter.
        std::fs::write(dir.path().join("kept"), "").unwrap();
        let hard_link = |name: &str| std::fs::hard_link(dir.path().join("kept"), images.path.join(name)).unwrap();
        hard_link("notes");
        std::os::unix::net::UnixListener::bind(images.path.join("lazy-pages.socket")).unwrap();
        images.check_plain().unwrap();
        for name in ["core-1.img", "dump.log", "descriptors.json.new"] {
            hard_link(name);
            let error = images.check_plain().unwrap_err();
            assert!(error.message.contains(&format!("{name} has other hard links")), "{error}");
            std::fs::remove_file(images.path.join(name)).unwrap();
        }
    }

    #[test]
    fn a_failed_checkpoint_leaves_only_its_log() {
        let (_dir, images) = images();
        std::fs::create_dir(images.path.join("below")).unwrap();
        for name in ["dump.log", "pages-1.img", "below/file"] {
            std::fs::write(images.path.join(name), "").unwrap();
        }
        images.discard("dump.log");
        assert_eq!(images.names().unwrap(), [c"dump.log".to_owned()]);
        std::fs::remove_file(images.path.join("dump.log")).unwrap();
        images.discard("dump.log");
        assert!(!images.path.exists());
    }

    #[test]
    fn a_tree_is_removed_and_links_are_not_followed() {
        let (dir, images) = images();
        std::fs::create_dir_all(images.path.join("w/deep/er")).unwrap();
        std::fs::write(dir.path().join("kept"), "").unwrap();
        std::os::unix::fs::symlink(dir.path(), images.path.join("w/deep/link")).unwrap();
        remove_tree(&images.fd, c"w").unwrap();
        remove_tree(&images.fd, c"w").unwrap();
        assert!(dir.path().join("kept").exists() && !images.path.join("w").exists());
    }
}
