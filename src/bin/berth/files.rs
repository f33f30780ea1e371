//! Files and sockets at paths of the caller. Other users may have put something there first, so a name is not followed
//! and nothing is waited for (docs/security.md, "Files at paths of the caller").

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use nix::errno::Errno;
use nix::sys::socket::sockopt::SendTimeout;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, setsockopt, socket};
use nix::sys::time::{TimeVal, TimeValLike};
use nix::unistd::Uid;

use crate::failure::Failure;

/// The time that another program may take to accept a connection.
const PATIENCE_SECONDS: i64 = 10;

/// Opens a file to append to, and creates it if it is missing. A symbolic link is followed only if the caller or root
/// has made it, or the system, like /dev/stderr; a FIFO without a reader is an error.
pub fn append(path: &Path, what: &str) -> Result<File, Failure> {
    let doing = || format!("opening {what} {}", path.display());
    let open = |more: i32| {
        let flags = libc::O_NONBLOCK | libc::O_NOCTTY | more;
        OpenOptions::new().append(true).create(true).mode(0o644).custom_flags(flags).open(path)
    };
    let opened = match open(libc::O_NOFOLLOW) {
        Err(error) if error.raw_os_error() == Some(libc::ELOOP) => {
            let link = path.symlink_metadata().map_err(|error| Failure::io(&error, doing()))?;
            let own = link.uid() == 0 || link.uid() == Uid::effective().as_raw();
            if link.is_symlink() && !own && !is_of_the_system(path) {
                let reason = format!("it is a symbolic link of uid {}", link.uid());
                return Err(Failure::new(format!("{}: {reason}", doing())).remedy("name the file itself"));
            }
            open(0)
        }
        other => other,
    };
    opened.map_err(|error| Failure::io(&error, doing()))
}

/// Returns whether only the system can have put something at this path: directly in /dev, to which no others can write.
/// In a user namespace that does not map the host's root, links there have another owner than root.
fn is_of_the_system(path: &Path) -> bool {
    let dev = Path::new("/dev");
    path.parent() == Some(dev) && dev.symlink_metadata().is_ok_and(|dev| dev.is_dir() && dev.mode() & 0o022 == 0)
}

/// Writes a file whose name appears when all of it is written: under a new name in the same directory, then renamed.
/// What has that name is replaced and never opened; it must be a file or a symbolic link.
pub fn replace(path: &Path, bytes: &[u8], what: &str) -> Result<File, Failure> {
    let doing = || format!("writing {what} {}", path.display());
    // If it cannot be examined, renaming reports that.
    if path.symlink_metadata().is_ok_and(|found| !found.is_file() && !found.is_symlink()) {
        return Err(Failure::new(format!("{}: it exists and is not a regular file", doing())));
    }
    let new = path.with_file_name(new_name());
    let write = || {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o644).open(&new)?;
        let written = file.write_all(bytes).and_then(|()| std::fs::rename(&new, path));
        written.inspect_err(|_| {
            // This call has just created the file.
            let _ = std::fs::remove_file(&new);
        })?;
        Ok(file)
    };
    write().map_err(|error: std::io::Error| Failure::io(&error, doing()))
}

/// Returns an unused name. If another process has created a file of that name, creating it fails.
fn new_name() -> String {
    let time = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    format!(".berth-{:x}-{:x}", std::process::id(), time.as_nanos())
}

/// Removes a file that [`replace`] has written, unless the name has become another file's.
pub fn remove(path: &Path, file: &File) {
    let same = |found: &std::fs::Metadata| {
        file.metadata().is_ok_and(|own| (own.dev(), own.ino()) == (found.dev(), found.ino()))
    };
    // A name that cannot be examined or removed stays: the command has failed for another reason, which is reported.
    if path.symlink_metadata().is_ok_and(|found| same(&found)) {
        let _ = std::fs::remove_file(path);
    }
}

/// Connects to a unix socket. A program that does not accept is an error after ten seconds.
pub fn connected(path: &Path) -> nix::Result<OwnedFd> {
    let address = UnixAddr::new(path)?;
    let socket = socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    // The send timeout also limits connect(2) of unix sockets.
    setsockopt(&socket, SendTimeout, &TimeVal::seconds(PATIENCE_SECONDS))?;
    loop {
        match connect(socket.as_raw_fd(), &address) {
            Err(Errno::EINTR) => {}
            other => return other.map(|()| socket),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{FileTypeExt, symlink};

    use super::*;

    #[test]
    fn a_file_is_replaced_and_nothing_is_followed() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        std::fs::write(path("precious"), "precious").unwrap();
        symlink(path("precious"), path("link")).unwrap();
        let file = replace(&path("link"), b"new", "the file").unwrap();
        assert_eq!(std::fs::read_to_string(path("precious")).unwrap(), "precious");
        assert_eq!(std::fs::read_to_string(path("link")).unwrap(), "new");
        assert_eq!(path("link").symlink_metadata().unwrap().mode() & 0o7133, 0);
        let other = replace(&path("link"), b"newer", "the file").unwrap();
        remove(&path("link"), &file);
        assert!(path("link").exists(), "another file's");
        remove(&path("link"), &other);
        assert!(!path("link").exists());
        nix::unistd::mkfifo(&path("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(replace(&path("fifo"), b"new", "the file").is_err());
        assert!(path("fifo").symlink_metadata().unwrap().file_type().is_fifo());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2, "no hidden file is left");
    }

    #[test]
    fn a_log_follows_links_of_its_user_and_never_waits() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        symlink(path("log"), path("own")).unwrap();
        append(&path("own"), "the log").unwrap().write_all(b"line").unwrap();
        assert_eq!(std::fs::read_to_string(path("log")).unwrap(), "line");
        nix::unistd::mkfifo(&path("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(append(&path("fifo"), "the log").is_err(), "nobody reads it");
        if Uid::effective().is_root() {
            symlink(path("log"), path("planted")).unwrap();
            std::os::unix::fs::lchown(path("planted"), Some(1000), Some(1000)).unwrap();
            assert!(append(&path("planted"), "the log").unwrap_err().message.contains("symbolic link of uid 1000"));
        }
    }
}
