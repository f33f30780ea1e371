//! Properties of scopes: those that all are started with, those of annotations, and those that hold the limits of a container.

use oci_spec::runtime::{LinuxCpu, LinuxMemory, LinuxResources};

use super::message::{Properties, Value};
use super::unit::Unit;
use crate::cgroup::v2;
use crate::error::{Error, Result};

/// The prefix of annotations that give a property.
pub const ANNOTATION: &str = "org.systemd.property.";

/// Returns the checked systemd properties in a container's annotations.
pub fn annotated<'a>(annotations: impl Iterator<Item = (&'a String, &'a String)>) -> Result<Vec<(String, String)>> {
    let mut found = Vec::new();
    for (key, value) in annotations {
        if let Some(name) = key.strip_prefix(ANNOTATION) {
            parse(name, value)?;
            found.push((name.to_owned(), value.clone()));
        }
    }
    found.sort();
    Ok(found)
}

/// Returns the properties that a scope is started with, for the process `pid`. Its limits follow later.
pub(super) fn at_start(unit: &Unit, pid: i32) -> Result<Properties> {
    let mut list: Properties = vec![
        ("Description".into(), Value::Text(format!("libberth container {}", unit.name.trim_end_matches(".scope")))),
        ("Slice".into(), Value::Text(unit.slice.clone())),
        ("PIDs".into(), Value::Numbers(vec![pid.cast_unsigned()])),
        // The container owns the cgroups below the scope; systemd must not change them.
        ("Delegate".into(), Value::Bool(true)),
        ("DefaultDependencies".into(), Value::Bool(false)),
        // Unload the scope even if it fails.
        ("CollectMode".into(), Value::Text("inactive-or-failed".into())),
    ];
    for accounting in ["CPUAccounting", "MemoryAccounting", "TasksAccounting", "IOAccounting"] {
        list.push((accounting.into(), Value::Bool(true)));
    }
    for (name, text) in &unit.properties {
        list.retain(|(present, _)| present != name);
        list.push((name.clone(), parse(name, text)?));
    }
    Ok(list)
}

/// Parses a value in GVariant text format: true, 'text', 12, uint64 12, ['a', 'b'].
pub fn parse(name: &str, text: &str) -> Result<Value> {
    let path = format!("annotations[\"{ANNOTATION}{name}\"]");
    let refuse = |problem: &str| Error::config(&path, format!("{text:?} {problem}"));
    // PIDs would add unrelated processes; libberth itself sets Slice and Delegate.
    if ["PIDs", "Slice", "Delegate"].contains(&name)
        || name.is_empty()
        || !name.bytes().all(|b| b.is_ascii_alphanumeric())
    {
        return Err(refuse("is for a property that cannot be set"));
    }
    value(text.trim()).ok_or_else(|| refuse("is not a value; expected one like true, 'text', uint64 5 or ['a', 'b']"))
}

fn value(text: &str) -> Option<Value> {
    if let Some((kind, number)) = text.split_once(' ') {
        let number = number.trim();
        return match kind {
            "uint64" => number.parse().ok().map(Value::U64),
            "int64" => number.parse().ok().map(Value::I64),
            "uint32" => number.parse().ok().map(Value::U32),
            "int32" => number.parse().ok().map(Value::I32),
            "double" => number.parse().ok().map(Value::F64),
            _ => quoted(text).map(Value::Text).or_else(|| list(text)),
        };
    }
    match text {
        "true" => Some(Value::Bool(true)),
        "false" => Some(Value::Bool(false)),
        _ => quoted(text).map(Value::Text).or_else(|| list(text)).or_else(|| text.parse().ok().map(Value::I32)),
    }
}

fn list(text: &str) -> Option<Value> {
    let inner = text.strip_prefix('[')?.strip_suffix(']')?;
    inner.split(',').map(|part| quoted(part.trim())).collect::<Option<Vec<_>>>().map(Value::Texts)
}

fn quoted(text: &str) -> Option<String> {
    let inner = ['\'', '"'].iter().find_map(|quote| text.strip_prefix(*quote)?.strip_suffix(*quote))?;
    (!inner.contains(['\'', '"', '\\'])).then(|| inner.to_owned())
}

const UNLIMITED: u64 = u64::MAX;

fn limit(value: i64) -> Value {
    Value::U64(u64::try_from(value).unwrap_or(UNLIMITED))
}

/// Returns the limits that systemd has properties for. Without them, systemd would overwrite the limits on a reload.
pub fn of_resources(resources: &LinuxResources) -> Properties {
    let mut list = Properties::new();
    if let Some(memory) = resources.memory() {
        memory_properties(memory, &mut list);
    }
    if let Some(cpu) = resources.cpu() {
        cpu_properties(cpu, &mut list);
    }
    if let Some(pids) = resources.pids() {
        // systemd does not accept 0. With 1 no process can run beside init either.
        let max = if pids.limit() == 0 { 1 } else { pids.limit() };
        list.push(("TasksMax".into(), limit(max)));
    }
    for (file, text) in resources.unified().iter().flatten() {
        let known = UNIFIED.iter().find(|(known, _)| known == file);
        let number = if text.trim() == "max" { Some(UNLIMITED) } else { text.trim().parse().ok() };
        if let (Some((_, property)), Some(number)) = (known, number) {
            list.retain(|(name, _)| name != property);
            list.push(((*property).into(), Value::U64(number)));
        }
    }
    list
}

const UNIFIED: [(&str, &str); 7] = [
    ("cpu.weight", "CPUWeight"),
    ("memory.high", "MemoryHigh"),
    ("memory.low", "MemoryLow"),
    ("memory.max", "MemoryMax"),
    ("memory.min", "MemoryMin"),
    ("memory.swap.max", "MemorySwapMax"),
    ("pids.max", "TasksMax"),
];

fn memory_properties(memory: &LinuxMemory, list: &mut Properties) {
    let given = |value: Option<i64>| value.filter(|value| *value != 0);
    if let Some(value) = given(memory.limit()) {
        list.push(("MemoryMax".into(), limit(value)));
    }
    match (given(memory.limit()), given(memory.swap())) {
        (Some(-1), None) | (_, Some(-1)) => list.push(("MemorySwapMax".into(), limit(-1))),
        // OCI's `swap` is memory plus swap.
        (Some(memory), Some(swap)) => list.push(("MemorySwapMax".into(), limit((swap - memory).max(0)))),
        _ => {}
    }
    if let Some(value) = given(memory.reservation()) {
        list.push(("MemoryLow".into(), limit(value)));
    }
}

fn cpu_properties(cpu: &LinuxCpu, list: &mut Properties) {
    if let Some(shares) = cpu.shares().filter(|shares| *shares != 0) {
        list.push(("CPUWeight".into(), Value::U64(v2::cpu::weight(shares))));
    }
    let period = cpu.period().filter(|period| *period != 0);
    if let Some(period) = period {
        list.push(("CPUQuotaPeriodUSec".into(), Value::U64(period)));
    }
    match cpu.quota().filter(|quota| *quota != 0).map(u64::try_from) {
        Some(Ok(quota)) => {
            // systemd accepts whole percents only, so round up.
            let each_second = (quota.saturating_mul(1_000_000) / period.unwrap_or(100_000)).next_multiple_of(10_000);
            list.push(("CPUQuotaPerSecUSec".into(), Value::U64(each_second)));
        }
        Some(Err(_)) => list.push(("CPUQuotaPerSecUSec".into(), limit(-1))),
        None => {}
    }
    for (property, text) in [("AllowedCPUs", cpu.cpus()), ("AllowedMemoryNodes", cpu.mems())] {
        if let Some(text) = text.as_deref().filter(|text| !text.trim().is_empty()) {
            list.push((property.into(), Value::Bytes(mask(text))));
        }
    }
}

/// Converts a list such as "0-2,9" to a bit mask.
fn mask(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for number in crate::stats::report::list(text) {
        let at = usize::from(number / 8);
        if bytes.len() <= at {
            bytes.resize(at + 1, 0);
        }
        bytes[at] |= 1u8 << (number % 8);
    }
    bytes
}

/// Returns the "no limit" value of each property in `changed`, for properties that had no value before.
pub fn defaults(changed: &Properties) -> Properties {
    let default = |name: &str| match name {
        "MemoryLow" | "MemoryMin" => Value::U64(0),
        "AllowedCPUs" | "AllowedMemoryNodes" => Value::Bytes(Vec::new()),
        _ => Value::U64(UNLIMITED),
    };
    changed.iter().map(|(name, _)| (name.clone(), default(name))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resources(text: &str) -> LinuxResources {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn annotations_are_values_of_a_type() {
        for (text, expected) in [
            ("true", Value::Bool(true)),
            ("'a b'", Value::Text("a b".into())),
            ("\"x\"", Value::Text("x".into())),
            ("uint64 5", Value::U64(5)),
            ("-5", Value::I32(-5)),
            ("['a.service', 'b']", Value::Texts(vec!["a.service".into(), "b".into()])),
        ] {
            assert_eq!(parse("X", text).unwrap(), expected, "{text}");
        }
        for (name, text) in [("X", "x"), ("X", "uint64 -1"), ("X", "'a"), ("PIDs", "1"), ("", "1"), ("a b", "1")] {
            assert!(parse(name, text).is_err(), "{name} {text}");
        }
    }

    #[test]
    fn limits_become_properties() {
        let list = of_resources(&resources(
            r#"{"memory": {"limit": 100, "swap": 150}, "pids": {"limit": -1}, "unified": {"memory.high": "max"},
                "cpu": {"shares": 1024, "quota": 25000, "period": 100000, "cpus": "0,9"}}"#,
        ));
        let get = |name: &str| list.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
        assert_eq!((get("MemoryMax"), get("MemorySwapMax")), (Some(Value::U64(100)), Some(Value::U64(50))));
        assert_eq!((get("TasksMax"), get("MemoryHigh")), (Some(Value::U64(u64::MAX)), Some(Value::U64(u64::MAX))));
        assert_eq!((get("CPUWeight"), get("CPUQuotaPerSecUSec")), (Some(Value::U64(100)), Some(Value::U64(250_000))));
        assert_eq!(get("AllowedCPUs"), Some(Value::Bytes(vec![1, 2])));
        let none = of_resources(&resources(r#"{"pids": {"limit": 0}}"#));
        assert_eq!(none, [("TasksMax".to_owned(), Value::U64(1))]);
        assert_eq!(of_resources(&resources("{}")), []);
    }
}
