//! The class of packets (net_cls) and their priority for each interface (net_prio), which only cgroup v1 has.

use oci_spec::runtime::LinuxInterfacePriority;

use crate::cgroup::journal::LimitTarget;
use crate::error::Result;

pub const CLASS: &str = "linux.resources.network.classID";
pub const PRIORITIES: &str = "linux.resources.network.priorities";

pub fn classify(place: LimitTarget, class: u32) -> Result<()> {
    place.set("net_cls.classid", class, CLASS)
}

pub fn prioritise(place: LimitTarget, priorities: &[LinuxInterfacePriority]) -> Result<()> {
    for (index, one) in priorities.iter().enumerate() {
        let field = format!("{PRIORITIES}[{index}]");
        place.set_keyed("net_prio.ifpriomap", one.name(), one.priority(), "0", &field)?;
    }
    Ok(())
}
