//! Scenarios of create, start, exec and bundles.

use std::os::unix::fs::symlink;

use berth::spec::Config;
use berth::{Code, Container, ExitStatus, Force, ProcessOptions, Status, Stdio};
use nix::poll::PollTimeout;

use super::*;

pub const ALL: &[Scenario] =
    &[("lifecycle", lifecycle), ("run", run), ("exec", exec), ("exec-in-created", exec_in_created), ("bundle", bundle)];

fn lifecycle(test: &TestRuntime) {
    let options = ProcessOptions { stdio: [Stdio::Pipe, Stdio::Null, Stdio::Null], ..ProcessOptions::default() };
    let container = test.create(&shell("read line; exit 7"), &options).unwrap();
    assert_eq!(container.status().unwrap(), Status::Created);
    container.start().unwrap();
    assert_eq!(container.status().unwrap(), Status::Running);
    drop(container.init_process().unwrap().take_stdio());
    assert_eq!(container.end(), ExitStatus::Exited(7));
    assert_eq!(container.status().unwrap(), Status::Stopped);
    container.delete(Force::No).unwrap();
    fails(Code::NotFound, container.id(), container.status());
    fails(Code::NotFound, container.id(), test.runtime.load(container.id()));
}

fn run(test: &TestRuntime) {
    assert_eq!(test.run(&shell("sleep 1000"), &quiet()).unwrap().status().unwrap(), Status::Running);
}

fn exec(test: &TestRuntime) {
    let container = test.run(&shell("exec sleep 1000"), &quiet()).unwrap();
    let options = ProcessOptions { stdio: [Stdio::Pipe, Stdio::Pipe, Stdio::Null], ..ProcessOptions::default() };
    let script = "cat /proc/1/comm; read line; exit 9";
    let process = container.exec(&parsed(&shell_process(script)), &options).unwrap();
    assert!(process.pid() > 1 && process.pid() != std::process::id() as i32);
    assert!(!is_readable(process.pidfd(), PollTimeout::ZERO));
    let [input, output, _] = process.take_stdio();
    drop(input);
    assert_eq!(text_of(output), "sleep\n");
    assert_eq!(process.end(), ExitStatus::Exited(9));
    assert!(is_readable(process.pidfd(), PollTimeout::ZERO));
}

fn exec_in_created(test: &TestRuntime) {
    let container = test.create(&shell("exit 3"), &quiet()).unwrap();
    assert_eq!(execute(&container, "exit 4").end(), ExitStatus::Exited(4));
    assert_eq!(container.status().unwrap(), Status::Created);
    container.start().unwrap();
    assert_eq!(container.end(), ExitStatus::Exited(3));
}

fn bundle(test: &TestRuntime) {
    let folder = test.make_dir("bundle");
    symlink(rootfs(), folder.join("rootfs")).unwrap();
    test.write_config(&folder, &shell("exit 5"));
    let config = Config::from_bundle(&folder).unwrap();
    config.validate().unwrap();
    let container = Container::run(&test.runtime, &unique("bundle"), &config, &quiet()).unwrap();
    assert_eq!(container.end(), ExitStatus::Exited(5));
}
