//! Options of exec that are not part of the process specification: keyring, cgroup, paused containers.

mod common;

use std::path::Path;

use berth::{Code, ExitStatus, Keyring, MissingProgram, Paused, ProcessOptions, Stage, Status};
use common::*;
use serde_json::json;

/// Returns a configuration that prints /proc/keys, which the default configuration masks.
fn reading_keys() -> serde_json::Value {
    let mut config = shell("cat /proc/keys; exec sleep 1000");
    config["linux"]["maskedPaths"] = json!([]);
    config
}

/// Joins a new session keyring that only its possessors can see, for this thread.
fn join_session_keyring(name: &std::ffi::CStr) {
    const JOIN_SESSION_KEYRING: libc::c_long = 1;
    const SETPERM: libc::c_long = 5;
    // SAFETY: the name is read.
    let id = unsafe { libc::syscall(libc::SYS_keyctl, JOIN_SESSION_KEYRING, name.as_ptr()) };
    assert!(id > 0);
    // SAFETY: numbers only.
    assert_eq!(unsafe { libc::syscall(libc::SYS_keyctl, SETPERM, id, 0x3f00_0000) }, 0);
}

#[test]
fn the_session_keyring_is_new_or_the_callers() {
    let test = TestRuntime::new();
    join_session_keyring(c"berth-test-keys");
    for (keyring, inherited) in [(Keyring::New, false), (Keyring::Inherit, true)] {
        let options = ProcessOptions { keyring, ..piped() };
        let mut config = reading_keys();
        config["process"]["args"] = json!(["/bin/sh", "-c", "cat /proc/keys"]);
        let container = test.run(&config, &options).unwrap();
        let text = read_all(&container.init_process().unwrap());
        assert_eq!(text.contains("berth-test-keys"), inherited, "{text}");
        container.wait(LONG).unwrap();
        let container = test.run(&reading_keys(), &ProcessOptions { keyring, ..quiet() }).unwrap();
        let text = exec_shell(&container, "cat /proc/keys");
        assert_eq!(text.contains("berth-test-keys"), inherited, "exec does as its container: {text}");
    }
}

#[test]
fn a_process_in_a_paused_container_begins_when_it_is_resumed() {
    let test = TestRuntime::new();
    let container = test.run(&shell("exec sleep 1000"), &quiet()).unwrap();
    container.pause().unwrap();
    let refused = container.exec(&parsed(&shell_process("exit 3")), &quiet()).unwrap_err();
    assert_eq!(refused.code, Code::Paused);
    let other = test.runtime.load(container.id()).unwrap();
    let executing = std::thread::spawn(move || {
        let options = ProcessOptions { paused: Paused::Wait, ..quiet() };
        other.exec(&parsed(&shell_process("exit 3")), &options).unwrap().wait(LONG).unwrap()
    });
    eventually("it is in the container", || container.pids().unwrap().len() == 2);
    assert_eq!(container.status().unwrap(), Status::Paused);
    assert!(!executing.is_finished());
    container.resume().unwrap();
    assert_eq!(executing.join().unwrap(), ExitStatus::Exited(3));
}

/// Lists the container's cgroups as (hierarchy, path).
fn places(container: &berth::Container) -> Vec<(String, String)> {
    let state: serde_json::Value = serde_json::from_str(&container.state_json().unwrap()).unwrap();
    let paths = state["cgroupPaths"].as_object().unwrap();
    paths.iter().map(|(name, path)| (name.clone(), path.as_str().unwrap().to_owned())).collect()
}

fn is_in(pid: i32, directory: &str) -> bool {
    let procs = std::fs::read_to_string(Path::new(directory).join("cgroup.procs")).unwrap();
    procs.lines().any(|line| line == pid.to_string())
}

#[test]
fn a_process_may_be_in_cgroups_below_the_containers() {
    let test = TestRuntime::new();
    let container = test.run(&shell("exec sleep 1000"), &quiet()).unwrap();
    let exec = |cgroups: &[&str]| {
        let cgroups = cgroups.iter().map(|cgroup| (*cgroup).to_owned()).collect();
        container.exec(&parsed(&shell_process("exec sleep 1000")), &ProcessOptions { cgroups, ..quiet() })
    };
    let missing = exec(&["below"]).unwrap_err();
    assert!(missing.message.contains("there is no cgroup /") && missing.message.contains("/below"), "{missing}");
    let places = places(&container);
    for (_, path) in &places {
        let _ = std::fs::create_dir(Path::new(path).join("below"));
        // On v1 a new child cpuset is empty.
        for file in ["cpuset.cpus", "cpuset.mems"] {
            if let Ok(value) = std::fs::read_to_string(Path::new(path).join(file)) {
                let _ = std::fs::write(Path::new(path).join("below").join(file), value);
            }
        }
    }
    let everywhere = exec(&["/below"]).unwrap().pid();
    for (_, path) in &places {
        assert!(is_in(everywhere, &format!("{path}/below")), "{path}");
    }
    let (name, path) = &places[places.len() - 1];
    let in_one = exec(&[&format!("{name}:below")]).unwrap().pid();
    assert!(is_in(in_one, &format!("{path}/below")));
    let others = places.iter().filter(|(_, other)| other != path);
    others.for_each(|(_, other)| assert!(is_in(in_one, other), "{other}"));
    assert_eq!(exec(&["nonsense:below"]).unwrap_err().code, Code::InvalidArgument);
    assert_eq!(exec(&["../other"]).unwrap_err().code, Code::InvalidArgument);
    assert_eq!(exec(&["below/../.."]).unwrap_err().code, Code::InvalidArgument);
}

#[test]
fn a_missing_program_may_be_an_error_of_create() {
    let test = TestRuntime::new();
    let options = ProcessOptions { missing_program: MissingProgram::AtCreate, ..quiet() };
    let with = |args: serde_json::Value, cwd: &str| {
        let mut config = shell("");
        config["process"]["args"] = args;
        config["process"]["cwd"] = json!(cwd);
        config
    };
    for missing in ["no-such-program", "/no/such/program", "./no-such-program", "/bin/sh/below"] {
        let error = test.create(&with(json!([missing]), "/"), &options).unwrap_err();
        assert_eq!((error.stage, error.errno), (Stage::Init, Some(nix::errno::Errno::ENOENT)), "{error}");
        assert!(error.message.contains("finding"), "{error}");
        test.create(&with(json!([missing]), "/"), &quiet()).unwrap();
    }
    for there in [("true", "/"), ("/bin/true", "/tmp"), ("./true", "/bin"), ("bin/true", "/")] {
        let container = test.run(&with(json!([there.0]), there.1), &options).unwrap();
        assert_eq!(container.wait(LONG).unwrap(), ExitStatus::Exited(0));
    }
    let error = test.create(&with(json!(["/etc"]), "/"), &options).unwrap_err();
    assert!(error.message.starts_with("finding \"/etc\": is a directory"), "{error}");
    // A directory in PATH is no program.
    let mut config = with(json!(["etc"]), "/");
    config["process"]["env"] = json!(["PATH=/"]);
    assert_eq!(test.create(&config, &options).unwrap_err().errno, Some(nix::errno::Errno::ENOENT));
    // create only checks that the program exists; start reports that it cannot be executed, and names the step.
    let container = test.create(&with(json!(["/etc/passwd"]), "/"), &options).unwrap();
    let error = container.start().unwrap_err();
    assert!(error.message.starts_with("executing \"/etc/passwd\": permission denied"), "{error}");
}

#[test]
fn options_of_exec_are_refused_where_a_container_is_created() {
    let test = TestRuntime::new();
    for options in [
        ProcessOptions { paused: Paused::Wait, ..quiet() },
        ProcessOptions { cgroups: vec!["below".into()], ..quiet() },
    ] {
        assert_eq!(test.create(&shell("true"), &options).unwrap_err().code, Code::InvalidArgument);
    }
}

#[test]
fn exec_joins_the_cgroup_below_to_which_init_has_moved() {
    let test = TestRuntime::new();
    let tree = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    let Some(tree) = tree.lines().find(|line| line.contains(" - cgroup2 ")).and_then(|line| line.split(' ').nth(4))
    else {
        eprintln!("SKIPPED: the host mounts no cgroup v2");
        return;
    };
    let mut config = shell("exec sleep 1000");
    let controllers = std::fs::read_to_string(format!("{tree}/cgroup.controllers")).unwrap();
    if controllers.split_whitespace().any(|controller| controller == "hugetlb") {
        config["linux"]["resources"]["hugepageLimits"] = json!([{ "pageSize": "2MB", "limit": 4 << 20 }]);
    }
    let container = test.run(&config, &quiet()).unwrap();
    let own = cgroup_of(&container, "").unwrap();
    let below = own.join("init.scope");
    std::fs::create_dir(&below).unwrap();
    let init = container.init_process().unwrap().pid();
    std::fs::write(below.join("cgroup.procs"), init.to_string()).unwrap();
    // Only domain controllers matter here: a cgroup with processes can delegate threaded controllers.
    let handed_down =
        ["+memory", "+hugetlb"].map(|name| std::fs::write(own.join("cgroup.subtree_control"), name).is_ok());
    if handed_down == [false, false] {
        eprintln!("SKIPPED: the v2 tree has no controller of the kind");
        return;
    }
    let process = container.exec(&parsed(&shell_process("exec sleep 1000")), &quiet()).unwrap();
    let place = std::fs::read_to_string(format!("/proc/{}/cgroup", process.pid())).unwrap();
    assert!(place.lines().any(|line| line.starts_with("0::") && line.ends_with("/init.scope")), "{place}");
    // There is no fallback for a cgroup that the caller names.
    let options = ProcessOptions { cgroups: vec![":/".into()], ..quiet() };
    let refused = container.exec(&parsed(&shell_process("true")), &options).unwrap_err();
    assert_eq!(refused.errno, Some(nix::errno::Errno::EBUSY), "{refused}");
}
