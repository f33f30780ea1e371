//! $NOTIFY_SOCKET (sd_notify(3)), as in runc: the program in the container gets a socket of its own, and berth forwards
//! its READY=1 to the service manager.

use std::fs::File;
use std::io::IoSlice;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
use serde_json::{Value, json};

use crate::args::Global;
use crate::failure::Failure;
use crate::host;

/// The path of the socket inside the container.
const CONTAINER_DIR: &str = "/run/notify";
const NAME: &str = "notify.sock";
/// The time that the service manager may take to read a notification.
const MANAGER_TIMEOUT: Duration = Duration::from_secs(30);

/// A directory that is bind mounted into the container, from creation until the program is ready or has ended.
pub struct NotifyDir {
    dir: PathBuf,
    manager: SocketAddr,
}

/// The directory with its socket.
pub struct Socket {
    notify_dir: NotifyDir,
    socket: UnixDatagram,
}

impl NotifyDir {
    /// Returns None if $NOTIFY_SOCKET is not set.
    pub fn from_environment(global: &Global, id: &str) -> Result<Option<NotifyDir>, Failure> {
        // An id with a slash is refused later; until then no path is made from it.
        let Some(manager) = std::env::var_os("NOTIFY_SOCKET").filter(|path| !path.is_empty() && !id.contains('/'))
        else {
            return Ok(None);
        };
        let bytes = manager.as_encoded_bytes();
        let address = match bytes.strip_prefix(b"@") {
            Some(name) => SocketAddr::from_abstract_name(name),
            None => SocketAddr::from_pathname(&manager),
        };
        let manager = address.map_err(|error| Failure::io(&error, format!("$NOTIFY_SOCKET {}", manager.display())))?;
        Ok(Some(NotifyDir { dir: dir(&host::settings(global)?.root, id), manager }))
    }

    /// Adds the mount and the environment variable to a configuration.
    pub fn add_to(&self, config: &mut Value) {
        let mount = json!({
            "destination": CONTAINER_DIR, "type": "bind", "source": self.dir,
            "options": ["bind", "nosuid", "noexec", "nodev", "ro"],
        });
        let variable = json!(format!("NOTIFY_SOCKET={CONTAINER_DIR}/{NAME}"));
        match &mut config["mounts"] {
            Value::Array(mounts) => mounts.push(mount),
            mounts => *mounts = json!([mount]),
        }
        let Some(process) = config.get_mut("process").filter(|process| process.is_object()) else { return };
        match &mut process["env"] {
            Value::Array(env) => {
                env.retain(|entry| !entry.as_str().is_some_and(|text| text.starts_with("NOTIFY_SOCKET=")));
                env.push(variable);
            }
            env => *env = json!([variable]),
        }
    }

    /// Creates the directory and returns whether it is new. The state root must exist.
    pub fn make(&self) -> Result<bool, Failure> {
        let made = std::fs::create_dir(&self.dir)
            .and_then(|()| std::fs::set_permissions(&self.dir, PermissionsExt::from_mode(0o755)));
        match made {
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(false),
            other => {
                other.map(|()| true).map_err(|error| Failure::io(&error, format!("creating {}", self.dir.display())))
            }
        }
    }

    /// Whether the container was created with a notify socket.
    pub fn is_made(&self) -> bool {
        self.dir.is_dir()
    }

    pub fn remove(&self) {
        remove(&self.dir);
    }

    /// Creates the socket, writable for every user of the container.
    pub fn bind(self) -> Result<Socket, Failure> {
        let place = self.dir.join(NAME);
        let bind = || {
            // If an earlier socket stays, bind says so.
            let _ = std::fs::remove_file(&place);
            // Through /proc/self/fd, because the path may be longer than the address of a socket (unix(7)).
            let dir = File::open(&self.dir)?;
            let socket = UnixDatagram::bind(format!("/proc/self/fd/{}/{NAME}", dir.as_raw_fd()))?;
            std::fs::set_permissions(&place, PermissionsExt::from_mode(0o777))?;
            socket.set_nonblocking(true)?;
            Ok(socket)
        };
        let bound: std::io::Result<UnixDatagram> = bind();
        let socket = bound.map_err(|error| Failure::io(&error, format!("creating the socket {}", place.display())))?;
        Ok(Socket { notify_dir: self, socket })
    }
}

impl Socket {
    /// Waits until the program is ready or has ended and notifies the service manager; also of the main process if
    /// `pid` is given.
    pub fn forward(self, process: BorrowedFd, pid: Option<i32>) {
        let notified = self.ready(process).and_then(|ready| match ready {
            Some(line) => self.notify_manager(&line, pid),
            None => Ok(()),
        });
        if let Err(errno) = notified {
            log::warn!("notifying $NOTIFY_SOCKET that the container is ready: {errno}");
        }
        self.notify_dir.remove();
    }

    /// Returns the program's message, or None if it ended without one.
    fn ready(&self, process: BorrowedFd) -> nix::Result<Option<String>> {
        loop {
            let mut fds =
                [PollFd::new(process, PollFlags::POLLIN), PollFd::new(self.socket.as_fd(), PollFlags::POLLIN)];
            match poll(&mut fds, PollTimeout::NONE) {
                Err(Errno::EINTR) => continue,
                other => other?,
            };
            // Unknown events: errors, which end the wait, too.
            let ended = fds[0].any().unwrap_or(true);
            let mut bytes = [0u8; 4096];
            while let Ok(count) = self.socket.recv(&mut bytes) {
                let text = String::from_utf8_lossy(&bytes[..count]);
                if let Some(line) = text.lines().find(|line| line.starts_with("READY=")) {
                    return Ok(Some(line.to_owned()));
                }
            }
            if ended {
                return Ok(None);
            }
        }
    }

    fn notify_manager(&self, ready: &str, pid: Option<i32>) -> nix::Result<()> {
        let sender =
            UnixDatagram::unbound().and_then(|sender| sender.connect_addr(&self.notify_dir.manager).map(|()| sender));
        // A service manager that does not read must not block this process for ever.
        let sender = sender.and_then(|sender| sender.set_write_timeout(Some(MANAGER_TIMEOUT)).map(|()| sender));
        let sender = sender.map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO)))?;
        let send = |text: &str, fds: &[i32]| {
            let rights = [ControlMessage::ScmRights(fds)];
            let rights = if fds.is_empty() { &[][..] } else { &rights };
            let text = [IoSlice::new(text.as_bytes())];
            sendmsg::<()>(sender.as_raw_fd(), &text, rights, MsgFlags::MSG_NOSIGNAL, None).map(drop)
        };
        let main = pid.map(|pid| format!("MAINPID={pid}\n")).unwrap_or_default();
        send(&format!("{ready}\n{main}"), &[])?;
        // The manager identifies the sender by its pid, so this process must exist until it has read the message. Then
        // it closes this descriptor (sd_notify_barrier(3)).
        let (watched, given) = nix::unistd::pipe2(OFlag::O_CLOEXEC)?;
        send("BARRIER=1", &[given.as_raw_fd()])?;
        drop(given);
        wait_for_end(&watched)
    }
}

fn wait_for_end(watched: &OwnedFd) -> nix::Result<()> {
    let timeout = PollTimeout::try_from(MANAGER_TIMEOUT).unwrap_or(PollTimeout::MAX);
    poll(&mut [PollFd::new(watched.as_fd(), PollFlags::POLLIN)], timeout).map(drop)
}

/// Returns a path beside the containers' directories, with a name that no id can have.
fn dir(root: &Path, id: &str) -> PathBuf {
    root.join(format!(".notify-{id}"))
}

/// Removes the notify directory of a container that no longer exists.
pub fn forget(root: &Path, id: &str) {
    if !id.contains('/') {
        remove(&dir(root, id));
    }
}

/// Removes a directory with its socket. Most containers have none.
fn remove(dir: &Path) {
    for removed in [std::fs::remove_file(dir.join(NAME)), std::fs::remove_dir(dir)] {
        match removed {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                log::warn!("removing {}: {error}", dir.display());
            }
            _ => {}
        }
    }
}
