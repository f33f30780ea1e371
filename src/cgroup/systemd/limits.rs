//! The limits of a container as properties of its scope. A limit that systemd does not know is overwritten as soon as
//! systemd writes the scope anew: after a reload, when a neighbour starts.

use std::collections::BTreeMap;

use oci_spec::runtime::{LinuxBlockIo, LinuxCpu, LinuxMemory, LinuxResources};

use super::message::{Properties, Value};
use crate::cgroup::v1::block_io::{given, throttles};
use crate::cgroup::v2;

/// What the properties depend on.
#[derive(Clone, Copy, Debug)]
pub struct Host {
    /// systemd's version. An older one refuses properties that it does not know.
    pub version: u32,
    /// Whether the BFQ scheduler has a file of its own, which systemd writes by the same property.
    pub bfq: bool,
}

/// The value of "no limit", and of a weight that is not set.
pub const UNLIMITED: u64 = u64::MAX;
/// The `CPUWeight` that means cpu.idle.
const IDLE: u64 = 0;
const DEFAULT_PERIOD: u64 = 100_000;

/// The first version of systemd that has a property, of those that came after version 239.
const SINCE: [(&str, u32); 9] = [
    ("AllowedCPUs", 244),
    ("AllowedMemoryNodes", 244),
    ("CPUQuotaPeriodUSec", 242),
    ("IODeviceLatencyTargetUSec", 240),
    ("MemoryMin", 240),
    ("MemoryZSwapMax", 253),
    ("MemoryZSwapWriteback", 256),
    ("OOMPolicy", 253),
    // In place of CPUWeight.
    ("CPUWeight=idle", 252),
];

/// The files whose writes are actions (thawing, reclaiming, resetting a peak) and no limits.
const ACTIONS: [&str; 4] = ["cgroup.freeze", "memory.peak", "memory.reclaim", "memory.swap.peak"];

/// Returns the number in systemd's version, as distributions write it: "252.39-1~deb12u1", "v245.4-1.fc32".
pub fn version(text: &str) -> Option<u32> {
    let text = text.strip_prefix('v').unwrap_or(text);
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text[..end].parse().ok()
}

/// Returns what may be written again: limits without actions and without checks.
pub fn lasting(resources: &LinuxResources) -> LinuxResources {
    let mut resources = resources.clone();
    if let Some(memory) = resources.memory_mut() {
        memory.set_check_before_update(None);
    }
    if let Some(files) = resources.unified_mut() {
        files.retain(|name, _| !ACTIONS.contains(&name.as_str()));
    }
    resources
}

/// Returns the limits that systemd has properties for. `unified` refines the other fields, as in the files.
pub fn of_resources(resources: &LinuxResources, host: Host) -> Properties {
    let mut limits = Limits::new(host);
    if let Some(memory) = resources.memory() {
        limits.memory(memory);
    }
    if let Some(cpu) = resources.cpu() {
        limits.cpu(cpu);
    }
    if let Some(pids) = resources.pids() {
        limits.tasks(u64::try_from(pids.limit()).unwrap_or(UNLIMITED));
    }
    if let Some(io) = resources.block_io() {
        limits.block_io(io);
    }
    for (file, text) in resources.unified().iter().flatten().collect::<BTreeMap<_, _>>() {
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
            // What is no value of the file is refused by the kernel, which gets it, too.
            limits.unified(file, line);
        }
    }
    limits.finish()
}

/// Whether the newest systemd has a property for any of the limits.
pub fn has_properties(resources: &LinuxResources) -> bool {
    !of_resources(resources, Host { version: u32::MAX, bfq: false }).is_empty()
}

/// Returns the property that can be set only when the scope starts: whether an OOM kill is one of all processes.
pub fn at_start_only(resources: &LinuxResources, host: Host) -> Option<(String, Value)> {
    let group = resources.unified().as_ref()?.get("memory.oom.group")?;
    let policy = match group.trim() {
        "0" => "continue",
        "1" => "kill",
        _ => return None,
    };
    host.has("OOMPolicy").then(|| ("OOMPolicy".to_owned(), Value::Text(policy.to_owned())))
}

/// Whether the limits leave the container only the time that nobody else wants (cpu.idle).
pub fn is_idle(resources: &LinuxResources) -> bool {
    let typed = resources.cpu().as_ref().and_then(LinuxCpu::idle).map(|idle| idle != 0);
    let unified = resources.unified().as_ref().and_then(|files| files.get("cpu.idle")).map(|text| text.trim() != "0");
    unified.or(typed).unwrap_or(false)
}

/// Returns the "no limit" value of each property in `changed`, for properties that had no value before.
pub fn defaults(changed: &Properties) -> Properties {
    let default = |name: &str, value: &Value| match (name, value) {
        (_, Value::Devices(_)) => Value::Devices(Vec::new()),
        (_, Value::Bytes(_)) => Value::Bytes(Vec::new()),
        (_, Value::Bool(_)) => Value::Bool(true),
        ("MemoryLow" | "MemoryMin", _) => Value::U64(0),
        ("CPUQuotaPeriodUSec", _) => Value::U64(DEFAULT_PERIOD),
        _ => Value::U64(UNLIMITED),
    };
    changed.iter().map(|(name, value)| (name.clone(), default(name, value))).collect()
}

impl Host {
    fn has(self, property: &str) -> bool {
        SINCE.iter().all(|(name, version)| *name != property || self.version >= *version)
    }
}

struct Limits {
    host: Host,
    values: BTreeMap<&'static str, Value>,
    devices: BTreeMap<&'static str, BTreeMap<String, u64>>,
    quota: Option<u64>,
    period: Option<u64>,
    weight: Option<u64>,
    idle: Option<bool>,
}

impl Limits {
    fn new(host: Host) -> Limits {
        Limits {
            host,
            values: BTreeMap::new(),
            devices: BTreeMap::new(),
            quota: None,
            period: None,
            weight: None,
            idle: None,
        }
    }

    fn set(&mut self, property: &'static str, value: u64) {
        self.values.insert(property, Value::U64(value));
    }

    fn device(&mut self, property: &'static str, key: &str, value: u64) {
        // udev's link, since systemd takes paths only.
        self.devices.entry(property).or_default().insert(format!("/dev/block/{key}"), value);
    }

    fn tasks(&mut self, limit: u64) {
        // systemd does not accept 0. With 1 no process can run beside init either.
        self.set("TasksMax", limit.max(1));
    }

    fn memory(&mut self, memory: &LinuxMemory) {
        let given = |value: Option<i64>| value.filter(|value| *value != 0);
        let limit = |value: i64| u64::try_from(value).unwrap_or(UNLIMITED);
        if let Some(value) = given(memory.limit()) {
            self.set("MemoryMax", limit(value));
        }
        match (given(memory.limit()), given(memory.swap())) {
            (Some(-1), None) | (_, Some(-1)) => self.set("MemorySwapMax", UNLIMITED),
            // OCI's `swap` is memory plus swap.
            (Some(memory), Some(swap)) => self.set("MemorySwapMax", limit((swap - memory).max(0))),
            _ => {}
        }
        if let Some(value) = given(memory.reservation()) {
            self.set("MemoryLow", limit(value));
        }
    }

    fn cpu(&mut self, cpu: &LinuxCpu) {
        self.weight = cpu.shares().filter(|shares| *shares != 0).map(v2::cpu::weight);
        self.idle = cpu.idle().map(|idle| idle != 0);
        self.period = cpu.period().filter(|period| *period != 0);
        self.quota = cpu.quota().filter(|quota| *quota != 0).map(|quota| u64::try_from(quota).unwrap_or(UNLIMITED));
        self.mask("AllowedCPUs", cpu.cpus().as_deref().unwrap_or_default());
        self.mask("AllowedMemoryNodes", cpu.mems().as_deref().unwrap_or_default());
    }

    /// Sets a list such as "0-2,9" as a bit mask.
    fn mask(&mut self, property: &'static str, text: &str) {
        let mut bytes = Vec::new();
        for number in crate::stats::report::list(text) {
            let at = usize::from(number / 8);
            if bytes.len() <= at {
                bytes.resize(at + 1, 0);
            }
            bytes[at] |= 1u8 << (number % 8);
        }
        if !bytes.is_empty() {
            self.values.insert(property, Value::Bytes(bytes));
        }
    }

    fn block_io(&mut self, io: &LinuxBlockIo) {
        let bfq = self.host.bfq;
        let weight = |weight: u16| if bfq { from_bfq(weight.into()) } else { v2::block_io::io_weight(weight) };
        if let Some(value) = given(io.weight()) {
            self.set("IOWeight", weight(value));
        }
        for device in io.weight_device().iter().flatten() {
            if let Some(value) = given(device.weight()) {
                self.device("IODeviceWeight", &format!("{}:{}", device.major(), device.minor()), weight(value));
            }
        }
        for (_, name, _, list) in throttles(io) {
            for device in list.iter().flatten() {
                let rate = if device.rate() == 0 { UNLIMITED } else { device.rate() };
                self.throttle(&format!("{}:{}", device.major(), device.minor()), name, rate);
            }
        }
    }

    fn throttle(&mut self, key: &str, name: &str, rate: u64) {
        match name {
            "rbps" => self.device("IOReadBandwidthMax", key, rate),
            "wbps" => self.device("IOWriteBandwidthMax", key, rate),
            "riops" => self.device("IOReadIOPSMax", key, rate),
            "wiops" => self.device("IOWriteIOPSMax", key, rate),
            _ => {}
        }
    }

    /// Takes a line of a file of `unified`; `None` if it has no property or is no value.
    fn unified(&mut self, file: &str, line: &str) -> Option<()> {
        match file {
            "cpu.idle" => self.idle = Some(flag(line)?),
            "cpu.max" => {
                let mut fields = line.split_whitespace();
                let quota = number(fields.next()?)?;
                if let Some(period) = fields.next() {
                    self.period = Some(period.parse().ok()?);
                }
                self.quota = Some(quota);
            }
            "cpu.weight" => self.weight = Some(line.parse().ok().filter(is_weight)?),
            "cpu.weight.nice" => self.weight = Some(weight_of_nice(line.parse().ok()?)?),
            "cpuset.cpus" => self.mask("AllowedCPUs", line),
            "cpuset.mems" => self.mask("AllowedMemoryNodes", line),
            "io.bfq.weight" => self.io_weight(line, from_bfq)?,
            "io.latency" => {
                let (key, fields) = line.split_once(' ')?;
                let target = fields.split_whitespace().find_map(|field| field.strip_prefix("target="))?;
                self.device("IODeviceLatencyTargetUSec", key, number(target)?);
            }
            "io.max" => {
                let (key, fields) = line.split_once(' ')?;
                for (name, rate) in fields.split_whitespace().filter_map(|field| field.split_once('=')) {
                    self.throttle(key, name, number(rate)?);
                }
            }
            "io.weight" => self.io_weight(line, |weight| weight)?,
            // systemd does not accept 0 for these two. The kernel rounds 1 down to whole pages.
            "memory.high" => self.set("MemoryHigh", bytes(line)?.max(1)),
            "memory.low" => self.set("MemoryLow", bytes(line)?),
            "memory.max" => self.set("MemoryMax", bytes(line)?.max(1)),
            "memory.min" => self.set("MemoryMin", bytes(line)?),
            "memory.swap.max" => self.set("MemorySwapMax", bytes(line)?),
            "memory.zswap.max" => self.set("MemoryZSwapMax", bytes(line)?),
            "memory.zswap.writeback" => {
                self.values.insert("MemoryZSwapWriteback", Value::Bool(flag(line)?));
            }
            "pids.max" => self.tasks(number(line)?),
            _ => return None,
        }
        Some(())
    }

    fn io_weight(&mut self, line: &str, convert: impl Fn(u64) -> u64) -> Option<()> {
        let (key, weight) = line.split_once(' ').unwrap_or(("default", line));
        let weight = weight.trim();
        let weight = if weight == "default" { 100 } else { convert(weight.parse().ok()?) };
        let weight = Some(weight).filter(is_weight)?;
        match key {
            "default" => self.set("IOWeight", weight),
            key => self.device("IODeviceWeight", key, weight),
        }
        Some(())
    }

    fn finish(mut self) -> Properties {
        match (self.idle, self.weight) {
            (Some(true), _) if self.host.has("CPUWeight=idle") => self.set("CPUWeight", IDLE),
            (Some(true), _) => {}
            (_, Some(weight)) => self.set("CPUWeight", weight),
            (Some(false), None) => self.set("CPUWeight", UNLIMITED),
            (None, None) => {}
        }
        if let Some(period) = self.period {
            self.set("CPUQuotaPeriodUSec", period);
        }
        match self.quota {
            Some(UNLIMITED) => self.set("CPUQuotaPerSecUSec", UNLIMITED),
            Some(quota) => {
                let period = self.period.unwrap_or(DEFAULT_PERIOD).max(1);
                // systemd keeps whole percents only, so round up.
                let each_second = (quota.saturating_mul(1_000_000) / period).checked_next_multiple_of(10_000);
                self.set("CPUQuotaPerSecUSec", each_second.unwrap_or(UNLIMITED));
            }
            None => {}
        }
        for (property, devices) in self.devices {
            self.values.insert(property, Value::Devices(devices.into_iter().collect()));
        }
        let known = self.values.into_iter().filter(|(name, _)| self.host.has(name));
        known.map(|(name, value)| (name.to_owned(), value)).collect()
    }
}

fn number(text: &str) -> Option<u64> {
    if text == "max" { Some(UNLIMITED) } else { text.parse().ok() }
}

fn flag(text: &str) -> Option<bool> {
    match text {
        "0" => Some(false),
        "1" => Some(true),
        _ => None,
    }
}

/// Parses a size as the kernel does, with a unit.
fn bytes(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let shift = match text.get(digits.len()..)?.to_ascii_uppercase().as_str() {
        _ if text == "max" => return Some(UNLIMITED),
        "" => 0,
        "K" => 10,
        "M" => 20,
        "G" => 30,
        "T" => 40,
        "P" => 50,
        "E" => 60,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(1 << shift)
}

fn is_weight(weight: &u64) -> bool {
    (1..=10_000).contains(weight)
}

/// Converts a weight of BFQ (1 to 1000, default 100) to the one for which systemd writes it (1 to 10000, default 100).
fn from_bfq(weight: u64) -> u64 {
    match weight {
        0..=100 => weight,
        _ => 100 + (weight.min(1000) - 100) * 9900 / 900,
    }
}

/// Converts a nice value to a weight as the kernel does, which has rounded values: each step is a quarter.
fn weight_of_nice(nice: i32) -> Option<u64> {
    let weight = 100.0 * 1.25f64.powi(-nice);
    (-20..20).contains(&nice).then_some(weight.round() as u64)
}

#[cfg(test)]
#[path = "limits_tests.rs"]
mod tests;
