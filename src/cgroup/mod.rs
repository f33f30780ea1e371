//! A container's cgroups: where they are, what they limit, who is in them.
//!
//! [`plan`] decides the places, the caller writes them down, and [`open`] gives a handle that creates, limits,
//! freezes, kills, measures and removes. What the host mounts decides how: [`v2`] for the one tree, [`v1`] for a
//! hierarchy per controller, with the v2 tree beside them on hybrid hosts.

mod bpf;
pub mod device_filter;
pub mod device_rules;
mod hierarchy;
mod hugetlb;
pub(crate) mod journal;
mod layout;
mod limit;
mod members;
mod mount_table;
mod no_cgroup;
mod rdma;
mod systemd;
mod tree;
mod v1;
mod v2;
mod wait;

use std::collections::BTreeSet;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use oci_spec::runtime::{LinuxDeviceCgroup, LinuxResources};

pub(crate) use hierarchy::own;
use journal::Journal;
pub use layout::{Layout, Manager, locate, locate_with, plan, plan_permitted, plan_with};

use crate::error::{Code, Error, Result};
use crate::events::{Level, Source as EventSource};
use crate::stats::report::Report;
use crate::stats::{Meter, Stats};
use crate::sys::kernfs;

/// The cgroups of one container. A handle keeps no state of its own: every answer is the kernel's.
pub trait Cgroup: Send + Sync {
    /// Makes the directories of the layout, which must not be there yet. After an error none of them is this container's.
    fn create(&self) -> Result<()>;

    /// Writes the limits that are given; the others, and the device rules, stay as they are. What was there before is
    /// in `journal` afterwards, also after an error.
    fn limit(&self, resources: &LinuxResources, journal: &Journal) -> Result<()>;

    /// Forgets what `change` has told others than the kernel; they know of `before` again. The kernel's own values are
    /// the journal's.
    fn revert(&self, _change: &LinuxResources, _before: &LinuxResources) -> Result<()> {
        Ok(())
    }

    /// Makes the device rules what `devices` say: without any, everything but the devices that each container needs is
    /// denied. After an error it is as it was.
    fn set_device_rules(&self, devices: Option<&[LinuxDeviceCgroup]>) -> Result<()>;

    /// Both. After an error the limits are as they were.
    fn apply(&self, resources: &LinuxResources) -> Result<()> {
        let journal = Journal::default();
        self.limit(resources, &journal)
            .and_then(|()| self.set_device_rules(resources.devices().as_deref()))
            .map_err(|error| journal.undo_after(error))
    }

    /// Lets a user of the host make cgroups below and move processes there. Only v2 has safe ways to; elsewhere nothing
    /// happens.
    fn delegate_to(&self, _uid: u32) -> Result<()> {
        Ok(())
    }

    /// Moves a process (all its threads) in.
    fn attach(&self, pid: i32) -> Result<()>;

    /// The cgroup comes into being with the first process that is attached; limits have to wait for that.
    fn created_on_attach(&self) -> bool {
        false
    }

    /// Where it is [`Cgroup::created_on_attach`]: makes the cgroup, which must not be there yet, with this process in it.
    /// After an error it is not this container's.
    fn create_with(&self, _pid: i32) -> Result<()> {
        Ok(())
    }

    /// `false` when a process that was spawned into [`Cgroup::spawn_dir`] is where it belongs.
    fn attach_needed(&self) -> bool;

    /// Whether [`Cgroup::spawn_dir`] has a directory once the cgroup is created.
    fn has_spawn_dir(&self) -> bool;

    /// The v2 directory for `CLONE_INTO_CGROUP`, where there is a v2 tree.
    fn spawn_dir(&self) -> Result<Option<OwnedFd>>;

    /// Stops all processes and returns when the kernel says that they are stopped. After an error, the deadline
    /// included, they run.
    fn freeze(&self, deadline: Instant) -> Result<()>;

    /// Lets all processes go on, and returns when the kernel says that none is stopped.
    fn thaw(&self, deadline: Instant) -> Result<()>;

    /// Whether this cgroup was told to freeze; `false` when it is gone. A frozen ancestor does not count:
    /// thawing this cgroup would not help.
    fn is_frozen(&self) -> Result<bool>;

    /// All processes at and below, in ascending order.
    fn pids(&self) -> Result<Vec<i32>>;

    /// Sends a signal to every process. SIGKILL is better sent by [`Cgroup::kill_all`].
    fn signal_all(&self, signal: i32) -> Result<()>;

    /// Kills every process, also of a frozen cgroup, also when they fork as fast as they can, and returns when
    /// none is left. It is thawed afterwards where thawing is what lets processes die.
    fn kill_all(&self, deadline: Instant) -> Result<()>;

    /// What tells of OOM kills.
    fn notify_oom(&self) -> Result<EventSource>;

    /// What tells of memory that is hard to get.
    fn notify_pressure(&self, level: Level) -> Result<EventSource>;

    /// Opens what is measured, to be read again and again.
    fn meter(&self) -> Result<Meter>;

    /// Adds to a report what `stats`, of the same moment, do not have.
    fn report(&self, stats: &Stats, report: &mut Report) -> Result<()>;

    /// Reads what is measured, once. To read again and again, keep a [`Cgroup::meter`].
    fn stats(&self) -> Result<Stats> {
        self.meter()?.read()
    }

    /// Removes the leaves with everything below them, then the parents that creation made and nobody uses.
    fn remove(&self, deadline: Instant) -> Result<()>;
}

/// A handle on the cgroups of a layout; creates nothing and looks at nothing.
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

/// As [`Cgroup::apply`], for a container that no device can be made in: what the caller may not do about devices is left out.
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

/// Makes leaves that nobody else has, without those in `kept`, which are there; after an error those that were made are gone
/// again, and the parents in `made`.
fn make_all(leaves: &[&Path], made: &[PathBuf], kept: &[PathBuf]) -> Result<()> {
    for (index, leaf) in leaves.iter().enumerate().filter(|(_, leaf)| !is_among(leaf, kept)) {
        make(leaf).inspect_err(|_| unmake(leaves, index, made, kept))?;
    }
    Ok(())
}

fn is_among(leaf: &Path, list: &[PathBuf]) -> bool {
    list.iter().any(|path| path == leaf)
}

/// Takes back what was made a moment ago: the first leaves, and parents that nobody uses.
fn unmake(leaves: &[&Path], count: usize, made: &[PathBuf], kept: &[PathBuf]) {
    let parents = made.iter().rev().map(PathBuf::as_path).filter(|path| !leaves.contains(path));
    let new = leaves[..count].iter().copied().filter(|leaf| !is_among(leaf, kept));
    for directory in new.chain(parents) {
        let _ = kernfs::remove_dir(directory);
    }
}

/// Makes a leaf and its missing parents. Another container's removal may take a shared parent away between
/// two steps, so this starts again when one has vanished.
fn make(leaf: &Path) -> Result<()> {
    // The usual leaf has its parents already.
    if kernfs::make_dir(leaf).is_ok_and(|new| new) {
        return Ok(());
    }
    for _ in 0..32 {
        // Whether the last of them, the leaf, was made by this call.
        let mut new = false;
        let outcome = layout::missing(leaf)?.iter().try_for_each(|directory| {
            new = kernfs::make_dir(directory)?;
            Ok(())
        });
        match outcome {
            Err(error) if kernfs::is_gone(&error) => continue,
            Err(error) => return Err(error),
            Ok(()) if new => return Ok(()),
            // It has come since the plan was made.
            Ok(()) => return Err(layout::existing(leaf)?),
        }
    }
    let problem = format!("creating cgroup {}: its parent is removed again and again", leaf.display());
    Err(Error::new(Code::System, problem).with_errno(Errno::ENOENT))
}

/// Removes leaves with all below them (of those in `kept` only what is below), then those parents of `made` that are empty.
fn remove(leaves: &[PathBuf], made: &[PathBuf], kept: &[PathBuf], deadline: Instant) -> Result<()> {
    // One that is busy does not keep the others from being removed.
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
            // In use by another container, or removed by it.
            Ok(()) | Err((Some(Errno::ENOTEMPTY | Errno::EBUSY | Errno::ENOENT | Errno::ENODEV), _)) => {}
            Err((_, error)) => {
                first_error.get_or_insert(error);
            }
        }
    }
    first_error.map_or(Ok(()), Err)
}

/// Signals all members while they cannot fork, and leaves the freezer as it was found.
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
    // What cannot be frozen is signalled in rounds, until nothing new is found.
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

/// Writing 0 to `cgroup.procs` would move the calling process.
fn checked_pid(pid: i32) -> Result<String> {
    match pid {
        1.. => Ok(pid.to_string()),
        _ => Err(Error::invalid_argument(format!("{pid} is not the id of a process"))),
    }
}

fn still_there(place: &Path, pids: &BTreeSet<i32>) -> Error {
    let problem = format!("killing the processes of cgroup {}: still there at the deadline", place.display());
    let problem = if pids.is_empty() { problem } else { format!("{problem}: {}", members::describe(pids)) };
    Error::new(Code::Timeout, problem).detail("pids", pids.iter().copied().collect::<Vec<_>>())
}
