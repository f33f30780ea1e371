//! Cgroup v2: one unified hierarchy for all controllers.

pub mod block_io;
pub mod cgroup_events;
pub mod controllers;
pub mod cpu;
pub mod freezer;
pub mod memory;
pub mod memory_events;
pub mod ownership;
pub mod stats;
pub mod unified;

use std::collections::{BTreeSet, HashMap};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use oci_spec::runtime::{LinuxDeviceCgroup, LinuxNetwork, LinuxResources};

use super::journal::Journal;
use super::v1::{self, cpuset, pids};
use super::wait::Backoff;
use super::{Cgroup, device_filter, device_rules, hugetlb, make_all, members, rdma, unmake};
use crate::error::{Error, Result};
use crate::events::{Level, Source as EventSource};
use crate::stats::report::Report;
use crate::stats::{Meter, Stats};
use crate::sys::kernfs;

pub struct Tree {
    path: PathBuf,
    made: Vec<PathBuf>,
    kept: Vec<PathBuf>,
}

impl Tree {
    /// Returns a handle on the cgroup `path`; `made` and `kept` come from its layout.
    pub fn new(path: PathBuf, made: Vec<PathBuf>, kept: Vec<PathBuf>) -> Tree {
        Tree { path, made, kept }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes the files of OCI's `unified`, after all other fields, because they may refine those.
    pub fn write_unified(&self, files: &HashMap<String, String>, journal: &Journal) -> Result<()> {
        self.enable(&unified::controllers(files))?;
        unified::apply(journal.place(&self.path), files)
    }

    pub fn enable(&self, controllers: &[&str]) -> Result<()> {
        controllers::enable(&self.path, controllers)
    }

    /// Whether the process is in this cgroup, not in one below it.
    pub fn has(&self, pid: i32) -> Result<bool> {
        let pid = pid.to_string();
        Ok(kernfs::read(&self.path, "cgroup.procs")?.lines().any(|line| line == pid))
    }

    /// Kills all processes in the cgroup and below it at once, including forks in progress. Returns `false` if the
    /// kernel cannot (before Linux 5.14, and in threaded cgroups).
    pub fn kill(&self) -> Result<bool> {
        match kernfs::write(&self.path, "cgroup.kill", "1") {
            Ok(()) => Ok(true),
            Err(error) if kernfs::is_gone(&error) || error.errno == Some(Errno::EOPNOTSUPP) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Adds the statistics that v2 has beside any v1 hierarchies, and those of its own controllers.
    pub fn add_to(&self, meter: &mut Meter) -> Result<()> {
        meter.add(&self.path, &stats::MEMORY)?;
        meter.add(&self.path, &stats::PIDS)?;
        meter.add(&self.path, &[stats::IO])?;
        meter.add(&self.path, &stats::PRESSURE)
    }

    fn members(&self) -> Result<BTreeSet<i32>> {
        let mut pids = BTreeSet::new();
        members::collect(&self.path, &mut pids)?;
        Ok(pids)
    }

    /// Waits until the cgroup is empty. Also counts processes that the caller's pid namespace does not show.
    pub fn wait_empty(&self, deadline: Instant) -> Result<bool> {
        Ok(cgroup_events::wait(&self.path, "populated", 0, deadline)? != Some(false))
    }

    /// Kills all processes on kernels without `cgroup.kill`.
    fn kill_one_by_one(&self, deadline: Instant) -> Result<bool> {
        let mut backoff = Backoff::until(deadline);
        loop {
            let freeze_deadline = deadline.min(Instant::now() + Duration::from_millis(200));
            if let Err(error) = self.freeze(freeze_deadline) {
                log::debug!("killing without freezing: {error}");
            }
            // A task frozen by the v2 freezer can be killed.
            let sent = members::signal(|| self.members(), libc::SIGKILL, &mut BTreeSet::new());
            kernfs::optional(kernfs::write(&self.path, "cgroup.freeze", "0"))?;
            sent?;
            let moment = deadline.min(Instant::now() + Duration::from_millis(20));
            if self.wait_empty(moment)? {
                return Ok(true);
            }
            if !backoff.pause() {
                return Ok(false);
            }
        }
    }
}

impl Cgroup for Tree {
    fn create(&self) -> Result<()> {
        make_all(&[&self.path], &self.made, &self.kept)?;
        let enabled = self.enable(&controllers::MANAGED);
        enabled.map_err(|error| unmake(error, &[&self.path], 1, &self.made, &self.kept))
    }

    fn limit(&self, resources: &LinuxResources, journal: &Journal) -> Result<()> {
        if let Some(network) = resources.network() {
            refuse_network(network)?;
        }
        let place = journal.place(&self.path);
        if let Some(memory) = resources.memory() {
            memory::apply(place, memory)?;
        }
        if let Some(cpu) = resources.cpu() {
            cpu::apply(place, cpu)?;
            cpuset::apply(place, cpu)?;
        }
        if let Some(pids) = resources.pids() {
            pids::apply(place, pids)?;
        }
        if let Some(io) = resources.block_io() {
            block_io::apply(place, io)?;
        }
        if let Some(limits) = resources.hugepage_limits().as_ref().filter(|limits| !limits.is_empty()) {
            self.enable(&["hugetlb"])?;
            hugetlb::apply(place, limits, "max")?;
        }
        if let Some(devices) = resources.rdma().as_ref().filter(|devices| !devices.is_empty()) {
            self.enable(&["rdma"])?;
            rdma::apply(place, devices)?;
        }
        if let Some(files) = resources.unified() {
            self.write_unified(files, journal)?;
        }
        Ok(())
    }

    fn set_device_rules(&self, devices: Option<&[LinuxDeviceCgroup]>) -> Result<()> {
        device_filter::apply(&self.path, &device_rules::complete(devices)?)
    }

    fn delegate_to(&self, uid: u32) -> Result<()> {
        ownership::give(&self.path, uid)
    }

    fn attach(&self, pid: i32) -> Result<()> {
        kernfs::write(&self.path, "cgroup.procs", &super::checked_pid(pid)?)
    }

    fn attach_needed(&self) -> bool {
        !self.kept.is_empty()
    }

    /// Returns `false` for a cgroup that existed before, since it may have been killed. On Linux 6.18 a process spawned
    /// into such a cgroup was killed at once (observed, cause unknown: `cgroup.kill` seems to affect it), and an
    /// attached process was not.
    fn has_spawn_dir(&self) -> bool {
        self.kept.is_empty()
    }

    fn spawn_dir(&self) -> Result<Option<OwnedFd>> {
        if self.kept.is_empty() { kernfs::open_dir(&self.path).map(Some) } else { Ok(None) }
    }

    fn freeze(&self, deadline: Instant) -> Result<()> {
        freezer::freeze(&self.path, deadline)
    }

    fn thaw(&self, deadline: Instant) -> Result<()> {
        freezer::thaw(&self.path, deadline)
    }

    fn is_frozen(&self) -> Result<bool> {
        freezer::is_frozen(&self.path)
    }

    fn pids(&self) -> Result<Vec<i32>> {
        Ok(self.members()?.into_iter().collect())
    }

    fn signal_all(&self, signal: i32) -> Result<()> {
        super::signal_frozen(self, &self.path, || self.members(), signal)
    }

    fn kill_all(&self, deadline: Instant) -> Result<()> {
        // A container to be deleted has usually ended.
        if self.wait_empty(Instant::now())? {
            return Ok(());
        }
        members::refuse_own(&self.members()?, &self.path)?;
        let empty = if self.kill()? { self.wait_empty(deadline)? } else { self.kill_one_by_one(deadline)? };
        if empty { Ok(()) } else { Err(super::not_killed(&self.path, &self.members()?)) }
    }

    fn notify_oom(&self) -> Result<EventSource> {
        memory_events::oom(&self.path)
    }

    fn notify_pressure(&self, level: Level) -> Result<EventSource> {
        memory_events::pressure(&self.path, level)
    }

    fn meter(&self) -> Result<Meter> {
        let mut meter = Meter::new();
        meter.add(&self.path, &[stats::CPU])?;
        self.add_to(&mut meter)?;
        Ok(meter)
    }

    fn report(&self, stats: &Stats, report: &mut Report) -> Result<()> {
        stats::report(&self.path, stats, report)
    }

    fn remove(&self, deadline: Instant) -> Result<()> {
        super::remove(std::slice::from_ref(&self.path), &self.made, &self.kept, deadline)
    }
}

fn refuse_network(network: &LinuxNetwork) -> Result<()> {
    let what = "cgroup v2 has no such controller; nftables can match the cgroup instead";
    if network.class_id().is_some_and(|class| class != 0) {
        return Err(Error::unsupported_field(v1::network::CLASS, what));
    }
    match network.priorities() {
        Some(list) if !list.is_empty() => Err(Error::unsupported_field(v1::network::PRIORITIES, what)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// Tests the code for kernels before 5.14, which a newer kernel does not use otherwise.
    #[test]
    fn without_cgroup_kill_even_forking_processes_are_killed() {
        let name = format!("/berth-test-{}-one-by-one", std::process::id());
        let Ok(layout) = crate::cgroup::plan(Some(Path::new(&name)), "unused") else { return };
        // SAFETY: no arguments and no side effects.
        let root = unsafe { libc::geteuid() } == 0;
        let Some(path) = layout.paths.get("").filter(|_| root) else {
            eprintln!("SKIPPED: needs root and a v2 tree");
            return;
        };
        let tree = Tree::new(path.clone(), Vec::new(), Vec::new());
        tree.create().unwrap();
        let procs = path.join("cgroup.procs");
        let script = format!("echo $$ > {}; f() {{ f & }}; f; sleep 100", procs.display());
        let mut children: Vec<_> = (0..4).map(|_| Command::new("sh").args(["-c", &script]).spawn().unwrap()).collect();
        let deadline = Instant::now() + Duration::from_secs(10);
        while tree.pids().unwrap().len() < 8 {
            assert!(Instant::now() < deadline);
        }
        let killed = tree.kill_one_by_one(deadline);
        let left = tree.pids();
        tree.kill().unwrap();
        for child in &mut children {
            // A child that has not entered the cgroup yet.
            let _ = child.kill();
            child.wait().unwrap();
        }
        tree.remove(Instant::now() + Duration::from_secs(10)).unwrap();
        assert!(killed.unwrap() && left.unwrap().is_empty());
    }
}
