//! CPU limits of cgroup v1: shares, quota and period, burst, idle, realtime.

use nix::errno::Errno;
use oci_spec::runtime::LinuxCpu;

use crate::cgroup::journal::LimitTarget;
use crate::error::Result;

/// Whether any field of `cpu` is for this controller (and not for cpuset).
pub fn wanted(cpu: &LinuxCpu) -> bool {
    let numbers = [cpu.shares(), cpu.period(), cpu.burst(), cpu.realtime_period()];
    let signed = [cpu.quota(), cpu.idle(), cpu.realtime_runtime()];
    numbers.iter().any(Option::is_some) || signed.iter().any(Option::is_some)
}

pub fn apply(place: LimitTarget, cpu: &LinuxCpu) -> Result<()> {
    // An idle cgroup refuses shares, so unset idle first and set it last.
    if cpu.idle() == Some(0) {
        set_idle(place, 0)?;
    }
    if let Some(shares) = cpu.shares().filter(|shares| *shares != 0) {
        place.set("cpu.shares", shares, "linux.resources.cpu.shares")?;
    }
    bandwidth(place, cpu)?;
    realtime(place, cpu)?;
    if let Some(idle) = cpu.idle().filter(|idle| *idle != 0) {
        set_idle(place, idle)?;
    }
    Ok(())
}

fn set_idle(place: LimitTarget, idle: i64) -> Result<()> {
    place.set("cpu.idle", idle, "linux.resources.cpu.idle")
}

fn bandwidth(place: LimitTarget, cpu: &LinuxCpu) -> Result<()> {
    let quota = cpu.quota().filter(|quota| *quota != 0);
    let period = cpu.period().filter(|period| *period != 0);
    let set_quota = |quota| place.set("cpu.cfs_quota_us", quota, "linux.resources.cpu.quota");
    let set_period = |period| place.set("cpu.cfs_period_us", period, "linux.resources.cpu.period");
    let set_burst = |burst| place.set("cpu.cfs_burst_us", burst, "linux.resources.cpu.burst");
    // Burst may not exceed the quota: write a smaller burst before the quota, a larger one after it.
    let burst_is_set = match cpu.burst() {
        Some(burst) => match set_burst(burst) {
            Err(error) if error.errno == Some(Errno::EINVAL) => false,
            result => result.map(|()| true)?,
        },
        None => true,
    };
    match (period, quota) {
        // quota / period may not exceed the parent's, also between the two writes: if the new period is refused with
        // the old quota, write the new quota with the old period first.
        (Some(period), Some(quota)) => match set_period(period) {
            Err(error) if error.errno == Some(Errno::EINVAL) => {
                set_quota(quota)?;
                set_period(period)?;
            }
            result => {
                result?;
                set_quota(quota)?;
            }
        },
        (Some(period), None) => set_period(period)?,
        (None, Some(quota)) => set_quota(quota)?,
        (None, None) => {}
    }
    match cpu.burst() {
        Some(burst) if !burst_is_set => set_burst(burst),
        _ => Ok(()),
    }
}

/// Sets the realtime scheduling limits (kernels with CONFIG_RT_GROUP_SCHED).
fn realtime(place: LimitTarget, cpu: &LinuxCpu) -> Result<()> {
    let runtime = cpu.realtime_runtime().filter(|runtime| *runtime != 0);
    let period = cpu.realtime_period().filter(|period| *period != 0);
    let set_runtime = |value| place.set("cpu.rt_runtime_us", value, "linux.resources.cpu.realtimeRuntime");
    let set_period = |value| place.set("cpu.rt_period_us", value, "linux.resources.cpu.realtimePeriod");
    // The runtime may not exceed the period, also between the two writes.
    match (period, runtime) {
        (Some(period), Some(runtime)) => match set_period(period) {
            Err(error) if error.errno == Some(Errno::EINVAL) => {
                set_runtime(runtime)?;
                set_period(period)
            }
            result => result.and_then(|()| set_runtime(runtime)),
        },
        (Some(period), None) => set_period(period),
        (None, Some(runtime)) => set_runtime(runtime),
        (None, None) => Ok(()),
    }
}
