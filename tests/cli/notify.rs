//! $NOTIFY_SOCKET: the test acts as the service manager that is notified when the container's program is ready.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::common::{LONG, eventually, push_mount, shell};
use crate::support::*;

/// Notifies with busybox's logger, which writes a datagram of several lines to the socket to which /dev/log links.
const READY: &str = "ln -s $NOTIFY_SOCKET /dev/log && logger \"$(printf 'STATUS=starting\\nREADY=1\\nERRNO=0')\"";

struct Manager {
    cli: Cli,
    socket: UnixDatagram,
}

impl Manager {
    fn new() -> Manager {
        let cli = Cli::new();
        let socket = UnixDatagram::bind(cli.path("manager")).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(LONG as u64))).unwrap();
        Manager { cli, socket }
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = self.cli.command();
        command.args(args).env("NOTIFY_SOCKET", self.cli.path("manager")).stdin(Stdio::null());
        command
    }

    fn bundle(&self, script: &str) -> PathBuf {
        let mut config: Value = shell(script);
        push_mount(&mut config, json!({ "destination": "/run", "type": "tmpfs", "source": "tmpfs" }));
        config["process"]["env"].as_array_mut().unwrap().push(json!("NOTIFY_SOCKET=/of/somebody/else"));
        self.cli.bundle(&config)
    }

    fn heard(&self) -> String {
        let mut bytes = [0u8; 512];
        let count = self.socket.recv(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes[..count]).into_owned()
    }

    fn folder(&self, id: &str) -> PathBuf {
        self.cli.root().join(format!(".notify-{id}"))
    }
}

#[test]
fn a_detached_run_returns_when_the_program_is_ready_and_names_it_as_the_main_process() {
    let manager = Manager::new();
    let gate = manager.cli.path("gate");
    std::fs::create_dir(&gate).unwrap();
    let mut config: Value = shell(&format!("until test -e /mnt/go; do sleep 0.01; done; {READY}; exec sleep 1000"));
    push_mount(&mut config, json!({ "destination": "/run", "type": "tmpfs", "source": "tmpfs" }));
    push_mount(&mut config, json!({ "destination": "/mnt", "type": "bind", "source": gate, "options": ["bind"] }));
    let bundle = manager.cli.bundle(&config);
    let mut command = manager.command(&["run", "-d", "-b", text(&bundle), "c1"]);
    let mut run = command.stdout(Stdio::null()).spawn().unwrap();
    eventually("it runs", || manager.cli.berth(&["state", "c1"]).out.contains("\"running\""));
    assert!(run.try_wait().unwrap().is_none(), "it waits for the program's word");
    std::fs::write(gate.join("go"), "").unwrap();
    assert_eq!(manager.heard(), format!("READY=1\nMAINPID={}\n", manager.cli.state("c1")["pid"]));
    assert_eq!(manager.heard(), "BARRIER=1");
    assert_eq!(wait(&mut run), 0);
    assert!(!manager.folder("c1").exists());
}

#[test]
fn start_passes_it_on_for_a_container_that_was_created_with_it() {
    let manager = Manager::new();
    let bundle = manager.bundle(&format!("{READY}; exec sleep 1000"));
    let quiet = |args: &[&str]| {
        let mut child = manager.command(args).stdout(Stdio::null()).spawn().unwrap();
        (0..2).filter(|_| args[0] == "start").for_each(|_| drop(manager.heard()));
        assert_eq!(wait(&mut child), 0, "{args:?}");
    };
    quiet(&["create", "-b", text(&bundle), "c1"]);
    assert!(manager.folder("c1").exists());
    quiet(&["start", "c1"]);
    assert!(!manager.folder("c1").exists());
    manager.cli.ok(&["exec", "c1", "test", "-d", "/run/notify"]);
    // A container that was created without $NOTIFY_SOCKET is not waited for.
    let other = manager.cli.bundle(&shell("test -z \"$NOTIFY_SOCKET\" && exec sleep 1000"));
    let created = manager.cli.command().args(["create", "-b", text(&other), "c2"]).stdout(Stdio::null()).status();
    assert!(created.unwrap().success());
    quiet_start(&manager, "c2");
    assert_eq!(manager.cli.status("c2"), "running");
    // A container that is never started leaves nothing.
    quiet(&["create", "-b", text(&manager.bundle("true")), "c3"]);
    manager.cli.ok(&["delete", "c3"]);
    assert!(!manager.folder("c3").exists());
}

fn quiet_start(manager: &Manager, id: &str) {
    let mut child = manager.command(&["start", id]).stdout(Stdio::null()).spawn().unwrap();
    assert_eq!(wait(&mut child), 0);
}

#[test]
fn in_the_foreground_only_that_it_is_ready_is_passed_on() {
    let manager = Manager::new();
    let bundle = manager.bundle(&format!("{READY}; read word; exit 5"));
    let mut command = manager.command(&["run", "-b", text(&bundle), "c1"]);
    let mut run = command.stdin(Stdio::piped()).spawn().unwrap();
    assert_eq!(manager.heard(), "READY=1\n", "the program that is watched stays");
    assert_eq!(manager.heard(), "BARRIER=1");
    drop(run.stdin.take());
    assert_eq!(wait(&mut run), 5);
    assert!(!manager.folder("c1").exists());
}

#[test]
fn an_abstract_socket_is_notified_and_a_program_that_exits_silently_is_not_waited_for() {
    let manager = Manager::new();
    let name = crate::common::unique("berth-notify");
    let socket = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(LONG as u64))).unwrap();
    let bundle = manager.bundle(READY);
    let mut command = manager.command(&["run", "-d", "-b", text(&bundle), "c1"]);
    let mut run = command.env("NOTIFY_SOCKET", format!("@{name}")).stdout(Stdio::null()).spawn().unwrap();
    let mut bytes = [0u8; 64];
    let count = socket.recv(&mut bytes).unwrap();
    assert!(bytes[..count].starts_with(b"READY=1\nMAINPID="));
    socket.recv(&mut bytes).unwrap();
    assert_eq!(wait(&mut run), 0);
    let silent = manager.bundle("exit 3");
    assert_eq!(wait(&mut manager.command(&["run", "-d", "-b", text(&silent), "c2"]).spawn().unwrap()), 0);
    let outcome = outcome_of(&mut manager.command(&["run", "-b", "/nonexistent", "c3"]));
    assert_eq!(outcome.code, 1);
    assert!(!manager.folder("c2").exists() && !manager.folder("c3").exists());
}

#[test]
fn a_failed_creation_leaves_no_socket() {
    let manager = Manager::new();
    let mut config: Value = shell("true");
    config["process"]["args"] = json!(["no-such-program"]);
    push_mount(&mut config, json!({ "destination": "/run", "type": "tmpfs", "source": "tmpfs" }));
    let bundle = manager.cli.bundle(&config);
    for args in [["run", "-d"], ["create", "--no-pivot"], ["run", "--keep"]] {
        let outcome = outcome_of(&mut manager.command(&[&args[..], &["-b", text(&bundle), "c1"]].concat()));
        assert!(outcome.code == 1 && outcome.err.contains("no-such-program"), "{outcome:?}");
        assert_eq!(crate::common::leftovers::files(&manager.cli.root()), Vec::<PathBuf>::new());
    }
    let outcome = outcome_of(manager.command(&["run", "-b", text(&bundle), "../c1"]).current_dir("/"));
    assert!(outcome.code == 1 && outcome.err.contains("invalid container ID format"), "{outcome:?}");
}
