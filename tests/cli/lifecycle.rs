//! Tests of create, start, run, kill, pause, resume and delete.

use std::io::Read;
use std::os::unix::net::UnixListener;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;

use crate::common::{eventually, eventually_read, shell, unique, without_namespace};
use crate::support::*;

#[test]
fn created_started_killed_and_deleted() {
    let cli = Cli::new();
    let output = cli.path("out");
    let bundle = cli.bundle(&shell("echo started; exec sleep 1000"));
    let pid_file = cli.path("pid");
    let created =
        outcome_of(cli.command().args(["create", "--bundle", text(&bundle), "--pid-file", text(&pid_file), "c1"]));
    assert_eq!(created.code, 0, "{created:?}");
    let state = cli.state("c1");
    assert_eq!(state["status"], "created");
    assert_eq!(std::fs::read_to_string(&pid_file).unwrap(), state["pid"].to_string());
    cli.ok(&["start", "c1"]);
    assert_eq!(cli.status("c1"), "running");
    cli.fails(1, "cannot delete container c1 that is not stopped: running", &["delete", "c1"]);
    cli.ok(&["kill", "c1", "KILL"]);
    cli.wait_for_status("c1", "stopped");
    assert_eq!(cli.state("c1")["pid"], 0);
    cli.fails(1, "container not running", &["kill", "c1"]);
    cli.ok(&["delete", "c1"]);
    cli.fails(1, "container does not exist", &["delete", "c1"]);
    assert!(!output.exists());
}

#[test]
fn options_stand_before_or_after_the_id() {
    let cli = Cli::new();
    let [a, b, c] = [(); 3].map(|()| cli.bundle(&shell("exec sleep 1000")));
    let pid_file = cli.path("pid");
    for (id, args) in [
        ("a", vec!["run", "-d", "-b", text(&a), "--pid-file", text(&pid_file), "a"]),
        ("b", vec!["run", "b", "-d", "-b", text(&b), "--pid-file", text(&pid_file)]),
        ("c", vec!["run", "--detach", "c", &format!("--bundle={}", text(&c)), "--pid-file", text(&pid_file)]),
    ] {
        cli.ok(&args);
        assert_eq!(std::fs::read_to_string(&pid_file).unwrap(), cli.state(id)["pid"].to_string());
    }
    cli.ok(&["delete", "a", "--force"]);
    cli.ok(&["delete", "-f", "b"]);
    cli.ok(&["kill", "c", "--all", "SIGKILL"]);
}

#[test]
fn long_options_may_have_a_single_dash_as_in_go() {
    let cli = Cli::new();
    let bundle = cli.bundle(&shell("exec sleep 1000"));
    let pid_file = cli.path("pid");
    let outcome = outcome_of(
        std::process::Command::new(env!("CARGO_BIN_EXE_berth"))
            .args(["-root", text(&cli.root()), "run", "-detach", "-bundle", text(&bundle)])
            .args([&format!("-pid-file={}", text(&pid_file)), "c1"]),
    );
    assert_eq!((outcome.code, outcome.err.as_str()), (0, ""), "{outcome:?}");
    assert_eq!(std::fs::read_to_string(&pid_file).unwrap(), cli.state("c1")["pid"].to_string());
    let output = cli.ok(&["exec", "-env", "A=1", "-cwd", "/tmp", "c1", "sh", "-c", "echo $A $PWD $*", "-env", "-cwd"]);
    assert_eq!(output, "1 /tmp -cwd\n", "the program's own are left to it");
    let twice = ["exec", "--cwd", "/", "-e", "A=1", "--cwd", "/tmp", "-e", "B=2", "c1", "sh", "-c", "echo $PWD $A $B"];
    let outcome = cli.berth(&[&["--root", "/nonexistent", "--root", text(&cli.root())], &twice[..]].concat());
    assert_eq!(
        (outcome.code, outcome.out.as_str()),
        (0, "/tmp 1 2\n"),
        "of one that is given twice the last one counts: {outcome:?}"
    );
    cli.fails(1, "unexpected argument '-n'", &["run", "-nonsense", "c2"]);
}

#[test]
fn switches_may_have_a_value() {
    let cli = Cli::new();
    let bundle = cli.bundle(&shell("exec sleep 1000"));
    cli.ok(&["--debug=false", "run", "--detach=true", "-b", text(&bundle), "c1"]);
    assert_eq!(cli.ok(&["exec", "-d=false", "--tty=0", "c1", "echo", "--x=true"]), "--x=true\n");
    cli.fails(1, "not stopped", &["delete", "--force=false", "c1"]);
    cli.fails(1, "--force", &["delete", "--force=perhaps", "c1"]);
}

/// Empty arguments, as scripts with empty variables pass them.
#[test]
fn an_empty_value_is_as_none() {
    let cli = Cli::new();
    let bundle = cli.bundle(&shell("exec sleep 1000"));
    let create = ["--log", "", "create", "--pid-file", "", "--console-socket=", "-b", text(&bundle), "c1"];
    cli.ok(&create);
    cli.ok(&["start", "c1"]);
    assert_eq!(
        cli.ok(&["exec", "-u", "", "--cwd", "", "-p", "", "c1", "sh", "-c", "echo $(id -u) $PWD$0", ""]),
        "0 /\n"
    );
    cli.ok(&["update", "--cpu-quota", "", "--resources", "", "c1"]);
    let other = cli.bundle(&shell("true"));
    cli.ok(&["create", "--no-subreaper", "-b", text(&other), "c2"]);
    cli.ok(&["kill", "c1", ""]);
    cli.fails(255, "env[2]: \\\"\\\" is not an environment variable", &["exec", "-e", "", "c1", "true"]);
    cli.fails(1, "container id cannot be empty", &["state", ""]);
}

#[test]
fn a_container_that_was_never_started_is_deleted_without_force() {
    let cli = Cli::new();
    let bundle = cli.bundle(&shell("true"));
    cli.ok(&["create", "--bundle", text(&bundle), "c1"]);
    cli.ok(&["delete", "c1"]);
    assert_eq!(cli.ok(&["list", "-q"]), "");
}

#[test]
fn a_forced_delete_kills_and_accepts_a_missing_container() {
    let cli = Cli::new();
    let id = cli.sleeping();
    cli.ok(&["delete", "--force", &id]);
    cli.ok(&["delete", "--force", &id]);
    cli.fails(1, "container does not exist", &["state", &id]);
}

/// As with runc: without a pid namespace of their own the other processes outlive init.
#[test]
fn kill_reaches_all_processes_of_a_container_in_the_pid_namespace_of_the_host() {
    let cli = Cli::new();
    for init_is_there in [true, false] {
        let mut config = shell("sleep 1000 & exec sleep 1000");
        without_namespace(&mut config, "pid");
        let id = cli.running(&config);
        let pids = || serde_json::from_str::<Vec<i32>>(&cli.ok(&["ps", "-f", "json", &id])).unwrap();
        eventually("both processes are there", || pids().len() == 2);
        let (pids, init) = (pids(), cli.state(&id)["pid"].as_i64().unwrap() as i32);
        if !init_is_there {
            kill(Pid::from_raw(init), Signal::SIGKILL).unwrap();
            cli.wait_for_status(&id, "stopped");
        }
        cli.ok(&["kill", &id, "KILL"]);
        // A zombie has no command line.
        let runs = |pid: &i32| std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| !line.is_empty());
        eventually("both processes ended", || !pids.iter().any(runs));
        cli.ok(&["delete", &id]);
    }
}

#[test]
fn signals_have_names_and_numbers_and_go_to_init_or_to_all() {
    let cli = Cli::new();
    for signal in ["KILL", "SIGKILL", "kill", "9"] {
        let id = cli.sleeping();
        cli.ok(&["kill", &id, signal]);
        cli.wait_for_status(&id, "stopped");
    }
    let shared = |id: &str| cli.dir.path().join(format!("shared-{id}"));
    // init waits for the child's message, because the kernel kills the other processes when init exits.
    let script = "trap 'until test -s /shared/child; do sleep 0.01; done; echo init >/shared/init; exit 0' TERM
        (trap 'echo child >/shared/child; exit 0' TERM; echo up >/shared/up; while :; do sleep 0.01; done) &
        while :; do sleep 0.01; done";
    let mut config = shell(script);
    let folder = shared("x");
    std::fs::create_dir(&folder).unwrap();
    crate::common::push_mount(
        &mut config,
        json!({ "destination": "/shared", "type": "bind", "source": folder, "options": ["bind", "rw"] }),
    );
    let id = cli.running(&config);
    eventually_read(&folder.join("up"));
    cli.ok(&["kill", "--all", &id]);
    eventually_read(&folder.join("child"));
    eventually_read(&folder.join("init"));
    cli.wait_for_status(&id, "stopped");
}

#[test]
fn paused_and_resumed() {
    let cli = Cli::new();
    let id = cli.sleeping();
    cli.fails(1, "container not paused", &["resume", &id]);
    cli.ok(&["pause", &id]);
    assert_eq!(cli.status(&id), "paused");
    cli.fails(1, "container not running", &["pause", &id]);
    cli.fails(255, "cannot exec in a paused container (use --ignore-paused to override)", &["exec", &id, "true"]);
    cli.ok(&["resume", &id]);
    assert_eq!(cli.status(&id), "running");
    cli.ok(&["pause", &id]);
    cli.ok(&["kill", &id, "KILL"]);
    cli.wait_for_status(&id, "stopped");
}

#[test]
fn regular_expressions_name_containers_as_with_crun() {
    let cli = Cli::new();
    for id in ["web-1", "web-2", "db-1"] {
        let bundle = cli.bundle(&shell("exec sleep 1000"));
        cli.ok(&["run", "-d", "-b", text(&bundle), id]);
    }
    cli.ok(&["kill", "--regex", "^web-", "KILL"]);
    cli.wait_for_status("web-1", "stopped");
    cli.wait_for_status("web-2", "stopped");
    assert_eq!(cli.status("db-1"), "running");
    cli.ok(&["delete", "--force", "--regex", "^web-"]);
    assert_eq!(cli.ok(&["list", "--quiet"]), "db-1\n");
    cli.fails(1, "is not a regular expression", &["delete", "--regex", "("]);
}

#[test]
fn another_file_than_config_json_with_the_current_folder_as_bundle() {
    let cli = Cli::new();
    let bundle = cli.bundle(&shell("exit 1"));
    let mut config = shell("exit 5");
    config["root"]["path"] = json!(crate::common::rootfs());
    std::fs::write(bundle.join("other.json"), config.to_string()).unwrap();
    let outcome = outcome_of(cli.command().args(["run", "--config", "other.json", "c1"]).current_dir(&bundle));
    assert_eq!(outcome.code, 5, "{outcome:?}");
}

#[test]
fn a_pidfd_of_init_goes_to_the_socket() {
    let cli = Cli::new();
    let socket = cli.path("socket");
    let listener = UnixListener::bind(&socket).unwrap();
    let bundle = cli.bundle(&shell("exec sleep 1000"));
    cli.ok(&["run", "-d", "--pidfd-socket", text(&socket), "-b", text(&bundle), "c1"]);
    let pidfd = received(listener);
    let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", std::os::fd::AsRawFd::as_raw_fd(&pidfd)));
    let pid = info.unwrap().lines().find_map(|line| line.strip_prefix("Pid:").map(str::trim).map(str::to_owned));
    assert_eq!(pid.unwrap(), cli.state("c1")["pid"].to_string());
}

#[test]
fn the_terminal_goes_to_the_console_socket() {
    let cli = Cli::new();
    let socket = cli.path("socket");
    let listener = UnixListener::bind(&socket).unwrap();
    let bundle = cli.bundle(&with_terminal("tty; exec sleep 1000"));
    cli.ok(&["create", "--console-socket", text(&socket), "-b", text(&bundle), "c1"]);
    let mut master = std::fs::File::from(received(listener));
    cli.ok(&["start", "c1"]);
    let mut bytes = [0u8; 64];
    let count = master.read(&mut bytes).unwrap();
    assert_eq!(&bytes[..count], b"/dev/pts/0\r\n");
}

#[test]
fn a_terminal_needs_a_console_socket_when_detached() {
    let cli = Cli::new();
    let bundle = cli.bundle(&with_terminal("true"));
    let without = cli.bundle(&shell("true"));
    let cannot = "cannot allocate tty if berth will detach without setting console socket";
    cli.fails(1, cannot, &["create", "-b", text(&bundle), &unique("c")]);
    cli.fails(1, cannot, &["run", "-d", "-b", text(&bundle), &unique("c")]);
    let cannot = "cannot use console socket if berth will not detach or allocate tty";
    cli.fails(1, cannot, &["create", "--console-socket", "/x", "-b", text(&without), &unique("c")]);
    cli.fails(1, cannot, &["run", "--console-socket", "/x", "-b", text(&bundle), &unique("c")]);
    assert_eq!(cli.ok(&["list", "-q"]), "");
}

#[test]
fn without_cgroups_a_container_stays_in_the_callers() {
    let cli = Cli::new();
    let without = |args: &[&str]| cli.berth(&[&["--cgroup-manager=disabled"], args].concat());
    let limited = cli.bundle(&shell("true"));
    let outcome = without(&["run", "-b", text(&limited), "c1"]);
    assert!(outcome.code == 1 && outcome.err.contains("linux.resources.devices"), "not silently without: {outcome:?}");
    let mut config = shell("exec sleep 1000");
    config["linux"].as_object_mut().unwrap().remove("resources");
    let bundle = cli.bundle(&config);
    assert_eq!(without(&["run", "-d", "-b", text(&bundle), "c1"]).code, 0);
    let cgroup = |pid: &str| std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    assert_eq!(cgroup(&cli.state("c1")["pid"].to_string()), cgroup("self"));
    cli.fails(1, "pausing needs a cgroup", &["pause", "c1"]);
    cli.fails(1, "needs a cgroup", &["events", "--stats", "c1"]);
    cli.fails(1, "needs a cgroup", &["update", "--pids-limit", "5", "c1"]);
    cli.ok(&["exec", "c1", "true"]);
    cli.ok(&["exec", "-d", "c1", "sleep", "1000"]);
    cli.ok(&["kill", "--all", "c1", "KILL"]);
    cli.wait_for_status("c1", "stopped");
    cli.ok(&["delete", "c1"]);
    crate::common::without_namespace(&mut config, "pid");
    let outcome = without(&["run", "-b", text(&cli.bundle(&config)), "c1"]);
    assert!(
        outcome.code == 1 && outcome.err.contains("linux.namespaces: without cgroups the container needs"),
        "{outcome:?}"
    );
    assert_eq!(cli.ok(&["list", "-q"]), "");
}

#[test]
fn without_pivoting_the_root_is_moved() {
    let cli = Cli::new();
    let bundle = cli.bundle(&shell("ls /; exit 3"));
    let pivoted = cli.berth(&["run", "-b", text(&bundle), "c1"]);
    let moved = cli.berth(&["run", "--no-pivot", "-b", text(&bundle), "c1"]);
    assert_eq!((moved.code, &moved.out), (3, &pivoted.out), "{moved:?}");
    cli.ok(&["create", "--no-pivot", "-b", text(&bundle), "c1"]);
    let record = std::fs::read_to_string(cli.root().join("c1/state.json")).unwrap();
    assert!(record.contains("\"no_pivot\":true"), "{record}");
}

/// Engines read standard error as the container's own, and runc and crun say nothing of such configurations.
#[test]
fn a_configuration_of_a_later_minor_version_runs_with_a_warning() {
    let cli = Cli::new();
    let mut config = shell("echo hi");
    config["ociVersion"] = json!("1.4.0");
    let device = json!({ "type": "c", "path": "/dev/fuse", "major": 10, "minor": 229 });
    config["linux"]["devices"] = json!([device, device]);
    let bundle = cli.bundle(&config);
    assert_eq!(cli.ok(&["run", "-b", text(&bundle), "c1"]), "hi\n");
    let log = cli.path("log");
    assert_eq!(cli.ok(&["--log", text(&log), "run", "-b", text(&bundle), "c2"]), "hi\n");
    let logged = std::fs::read_to_string(&log).unwrap();
    assert_eq!(logged.matches("level=warning").count(), 2, "{logged}");
    assert_eq!(logged.matches("is newer than 1.3.0").count(), 1, "{logged}");
}
