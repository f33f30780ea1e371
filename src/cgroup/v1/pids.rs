//! How many tasks there may be, on v1 and v2: the files are the same.

use oci_spec::runtime::LinuxPids;

use crate::cgroup::journal::Place;
use crate::error::Result;

/// A limit of 0 is "not given": the field is required by the schema and other runtimes read it so. Every
/// negative number is "unlimited".
pub fn limit(pids: &LinuxPids) -> Option<String> {
    match pids.limit() {
        0 => None,
        limit if limit < 0 => Some("max".to_owned()),
        limit => Some(limit.to_string()),
    }
}

pub fn apply(place: Place, pids: &LinuxPids) -> Result<()> {
    match limit(pids) {
        Some(value) => place.set("pids.max", value, "linux.resources.pids.limit"),
        None => Ok(()),
    }
}
