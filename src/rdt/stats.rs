//! Statistics of resctrl, in the format of runc's `intel_rdt`.

use std::path::Path;

use super::group::{Group, SCHEMATA};
use super::schemata::Schemata;
use crate::error::{Error, Result};
use crate::spec::intel_rdt;
use crate::spec::oci::LinuxIntelRdt;
use crate::stats::intel_rdt::{Bandwidth, BandwidthInfo, CacheInfo, IntelRdt, Occupancy};
use crate::sys::kernfs;

/// Checks that the host can measure what is requested.
pub(super) fn check(root: &Path, rdt: &LinuxIntelRdt) -> Result<()> {
    let features = kernfs::read_optional(&root.join("info/L3_MON"), "mon_features")?.unwrap_or_default();
    let has = |prefix: &str| features.lines().any(|name| name.starts_with(prefix));
    let (bandwidth, occupancy) = intel_rdt::measured(rdt);
    let missing = match (intel_rdt::has_group(rdt), bandwidth && !has("mbm_"), occupancy && !has("llc_occupancy")) {
        (true, true, true) => ("linux.intelRdt.enableMonitoring", "no monitoring"),
        (true, ..) | (_, false, false) => return Ok(()),
        (false, true, _) => ("linux.intelRdt.enableMBM", "no monitoring of memory bandwidth"),
        (false, false, true) => ("linux.intelRdt.enableCMT", "no monitoring of cache occupancy"),
    };
    Err(Error::unsupported_field(missing.0, format!("this host's resctrl filesystem has {}; leave it out", missing.1)))
}

pub fn report(group: &Group, rdt: &LinuxIntelRdt) -> Result<IntelRdt> {
    let schemata = |dir: &Path| -> Result<Schemata> {
        Ok(Schemata::parse(kernfs::read_optional(dir, SCHEMATA)?.unwrap_or_default().lines()))
    };
    let (root, own) = (schemata(&group.root)?, schemata(&group.path)?);
    let (bandwidth, occupancy) = intel_rdt::measured(rdt);
    let mut report = IntelRdt {
        l3_cache_info: cache_info(&group.root.join("info/L3"))?,
        l3_cache_schema_root: root.line("L3"),
        l3_cache_schema: own.line("L3"),
        mem_bw_info: bandwidth_info(&group.root.join("info/MB"))?,
        mem_bw_schema_root: root.line("MB"),
        mem_bw_schema: own.line("MB"),
        mbm_stats: bandwidth.then(Vec::new),
        cmt_stats: occupancy.then(Vec::new),
    };
    let data = group.monitor.as_ref().unwrap_or(&group.path).join("mon_data");
    let mut domains = kernfs::list(&data)?;
    domains.retain(|name| name.starts_with("mon_L3_"));
    domains.sort();
    for domain in domains.iter().map(|name| data.join(name)) {
        let count = |name: &str| -> Result<Option<u64>> {
            Ok(kernfs::read_optional(&domain, name)?.and_then(|text| text.trim().parse().ok()))
        };
        if let Some(list) = &mut report.mbm_stats {
            let (total, local) = (count("mbm_total_bytes")?, count("mbm_local_bytes")?);
            list.push(Bandwidth { mbm_total_bytes: total, mbm_local_bytes: local });
        }
        if let Some(list) = &mut report.cmt_stats {
            list.push(Occupancy { llc_occupancy: count("llc_occupancy")? });
        }
    }
    Ok(report)
}

fn number(dir: &Path, name: &str) -> Result<u64> {
    Ok(kernfs::read_optional(dir, name)?.and_then(|text| text.trim().parse().ok()).unwrap_or(0))
}

fn cache_info(dir: &Path) -> Result<Option<CacheInfo>> {
    let Some(mask) = kernfs::read_optional(dir, "cbm_mask")? else { return Ok(None) };
    let (bits, classes) = (number(dir, "min_cbm_bits")?, number(dir, "num_closids")?);
    Ok(Some(CacheInfo { cbm_mask: mask.trim().to_owned(), min_cbm_bits: bits, num_closids: classes }))
}

fn bandwidth_info(dir: &Path) -> Result<Option<BandwidthInfo>> {
    if !kernfs::exists(dir)? {
        return Ok(None);
    }
    Ok(Some(BandwidthInfo {
        bandwidth_gran: number(dir, "bandwidth_gran")?,
        delay_linear: number(dir, "delay_linear")?,
        min_bandwidth: number(dir, "min_bandwidth")?,
        num_closids: number(dir, "num_closids")?,
    }))
}
