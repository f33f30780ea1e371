//! `berth update`

use std::io::Read;
use std::path::PathBuf;

use clap::Args;
use serde_json::{Map, Value, json};

use crate::args::Global;
use crate::failure::Failure;
use crate::{Outcome, host};

#[derive(Args)]
#[command(allow_negative_numbers = true)]
pub struct Update {
    /// Path of a file with an OCI "linux.resources" object, "-" for standard input; other options override it
    #[arg(short, long, value_name = "FILE", allow_hyphen_values = true)]
    resources: Option<PathBuf>,
    /// Set the block I/O weight, 10 to 1000
    #[arg(long, value_name = "WEIGHT")]
    blkio_weight: Option<u16>,
    /// Set the CPU CFS period, in microseconds
    #[arg(long, value_name = "US")]
    cpu_period: Option<u64>,
    /// Set the CPU CFS quota per period, in microseconds; -1 for no limit
    #[arg(long, value_name = "US", allow_hyphen_values = true)]
    cpu_quota: Option<i64>,
    /// Set the CPU CFS burst, in microseconds
    #[arg(long, value_name = "US")]
    cpu_burst: Option<u64>,
    /// Set the CPU shares (relative weight)
    #[arg(long, value_name = "SHARES")]
    cpu_share: Option<u64>,
    /// Set the CPU real-time period, in microseconds
    #[arg(long, value_name = "US")]
    cpu_rt_period: Option<u64>,
    /// Set the CPU real-time runtime per period, in microseconds
    #[arg(long, value_name = "US", allow_hyphen_values = true)]
    cpu_rt_runtime: Option<i64>,
    /// Set the CPUs to use, like 0-3,7
    #[arg(long, value_name = "LIST")]
    cpuset_cpus: Option<String>,
    /// Set the memory nodes to use
    #[arg(long, value_name = "LIST")]
    cpuset_mems: Option<String>,
    /// Set cgroup SCHED_IDLE: 1 to enable, 0 to disable
    #[arg(long, value_name = "0|1")]
    cpu_idle: Option<i64>,
    /// Set the memory limit, in bytes or like 512M; -1 for no limit
    #[arg(long, value_name = "SIZE", allow_hyphen_values = true)]
    memory: Option<String>,
    /// Set the memory reservation (soft limit)
    #[arg(long, value_name = "SIZE", allow_hyphen_values = true)]
    memory_reservation: Option<String>,
    /// Set the limit of memory plus swap; -1 for no limit
    #[arg(long, value_name = "SIZE", allow_hyphen_values = true)]
    memory_swap: Option<String>,
    /// Accepted for compatibility with runc; has no effect
    #[arg(long, value_name = "SIZE", allow_hyphen_values = true, hide = true)]
    kernel_memory: Option<String>,
    /// Accepted for compatibility with runc; has no effect
    #[arg(long, value_name = "SIZE", allow_hyphen_values = true, hide = true)]
    kernel_memory_tcp: Option<String>,
    /// Set the maximum number of processes and threads; -1 for no limit
    #[arg(long, value_name = "NUMBER", allow_hyphen_values = true)]
    pids_limit: Option<i64>,
    /// Set the Intel RDT L3 cache schema, like L3:0=ff;1=ff
    #[arg(long, value_name = "SCHEMA")]
    l3_cache_schema: Option<String>,
    /// Set the Intel RDT memory bandwidth schema, like MB:0=50
    #[arg(long, value_name = "SCHEMA")]
    mem_bw_schema: Option<String>,
    /// Container id
    #[arg(value_name = "ID")]
    id: String,
}

impl Update {
    pub fn run(self, global: &Global) -> Outcome {
        let container = host::container(global, &self.id)?;
        if self.kernel_memory.is_some() || self.kernel_memory_tcp.is_some() {
            log::warn!("Kernel memory settings are ignored and will be removed");
        }
        let resources = self.change()?;
        container.set(&resources.to_string())?;
        Ok(0)
    }

    /// Whether all limits are in the arguments.
    #[cfg(any(test, fuzzing))]
    pub fn is_without_file(&self) -> bool {
        self.resources.is_none()
    }

    pub fn change(&self) -> Result<Value, Failure> {
        let mut change = match &self.resources {
            Some(file) => read(file)?,
            None => json!({}),
        };
        let values = [
            ("/blockIO/weight", self.blkio_weight.map(Value::from)),
            ("/cpu/period", self.cpu_period.map(Value::from)),
            ("/cpu/quota", self.cpu_quota.map(Value::from)),
            ("/cpu/burst", self.cpu_burst.map(Value::from)),
            ("/cpu/shares", self.cpu_share.map(Value::from)),
            ("/cpu/realtimePeriod", self.cpu_rt_period.map(Value::from)),
            ("/cpu/realtimeRuntime", self.cpu_rt_runtime.map(Value::from)),
            ("/cpu/cpus", self.cpuset_cpus.clone().map(Value::from)),
            ("/cpu/mems", self.cpuset_mems.clone().map(Value::from)),
            ("/cpu/idle", self.cpu_idle.map(Value::from)),
            ("/pids/limit", self.pids_limit.map(Value::from)),
            ("/intelRdt/l3CacheSchema", self.l3_cache_schema.clone().map(Value::from)),
            ("/intelRdt/memBwSchema", self.mem_bw_schema.clone().map(Value::from)),
        ];
        let sizes = [
            ("/memory/limit", "memory", &self.memory),
            ("/memory/reservation", "memory-reservation", &self.memory_reservation),
            ("/memory/swap", "memory-swap", &self.memory_swap),
        ];
        for (place, value) in values {
            put(&mut change, place, value);
        }
        for (place, option, text) in sizes {
            let size = text.as_deref().map(|text| size(option, text)).transpose()?;
            put(&mut change, place, size.map(Value::from));
        }
        forget_unchanged(&mut change);
        Ok(change)
    }
}

fn read(file: &PathBuf) -> Result<Value, Failure> {
    let mut text = String::new();
    let read = if file.as_os_str() == "-" {
        std::io::stdin().read_to_string(&mut text)
    } else {
        std::fs::File::open(file).and_then(|mut file| file.read_to_string(&mut text))
    };
    read.map_err(|error| Failure::io(&error, format!("reading {}", file.display())))?;
    let value: Value = serde_json::from_str(&text)
        .map_err(|error| Failure::new(format!("{} is not valid JSON: {error}", file.display())))?;
    if value.is_object() { Ok(value) } else { Err(Failure::new(format!("{} is not a JSON object", file.display()))) }
}

/// Sets "/group/member" if there is a value.
fn put(change: &mut Value, place: &str, value: Option<Value>) {
    let Some(value) = value else { return };
    let (group, member) = place[1..].split_once('/').unwrap_or((&place[1..], ""));
    if change[group].is_null() {
        change[group] = Value::Object(Map::new());
    }
    change[group][member] = value;
}

/// In runc's format a zero, or an empty list of CPUs, changes nothing. A pids limit of zero is a limit (OCI
/// runtime specification 1.3).
fn forget_unchanged(change: &mut Value) {
    const MEMBERS: [(&str, &[&str]); 3] = [
        ("memory", &["limit", "reservation", "swap", "kernel", "kernelTCP"]),
        ("cpu", &["shares", "quota", "period", "realtimeRuntime", "realtimePeriod", "cpus", "mems"]),
        ("blockIO", &["weight"]),
    ];
    for (group, members) in MEMBERS {
        let Some(values) = change.get_mut(group).and_then(Value::as_object_mut) else { continue };
        values.retain(|name, value| !members.contains(&name.as_str()) || (*value != 0 && *value != ""));
        if values.is_empty()
            && let Some(change) = change.as_object_mut()
        {
            change.shift_remove(group);
        }
    }
}

/// Parses bytes with an optional unit of 1024, 1024² and so on: "512M", "1.5g", "64kb", "64KiB".
fn size(option: &str, text: &str) -> Result<i64, Failure> {
    let wrong = || {
        Failure::new(format!("invalid value for {option}: invalid size: '{text}'"))
            .remedy("a size is a number of bytes, or one with k, M, G or T, or -1 for no limit")
    };
    if text == "-1" {
        return Ok(-1);
    }
    let digits = text.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit = unit.trim().to_ascii_lowercase();
    let power = match unit.trim_end_matches('b').trim_end_matches('i') {
        "" if unit.is_empty() || unit == "b" => 0,
        "k" => 1,
        "m" => 2,
        "g" => 3,
        "t" => 4,
        "p" => 5,
        _ => return Err(wrong()),
    };
    let factor = 1024f64.powi(power);
    match number.parse::<i64>() {
        Ok(whole) => whole.checked_mul(factor as i64).ok_or_else(wrong),
        Err(_) => {
            let bytes = number.parse::<f64>().map_err(|_| wrong())? * factor;
            if bytes < i64::MAX as f64 { Ok(bytes as i64) } else { Err(wrong()) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_bytes_or_have_a_unit() {
        let good = [
            ("0", 0),
            ("1024", 1024),
            ("1k", 1024),
            ("2KB", 2048),
            ("3KiB", 3072),
            ("1.5m", 3 << 19),
            ("2G", 2 << 30),
            ("7b", 7),
        ];
        for (text, bytes) in good {
            assert_eq!(size("memory", text).unwrap(), bytes, "{text}");
        }
        assert_eq!(size("memory", "-1").unwrap(), -1);
        for text in ["", "x", "-2", "1x", "1kk", "m", "1ib", "9999999999999999P", "1.2.3"] {
            assert!(size("memory", text).is_err(), "{text}");
        }
    }

    #[test]
    fn values_that_change_nothing_in_runc_are_removed() {
        let mut change = json!({ "memory": { "limit": 0, "checkBeforeUpdate": true }, "cpu": { "cpus": "", "idle": 0 }, "blockIO": { "weight": 0 },
            "pids": { "limit": 0 } });
        forget_unchanged(&mut change);
        assert_eq!(
            change,
            json!({ "memory": { "checkBeforeUpdate": true }, "cpu": { "idle": 0 }, "pids": { "limit": 0 } })
        );
    }
}
