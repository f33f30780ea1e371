//! Memory events of cgroup v2: OOM kills in `memory.events`, and triggers of `memory.pressure` (PSI).

use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::OFlag;

use crate::error::{Code, Context, Error, Result};
use crate::events::{Level, Source};
use crate::sys::kernfs;

pub fn oom(dir: &Path) -> Result<Source> {
    let path = dir.join("memory.events");
    let file = kernfs::open(&path, OFlag::O_RDONLY).map_err(no_controller)?;
    Source::kills(file, &path)
}

fn no_controller(error: Error) -> Error {
    match error.errno {
        Some(Errno::ENOENT) => {
            Error::new(Code::Unsupported, format!("{}: the memory controller is not enabled", error.message))
        }
        _ => error,
    }
}

pub fn pressure(dir: &Path, level: Level) -> Result<Source> {
    let path = dir.join("memory.pressure");
    let unmeasured = |error: Error| match error.errno {
        Some(Errno::ENOENT | Errno::EOPNOTSUPP) => {
            let message = format!("{}: this kernel has no pressure stall information (PSI)", path.display());
            Error::new(Code::Unsupported, message)
        }
        _ => error,
    };
    let trigger = kernfs::open(&path, OFlag::O_RDWR | OFlag::O_NONBLOCK).map_err(unmeasured)?;
    match kernfs::write_all(&trigger, &level.trigger(1)) {
        // Without CAP_SYS_RESOURCE.
        Err(Errno::EINVAL | Errno::EPERM) => kernfs::write_all(&trigger, &level.trigger(2)),
        other => other,
    }
    .context(|| format!("setting a trigger on {} to \"{}\"", path.display(), level.trigger(1)))
    .map_err(unmeasured)?;
    Source::stalls(trigger)
}
