//! Runs CRIU as a command that prints something and exits.

use std::os::fd::AsRawFd;
use std::path::Path;

use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;

use super::{Root, SEARCH};
use crate::deadline::Deadline;
use crate::error::{Code, Context, Error, Result, Stage};
use crate::plan::{self, Plan, Program, ProgramPlace, Step};
use crate::program::{Output, kill_group};
use crate::spawn::{self, Launch};
use crate::sys::{exit_status::ExitStatus, procfs};

/// Returns the plan that executes CRIU in a new mount namespace, so that the host never sees CRIU's temporary mounts,
/// and they disappear with CRIU even if it is killed. `root` is what a restore needs.
pub fn plan(program: &Path, args: &[&str], root: Option<&Root>) -> Plan {
    let file = program.to_string_lossy().into_owned();
    let args: Vec<String> = std::iter::once(file.as_str()).chain(args.iter().copied()).map(str::to_owned).collect();
    let env = [format!("PATH={SEARCH}")];
    let rest =
        plan::program(&Program { file: &file, args: &args, env: &env, place: ProgramPlace::Host { directory: None } });
    let mut plan = Plan { clone_flags: libc::CLONE_NEWNS as u64, ..rest };
    let cut_off = Step::Propagation { path: "/".into(), flags: libc::MS_SLAVE | libc::MS_REC };
    let before = match root {
        Some(root) => root.steps(&mut plan),
        // The images of a dump contain the memory of processes.
        None => vec![Step::Umask(0o077)],
    };
    plan.steps.splice(0..0, std::iter::once(cut_off).chain(before));
    plan
}

/// Runs CRIU, and returns its exit status and the end of its output.
pub fn run(program: &Path, args: &[&str], deadline: Deadline) -> Result<(ExitStatus, String)> {
    let null = open("/dev/null", OFlag::O_RDWR | OFlag::O_CLOEXEC, Mode::empty()).context(|| "opening /dev/null")?;
    let (mut output, theirs) = Output::new()?;
    let plan = plan(program, args, None);
    let low = [null.as_raw_fd(), theirs.as_raw_fd(), theirs.as_raw_fd()];
    let mut starting =
        spawn::start(&plan, Launch { low: &low, open: &|_| -1, cgroup: None, proc: procfs::root()?, network: None })?;
    starting.executed(deadline)?;
    let child = starting.finish().child;
    drop((null, theirs));
    match output.until_end(&child.pidfd, deadline) {
        Ok(Some(status)) => Ok((status, output.text())),
        Ok(None) => {
            kill_group(child);
            let message = format!("{} {} has not ended in time and was killed", program.display(), args.join(" "));
            Err(Error::new(Code::Timeout, message).with_stage(Stage::Criu))
        }
        Err(error) => {
            kill_group(child);
            Err(error)
        }
    }
}
