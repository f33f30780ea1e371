//! Limits of RDMA devices. The file is the same on v1 and v2.

use std::collections::{BTreeMap, HashMap};

use oci_spec::runtime::LinuxRdma;

use super::journal::LimitTarget;
use crate::error::Result;

pub fn apply(place: LimitTarget, devices: &HashMap<String, LinuxRdma>) -> Result<()> {
    // Sorted, so that the order of writes is deterministic.
    for (device, limit) in devices.iter().collect::<BTreeMap<_, _>>() {
        let parts = [("hca_handle", limit.hca_handles()), ("hca_object", limit.hca_objects())];
        let parts = parts.iter().filter_map(|(name, limit)| Some(format!("{name}={}", (*limit)?)));
        let value = parts.collect::<Vec<_>>().join(" ");
        if !value.is_empty() {
            let field = format!("linux.resources.rdma[{device:?}]");
            place.set_keyed("rdma.max", device, value, "hca_handle=max hca_object=max", &field)?;
        }
    }
    Ok(())
}
