//! Output that nobody reads, that has no room, or that is redirected: no command panics.

use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::process::Stdio;

use crate::common::{eventually, shell};
use crate::support::*;

/// The status of a program that SIGPIPE has ended.
const SIGPIPE: i32 = 128 + libc::SIGPIPE;

fn full() -> File {
    File::options().write(true).open("/dev/full").unwrap()
}

/// Returns the end of a pipe that nobody reads.
fn closed() -> OwnedFd {
    nix::unistd::pipe().unwrap().1
}

/// Runs `berth` with this standard output; returns the exit status and what it says on standard error.
fn into(cli: &Cli, out: impl Into<Stdio>, args: &[&str]) -> (i32, String) {
    let mut child = cli.command().args(args).stdin(Stdio::null()).stdout(out).stderr(Stdio::piped()).spawn().unwrap();
    let mut output = String::new();
    child.stderr.take().unwrap().read_to_string(&mut output).unwrap();
    (wait(&mut child), output)
}

#[test]
fn every_command_ends_quietly_without_a_reader_and_fails_without_room() {
    let cli = Cli::new();
    let id = cli.sleeping();
    let bundle = cli.bundle(&shell("true"));
    for args in [
        &["list"][..],
        &["list", "-q"],
        &["list", "--json"],
        &["state", &id],
        &["ps", &id],
        &["ps", "--json", &id],
        &["events", "--stats", &id],
        &["top", "-n", "1", "-i", "1ms"],
        &["recover", "--json"],
        &["features"],
        &["explain", text(&bundle)],
        &["explain", "--json", text(&bundle)],
        &["completions", "bash"],
        &["man"],
        &["--help"],
        &["run", "--help"],
        &["--version"],
    ] {
        assert_eq!(into(&cli, closed(), args), (SIGPIPE, String::new()), "{args:?}");
        let (code, output) = into(&cli, full(), args);
        assert!(
            code == 1 && output.contains("no space left on device") && output.lines().count() == 1,
            "{args:?}: {output}"
        );
    }
}

#[test]
fn an_error_that_cannot_be_printed_is_an_error() {
    let cli = Cli::new();
    for args in [&["state", "nope"][..], &["nonsense"], &["kill", "c1", "NOSIG"], &["--log-level", "debug", "list"]] {
        for stderr in [Stdio::from(closed()), Stdio::from(full())] {
            let mut command = cli.command();
            let mut child = command.args(args).stdout(Stdio::null()).stderr(stderr).spawn().unwrap();
            let code = wait(&mut child);
            assert_eq!(code, if args == ["nonsense"] { 3 } else { 1 }, "{args:?}");
        }
    }
}

#[test]
fn a_log_without_room_is_an_error_before_anything_is_done() {
    let cli = Cli::new();
    let bundle = cli.bundle(&shell("exec sleep 1000"));
    cli.fails(
        1,
        "writing the log: no space left",
        &["--log", "/dev/full", "--debug", "run", "-b", text(&bundle), "c1"],
    );
    assert!(!cli.root().exists());
    let output = cli.berth(&["--log", "/dev/full", "state", "nope"]);
    assert_eq!(output.code, 1);
    assert_eq!(output.err, "writing the log: no space left on device\ncontainer does not exist\n");
    assert_eq!(cli.ok(&["--log", "/dev/full", "list", "-q"]), "", "nothing to log");
}

/// Starts a command whose output is read up to the first line.
fn reading_one_line(cli: &Cli, args: &[&str]) -> (i32, String) {
    let mut command = cli.command();
    command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let mut out = child.stdout.take().unwrap();
    let mut line = Vec::new();
    while !line.ends_with(b"\n") {
        let mut byte = [0];
        out.read_exact(&mut byte).unwrap();
        line.push(byte[0]);
    }
    drop(out);
    (wait(&mut child), String::from_utf8(line).unwrap())
}

#[test]
fn a_session_on_a_terminal_ends_with_its_reader() {
    let cli = Cli::new();
    // The second one is not impressed by a hangup.
    for script in ["yes", "trap '' HUP; while :; do echo y; done"] {
        let bundle = cli.bundle(&with_terminal(script));
        assert_eq!(reading_one_line(&cli, &["run", "-b", text(&bundle), "c1"]), (SIGPIPE, "y\n".to_owned()));
        assert_eq!(cli.ok(&["list", "-q"]), "", "{script}");
        let id = cli.sleeping();
        assert_eq!(reading_one_line(&cli, &["exec", "-t", &id, "sh", "-c", script]), (SIGPIPE, "y\n".to_owned()));
        eventually("only init is left", || cli.ok(&["ps", "--json", &id]) == format!("[{}]\n", cli.state(&id)["pid"]));
        cli.ok(&["delete", "--force", &id]);
    }
    let bundle = cli.bundle(&with_terminal("yes"));
    assert_eq!(reading_one_line(&cli, &["run", "--keep", "-b", text(&bundle), "c1"]).0, SIGPIPE);
    assert_eq!(cli.status("c1"), "stopped");
}

#[test]
fn a_session_on_a_terminal_whose_output_has_no_room_fails() {
    let cli = Cli::new();
    let bundle = cli.bundle(&with_terminal("yes"));
    let (code, output) = into(&cli, full(), &["run", "-b", text(&bundle), "c1"]);
    assert!(code == 1 && output.contains("writing the output: no space left on device"), "{output}");
    assert_eq!(cli.ok(&["list", "-q"]), "");
}

/// As with runc: the output of a terminal is redirected with plain newlines.
#[test]
fn a_terminals_output_has_no_carriage_returns() {
    let cli = Cli::new();
    let bundle = cli.bundle(&with_terminal("echo one; echo two"));
    for _ in 0..10 {
        assert_eq!(cli.ok(&["run", "-b", text(&bundle), "c1"]), "one\ntwo\n");
    }
    let id = cli.sleeping();
    for _ in 0..10 {
        assert_eq!(cli.ok(&["exec", "-t", &id, "sh", "-c", "echo one; echo two"]), "one\ntwo\n");
    }
}

#[test]
fn streams_belong_to_the_containers_user() {
    let cli = Cli::new();
    let script = "echo out >/dev/stdout; echo err >/dev/stderr";
    for user_namespace in [false, true] {
        let mut config = shell(script);
        config["process"]["user"] = serde_json::json!({ "uid": 1000, "gid": 1000 });
        if user_namespace {
            crate::common::with_user_namespace(&mut config);
        }
        let bundle = cli.bundle(&config);
        let run = |args: &[&str]| cli.command().args(args).stdin(Stdio::null()).output().unwrap();
        let ran = run(&["run", "-b", text(&bundle), "c1"]);
        assert_eq!((ran.stdout.as_slice(), ran.stderr.as_slice()), (&b"out\n"[..], &b"err\n"[..]));
        config["process"]["args"] = serde_json::json!(["sleep", "1000"]);
        let id = cli.running(&config);
        let ran = run(&["exec", &id, "sh", "-c", script]);
        assert_eq!((ran.stdout.as_slice(), ran.stderr.as_slice()), (&b"out\n"[..], &b"err\n"[..]));
    }
}

/// In a user namespace that does not map the host's root, nobody owns /dev/stderr, a link of the system.
#[test]
fn a_log_can_be_the_standard_error_in_a_user_namespace() {
    let cli = Cli::new();
    let mut holder = std::process::Command::new("unshare");
    holder.args(["-U", "sh", "-c", "echo; read _"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut holder = holder.spawn().unwrap();
    holder.stdout.take().unwrap().read_exact(&mut [0]).unwrap();
    for map in ["uid_map", "gid_map"] {
        std::fs::write(format!("/proc/{}/{map}", holder.id()), "0 100000 1\n").unwrap();
    }
    let path = cli.path("errors");
    let errors = File::create(&path).unwrap();
    errors.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666)).unwrap();
    // The program is opened before: other users have no access to its directory.
    let script = format!("exec 9<\"$0\"; exec nsenter -t {} -U -S 0 -G 0 /proc/self/fd/9 \"$@\"", holder.id());
    let mut command = std::process::Command::new("sh");
    command.args(["-c", &script, env!("CARGO_BIN_EXE_berth"), "--log", "/dev/stderr", "--log-format", "json", "state"]);
    let code = wait(&mut command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(errors).spawn().unwrap());
    drop(holder.stdin.take());
    wait(&mut holder);
    let logged = std::fs::read_to_string(&path).unwrap();
    assert_ne!(code, 0, "{logged}");
    assert!(logged.contains("\"level\":\"error\"") && !logged.contains("symbolic link"), "{logged}");
}
