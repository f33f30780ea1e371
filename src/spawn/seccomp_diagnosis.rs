//! Explains failures caused by a seccomp filter that forbids system calls init still needs.

use std::os::fd::BorrowedFd;
use std::time::Duration;

use nix::errno::Errno;

use crate::deadline::Deadline;
use crate::error::{Code, Context, Error, Result, Stage};
use crate::plan::Plan;
use crate::sys::procfs;

/// Returns an addition to a step's error if the filter loaded before may have caused the error.
pub fn seccomp_hint(plan: &Plan, index: usize, errno: Errno) -> String {
    match plan.filter() {
        Some((loaded, filter)) if loaded < index && filter.errnos.contains(&(errno as i32)) => {
            format!(
                "; the seccomp filter, loaded in step {}, returns this error for system calls that it denies",
                loaded + 1
            )
        }
        _ => String::new(),
    }
}

pub fn killed() -> Error {
    let message = "berth-init was killed by the seccomp filter (SIGSYS): it denies execve or another system call that \
                   is needed to execute the container's program";
    Error::new(Code::System, message).with_stage(Stage::Init)
}

fn not_executed() -> Error {
    let message = "the container's program was not executed: the seccomp filter has killed berth-init, or denies \
                   execve and the system calls that report the error";
    Error::new(Code::System, message).with_stage(Stage::Init)
}

/// Checks, after init's end of the pipe or fifo has closed without a message, that init has executed the program. The
/// filter may instead have killed init, or forbidden both execve and the report of its failure; then a zombie remains
/// that still has init's name.
pub fn check_executed(pid: i32, pidfd: BorrowedFd, deadline: Deadline) -> Result<()> {
    // The container's program may have the same name, so limit the wait.
    let deadline = deadline.within(EXEC_TIMEOUT);
    loop {
        match procfs::stat(pid)? {
            Some(stat) if stat.name != INIT_NAME => return Ok(()),
            Some(stat) if matches!(stat.state, 'Z' | 'X') => return Err(not_executed()),
            // init is still about to execute or to exit.
            Some(_) if !deadline.passed() => {
                let moment = Deadline::after_ms(1);
                moment.readable(pidfd).context(|| "waiting for berth-init")?;
            }
            _ => return Ok(()),
        }
    }
}

const EXEC_TIMEOUT: Duration = Duration::from_secs(2);

/// init's process name; execve replaces it with the program's name.
const INIT_NAME: &str = "berth-init";
