//! Tests of exec with each of its options.

use std::io::Read;
use std::os::unix::net::UnixListener;

use serde_json::json;

use crate::common::{cgroup_of_state, eventually, shell};
use crate::support::*;

#[test]
fn its_exit_status_is_the_programs() {
    let cli = Cli::new();
    let id = cli.sleeping();
    assert_eq!(cli.berth(&["exec", &id, "sh", "-c", "exit 7"]).code, 7);
    assert_eq!(cli.berth(&["exec", &id, "sh", "-c", "kill -TERM $$"]).code, 128 + libc::SIGTERM);
    let outcome = cli.berth(&["exec", &id, "sh", "-c", "echo out; echo err >&2"]);
    assert_eq!((outcome.out.as_str(), outcome.err.as_str()), ("out\n", "err\n"));
}

/// CVE-2026-30892: crun took the user 1 for root. As with runc, a user without a group has the group 0.
#[test]
fn the_user_1_is_not_root() {
    let cli = Cli::new();
    let id = cli.sleeping();
    for option in [&["-u", "1"][..], &["--user", "1"], &["--user=1"]] {
        let ids = cli.ok(&[&["exec"], option, &[id.as_str(), "sh", "-c", "id -u; id -g; id -G"]].concat());
        assert_eq!(ids, "1\n0\n0\n", "{option:?}");
    }
    let ids = |user: &str| cli.ok(&["exec", "-u", user, &id, "sh", "-c", "id -u; id -g"]);
    assert_eq!(ids("1:1"), "1\n1\n");
    assert_eq!(ids("0:1"), "0\n1\n");
}

#[test]
fn options_change_what_the_containers_own_process_has() {
    let cli = Cli::new();
    let id = cli.sleeping();
    let sh =
        |options: &[&str], script: &str| cli.ok(&[&["exec"], options, &[id.as_str(), "sh", "-c", script]].concat());
    assert_eq!(sh(&[], "pwd; id -u; echo $TERM"), "/\n0\nxterm\n");
    assert_eq!(sh(&["--cwd", "/tmp"], "pwd"), "/tmp\n");
    assert_eq!(sh(&["-e", "A=1", "--env", "B=two words"], "echo $A $B $TERM"), "1 two words xterm\n");
    assert_eq!(sh(&["--user", "1000"], "id -u; id -g"), "1000\n0\n");
    assert_eq!(sh(&["-u", "1000:1001", "-g", "5", "--additional-gids", "6"], "id -u; id -G"), "1000\n1001 5 6\n");
    let status = "grep -E 'CapEff|CapBnd' /proc/self/status";
    let net_admin = sh(&["--cap", "CAP_NET_ADMIN"], status);
    assert_eq!(net_admin, "CapEff:\t0000000020001420\nCapBnd:\t0000000020001420\n");
    // An unknown capability causes a warning and is not granted, as with runc.
    let outcome = cli.berth(&["exec", "--cap", "NET_ADMIN", &id, "grep", "CapEff", "/proc/self/status"]);
    assert_eq!((outcome.code, outcome.out.as_str()), (0, "CapEff:\t0000000020000420\n"));
    assert!(outcome.err.contains("level=warning") && outcome.err.contains("NET_ADMIN"), "{}", outcome.err);
    let mut unheld = shell("true");
    unheld["process"]["capabilities"]["ambient"] = json!(["CAP_CHOWN"]);
    let outcome = cli.berth(&["run", "-b", text(&cli.bundle(&unheld)), "c1"]);
    assert!(outcome.code == 0 && outcome.err.contains("can't raise ambient capability CAP_CHOWN: "), "{outcome:?}");
    // The last of two values is the one that the program, and the search for it, sees.
    let twice = ["-e", "TERM=dumb", "-e", "TERM=vt100"];
    assert_eq!(sh(&twice, "env | grep -c '^TERM='; echo $TERM"), "1\nvt100\n");
    assert_eq!(sh(&["-e", "PATH=/nowhere:/bin"], "echo $PATH"), "/nowhere:/bin\n");
    cli.fails(255, "executable file not found", &["exec", "-e", "PATH=/nowhere", &id, "sh"]);
    let mut config = shell("exec sleep 1000");
    config["process"]["noNewPrivileges"] = json!(false);
    let other = cli.running(&config);
    let privileges = |option: &[&str]| {
        cli.ok(&[&["exec"], option, &[other.as_str(), "grep", "NoNewPrivs", "/proc/self/status"]].concat())
    };
    assert_eq!(privileges(&[]), "NoNewPrivs:\t0\n");
    assert_eq!(privileges(&["--no-new-privs"]), "NoNewPrivs:\t1\n");
}

#[test]
fn options_stand_before_or_after_the_id_and_end_with_the_command() {
    let cli = Cli::new();
    let id = cli.sleeping();
    assert_eq!(cli.ok(&["exec", &id, "--cwd", "/tmp", "pwd"]), "/tmp\n");
    assert_eq!(cli.ok(&["exec", "--cwd=/tmp", &id, "echo", "--cwd", "/", "-t"]), "--cwd / -t\n");
    assert_eq!(cli.ok(&["exec", &id, "--", "echo", "-t"]), "-t\n");
}

#[test]
fn a_file_has_the_process() {
    let cli = Cli::new();
    let id = cli.sleeping();
    let file = cli.path("process.json");
    let process = json!({
        "user": { "uid": 12, "gid": 13 }, "args": ["sh", "-c", "id -u; id -g; pwd; echo $X"],
        "env": ["PATH=/bin", "X=file"], "cwd": "/bin",
    });
    std::fs::write(&file, process.to_string()).unwrap();
    assert_eq!(cli.ok(&["exec", "--process", text(&file), &id]), "12\n13\n/bin\nfile\n");
    assert_eq!(cli.ok(&["exec", &id, "-p", text(&file), "-e", "X=option"]), "12\n13\n/bin\noption\n");
    std::fs::write(&file, "{").unwrap();
    cli.fails(255, "is not valid JSON", &["exec", "--process", text(&file), &id]);
    cli.fails(255, "reading /nonexistent: no such file", &["exec", "--process", "/nonexistent", &id]);
}

#[test]
fn wrong_values_are_refused_by_name() {
    let cli = Cli::new();
    let id = cli.sleeping();
    cli.fails(255, "\\\"root\\\" is not a number", &["exec", "--user", "root", &id, "true"]);
    cli.fails(255, "cwd", &["exec", "--cwd", "relative", &id, "true"]);
    cli.fails(255, "exec args cannot be empty", &["exec", &id]);
}

#[test]
fn detached_with_a_pid_file() {
    let cli = Cli::new();
    let id = cli.sleeping();
    let pid_file = cli.path("pid");
    cli.ok(&["exec", "--detach", "--pid-file", text(&pid_file), &id, "sleep", "1001"]);
    let pid = std::fs::read_to_string(&pid_file).unwrap();
    let command = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap();
    assert_eq!(command, b"sleep\x001001\0");
    let pids: Vec<i32> = serde_json::from_str(&cli.ok(&["ps", "--format", "json", &id])).unwrap();
    assert!(pids.contains(&pid.parse().unwrap()));
    cli.fails(255, "/nonexistent/pid", &["exec", "-d", "--pid-file", "/nonexistent/pid", &id, "sleep", "1002"]);
    eventually("no process is left of the failed exec", || !cli.ok(&["ps", &id]).contains("sleep 1002"));
}

#[test]
fn the_console_and_pidfd_sockets() {
    let cli = Cli::new();
    let id = cli.sleeping();
    let socket = cli.path("socket");
    let listener = UnixListener::bind(&socket).unwrap();
    let console = ["--console-socket", text(&socket)];
    cli.ok(&[&["exec", "-d", "-t"], &console[..], &[&id, "sh", "-c", "tty; exec sleep 1000"]].concat());
    let mut bytes = [0u8; 64];
    let count = std::fs::File::from(received(listener)).read(&mut bytes).unwrap();
    assert_eq!(&bytes[..count], b"/dev/pts/0\r\n");
    let listener = UnixListener::bind(cli.path("pidfd")).unwrap();
    cli.ok(&["exec", "-d", "--pidfd-socket", text(&cli.path("pidfd")), &id, "sleep", "1000"]);
    received(listener);
    cli.fails(255, "cannot allocate tty if berth will detach", &["exec", "-d", "-t", &id, "true"]);
    cli.fails(255, "cannot use console socket", &["exec", "--console-socket", text(&socket), &id, "true"]);
}

#[test]
fn in_a_paused_container_exec_waits_if_asked_to() {
    let cli = Cli::new();
    let id = cli.sleeping();
    cli.ok(&["pause", &id]);
    let mut waiting = cli.command();
    waiting.args(["exec", "--ignore-paused", &id, "sh", "-c", "exit 9"]).stdin(std::process::Stdio::null());
    let mut waiting = waiting.spawn().unwrap();
    eventually("the process is in the container", || cli.ok(&["ps", "-f", "json", &id]).contains(','));
    assert!(waiting.try_wait().unwrap().is_none());
    assert_eq!(cli.status(&id), "paused");
    cli.ok(&["resume", &id]);
    assert_eq!(wait(&mut waiting), 9);
}

#[test]
fn preserved_descriptors_are_passed_in_order() {
    let cli = Cli::new();
    let id = cli.sleeping();
    for args in [vec!["exec", "--preserve-fds", "2", &id], vec!["exec", &id, "--preserve-fds=2"]] {
        let script = "cat <&3; cat <&4; ls /proc/self/fd | wc -l";
        let shell = format!("exec \"$0\" \"$@\" 3<{0}/three 4<{0}/four", cli.dir.path().display());
        std::fs::write(cli.path("three"), "three\n").unwrap();
        std::fs::write(cli.path("four"), "four\n").unwrap();
        let mut command = std::process::Command::new("sh");
        command.args(["-c", &shell, env!("CARGO_BIN_EXE_berth"), "--root", text(&cli.root())]);
        let outcome = outcome_of(command.args(&args).args(["sh", "-c", script]));
        // Descriptors 0 to 4, and the one that lists the directory.
        assert_eq!((outcome.code, outcome.out.as_str()), (0, "three\nfour\n6\n"), "{outcome:?}");
    }
}

/// As with crun; for exec also with runc.
#[test]
fn descriptors_to_preserve_may_be_closed() {
    let cli = Cli::new();
    let id = cli.sleeping();
    let script = "for fd in 3 4 5 6; do if test -e /proc/$$/fd/$fd; then echo $fd; fi; done";
    let bundle = cli.bundle(&shell(script));
    // The log's descriptor gets the number 4, and is not passed.
    let log = cli.path("log");
    let shell = "exec 3</dev/null 4<&- 5</dev/null 6<&-; exec \"$0\" \"$@\"";
    let run = ["run", "--preserve-fds", "100", "-b", text(&bundle), "c1"];
    let exec = ["exec", "--preserve-fds=100", &id, "sh", "-c", script];
    for args in [&run[..], &exec] {
        let mut command = std::process::Command::new("sh");
        command.args(["-c", shell, env!("CARGO_BIN_EXE_berth"), "--root", text(&cli.root()), "--log", text(&log)]);
        let outcome = outcome_of(command.args(args));
        assert_eq!((outcome.code, outcome.out.as_str()), (0, "3\n5\n"), "{outcome:?}");
    }
}

#[test]
fn sockets_of_a_service_manager_are_announced() {
    let cli = Cli::new();
    let id = cli.sleeping();
    std::fs::write(cli.path("three"), "three\n").unwrap();
    // LISTEN_PID must be the pid of the program itself.
    let shell =
        format!("exec 3<{}/three; export LISTEN_FDS=1 LISTEN_PID=$$; exec \"$0\" \"$@\"", cli.dir.path().display());
    let mut command = std::process::Command::new("sh");
    command.args(["-c", &shell, env!("CARGO_BIN_EXE_berth"), "--root", text(&cli.root()), "exec", &id]);
    let outcome = outcome_of(command.args(["sh", "-c", "cat <&3; echo $LISTEN_FDS $LISTEN_PID"]));
    assert_eq!((outcome.code, outcome.out.as_str()), (0, "three\n1 1\n"), "{outcome:?}");
}

#[test]
fn a_process_goes_into_a_cgroup_below_the_containers() {
    let cli = Cli::new();
    let id = cli.sleeping();
    let found = ["pids", ""].iter().find_map(|name| Some((*name, cgroup_of_state(&cli.root(), &id, name)?)));
    let (controller, place) = found.expect("there is a hierarchy");
    std::fs::create_dir(place.join("below")).unwrap();
    let pid_file = cli.path("pid");
    let cgroup = if controller.is_empty() { ":/below".to_owned() } else { format!("{controller}:/below") };
    cli.ok(&["exec", "-d", "--pid-file", text(&pid_file), "--cgroup", &cgroup, &id, "sleep", "1000"]);
    let pid = std::fs::read_to_string(&pid_file).unwrap();
    assert_eq!(std::fs::read_to_string(place.join("below/cgroup.procs")).unwrap().trim(), pid);
    cli.fails(255, "there is no cgroup", &["exec", "--cgroup", "/nothing", &id, "true"]);
}

/// Neither the profile nor the label exists on any machine, with or without the security module.
#[test]
fn labels_that_cannot_be_had_are_refused_by_name() {
    let cli = Cli::new();
    let id = cli.sleeping();
    cli.ok(&["exec", &id, "true"]);
    cli.fails(255, "apparmor", &["exec", "--apparmor", "berth-no-such-profile", &id, "true"]);
    cli.fails(255, "selinux", &["exec", "--process-label", "berth:no:such:label", &id, "true"]);
}

/// In the words of runc's log, which scripts look for.
#[test]
fn the_debug_log_has_the_cpu_affinity_and_the_scheduler() {
    let cli = Cli::new();
    let mut config = shell("exec sleep 1000");
    config["process"]["scheduler"] = json!({ "policy": "SCHED_BATCH", "nice": 5 });
    config["process"]["execCPUAffinity"] = json!({ "initial": " 0 , ", "final": "0 - 0" });
    let bundle = cli.bundle(&config);
    let created = cli.berth(&["--debug", "create", "-b", text(&bundle), "c1"]);
    let stages = ["nsexec container setup", "child process in init()", "setns_init: about to exec"];
    let of_create = [stages[0], stages[1], "init: closing the pipe to signal completion"];
    assert!(of_create.iter().all(|stage| created.err.contains(stage)), "{}", created.err);
    assert!(created.code == 0 && created.err.contains("setting the scheduler SCHED_BATCH"), "{created:?}");
    cli.ok(&["start", "c1"]);
    let outcome = cli.berth(&["--debug", "exec", "c1", "grep", "Cpus_allowed_list", "/proc/self/status"]);
    assert_eq!((outcome.code, outcome.out.as_str()), (0, "Cpus_allowed_list:\t0\n"));
    assert!(stages.iter().all(|stage| outcome.err.contains(stage)), "{}", outcome.err);
    assert_eq!(outcome.err.matches("nsexec: affinity: 0x1\"").count(), 2, "{}", outcome.err);
    assert!(outcome.err.contains("setting the scheduler SCHED_BATCH"), "{}", outcome.err);
}
