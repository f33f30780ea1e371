//! Properties of scopes: those that all are started with, and those of annotations.

use oci_spec::runtime::LinuxResources;

use super::limits::{self, Host};
use super::message::{Properties, Value};
use super::unit::Unit;
use crate::error::{Error, Result};

/// The prefix of annotations that give a property.
pub const ANNOTATION: &str = "org.systemd.property.";

/// Returns the checked systemd properties in a container's annotations.
pub fn annotated<'a>(annotations: impl Iterator<Item = (&'a String, &'a String)>) -> Result<Vec<(String, String)>> {
    let mut found = Vec::new();
    for (key, value) in annotations {
        if let Some(name) = key.strip_prefix(ANNOTATION) {
            setting(name, value)?;
            found.push((name.to_owned(), value.clone()));
        }
    }
    found.sort();
    Ok(found)
}

/// Returns the properties that a scope is started with, for the process `pid`.
pub(super) fn at_start(unit: &Unit, pid: i32, resources: &LinuxResources, host: Host) -> Result<Properties> {
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
    // The container's limits apply, whatever the annotations say.
    let limits = limits::of_resources(resources, host).into_iter().chain(limits::at_start_only(resources, host));
    for (name, value) in settings(unit)?.into_iter().chain(limits) {
        list.retain(|(present, _)| *present != name);
        list.push((name, value));
    }
    Ok(list)
}

/// Returns the properties that take back the limits of `change`: those of the limits `before`, else those of
/// annotations, else those of no limit.
pub(super) fn reverting(
    unit: &Unit,
    change: &LinuxResources,
    before: &LinuxResources,
    host: Host,
) -> Result<Properties> {
    let has = |list: &Properties, name: &str| list.iter().any(|(present, _)| present == name);
    let known = limits::of_resources(before, host);
    let mut list = limits::defaults(&limits::of_resources(change, host));
    let mut annotated = settings(unit)?;
    // TasksMaxScale sets the same limit as TasksMax.
    let limited = |name: &str| name.strip_suffix("Scale").unwrap_or(name).to_owned();
    annotated.retain(|(name, _)| has(&list, &limited(name)) && !has(&known, &limited(name)));
    // systemd adds a list of devices to the one that it has, which only an empty list removes.
    let is_needed = |name: &str| !has(&known, name) && !annotated.iter().any(|(given, _)| limited(given) == name);
    list.retain(|(name, value)| matches!(value, Value::Devices(_)) || is_needed(name));
    list.extend(annotated);
    list.extend(known);
    Ok(list)
}

/// Returns the properties of a unit's annotations.
fn settings(unit: &Unit) -> Result<Properties> {
    unit.properties.iter().map(|(name, text)| setting(name, text)).collect()
}

/// Returns the property of an annotation. As in runc and crun, one in seconds stands for the property in microseconds:
/// D-Bus has only the latter.
pub fn setting(name: &str, text: &str) -> Result<(String, Value)> {
    let value = parse(name, text)?;
    let Some(stem) = name.strip_suffix("Sec").filter(|stem| stem.ends_with(|c: char| c.is_ascii_lowercase())) else {
        return Ok((name.to_owned(), value));
    };
    let value = match value {
        Value::I32(number) => u64::try_from(number).ok(),
        Value::I64(number) => u64::try_from(number).ok(),
        Value::U32(number) => Some(number.into()),
        Value::U64(number) => Some(number),
        _ => None,
    };
    let microseconds = value.map(|number| number.saturating_mul(1_000_000)).map(Value::U64);
    let path = format!("annotations[\"{ANNOTATION}{name}\"]");
    let refuse = || Error::config(&path, format!("{text:?} is not a time in seconds; expected one like uint64 5"));
    Ok((format!("{stem}USec"), microseconds.ok_or_else(refuse)?))
}

/// Parses a value in GVariant text format: true, 'text', 12, uint64 12, ['a', 'b'].
fn parse(name: &str, text: &str) -> Result<Value> {
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

#[cfg(test)]
mod tests {
    use super::*;

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
    fn seconds_become_microseconds() {
        let get = |name: &str, text: &str| setting(name, text).unwrap();
        assert_eq!(get("TimeoutStopSec", "uint64 5"), ("TimeoutStopUSec".to_owned(), Value::U64(5_000_000)));
        assert_eq!(get("TimeoutStopSec", "5"), ("TimeoutStopUSec".to_owned(), Value::U64(5_000_000)));
        assert_eq!(get("TimeoutStopUSec", "uint64 5"), ("TimeoutStopUSec".to_owned(), Value::U64(5)));
        assert!(setting("TimeoutStopSec", "'5s'").is_err() && setting("TimeoutStopSec", "-1").is_err());
    }

    #[test]
    fn limits_apply_whatever_annotations_say() {
        let properties = vec![("TasksMax".to_owned(), "uint64 5".to_owned())];
        let unit = Unit { name: "x.scope".into(), slice: "y.slice".into(), properties };
        let resources: LinuxResources = serde_json::from_str(r#"{"pids": {"limit": 7}}"#).unwrap();
        let list = at_start(&unit, 7, &resources, Host { version: 257, bfq: false }).unwrap();
        let found: Vec<_> = list.iter().filter(|(name, _)| name == "TasksMax").map(|(_, value)| value).collect();
        assert_eq!(found, [&Value::U64(7)]);
    }

    #[test]
    fn a_change_is_taken_back_to_limits_annotations_or_no_limit() {
        let reverting = |annotations: &[(&str, &str)], change: &str, before: &str| {
            let properties = annotations.iter().map(|(name, text)| ((*name).into(), (*text).into())).collect();
            let unit = Unit { name: "x.scope".into(), slice: "y.slice".into(), properties };
            let parse = |text: &str| serde_json::from_str::<LinuxResources>(text).unwrap();
            reverting(&unit, &parse(change), &parse(before), Host { version: 257, bfq: false }).unwrap()
        };
        let tasks = |name: &str, value| vec![(name.to_owned(), value)];
        let annotation = [("TasksMax", "uint64 5"), ("MemoryHigh", "uint64 9")];
        let scale = [("TasksMaxScale", "uint32 9")];
        let (seven, eight) = (r#"{"pids": {"limit": 7}}"#, r#"{"pids": {"limit": 8}}"#);
        assert_eq!(reverting(&[], seven, "{}"), tasks("TasksMax", Value::U64(limits::UNLIMITED)));
        assert_eq!(reverting(&annotation, seven, "{}"), tasks("TasksMax", Value::U64(5)));
        assert_eq!(reverting(&scale, seven, "{}"), tasks("TasksMaxScale", Value::U32(9)));
        for annotations in [&[][..], &annotation, &scale] {
            assert_eq!(reverting(annotations, seven, eight), tasks("TasksMax", Value::U64(8)));
        }
        // A device that only the change has is removed.
        let (one, other) = (r#"{"unified": {"io.max": "8:0 rbps=5"}}"#, r#"{"unified": {"io.max": "8:16 rbps=6"}}"#);
        let devices = |list: &[(&str, u64)]| {
            let list = list.iter().map(|(path, rate)| ((*path).to_owned(), *rate)).collect();
            ("IOReadBandwidthMax".to_owned(), Value::Devices(list))
        };
        assert_eq!(reverting(&[], one, other), [devices(&[]), devices(&[("/dev/block/8:16", 6)])]);
        assert_eq!(reverting(&[], one, "{}"), [devices(&[])]);
        assert_eq!(reverting(&[], seven, other)[1..], [devices(&[("/dev/block/8:16", 6)])]);
    }
}
