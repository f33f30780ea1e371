//! Creates, limits, freezes, kills, measures and removes a container's cgroups.
//!
//! [`plan`] chooses the cgroups' paths, the caller records them, and [`open`] returns a handle that acts on them. The
//! host's mounts decide the implementation: `v2` for the unified hierarchy, `v1` for one hierarchy per controller,
//! with the v2 hierarchy beside them on hybrid hosts.

mod bpf;
pub mod device_filter;
pub mod device_rules;
pub(crate) mod hierarchy;
mod hugetlb;
pub(crate) mod journal;
mod layout;
pub(crate) mod limit;
mod members;
mod mount_table;
mod no_cgroup;
mod rdma;
pub(crate) mod systemd;
mod tree;
pub(crate) mod v1;
pub(crate) mod v2;
mod wait;

use std::collections::BTreeSet;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use oci_spec::runtime::{LinuxDeviceCgroup, LinuxResources};

pub(crate) use hierarchy::own;
use journal::Journal;
pub use layout::{
    Layout, Manager, is_unreachable, locate, locate_permitted, locate_with, plan, plan_permitted, plan_with,
};

use crate::error::{Code, Error, Result};
use crate::events::{Level, Source as EventSource};
use crate::stats::report::Report;
use crate::stats::{Meter, Stats};
use crate::sys::{kernfs, procfs};

/// The cgroups of one container. A handle caches no state: every answer comes from the kernel.
pub trait Cgroup: Send + Sync {
    /// Creates the directories of the layout, which must not exist yet. After an error none of them belongs to this
    /// container.
    fn create(&self) -> Result<()>;

    /// Writes the given limits; the other limits and the device rules stay as they are. Records the previous values in
    /// `journal`, also if it fails.
    fn limit(&self, resources: &LinuxResources, journal: &Journal) -> Result<()>;

    /// Changes the limits to those of `change`, after which the container has those of `all`. A manager (systemd) gets
    /// the change as well.
    fn change(&self, change: &LinuxResources, _all: &LinuxResources, journal: &Journal) -> Result<()> {
        self.limit(change, journal)
    }

    /// Restores the limits of `before` where `change` was also sent to a manager (systemd). The journal restores the
    /// kernel's own values.
    fn revert(&self, _change: &LinuxResources, _before: &LinuxResources) -> Result<()> {
        Ok(())
    }

    /// Replaces the device rules with `devices`. Without any, everything is denied except the devices that every
    /// container needs. After an error the previous rules apply.
    fn set_device_rules(&self, devices: Option<&[LinuxDeviceCgroup]>) -> Result<()>;

    /// Sets the limits and the device rules. After an error the previous limits apply.
    fn apply(&self, resources: &LinuxResources) -> Result<()> {
        let journal = Journal::default();
        self.limit(resources, &journal)
            .and_then(|()| self.set_device_rules(resources.devices().as_deref()))
            .map_err(|error| journal.undo_after(error))
    }

    /// Lets a user of the host create cgroups below this one and move processes there. Does nothing on v1, where
    /// delegation is not safe.
    fn delegate_to(&self, _uid: u32) -> Result<()> {
        Ok(())
    }

    /// Moves a process (all its threads) into the cgroup.
    fn attach(&self, pid: i32) -> Result<()>;

    /// Whether the cgroup is created when the first process is attached. Limits can be set only afterwards.
    fn created_on_attach(&self) -> bool {
        false
    }

    /// Creates the cgroup, which must not exist yet, with this process in it, if [`Cgroup::created_on_attach`] is true.
    /// A manager (systemd) gets the limits. After an error the cgroup does not belong to this container.
    fn create_with(&self, _pid: i32, _resources: &LinuxResources) -> Result<()> {
        Ok(())
    }

    /// Whether a process that was spawned into [`Cgroup::spawn_dir`] still has to be attached.
    fn attach_needed(&self) -> bool;

    /// Whether [`Cgroup::spawn_dir`] returns a directory once the cgroup is created.
    fn has_spawn_dir(&self) -> bool;

    /// Opens the v2 directory for `CLONE_INTO_CGROUP`, if there is a v2 hierarchy.
    fn spawn_dir(&self) -> Result<Option<OwnedFd>>;

    /// Freezes all processes and returns when the kernel reports them frozen. After an error, including a timeout, the
    /// processes run.
    fn freeze(&self, deadline: Instant) -> Result<()>;

    /// Thaws all processes and returns when the kernel reports none frozen.
    fn thaw(&self, deadline: Instant) -> Result<()>;

    /// Whether this cgroup itself was told to freeze; `false` if it no longer exists. A frozen ancestor does not count:
    /// thawing this cgroup would not help.
    fn is_frozen(&self) -> Result<bool>;

    /// Lists all processes in the cgroup and below it, in ascending order.
    fn pids(&self) -> Result<Vec<i32>>;

    /// Sends a signal to every process. Use [`Cgroup::kill_all`] for SIGKILL.
    fn signal_all(&self, signal: i32) -> Result<()>;

    /// Kills every process, even in a frozen cgroup and even if the processes fork constantly, and returns when none is
    /// left. Thaws the cgroup where frozen processes cannot die.
    fn kill_all(&self, deadline: Instant) -> Result<()>;

    /// Returns the event source of OOM kills.
    fn notify_oom(&self) -> Result<EventSource>;

    /// Returns the event source of memory pressure.
    fn notify_pressure(&self, level: Level) -> Result<EventSource>;

    /// Opens the statistics files for repeated reading.
    fn meter(&self) -> Result<Meter>;

    /// Adds the values that `stats`, read at the same moment, does not contain.
    fn report(&self, stats: &Stats, report: &mut Report) -> Result<()>;

    /// Reads the statistics once. For repeated reading, keep a [`Cgroup::meter`].
    fn stats(&self) -> Result<Stats> {
        self.meter()?.read()
    }

    /// Removes the leaves with everything below them, then the parents that were created for them and are no longer
    /// used.
    fn remove(&self, deadline: Instant) -> Result<()>;
}

/// Returns a handle on the cgroups of a layout, without accessing them.
pub fn open(layout: &Layout) -> Result<Box<dyn Cgroup>> {
    if layout.absent {
        return Ok(Box::new(no_cgroup::NoCgroup));
    }
    let absolute = layout.paths.values().chain(&layout.made).all(|path| path.is_absolute());
    if layout.paths.is_empty() || !absolute {
        return Err(Error::new(
            Code::Internal,
            "the recorded cgroup layout is empty or has a path that is not absolute",
        ));
    }
    Ok(match layout.paths.get(hierarchy::UNIFIED) {
        Some(path) if layout.scope.is_some() => {
            Box::new(systemd::Scope::new(path.clone(), layout.scope.clone().unwrap_or_default()))
        }
        Some(path) if layout.paths.len() == 1 => {
            Box::new(v2::Tree::new(path.clone(), layout.made.clone(), layout.kept.clone()))
        }
        _ => Box::new(v1::Hierarchies::new(layout)),
    })
}

/// Returns the cgroup of v1 in which a process is frozen, if it is. (A process frozen by v2 can be killed.)
pub fn frozen_elsewhere(pid: i32) -> Result<Option<PathBuf>> {
    let Some(own) = procfs::read_optional(&format!("{pid}/cgroup"))? else { return Ok(None) };
    let mounts = mount_table::cgroups()?;
    let place = hierarchy::choose(&mounts).get("freezer").and_then(|mount| {
        let own = hierarchy::own(&own);
        hierarchy::directory(mount, own.get("freezer")?)
    });
    match place {
        Some(place) => Ok(v1::freezer::freezes(&place)?.then_some(place)),
        None => Ok(None),
    }
}

/// Sets limits and device rules as [`Cgroup::apply`] does, but skips device rules that the caller may not set. For
/// containers in which no device can be created.
pub fn apply_permitted(cgroup: &dyn Cgroup, resources: &LinuxResources) -> Result<()> {
    let journal = Journal::default();
    let devices = resources.devices().as_deref();
    let allowed = cgroup.limit(resources, &journal).and_then(|()| match cgroup.set_device_rules(devices) {
        Err(error) if error.code == Code::Unsupported || matches!(error.errno, Some(Errno::EPERM | Errno::EACCES)) => {
            let level =
                if devices.is_some_and(|rules| !rules.is_empty()) { log::Level::Warn } else { log::Level::Debug };
            log::log!(level, "linux.resources.devices is left out, since the caller may not set it: {error}");
            Ok(())
        }
        other => other,
    });
    allowed.map_err(|error| journal.undo_after(error))
}

/// Creates the leaves that are not in `kept` (those exist already); fails if one exists. After an error, removes the
/// created leaves and the parents in `made`.
fn make_all(leaves: &[&Path], made: &[PathBuf], kept: &[PathBuf]) -> Result<()> {
    for (index, leaf) in leaves.iter().enumerate().filter(|(_, leaf)| !is_among(leaf, kept)) {
        make(leaf).map_err(|error| unmake(error, leaves, index, made, kept))?;
    }
    Ok(())
}

fn is_among(leaf: &Path, list: &[PathBuf]) -> bool {
    list.iter().any(|path| path == leaf)
}

/// Removes what [`make_all`] has just created: the first `count` leaves, and parents that nobody uses. Returns `error`, the
/// reason for it, with the directories that stay. It needs no free descriptor, since the lack of one may be the reason.
fn unmake(error: Error, leaves: &[&Path], count: usize, made: &[PathBuf], kept: &[PathBuf]) -> Error {
    const PATIENCE: Duration = Duration::from_secs(2);
    let new: Vec<PathBuf> =
        leaves[..count].iter().filter(|leaf| !is_among(leaf, kept)).map(|leaf| leaf.to_path_buf()).collect();
    let parents: Vec<PathBuf> = made.iter().filter(|path| !leaves.contains(&path.as_path())).cloned().collect();
    match remove(&new, &parents, &[], Instant::now() + PATIENCE) {
        Ok(()) => error,
        Err(second) => error.detail("cleanup", second.message),
    }
}

/// Creates a leaf and its missing parents. The removal of another container may delete a shared parent between two
/// steps, so this starts again if a parent has vanished.
fn make(leaf: &Path) -> Result<()> {
    // Usually the parents exist. What else fails here fails in the loop again.
    if kernfs::make_dir(leaf).is_ok_and(|new| new) {
        return Ok(());
    }
    for _ in 0..32 {
        // Whether this call created the last directory, the leaf.
        let mut new = false;
        let outcome = layout::missing(leaf)?.iter().try_for_each(|directory| {
            new = kernfs::make_dir(directory)?;
            Ok(())
        });
        match outcome {
            Err(error) if kernfs::is_gone(&error) => continue,
            Err(error) => return Err(error),
            Ok(()) if new => return Ok(()),
            // The leaf was created by somebody else after the plan was made.
            Ok(()) => return Err(layout::existing(leaf)?),
        }
    }
    let problem = format!("creating cgroup {}: its parent was removed repeatedly", leaf.display());
    Err(Error::new(Code::System, problem).with_errno(Errno::ENOENT))
}

/// Removes leaves with everything below them (for a leaf in `kept`, only what is below it), then the empty parents in
/// `made`.
fn remove(leaves: &[PathBuf], made: &[PathBuf], kept: &[PathBuf], deadline: Instant) -> Result<()> {
    // A busy leaf does not prevent the removal of the others.
    let mut first_error = None;
    for leaf in leaves {
        let is_kept = is_among(leaf, kept);
        let removed = if is_kept { tree::remove_below(leaf, deadline) } else { tree::remove(leaf, deadline) };
        if let Err(error) = removed {
            let mut pids = BTreeSet::new();
            let error = match members::collect(leaf, &mut pids) {
                Ok(()) if !pids.is_empty() => {
                    let context = format!("cgroup {} still has {}", leaf.display(), members::describe(&pids));
                    error.context(context)
                }
                _ => error,
            };
            first_error.get_or_insert(error);
        }
    }
    for parent in made.iter().rev().filter(|path| !leaves.contains(path)) {
        match kernfs::remove_dir(parent).map_err(|error| (error.errno, error)) {
            // Another container uses or has removed the parent.
            Ok(()) | Err((Some(Errno::ENOTEMPTY | Errno::EBUSY | Errno::ENOENT | Errno::ENODEV), _)) => {}
            Err((_, error)) => {
                first_error.get_or_insert(error);
            }
        }
    }
    first_error.map_or(Ok(()), Err)
}

/// Signals all members while the cgroup is frozen, so that they cannot fork, and restores the freezer's state.
fn signal_frozen(
    cgroup: &dyn Cgroup,
    place: &Path,
    list: impl Fn() -> Result<BTreeSet<i32>>,
    signal: i32,
) -> Result<()> {
    let members = list()?;
    members::refuse_own(&members, place)?;
    if members.is_empty() {
        return Ok(());
    }
    let was_frozen = cgroup.is_frozen()?;
    // Without freezing, signal in rounds until no new process appears.
    let frozen = was_frozen
        || cgroup
            .freeze(Instant::now() + Duration::from_millis(500))
            .inspect_err(|error| log::debug!("signalling without freezing: {error}"))
            .is_ok();
    let mut done = BTreeSet::new();
    let mut rounds = if frozen { 1 } else { 16 };
    let result = loop {
        match members::signal(&list, signal, &mut done) {
            Ok(sent) if sent > 0 && rounds > 1 => rounds -= 1,
            result => break result.map(drop),
        }
    };
    if frozen && !was_frozen {
        cgroup.thaw(Instant::now() + Duration::from_secs(5))?;
    }
    result
}

/// Formats a pid for `cgroup.procs`. Refuses 0, which would move the caller.
fn checked_pid(pid: i32) -> Result<String> {
    match pid {
        1.. => Ok(pid.to_string()),
        _ => Err(Error::invalid_argument(format!("{pid} is not the id of a process"))),
    }
}

fn not_killed(place: &Path, pids: &BTreeSet<i32>) -> Error {
    let problem = format!("killing the processes of cgroup {}: still there at the deadline", place.display());
    let problem = if pids.is_empty() { problem } else { format!("{problem}: {}", members::describe(pids)) };
    Error::new(Code::Timeout, problem).detail("pids", pids.iter().copied().collect::<Vec<_>>())
}
