//! Questions about namespaces, asked by their files (ioctl_nsfs(2)).

use std::fs::File;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use nix::errno::Errno;

/// Opens a namespace's file. What else is at the path, such as a FIFO, does not block.
pub fn open(path: &Path) -> std::io::Result<File> {
    File::options().read(true).custom_flags(libc::O_NONBLOCK).open(path)
}

/// Returns the CLONE_NEW… flag of a namespace's type.
pub fn flag(namespace: &OwnedFd) -> nix::Result<u64> {
    // SAFETY: the descriptor is open for the call, and NS_GET_NSTYPE takes no argument.
    let answer = unsafe { libc::ioctl(namespace.as_raw_fd(), libc::NS_GET_NSTYPE) };
    Errno::result(answer).map(|kind| kind as u32 as u64)
}

/// Returns whether a user namespace owns another namespace. Also false if one of them cannot be opened.
pub fn is_owned_by(namespace: &Path, user: &Path) -> bool {
    let identity = |file: File| file.metadata().map(|found| (found.dev(), found.ino()));
    let owner = || {
        let namespace = File::open(namespace)?;
        // SAFETY: the descriptor is open during the call, and NS_GET_USERNS takes no argument.
        let answer = unsafe { libc::ioctl(namespace.as_raw_fd(), libc::NS_GET_USERNS) };
        if answer < 0 {
            return Err(std::io::Error::last_os_error());
        }
        // SAFETY: ioctl has just returned this descriptor, which nobody else owns.
        identity(File::from(unsafe { OwnedFd::from_raw_fd(answer) }))
    };
    // A namespace that cannot be examined is not known to be owned.
    owner().is_ok_and(|owner| File::open(user).and_then(identity).is_ok_and(|user| user == owner))
}
