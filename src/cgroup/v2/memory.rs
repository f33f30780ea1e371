//! Memory limits and counters of cgroup v2.

use oci_spec::runtime::LinuxMemory;

use crate::cgroup::journal::LimitTarget;
use crate::cgroup::limit::number;
use crate::cgroup::v1;
use crate::error::{Error, Result};
use crate::sys::kernfs;

pub fn apply(place: LimitTarget, memory: &LinuxMemory) -> Result<()> {
    let dir = place.dir;
    if memory.swappiness().is_some() {
        return Err(Error::unsupported_field("linux.resources.memory.swappiness", "cgroup v2 has no such setting"));
    }
    if memory.disable_oom_killer() == Some(true) {
        return Err(Error::unsupported_field("linux.resources.memory.disableOOMKiller", "cgroup v2 cannot do that"));
    }
    if memory.use_hierarchy() == Some(false) {
        return Err(Error::unsupported_field(
            "linux.resources.memory.useHierarchy",
            "cgroup v2 is always hierarchical",
        ));
    }
    let parts = [("kernel", memory.kernel()), ("kernelTCP", memory.kernel_tcp())];
    if let Some((name, _)) = parts.iter().find(|(_, limit)| limit.is_some_and(|limit| limit > 0)) {
        let field = format!("linux.resources.memory.{name}");
        return Err(Error::unsupported_field(&field, "cgroup v2 has no such limit; the memory limit includes it"));
    }
    let given = |value: Option<i64>| value.filter(|value| *value != 0);
    let (limit, swap) = (given(memory.limit()), given(memory.swap()));
    v1::memory::check(limit, swap)?;
    if memory.check_before_update() == Some(true) {
        refuse_below_usage(limit, number(dir, "memory.current")?)?;
    }
    // On v2 the two limits are independent, so the kernel accepts any order. Allow swap before reducing memory, so that
    // pages can be swapped out.
    let present = || Ok(number(dir, "memory.max")?.and_then(|limit| i64::try_from(limit).ok()));
    if let Some(swap) = swap_alone(limit, swap, present)? {
        // Without swap accounting the file does not exist and swap is unlimited anyway.
        if swap != "max" || kernfs::exists(&dir.join("memory.swap.max"))? {
            place.set("memory.swap.max", swap, "linux.resources.memory.swap")?;
        }
    }
    if let Some(limit) = limit {
        place.set("memory.max", or_max(limit), "linux.resources.memory.limit")?;
    }
    if let Some(reservation) = given(memory.reservation()) {
        place.set("memory.low", or_max(reservation), "linux.resources.memory.reservation")?;
    }
    Ok(())
}

fn or_max(limit: i64) -> String {
    if limit < 0 { "max".to_owned() } else { limit.to_string() }
}

/// Converts OCI's `swap` (memory plus swap) to v2's (swap alone). Unlimited memory without a `swap` means unlimited
/// swap too, as on v1.
fn swap_alone(
    limit: Option<i64>,
    swap: Option<i64>,
    present: impl FnOnce() -> Result<Option<i64>>,
) -> Result<Option<String>> {
    let swap = match (limit, swap) {
        (Some(-1), None) | (_, Some(-1)) => return Ok(Some("max".to_owned())),
        (_, None) => return Ok(None),
        (_, Some(swap)) => swap,
    };
    let limit = match limit {
        Some(limit) => Some(limit),
        None => present()?,
    };
    let field = "linux.resources.memory.swap";
    match limit {
        Some(limit) if limit <= swap => Ok(Some((swap - limit).to_string())),
        Some(limit) => {
            let problem = format!("{swap} is less than the present memory limit ({limit}), which it includes");
            Err(Error::config(field, problem))
        }
        None => {
            let problem = format!("{swap} includes the memory limit, and linux.resources.memory.limit is not given");
            Err(Error::config(field, problem))
        }
    }
}

/// Refuses a limit below the present usage (OCI `checkBeforeUpdate`), on v1 and v2.
pub fn refuse_below_usage(limit: Option<i64>, usage: Option<u64>) -> Result<()> {
    match (limit.and_then(|limit| u64::try_from(limit).ok()), usage) {
        (Some(limit), Some(usage)) if limit < usage => {
            let problem = format!("{limit} is less than the {usage} bytes that are in use");
            Err(Error::config("linux.resources.memory.limit", problem))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Code;

    fn alone(limit: Option<i64>, swap: Option<i64>, present: Option<i64>) -> Result<Option<String>> {
        swap_alone(limit, swap, || Ok(present))
    }

    #[test]
    fn swap_is_distinguished_from_memory() {
        assert_eq!(alone(Some(100), Some(150), None).unwrap().as_deref(), Some("50"));
        assert_eq!(alone(Some(100), Some(100), None).unwrap().as_deref(), Some("0"));
        assert_eq!(alone(Some(100), Some(-1), None).unwrap().as_deref(), Some("max"));
        assert_eq!(alone(Some(-1), None, None).unwrap().as_deref(), Some("max"));
        assert_eq!(alone(Some(100), None, None).unwrap(), None);
        assert_eq!(alone(None, Some(150), Some(100)).unwrap().as_deref(), Some("50"));
    }

    #[test]
    fn swap_without_a_memory_limit_is_refused() {
        assert_eq!(alone(None, Some(150), None).unwrap_err().code, Code::ConfigInvalid);
        assert_eq!(alone(None, Some(50), Some(100)).unwrap_err().code, Code::ConfigInvalid);
    }

    #[test]
    fn a_limit_below_usage_is_refused_when_asked_for() {
        assert!(refuse_below_usage(Some(5), Some(6)).is_err());
        assert!(refuse_below_usage(Some(-1), Some(6)).is_ok());
        assert!(refuse_below_usage(None, Some(6)).is_ok());
    }
}
