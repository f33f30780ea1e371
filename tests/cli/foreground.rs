//! Tests of run in the foreground: signals, streams, terminal, exit status.

use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::json;

use crate::common::{eventually, shell};
use crate::support::*;

fn send(pid: u32, signal: i32) {
    // SAFETY: the call signals a child that has not been reaped.
    assert_eq!(unsafe { libc::kill(pid as i32, signal) }, 0);
}

#[test]
fn its_exit_status_is_the_programs_and_nothing_is_left() {
    let cli = Cli::new();
    for (script, code) in [("exit 0", 0), ("exit 7", 7), ("kill -KILL $$; sleep 1", 0), ("exit 255", 255)] {
        let bundle = cli.bundle(&shell(script));
        // A process cannot kill the init of its own pid namespace.
        assert_eq!(cli.berth(&["run", "-b", text(&bundle), "c1"]).code, code, "{script}");
        assert_eq!(cli.ok(&["list", "-q"]), "");
    }
}

/// Descriptors that berth opens itself must not get the preserved numbers.
#[test]
fn closed_standard_streams_are_the_null_device() {
    let cli = Cli::new();
    let check_streams = "for fd in 0 1 2; do test \"$(readlink /proc/1/fd/$fd)\" = /dev/null || exit 9; done; exit 5";
    let bundle = cli.bundle(&shell(check_streams));
    let program = cli.command();
    let mut closing = Command::new("sh");
    closing.args(["-c", "exec \"$0\" \"$@\" <&- >&- 2>&-"]).arg(program.get_program()).args(program.get_args());
    assert_eq!(outcome_of(closing.args(["run", "-b", text(&bundle), "c1"])).code, 5);
    assert_eq!(cli.ok(&["list", "-q"]), "");
}

#[test]
fn signals_are_forwarded_and_reported_as_128_plus_the_number() {
    let cli = Cli::new();
    let bundle = cli.bundle(&shell("trap 'echo usr1' USR1; echo up; while :; do sleep 0.01; done"));
    let mut child = cli.command().args(["run", "-b", text(&bundle), "c1"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut output = child.stdout.take().unwrap();
    let mut bytes = [0u8; 5];
    output.read_exact(&mut bytes[..3]).unwrap();
    assert_eq!(&bytes[..3], b"up\n");
    send(child.id(), libc::SIGUSR1);
    output.read_exact(&mut bytes).unwrap();
    assert_eq!(&bytes, b"usr1\n");
    cli.ok(&["kill", "c1", "KILL"]);
    assert_eq!(wait(&mut child), 128 + libc::SIGKILL);
    assert_eq!(cli.ok(&["list", "-q"]), "");
}

#[test]
fn a_signal_that_ends_the_program_ends_it_too() {
    let cli = Cli::new();
    let bundle = cli.bundle(&shell("trap 'exit 33' INT; echo up; while :; do sleep 0.01; done"));
    let mut child = cli.command().args(["run", "-b", text(&bundle), "c1"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut bytes = [0u8; 3];
    child.stdout.take().unwrap().read_exact(&mut bytes).unwrap();
    send(child.id(), libc::SIGINT);
    assert_eq!(wait(&mut child), 33);
}

#[test]
fn standard_streams_are_the_callers() {
    let cli = Cli::new();
    let bundle = cli.bundle(&shell("cat; echo err >&2"));
    let mut child = cli.command();
    child.args(["run", "-b", text(&bundle), "c1"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = child.spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"given\n").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.stdout.as_slice(), output.stderr.as_slice()), (&b"given\n"[..], &b"err\n"[..]));
}

#[test]
fn a_kept_container_exists_and_is_stopped() {
    let cli = Cli::new();
    let bundle = cli.bundle(&shell("exit 4"));
    assert_eq!(cli.berth(&["run", "--keep", "-b", text(&bundle), "c1"]).code, 4);
    assert_eq!(cli.status("c1"), "stopped");
    cli.ok(&["delete", "c1"]);
}

#[test]
fn the_terminal_is_the_programs_while_it_runs() {
    let cli = Cli::new();
    let bundle = cli.bundle(&with_terminal("tty; stty size; echo ready; read line; echo \"got $line\"; exit 6"));
    let mut terminal = on_terminal(cli.command().args(["run", "-b", text(&bundle), "c1"]));
    terminal.wait_for("ready\r\n");
    assert!(terminal.text().contains(&format!("/dev/pts/0\r\n{ROWS} {COLUMNS}\r\nready\r\n")), "{:?}", terminal.text());
    assert!(!terminal.echoes(), "raw");
    terminal.type_in("hello\r");
    terminal.wait_for("got hello\r\n");
    assert_eq!(terminal.end(), 6);
    assert!(terminal.echoes(), "as it was");
}

#[test]
fn control_c_goes_to_the_program_through_its_terminal() {
    let cli = Cli::new();
    let bundle =
        cli.bundle(&with_terminal("trap 'echo interrupted; exit 5' INT; echo ready; while :; do sleep 0.01; done"));
    let mut terminal = on_terminal(cli.command().args(["run", "-b", text(&bundle), "c1"]));
    terminal.wait_for("ready\r\n");
    terminal.type_in("\u{3}");
    terminal.wait_for("interrupted\r\n");
    assert_eq!(terminal.end(), 5);
}

#[test]
fn a_new_window_size_is_passed_on() {
    let cli = Cli::new();
    let script = "trap 'stty size' WINCH; echo ready; while :; do sleep 0.01; done";
    let bundle = cli.bundle(&with_terminal(script));
    let terminal = on_terminal(cli.command().args(["run", "-b", text(&bundle), "c1"]));
    terminal.wait_for("ready\r\n");
    terminal.resize(44, 111);
    terminal.wait_for("44 111\r\n");
    cli.ok(&["kill", "c1", "KILL"]);
}

#[test]
fn exec_has_a_terminal_too() {
    let cli = Cli::new();
    let id = cli.sleeping();
    let mut terminal = on_terminal(cli.command().args(["exec", "-t", &id, "sh", "-c", "stty size; read line; exit 3"]));
    terminal.wait_for(&format!("{ROWS} {COLUMNS}\r\n"));
    terminal.type_in("\r");
    assert_eq!(terminal.end(), 3);
    assert!(terminal.echoes());
}

/// Starts a program at a terminal whose output does not fit into this pipe, of which nothing is read. Returns when some
/// of the output is in the pipe, with berth, the pipe, and the program's pid on the host.
fn unread(cli: &Cli, id: &str, script: &str) -> (std::process::Child, std::fs::File, i32) {
    use std::os::fd::AsRawFd;
    // The program must not inherit the reader.
    let (reader, writer) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC).unwrap();
    // SAFETY: the calls change nothing but the pipe and fill an integer.
    let size = unsafe { libc::fcntl(writer.as_raw_fd(), libc::F_SETPIPE_SZ, 4096) };
    assert_eq!(size, 4096);
    let pid_file = cli.path(&crate::common::unique("pid"));
    let mut command = cli.command();
    command.args(["exec", "-t", "--pid-file", text(&pid_file), id, "sh", "-c", script]);
    let child = command.stdin(Stdio::null()).stdout(writer).stderr(Stdio::null()).spawn().unwrap();
    let pending = || {
        let mut count = 0;
        // SAFETY: as above.
        assert_eq!(unsafe { libc::ioctl(reader.as_raw_fd(), libc::FIONREAD, &mut count) }, 0);
        count
    };
    eventually("there is output", || pending() > 0);
    let pid = crate::common::eventually_read(&pid_file).trim().parse().unwrap();
    (child, reader.into(), pid)
}

fn has_ended(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.is_empty() || stat.contains(") Z ")
}

const UNREAD: &str = "head -c 10000 /dev/zero | tr '\\0' x";

#[test]
fn a_slow_reader_gets_all_output_of_a_program_that_has_ended() {
    let cli = Cli::new();
    let id = cli.sleeping();
    let (mut child, mut reader, pid) = unread(&cli, &id, &format!("{UNREAD}; exit 9"));
    eventually("the program has ended", || has_ended(pid));
    // This is how slow the reader is: much slower than a stream of which no more comes.
    std::thread::sleep(std::time::Duration::from_millis(700));
    let mut output = String::new();
    reader.read_to_string(&mut output).unwrap();
    assert_eq!((output.len(), wait(&mut child)), (10_000, 9));
}

#[test]
fn a_reader_that_never_reads_does_not_keep_berth_from_ending() {
    let cli = Cli::new();
    let id = cli.sleeping();
    for signal in [libc::SIGTERM, libc::SIGHUP, libc::SIGINT] {
        let (mut child, _reader, pid) = unread(&cli, &id, UNREAD);
        eventually("the program has ended", || has_ended(pid));
        send(child.id(), signal);
        assert_eq!(wait(&mut child), 128 + signal, "the output is lost");
    }
    // The signal has ended the program itself, whose exit status does not hide that its output is lost.
    let (mut child, _reader, _) =
        unread(&cli, &id, &format!("trap 'exit 7' TERM; {UNREAD}; while :; do sleep 0.01; done"));
    send(child.id(), libc::SIGTERM);
    assert_eq!(wait(&mut child), 128 + libc::SIGTERM);
}

#[test]
fn a_container_without_a_terminal_never_gets_the_callers() {
    let cli = Cli::new();
    let bundle =
        cli.bundle(&shell("for fd in 0 1 2; do test -t $fd && echo terminal $fd; done; read line; echo \"got $line\""));
    let mut terminal = on_terminal(cli.command().args(["run", "-b", text(&bundle), "c1"]));
    terminal.type_in("typed\n");
    terminal.wait_for("got typed\r\n");
    assert_eq!(terminal.end(), 0);
    assert!(!terminal.text().contains("terminal"), "{}", terminal.text());
}

#[test]
fn orphans_of_the_container_are_reaped() {
    let cli = Cli::new();
    let mut config = shell("(sleep 1000 &); echo up; exec sleep 1000");
    // Without a pid namespace orphans are reparented to the subreaper.
    crate::common::without_namespace(&mut config, "pid");
    let bundle = cli.bundle(&config);
    let mut child = cli.command().args(["run", "-b", text(&bundle), "c1"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut bytes = [0u8; 3];
    child.stdout.take().unwrap().read_exact(&mut bytes).unwrap();
    let own = child.id();
    let init = cli.state("c1")["pid"].as_i64().unwrap() as i32;
    let orphans = || {
        let text = std::fs::read_to_string(format!("/proc/{own}/task/{own}/children")).unwrap_or_default();
        let pids = text.split_whitespace().map(|pid| pid.parse::<i32>().unwrap());
        pids.filter(|pid| *pid != init).collect::<Vec<_>>()
    };
    eventually("the orphan has come", || orphans().len() == 1);
    send(orphans()[0] as u32, libc::SIGKILL);
    // A zombie would still be listed as a child.
    eventually("the orphan was reaped", || orphans().is_empty());
    cli.ok(&["kill", "--all", "c1", "KILL"]);
    assert_eq!(wait(&mut child), 137);
}

/// Creates a container in the caller's pid namespace, whose init leaves an orphan once the file "go" exists.
fn leaving_an_orphan(cli: &Cli) -> (PathBuf, PathBuf) {
    let folder = cli.path(&crate::common::unique("shared"));
    std::fs::create_dir(&folder).unwrap();
    let script = "until test -e /shared/go; do sleep 0.01; done
        (sh -c 'echo $PPID >/shared/by'; sleep 1001 & echo $! >/shared/new; mv /shared/new /shared/orphan)
        exec sleep 1000";
    let mut config = shell(script);
    crate::common::without_namespace(&mut config, "pid");
    let mount = json!({ "destination": "/shared", "type": "bind", "source": folder, "options": ["bind", "rw"] });
    crate::common::push_mount(&mut config, mount);
    (cli.bundle(&config), folder)
}

#[test]
fn run_is_the_subreaper_by_default() {
    let cli = Cli::new();
    for (switches, comes) in [(&[][..], true), (&["--no-subreaper"], false)] {
        let (bundle, folder) = leaving_an_orphan(&cli);
        std::fs::write(folder.join("go"), "").unwrap();
        let mut command = cli.command();
        command.args(["run", "-b", text(&bundle)]).args(switches).arg("c1").stdin(Stdio::null());
        let mut child = command.spawn().unwrap();
        assert_eq!(parent_of_orphan(&folder) == child.id() as i32, comes, "{switches:?}");
        cli.ok(&["kill", "c1", "KILL"]);
        assert_eq!(wait(&mut child), 137);
    }
}
