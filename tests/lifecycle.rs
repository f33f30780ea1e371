//! A container from create to delete.

mod common;

use berth::{Code, ExitStatus, Force, Status};
use common::*;
use serde_json::json;

#[test]
fn a_program_runs_to_its_end() {
    let test = TestRuntime::new();
    let (text, status) = test.output(&shell("echo hello; exit 7"));
    assert_eq!((text.as_str(), status), ("hello\n", ExitStatus::Exited(7)));
}

#[test]
fn each_operation_has_its_state() {
    let test = TestRuntime::new();
    let container = test.create(&shell("sleep 1000"), &quiet()).unwrap();
    assert_eq!(container.status().unwrap(), Status::Created);
    container.start().unwrap();
    assert_eq!(container.status().unwrap(), Status::Running);
    container.pause().unwrap();
    assert_eq!(container.status().unwrap(), Status::Paused);
    container.resume().unwrap();
    assert_eq!(container.status().unwrap(), Status::Running);
    container.signal(libc::SIGKILL, berth::Recipients::Init).unwrap();
    assert_eq!(container.wait(LONG).unwrap(), ExitStatus::Signaled { signal: libc::SIGKILL, core_dumped: false });
    assert_eq!(container.status().unwrap(), Status::Stopped);
    container.delete(Force::No).unwrap();
    assert_eq!(container.status().unwrap_err().code, Code::NotFound);
}

#[test]
fn a_program_that_is_missing_is_named_when_it_is_started() {
    let test = TestRuntime::new();
    let mut config = shell("");
    config["process"]["args"] = json!(["/bin/nothing-here"]);
    let error = test.run(&config, &quiet()).unwrap_err();
    assert!(error.message.contains("\"/bin/nothing-here\": no such file"), "{error}");
}

/// config.md: `process` is REQUIRED only when start is called.
#[test]
fn without_a_process_a_container_is_created_and_not_started() {
    let test = TestRuntime::new();
    let mut config = shell("");
    config.as_object_mut().unwrap().remove("process");
    let container = test.create(&config, &quiet()).unwrap();
    let error = container.start().unwrap_err();
    assert_eq!((error.code, container.status().unwrap()), (Code::ConfigInvalid, Status::Created), "{error}");
    let process = serde_json::from_value(shell_process("exit 4")).unwrap();
    assert_eq!(container.exec(&process, &quiet()).unwrap().wait(LONG).unwrap(), ExitStatus::Exited(4));
    container.delete(Force::Kill).unwrap();
    assert_eq!(test.run(&config, &quiet()).unwrap_err().code, Code::ConfigInvalid);
}
