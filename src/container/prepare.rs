//! Performs the caller's actions on a process of a container: hard limits, the OOM score, scheduling.

use std::os::fd::RawFd;

use nix::errno::Errno;
use nix::sched::{CpuSet, sched_getaffinity};
use nix::unistd::{Pid, SysconfVar, sysconf};

use super::id_maps::write_proc;
use crate::error::{Context, Error, Result};
use crate::plan::CallerAction;
use crate::process::Owner;
use crate::spec::oci::Process;
use crate::spec::scheduling::Scheduler;
use crate::sys::procfs;

/// Performs the actions of a plan that only the caller may perform. The process waits meanwhile, or does nothing that
/// depends on them.
pub fn apply_caller_actions(pid: i32, acts: &[CallerAction]) -> Result<()> {
    for act in acts {
        log::debug!("{}", act.describe());
        match act {
            CallerAction::Resctrl { group, .. } => group.join(pid)?,
            CallerAction::OomScore(score) => write_proc(pid, "oom_score_adj", &score.to_string())?,
            CallerAction::HardLimit { resource, name, hard } => raise_hard_limit(pid, *resource, name, *hard)?,
            CallerAction::Scheduler(scheduler) => {
                set_scheduler(pid, scheduler).map_err(|errno| scheduler_error(errno, pid, act.describe()))?
            }
            CallerAction::IoPriority { value, .. } => set_io_priority(pid, *value).context(|| act.describe())?,
        }
    }
    Ok(())
}

/// Returns a hard limit of a process.
pub fn hard_limit(pid: i32, resource: u32, name: &str) -> Result<u64> {
    Ok(limits(pid, resource, name)?.rlim_max)
}

fn limits(pid: i32, resource: u32, name: &str) -> Result<libc::rlimit64> {
    let mut current = libc::rlimit64 { rlim_cur: 0, rlim_max: 0 };
    prlimit(pid, resource, None, Some(&mut current)).context(|| format!("reading {name} of process {pid}"))?;
    Ok(current)
}

/// Raises a hard limit if it is above the one that init has inherited. The caller does this, because no process in a
/// user namespace may raise a hard limit.
fn raise_hard_limit(pid: i32, resource: u32, name: &str, hard: u64) -> Result<()> {
    let current = limits(pid, resource, name)?;
    if hard <= current.rlim_max {
        return Ok(());
    }
    let new = libc::rlimit64 { rlim_cur: current.rlim_cur, rlim_max: hard };
    prlimit(pid, resource, Some(&new), None)
        .context(|| format!("raising the hard limit of {name} from {} to {hard}", current.rlim_max))
}

/// struct sched_attr of linux/sched/types.h.
#[repr(C)]
struct SchedAttr {
    size: u32,
    policy: u32,
    flags: u64,
    nice: i32,
    priority: u32,
    runtime: u64,
    deadline: u64,
    period: u64,
    utilisation: [u32; 2],
}

fn set_scheduler(pid: i32, scheduler: &Scheduler) -> nix::Result<()> {
    let attributes = SchedAttr {
        size: size_of::<SchedAttr>() as u32,
        policy: scheduler.policy,
        flags: scheduler.flags,
        nice: scheduler.nice,
        priority: scheduler.priority,
        runtime: scheduler.runtime,
        deadline: scheduler.deadline,
        period: scheduler.period,
        utilisation: [0; 2],
    };
    // SAFETY: the struct has the size that it states and is valid for the call.
    Errno::result(unsafe { libc::syscall(libc::SYS_sched_setattr, pid, &raw const attributes, 0) }).map(|_| ())
}

/// Says in runc's words, which scripts look for, when the reason is that the process may not use all CPUs
/// (sched_setattr(2), EPERM).
fn scheduler_error(errno: Errno, pid: i32, doing: String) -> Error {
    if errno == Errno::EPERM && may_use_all_processors(pid) == Some(false) {
        let reason = "process scheduler can't be used together with AllowedCPUs, since it needs all CPUs";
        return Error::system(errno, format!("{doing}: {reason}"));
    }
    Error::system(errno, doing)
}

/// It only explains an error.
fn may_use_all_processors(pid: i32) -> Option<bool> {
    let allowed = sched_getaffinity(Pid::from_raw(pid)).ok()?;
    let count = (0..CpuSet::count()).filter(|index| allowed.is_set(*index) == Ok(true)).count();
    let online = sysconf(SysconfVar::_NPROCESSORS_ONLN).ok()??;
    Some(count as i64 >= online)
}

fn set_io_priority(pid: i32, value: u32) -> nix::Result<()> {
    const IOPRIO_WHO_PROCESS: i32 = 1;
    // SAFETY: the arguments are numbers.
    Errno::result(unsafe { libc::syscall(libc::SYS_ioprio_set, IOPRIO_WHO_PROCESS, pid, value) }).map(|_| ())
}

fn prlimit(pid: i32, resource: u32, new: Option<&libc::rlimit64>, old: Option<&mut libc::rlimit64>) -> nix::Result<()> {
    let new = new.map_or(std::ptr::null(), |new| new as *const _);
    let old = old.map_or(std::ptr::null_mut(), |old| old as *mut _);
    // SAFETY: both are NULL or valid for the call.
    Errno::result(unsafe { libc::prlimit64(pid, resource as _, new, old) }).map(|_| ())
}

/// Returns the uid and gid of a process's user, without a process those of root, as ids of the host. In a user
/// namespace, whose mappings may be those of another container, they are read from the mappings of process `pid`, which is
/// in it. Returns `None` if an id is not mapped, or if that process has ended.
pub fn owner(pid: i32, in_user_namespace: bool, process: Option<&Process>) -> Result<Option<Owner>> {
    let (uid, gid) = process.map_or((0, 0), |process| (process.user().uid(), process.user().gid()));
    if !in_user_namespace {
        return Ok(Some(Owner { uid, gid }));
    }
    let host = |file: &str, id: u32| -> Result<Option<u32>> {
        let map = procfs::read_optional(&format!("{pid}/{file}"))?.unwrap_or_default();
        Ok(procfs::id_mappings(&map).find_map(|range| in_range(range, id)))
    };
    Ok(host("uid_map", uid)?.zip(host("gid_map", gid)?).map(|(uid, gid)| Owner { uid, gid }))
}

/// Maps an id by the first inner id, the first outer id, and the count. Returns `None` if the range does not contain the
/// id.
fn in_range([inside, outside, count]: [u32; 3], id: u32) -> Option<u32> {
    let offset = id.checked_sub(inside).filter(|offset| *offset < count)?;
    outside.checked_add(offset)
}

/// Returns the names of the standard descriptors ("pipe:[123]", "/dev/null" …), as libcontainer records them for
/// checkpoints.
pub fn external_descriptors(low: &[RawFd]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for (index, fd) in low.iter().take(3).enumerate() {
        // Several may be the same descriptor of /dev/null: read its name once.
        let same = low[..index].iter().position(|other| other == fd);
        let read = || procfs::target_of_number(*fd).map(|path| path.display().to_string()).unwrap_or_default();
        names.push(same.map_or_else(read, |place| names[place].clone()));
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_a_map_gives_the_hosts_id() {
        let host = |map: &str, id: u32| procfs::id_mappings(map).find_map(|range| in_range(range, id));
        assert_eq!(host("         0     100000      65536\n", 5), Some(100_005));
        assert_eq!(host("0 7 10\n10 100000 5\n", 14), Some(100_004));
        assert_eq!(host("10 100000 5", 15), None);
        assert_eq!(host("10 100000 5", 9), None);
        assert_eq!(host("", 0), None);
    }
}
