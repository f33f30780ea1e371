//! Block device limits of cgroup v1: weights (of the BFQ scheduler; before Linux 5.0 of CFQ) and throttles.

use oci_spec::runtime::{LinuxBlockIo, LinuxThrottleDevice};

use crate::cgroup::journal::LimitTarget;
use crate::error::Result;

const FIELD: &str = "linux.resources.blockIO";

/// A list of throttles: the v1 file, the key in v2's io.max, the field's name, and the list.
pub type Throttles<'a> = (&'static str, &'static str, &'static str, &'a Option<Vec<LinuxThrottleDevice>>);

pub fn throttles(io: &LinuxBlockIo) -> [Throttles<'_>; 4] {
    [
        ("read_bps", "rbps", "throttleReadBpsDevice", io.throttle_read_bps_device()),
        ("write_bps", "wbps", "throttleWriteBpsDevice", io.throttle_write_bps_device()),
        ("read_iops", "riops", "throttleReadIOPSDevice", io.throttle_read_iops_device()),
        ("write_iops", "wiops", "throttleWriteIOPSDevice", io.throttle_write_iops_device()),
    ]
}

/// Returns the weight, or `None` for 0, which means "not given" as in other runtimes.
pub fn given(weight: Option<u16>) -> Option<u16> {
    weight.filter(|weight| *weight != 0)
}

pub fn apply(place: LimitTarget, io: &LinuxBlockIo) -> Result<()> {
    let bfq = place.has("blkio.bfq.weight")?;
    let (weight_file, device_file) =
        if bfq { ("blkio.bfq.weight", "blkio.bfq.weight_device") } else { ("blkio.weight", "blkio.weight_device") };
    if let Some(weight) = given(io.weight()) {
        place.set(weight_file, weight, &format!("{FIELD}.weight"))?;
    }
    if let Some(weight) = given(io.leaf_weight()) {
        place.set("blkio.leaf_weight", weight, &format!("{FIELD}.leafWeight"))?;
    }
    for (index, device) in io.weight_device().iter().flatten().enumerate() {
        let key = format!("{}:{}", device.major(), device.minor());
        if let Some(weight) = given(device.weight()) {
            let field = format!("{FIELD}.weightDevice[{index}].weight");
            place.set_keyed(device_file, &key, weight, "default", &field)?;
        }
        if let Some(weight) = given(device.leaf_weight()) {
            let field = format!("{FIELD}.weightDevice[{index}].leafWeight");
            place.set_keyed("blkio.leaf_weight_device", &key, weight, "0", &field)?;
        }
    }
    for (file, _, name, list) in throttles(io) {
        for (index, device) in list.iter().flatten().enumerate() {
            let key = format!("{}:{}", device.major(), device.minor());
            let file = format!("blkio.throttle.{file}_device");
            place.set_keyed(&file, &key, device.rate(), "0", &format!("{FIELD}.{name}[{index}].rate"))?;
        }
    }
    Ok(())
}
