//! Explains failures caused by a seccomp filter that forbids system calls init still needs.

use std::os::fd::BorrowedFd;

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
/// that still has init's name. `image`: device and inode of berth-init.
pub fn check_executed(pid: i32, image: (u64, u64), pidfd: BorrowedFd, deadline: Deadline) -> Result<()> {
    loop {
        match procfs::stat(pid)? {
            Some(stat) if stat.name != INIT_NAME => return Ok(()),
            Some(stat) if matches!(stat.state, 'Z' | 'X') => return Err(not_executed()),
            // The container's program may have the same name.
            Some(_) if procfs::identity_of(&format!("{pid}/exe")).is_ok_and(|found| found != image) => return Ok(()),
            // init is still about to execute or to exit.
            Some(_) if !deadline.passed() => {
                let moment = Deadline::after_ms(1);
                moment.readable(pidfd).context(|| "waiting for berth-init")?;
            }
            _ => return Ok(()),
        }
    }
}

/// init's process name; execve replaces it with the program's name.
const INIT_NAME: &str = "berth-init";
