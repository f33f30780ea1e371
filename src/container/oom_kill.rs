//! Why an init was killed at work, if the kernel ran out of memory for it.

use nix::errno::Errno;

use crate::cgroup::Cgroup;
use crate::error::Error;
use crate::spawn::SIGNAL;
use crate::spec::Config;

const LIMIT: &str = "linux.resources.memory.limit";

/// The error of a setup, with the limit that ended it: a kill by the kernel tells nobody its reason, and the counter
/// of the cgroup does.
pub fn explain_oom_kill(error: Error, cgroup: &dyn Cgroup, config: &Config) -> Error {
    if error.detail.get(SIGNAL) != Some(&libc::SIGKILL.into()) {
        return error;
    }
    let kills = cgroup.stats().ok().and_then(|stats| stats.oom_kills).unwrap_or(0);
    if kills == 0 {
        return error;
    }
    let counted = format!("{}, by the kernel, for want of memory (oom_kill of its cgroup is {kills})", error.message);
    let resources = config.spec().linux().as_ref().and_then(|linux| linux.resources().as_ref());
    let limit = resources.and_then(|resources| resources.memory().as_ref()?.limit()).filter(|limit| *limit > 0);
    let error = match limit {
        Some(limit) => {
            Error { message: format!("{counted}: {LIMIT} is {limit} bytes, and that is too little"), ..error }
                .detail("json_path", LIMIT)
        }
        None => Error { message: format!("{counted}: the limit of this cgroup, or of one above, is too low"), ..error },
    };
    error.with_errno(Errno::ENOMEM).detail("oom_kills", kills)
}
