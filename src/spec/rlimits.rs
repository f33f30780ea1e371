//! Maps the names of resource limits to the kernel's numbers.

use super::oci::{self, PosixRlimitType};
use crate::error::{Error, Result};

pub(super) const NAMES: [&str; 16] = [
    "RLIMIT_AS",
    "RLIMIT_CORE",
    "RLIMIT_CPU",
    "RLIMIT_DATA",
    "RLIMIT_FSIZE",
    "RLIMIT_LOCKS",
    "RLIMIT_MEMLOCK",
    "RLIMIT_MSGQUEUE",
    "RLIMIT_NICE",
    "RLIMIT_NOFILE",
    "RLIMIT_NPROC",
    "RLIMIT_RSS",
    "RLIMIT_RTPRIO",
    "RLIMIT_RTTIME",
    "RLIMIT_SIGPENDING",
    "RLIMIT_STACK",
];

/// Returns the `resource` argument of prlimit(2).
pub fn number(resource: PosixRlimitType) -> u32 {
    match resource {
        PosixRlimitType::RlimitAs => libc::RLIMIT_AS,
        PosixRlimitType::RlimitCore => libc::RLIMIT_CORE,
        PosixRlimitType::RlimitCpu => libc::RLIMIT_CPU,
        PosixRlimitType::RlimitData => libc::RLIMIT_DATA,
        PosixRlimitType::RlimitFsize => libc::RLIMIT_FSIZE,
        PosixRlimitType::RlimitLocks => libc::RLIMIT_LOCKS,
        PosixRlimitType::RlimitMemlock => libc::RLIMIT_MEMLOCK,
        PosixRlimitType::RlimitMsgqueue => libc::RLIMIT_MSGQUEUE,
        PosixRlimitType::RlimitNice => libc::RLIMIT_NICE,
        PosixRlimitType::RlimitNofile => libc::RLIMIT_NOFILE,
        PosixRlimitType::RlimitNproc => libc::RLIMIT_NPROC,
        PosixRlimitType::RlimitRss => libc::RLIMIT_RSS,
        PosixRlimitType::RlimitRtprio => libc::RLIMIT_RTPRIO,
        PosixRlimitType::RlimitRttime => libc::RLIMIT_RTTIME,
        PosixRlimitType::RlimitSigpending => libc::RLIMIT_SIGPENDING,
        PosixRlimitType::RlimitStack => libc::RLIMIT_STACK,
    }
}

pub(super) fn check(process: &oci::Process, prefix: &str) -> Result<()> {
    let limits = process.rlimits().as_deref().unwrap_or_default();
    for (index, limit) in limits.iter().enumerate() {
        let path = format!("{prefix}rlimits[{index}]");
        if let Some(first) = limits[..index].iter().position(|other| other.typ() == limit.typ()) {
            return Err(Error::config(
                &format!("{path}.type"),
                format!("{} is set by {prefix}rlimits[{first}] already; expected each at most once", limit.typ()),
            ));
        }
        if limit.soft() > limit.hard() {
            return Err(Error::config(
                &format!("{path}.soft"),
                format!("{} is above the hard limit {}; expected at most that", limit.soft(), limit.hard()),
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_has_its_own_number() {
        let numbers: std::collections::HashSet<u32> =
            NAMES.iter().map(|name| number(serde_json::from_value((*name).into()).unwrap())).collect();
        assert_eq!(numbers.len(), 16);
        assert_eq!(number(PosixRlimitType::RlimitNofile), 7);
    }
}
