//! Memory limits and counters of cgroup v1.

use std::path::Path;

use nix::errno::Errno;
use oci_spec::runtime::LinuxMemory;

use crate::cgroup::journal::LimitTarget;
use crate::cgroup::limit::number;
use crate::error::{Error, Result};

const LIMIT: &str = "memory.limit_in_bytes";
const LIMIT_AND_SWAP: &str = "memory.memsw.limit_in_bytes";

pub fn apply(place: LimitTarget, memory: &LinuxMemory) -> Result<()> {
    let dir = place.dir;
    let given = |value: Option<i64>| value.filter(|value| *value != 0);
    let (memory_limit, swap) = (given(memory.limit()), given(memory.swap()));
    check(memory_limit, swap)?;
    if memory.check_before_update() == Some(true) {
        crate::cgroup::v2::memory::refuse_below_usage(memory_limit, number(dir, "memory.usage_in_bytes")?)?;
    }
    // Without the memory+swap file, "unlimited swap" has nothing to set.
    let has_swap = number(dir, LIMIT_AND_SWAP)?;
    let swap = match (memory_limit, swap, has_swap) {
        (Some(-1), None, Some(_)) | (_, Some(-1), Some(_)) => Some(-1),
        (_, Some(-1), None) => None,
        (_, swap, _) => swap,
    };
    // The kernel enforces memory <= memory + swap at every moment, so the order of writes depends on the present
    // limits.
    let raising = match (memory_limit, has_swap) {
        (Some(wanted), Some(present)) => amount(wanted) > present,
        _ => false,
    };
    if raising {
        set_swap(place, swap)?;
        set_limit(place, memory_limit)?;
    } else {
        set_limit(place, memory_limit)?;
        set_swap(place, swap)?;
    }
    if let Some(reservation) = given(memory.reservation()) {
        place.set("memory.soft_limit_in_bytes", reservation, "linux.resources.memory.reservation")?;
    }
    kernel_memory(place, memory)?;
    if let Some(swappiness) = memory.swappiness() {
        place.set("memory.swappiness", swappiness, "linux.resources.memory.swappiness")?;
    }
    if let Some(disable) = memory.disable_oom_killer() {
        place.set("memory.oom_control", u8::from(disable), "linux.resources.memory.disableOOMKiller")?;
    }
    // Newer kernels accept only 1; older ones accept a change only while there are no cgroups below.
    if let Some(wanted) = memory.use_hierarchy().map(u8::from)
        && number(dir, "memory.use_hierarchy")? != Some(wanted.into())
    {
        place.set("memory.use_hierarchy", wanted, "linux.resources.memory.useHierarchy")?;
    }
    Ok(())
}

/// Sets the separate limits of kernel memory. Newer kernels no longer implement them: they refuse or silently ignore
/// them.
fn kernel_memory(place: LimitTarget, memory: &LinuxMemory) -> Result<()> {
    let kernel = memory.kernel();
    if let Some(limit) = kernel.filter(|limit| *limit != 0) {
        place.set("memory.kmem.limit_in_bytes", limit, "linux.resources.memory.kernel")?;
    }
    if let Some(limit) = memory.kernel_tcp().filter(|limit| *limit != 0) {
        place.set("memory.kmem.tcp.limit_in_bytes", limit, "linux.resources.memory.kernelTCP")?;
    }
    Ok(())
}

fn set_limit(place: LimitTarget, limit: Option<i64>) -> Result<()> {
    let Some(limit) = limit else { return Ok(()) };
    place.set(LIMIT, limit, "linux.resources.memory.limit").map_err(|error| explain(place.dir, error))
}

fn set_swap(place: LimitTarget, swap: Option<i64>) -> Result<()> {
    let Some(swap) = swap else { return Ok(()) };
    place.set(LIMIT_AND_SWAP, swap, "linux.resources.memory.swap").map_err(|error| explain(place.dir, error))
}

/// Adds the present usage or limits to EBUSY and EINVAL, which alone do not explain the failure.
fn explain(dir: &Path, mut error: Error) -> Error {
    let show = |file| number(dir, file).ok().flatten().map_or("unknown".to_owned(), |value: u64| value.to_string());
    match error.errno {
        Some(Errno::EBUSY) => {
            error.message +=
                &format!(" ({} bytes are in use and could not be reclaimed)", show("memory.usage_in_bytes"));
        }
        Some(Errno::EINVAL) => {
            error.message += &format!(
                " (the present limits are {} for memory and {} for memory and swap)",
                show(LIMIT),
                show(LIMIT_AND_SWAP)
            );
        }
        _ => {}
    }
    error
}

/// Converts a limit to a number that can be compared; -1 (unlimited) becomes the largest.
fn amount(limit: i64) -> u64 {
    u64::try_from(limit).unwrap_or(u64::MAX)
}

/// Checks both limits. OCI's `swap` is memory plus swap, so it cannot be less than `limit`.
pub fn check(limit: Option<i64>, swap: Option<i64>) -> Result<()> {
    for (value, field) in [(limit, "limit"), (swap, "swap")] {
        if let Some(value) = value.filter(|value| *value < -1) {
            let path = format!("linux.resources.memory.{field}");
            return Err(Error::config(&path, format!("{value} is neither a number of bytes nor -1 for unlimited")));
        }
    }
    match (limit, swap) {
        (Some(limit), Some(swap)) if amount(swap) < amount(limit) => {
            let problem = format!("{swap} is less than linux.resources.memory.limit ({limit}), which it includes");
            Err(Error::config("linux.resources.memory.swap", problem))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Code;

    #[test]
    fn swap_that_is_less_than_memory_is_refused() {
        assert!(check(Some(100), Some(100)).is_ok());
        assert!(check(Some(100), Some(-1)).is_ok());
        assert!(check(None, Some(5)).is_ok());
        for (limit, swap) in [(100, 99), (-1, 100), (-2, -1), (100, -5)] {
            assert_eq!(check(Some(limit), Some(swap)).unwrap_err().code, Code::ConfigInvalid);
        }
    }
}
