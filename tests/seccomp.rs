//! Seccomp filters do what their profile says, for every process of the container; and a filter that cannot work is an
//! error with a reason.

mod common;

use berth::{Code, Container, ExitStatus, Force, Stage, explain};
use common::*;
use nix::errno::Errno;
use serde_json::{Value, json};

/// Sets a filter that allows everything except what the rules say.
fn lenient(config: &mut Value, rules: Value) {
    config["linux"]["seccomp"] = json!({ "defaultAction": "SCMP_ACT_ALLOW", "syscalls": rules });
}

fn rule(names: &[&str], action: &str) -> Value {
    json!({ "names": names, "action": format!("SCMP_ACT_{action}") })
}

fn refuse(names: &[&str], errno: Errno) -> Value {
    json!({ "names": names, "action": "SCMP_ACT_ERRNO", "errnoRet": errno as i32 })
}

/// The host's Python in a container, with a function `call(number, arguments…)` that returns the errno or 0.
struct Python {
    test: TestRuntime,
}

impl Python {
    fn new() -> Python {
        Python { test: TestRuntime::new() }
    }

    fn config(&self, script: &str) -> Value {
        let prelude = "import ctypes, os, signal, sys\n\
                       libc = ctypes.CDLL(None, use_errno=True)\n\
                       def call(*n): return ctypes.get_errno() if libc.syscall(*map(ctypes.c_long, n)) == -1 else 0\n";
        let mut config = shell("");
        config["process"]["args"] = json!(["/usr/bin/python3", "-Ic", format!("{prelude}{script}")]);
        config["root"]["readonly"] = json!(false);
        for directory in ["/usr", "/lib", "/lib64"] {
            let bind =
                json!({ "destination": directory, "type": "bind", "source": directory, "options": ["rbind", "ro"] });
            push_mount(&mut config, bind);
        }
        config
    }

    fn run(&self, config: &Value) -> (String, ExitStatus) {
        // Links to directories in the test's root filesystem would be in the way of the mounts, so it is not used.
        let bundle = self.test.make_dir(&unique("bundle"));
        for directory in ["rootfs/usr", "rootfs/lib", "rootfs/lib64", "rootfs/tmp"] {
            std::fs::create_dir_all(bundle.join(directory)).unwrap();
        }
        self.test.write_config(&bundle, config);
        let config = berth::spec::Config::from_bundle(&bundle).unwrap();
        let container = Container::run(&self.test.runtime, &unique("py"), &config, &piped()).unwrap();
        let text = read_all(&container.init_process().unwrap());
        let status = container.wait(LONG).unwrap();
        container.delete(Force::No).unwrap();
        (text, status)
    }

    fn output(&self, config: &Value) -> String {
        let (text, status) = self.run(config);
        assert_eq!(status, ExitStatus::Exited(0), "{text}");
        text
    }
}

#[test]
fn every_action_has_its_effect() {
    let python = Python::new();
    let number = libc::SYS_getpriority;
    for (action, value, expected) in [
        ("ALLOW", None, Ok("0")),
        ("LOG", None, Ok("0")),
        ("ERRNO", None, Ok("1")),
        ("ERRNO", Some(Errno::ENOTUNIQ as i32), Ok("76")),
        ("ERRNO", Some(0), Ok("0")),
        ("TRACE", None, Ok("38")), // nobody traces
        ("KILL", None, Err(libc::SIGSYS)),
        ("KILL_THREAD", None, Err(libc::SIGSYS)),
        ("KILL_PROCESS", None, Err(libc::SIGSYS)),
        ("TRAP", None, Err(libc::SIGSYS)),
    ] {
        let mut config = python.config(&format!("print(call({number}, 0, 0))"));
        let mut rule = rule(&["getpriority"], action);
        rule["errnoRet"] = json!(value);
        lenient(&mut config, json!([rule]));
        let (text, status) = python.run(&config);
        match (expected, status) {
            (Ok(errno), ExitStatus::Exited(0)) => assert_eq!(text.trim(), errno, "{action}"),
            (Err(signal), ExitStatus::Signaled { signal: found, .. }) => assert_eq!(found, signal, "{action}"),
            _ => panic!("{action}: {status:?} {text}"),
        }
    }
}

#[test]
fn arguments_are_compared_by_the_kernel() {
    let python = Python::new();
    let number = libc::SYS_getpriority;
    let mut config = python.config(&format!("print([call({number}, 0, n) for n in (0, 4, 5, 6, 2**33, 2**33 + 5)])"));
    for (operator, value, two, expected) in [
        ("NE", 5u64, 0, [76, 76, 0, 76, 76, 76]),
        ("LT", 5, 0, [76, 76, 0, 0, 0, 0]),
        ("LE", 5, 0, [76, 76, 76, 0, 0, 0]),
        ("EQ", 5, 0, [0, 0, 76, 0, 0, 0]),
        ("GE", 5, 0, [0, 0, 76, 76, 76, 76]),
        ("GT", 5, 0, [0, 0, 0, 76, 76, 76]),
        ("MASKED_EQ", 1 << 33, 1u64 << 33, [0, 0, 0, 0, 76, 76]),
        ("MASKED_EQ", 5, 4, [0, 76, 0, 76, 0, 0]),
    ] {
        let mut rule = refuse(&["getpriority"], Errno::ENOTUNIQ);
        let operator = format!("SCMP_CMP_{operator}");
        rule["args"] = json!([{ "index": 1, "value": value, "valueTwo": two, "op": operator }]);
        lenient(&mut config, json!([rule]));
        let text = python.output(&config);
        // A call that the filter allows fails with ESRCH, because no process has the pid.
        let found: Vec<i32> = serde_json::from_str::<Vec<i32>>(text.trim()).unwrap();
        let found = found.iter().map(|errno| if *errno == libc::ESRCH { 0 } else { *errno }).collect::<Vec<_>>();
        assert_eq!(found, expected, "{operator} {value} {two}");
    }
}

/// Allows the system calls that a profile of 2018 knows.
fn old_profile(config: &mut Value) {
    let names: Vec<String> = (0..=334)
        .filter_map(|number| libseccomp::ScmpSyscall::from(number).get_name().ok())
        .filter(|name| name != "mount")
        .collect();
    assert!(names.len() > 300);
    config["linux"]["seccomp"] = json!({
        "defaultAction": "SCMP_ACT_ERRNO",
        "syscalls": [{ "names": names, "action": "SCMP_ACT_ALLOW" }],
    });
}

#[test]
fn calls_newer_than_the_profile_are_answered_as_by_an_old_kernel() {
    let python = Python::new();
    let mut config = python.config(&format!(
        "print(call({}, 0, 0), call({}, 0, 0), call({}, 0, 0, 0, 0, 0), call(5000))",
        libc::SYS_clone3,
        libc::SYS_openat2,
        libc::SYS_mount,
    ));
    old_profile(&mut config);
    assert_eq!(python.output(&config).trim(), "38 38 1 38");
}

/// All system calls that init could make after loading a filter, except those that every process needs to start.
const INIT_CALLS: &[&str] = &[
    "openat",
    "openat2",
    "fchdir",
    "chdir",
    "getcwd",
    "statx",
    "setresuid",
    "setresgid",
    "setgroups",
    "umask",
    "prlimit64",
    "pipe2",
    "sendmsg",
    "rt_sigaction",
    "close",
    "dup3",
    "fcntl",
    "setsid",
];

#[test]
fn a_filter_that_forbids_all_that_init_does_does_not_forbid_the_start() {
    let test = TestRuntime::new();
    for (no_new_privileges, uid, more) in
        [(true, 0, &["capset", "prctl"][..]), (true, 1000, &["capset", "prctl"]), (false, 0, &[]), (false, 1000, &[])]
    {
        // /bin/true, because a shell needs some of these system calls.
        let mut config = shell("");
        config["process"]["args"] = json!(["/bin/true"]);
        config["process"]["noNewPrivileges"] = json!(no_new_privileges);
        config["process"]["user"] = json!({ "uid": uid, "gid": uid });
        let names: Vec<&str> = INIT_CALLS.iter().chain(more).copied().collect();
        lenient(&mut config, json!([refuse(&names, Errno::EPERM)]));
        let (text, _) = test.output(&config);
        assert_eq!(text, "", "{no_new_privileges} {uid}");
        let mut asleep = shell("exec sleep 1000");
        asleep["process"]["noNewPrivileges"] = json!(no_new_privileges);
        let names: Vec<&str> =
            names.iter().filter(|name| !["openat", "close", "rt_sigaction", "prctl"].contains(name)).copied().collect();
        lenient(&mut asleep, json!([refuse(&names, Errno::EPERM)]));
        let container = test.run(&asleep, &quiet()).unwrap();
        let mut process = shell_process("exit 7");
        process["user"] = json!({ "uid": uid, "gid": uid });
        assert_eq!(exec_output(&container, &process).1, ExitStatus::Exited(7));
        container.delete(Force::Kill).unwrap();
    }
}

#[test]
fn identity_and_capabilities_are_as_without_a_filter() {
    let test = TestRuntime::new();
    for no_new_privileges in [true, false] {
        for uid in [0, 1000] {
            for user_namespace in [false, true] {
                let mut config = shell("exec cat /proc/self/status");
                config["process"]["noNewPrivileges"] = json!(no_new_privileges);
                config["process"]["user"] = json!({ "uid": uid, "gid": uid });
                config["process"]["capabilities"]["ambient"] = json!(["CAP_KILL"]);
                config["process"]["capabilities"]["inheritable"] = json!(["CAP_KILL"]);
                if user_namespace {
                    with_user_namespace(&mut config);
                }
                let of = |text: &str| {
                    ["Uid", "Gid", "Groups", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs"]
                        .map(|key| status_line(text, key).to_owned())
                };
                let plain = test.stdout_of(&config);
                assert_eq!(status_line(&plain, "Seccomp"), "0");
                lenient(&mut config, json!([refuse(&["mount"], Errno::EPERM)]));
                let filtered = test.stdout_of(&config);
                assert_eq!(status_line(&filtered, "Seccomp"), "2");
                assert_eq!(status_line(&filtered, "Seccomp_filters"), "1");
                assert_eq!(of(&filtered), of(&plain), "{no_new_privileges} {uid} {user_namespace}");
            }
        }
    }
}

#[test]
fn executed_processes_and_hooks_in_the_container_are_filtered_too() {
    let test = TestRuntime::new();
    let mut config = shell("exec sleep 1000");
    writable(&mut config);
    lenient(&mut config, json!([refuse(&["mkdir"], Errno::ENOTUNIQ)]));
    let hook = "mkdir /tmp/x; echo $? $(grep Seccomp: /proc/self/status) > /tmp/hook";
    config["hooks"] = json!({ "startContainer": [{ "path": "/bin/sh", "args": ["sh", "-c", hook] }] });
    let bundle = test.bundle("b", &config);
    let config = berth::spec::Config::from_bundle(&bundle).unwrap();
    let container = Container::run(&test.runtime, &unique("exec"), &config, &quiet()).unwrap();
    assert_eq!(std::fs::read_to_string(bundle.join("rootfs/tmp/hook")).unwrap(), "1 Seccomp: 2\n");
    for no_new_privileges in [json!(null), json!(true), json!(false)] {
        let mut process = shell_process("mkdir /tmp/y");
        process["noNewPrivileges"] = no_new_privileges;
        let (text, status) = exec_output(&container, &process);
        assert_eq!(status, ExitStatus::Exited(1));
        assert!(text.contains("Name not unique"), "{text}");
    }
}

#[test]
fn a_filter_that_forbids_execve_is_named_in_the_error() {
    let test = TestRuntime::new();
    for no_new_privileges in [true, false] {
        let mut config = shell("exit 0");
        config["process"]["noNewPrivileges"] = json!(no_new_privileges);
        lenient(&mut config, json!([refuse(&["execve"], Errno::ENOTUNIQ)]));
        let error = test.run(&config, &quiet()).unwrap_err();
        assert_eq!((error.stage, error.errno), (Stage::Init, Some(Errno::ENOTUNIQ)), "{error}");
        assert!(
            error.message.contains("executing \"/bin/sh\"") && error.message.contains("the seccomp filter"),
            "{error}"
        );

        for action in ["KILL", "KILL_PROCESS", "TRAP"] {
            lenient(&mut config, json!([rule(&["execve"], action)]));
            let error = test.run(&config, &quiet()).unwrap_err();
            assert!(error.message.contains("the seccomp filter has killed"), "{action}: {error}");
        }
        // Without write(2) and sendmsg(2) init cannot report the reason, but the error says that execve did not happen.
        lenient(&mut config, json!([refuse(&["execve", "write", "sendmsg"], Errno::EPERM)]));
        let error = test.run(&config, &quiet()).unwrap_err();
        assert!(error.message.contains("denies execve"), "{error}");
        assert!(test.runtime.ids().unwrap().is_empty());
    }
}

#[test]
fn a_failure_without_relation_to_the_filter_does_not_name_it() {
    let mut config = shell("");
    config["process"]["args"] = json!(["/bin/nothing-like-this"]);
    lenient(&mut config, json!([refuse(&["mount"], Errno::EPERM)]));
    let error = TestRuntime::new().run(&config, &quiet()).unwrap_err();
    assert_eq!(error.errno, Some(Errno::ENOENT));
    assert!(!error.message.contains("seccomp"), "{error}");
}

#[test]
fn an_executed_process_that_the_filter_kills_is_an_error() {
    let test = TestRuntime::new();
    let mut config = shell("exec sleep 1000");
    config["process"]["noNewPrivileges"] = json!(false);
    // prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE), which init calls for a process with ambient capabilities.
    let mut raising = rule(&["prctl"], "KILL_PROCESS");
    raising["args"] =
        json!([{ "index": 0, "value": 47, "op": "SCMP_CMP_EQ" }, { "index": 1, "value": 2, "op": "SCMP_CMP_EQ" }]);
    lenient(&mut config, json!([raising]));
    let container = test.run(&config, &quiet()).unwrap();
    let mut process = shell_process("exit 0");
    let some = json!(["CAP_KILL"]);
    process["capabilities"] =
        json!({ "bounding": some, "inheritable": some, "permitted": some, "effective": some, "ambient": some });
    let error = container.exec(&parsed(&process), &quiet()).unwrap_err();
    assert!(error.message.contains("the seccomp filter has killed"), "{error}");
    assert_eq!(exec_output(&container, &shell_process("exit 3")).1, ExitStatus::Exited(3));
}

#[test]
fn every_flag_is_loaded() {
    let test = TestRuntime::new();
    let newest = if lacks(SECCOMP_WAIT_KILLABLE_RECV) { "LOG" } else { "WAIT_KILLABLE_RECV" };
    for flags in [&["TSYNC"][..], &["LOG"], &["SPEC_ALLOW"], &["TSYNC", "LOG", "SPEC_ALLOW", newest]] {
        let mut config = shell("exec cat /proc/self/status");
        lenient(&mut config, json!([refuse(&["mount"], Errno::EPERM)]));
        let names: Vec<String> = flags.iter().map(|flag| format!("SECCOMP_FILTER_FLAG_{flag}")).collect();
        config["linux"]["seccomp"]["flags"] = json!(names);
        assert_eq!(status_line(&test.stdout_of(&config), "Seccomp"), "2", "{flags:?}");
    }
}

#[test]
fn a_contradiction_is_refused_before_anything_is_made() {
    let test = TestRuntime::new();
    let mut config = shell("");
    let args: Vec<Value> = (0..6000).map(|n| json!({ "index": 0, "value": n * 2, "op": "SCMP_CMP_EQ" })).collect();
    let mut rule = refuse(&["mount"], Errno::EPERM);
    rule["args"] = json!(args);
    lenient(&mut config, json!([rule]));
    let error = test.create(&config, &quiet()).unwrap_err();
    assert_eq!(error.code, Code::ConfigInvalid);
    assert!(error.message.starts_with("linux.seccomp: compiles to"), "{error}");
    assert!(test.runtime.ids().unwrap().is_empty());
}

#[test]
fn unknown_names_are_logged_at_every_create() {
    keep_the_log(log::LevelFilter::Info);
    let mut config = shell("exit 0");
    lenient(&mut config, json!([refuse(&["mount", "frobnicate", "call_of_2031"], Errno::EPERM)]));
    for round in 1..=2 {
        TestRuntime::new().stdout_of(&config);
        let logged = logged();
        let count = logged.iter().filter(|line| line.ends_with(": frobnicate, call_of_2031")).count();
        assert_eq!(count, round, "{logged:?}");
    }
}

#[test]
fn explain_shows_the_filter_and_when_it_is_loaded() {
    let test = TestRuntime::new();
    for (no_new_privileges, before) in [(true, "Exec"), (false, "Capabilities")] {
        let mut config = shell("");
        config["process"]["noNewPrivileges"] = json!(no_new_privileges);
        lenient(&mut config, json!([refuse(&["mount", "frobnicate"], Errno::EPERM)]));
        config["linux"]["seccomp"]["flags"] = json!(["SECCOMP_FILTER_FLAG_LOG"]);
        let plan: Value = serde_json::from_str(&explain(&test.config(&config)).unwrap()).unwrap();
        let steps = plan["steps"].as_array().unwrap();
        let place = steps.iter().position(|step| step["op"] == "Seccomp").unwrap();
        assert_eq!(steps[place + 1]["op"], before);
        let step = &steps[place];
        assert!(step["text"].as_str().unwrap().starts_with("loading the seccomp filter of "), "{step}");
        assert_eq!((&step["flags"], &step["unknown"]), (&json!(["LOG"]), &json!(["frobnicate"])));
    }
}

/// Not even exit_group(2) works, and init cannot report an error.
#[test]
fn a_filter_that_refuses_everything_ends_the_container() {
    let test = TestRuntime::new();
    let mut config = shell("true");
    config["linux"]["seccomp"] = json!({ "defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 38, "syscalls": [] });
    let began = std::time::Instant::now();
    if let Ok(container) = test.run(&config, &quiet()) {
        container.wait(LONG).unwrap();
        container.delete(Force::No).unwrap();
    }
    assert!(began.elapsed() < std::time::Duration::from_secs(50), "nothing waits for the setup's deadline");
    assert!(test.runtime.ids().unwrap().is_empty());
}
