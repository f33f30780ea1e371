//! The container's process has exactly the attributes of its specification: identity, limits, environment, working
//! directory.

mod common;

use std::os::fd::AsRawFd;

use berth::{Code, ExitStatus, ProcessOptions, Stage};
use common::*;
use serde_json::{Value, json};

fn run_status(config: &Value) -> String {
    TestRuntime::new().stdout_of(config)
}

const READ_STATUS: &str = "exec cat /proc/self/status";

#[test]
fn user_group_and_additional_groups_are_exact() {
    for (user, expected) in [
        (json!({ "uid": 0, "gid": 0 }), ["0", "0", ""]),
        (json!({ "uid": 1000, "gid": 1000 }), ["1000", "1000", ""]),
        (json!({ "uid": 1000, "gid": 5, "additionalGids": [100, 7] }), ["1000", "5", "7 100"]),
        (json!({ "uid": 4_294_967_294u32, "gid": 4_294_967_294u32 }), ["4294967294", "4294967294", ""]),
    ] {
        let mut config = shell(READ_STATUS);
        config["process"]["user"] = user;
        let status = run_status(&config);
        let same = |id: &str| [id; 4].join("\t");
        assert_eq!(status_line(&status, "Uid"), same(expected[0]));
        assert_eq!(status_line(&status, "Gid"), same(expected[1]));
        assert_eq!(status_line(&status, "Groups"), expected[2]);
    }
}

#[test]
fn the_umask_is_the_given_one_or_022() {
    for (umask, expected) in
        [(json!(null), "0022"), (json!(0), "0000"), (json!(0o077), "0077"), (json!(0o1022), "0022")]
    {
        let mut config = shell(READ_STATUS);
        config["process"]["user"]["umask"] = umask;
        assert_eq!(status_line(&run_status(&config), "Umask"), expected);
    }
}

#[test]
fn a_missing_working_directory_is_made() {
    let test = TestRuntime::new();
    let mut config = shell("pwd; stat -c %a:%u .");
    writable(&mut config);
    config["process"]["cwd"] = json!("/opt/some/where/new");
    let bundle = test.bundle("b", &config);
    let config = berth::spec::Config::from_bundle(&bundle).unwrap();
    let container = berth::Container::run(&test.runtime, &unique("cwd"), &config, &piped()).unwrap();
    assert_eq!(read_all(&container.init_process().unwrap()), "/opt/some/where/new\n755:0\n");
}

#[test]
fn a_working_directory_that_is_a_file_is_an_error() {
    let test = TestRuntime::new();
    let mut config = shell("pwd");
    config["process"]["cwd"] = json!("/etc/passwd");
    let error = test.run(&config, &quiet()).unwrap_err();
    assert_eq!((error.code, error.stage, error.errno), (Code::System, Stage::Init, Some(nix::errno::Errno::ENOTDIR)));
    assert!(error.message.contains("/etc/passwd"), "{error}");
    assert!(test.runtime.ids().unwrap().is_empty());
}

#[test]
fn a_working_directory_that_only_the_user_may_enter_is_entered() {
    let test = TestRuntime::new();
    let dir = test.make_dir("private");
    std::os::unix::fs::chown(&dir, Some(1000), Some(1000)).unwrap();
    std::fs::set_permissions(&dir, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    let mut config = shell("pwd");
    config["process"]["user"] = json!({ "uid": 1000, "gid": 1000 });
    config["process"]["cwd"] = json!("/mnt");
    push_mount(&mut config, json!({ "destination": "/mnt", "type": "bind", "source": dir, "options": ["bind"] }));
    assert_eq!(test.stdout_of(&config), "/mnt\n");
}

#[test]
fn the_environment_is_exactly_the_given_one() {
    let mut config = shell("");
    config["process"]["args"] = json!(["/bin/env"]);
    config["process"]["env"] = json!(["B=2", "A=x y=z", "EMPTY=", "HOME="]);
    assert_eq!(run_status(&config), "B=2\nA=x y=z\nEMPTY=\nHOME=\n");
    config["process"]["env"] = json!([]);
    assert_eq!(run_status(&config), "HOME=/root\n", "the only default; see tests/home.rs");
}

#[test]
fn a_program_is_searched_in_the_path_of_its_environment() {
    let mut config = shell("");
    config["process"]["args"] = json!(["echo", "found"]);
    config["process"]["env"] = json!(["PATH=/nowhere:/etc/passwd:/bin"]);
    assert_eq!(run_status(&config), "found\n");
    config["process"]["env"] = json!([]);
    assert_eq!(run_status(&config), "found\n", "the default PATH");
    config["process"]["args"] = json!(["bin/echo", "relative"]);
    assert_eq!(run_status(&config), "relative\n");
}

#[test]
fn the_error_gives_the_reason_why_a_program_cannot_be_executed() {
    let test = TestRuntime::new();
    for (program, errno, reason) in [
        ("nothing-like-this", nix::errno::Errno::ENOENT, "no such file"),
        ("/bin/nothing-like-this", nix::errno::Errno::ENOENT, "no such file"),
        ("/etc/passwd", nix::errno::Errno::EACCES, "permission denied"),
        ("passwd", nix::errno::Errno::EACCES, "permission denied"),
        ("/etc", nix::errno::Errno::EISDIR, "is a directory"),
        ("bin", nix::errno::Errno::ENOENT, "no such file"),
    ] {
        let mut config = shell("");
        config["process"]["args"] = json!([program]);
        config["process"]["env"] = json!(["PATH=/nowhere:/etc:/"]);
        let error = test.run(&config, &quiet()).unwrap_err();
        assert_eq!((error.stage, error.errno), (Stage::Init, Some(errno)), "{error}");
        assert!(error.message.contains(&format!("executing \"{program}\": {reason}")), "{error}");
        assert!(test.runtime.ids().unwrap().is_empty());
    }
}

/// Bits of capabilities(7).
const CHOWN: u64 = 1 << 0;
const KILL: u64 = 1 << 5;
const NET_BIND_SERVICE: u64 = 1 << 10;
const NET_RAW: u64 = 1 << 13;
const SYS_ADMIN: u64 = 1 << 21;

/// Returns the capability sets: inheritable, permitted, effective, bounding, ambient.
fn sets(status: &str) -> [u64; 5] {
    ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"]
        .map(|key| u64::from_str_radix(status_line(status, key), 16).unwrap())
}

/// execve(2) of a file without file capabilities transforms the sets by the rules of capabilities(7).
#[test]
fn capabilities_of_root_are_those_of_the_bounding_and_inheritable_sets() {
    let mut config = shell(READ_STATUS);
    config["process"]["capabilities"] = json!({
        "bounding": ["CAP_CHOWN", "CAP_KILL", "CAP_NET_RAW"],
        "permitted": ["CAP_CHOWN", "CAP_KILL"],
        "effective": ["CAP_CHOWN"],
        "inheritable": [],
        "ambient": [],
    });
    // With no_new_privs the program gains nothing beyond the permitted set.
    let (all, permitted) = (CHOWN | KILL | NET_RAW, CHOWN | KILL);
    assert_eq!(sets(&run_status(&config)), [0, permitted, permitted, all, 0]);
    config["process"]["noNewPrivileges"] = json!(false);
    assert_eq!(sets(&run_status(&config)), [0, all, all, all, 0]);
}

#[test]
fn capabilities_of_another_user_are_the_ambient_ones() {
    let mut config = shell(READ_STATUS);
    config["process"]["user"] = json!({ "uid": 1000, "gid": 1000 });
    config["process"]["capabilities"] = json!({
        "bounding": ["CAP_CHOWN", "CAP_KILL", "CAP_NET_BIND_SERVICE", "CAP_SYS_ADMIN"],
        "permitted": ["CAP_CHOWN", "CAP_KILL", "CAP_NET_BIND_SERVICE"],
        "effective": ["CAP_CHOWN", "CAP_KILL"],
        "inheritable": ["CAP_KILL", "CAP_NET_BIND_SERVICE"],
        "ambient": ["CAP_NET_BIND_SERVICE"],
    });
    let bounding = CHOWN | KILL | NET_BIND_SERVICE | SYS_ADMIN;
    let expected = [KILL | NET_BIND_SERVICE, NET_BIND_SERVICE, NET_BIND_SERVICE, bounding, NET_BIND_SERVICE];
    assert_eq!(sets(&run_status(&config)), expected);
}

#[test]
fn without_capabilities_all_sets_are_empty() {
    for uid in [0, 1000] {
        let mut config = shell(READ_STATUS);
        config["process"]["user"]["uid"] = json!(uid);
        config["process"]["capabilities"] = json!(null);
        assert_eq!(sets(&run_status(&config)), [0; 5], "uid {uid}");
    }
}

/// The sets as the library set them, before execve(2) transforms them.
#[test]
fn capabilities_before_the_program_is_executed_are_the_configured_ones() {
    let test = TestRuntime::new();
    let mut config = shell("");
    config["process"]["user"] = json!({ "uid": 1000, "gid": 1000 });
    config["process"]["capabilities"] = json!({
        "bounding": ["CAP_KILL"],
        "permitted": ["CAP_KILL"],
        "effective": ["CAP_KILL"],
        "inheritable": ["CAP_KILL"],
        "ambient": ["CAP_KILL"],
    });
    config["process"]["args"] = json!(["/bin/sh", "-c", READ_STATUS]);
    assert_eq!(sets(&test.stdout_of(&config)), [KILL; 5]);
}

#[test]
fn no_new_privileges_is_as_configured() {
    for (value, expected) in [(json!(true), "1"), (json!(false), "0"), (json!(null), "0")] {
        let mut config = shell(READ_STATUS);
        config["process"]["noNewPrivileges"] = value;
        assert_eq!(status_line(&run_status(&config), "NoNewPrivs"), expected);
    }
}

#[test]
fn limits_are_as_configured() {
    let mut config = shell("exec cat /proc/self/limits");
    config["process"]["rlimits"] = json!([
        { "type": "RLIMIT_NOFILE", "soft": 100, "hard": 200 },
        { "type": "RLIMIT_CORE", "soft": 0, "hard": 0 },
        { "type": "RLIMIT_CPU", "soft": 50, "hard": 60 },
        { "type": "RLIMIT_STACK", "soft": 1048576, "hard": 2097152 },
    ]);
    let text = run_status(&config);
    let row = |name: &str| -> Vec<String> {
        let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.split_whitespace().take(2).map(str::to_owned).collect()
    };
    assert_eq!(row("Max open files"), ["100", "200"]);
    assert_eq!(row("Max core file size"), ["0", "0"]);
    assert_eq!(row("Max cpu time"), ["50", "60"]);
    assert_eq!(row("Max stack size"), ["1048576", "2097152"]);
}

/// The caller may lack CAP_SYS_RESOURCE; then the error must name the limit.
#[test]
fn a_hard_limit_above_the_hosts_is_set_or_explained() {
    let test = TestRuntime::new();
    let mut own = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `own` is valid for the call.
    assert_eq!(unsafe { libc::getrlimit(libc::RLIMIT_MSGQUEUE, &mut own) }, 0);
    let wanted = own.rlim_max + 4096;
    let mut config = shell("exec cat /proc/self/limits");
    config["process"]["rlimits"] = json!([{ "type": "RLIMIT_MSGQUEUE", "soft": 0, "hard": wanted }]);
    match test.run(&config, &piped()) {
        Ok(container) => {
            let text = read_all(&container.init_process().unwrap());
            assert!(text.contains(&wanted.to_string()), "{text}");
        }
        Err(error) => {
            assert_eq!(error.errno, Some(nix::errno::Errno::EPERM));
            assert!(
                error.message.contains("RLIMIT_MSGQUEUE") && error.message.contains(&wanted.to_string()),
                "{error}"
            );
            assert!(test.runtime.ids().unwrap().is_empty());
        }
    }
}

#[test]
fn the_oom_score_is_as_configured() {
    let own: i32 = std::fs::read_to_string("/proc/self/oom_score_adj").unwrap().trim().parse().unwrap();
    let mut config = shell("cat /proc/self/oom_score_adj");
    assert_eq!(run_status(&config), format!("{own}\n"), "not configured");
    config["process"]["oomScoreAdj"] = json!(own + 57);
    assert_eq!(run_status(&config), format!("{}\n", own + 57));
    with_user_namespace(&mut config);
    assert_eq!(run_status(&config), format!("{}\n", own + 57), "in a user namespace");
}

#[test]
fn the_parent_death_signal_comes_when_the_starting_thread_ends() {
    let test = TestRuntime::new();
    let options = ProcessOptions { parent_death_signal: libc::SIGUSR1, ..quiet() };
    let mut config = shell("trap 'exit 42' USR1; echo ready >/mnt/ready; while :; do sleep 0.1; done");
    let shared = test.make_dir("shared");
    push_mount(&mut config, json!({ "destination": "/mnt", "type": "bind", "source": shared, "options": ["bind"] }));
    let container = std::thread::scope(|scope| {
        let starter = scope.spawn(|| {
            let container = test.run(&config, &options).unwrap();
            eventually_read(&shared.join("ready"));
            container
        });
        starter.join().unwrap()
    });
    assert_eq!(container.wait(LONG).unwrap(), ExitStatus::Exited(42));
}

#[test]
fn without_a_parent_death_signal_the_container_outlives_its_starter() {
    let test = TestRuntime::new();
    let container =
        std::thread::scope(|scope| scope.spawn(|| test.run(&shell("sleep 1000"), &quiet()).unwrap()).join());
    let container = container.unwrap();
    assert_eq!(container.wait(50).unwrap_err().code, Code::Timeout);
}

#[test]
fn host_name_domain_name_and_sysctls_are_set() {
    let test = TestRuntime::new();
    let names = || {
        let read = |name: &str| std::fs::read_to_string(format!("/proc/sys/kernel/{name}")).unwrap();
        (read("hostname"), read("domainname"), read("msgmax"))
    };
    let before = names();
    let mut config = shell(
        "hostname; cat /proc/sys/kernel/domainname /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/msgmax \
                            /proc/sys/net/ipv4/conf/lo/accept_redirects",
    );
    config["hostname"] = json!("berth-host.example");
    config["domainname"] = json!("berth.example");
    config["linux"]["sysctl"] = json!({
        "net.ipv4.ip_forward": "1",
        "kernel/msgmax": "4096",
        "net.ipv4.conf.lo.accept_redirects": "0",
    });
    assert_eq!(test.stdout_of(&config), "berth-host.example\nberth.example\n1\n4096\n0\n");
    assert_eq!(names(), before, "the host's are untouched");
}

#[test]
fn a_sysctl_that_the_kernel_refuses_is_named() {
    let test = TestRuntime::new();
    let mut config = shell("true");
    config["linux"]["sysctl"] = json!({ "net.ipv4.ip_forward": "nonsense" });
    let error = test.create(&config, &quiet()).unwrap_err();
    assert!(error.message.contains("net/ipv4/ip_forward") && error.message.contains("nonsense"), "{error}");
    config["linux"]["sysctl"] = json!({ "net.no_such_parameter": "1" });
    let error = test.create(&config, &quiet()).unwrap_err();
    assert!(error.message.contains("net/no_such_parameter"), "{error}");
}

#[test]
fn there_are_only_the_standard_descriptors() {
    assert_eq!(run_status(&shell("exec ls /proc/self/fd")), "0\n1\n2\n3\n", "3 is the directory that is listed");
}

/// Opens descriptors of host directories without close-on-exec, as a careless caller may.
fn leak_directories() -> Vec<std::fs::File> {
    let files: Vec<_> = (0..50).map(|_| std::fs::File::open("/").unwrap()).collect();
    for file in &files {
        // SAFETY: no pointers.
        assert_eq!(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETFD, 0) }, 0);
    }
    files
}

#[test]
fn descriptors_that_the_caller_leaks_do_not_reach_the_container() {
    let test = TestRuntime::new();
    let _leaked = leak_directories();
    assert_eq!(test.stdout_of(&shell("exec ls /proc/self/fd")), "0\n1\n2\n3\n");
    let container = test.run(&shell("sleep 1000"), &quiet()).unwrap();
    assert_eq!(exec_shell(&container, "exec ls /proc/self/fd"), "0\n1\n2\n3\n");
}

#[test]
fn no_descriptor_of_the_host_can_be_the_working_directory() {
    let test = TestRuntime::new();
    let leaked = leak_directories();
    let container = test.run(&shell("sleep 1000"), &quiet()).unwrap();
    let last = leaked.iter().map(|file| file.as_raw_fd()).max().unwrap();
    for fd in 0..=last + 3 {
        let mut config = shell("cat /etc/shadow; pwd; ls");
        config["process"]["cwd"] = json!(format!("/proc/self/fd/{fd}"));
        assert!(test.run(&config, &quiet()).is_err(), "{fd}");
        let mut process = shell_process("ls");
        process["cwd"] = json!(format!("/proc/self/fd/{fd}"));
        assert!(container.exec(&parsed(&process), &quiet()).is_err(), "exec {fd}");
    }
}

#[test]
fn signals_are_neither_blocked_nor_ignored() {
    // The Rust runtime makes this test ignore SIGPIPE already. Block another signal, too.
    let test = TestRuntime::new();
    let mut set = nix::sys::signal::SigSet::empty();
    set.add(nix::sys::signal::Signal::SIGUSR2);
    set.thread_block().unwrap();
    let config = |uid: u32| {
        let mut config = shell("");
        config["process"]["args"] = json!(["/bin/cat", "/proc/self/status"]);
        config["process"]["user"]["uid"] = json!(uid);
        config
    };
    for uid in [0, 1000] {
        let status = test.stdout_of(&config(uid));
        for key in ["SigBlk", "SigIgn", "SigCgt", "SigPnd", "ShdPnd"] {
            assert_eq!(status_line(&status, key), "0000000000000000", "{key}");
        }
    }
    let container = test.run(&shell("sleep 1000"), &quiet()).unwrap();
    let mut process = shell_process("");
    process["args"] = json!(["/bin/cat", "/proc/self/status"]);
    let status = exec_output(&container, &process).0;
    for key in ["SigBlk", "SigIgn", "SigCgt"] {
        assert_eq!(status_line(&status, key), "0000000000000000", "{key}");
    }
    let own = std::fs::read_to_string("/proc/thread-self/status").unwrap();
    assert_ne!(status_line(&own, "SigBlk"), "0000000000000000", "the caller keeps its own");
    set.thread_unblock().unwrap();
}

#[test]
fn the_process_leads_a_session_of_its_own() {
    let test = TestRuntime::new();
    // pid, name, state, parent, group, session, terminal (proc_pid_stat(5))
    let text = test.stdout_of(&shell("exec cut -d' ' -f1,5,6,7 /proc/self/stat"));
    assert_eq!(text, "1 1 1 0\n");
    let mut config = shell("exec cut -d' ' -f1,5,6,7 /proc/self/stat");
    without_namespace(&mut config, "pid");
    let text = test.stdout_of(&config);
    let numbers: Vec<&str> = text.split_whitespace().collect();
    assert_eq!(numbers[1..], [numbers[0], numbers[0], "0"]);
}

#[test]
fn the_process_can_be_traced_by_itself_once_it_is_the_containers() {
    let test = TestRuntime::new();
    let container = test.run(&shell("sleep 1000"), &quiet()).unwrap();
    // Files in /proc of a process that is not dumpable belong to root, whatever the process's user.
    let mut process = shell_process("stat -c %u /proc/self/environ");
    process["user"] = json!({ "uid": 1000, "gid": 1000 });
    assert_eq!(exec_output(&container, &process), ("1000\n".into(), ExitStatus::Exited(0)));
}

#[test]
fn the_processors_and_the_policy_of_the_creating_thread_are_not_the_containers() {
    let test = TestRuntime::new();
    let all = std::thread::available_parallelism().unwrap().get();
    let text = std::thread::scope(|scope| {
        let bound = || {
            let mut one = nix::sched::CpuSet::new();
            one.set(0).unwrap();
            nix::sched::sched_setaffinity(nix::unistd::Pid::from_raw(0), &one).unwrap();
            test.stdout_of(&shell("grep Cpus_allowed_list /proc/self/status"))
        };
        scope.spawn(bound).join().unwrap()
    });
    let expected =
        if all == 1 { "Cpus_allowed_list:\t0\n".to_owned() } else { format!("Cpus_allowed_list:\t0-{}\n", all - 1) };
    assert_eq!(text, expected);
}
