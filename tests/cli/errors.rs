//! Bad input causes one clear error and exit status 1, and has no effect.

use serde_json::{Value, json};

use crate::common::{shell, unique};
use crate::support::*;

#[test]
fn no_bundle_and_bad_json() {
    let cli = Cli::new();
    cli.fails(1, "JSON specification file /nonexistent/config.json not found", &["create", "-b", "/nonexistent", "c1"]);
    let bundle = cli.bundle(&shell("true"));
    std::fs::write(bundle.join("config.json"), "{ nonsense").unwrap();
    cli.fails(1, "is not valid JSON", &["run", "-b", text(&bundle), "c1"]);
    std::fs::write(bundle.join("config.json"), json!({ "ociVersion": "1.2.0", "process": 3 }).to_string()).unwrap();
    cli.fails(1, "process: ", &["run", "-b", text(&bundle), "c1"]);
    assert!(!cli.root().exists(), "nothing was made");
}

#[test]
fn ids_that_are_unknown_taken_or_no_ids() {
    let cli = Cli::new();
    let bundle = cli.bundle(&shell("exec sleep 1000"));
    for verb in ["start", "state", "kill", "delete", "pause", "resume", "ps"] {
        cli.fails(1, "container does not exist", &[verb, "nope"]);
    }
    cli.fails(255, "exec failed: container does not exist", &["exec", "nope", "true"]);
    assert!(!cli.root().exists(), "a question makes no state root");
    for id in ["a/b", "..", "../x", "."] {
        cli.fails(1, "invalid container ID format", &["create", "-b", text(&bundle), id]);
        cli.fails(1, "invalid container ID format", &["state", id]);
    }
    let id = cli.sleeping();
    cli.fails(1, "container with given ID already exists", &["create", "-b", text(&bundle), &id]);
    cli.fails(1, "container with given ID already exists", &["run", "-b", text(&bundle), &id]);
    assert_eq!(cli.status(&id), "running");
}

#[test]
fn the_wrong_state_for_the_verb() {
    let cli = Cli::new();
    let id = cli.sleeping();
    cli.fails(1, "cannot start an already running container", &["start", &id]);
    cli.ok(&["kill", &id, "KILL"]);
    cli.wait_for_status(&id, "stopped");
    cli.fails(1, "cannot start a container that has stopped", &["start", &id]);
    cli.fails(255, "cannot exec in a stopped container", &["exec", &id, "true"]);
    cli.fails(1, "container not running", &["pause", &id]);
    cli.fails(1, "container not paused", &["resume", &id]);
}

#[test]
fn errors_of_starting_a_process_have_runcs_text() {
    let cli = Cli::new();
    let id = cli.sleeping();
    cli.fails(255, "error adding pid of the process to cgroups: ", &["exec", "--cgroup", "nope", &id, "true"]);
    cli.fails(255, ": .. is not a sub cgroup path", &["exec", "--cgroup", "..", &id, "true"]);
    cli.fails(255, "unknown controller \\\"nope\\\"", &["exec", "--cgroup", "nope:/", &id, "true"]);
    let directory = "chdir to cwd (\\\"/nonexistent\\\") set in config.json failed: no such file or directory";
    cli.fails(255, directory, &["exec", "--cwd", "/nonexistent", &id, "true"]);
    cli.fails(1, "exists already and has processes in it", &["run", "-b", text(&bundle_of(&cli, &id)), "c1"]);
    cli.fails(1, "container's cgroup is not empty", &["run", "-b", text(&bundle_of(&cli, &id)), "c1"]);
    let mut config = shell("true");
    config["hooks"]["prestart"] = json!([{ "path": "/bin/true" }, { "path": "/bin/false" }]);
    cli.fails(1, "error running prestart hook #1: exit status 1", &["run", "-b", text(&cli.bundle(&config)), "c1"]);
    let mut config = shell("true");
    crate::common::push_mount(&mut config, json!({ "destination": "/tmp", "type": "nofs", "source": "x" }));
    cli.fails(
        1,
        "error mounting \\\"x\\\" to rootfs at \\\"/tmp\\\": no such device",
        &["run", "-b", text(&cli.bundle(&config)), "c1"],
    );
    let linked = cli.path("linked");
    std::fs::create_dir_all(linked.join("elsewhere")).unwrap();
    std::os::unix::fs::symlink("elsewhere", linked.join("proc")).unwrap();
    let bundle = cli.bundle(&shell("true"));
    let mut config: Value =
        serde_json::from_str(&std::fs::read_to_string(bundle.join("config.json")).unwrap()).unwrap();
    config["root"]["path"] = json!(linked);
    std::fs::write(bundle.join("config.json"), config.to_string()).unwrap();
    let ordinary = "filesystem \\\"proc\\\" must be mounted on ordinary directory";
    cli.fails(1, ordinary, &["run", "-b", text(&bundle), "c1"]);
    let mut config = shell("true");
    config["linux"]["seccomp"] = json!({
        "defaultAction": "SCMP_ACT_ALLOW",
        "listenerPath": "/nonexistent/agent",
        "syscalls": [{ "names": ["mkdir"], "action": "SCMP_ACT_NOTIFY" }],
    });
    let mut policy = shell("true");
    for (member, value) in [("mode", json!("INTERLEAVE")), ("flags", json!(["x"])), ("nodes", json!("0-9876543210"))] {
        policy["linux"]["memoryPolicy"] = json!({ "mode": "MPOL_BIND", "nodes": "0", "flags": [] });
        policy["linux"]["memoryPolicy"][member] = value;
        let words = format!("invalid memory policy {}: ", member.trim_end_matches('s'));
        cli.fails(1, &words, &["run", "-b", text(&cli.bundle(&policy)), "c1"]);
    }
    let agent = "failed to connect with seccomp agent specified in the seccomp profile: no such file or directory";
    cli.fails(1, agent, &["run", "-b", text(&cli.bundle(&config)), "c1"]);
    if !std::path::Path::new("/sys/fs/cgroup/cgroup.controllers").exists() {
        let mut config = shell("true");
        config["linux"]["resources"] = json!({ "unified": { "memory.min": "131072" } });
        let unified = "invalid configuration: cannot use unified on cgroup v1";
        cli.fails(1, unified, &["run", "-b", text(&cli.bundle(&config)), "c1"]);
    }
    cli.fails(1, "Container cannot be checkpointed in stopped state", &["checkpoint", &stopped(&cli)]);
}

/// Returns the bundle of a container.
fn bundle_of(cli: &Cli, id: &str) -> std::path::PathBuf {
    cli.state(id)["bundle"].as_str().unwrap().into()
}

fn stopped(cli: &Cli) -> String {
    let id = cli.sleeping();
    cli.ok(&["kill", &id, "KILL"]);
    cli.wait_for_status(&id, "stopped");
    id
}

#[test]
fn without_a_command_the_help_is_printed() {
    let cli = Cli::new();
    assert_eq!(cli.ok(&[]), cli.ok(&["-h"]));
}

#[test]
fn a_program_that_is_missing() {
    let cli = Cli::new();
    let mut config = shell("");
    config["process"]["args"] = json!(["no-such-program"]);
    let bundle = cli.bundle(&config);
    let message = "exec: \\\"no-such-program\\\": executable file not found in $PATH";
    cli.fails(1, message, &["create", "-b", text(&bundle), "c1"]);
    cli.fails(1, message, &["run", "-b", text(&bundle), "c1"]);
    cli.fails(1, message, &["run", "-d", "-b", text(&bundle), "c1"]);
    assert_eq!(cli.ok(&["list", "-q"]), "", "nothing is left");
    let id = cli.sleeping();
    cli.fails(255, message, &["exec", &id, "no-such-program"]);
    cli.fails(255, "exec: \\\"/etc\\\": is a directory", &["exec", &id, "/etc"]);
    cli.fails(255, "exec: \\\"/etc/passwd\\\": permission denied", &["exec", &id, "/etc/passwd"]);
    config["process"]["args"] = json!(["/etc"]);
    let bundle = cli.bundle(&config);
    cli.fails(1, "exec: \\\"/etc\\\": is a directory", &["create", "-b", text(&bundle), "c1"]);
    config["process"]["args"] = json!(["/no/such"]);
    let bundle = cli.bundle(&config);
    cli.fails(
        1,
        "exec: \\\"/no/such\\\": stat /no/such: no such file or directory",
        &["run", "-b", text(&bundle), "c1"],
    );
    // A script whose interpreter is missing.
    let script = cli.path("script");
    std::fs::write(&script, "#!/nonexistent\n").unwrap();
    std::fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let mount = json!({ "destination": "/tmp", "type": "bind", "source": cli.dir.path(), "options": ["bind"] });
    config["process"]["args"] = json!(["/tmp/script"]);
    crate::common::push_mount(&mut config, mount);
    let bundle = cli.bundle(&config);
    cli.fails(1, "exec /tmp/script: no such file or directory", &["run", "-b", text(&bundle), "c1"]);
}

#[test]
fn a_state_root_that_cannot_be_written() {
    let cli = Cli::new();
    let bundle = cli.bundle(&shell("true"));
    std::fs::write(cli.path("file"), "").unwrap();
    let root = cli.path("file/state");
    let outcome = outcome_of(std::process::Command::new(env!("CARGO_BIN_EXE_berth")).args([
        "--root",
        text(&root),
        "create",
        "-b",
        text(&bundle),
        "c1",
    ]));
    assert_eq!(outcome.code, 1);
    assert!(outcome.err.contains("creating the state root") && outcome.err.contains("not a directory"), "{outcome:?}");
}

#[test]
fn without_permission_the_error_names_the_remedy() {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;
    let cli = Cli::new();
    let bundle = cli.bundle(&shell("true"));
    for path in [cli.dir.path(), bundle.as_path()] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    // The program may be in a directory that only root can search: it is opened as root.
    let program = std::fs::File::open(env!("CARGO_BIN_EXE_berth")).unwrap();
    let copy = cli.path("berth");
    std::io::copy(&mut { program }, &mut std::fs::File::create(&copy).unwrap()).unwrap();
    std::fs::set_permissions(&copy, std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = std::process::Command::new(&copy);
    command.uid(65534).gid(65534).args(["--root", text(&cli.root()), "create", "-b", text(&bundle), "c1"]);
    let outcome = outcome_of(&mut command);
    assert_eq!(outcome.code, 1, "{outcome:?}");
    assert!(outcome.err.contains("permission denied") && outcome.err.contains("run it as root"), "{outcome:?}");
}

#[test]
fn usage_errors_name_the_argument() {
    let cli = Cli::new();
    cli.fails(3, "nonsense", &["nonsense"]);
    cli.fails(1, "--nonsense", &["create", "--nonsense", "c1"]);
    cli.fails(1, "<ID>", &["state"]);
    cli.fails(1, "unknown signal \\\"NOSIG\\\"", &["kill", "c1", "NOSIG"]);
    cli.fails(1, "unknown signal \\\"1000\\\"", &["kill", "c1", "1000"]);
    cli.fails(1, "--format", &["list", "--format", "xml"]);
    cli.fails(255, "exec failed: exec args cannot be empty", &["exec", "c1"]);
}

#[test]
fn usage_errors_are_in_the_log_that_engines_read() {
    let cli = Cli::new();
    let log = cli.path("log");
    let before = ["--log", text(&log), "--log-format", "json"];
    for (code, words, after) in [
        (1, "unexpected argument '--nonsense' found", &["create", "--nonsense", "c1"][..]),
        (1, "the following required arguments were not provided: <ID>", &["state"]),
        (1, "invalid value 'xml' for '--format <FORMAT>' [possible values: table, json]", &["list", "--format", "xml"]),
        (3, "No help topic for 'nonsense'", &["nonsense"]),
    ] {
        cli.fails(code, words.split(": <").next().unwrap().split(" [").next().unwrap(), &[&before, after].concat());
        let line: Value = serde_json::from_str(&std::fs::read_to_string(&log).unwrap()).unwrap();
        assert_eq!((line["level"].as_str(), line["msg"].as_str()), (Some("error"), Some(words)));
        std::fs::remove_file(&log).unwrap();
    }
    // --help is not an error.
    cli.ok(&[&before[..], &["--help"]].concat());
    assert!(!log.exists());
}

#[test]
fn a_log_may_be_named_as_crun_has_it() {
    let cli = Cli::new();
    let log = cli.path("log");
    cli.fails(1, "container does not exist", &["--log", &format!("file:{}", text(&log)), "state", "nope"]);
    assert!(std::fs::read_to_string(&log).unwrap().contains("container does not exist"));
    for system in ["syslog:berth", "journald:berth"] {
        cli.fails(1, "name a file", &["--log", system, "list"]);
    }
}

#[test]
fn a_failed_pid_file_or_pidfd_socket_leaves_no_container() {
    let cli = Cli::new();
    let bundle = cli.bundle(&shell("exec sleep 1000"));
    for option in ["--pid-file", "--pidfd-socket"] {
        for verb in [&["create"][..], &["run", "-d"], &["run"]] {
            let args = [verb, &["-b", text(&bundle), option, "/nonexistent/x", "c1"]].concat();
            cli.fails(1, "/nonexistent/x: no such file or directory", &args);
            assert_eq!(cli.ok(&["list", "-q"]), "", "{args:?}");
        }
    }
}

#[test]
fn sockets_of_a_service_manager_must_be_open() {
    let cli = Cli::new();
    let bundle = cli.bundle(&shell("true"));
    let shell = "exec 3<&-; export LISTEN_FDS=1 LISTEN_PID=$$; exec \"$0\" \"$@\"";
    let mut command = std::process::Command::new("sh");
    command.args(["-c", shell, env!("CARGO_BIN_EXE_berth"), "--root", text(&cli.root())]);
    let outcome = outcome_of(command.args(["run", "-b", text(&bundle), &unique("c")]));
    assert_eq!(outcome.code, 1);
    assert!(outcome.err.contains("descriptor 3 is not open, but $LISTEN_FDS includes it"), "{outcome:?}");
}

#[test]
fn the_log_is_json_or_text_as_engines_parse_it() {
    let cli = Cli::new();
    let log = cli.path("log");
    let outcome = cli.berth(&["--log", text(&log), "--log-format", "json", "state", "nope"]);
    assert_eq!((outcome.code, outcome.err.as_str()), (1, "container does not exist\n"));
    let line: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(&log).unwrap()).unwrap();
    assert_eq!((&line["level"], &line["msg"]), (&json!("error"), &json!("container does not exist")));
    assert!(line["time"].as_str().unwrap().ends_with('Z'));
    cli.berth(&["--log", text(&log), "--log-format=text", "state", "nope"]);
    let text = std::fs::read_to_string(&log).unwrap();
    let second = text.lines().nth(1).expect("it is appended");
    assert!(
        second.starts_with("time=\"") && second.contains("level=error msg=\"container does not exist\""),
        "{second}"
    );
    cli.fails(1, "--log-format", &["--log-format", "xml", "list"]);
    cli.fails(1, "opening the log /nonexistent/log", &["--log", "/nonexistent/log", "list"]);
}

/// At level trace the log has the stages of the operations with their times, in order.
#[test]
fn at_the_level_trace_the_log_has_the_stages_of_the_work() {
    let cli = Cli::new();
    let (bundle, log, id) = (cli.bundle(&shell("true")), cli.path("log"), unique("c"));
    for (level, traced) in [("debug", false), ("trace", true)] {
        cli.ok(&["--log", text(&log), "--log-level", level, "run", "-b", text(&bundle), &id]);
        let logged = std::fs::read_to_string(&log).unwrap();
        let moment = |stage: &str| {
            let line = logged.lines().find(|line| line.contains(&format!("msg=\"{stage} ")))?;
            line.trim_end_matches('"').rsplit(' ').next()?.parse::<u64>().ok()
        };
        let moments = ["create.spawned", "create.ready", "start.running", "delete.cgroups"].map(moment);
        assert_eq!(moments.iter().all(Option::is_some), traced, "{level}: {logged}");
        assert!(moments.is_sorted(), "{logged}");
    }
}

#[test]
fn the_least_level_that_is_logged_can_be_chosen() {
    let cli = Cli::new();
    let mut config = shell("true");
    config["hooks"]["poststop"] = json!([{ "path": "/bin/false" }]);
    let lines = |options: &[&str], level: &str| {
        let outcome = cli.berth(&[options, &["run", "-b", text(&cli.bundle(&config)), "c1"]].concat());
        assert_eq!(outcome.code, 0, "{outcome:?}");
        outcome.err.lines().filter(|line| line.contains(&format!("level={level}"))).count()
    };
    assert_eq!((lines(&[], "warning"), lines(&[], "debug")), (1, 0));
    assert_eq!(lines(&["--log-level", "error"], "warning"), 0);
    assert_eq!((lines(&["--log-level", "warn"], "warning"), lines(&["--log-level=info"], "warning")), (1, 1));
    let debug = |options: &[&str]| lines(options, "debug");
    assert!(debug(&["--log-level=info"]) == 0 && debug(&["--log-level", "debug"]) > 0 && debug(&["--debug"]) > 0);
    assert!(debug(&["--log-level", "trace"]) > debug(&["--debug"]), "with the stages of the work");
    cli.fails(1, "--log-level", &["--log-level", "loud", "list"]);
}

#[test]
fn on_a_terminal_the_error_is_for_people() {
    let cli = Cli::new();
    let mut terminal = on_terminal(cli.command().args(["state", "nope"]));
    assert_eq!(terminal.end(), 1);
    terminal.wait_for("berth list");
    let text = terminal.text();
    assert!(
        text.starts_with("berth: container does not exist\r\n  because: container \"nope\" does not exist\r\n"),
        "{text}"
    );
    assert!(!text.contains('\u{1b}'), "NO_COLOR is set: {text:?}");
    let mut coloured = on_terminal(cli.command().env_remove("NO_COLOR").env("TERM", "xterm").args(["state", "nope"]));
    coloured.end();
    coloured.wait_for("\u{1b}[1;31mberth:");
    let outcome = outcome_of(cli.command().env_remove("NO_COLOR").env("TERM", "xterm").args(["state", "nope"]));
    assert!(!outcome.err.contains('\u{1b}'), "only on a terminal");
}

/// podman finds out in this way whether the runtime has the option.
#[test]
fn an_option_without_its_value_is_named_as_runc_does() {
    let cli = Cli::new();
    let log = cli.path("log");
    for (args, option) in [
        (&["restore", "--lsm-mount-context"][..], "--lsm-mount-context"),
        (&["restore", "-lsm-profile"], "--lsm-profile"),
        (&["checkpoint", "c1", "--work-path"], "--work-path"),
        (&["create", "c1", "-b"], "--bundle"),
        (&["exec", "--pid-file"], "--pid-file"),
        (&["--root"], "--root"),
    ] {
        let sentence = format!("flag needs an argument: {option}");
        cli.fails(1, &format!("error: {sentence}\n"), args);
        if args[0] != "--root" {
            cli.fails(1, &sentence, &[&["--log", text(&log), "--log-format", "json"], args].concat());
            let line: Value = serde_json::from_str(&std::fs::read_to_string(&log).unwrap()).unwrap();
            assert_eq!(line["msg"], json!(sentence));
            std::fs::remove_file(&log).unwrap();
        }
    }
}

#[test]
fn an_error_in_a_file_names_the_file() {
    let cli = Cli::new();
    let mut config = shell("true");
    config["process"]["cwd"] = json!("relative");
    let bundle = cli.bundle(&config);
    let file = format!("{}/config.json: process.cwd: ", text(&bundle));
    for verb in [&["create"][..], &["run"], &["restore"]] {
        cli.fails(1, &file, &[verb, &["-b", text(&bundle), "c1"]].concat());
    }
    cli.fails(1, &file, &["explain", text(&bundle)]);
    std::fs::write(bundle.join("other.json"), "{}").unwrap();
    cli.fails(1, "/other.json: ociVersion", &["create", "-b", text(&bundle), "-f", "other.json", "c1"]);
    let id = cli.sleeping();
    let process = cli.path("process.json");
    for (content, words) in [
        ("{ \"args\": [\"true\"], \"cwd\": \"relative\" }", ": cwd: "),
        ("{ \"args\": 3, \"cwd\": \"/\" }", ": args: "),
        ("[]", ": the process is not a JSON object"),
        ("{", " is not valid JSON"),
    ] {
        std::fs::write(&process, content).unwrap();
        cli.fails(255, &format!("exec failed: {}{words}", text(&process)), &["exec", "-p", text(&process), &id]);
    }
    cli.fails(255, "reading /nonexistent", &["exec", "--process", "/nonexistent", &id]);
}

/// A pid file is never written through what somebody else has put there, nor waited for.
#[test]
fn a_pid_file_is_a_new_file() {
    let cli = Cli::new();
    let bundle = cli.bundle(&shell("exec sleep 1000"));
    let precious = cli.path("precious");
    std::fs::write(&precious, "precious").unwrap();
    for (index, name) in ["pid", ".pid"].iter().enumerate() {
        std::os::unix::fs::symlink(&precious, cli.path(name)).unwrap();
        let id = format!("c{index}");
        cli.ok(&["create", "-b", text(&bundle), "--pid-file", text(&cli.path("pid")), &id]);
        assert_eq!(std::fs::read_to_string(&precious).unwrap(), "precious");
        assert_eq!(std::fs::read_to_string(cli.path("pid")).unwrap(), cli.state(&id)["pid"].to_string());
        cli.ok(&["delete", "-f", &id]);
    }
    let fifo = cli.path("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    cli.fails(1, "is not a regular file", &["create", "-b", text(&bundle), "--pid-file", text(&fifo), "c3"]);
    cli.fails(1, "no such device or address", &["--log", text(&fifo), "list"]);
    assert_eq!(cli.ok(&["list", "-q"]), "");
    // A socket whose program accepts nothing is an error, too.
    let socket = cli.path("socket");
    let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    cli.ok(&["create", "-b", text(&bundle), "--pidfd-socket", text(&socket), "c4"]);
    cli.ok(&["delete", "-f", "c4"]);
    drop(listener);
    cli.fails(1, "connection refused", &["create", "-b", text(&bundle), "--pidfd-socket", text(&socket), "c5"]);
}
