//! Cgroup v1: a hierarchy for each controller, and on hybrid hosts the v2 tree beside them.
//!
//! A container is in the same place of every hierarchy. What a v1 controller can do is done by v1; what no v1
//! hierarchy is mounted for is tried in the v2 tree.

pub mod cpu;
pub mod cpuset;
pub mod devices;
pub mod freezer;
pub mod memory;
pub mod pids;

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use oci_spec::runtime::LinuxResources;

use super::hierarchy::UNIFIED;
use super::layout::Layout;
use super::wait::Backoff;
use super::{Cgroup, device_rules, kernfs, limit, make_all, members, unmake, v2};
use crate::error::{Code, Error, Result};
use crate::stats::Stats;

pub struct Hierarchies {
    /// By controller or hierarchy name, without the v2 tree.
    groups: BTreeMap<String, PathBuf>,
    unified: Option<v2::Tree>,
    layout: Layout,
}

impl Hierarchies {
    pub fn new(layout: &Layout) -> Hierarchies {
        let mut groups = layout.paths.clone();
        let unified = groups.remove(UNIFIED).map(|path| v2::Tree::new(path, Vec::new()));
        Hierarchies { groups, unified, layout: layout.clone() }
    }

    fn group(&self, controller: &str) -> Option<&Path> {
        self.groups.get(controller).map(PathBuf::as_path)
    }

    /// The v1 directories, each once.
    fn directories(&self) -> BTreeSet<&Path> {
        self.groups.values().map(PathBuf::as_path).collect()
    }

    fn members(&self) -> Result<BTreeSet<i32>> {
        let mut pids = BTreeSet::new();
        for leaf in self.layout.leaves() {
            members::collect(&leaf, &mut pids)?;
        }
        Ok(pids)
    }

    fn is_empty(&self) -> Result<bool> {
        // The v2 tree also counts processes that the caller's pid namespace does not show.
        let tree_is_empty = self.unified.as_ref().map_or(Ok(true), |tree| tree.wait_empty(Instant::now()))?;
        Ok(tree_is_empty && self.members()?.is_empty())
    }

    /// Any directory, for messages: they differ only in the hierarchy.
    fn name(&self) -> String {
        let first = self.group("freezer").or_else(|| self.directories().first().copied());
        first.unwrap_or(Path::new("/")).display().to_string()
    }

    fn thaw_all(&self) -> Result<()> {
        self.group("freezer").map_or(Ok(()), freezer::thaw_tree)
    }

    /// One round of freeze, SIGKILL, thaw.
    fn kill_round(&self, deadline: Instant) -> Result<()> {
        let members = self.members()?;
        members::refuse_own(&members, Path::new(&self.name()))?;
        let patience = deadline.min(Instant::now() + Duration::from_millis(200));
        if let Err(error) = self.freeze(patience) {
            log::debug!("killing without freezing: {error}");
            // What cannot be frozen can at least be kept from forking.
            if let Some(pids) = self.group("pids") {
                let _ = kernfs::write(pids, "pids.max", "0");
            }
        }
        let sent = members::signal(|| self.members(), libc::SIGKILL, &mut BTreeSet::new());
        self.thaw_all()?;
        sent.map(drop)
    }
}

impl Cgroup for Hierarchies {
    fn create(&self) -> Result<()> {
        let mut leaves: Vec<&Path> = self.directories().into_iter().collect();
        leaves.extend(self.unified.as_ref().map(|tree| tree.path()));
        make_all(&leaves)?;
        self.group("cpuset").map_or(Ok(()), cpuset::inherit).inspect_err(|_| unmake(&leaves))
    }

    fn apply(&self, resources: &LinuxResources) -> Result<()> {
        limit::refuse_unsupported(resources)?;
        let rules = device_rules::complete(resources.devices().as_deref())?;
        // Each resource goes to its v1 hierarchy, or to the v2 tree if that has the controller.
        let tree = |controller: &str, field: &str| -> Result<&v2::Tree> {
            let tree = self.unified.as_ref().ok_or_else(|| limit::no_controller(controller, field))?;
            tree.enable(&[controller])?;
            Ok(tree)
        };
        if let Some(memory) = resources.memory().as_ref().filter(|memory| **memory != Default::default()) {
            match self.group("memory") {
                Some(dir) => memory::apply(dir, memory)?,
                None => v2::memory::apply(tree("memory", "linux.resources.memory")?.path(), memory)?,
            }
        }
        if let Some(cpu) = resources.cpu() {
            match self.group("cpu") {
                Some(dir) => cpu::apply(dir, cpu)?,
                None if cpu::wanted(cpu) => v2::cpu::apply(tree("cpu", "linux.resources.cpu")?.path(), cpu)?,
                None => {}
            }
            match self.group("cpuset") {
                Some(dir) => cpuset::apply(dir, cpu)?,
                None if cpuset::fields(cpu).next().is_some() => {
                    cpuset::apply(tree("cpuset", "linux.resources.cpu.cpus")?.path(), cpu)?;
                }
                None => {}
            }
        }
        if let Some(pids) = resources.pids().as_ref().filter(|pids| pids::limit(pids).is_some()) {
            match self.group("pids") {
                Some(dir) => pids::apply(dir, pids)?,
                None => pids::apply(tree("pids", "linux.resources.pids.limit")?.path(), pids)?,
            }
        }
        match (self.group("devices"), &self.unified) {
            (Some(dir), _) => devices::apply(dir, &rules),
            (None, Some(tree)) => super::device_filter::apply(tree.path(), &rules),
            (None, None) => Err(limit::no_controller("devices", "linux.resources.devices")),
        }
    }

    fn attach(&self, pid: i32) -> Result<()> {
        let text = super::checked_pid(pid)?;
        for directory in self.directories() {
            kernfs::write(directory, "cgroup.procs", &text)?;
        }
        match &self.unified {
            // Moving takes a lock of the whole system even when there is nothing to move.
            Some(tree) if !tree.has(pid)? => tree.attach(pid),
            _ => Ok(()),
        }
    }

    fn attach_needed(&self) -> bool {
        true
    }

    fn spawn_dir(&self) -> Result<Option<OwnedFd>> {
        self.unified.as_ref().map_or(Ok(None), Cgroup::spawn_dir)
    }

    fn freeze(&self, deadline: Instant) -> Result<()> {
        match (self.group("freezer"), &self.unified) {
            (Some(dir), _) => freezer::freeze(dir, deadline),
            (None, Some(tree)) => tree.freeze(deadline),
            (None, None) => Err(Error::new(Code::Unsupported, "the host mounts no freezer cgroup controller")),
        }
    }

    fn thaw(&self, deadline: Instant) -> Result<()> {
        match (self.group("freezer"), &self.unified) {
            (Some(dir), _) => freezer::thaw(dir, deadline),
            (None, Some(tree)) => tree.thaw(deadline),
            (None, None) => Ok(()),
        }
    }

    fn is_frozen(&self) -> Result<bool> {
        match (self.group("freezer"), &self.unified) {
            (Some(dir), _) => freezer::is_frozen(dir),
            (None, Some(tree)) => tree.is_frozen(),
            (None, None) => Ok(false),
        }
    }

    fn pids(&self) -> Result<Vec<i32>> {
        Ok(self.members()?.into_iter().collect())
    }

    fn signal_all(&self, signal: i32) -> Result<()> {
        super::signal_frozen(self, Path::new(&self.name()), || self.members(), signal)
    }

    fn kill_all(&self, deadline: Instant) -> Result<()> {
        let members = self.members()?;
        members::refuse_own(&members, Path::new(&self.name()))?;
        // One write kills all that are in the v2 tree, but a task that the v1 freezer holds dies only when it
        // is let go.
        let killed = self.unified.as_ref().map_or(Ok(false), v2::Tree::kill)?;
        self.thaw_all()?;
        if let Some(tree) = self.unified.as_ref().filter(|_| killed) {
            tree.wait_empty(deadline.min(Instant::now() + Duration::from_millis(100)))?;
        }
        // Now those that are in v1 only, or that somebody froze again.
        let mut backoff = Backoff::until(deadline);
        while !self.is_empty()? {
            self.kill_round(deadline)?;
            if !self.is_empty()? && !backoff.pause() {
                return Err(super::still_there(Path::new(&self.name()), &self.members()?));
            }
        }
        Ok(())
    }

    fn stats(&self) -> Result<Stats> {
        let mut stats = match &self.unified {
            Some(tree) => tree.stats()?,
            None => Stats::default(),
        };
        if let Some(dir) = self.group("cpuacct") {
            cpu::usage(dir, &mut stats)?;
        }
        if let Some(dir) = self.group("cpu") {
            cpu::stats(dir, &mut stats)?;
        }
        if let Some(dir) = self.group("memory") {
            memory::stats(dir, &mut stats)?;
        }
        if let Some(dir) = self.group("pids") {
            pids::stats(dir, &mut stats)?;
        }
        Ok(stats)
    }

    fn remove(&self, deadline: Instant) -> Result<()> {
        super::remove(&self.layout.leaves(), &self.layout.made, deadline)
    }
}
