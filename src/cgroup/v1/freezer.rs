//! The v1 freezer. The kernel sends no event for it, so its state is polled.

use std::path::Path;
use std::time::Instant;

use nix::errno::Errno;

use crate::cgroup::wait::Backoff;
use crate::cgroup::{limit, tree};
use crate::error::{Code, Context, Error, Result};
use crate::sys::kernfs;

const STATE: &str = "freezer.state";

/// Whether this cgroup itself was told to freeze.
pub fn is_frozen(dir: &Path) -> Result<bool> {
    Ok(limit::number(dir, "freezer.self_freezing")? == Some(1))
}

/// Whether the processes of this cgroup are frozen or being frozen, also by a cgroup above.
pub fn freezes(dir: &Path) -> Result<bool> {
    Ok(kernfs::read_optional(dir, STATE)?.is_some_and(|state| state.trim() != "THAWED"))
}

/// Freezes a cgroup. After an error the cgroup is thawed.
pub fn freeze(dir: &Path, deadline: Instant) -> Result<()> {
    let result = freeze_until(dir, deadline);
    if result.is_err() {
        // Report the first error; thawing fails only if the cgroup no longer exists.
        let _ = kernfs::write(dir, STATE, "THAWED");
    }
    result
}

fn freeze_until(dir: &Path, deadline: Instant) -> Result<()> {
    let mut backoff = Backoff::until(deadline);
    let mut looks = 0;
    kernfs::write(dir, STATE, "FROZEN")?;
    loop {
        // The kernel checks whether all tasks are frozen when the state is read.
        if kernfs::read(dir, STATE)?.trim() == "FROZEN" {
            return Ok(());
        }
        if !backoff.pause() {
            let place = dir.display();
            return Err(Error::new(Code::Timeout, format!("freezing cgroup {place}: still FREEZING at the deadline")));
        }
        looks += 1;
        // The kernel misses a task that was woken or forked at the wrong moment, and the state stays FREEZING for ever
        // (seen on kernels up to 5.x). Writing FROZEN again visits every task again; if that has not helped for a
        // while, a short thaw lets tasks that wait for each other continue.
        if looks % 32 == 0 {
            kernfs::write(dir, STATE, "THAWED")?;
        }
        kernfs::write(dir, STATE, "FROZEN")?;
    }
}

pub fn thaw(dir: &Path, deadline: Instant) -> Result<()> {
    if !kernfs::write_unless_removed(dir, STATE, "THAWED")? {
        return Ok(());
    }
    let mut backoff = Backoff::until(deadline);
    loop {
        match kernfs::read_optional(dir, STATE)? {
            Some(state) if state.trim() != "THAWED" => {}
            _ => return Ok(()),
        }
        if !backoff.pause() {
            let place = dir.display();
            let reason = match limit::number(dir, "freezer.parent_freezing")? {
                Some(1) => "a cgroup above it is frozen",
                _ => "still frozen at the deadline",
            };
            return Err(Error::new(Code::Timeout, format!("thawing cgroup {place}: {reason}")));
        }
    }
}

/// Thaws a cgroup and every cgroup below it, without waiting. On v1 a frozen task cannot even be killed.
pub fn thaw_tree(dir: &Path) -> Result<()> {
    tree::each(dir, |below| match tree::file(below, STATE, nix::fcntl::OFlag::O_WRONLY)? {
        Some(file) => match kernfs::write_all(file, "THAWED") {
            // The cgroup was removed meanwhile.
            Err(Errno::ENODEV) => Ok(()),
            other => other.context(|| format!("thawing a cgroup below {}", dir.display())),
        },
        None => Ok(()),
    })
}
