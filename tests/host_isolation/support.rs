//! The caller as it is run, and a container from create to delete.

use berth::{Code, Container, ExitStatus, Force, ProcessOptions, Runtime, Stdio};

use crate::common::*;

/// Runs a caller that must print nothing and leave nothing behind.
pub fn quiet_caller(name: &str, variant: &str) {
    assert_eq!(run_caller(name, &[variant]), "", "a caller has printed");
}

/// Returns whether the kernel still reports the exit status after somebody else has reaped the process (Linux 6.15,
/// PIDFD_GET_INFO).
fn kernel_remembers() -> bool {
    let release = nix::sys::utsname::uname().unwrap().release().to_string_lossy().into_owned();
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|number| number.parse::<u32>().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) >= (6, 15)
}

pub fn check_status(status: berth::Result<ExitStatus>, expected: ExitStatus) {
    match status {
        Ok(status) => assert_eq!(status, expected),
        Err(error) => assert!(error.code == Code::StatusUnknown && !kernel_remembers(), "{error}"),
    }
}

/// Runs a container from create to delete, with one exec.
pub fn life_cycle(runtime: &Runtime, id: &str) {
    let container = Container::create(runtime, id, &shell_config("read x; exit 7"), &piped_in()).unwrap();
    container.start().unwrap();
    check_status(exec_script(&container, "exit 9", &quiet()).unwrap().wait(LONG), ExitStatus::Exited(9));
    drop(container.init_process().unwrap().take_stdio());
    check_status(container.wait(LONG), ExitStatus::Exited(7));
    container.delete(Force::No).unwrap();
}

fn piped_in() -> ProcessOptions {
    ProcessOptions { stdio: [Stdio::Pipe, Stdio::Null, Stdio::Null], ..ProcessOptions::default() }
}
