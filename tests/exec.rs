//! Exec: further processes in a container.

mod common;

use std::time::{Duration, Instant};

use berth::{Code, ExitStatus, Force, Recipients, Stage, Status};
use common::*;
use serde_json::json;

fn running(test: &TestRuntime) -> berth::Container {
    test.run(&shell("sleep 1000"), &quiet()).unwrap()
}

#[test]
fn a_process_has_its_own_user_environment_and_place() {
    let test = TestRuntime::new();
    let container = running(&test);
    let mut process = shell_process("id -u; id -g; id -G; pwd; umask; tr '\\0' '\\n' </proc/$$/environ | sort");
    process["user"] = json!({ "uid": 1000, "gid": 1001, "additionalGids": [5, 6], "umask": 0o27 });
    process["env"] = json!(["PATH=/bin", "ONLY=this"]);
    process["cwd"] = json!("/tmp");
    let (text, status) = exec_output(&container, &process);
    assert_eq!(status, ExitStatus::Exited(0));
    assert_eq!(text, "1000\n1001\n1001 5 6\n/tmp\n0027\nHOME=/home/app\nONLY=this\nPATH=/bin\n");
}

#[test]
fn capabilities_are_its_own_or_else_the_containers() {
    let test = TestRuntime::new();
    let mut config = shell("sleep 1000");
    set_capabilities(&mut config, &["CAP_KILL", "CAP_CHOWN"]);
    let container = test.run(&config, &quiet()).unwrap();
    let mut process = shell_process("exec grep -E 'Cap(Prm|Eff|Bnd)|NoNewPrivs' /proc/self/status");
    let line = |set: u64| format!("CapPrm:\t{set:016x}\nCapEff:\t{set:016x}\nCapBnd:\t{set:016x}\n");
    assert_eq!(exec_output(&container, &process).0, line(0x21) + "NoNewPrivs:\t1\n");
    let names = json!(["CAP_CHOWN", "CAP_NET_RAW"]);
    process["capabilities"] = json!({ "bounding": names, "permitted": names, "effective": names });
    process["noNewPrivileges"] = json!(true);
    assert_eq!(exec_output(&container, &process).0, line(0x2001) + "NoNewPrivs:\t1\n");
    process["capabilities"] = json!({});
    assert_eq!(exec_output(&container, &process).0, line(0) + "NoNewPrivs:\t1\n");
}

#[test]
fn limits_and_the_oom_score_are_its_own() {
    let test = TestRuntime::new();
    let container = running(&test);
    let own: i32 = std::fs::read_to_string("/proc/self/oom_score_adj").unwrap().trim().parse().unwrap();
    let mut process = shell_process("ulimit -n; cat /proc/self/oom_score_adj");
    process["rlimits"] = json!([{ "type": "RLIMIT_NOFILE", "soft": 77, "hard": 99 }]);
    process["oomScoreAdj"] = json!(own + 13);
    assert_eq!(exec_output(&container, &process).0, format!("77\n{}\n", own + 13));
}

#[test]
fn the_exit_status_is_reported() {
    let test = TestRuntime::new();
    let container = running(&test);
    assert_eq!(exec_output(&container, &shell_process("exit 42")).1, ExitStatus::Exited(42));
    let killed = ExitStatus::Signaled { signal: libc::SIGUSR1, core_dumped: false };
    assert_eq!(exec_output(&container, &shell_process("kill -USR1 $$")).1, killed);
    let process = container.exec(&parsed(&shell_process("exec sleep 1000")), &quiet()).unwrap();
    assert_eq!(process.wait(20).unwrap_err().code, Code::Timeout);
    process.signal(libc::SIGTERM).unwrap();
    let killed = ExitStatus::Signaled { signal: libc::SIGTERM, core_dumped: false };
    assert_eq!(process.wait(LONG).unwrap(), killed);
    assert_eq!(process.wait(LONG).unwrap(), killed, "and again");
    assert_eq!(process.signal(libc::SIGTERM).unwrap_err().code, Code::NotRunning);
    assert_eq!(container.status().unwrap(), Status::Running);
}

#[test]
fn it_is_in_the_containers_namespaces_and_cgroups() {
    let test = TestRuntime::new();
    let container = running(&test);
    let process = container.exec(&parsed(&shell_process("exec sleep 1000")), &quiet()).unwrap();
    let init = container.init_process().unwrap().pid();
    for (kind, file) in NAMESPACES {
        let link = |pid: i32| std::fs::read_link(format!("/proc/{pid}/ns/{file}")).unwrap();
        assert_eq!(link(process.pid()), link(init), "{kind}");
    }
    let cgroups = |pid: i32| std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    assert_eq!(cgroups(process.pid()), cgroups(init));
    assert!(container.pids().unwrap().contains(&process.pid()));
    let root = |pid: i32| std::fs::read_link(format!("/proc/{pid}/root")).unwrap();
    assert_eq!(root(process.pid()), root(init));
}

#[test]
fn a_missing_program_or_directory_is_named() {
    let test = TestRuntime::new();
    let container = running(&test);
    let mut process = shell_process("");
    process["args"] = json!(["nothing-here"]);
    let error = container.exec(&parsed(&process), &quiet()).unwrap_err();
    assert_eq!((error.stage, error.errno), (Stage::Init, Some(nix::errno::Errno::ENOENT)));
    assert!(error.message.contains("executing \"nothing-here\": no such file"), "{error}");
    let mut process = shell_process("true");
    process["cwd"] = json!("/not/there");
    let error = container.exec(&parsed(&process), &quiet()).unwrap_err();
    assert!(error.message.contains("/not/there"), "{error}");
    assert_eq!(container.pids().unwrap().len(), 1, "nothing is left of it");
}

#[test]
fn a_created_container_takes_processes() {
    let test = TestRuntime::new();
    let container = test.create(&shell("true"), &quiet()).unwrap();
    assert_eq!(exec_shell(&container, "echo inside; cat /proc/1/comm"), "inside\nberth-init\n");
    assert_eq!(container.status().unwrap(), Status::Created);
}

#[test]
fn a_paused_or_stopped_container_takes_none() {
    let test = TestRuntime::new();
    let container = running(&test);
    container.pause().unwrap();
    let exec = || container.exec(&parsed(&shell_process("true")), &quiet()).map(|_| ()).unwrap_err().code;
    assert_eq!(exec(), Code::Paused);
    container.resume().unwrap();
    container.signal(libc::SIGKILL, Recipients::Init).unwrap();
    container.wait(LONG).unwrap();
    assert_eq!(exec(), Code::NotRunning);
    container.delete(Force::No).unwrap();
    assert_eq!(exec(), Code::NotFound);
}

#[test]
fn many_at_once_each_get_their_own_output() {
    let test = TestRuntime::new();
    let container = running(&test);
    std::thread::scope(|scope| {
        for index in 0..16 {
            let container = &container;
            scope.spawn(move || {
                for round in 0..4 {
                    let expected = format!("{index} {round}\n");
                    assert_eq!(exec_shell(container, &format!("echo {index} {round}")), expected);
                }
            });
        }
    });
    assert_eq!(container.pids().unwrap().len(), 1);
}

#[test]
fn a_container_that_is_deleted_meanwhile_is_an_error_and_leaves_nothing() {
    let test = TestRuntime::new();
    for round in 0..8 {
        let container = running(&test);
        std::thread::scope(|scope| {
            let execs = scope.spawn(|| {
                loop {
                    match container.exec(&parsed(&shell_process("true")), &quiet()) {
                        Ok(process) => drop(process.wait(LONG)),
                        Err(error) => return error,
                    }
                }
            });
            std::thread::sleep(Duration::from_millis(round));
            container.delete(Force::Kill).unwrap();
            let error = execs.join().unwrap();
            assert!(error.code != Code::Internal && error.code != Code::Timeout, "{error}");
        });
        assert!(test.runtime.ids().unwrap().is_empty());
    }
}

/// Returns whether the process has exited, without reaping it; the library may already have reaped it for another
/// test's container.
fn ended(process: &berth::Process) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.pid()));
    status.map_or(true, |status| status_line(&status, "State").starts_with('Z'))
}

/// Well below every timeout of the library, and far above the time that the call needs.
const SOON: Duration = Duration::from_secs(15);

#[test]
fn a_zombie_does_not_block_the_end_of_the_container() {
    let test = TestRuntime::new();
    for dropped in [false, true] {
        let container = running(&test);
        let process = container.exec(&parsed(&shell_process("true")), &quiet()).unwrap();
        eventually("its end", || ended(&process));
        let kept = (!dropped).then_some(process);
        let begin = Instant::now();
        container.signal(libc::SIGKILL, Recipients::Init).unwrap();
        container.wait(LONG).unwrap();
        container.delete(Force::No).unwrap();
        assert!(begin.elapsed() < SOON);
        if let Some(process) = kept {
            assert_eq!(process.wait(LONG).unwrap(), ExitStatus::Exited(0), "the status is kept");
        }
    }
}

#[test]
fn a_running_process_without_a_waiter_does_not_block_delete() {
    let test = TestRuntime::new();
    let container = running(&test);
    let kept = container.exec(&parsed(&shell_process("exec sleep 1000")), &quiet()).unwrap();
    drop(container.exec(&parsed(&shell_process("exec sleep 1000")), &quiet()).unwrap());
    let begin = Instant::now();
    container.delete(Force::Kill).unwrap();
    assert!(begin.elapsed() < SOON);
    assert_eq!(kept.wait(LONG).unwrap(), ExitStatus::Signaled { signal: libc::SIGKILL, core_dumped: false });
}

#[test]
fn a_container_whose_pid_namespace_others_have_joined_is_deleted_at_once() {
    let test = TestRuntime::new();
    let first = running(&test);
    let mut config = shell("sleep 1000");
    join_namespace(&mut config, "pid", &proc_of(&first, "ns/pid").display().to_string());
    let second = test.run(&config, &quiet()).unwrap();
    let begin = Instant::now();
    first.delete(Force::Kill).unwrap();
    assert!(begin.elapsed() < SOON);
    assert_eq!(second.wait(LONG).unwrap(), ExitStatus::Signaled { signal: libc::SIGKILL, core_dumped: false });
    assert_eq!(second.status().unwrap(), Status::Stopped);
    second.delete(Force::No).unwrap();
}

#[test]
fn nothing_of_the_callers_descriptors_is_inherited_except_what_was_asked() {
    let test = TestRuntime::new();
    let container = running(&test);
    assert_eq!(exec_shell(&container, "exec ls /proc/self/fd"), "0\n1\n2\n3\n");
}

#[test]
fn unset_confinement_of_exec_is_the_containers() {
    let test = TestRuntime::new();
    let own: i32 = std::fs::read_to_string("/proc/self/oom_score_adj").unwrap().trim().parse().unwrap();
    let mut config = shell("sleep 1000");
    config["process"]["noNewPrivileges"] = json!(true);
    config["process"]["rlimits"] = json!([{ "type": "RLIMIT_NOFILE", "soft": 55, "hard": 66 }]);
    config["process"]["oomScoreAdj"] = json!(own + 7);
    let container = test.run(&config, &quiet()).unwrap();
    let script = "grep NoNewPrivs /proc/$$/status; ulimit -n; ulimit -Hn; cat /proc/self/oom_score_adj";
    let (text, _) = exec_output(&container, &shell_process(script));
    assert_eq!(text, format!("NoNewPrivs:\t1\n55\n66\n{}\n", own + 7));
}

#[test]
fn in_a_joined_mount_namespace_it_is_below_the_containers_root() {
    let test = TestRuntime::new();
    let mut config = shell("sleep 1000");
    push_mount(&mut config, json!({ "destination": "/mnt", "type": "tmpfs" }));
    let donor = test.run(&config, &quiet()).unwrap();
    let (text, status) = exec_output(&donor, &shell_process("cp -a /bin /mnt/ 2>&1"));
    assert_eq!(status, ExitStatus::Exited(0), "{text}");
    let mut config = shell("sleep 1000");
    join_namespace(&mut config, "mount", &format!("/proc/{}/ns/mnt", donor.init_process().unwrap().pid()));
    config["mounts"] = json!([]);
    config["root"]["readonly"] = json!(false);
    config["linux"].as_object_mut().unwrap().retain(|key, _| !key.ends_with("Paths"));
    // The same path exists on the host and, with other contents, in the mount namespace.
    let config = berth::spec::Config::from_json(&config.to_string(), Some("/mnt".as_ref())).unwrap();
    let container = berth::Container::run(&test.runtime, &unique("joined"), &config, &quiet()).unwrap();
    let (text, status) = exec_output(&container, &shell_process("ls -d /bin /sbin"));
    assert_eq!((text.as_str(), status), ("/bin\nls: /sbin: No such file or directory\n", ExitStatus::Exited(1)));
}
