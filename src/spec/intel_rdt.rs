//! Reads `linux.intelRdt`: allocation of caches and memory bandwidth, and monitoring.

use serde_json::Value;

use super::oci::{Linux, LinuxIntelRdt, Spec};
use crate::error::{Error, Result};

/// Lines for one write to `schemata`, with the field that they come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    pub field: &'static str,
    pub lines: Vec<String>,
}

pub fn of(spec: &Spec) -> Option<&LinuxIntelRdt> {
    spec.linux().as_ref().and_then(|linux| linux.intel_rdt().as_ref())
}

/// Returns the class of service (closID), if one is given. "/" is the default class.
pub fn clos_id(rdt: &LinuxIntelRdt) -> Option<&str> {
    rdt.clos_id().as_deref().filter(|name| !name.is_empty())
}

/// Returns whether memory bandwidth and whether cache occupancy are to be monitored.
pub fn measured(rdt: &LinuxIntelRdt) -> (bool, bool) {
    let group = has_group(rdt);
    let (bandwidth, occupancy) = (rdt.enable_mbm(), rdt.enable_cmt());
    (group || bandwidth == &Some(true), group || occupancy == &Some(true))
}

/// Returns whether the container gets a monitoring group of its own.
pub fn has_group(rdt: &LinuxIntelRdt) -> bool {
    rdt.enable_monitoring() == &Some(true)
}

/// Returns the writes in their order: the two old fields together, then `schemata`, which overrides them.
pub fn writes(rdt: &LinuxIntelRdt) -> Vec<Write> {
    let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    let (cache, bandwidth) = (given(rdt.l3_cache_schema()), given(rdt.mem_bw_schema()));
    let field = match (&cache, &bandwidth) {
        (Some(_), Some(_)) => "linux.intelRdt",
        (Some(_), None) => L3_CACHE,
        (None, _) => MEM_BW,
    };
    // `memBwSchema` replaces bandwidth lines in `l3CacheSchema`.
    let replaced = |line: &str| bandwidth.is_some() && line.trim_start().starts_with("MB:");
    let lines = cache.iter().flat_map(|text| text.lines()).filter(|line| !replaced(line) && !line.is_empty());
    let lines = lines.map(str::to_owned).chain(bandwidth.clone()).collect();
    let last = rdt.schemata().iter().flatten().filter(|line| !line.is_empty()).cloned().collect();
    let writes = [Write { field, lines }, Write { field: SCHEMATA, lines: last }];
    writes.into_iter().filter(|write| !write.lines.is_empty()).collect()
}

const L3_CACHE: &str = "linux.intelRdt.l3CacheSchema";
const MEM_BW: &str = "linux.intelRdt.memBwSchema";
const SCHEMATA: &str = "linux.intelRdt.schemata";
const CLOS_ID: &str = "linux.intelRdt.closID";

/// Renames two fields that the OCI crate spells differently from the specification. `config` has been fitted to the
/// table of fields.
pub(super) fn adapt_to_types(config: &mut Value) {
    let Some(Value::Object(rdt)) = config.pointer_mut("/linux/intelRdt") else { return };
    for (name, spelling) in [("enableCMT", "enableCmt"), ("enableMBM", "enableMbm")] {
        if let Some(value) = rdt.shift_remove(name) {
            rdt.insert(spelling.to_owned(), value);
        }
    }
}

pub(super) fn check(linux: &Linux) -> Result<()> {
    linux.intel_rdt().as_ref().map_or(Ok(()), check_fields)
}

pub(super) fn check_fields(rdt: &LinuxIntelRdt) -> Result<()> {
    if let Some(name) = clos_id(rdt)
        && name != "/"
        && (name.contains(['/', '\n']) || [".", ".."].contains(&name) || name.len() > 255)
    {
        let problem = format!("{name:?} is not a class of service; expected the name of one directory, or \"/\"");
        return Err(Error::config(CLOS_ID, problem));
    }
    if let Some(schema) = rdt.mem_bw_schema().as_ref().filter(|schema| !schema.is_empty())
        && (!schema.starts_with("MB:") || schema.contains('\n'))
    {
        return Err(Error::config(MEM_BW, format!("{schema:?} is not valid here; expected one line like \"MB:0=50\"")));
    }
    for (index, line) in rdt.schemata().iter().flatten().enumerate() {
        if line.contains('\n') {
            let problem = format!("{line:?} has more than one line; expected one, like \"L3:0=ff\"");
            return Err(Error::config(&format!("{SCHEMATA}[{index}]"), problem));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rdt(json: &str) -> LinuxIntelRdt {
        let mut config = serde_json::json!({ "linux": { "intelRdt": serde_json::from_str::<Value>(json).unwrap() } });
        adapt_to_types(&mut config);
        serde_json::from_value(config["linux"]["intelRdt"].take()).unwrap()
    }

    fn written(json: &str) -> Vec<(&'static str, String)> {
        writes(&rdt(json)).into_iter().map(|write| (write.field, write.lines.join("|"))).collect()
    }

    #[test]
    fn the_old_fields_are_written_together_and_the_new_one_last() {
        assert_eq!(written(r#"{"closID": "x", "l3CacheSchema": "", "schemata": []}"#), []);
        assert_eq!(written(r#"{"l3CacheSchema": "L3:0=f"}"#), [(L3_CACHE, "L3:0=f".into())]);
        assert_eq!(
            written(r#"{"schemata": ["L2:0=1", "L2:1=1"], "l3CacheSchema": "L3:0=f", "memBwSchema": "MB:0=20"}"#),
            [("linux.intelRdt", "L3:0=f|MB:0=20".into()), (SCHEMATA, "L2:0=1|L2:1=1".into())]
        );
    }

    #[test]
    fn memory_bandwidth_overrides_the_cache_schema() {
        let both = r#"{"l3CacheSchema": "MB:0=70\nL3:0=f", "memBwSchema": "MB:0=20"}"#;
        assert_eq!(written(both), [("linux.intelRdt", "L3:0=f|MB:0=20".into())]);
        assert_eq!(written(r#"{"l3CacheSchema": "MB:0=70\nL3:0=f"}"#), [(L3_CACHE, "MB:0=70|L3:0=f".into())]);
        assert_eq!(
            written(r#"{"l3CacheSchema": "MB:0=70", "memBwSchema": "MB:0=20"}"#),
            [("linux.intelRdt", "MB:0=20".into())]
        );
    }

    #[test]
    fn the_old_monitoring_fields_create_no_group() {
        let asked = |json: &str| (measured(&rdt(json)), has_group(&rdt(json)));
        assert_eq!(asked("{}"), ((false, false), false));
        assert_eq!(asked(r#"{"enableCMT": true, "enableMBM": false}"#), ((false, true), false));
        assert_eq!(asked(r#"{"enableMBM": true}"#), ((true, false), false));
        assert_eq!(asked(r#"{"enableMonitoring": true}"#), ((true, true), true));
    }
}
