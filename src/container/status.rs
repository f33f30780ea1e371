//! The state machine. No status is stored: it is determined from init's identity, the freezer, and the program that
//! init executes.

use std::os::fd::AsFd;

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag};
use nix::sys::stat::fstatat;

use crate::cgroup::Cgroup;
use crate::error::{Context, Result};
use crate::state::{Init, Phase, Record};
use crate::sys::procfs;

/// The status of a container (OCI "State"; *paused* is libberth's addition).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Status {
    /// The container is being created.
    Creating = 0,
    /// Setup is complete; the program has not been started.
    Created = 1,
    /// The program is running.
    Running = 2,
    /// The container's processes are frozen, by pause or through the cgroup.
    Paused = 3,
    /// Init has ended, or the creator was killed.
    Stopped = 4,
}

impl Status {
    pub(crate) const ALL: [Status; 5] =
        [Status::Creating, Status::Created, Status::Running, Status::Paused, Status::Stopped];

    /// Returns the status as the OCI runtime specification spells it.
    pub fn name(self) -> &'static str {
        match self {
            Status::Creating => "creating",
            Status::Created => "created",
            Status::Running => "running",
            Status::Paused => "paused",
            Status::Stopped => "stopped",
        }
    }
}

/// The facts that determine the status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Facts {
    phase: Phase,
    owner_alive: bool,
    init_alive: bool,
    frozen: bool,
    /// Whether init is still berth-init.
    before_exec: bool,
}

fn decide(facts: Facts) -> Status {
    match facts {
        Facts { phase: Phase::Creating, owner_alive: true, .. } => Status::Creating,
        Facts { phase: Phase::Creating, owner_alive: false, .. } => Status::Stopped,
        Facts { init_alive: false, .. } => Status::Stopped,
        Facts { frozen: true, .. } => Status::Paused,
        Facts { before_exec: true, .. } => Status::Created,
        _ => Status::Running,
    }
}

/// Determines the status of a container. `lives` returns whether the recorded init is alive.
pub fn of(record: &Record, cgroup: &dyn Cgroup, lives: impl FnOnce(&Init) -> Result<bool>) -> Result<Status> {
    // A process without an executable is in its exit, which may take long (see `sys::children`).
    let image = match &record.init {
        Some(init) if lives(init)? => image_of(init)?,
        _ => None,
    };
    let init_alive = image.is_some();
    Ok(decide(Facts {
        phase: record.phase,
        owner_alive: record.phase == Phase::Creating && record.owner.is_alive()?,
        init_alive,
        frozen: init_alive && cgroup.is_frozen()?,
        before_exec: init_alive && image == record.init.as_ref().map(|init| init.image),
    }))
}

/// Whether init is still berth-init, which waits for start.
pub fn waits_for_start(record: &Record) -> Result<bool> {
    match &record.init {
        Some(init) => Ok(image_of(init)? == Some(init.image)),
        None => Ok(false),
    }
}

/// Whether init executes a program: it exists, and is not in its exit.
pub fn executes(init: &Init) -> Result<bool> {
    Ok(init.identity.is_alive()? && image_of(init)?.is_some())
}

/// Returns device and inode of the file that init executes, or `None` if init no longer exists.
fn image_of(init: &Init) -> Result<Option<(u64, u64)>> {
    let pid = init.identity.pid;
    let doing = || format!("reading the executable of process {pid}");
    let dir = procfs::open_optional(&pid.to_string(), OFlag::O_PATH | OFlag::O_DIRECTORY)?;
    let Some(dir) = dir else { return Ok(None) };
    match fstatat(dir.as_fd(), "exe", AtFlags::empty()) {
        Ok(found) => Ok(Some((found.st_dev, found.st_ino))),
        Err(Errno::ENOENT | Errno::ESRCH) => Ok(None),
        // berth-init is not dumpable, so only the host's root may read this link. The container's program is dumpable
        // in its own user namespace, whose owner may read the link. So the error means that init is still berth-init.
        Err(Errno::EACCES) => Ok(Some(init.image)),
        Err(errno) => Err(errno).context(doing),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUNNING: Facts =
        Facts { phase: Phase::Created, owner_alive: false, init_alive: true, frozen: false, before_exec: false };

    #[test]
    fn each_state_follows_from_the_facts() {
        assert_eq!(decide(RUNNING), Status::Running);
        assert_eq!(decide(Facts { before_exec: true, ..RUNNING }), Status::Created);
        assert_eq!(decide(Facts { frozen: true, ..RUNNING }), Status::Paused);
        assert_eq!(decide(Facts { init_alive: false, ..RUNNING }), Status::Stopped);
        let creating = Facts { phase: Phase::Creating, owner_alive: true, init_alive: false, ..RUNNING };
        assert_eq!(decide(creating), Status::Creating);
    }

    #[test]
    fn a_frozen_container_is_paused_also_before_its_program_was_started() {
        assert_eq!(decide(Facts { frozen: true, before_exec: true, ..RUNNING }), Status::Paused);
    }

    #[test]
    fn a_container_with_a_dead_init_is_stopped() {
        assert_eq!(decide(Facts { init_alive: false, frozen: true, ..RUNNING }), Status::Stopped);
    }

    #[test]
    fn a_container_of_a_killed_creator_is_stopped() {
        let facts = Facts { phase: Phase::Creating, owner_alive: false, init_alive: true, ..RUNNING };
        assert_eq!(decide(facts), Status::Stopped);
    }

    #[test]
    fn a_half_deleted_container_has_the_status_of_its_init() {
        assert_eq!(decide(Facts { phase: Phase::Deleting, ..RUNNING }), Status::Running);
        assert_eq!(decide(Facts { phase: Phase::Deleting, init_alive: false, ..RUNNING }), Status::Stopped);
    }
}
