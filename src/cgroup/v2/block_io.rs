//! Block device limits of cgroup v2: `io.weight` (or BFQ's own file) and `io.max`.

use oci_spec::runtime::LinuxBlockIo;

use crate::cgroup::journal::LimitTarget;
use crate::cgroup::v1::block_io::{given, throttles};
use crate::error::{Error, Result};

const FIELD: &str = "linux.resources.blockIO";

pub fn apply(place: LimitTarget, io: &LinuxBlockIo) -> Result<()> {
    let no_leaf = |field: String| Err(Error::unsupported_field(&field, "cgroup v2 has no leaf weights"));
    if given(io.leaf_weight()).is_some() {
        return no_leaf(format!("{FIELD}.leafWeight"));
    }
    for (index, device) in io.weight_device().iter().flatten().enumerate() {
        if given(device.leaf_weight()).is_some() {
            return no_leaf(format!("{FIELD}.weightDevice[{index}].leafWeight"));
        }
    }
    // BFQ's file accepts the values of v1; those for `io.weight` are converted.
    let bfq = place.has("io.bfq.weight")?;
    let file = if bfq { "io.bfq.weight" } else { "io.weight" };
    let converted = |weight: u16| if bfq { u64::from(weight) } else { io_weight(weight) };
    if let Some(weight) = given(io.weight()) {
        place.set_keyed(file, "default", converted(weight), "100", &format!("{FIELD}.weight"))?;
    }
    for (index, device) in io.weight_device().iter().flatten().enumerate() {
        if let Some(weight) = given(device.weight()) {
            let key = format!("{}:{}", device.major(), device.minor());
            let field = format!("{FIELD}.weightDevice[{index}].weight");
            place.set_keyed(file, &key, converted(weight), "default", &field)?;
        }
    }
    for (_, name, field, list) in throttles(io) {
        for (index, device) in list.iter().flatten().enumerate() {
            let key = format!("{}:{}", device.major(), device.minor());
            // 0 removes a throttle, as on v1.
            let rate = if device.rate() == 0 { "max".to_owned() } else { device.rate().to_string() };
            let absent = "rbps=max wbps=max riops=max wiops=max";
            let field = format!("{FIELD}.{field}[{index}].rate");
            place.set_keyed("io.max", &key, format!("{name}={rate}"), absent, &field)?;
        }
    }
    Ok(())
}

/// Converts a v1 weight (10 to 1000) to `io.weight` (1 to 10000), linearly, as the other OCI runtimes do.
pub fn io_weight(weight: u16) -> u64 {
    let weight = u64::from(weight.clamp(10, 1000));
    1 + (weight - 10) * 9999 / 990
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_become_those_that_other_runtimes_give() {
        for (weight, expected) in [(10, 1), (100, 910), (500, 4950), (1000, 10_000)] {
            assert_eq!(io_weight(weight), expected);
        }
    }
}
