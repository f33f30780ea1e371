//! Cgroup v1: one hierarchy for each controller, and on hybrid hosts the v2 hierarchy beside them.
//!
//! A container has the same path in every hierarchy. A mounted v1 controller is used first; for a controller without a
//! v1 hierarchy, v2 is tried.

pub mod block_io;
pub mod cpu;
pub mod cpuset;
pub mod devices;
pub mod freezer;
pub mod memory;
pub mod memory_events;
pub mod network;
pub mod pids;
pub mod stats;

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use oci_spec::runtime::{LinuxCpu, LinuxDeviceCgroup, LinuxResources};

use super::hierarchy::UNIFIED;
use super::journal::{Journal, LimitTarget};
use super::layout::Layout;
use super::wait::Backoff;
use super::{Cgroup, device_rules, hugetlb, limit, make_all, members, rdma, unmake, v2};
use crate::error::{Code, Error, Result};
use crate::events::{Level, Source as EventSource};
use crate::spec;
use crate::stats::report::Report;
use crate::stats::{Meter, Source, Stats};
use crate::sys::kernfs;

pub struct Hierarchies {
    /// The directory by controller or hierarchy name, without the v2 hierarchy.
    groups: BTreeMap<String, PathBuf>,
    unified: Option<v2::Tree>,
    layout: Layout,
}

impl Hierarchies {
    pub fn new(layout: &Layout) -> Hierarchies {
        let mut groups = layout.paths.clone();
        let unified = groups.remove(UNIFIED).map(|path| v2::Tree::new(path, Vec::new(), Vec::new()));
        Hierarchies { groups, unified, layout: layout.clone() }
    }

    fn group(&self, controller: &str) -> Option<&Path> {
        self.groups.get(controller).map(PathBuf::as_path)
    }

    /// Returns the v1 directories, each once.
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
        // The v2 hierarchy also counts processes that the caller's pid namespace does not show.
        let tree_is_empty = self.unified.as_ref().map_or(Ok(true), |tree| tree.wait_empty(Instant::now()))?;
        Ok(tree_is_empty && self.members()?.is_empty())
    }

    /// Returns the v2 cgroup, for a controller that has no v1 hierarchy.
    fn in_tree<'a>(&'a self, controller: &str, field: &str, journal: &'a Journal) -> Result<LimitTarget<'a>> {
        let tree = self.unified.as_ref().ok_or_else(|| limit::no_controller(controller, field))?;
        tree.enable(&[controller])?;
        Ok(journal.place(tree.path()))
    }

    /// Returns the cgroup of a controller that has the same files on v1 and v2.
    fn at<'a>(&'a self, controller: &str, field: &str, journal: &'a Journal) -> Result<LimitTarget<'a>> {
        match self.group(controller) {
            Some(dir) => Ok(journal.place(dir)),
            None => self.in_tree(controller, field, journal),
        }
    }

    fn limit_cpu(&self, cpu: &LinuxCpu, journal: &Journal) -> Result<()> {
        match self.group("cpu") {
            Some(dir) => cpu::apply(journal.place(dir), cpu)?,
            None if cpu::wanted(cpu) => v2::cpu::apply(self.in_tree("cpu", "linux.resources.cpu", journal)?, cpu)?,
            None => {}
        }
        match cpuset::fields(cpu).next() {
            Some((_, _, field)) => cpuset::apply(self.at("cpuset", field, journal)?, cpu),
            None => Ok(()),
        }
    }

    fn limit_others(&self, resources: &LinuxResources, journal: &Journal) -> Result<()> {
        if let Some(limits) = resources.hugepage_limits().as_ref().filter(|limits| !limits.is_empty()) {
            match self.group("hugetlb") {
                Some(dir) => hugetlb::apply(journal.place(dir), limits, "limit_in_bytes")?,
                None => {
                    hugetlb::apply(self.in_tree("hugetlb", "linux.resources.hugepageLimits", journal)?, limits, "max")?;
                }
            }
        }
        if let Some(devices) = resources.rdma().as_ref().filter(|devices| !devices.is_empty()) {
            rdma::apply(self.at("rdma", "linux.resources.rdma", journal)?, devices)?;
        }
        if let Some(network) = resources.network() {
            let place = |controller: &str, field| {
                self.group(controller)
                    .map(|dir| journal.place(dir))
                    .ok_or_else(|| limit::no_controller(controller, field))
            };
            if let Some(class) = network.class_id().filter(|class| *class != 0) {
                network::classify(place("net_cls", network::CLASS)?, class)?;
            }
            if let Some(priorities) = network.priorities().as_ref().filter(|list| !list.is_empty()) {
                network::prioritise(place("net_prio", network::PRIORITIES)?, priorities)?;
            }
        }
        match resources.unified().as_ref().filter(|files| !files.is_empty()) {
            Some(files) => {
                let missing = || Error::unsupported_field(spec::unified::FIELD, "the host mounts no cgroup v2");
                let tree = self.unified.as_ref().ok_or_else(missing);
                tree.and_then(|tree| tree.write_unified(files, journal))
                    .map_err(|error| error.detail("cgroup_version", 1))
            }
            None => Ok(()),
        }
    }

    /// Returns any of the directories, for messages: they differ only in the hierarchy.
    fn name(&self) -> String {
        let first = self.group("freezer").or_else(|| self.directories().first().copied());
        first.unwrap_or(Path::new("/")).display().to_string()
    }

    fn thaw_all(&self) -> Result<()> {
        self.group("freezer").map_or(Ok(()), freezer::thaw_tree)
    }

    /// Moves processes that somebody has moved into another, frozen cgroup of the freezer hierarchy back into this one,
    /// which is thawed: a frozen task dies only when it is thawed, and the other cgroup is not the container's.
    fn take_from_other_freezers(&self) -> Result<()> {
        let Some(own) = self.group("freezer") else { return Ok(()) };
        for pid in self.members()? {
            if let Some(place) = super::frozen_elsewhere(pid)?.filter(|place| !place.starts_with(own)) {
                log::info!("process {pid} is taken out of the frozen cgroup {} to be killed", place.display());
                match kernfs::write(own, "cgroup.procs", &pid.to_string()) {
                    // It was thawed meanwhile, and has died.
                    Err(error) if error.errno == Some(Errno::ESRCH) => {}
                    other => other?,
                }
            }
        }
        Ok(())
    }

    /// Freezes, sends SIGKILL and thaws, once.
    fn kill_round(&self, deadline: Instant) -> Result<()> {
        let members = self.members()?;
        members::refuse_own(&members, Path::new(&self.name()))?;
        let freeze_deadline = deadline.min(Instant::now() + Duration::from_millis(200));
        let mut limit = None;
        if let Err(error) = self.freeze(freeze_deadline) {
            log::debug!("killing without freezing: {error}");
            // Without freezing, at least prevent further forks.
            limit = self.stop_forks();
        }
        let sent = members::signal(|| self.members(), libc::SIGKILL, &mut BTreeSet::new());
        let thawed = self.thaw_all();
        // A cgroup that is not removed afterwards is used again.
        let restored = limit.map_or(Ok(()), |(pids, limit)| kernfs::write(pids, "pids.max", &limit));
        let restored = restored.or_else(|error| if kernfs::is_gone(&error) { Ok(()) } else { Err(error) });
        thawed.and(restored)?;
        sent.map(drop)
    }

    /// Prevents forks by the limit of processes, and returns the limit that was there. A failure is ignored: the caller
    /// kills in rounds.
    fn stop_forks(&self) -> Option<(&Path, String)> {
        let pids = self.group("pids")?;
        let limit = kernfs::read(pids, "pids.max").ok()?.trim().to_owned();
        kernfs::write(pids, "pids.max", "0").ok()?;
        Some((pids, limit))
    }
}

fn no_memory_controller() -> Error {
    Error::new(Code::Unsupported, "the host mounts no memory cgroup controller")
}

impl Cgroup for Hierarchies {
    fn create(&self) -> Result<()> {
        let mut leaves: Vec<&Path> = self.directories().into_iter().collect();
        leaves.extend(self.unified.as_ref().map(|tree| tree.path()));
        let Layout { made, kept, .. } = &self.layout;
        make_all(&leaves, made, kept)?;
        let inherited = self.group("cpuset").map_or(Ok(()), cpuset::inherit);
        inherited.map_err(|error| unmake(error, &leaves, leaves.len(), made, kept))
    }

    fn limit(&self, resources: &LinuxResources, journal: &Journal) -> Result<()> {
        if let Some(memory) = resources.memory().as_ref().filter(|memory| **memory != Default::default()) {
            match self.group("memory") {
                Some(dir) => memory::apply(journal.place(dir), memory)?,
                None => v2::memory::apply(self.in_tree("memory", "linux.resources.memory", journal)?, memory)?,
            }
        }
        if let Some(cpu) = resources.cpu() {
            self.limit_cpu(cpu, journal)?;
        }
        if let Some(pids) = resources.pids() {
            pids::apply(self.at("pids", "linux.resources.pids.limit", journal)?, pids)?;
        }
        if let Some(io) = resources.block_io().as_ref().filter(|io| **io != Default::default()) {
            match self.group("blkio") {
                Some(dir) => block_io::apply(journal.place(dir), io)?,
                None => v2::block_io::apply(self.in_tree("io", "linux.resources.blockIO", journal)?, io)?,
            }
        }
        self.limit_others(resources, journal)
    }

    fn set_device_rules(&self, devices: Option<&[LinuxDeviceCgroup]>) -> Result<()> {
        let rules = device_rules::complete(devices)?;
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
            // Moving takes a system-wide lock even if the process is already there.
            Some(tree) if !tree.has(pid)? => tree.attach(pid),
            _ => Ok(()),
        }
    }

    fn attach_needed(&self) -> bool {
        true
    }

    fn has_spawn_dir(&self) -> bool {
        self.unified.is_some()
    }

    fn spawn_dir(&self) -> Result<Option<OwnedFd>> {
        match &self.unified {
            // See `v2::Tree::has_spawn_dir`.
            Some(tree) if self.layout.kept.is_empty() => tree.spawn_dir(),
            _ => Ok(None),
        }
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
        // One write kills all processes in the v2 cgroup, but a task frozen by the v1 freezer dies only when it is
        // thawed.
        let killed = self.unified.as_ref().map_or(Ok(false), v2::Tree::kill)?;
        self.thaw_all()?;
        if let Some(tree) = self.unified.as_ref().filter(|_| killed) {
            tree.wait_empty(deadline.min(Instant::now() + Duration::from_millis(100)))?;
        }
        // Kill the processes that are in v1 only, or that somebody froze again.
        let mut backoff = Backoff::until(deadline);
        while !self.is_empty()? {
            self.kill_round(deadline)?;
            if self.is_empty()? {
                break;
            }
            self.take_from_other_freezers()?;
            if !backoff.pause() {
                return Err(super::not_killed(Path::new(&self.name()), &self.members()?));
            }
        }
        Ok(())
    }

    fn notify_oom(&self) -> Result<EventSource> {
        match (self.group("memory"), &self.unified) {
            (Some(dir), _) => memory_events::oom(dir),
            (None, Some(tree)) => tree.notify_oom(),
            (None, None) => Err(no_memory_controller()),
        }
    }

    fn notify_pressure(&self, level: Level) -> Result<EventSource> {
        match (self.group("memory"), &self.unified) {
            (Some(dir), _) => memory_events::pressure(dir, level),
            (None, Some(tree)) => tree.notify_pressure(level),
            (None, None) => Err(no_memory_controller()),
        }
    }

    fn meter(&self) -> Result<Meter> {
        let mut meter = Meter::new();
        if let Some(tree) = &self.unified {
            if self.group("cpuacct").is_none() {
                meter.add(tree.path(), &[v2::stats::CPU])?;
            }
            tree.add_to(&mut meter)?;
        }
        let controllers: [(&str, &[Source]); 5] = [
            ("cpuacct", &stats::CPUACCT),
            ("cpu", &stats::CPU),
            ("memory", &stats::MEMORY),
            ("pids", &v2::stats::PIDS),
            ("blkio", &stats::BLKIO),
        ];
        for (controller, sources) in controllers {
            if let Some(dir) = self.group(controller) {
                meter.add(dir, sources)?;
            }
        }
        Ok(meter)
    }

    fn report(&self, stats: &Stats, report: &mut Report) -> Result<()> {
        if let Some(tree) = &self.unified {
            tree.report(stats, report)?;
        }
        if let Some(dir) = self.group("cpuacct") {
            stats::report_cpuacct(dir, report)?;
        }
        if let Some(dir) = self.group("cpuset") {
            stats::report_cpuset(dir, report)?;
        }
        if let Some(dir) = self.group("memory") {
            stats::report_memory(dir, stats, report)?;
        }
        if let Some(dir) = self.group("blkio") {
            stats::report_blkio(dir, report)?;
        }
        if let Some(dir) = self.group("hugetlb") {
            stats::report_hugetlb(dir, report)?;
        }
        match self.group("rdma") {
            Some(dir) => v2::stats::rdma(dir, report),
            None => Ok(()),
        }
    }

    fn remove(&self, deadline: Instant) -> Result<()> {
        super::remove(&self.layout.leaves(), &self.layout.made, &self.layout.kept, deadline)
    }
}
