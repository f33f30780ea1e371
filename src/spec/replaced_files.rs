//! Removes from the recorded `linux.resources.unified` what a change of fields replaces. Files refine fields, so the old
//! value of a file would apply instead when all limits are written again.

use serde_json::{Map, Value};

type Files = Map<String, Value>;

/// The files of `unified` that fields are written to.
const FILES: [(&str, &[&str]); 10] = [
    ("/memory/limit", &["memory.max"]),
    ("/memory/swap", &["memory.swap.max"]),
    ("/memory/reservation", &["memory.low"]),
    ("/cpu/shares", &["cpu.weight", "cpu.weight.nice"]),
    ("/cpu/burst", &["cpu.max.burst"]),
    ("/cpu/idle", &["cpu.idle"]),
    ("/cpu/cpus", &["cpuset.cpus"]),
    ("/cpu/mems", &["cpuset.mems"]),
    ("/pids/limit", &["pids.max"]),
    ("/unified/cpu.weight", &["cpu.weight.nice"]),
];

/// The files of weights of block devices. `blockIO` is written to one of them.
const IO_WEIGHTS: [&str; 2] = ["io.weight", "io.bfq.weight"];

/// The lists of throttles, and the field of io.max that each is written to.
const THROTTLES: [(&str, &str); 4] = [
    ("throttleReadBpsDevice", "rbps"),
    ("throttleWriteBpsDevice", "wbps"),
    ("throttleReadIOPSDevice", "riops"),
    ("throttleWriteIOPSDevice", "wiops"),
];

/// The limits of an RDMA device, and the field of rdma.max that each is written to.
const RDMA: [(&str, &str); 2] = [("hcaHandles", "hca_handle"), ("hcaObjects", "hca_object")];

/// Removes from the `unified` of `present` what `change` replaces.
pub(super) fn remove(present: &mut Value, change: &Value) {
    let given = |pointer: &str| {
        let none = |value: &Value| match value {
            // 0 is a value of these.
            Value::Number(number) if !["/cpu/idle", "/cpu/burst", "/pids/limit"].contains(&pointer) => {
                number.as_i64() == Some(0)
            }
            Value::String(text) => text.trim().is_empty(),
            other => other.is_null(),
        };
        change.pointer(pointer).is_some_and(|value| !none(value))
    };
    let Some(files) = present.get_mut("unified").and_then(Value::as_object_mut) else { return };
    for (_, names) in FILES.iter().filter(|(pointer, _)| given(pointer)) {
        names.iter().for_each(|name| drop(files.shift_remove(*name)));
    }
    block_io(files, &change["blockIO"]);
    for size in items(&change["hugepageLimits"]).filter_map(|limit| limit["pageSize"].as_str()) {
        files.shift_remove(&format!("hugetlb.{size}.max"));
        files.shift_remove(&format!("hugetlb.{size}.rsvd.max"));
    }
    for (device, limits) in change["rdma"].as_object().into_iter().flatten() {
        for (_, field) in RDMA.iter().filter(|(member, _)| limits[*member].is_number()) {
            remove_field(files, "rdma.max", device, field);
        }
    }
    if given("/cpu/quota") || given("/cpu/period") {
        bandwidth(present);
    }
}

/// Moves cpu.max to the fields, of which the change has one or both: the half that it does not have stays.
fn bandwidth(present: &mut Value) {
    let Some(text) = present["unified"].as_object_mut().and_then(|files| files.shift_remove("cpu.max")) else { return };
    let mut halves = text.as_str().unwrap_or_default().split_whitespace();
    let quota = halves.next().map(|quota| quota.parse().unwrap_or(-1));
    let period = halves.next().and_then(|period| period.parse().ok());
    if !present["cpu"].is_object() {
        present["cpu"] = Value::Object(Map::new());
    }
    for (name, value) in [("quota", quota), ("period", period)] {
        if let Some(value) = value {
            present["cpu"][name] = i64::into(value);
        }
    }
}

fn block_io(files: &mut Files, io: &Value) {
    let is_weight = |weight: &Value| weight.as_u64().is_some_and(|weight| weight != 0);
    let weighed = items(&io["weightDevice"]).filter(|device| is_weight(&device["weight"])).map(numbers);
    for key in is_weight(&io["weight"]).then(|| DEFAULT.to_owned()).into_iter().chain(weighed) {
        IO_WEIGHTS.iter().for_each(|file| rewrite(files, file, &key, |_| None));
    }
    for (list, field) in THROTTLES {
        items(&io[list]).for_each(|device| remove_field(files, "io.max", &numbers(device), field));
    }
}

fn items(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

/// Returns the key of a block device.
fn numbers(device: &Value) -> String {
    format!("{}:{}", device["major"], device["minor"])
}

/// Removes a field (`name=value`) of the line of a key, and the line if it has no other.
fn remove_field(files: &mut Files, file: &str, key: &str, name: &str) {
    rewrite(files, file, key, |line| {
        let is_other = |field: &&str| field.split('=').next() != Some(name);
        let others: Vec<&str> = line.split_whitespace().skip(1).filter(is_other).collect();
        (!others.is_empty()).then(|| format!("{key} {}", others.join(" ")))
    });
}

/// Replaces the lines of a key, or removes them, and the file with its last line.
fn rewrite(files: &mut Files, file: &str, key: &str, replace: impl Fn(&str) -> Option<String>) {
    let Some(text) = files.get(file).and_then(Value::as_str) else { return };
    if !text.lines().any(|line| key_of(line) == Some(key)) {
        return;
    }
    let replace = |line: &str| if key_of(line) == Some(key) { replace(line) } else { Some(line.to_owned()) };
    let lines: Vec<String> = text.lines().filter_map(replace).collect();
    if lines.iter().all(|line| line.trim().is_empty()) {
        files.shift_remove(file);
    } else {
        files.insert(file.to_owned(), lines.join("\n").into());
    }
}

/// The key of a line without one.
const DEFAULT: &str = "default";

fn key_of(line: &str) -> Option<&str> {
    let mut words = line.split_whitespace();
    let first = words.next()?;
    Some(if words.next().is_some() { first } else { DEFAULT })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Returns the `unified` that stays.
    fn rest(files: Value, change: &Value) -> Value {
        let mut present = json!({ "unified": files });
        remove(&mut present, change);
        present["unified"].take()
    }

    #[test]
    fn weights_of_block_devices_replace_lines() {
        let io = |text: &str| json!({ "io.weight": text, "io.bfq.weight": text });
        for (text, change, expected) in [
            ("default 50\n8:0 60", json!({ "weight": 100 }), io("8:0 60")),
            ("8:0 60\n50\n", json!({ "weight": 100 }), io("8:0 60")),
            ("50", json!({ "weight": 100 }), json!({})),
            ("50", json!({ "weight": 0 }), io("50")),
            (
                "50\n8:0 60\n8:16 70",
                json!({ "weightDevice": [{ "major": 8, "minor": 0, "weight": 9 }] }),
                io("50\n8:16 70"),
            ),
            ("8:0 60\n", json!({ "weightDevice": [{ "major": 8, "minor": 0, "weight": 9 }] }), json!({})),
            ("8:0 60\n", json!({ "weightDevice": [{ "major": 8, "minor": 0 }] }), io("8:0 60\n")),
            ("8:0 60\n", json!({ "weightDevice": [{ "major": 8, "minor": 1, "weight": 9 }] }), io("8:0 60\n")),
        ] {
            assert_eq!(rest(io(text), &json!({ "blockIO": change })), expected, "{text:?} {change}");
        }
    }

    #[test]
    fn throttles_replace_fields() {
        let device = json!([{ "major": 8, "minor": 0, "rate": 0 }]);
        for (list, expected) in [
            ("throttleReadBpsDevice", "8:0 wbps=2 riops=3 wiops=4\n8:16 rbps=1"),
            ("throttleWriteBpsDevice", "8:0 rbps=1 riops=3 wiops=4\n8:16 rbps=1"),
            ("throttleReadIOPSDevice", "8:0 rbps=1 wbps=2 wiops=4\n8:16 rbps=1"),
            ("throttleWriteIOPSDevice", "8:0 rbps=1 wbps=2 riops=3\n8:16 rbps=1"),
        ] {
            let files = json!({ "io.max": "8:0 rbps=1 wbps=2 riops=3 wiops=4\n8:16 rbps=1" });
            assert_eq!(rest(files, &json!({ "blockIO": { list: device } })), json!({ "io.max": expected }));
        }
        let change = json!({ "blockIO": { "throttleReadBpsDevice": device } });
        assert_eq!(rest(json!({ "io.max": "8:0 rbps=1\n8:16 rbps=1" }), &change), json!({ "io.max": "8:16 rbps=1" }));
        assert_eq!(rest(json!({ "io.max": "8:0 rbps=1\n" }), &change), json!({}));
    }

    #[test]
    fn huge_pages_and_rdma_devices_replace_their_own() {
        let files = json!({ "hugetlb.2MB.max": "1", "hugetlb.2MB.rsvd.max": "2", "hugetlb.1GB.max": "3" });
        let change = json!({ "hugepageLimits": [{ "pageSize": "2MB", "limit": 0 }] });
        assert_eq!(rest(files, &change), json!({ "hugetlb.1GB.max": "3" }));
        let files = json!({ "rdma.max": "a hca_handle=1 hca_object=2\nb hca_handle=3" });
        for (limits, expected) in [
            (json!({ "hcaHandles": 0 }), "a hca_object=2\nb hca_handle=3"),
            (json!({ "hcaHandles": 7, "hcaObjects": 7 }), "b hca_handle=3"),
            (json!({}), "a hca_handle=1 hca_object=2\nb hca_handle=3"),
        ] {
            assert_eq!(rest(files.clone(), &json!({ "rdma": { "a": limits } })), json!({ "rdma.max": expected }));
        }
    }
}
