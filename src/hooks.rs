//! Hooks: programs that run at fixed points of a container's life cycle, with its state on their standard input.
//!
//! A hook must finish within a deadline. Of its output, only the end is kept, for the error message. A hook whose entry has
//! no environment gets the one of its place; the caller's own environment, which may have secrets, is never passed on
//! unless the caller asks for it ([`Settings::hook_env`](crate::Settings::hook_env)).

use std::io::Write;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::path::Path;
use std::time::Duration;

use nix::sys::memfd::{MFdFlags, memfd_create};

use crate::deadline::Deadline;
use crate::error::{Code, Context, Error, Result, Stage};
use crate::plan::{self, Descriptor, Plan, Program, ProgramPlace};
use crate::program::{Output, kill_group};
use crate::spawn::InitHandles;
use crate::spawn::{self, Launch};
use crate::spec::hooks::Kind;
use crate::spec::oci::Hook;
use crate::sys::{exit_status::ExitStatus, procfs};

/// The namespaces and restrictions that hooks of a kind run with.
pub enum Place<'a> {
    /// In the caller's namespaces, in this working directory (`None`: the caller's), and with this environment.
    Host { directory: Option<&'a Path>, env: &'a [String] },
    /// In the namespaces of a container's init, given as CLONE_NEW… flags; in its root filesystem as working directory,
    /// so that relative paths do not lead to the host; without an environment.
    Container { namespaces: u64, foreign_cgroup_namespace: bool, init: &'a InitHandles },
    /// With the restrictions of the container's process. `plan` returns the plan for a hook.
    AsProcess { plan: &'a dyn Fn(&Hook) -> Result<Plan>, run: &'a ProcessRunner<'a> },
}

/// Starts a plan that joins a container, and returns the process once its program is executed.
pub type ProcessRunner<'a> = dyn Fn(&Plan, &[RawFd]) -> Result<spawn::Child> + 'a;

/// Runs the hooks of one kind in order, until one fails. Failures of poststop hooks are only logged, and the remaining
/// hooks run (OCI runtime specification, "Lifecycle").
pub fn run(kind: Kind, hooks: &[Hook], state: &str, place: &Place, default_timeout: Duration) -> Result<()> {
    for (index, hook) in hooks.iter().enumerate() {
        match run_one(hook, state, place, default_timeout) {
            Ok(()) => {}
            Err(error) if kind == Kind::Poststop => log::warn!("{}", with_hook_name(error, kind, index, hook)),
            Err(error) => return Err(with_hook_name(error, kind, index, hook)),
        }
    }
    Ok(())
}

/// Adds the hook's name to an error.
fn with_hook_name(error: Error, kind: Kind, index: usize, hook: &Hook) -> Error {
    let name = kind.name();
    let mut error = error.context(format!("{name} hook {index} ({})", hook.path().display()));
    error.code = if error.code == Code::Timeout { Code::Timeout } else { Code::Hook };
    error.with_stage(Stage::Hook).detail("hook", name).detail("hook_index", index)
}

/// Runs a helper program of the host until it exits. Fails if its exit status is not 0. The program gets no input and
/// no environment.
pub fn run_program(call: &Hook, timeout: Duration) -> Result<()> {
    run_one(call, "", &Place::Host { directory: None, env: &[] }, timeout)
}

fn run_one(hook: &Hook, state: &str, place: &Place, default_timeout: Duration) -> Result<()> {
    let timeout = hook.timeout().and_then(|seconds| u64::try_from(seconds).ok()).map(Duration::from_secs);
    let timeout = timeout.unwrap_or(default_timeout);
    let deadline = Deadline::after(timeout);
    let stdin = memory_file(state)?;
    let (mut output, theirs) = Output::new()?;
    let low = [stdin.as_raw_fd(), theirs.as_raw_fd(), theirs.as_raw_fd()];

    let child = start(hook, place, &low, deadline)?;
    drop((stdin, theirs));
    match output.until_end(&child.pidfd, deadline) {
        Ok(Some(ExitStatus::Exited(0))) => Ok(()),
        Ok(Some(status)) => {
            let message = format!("{}{}", status.describe(), output.quoted());
            Err(Error::new(Code::Hook, message).detail("output", output.text()))
        }
        Ok(None) => {
            kill_group(child);
            let message = format!("has not ended within {} s and was killed{}", timeout.as_secs_f64(), output.quoted());
            Err(Error::new(Code::Timeout, message).detail("output", output.text()))
        }
        Err(error) => {
            kill_group(child);
            Err(error)
        }
    }
}

fn start(hook: &Hook, place: &Place, low: &[RawFd], deadline: Deadline) -> Result<spawn::Child> {
    let (place, default_env, init) = match *place {
        Place::Host { directory, env } => (ProgramPlace::Host { directory }, env, None),
        Place::Container { namespaces, foreign_cgroup_namespace, init } => {
            (ProgramPlace::Container { namespaces, foreign_cgroup_namespace }, [].as_slice(), Some(init))
        }
        Place::AsProcess { plan, run } => return run(&plan(hook)?, low),
    };
    let file = hook.path().to_string_lossy();
    let args = hook.args().clone().unwrap_or_default();
    let env = hook.env().as_deref().unwrap_or(default_env);
    let plan = plan::program(&Program { file: &file, args: &args, env, place });
    let open = |descriptor: &Descriptor| init.map_or(-1, |init: &InitHandles| init.find(descriptor));
    let mut channel =
        spawn::start(&plan, Launch { low, open: &open, cgroup: None, proc: procfs::root()?, network: None })?;
    if plan.forks() {
        channel.adopt(deadline)?;
        channel.go()?;
    }
    channel.executed(deadline)?;
    Ok(channel.finish().child)
}

/// Returns a file for the hook's standard input. Unlike a pipe it needs no writer: if the hook does not read it, the
/// caller neither blocks nor gets SIGPIPE.
fn memory_file(state: &str) -> Result<OwnedFd> {
    let fd = memfd_create(c"berth-state", MFdFlags::MFD_CLOEXEC).context(|| "creating a memory file for the state")?;
    let mut file = std::fs::File::from(fd);
    file.write_all(state.as_bytes()).context(|| "writing the state")?;
    std::io::Seek::rewind(&mut file).context(|| "writing the state")?;
    Ok(file.into())
}
