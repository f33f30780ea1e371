//! The limit of the number of tasks. The files are the same on v1 and v2.

use oci_spec::runtime::LinuxPids;

use crate::cgroup::journal::LimitTarget;
use crate::error::Result;

/// Sets the limit. 0 is a valid limit: no further process can be started beside init, which exists before the limit is
/// set.
pub fn apply(place: LimitTarget, pids: &LinuxPids) -> Result<()> {
    let limit = match pids.limit() {
        limit if limit < 0 => "max".to_owned(),
        limit => limit.to_string(),
    };
    place.set("pids.max", limit, "linux.resources.pids.limit")
}
