//! Scenarios of running containers: signals, pause, statistics, limits, exit status.

use berth::{Code, ExitStatus, Force, Recipients, Status};
use nix::poll::PollTimeout;

use super::*;

pub const ALL: &[Scenario] = &[
    ("pause-resume", pause_resume),
    ("kill", kill),
    ("kill-all", kill_all),
    ("process-signal", process_signal),
    ("exit-code", exit_code),
    ("exit-signal", exit_signal),
    ("wait-elsewhere", wait_elsewhere),
    ("pids", pids),
];

fn sleeping(test: &TestRuntime) -> Container {
    test.run(&shell("exec sleep 1000"), &quiet()).unwrap()
}

fn pause_resume(test: &TestRuntime) {
    let container = sleeping(test);
    container.pause().unwrap();
    assert_eq!(container.status().unwrap(), Status::Paused);
    fails(Code::Paused, "paused", container.exec(&parsed(&shell_process("true")), &quiet()));
    container.resume().unwrap();
    assert_eq!(container.status().unwrap(), Status::Running);
    assert_eq!(execute(&container, "exit 3").end(), ExitStatus::Exited(3));
}

fn kill(test: &TestRuntime) {
    let container = sleeping(test);
    container.signal(libc::SIGKILL, Recipients::Init).unwrap();
    assert_eq!(container.end(), KILLED);
    assert_eq!(container.status().unwrap(), Status::Stopped);
    container.delete(Force::No).unwrap();
}

fn kill_all(test: &TestRuntime) {
    let container = sleeping(test);
    let process = execute(&container, "exec sleep 1000");
    container.signal(libc::SIGKILL, Recipients::All).unwrap();
    assert_eq!(process.end(), KILLED);
    assert_eq!(container.end(), KILLED);
}

fn process_signal(test: &TestRuntime) {
    let container = sleeping(test);
    let process = execute(&container, "exec sleep 1000");
    process.signal(0).unwrap();
    process.signal(libc::SIGKILL).unwrap();
    assert_eq!(process.end(), KILLED);
    fails(Code::NotRunning, "ended", process.signal(libc::SIGKILL));
    assert_eq!(container.status().unwrap(), Status::Running);
}

fn exit_code(test: &TestRuntime) {
    for code in [0, 7] {
        let container = test.run(&shell(&format!("exit {code}")), &quiet()).unwrap();
        assert_eq!(container.end(), ExitStatus::Exited(code));
        assert_eq!(container.end(), ExitStatus::Exited(code));
    }
}

fn exit_signal(test: &TestRuntime) {
    let status = execute(&sleeping(test), "kill $$").end();
    assert_eq!(status, ExitStatus::Signaled { signal: libc::SIGTERM, core_dumped: false });
}

fn wait_elsewhere(test: &TestRuntime) {
    let container = sleeping(test);
    let pidfd = container.pidfd().unwrap();
    assert!(is_cloexec(&pidfd) && !is_readable(&pidfd, PollTimeout::ZERO));
    container.signal(libc::SIGKILL, Recipients::Init).unwrap();
    assert!(is_readable(&pidfd, long()));
    assert_eq!(container.end(), KILLED);
}

fn pids(test: &TestRuntime) {
    let container = sleeping(test);
    let process = execute(&container, "exec sleep 1000");
    let mut expected = vec![container.init_process().unwrap().pid(), process.pid()];
    expected.sort();
    assert_eq!(container.pids().unwrap(), expected);
}
