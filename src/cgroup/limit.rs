//! Writing one limit so that a refusal explains itself, and reading numbers back.

use std::collections::HashMap;
use std::path::Path;

use nix::errno::Errno;
use oci_spec::runtime::LinuxResources;

use super::kernfs;
use crate::error::{Code, Error, Result};

/// Writes `value`; `field` is the JSON path that asked for it.
pub fn set(dir: &Path, file: &str, value: impl ToString, field: &str) -> Result<()> {
    let value = value.to_string();
    kernfs::write(dir, file, &value).map_err(|error| {
        let error = match error.errno {
            Some(Errno::ENOENT) if kernfs::exists(dir).unwrap_or(false) => missing(dir, file, field),
            _ => error.context(field),
        };
        error.detail("json_path", field).detail("file", dir.join(file).display().to_string()).detail("value", value)
    })
}

/// The cgroup is there but not the file: an older kernel, or a controller that could not be enabled.
fn missing(dir: &Path, file: &str, field: &str) -> Error {
    let path = dir.join(file);
    let controller = file.split('.').next().unwrap_or(file);
    let enabled = kernfs::read_optional(dir, "cgroup.controllers").ok().flatten();
    let reason = match enabled {
        Some(list) if !list.split_whitespace().any(|name| name == controller) => {
            let parent = dir.parent().unwrap_or(dir).display();
            format!("the {controller} controller is not enabled in {parent}/cgroup.subtree_control")
        }
        _ => "this kernel does not offer it".to_owned(),
    };
    Error::new(Code::Unsupported, format!("{field}: {} does not exist: {reason}", path.display()))
        .with_errno(Errno::ENOENT)
}

pub fn no_controller(controller: &str, field: &str) -> Error {
    Error::unsupported_field(field, format!("the host mounts no {controller} cgroup controller"))
}

/// A number; `None` for a missing file and for "max".
pub fn number(dir: &Path, file: &str) -> Result<Option<u64>> {
    Ok(kernfs::read_optional(dir, file)?.and_then(|text| text.trim().parse().ok()))
}

/// The lines of files like `memory.stat`: a key, a space, a number.
pub fn table(dir: &Path, file: &str) -> Result<HashMap<String, u64>> {
    Ok(kernfs::read_optional(dir, file)?.map(|text| parse_table(&text)).unwrap_or_default())
}

pub fn parse_table(text: &str) -> HashMap<String, u64> {
    let pair = |line: &str| {
        let (key, value) = line.split_once(' ')?;
        Some((key.to_owned(), value.trim().parse().ok()?))
    };
    text.lines().filter_map(pair).collect()
}

/// Fields that would otherwise be ignored in silence.
pub fn refuse_unsupported(resources: &LinuxResources) -> Result<()> {
    let refuse = |field: &str| {
        let field = format!("linux.resources.{field}");
        Err(Error::unsupported_field(&field, "not supported by this version"))
    };
    if resources.block_io().as_ref().is_some_and(|io| *io != Default::default()) {
        return refuse("blockIO");
    }
    if resources.hugepage_limits().as_ref().is_some_and(|limits| !limits.is_empty()) {
        return refuse("hugepageLimits");
    }
    if resources.network().as_ref().is_some_and(|network| *network != Default::default()) {
        return refuse("network");
    }
    if resources.rdma().as_ref().is_some_and(|rdma| !rdma.is_empty()) {
        return refuse("rdma");
    }
    if resources.unified().as_ref().is_some_and(|unified| !unified.is_empty()) {
        return refuse("unified");
    }
    if let Some(memory) = resources.memory() {
        #[allow(deprecated)]
        if memory.kernel().is_some() {
            return refuse("memory.kernel");
        }
        if memory.kernel_tcp().is_some() {
            return refuse("memory.kernelTCP");
        }
    }
    if let Some(cpu) = resources.cpu() {
        if cpu.realtime_runtime().is_some() {
            return refuse("cpu.realtimeRuntime");
        }
        if cpu.realtime_period().is_some() {
            return refuse("cpu.realtimePeriod");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_read_and_odd_lines_are_left_out() {
        let table = parse_table("nr_periods 3\nnonsense\nusage_usec 12\nlow max\n");
        assert_eq!((table.len(), table["nr_periods"], table["usage_usec"]), (2, 3, 12));
    }

    #[test]
    fn what_is_not_implemented_is_refused_by_its_path() {
        let resources: LinuxResources = serde_json::from_str(r#"{"unified": {"memory.high": "1"}}"#).unwrap();
        let error = refuse_unsupported(&resources).unwrap_err();
        assert_eq!((error.code, &error.message[..24]), (Code::Unsupported, "linux.resources.unified:"));
        let empty: LinuxResources = serde_json::from_str(r#"{"blockIO": {}, "network": {}}"#).unwrap();
        assert!(refuse_unsupported(&empty).is_ok());
    }
}
