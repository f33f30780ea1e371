//! How many tasks there may be, on v1 and v2: the files are the same.

use oci_spec::runtime::LinuxPids;

use crate::cgroup::journal::Place;
use crate::error::Result;

/// 0 is a limit like any other: nothing may be started beside what is there, which init is before the limits are.
pub fn apply(place: Place, pids: &LinuxPids) -> Result<()> {
    let limit = match pids.limit() {
        limit if limit < 0 => "max".to_owned(),
        limit => limit.to_string(),
    };
    place.set("pids.max", limit, "linux.resources.pids.limit")
}
