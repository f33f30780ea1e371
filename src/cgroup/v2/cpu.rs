//! CPU limits of cgroup v2: weight, `cpu.max`, burst, idle, and the counters of `cpu.stat`.

use nix::errno::Errno;
use oci_spec::runtime::LinuxCpu;

use crate::cgroup::journal::LimitTarget;
use crate::error::{Error, Result};
use crate::sys::kernfs;

pub fn apply(place: LimitTarget, cpu: &LinuxCpu) -> Result<()> {
    let realtime =
        [cpu.realtime_runtime().is_some_and(|time| time != 0), cpu.realtime_period().is_some_and(|p| p != 0)];
    if let Some(index) = realtime.iter().position(|given| *given) {
        let field = ["linux.resources.cpu.realtimeRuntime", "linux.resources.cpu.realtimePeriod"][index];
        return Err(Error::unsupported_field(field, "cgroup v2 has no limits for realtime scheduling"));
    }
    // An idle cgroup refuses a weight, so unset idle first and set it last.
    if cpu.idle() == Some(0) {
        place.set("cpu.idle", 0, "linux.resources.cpu.idle")?;
    }
    if let Some(shares) = cpu.shares().filter(|shares| *shares != 0) {
        place.set("cpu.weight", weight(shares), "linux.resources.cpu.shares")?;
    }
    let set_burst = |burst| place.set("cpu.max.burst", burst, "linux.resources.cpu.burst");
    // Burst may not exceed the quota: write a smaller burst before the quota, a larger one after it.
    let burst_is_set = match cpu.burst() {
        Some(burst) => match set_burst(burst) {
            Err(error) if error.errno == Some(Errno::EINVAL) => false,
            result => result.map(|()| true)?,
        },
        None => true,
    };
    bandwidth(place, cpu)?;
    if let Some(burst) = cpu.burst().filter(|_| !burst_is_set) {
        set_burst(burst)?;
    }
    if let Some(idle) = cpu.idle().filter(|idle| *idle != 0) {
        place.set("cpu.idle", idle, "linux.resources.cpu.idle")?;
    }
    Ok(())
}

fn bandwidth(place: LimitTarget, cpu: &LinuxCpu) -> Result<()> {
    let quota = cpu.quota().filter(|quota| *quota != 0);
    let period = cpu.period().filter(|period| *period != 0);
    let field = match (quota, period) {
        (None, None) => return Ok(()),
        (Some(_), _) => "linux.resources.cpu.quota",
        (None, Some(_)) => "linux.resources.cpu.period",
    };
    let present = kernfs::read_optional(place.dir, "cpu.max")?.unwrap_or_default();
    place.set("cpu.max", max(&present, quota, period), field)
}

/// Formats `cpu.max`, which holds quota and period; a value that is not given stays as it is.
fn max(present: &str, quota: Option<i64>, period: Option<u64>) -> String {
    let mut fields = present.split_whitespace();
    let (old_quota, old_period) = (fields.next().unwrap_or("max"), fields.next().unwrap_or("100000"));
    let quota = match quota {
        None => old_quota.to_owned(),
        Some(quota) if quota < 0 => "max".to_owned(),
        Some(quota) => quota.to_string(),
    };
    format!("{quota} {}", period.map_or(old_period.to_owned(), |period| period.to_string()))
}

/// Converts v1 shares (2 to 262144, default 1024) to a v2 weight (1 to 10000, default 100).
///
/// With l = log2(shares): weight = ⌈10^((l² + 125·l) / 612 − 7/34)⌉, which maps the minimum, default and maximum to
/// each other. runc (since 1.3.2, through opencontainers/cgroups pull request 20), crun (since 1.23, containers/crun
/// pull request 1767) and therefore Kubernetes use it; the earlier linear formula gave a container with default shares
/// a weight of only 39.
pub fn weight(shares: u64) -> u64 {
    match shares {
        0..=2 => 1,
        262_144.. => 10_000,
        _ => {
            let l = (shares as f64).log2();
            let exponent = (l * l + 125.0 * l) / 612.0 - 7.0 / 34.0;
            (10f64.powf(exponent).ceil() as u64).clamp(1, 10_000)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_become_the_weight_that_other_runtimes_give() {
        let expected = [(2, 1), (1024, 100), (262_144, 10_000), (2000, 170), (0, 1), (1_000_000, 10_000)];
        for (shares, expected) in expected {
            assert_eq!(weight(shares), expected, "{shares} shares");
        }
        assert!((2..262_144).all(|shares| weight(shares) <= weight(shares + 1)));
    }

    #[test]
    fn quota_and_period_are_changed_one_at_a_time() {
        assert_eq!(max("max 100000", Some(5000), None), "5000 100000");
        assert_eq!(max("5000 100000", None, Some(20_000)), "5000 20000");
        assert_eq!(max("5000 20000", Some(-1), None), "max 20000");
        assert_eq!(max("", None, Some(20_000)), "max 20000");
    }
}
