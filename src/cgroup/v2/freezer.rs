//! The v2 freezer: `cgroup.freeze` requests, `cgroup.events` confirms and notifies.

use std::path::Path;
use std::time::{Duration, Instant};

use nix::errno::Errno;

use super::cgroup_events;
use crate::cgroup::limit;
use crate::error::{Code, Error, Result};
use crate::sys::kernfs;

const FREEZE: &str = "cgroup.freeze";

pub fn is_frozen(dir: &Path) -> Result<bool> {
    Ok(limit::number(dir, FREEZE)? == Some(1))
}

/// Freezes a cgroup. After an error the cgroup is thawed.
pub fn freeze(dir: &Path, deadline: Instant) -> Result<()> {
    let error = match freeze_until(dir, deadline) {
        Ok(Some(true)) => return Ok(()),
        Ok(Some(false)) => {
            let place = dir.display();
            Error::new(Code::Timeout, format!("freezing cgroup {place}: not frozen at the deadline"))
        }
        Ok(None) => Error::system(Errno::ENOENT, format!("freezing cgroup {}", dir.display())),
        Err(error) => error,
    };
    // Report the first error; thawing fails only if the cgroup no longer exists.
    let _ = kernfs::write(dir, FREEZE, "0");
    Err(error)
}

/// Requests the freeze repeatedly: somebody may thaw the cgroup before the kernel has confirmed, and no event would
/// report that.
fn freeze_until(dir: &Path, deadline: Instant) -> Result<Option<bool>> {
    const RETRY_INTERVAL: Duration = Duration::from_millis(100);
    loop {
        kernfs::write(dir, FREEZE, "1")?;
        let soon = Instant::now() + RETRY_INTERVAL;
        match cgroup_events::wait(dir, "frozen", 1, soon.min(deadline))? {
            Some(false) if soon < deadline => {}
            outcome => return Ok(outcome),
        }
    }
}

pub fn thaw(dir: &Path, deadline: Instant) -> Result<()> {
    if !kernfs::write_unless_removed(dir, FREEZE, "0")? {
        return Ok(());
    }
    match cgroup_events::wait(dir, "frozen", 0, deadline)? {
        Some(false) => {
            let place = dir.display();
            let problem =
                format!("thawing cgroup {place}: still frozen at the deadline (is a cgroup above it frozen?)");
            Err(Error::new(Code::Timeout, problem))
        }
        _ => Ok(()),
    }
}
