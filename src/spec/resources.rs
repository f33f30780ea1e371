//! Checks resource limits, and the path in the cgroup tree.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use super::devices::{MAX_MAJOR, MAX_MINOR};
use super::unified;
use super::version::Version;
use super::{number_list, oci, paths, shape};
use crate::error::{Error, Result};

/// The version from which a `pids.limit` of 0 is a limit. Before 1.3 engines wrote 0 for no limit (podman up to 5.4,
/// containerd), and both runc and crun set none.
const ZERO_PIDS_IS_A_LIMIT: Version = (1, 3);

/// Rewrites values that the OCI crate's types cannot represent (a missing limit of processes, and huge pages without a
/// limit as Go writes it), and those whose meaning depends on the version of the configuration. `resources` has been
/// fitted to the table of fields.
pub(super) fn adapt_to_types(resources: &mut Value, version: Version) {
    if let Some(limit) = resources.pointer_mut("/pids/limit").filter(|limit| limit.as_i64() < Some(0)) {
        *limit = (-1).into();
    }
    let is_none =
        |limit: Option<&Value>| limit.is_none_or(|limit| limit.as_i64() == Some(0) && version < ZERO_PIDS_IS_A_LIMIT);
    // Nothing is written for no limit: the controller may be missing.
    if let Some(members) = resources.as_object_mut()
        && members.get("pids").is_some_and(|pids| is_none(pids.get("limit")))
    {
        members.shift_remove("pids");
    }
    for limit in resources.get_mut("hugepageLimits").and_then(Value::as_array_mut).into_iter().flatten() {
        // The kernel takes each of these values as unlimited.
        if limit["limit"].as_u64().is_some_and(|bytes| bytes > i64::MAX as u64) {
            limit["limit"] = i64::MAX.into();
        }
    }
}

pub(super) fn check(resources: &oci::LinuxResources) -> Result<()> {
    let prefix = "linux.resources.";
    if let Some(memory) = resources.memory() {
        check_memory(memory, &format!("{prefix}memory"))?;
    }
    if let Some(cpu) = resources.cpu() {
        check_cpu(cpu, &format!("{prefix}cpu"))?;
    }
    if let Some(io) = resources.block_io() {
        check_block_io(io, &format!("{prefix}blockIO"))?;
    }
    for (index, limit) in resources.hugepage_limits().iter().flatten().enumerate() {
        check_page_size(limit.page_size(), &format!("{prefix}hugepageLimits[{index}].pageSize"))?;
    }
    for (index, one) in resources.network().iter().flat_map(|network| network.priorities()).flatten().enumerate() {
        check_key(one.name(), "an interface", &format!("{prefix}network.priorities[{index}].name"))?;
    }
    // Sorted, so that of several errors the same one is always reported.
    for (device, limit) in resources.rdma().iter().flatten().collect::<BTreeMap<_, _>>() {
        let path = shape::join(&format!("{prefix}rdma"), device);
        check_key(device, "an RDMA device", &path)?;
        if limit.hca_handles().is_none() && limit.hca_objects().is_none() {
            return Err(Error::config(&path, "sets no limit; expected hcaHandles, hcaObjects or both"));
        }
    }
    if let Some(files) = resources.unified() {
        unified::check(files, &format!("{prefix}unified"))?;
    }
    for (index, rule) in resources.devices().iter().flatten().enumerate() {
        check_device_rule(rule, &format!("{prefix}devices[{index}]"))?;
    }
    Ok(())
}

fn at_least_minus_one(value: Option<i64>, path: &str) -> Result<()> {
    match value {
        Some(value) if value < -1 => {
            Err(Error::config(path, format!("{value} is not a limit; expected -1 for none, or more")))
        }
        _ => Ok(()),
    }
}

fn check_memory(memory: &oci::LinuxMemory, path: &str) -> Result<()> {
    at_least_minus_one(memory.limit(), &format!("{path}.limit"))?;
    at_least_minus_one(memory.reservation(), &format!("{path}.reservation"))?;
    at_least_minus_one(memory.swap(), &format!("{path}.swap"))?;
    // The swap limit is that of memory and swap together, so it needs a limit of memory and is not below it.
    let Some(swap) = memory.swap().filter(|swap| *swap > 0) else { return Ok(()) };
    match memory.limit().unwrap_or(0) {
        limit if limit > 0 && limit <= swap => Ok(()),
        limit if limit > 0 => Err(Error::config(
            &format!("{path}.swap"),
            format!("{swap} is memory and swap together, and below the memory limit {limit}; expected at least that"),
        )),
        _ => Err(Error::config(
            &format!("{path}.swap"),
            format!("{swap} needs a memory limit, which it includes; expected {path}.limit as well"),
        )),
    }
}

/// The kernel's bounds for a period of the CPU bandwidth controller, in microseconds.
const PERIODS: std::ops::RangeInclusive<u64> = 1_000..=1_000_000;

fn check_cpu(cpu: &oci::LinuxCpu, path: &str) -> Result<()> {
    // Some programs write 0 for "not set", like an absent member.
    if let Some(period) = cpu.period().filter(|period| *period != 0 && !PERIODS.contains(period)) {
        return Err(Error::config(
            &format!("{path}.period"),
            format!("{period} is not a period; expected from 1000 to 1000000 microseconds"),
        ));
    }
    let realtime = cpu.realtime_runtime().unwrap_or(0);
    if realtime < -1 {
        let problem = format!("{realtime} is not a time; expected microseconds, or -1 for no limit");
        return Err(Error::config(&format!("{path}.realtimeRuntime"), problem));
    }
    if let Some(period) =
        cpu.realtime_period().filter(|period| *period > 0 && i128::from(*period) < i128::from(realtime))
    {
        let problem = format!("{realtime} is above the period ({period}); expected at most that");
        return Err(Error::config(&format!("{path}.realtimeRuntime"), problem));
    }
    let quota = cpu.quota().unwrap_or(0);
    if quota < -1 || (1..1000).contains(&quota) {
        return Err(Error::config(
            &format!("{path}.quota"),
            format!("{quota} is not a quota; expected -1 for none, or at least 1000 microseconds"),
        ));
    }
    // Without a quota there is no limit that a burst could exceed.
    if let Some(burst) = cpu.burst().filter(|burst| quota > 0 && i128::from(*burst) > i128::from(quota)) {
        return Err(Error::config(
            &format!("{path}.burst"),
            format!("{burst} is above the quota; expected at most {path}.quota, {quota}"),
        ));
    }
    if let Some(idle) = cpu.idle().filter(|idle| !(0..=1).contains(idle)) {
        return Err(Error::config(&format!("{path}.idle"), format!("{idle} is not a state; expected 0 or 1")));
    }
    for (name, list) in [("cpus", cpu.cpus()), ("mems", cpu.mems())] {
        number_list::check(list.as_deref().unwrap_or_default(), u32::MAX, &format!("{path}.{name}"))?;
    }
    Ok(())
}

fn check_block_io(io: &oci::LinuxBlockIo, path: &str) -> Result<()> {
    let weight = |weight: Option<u16>, path: String| match weight {
        Some(weight @ (1..=9 | 1001..)) => {
            Err(Error::config(&path, format!("{weight} is not a weight; expected from 10 to 1000, or 0 for none")))
        }
        _ => Ok(()),
    };
    let number = |major: i64, minor: i64, path: String| {
        if !(0..=MAX_MAJOR).contains(&major) {
            return Err(Error::config(&format!("{path}.major"), format!("{major} is not a device number")));
        }
        if !(0..=MAX_MINOR).contains(&minor) {
            return Err(Error::config(&format!("{path}.minor"), format!("{minor} is not a device number")));
        }
        Ok(())
    };
    weight(io.weight(), format!("{path}.weight"))?;
    weight(io.leaf_weight(), format!("{path}.leafWeight"))?;
    for (index, device) in io.weight_device().iter().flatten().enumerate() {
        let path = format!("{path}.weightDevice[{index}]");
        number(device.major(), device.minor(), path.clone())?;
        if device.weight().is_none() && device.leaf_weight().is_none() {
            return Err(Error::config(&path, "sets no weight; expected weight, leafWeight or both"));
        }
        weight(device.weight(), format!("{path}.weight"))?;
        weight(device.leaf_weight(), format!("{path}.leafWeight"))?;
    }
    let lists = [
        ("throttleReadBpsDevice", io.throttle_read_bps_device()),
        ("throttleWriteBpsDevice", io.throttle_write_bps_device()),
        ("throttleReadIOPSDevice", io.throttle_read_iops_device()),
        ("throttleWriteIOPSDevice", io.throttle_write_iops_device()),
    ];
    for (name, list) in lists {
        for (index, device) in list.iter().flatten().enumerate() {
            number(device.major(), device.minor(), format!("{path}.{name}[{index}]"))?;
        }
    }
    Ok(())
}

/// Checks a page size, in the spelling of the kernel's hugetlb files.
fn check_page_size(size: &str, path: &str) -> Result<()> {
    let number = size.strip_suffix("KB").or(size.strip_suffix("MB")).or(size.strip_suffix("GB")).unwrap_or("");
    if number.is_empty() || number.starts_with('0') || !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Error::config(path, format!("{size:?} is not a size of pages; expected one like \"2MB\"")));
    }
    Ok(())
}

/// Checks a word that precedes a value in a cgroup file.
fn check_key(word: &str, what: &str, path: &str) -> Result<()> {
    if word.is_empty() || word.contains(char::is_whitespace) || word.contains(char::is_control) {
        return Err(Error::config(path, format!("{word:?} is not the name of {what}; expected a word")));
    }
    Ok(())
}

fn check_device_rule(rule: &oci::LinuxDeviceCgroup, path: &str) -> Result<()> {
    let access = rule.access().as_deref().unwrap_or("rwm");
    let twice = access.char_indices().take(4).any(|(index, letter)| access[..index].contains(letter));
    if access.is_empty() || access.len() > 3 || twice || access.chars().any(|letter| !"rwm".contains(letter)) {
        return Err(Error::config(
            &format!("{path}.access"),
            format!("{access:?} is not an access; expected letters out of \"rwm\", each at most once"),
        ));
    }
    for (name, number, max) in [("major", rule.major(), MAX_MAJOR), ("minor", rule.minor(), MAX_MINOR)] {
        if let Some(number) = number.filter(|number| !(-1..=max).contains(number)) {
            return Err(Error::config(
                &format!("{path}.{name}"),
                format!("{number} is not a device number; expected from 0 to {max}, or -1 for all"),
            ));
        }
    }
    Ok(())
}

pub(super) fn check_cgroups_path(path: &Path) -> Result<()> {
    const AT: &str = "linux.cgroupsPath";
    if path.as_os_str().is_empty() {
        return Ok(());
    }
    paths::bounded(path, AT)?;
    if path.to_string_lossy().chars().any(char::is_control) {
        return Err(Error::config(AT, format!("{path:?} contains a control character; expected a path without")));
    }
    // Limits, freezing and killing would affect all processes of the host.
    if paths::lexical(path).file_name().is_none() {
        return Err(Error::config(AT, format!("{path:?} is the root of the tree; expected a path below it")));
    }
    Ok(())
}
