//! Intel RDT: a container's share of caches and memory bandwidth, through the resctrl filesystem.
//!
//! A class of service is a directory (group) there. Without a `closID` the container gets its own group, which is
//! removed with it. A group that the configuration names is shared: its first container creates it, and it stays.
//! [`plan`] decides which, and the caller records that before [`Group::make`] creates anything.

mod group;
mod lock;
pub(crate) mod mount;
pub(crate) mod schemata;
mod stats;

use std::path::PathBuf;

use serde_json::Value;

pub use group::{Group, Removal};
pub use stats::report;

use crate::error::{Error, Result};
use crate::spec::intel_rdt::{self, Write};
use crate::spec::{Config, oci};
use crate::sys::kernfs;
use schemata::Schemata;

/// Checks that the host supports what a configuration needs from resctrl. Changes nothing.
pub(crate) fn check(spec: &oci::Spec) -> Result<()> {
    let Some(rdt) = intel_rdt::of(spec) else { return Ok(()) };
    let root = mount::find()?;
    let there = Schemata::parse(kernfs::read(&root, group::SCHEMATA)?.lines());
    let writes = intel_rdt::writes(rdt);
    for Write { field, lines } in &writes {
        let wanted = Schemata::parse(lines.iter().map(String::as_str));
        if let Some(missing) = wanted.resources().find(|name| there.line(name).is_none()) {
            let has = there.resources().collect::<Vec<_>>().join(", ");
            let problem = format!("this host's resctrl filesystem has no {missing:?}; expected lines for: {has}");
            return Err(Error::unsupported_field(field, problem));
        }
    }
    stats::check(&root, rdt)?;
    match intel_rdt::clos_id(rdt) {
        Some(name) => group::check_named(&root, name, &writes),
        None => Ok(()),
    }
}

/// Returns the group for a container's processes; None if it does not use resctrl.
pub(crate) fn plan(config: &Config, id: &str) -> Result<Option<Group>> {
    let Some(rdt) = intel_rdt::of(config.spec()) else { return Ok(None) };
    let mut group = Group::new(mount::find()?, intel_rdt::clos_id(rdt), intel_rdt::has_group(rdt), id);
    group.refuse_others()?;
    if group.removal == Removal::IfUnused && kernfs::exists(&group.path)? {
        group.removal = Removal::Never;
    }
    Ok(Some(group))
}

/// Returns the group that may exist for a container whose record is lost, from what can be read of its configuration.
pub(crate) fn locate(config: &Value, id: &str) -> Option<Group> {
    let rdt = config.pointer("/linux/intelRdt").filter(|rdt| rdt.is_object())?;
    let is_name = |name: &&str| !matches!(*name, "" | "." | "..") && !name.contains('/');
    let name = rdt["closID"].as_str().filter(is_name);
    let named = rdt["closID"].as_str().is_some_and(|name| !name.is_empty());
    // Without resctrl there is no group. The cgroups are located by the same table of mounts, and fail if it cannot be read.
    let root: PathBuf = mount::find().ok()?;
    let mut group = Group::new(root, name.or(named.then_some("/")), rdt["enableMonitoring"] == true, id);
    if named {
        group.removal = Removal::Never;
    }
    Some(group)
}
