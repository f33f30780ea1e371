//! A seccomp filter that forbids what init itself must still do: why it failed, in words.

use std::os::fd::BorrowedFd;
use std::time::Duration;

use nix::errno::Errno;

use crate::deadline::Deadline;
use crate::error::{Code, Context, Error, Result, Stage};
use crate::plan::Plan;
use crate::sys::procfs;

/// What to add to a step's failure if the filter that was loaded before may have caused it.
pub fn seccomp_hint(plan: &Plan, index: usize, errno: Errno) -> String {
    match plan.filter() {
        Some((loaded, filter)) if loaded < index && filter.errnos.contains(&(errno as i32)) => {
            format!("; the seccomp filter, loaded in step {}, answers so what it forbids", loaded + 1)
        }
        _ => String::new(),
    }
}

pub fn killed() -> Error {
    let message = "berth-init was killed by the seccomp filter (SIGSYS): it forbids a system call that is needed to \
                   execute the container's program, execve at least";
    Error::new(Code::System, message).with_stage(Stage::Init)
}

fn not_executed() -> Error {
    let message = "the container's program was not executed: the seccomp filter has killed berth-init, or forbids it \
                   execve and the calls to say so";
    Error::new(Code::System, message).with_stage(Stage::Init)
}

/// init's end of pipe or fifo has closed without a word: it has executed the program, unless its filter has
/// killed it, or forbade it both execve and telling so. Then it is a zombie with init's name still.
pub fn check_executed(pid: i32, pidfd: BorrowedFd, deadline: Deadline) -> Result<()> {
    // Somebody's program may have this very name: that must not hold us for long.
    let deadline = deadline.within(LONGEST);
    loop {
        match procfs::stat(pid)? {
            Some(stat) if stat.name != INIT_NAME => return Ok(()),
            Some(stat) if matches!(stat.state, 'Z' | 'X') => return Err(not_executed()),
            // On its way, one or the other.
            Some(_) if !deadline.passed() => {
                let moment = Deadline::after_ms(1);
                moment.readable(pidfd).context(|| "waiting for berth-init")?;
            }
            _ => return Ok(()),
        }
    }
}

const LONGEST: Duration = Duration::from_secs(2);

/// As init has named itself; execve gives a process the name of its program.
const INIT_NAME: &str = "berth-init";
