//! Opens sockets in containers' network namespaces without entering them, and keeps a namespace alive while it contains
//! devices of the host.

use std::fs::File;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use netlink_sys::protocols::NETLINK_ROUTE;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::statfs::{FsType, fstatfs};

use super::netlink::Socket;
use crate::deadline::Deadline;
use crate::error::{Context, Error, Result};
use crate::plan::{self, Descriptor};
use crate::spawn::{self, Launch};
use crate::sys::procfs;

/// Opens the network namespace of a process.
pub fn of_process(pid: i32) -> Result<OwnedFd> {
    open(&format!("{pid}/ns/net"))
}

/// Opens the network namespace of the calling thread, which may differ from that of the process's main thread.
pub fn own() -> Result<OwnedFd> {
    open("thread-self/ns/net")
}

fn open(path: &str) -> Result<OwnedFd> {
    procfs::open(path, OFlag::O_RDONLY)
}

/// Opens a route socket in the namespace.
pub fn socket(namespace: BorrowedFd, deadline: Deadline) -> Result<Socket> {
    socket_of(namespace, NETLINK_ROUTE, deadline)
}

/// Opens a netlink socket of this protocol in the namespace. No thread of the caller enters the namespace: a berth-init
/// does, opens the socket and sends it.
pub fn socket_of(namespace: BorrowedFd, protocol: isize, deadline: Deadline) -> Result<Socket> {
    let plan = plan::netlink_socket(protocol as i32);
    let open = |descriptor: &Descriptor| match descriptor {
        Descriptor::Joined(_) => namespace.as_raw_fd(),
        _ => -1,
    };
    let null = File::options().read(true).write(true).open("/dev/null").context(|| "opening /dev/null")?;
    let low = [null.as_raw_fd(); 3];
    let mut helper =
        spawn::start(&plan, Launch { low: &low, open: &open, cgroup: None, proc: procfs::root()?, network: None })?;
    Socket::of(helper.opened(deadline)?)
}

/// A bind mount of a network namespace on a file in the container's state directory. Without it the kernel destroys the
/// namespace after its last process, and with it any veth or bridge that was moved in; the pin keeps it until the
/// devices are back on the host.
pub struct Pin {
    path: PathBuf,
}

impl Pin {
    pub fn new(path: PathBuf) -> Pin {
        Pin { path }
    }

    pub fn create(&self, namespace: BorrowedFd) -> Result<()> {
        let doing = || format!("bind mounting the network namespace on {}", self.path.display());
        let file = File::options().write(true).create_new(true).mode(0o600).open(&self.path).context(doing)?;
        let (from, onto) = (procfs::path_of(namespace)?, procfs::path_of(&file)?);
        mount(Some(from.as_str()), onto.as_str(), None::<&str>, MsFlags::MS_BIND, None::<&str>).context(doing)
    }

    /// Opens the namespace, if it is pinned.
    pub fn open(&self) -> Result<Option<File>> {
        let doing = || format!("opening {}", self.path.display());
        let flags = libc::O_CLOEXEC | libc::O_NOFOLLOW;
        let file = match File::options().read(true).custom_flags(flags).open(&self.path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            other => other.context(doing)?,
        };
        let held = fstatfs(&file).context(doing)?.filesystem_type() == FsType(libc::NSFS_MAGIC as _);
        Ok(held.then_some(file))
    }

    pub fn release(&self) -> Result<()> {
        let doing = || format!("unmounting {}", self.path.display());
        if self.path.symlink_metadata().is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound) {
            return Ok(());
        }
        match umount2(&self.path, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW) {
            Ok(()) | Err(Errno::EINVAL | Errno::ENOENT) => {}
            Err(errno) => return Err(Error::system(errno, doing())),
        }
        match std::fs::remove_file(&self.path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::io(&error, doing())),
            _ => Ok(()),
        }
    }
}
