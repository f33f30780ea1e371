//! Helpers: the program, bundles for it, and a terminal to run it on.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use nix::pty::{Winsize, openpty};
use serde_json::{Value, json};

use crate::common::{LONG, eventually, eventually_read, rootfs, shell, unique};

/// A state root with its containers and bundles; all removed on drop.
pub struct Cli {
    pub dir: tempfile::TempDir,
}

/// The exit status and output of a command.
#[derive(Debug)]
pub struct Outcome {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Cli {
    pub fn new() -> Cli {
        Cli { dir: tempfile::Builder::new().prefix("berth-cli-").tempdir().unwrap() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn root(&self) -> PathBuf {
        self.path("state")
    }

    /// Creates a bundle on the root filesystem that all tests share read-only.
    pub fn bundle(&self, config: &Value) -> PathBuf {
        let bundle = self.path(&unique("bundle"));
        std::fs::create_dir(&bundle).unwrap();
        let mut config = config.clone();
        config["root"]["path"] = json!(rootfs());
        if config["linux"]["cgroupsPath"].is_null() {
            // Two tests may use the same container id.
            config["linux"]["cgroupsPath"] = json!(format!("/berth-{}", unique("cli")));
        }
        std::fs::write(bundle.join("config.json"), config.to_string()).unwrap();
        bundle
    }

    /// Returns the command `berth` with this state root.
    pub fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_berth"));
        command.arg("--root").arg(self.root()).env_remove("XDG_RUNTIME_DIR").env("NO_COLOR", "1");
        command
    }

    pub fn berth(&self, args: &[&str]) -> Outcome {
        outcome_of(self.command().args(args))
    }

    /// Runs `berth`, which must succeed; returns its output.
    pub fn ok(&self, args: &[&str]) -> String {
        let outcome = self.berth(args);
        assert_eq!((outcome.code, outcome.err.as_str()), (0, ""), "berth {args:?}: {}", outcome.out);
        outcome.out
    }

    /// Runs `berth`, which must fail with this exit status and this message.
    pub fn fails(&self, code: i32, message: &str, args: &[&str]) {
        let outcome = self.berth(args);
        assert_eq!(outcome.code, code, "berth {args:?}: {outcome:?}");
        assert!(outcome.err.contains(message), "berth {args:?} says {:?}, not {message:?}", outcome.err);
    }

    /// Starts a container in the background; returns its id.
    pub fn running(&self, config: &Value) -> String {
        let id = unique("c");
        let bundle = self.bundle(config);
        self.ok(&["run", "--detach", "--bundle", bundle.to_str().unwrap(), &id]);
        id
    }

    pub fn sleeping(&self) -> String {
        self.running(&shell("exec sleep 1000"))
    }

    pub fn state(&self, id: &str) -> Value {
        serde_json::from_str(&self.ok(&["state", id])).unwrap()
    }

    pub fn status(&self, id: &str) -> String {
        self.state(id)["status"].as_str().unwrap().to_owned()
    }

    pub fn wait_for_status(&self, id: &str, status: &str) {
        eventually(&format!("{id} is {status}"), || self.status(id) == status);
    }
}

impl Drop for Cli {
    fn drop(&mut self) {
        if self.root().exists() {
            for id in self.berth(&["list", "--quiet"]).out.lines() {
                self.berth(&["delete", "--force", id]);
            }
        }
    }
}

/// Runs a command with files for its output: its background processes could keep a pipe open.
pub fn outcome_of(command: &mut Command) -> Outcome {
    let mut files = [tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap()];
    let [out, err] = [files[0].try_clone().unwrap(), files[1].try_clone().unwrap()];
    let mut child = command.stdin(Stdio::null()).stdout(out).stderr(err).spawn().unwrap();
    let code = wait(&mut child);
    use std::io::{Seek, SeekFrom};
    let [out, err] = [0, 1].map(|index: usize| {
        let mut bytes = Vec::new();
        files[index].seek(SeekFrom::Start(0)).unwrap();
        files[index].read_to_end(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes).into_owned()
    });
    Outcome { code, out, err }
}

/// Waits with a timeout. Returns the exit status, or 128 plus the signal number, as a shell does.
pub fn wait(child: &mut Child) -> i32 {
    use std::os::unix::process::ExitStatusExt;
    let deadline = Instant::now() + Duration::from_millis(LONG as u64);
    loop {
        match child.try_wait().unwrap() {
            Some(status) => return status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0)),
            None if Instant::now() > deadline => {
                let _ = child.kill();
                panic!("berth does not end");
            }
            None => std::thread::sleep(Duration::from_millis(2)),
        }
    }
}

/// A command with a controlling terminal of its own.
pub struct OnTerminal {
    pub child: Child,
    master: File,
    text: Arc<Mutex<String>>,
}

pub const ROWS: u16 = 33;
pub const COLUMNS: u16 = 99;

pub fn on_terminal(command: &mut Command) -> OnTerminal {
    let size = Winsize { ws_row: ROWS, ws_col: COLUMNS, ws_xpixel: 0, ws_ypixel: 0 };
    let pty = openpty(Some(&size), None).unwrap();
    let slave = || Stdio::from(pty.slave.try_clone().unwrap());
    command.stdin(slave()).stdout(slave()).stderr(slave());
    // SAFETY: system calls only.
    unsafe {
        command.pre_exec(|| {
            libc::setsid();
            libc::ioctl(0, libc::TIOCSCTTY, 0);
            Ok(())
        });
    }
    let child = command.spawn().unwrap();
    // The command's copy of the other end must be closed, too.
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    drop(pty.slave);
    let text = Arc::new(Mutex::new(String::new()));
    let (reader, into) = (pty.master.try_clone().unwrap(), text.clone());
    std::thread::spawn(move || read_into(reader, &into));
    OnTerminal { child, master: pty.master.into(), text }
}

fn read_into(from: OwnedFd, into: &Mutex<String>) {
    let mut from = File::from(from);
    let mut bytes = [0u8; 4096];
    while let Ok(count @ 1..) = from.read(&mut bytes) {
        into.lock().unwrap().push_str(&String::from_utf8_lossy(&bytes[..count]));
    }
}

impl OnTerminal {
    pub fn type_in(&mut self, text: &str) {
        self.master.write_all(text.as_bytes()).unwrap();
    }

    pub fn text(&self) -> String {
        self.text.lock().unwrap().clone()
    }

    pub fn wait_for(&self, text: &str) {
        let deadline = Instant::now() + Duration::from_millis(LONG as u64);
        while !self.text().contains(text) {
            assert!(Instant::now() < deadline, "{text:?} has not come: {:?}", self.text());
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    pub fn resize(&self, rows: u16, columns: u16) {
        let size = libc::winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        // SAFETY: the struct that TIOCSWINSZ reads.
        assert_eq!(unsafe { libc::ioctl(self.master.as_raw_fd(), libc::TIOCSWINSZ, &size) }, 0);
    }

    /// Returns whether the terminal echoes.
    pub fn echoes(&self) -> bool {
        let settings = rustix::termios::tcgetattr(&self.master).unwrap();
        settings.local_modes.contains(rustix::termios::LocalModes::ECHO)
    }

    pub fn end(&mut self) -> i32 {
        wait(&mut self.child)
    }
}

impl Drop for OnTerminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns a configuration with a terminal.
pub fn with_terminal(script: &str) -> Value {
    let mut config = shell(script);
    config["process"]["terminal"] = json!(true);
    config
}

pub fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Receives a descriptor over the first connection.
pub fn received(listener: UnixListener) -> OwnedFd {
    use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};
    use std::os::fd::FromRawFd;
    let (connection, _) = listener.accept().unwrap();
    let mut bytes = [0u8; 64];
    let mut iov = [std::io::IoSliceMut::new(&mut bytes)];
    let mut space = nix::cmsg_space!([i32; 1]);
    let message = recvmsg::<()>(connection.as_raw_fd(), &mut iov, Some(&mut space), MsgFlags::empty()).unwrap();
    let fds = message.cmsgs().unwrap().find_map(|message| match message {
        ControlMessageOwned::ScmRights(fds) => Some(fds),
        _ => None,
    });
    // SAFETY: the descriptor was received just now, and nobody else has it.
    unsafe { OwnedFd::from_raw_fd(fds.unwrap()[0]) }
}

/// Returns the parent of an orphan that the container's init has left.
pub fn parent_of_orphan(folder: &Path) -> i32 {
    let pid = eventually_read(&folder.join("orphan"));
    let stat = || std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap();
    let parent = || stat().rsplit_once(") ").unwrap().1.split(' ').nth(1).unwrap().parse().unwrap();
    // The orphan's shell has exited once the orphan has another parent.
    let left_by: i32 = eventually_read(&folder.join("by")).trim().parse().unwrap();
    eventually("the shell has ended", || parent() != left_by);
    let parent = parent();
    // SAFETY: a number, of a process that this test has made.
    assert_eq!(unsafe { libc::kill(pid.trim().parse().unwrap(), libc::SIGKILL) }, 0);
    parent
}
