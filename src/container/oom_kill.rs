//! Explains the errors of processes that the kernel has killed during setup because memory ran out.

use nix::errno::Errno;

use crate::cgroup::Cgroup;
use crate::error::Error;
use crate::spawn::SIGNAL;
use crate::spec::Config;

const LIMIT: &str = "linux.resources.memory.limit";

/// Adds the exceeded memory limit to an error of setup, if the OOM killer was the reason. The kernel does not report
/// the reason of a kill, but counts OOM kills in the cgroup.
pub fn explain_oom_kill(error: Error, cgroup: &dyn Cgroup, config: &Config) -> Error {
    if error.detail.get(SIGNAL) != Some(&libc::SIGKILL.into()) {
        return error;
    }
    // It only explains the error.
    let kills = cgroup.stats().ok().and_then(|stats| stats.oom_kills).unwrap_or(0);
    if kills == 0 {
        return error;
    }
    let counted = format!("{}, by the kernel's OOM killer (oom_kill of its cgroup is {kills})", error.message);
    let resources = config.spec().linux().as_ref().and_then(|linux| linux.resources().as_ref());
    let limit = resources.and_then(|resources| resources.memory().as_ref()?.limit()).filter(|limit| *limit > 0);
    let error = match limit {
        Some(limit) => Error { message: format!("{counted}: {LIMIT} is {limit} bytes, which is too low"), ..error }
            .detail("json_path", LIMIT),
        None => Error { message: format!("{counted}: the limit of this cgroup, or of one above, is too low"), ..error },
    };
    error.with_errno(Errno::ENOMEM).detail("oom_kills", kills)
}
