//! The complete statistics in the format of runc's `events --stats` ("data"): the same names, and the same members
//! omitted when they are zero, so that programs that read runc's output read this.

use std::collections::BTreeMap;

use serde::Serialize;

use super::intel_rdt::IntelRdt;

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Report {
    pub cpu: Cpu,
    pub cpuset: Cpuset,
    pub memory: Memory,
    pub pids: Pids,
    pub blkio: BlockIo,
    pub hugetlb: BTreeMap<String, Hugetlb>,
    /// Empty without `linux.intelRdt`; always present in runc's output.
    pub intel_rdt: IntelRdt,
    pub network_interfaces: Vec<Interface>,
    /// Not in runc's output: usage and limits by device.
    #[serde(skip_serializing_if = "Rdma::is_empty")]
    pub rdma: Rdma,
}

fn zero(number: &u64) -> bool {
    *number == 0
}

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Cpu {
    pub usage: CpuUsage,
    pub throttling: Throttling,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub psi: Option<Pressure>,
}

/// In nanoseconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct CpuUsage {
    #[serde(skip_serializing_if = "zero")]
    pub total: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub percpu: Vec<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub percpu_kernel: Vec<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub percpu_user: Vec<u64>,
    pub kernel: u64,
    pub user: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Throttling {
    #[serde(skip_serializing_if = "zero")]
    pub periods: u64,
    #[serde(skip_serializing_if = "zero")]
    pub throttled_periods: u64,
    #[serde(skip_serializing_if = "zero")]
    pub throttled_time: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Pressure {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub some: Option<Stall>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub full: Option<Stall>,
}

/// Averages in percent, the total in microseconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Stall {
    pub avg10: f64,
    pub avg60: f64,
    pub avg300: f64,
    pub total: u64,
}

impl Pressure {
    pub fn parse(text: &str) -> Option<Pressure> {
        let stall = |kind: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(kind))?;
            let value = |key: &str| line.split_whitespace().find_map(|word| word.strip_prefix(key)?.strip_prefix('='));
            let average = |key: &str| value(key).and_then(|text| text.parse().ok()).unwrap_or_default();
            let total = value("total").and_then(|text| text.parse().ok()).unwrap_or_default();
            Some(Stall { avg10: average("avg10"), avg60: average("avg60"), avg300: average("avg300"), total })
        };
        let found = Pressure { some: stall("some "), full: stall("full ") };
        (found.some.is_some() || found.full.is_some()).then_some(found)
    }
}

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Cpuset {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cpus: Vec<u16>,
    pub cpu_exclusive: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mems: Vec<u16>,
    pub mem_hardwall: u64,
    pub mem_exclusive: u64,
    pub memory_migrate: u64,
    pub memory_spread_page: u64,
    pub memory_spread_slab: u64,
    pub memory_pressure: u64,
    pub sched_load_balance: u64,
    pub sched_relax_domain_level: i64,
}

/// Parses a list like "0-2,5".
pub fn list(text: &str) -> Vec<u16> {
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some(first.trim().parse::<u16>().ok()?..=last.trim().parse::<u16>().ok()?)
    };
    // No more than there are numbers.
    text.split(',').filter_map(range).flatten().take(1 << 16).collect()
}

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Memory {
    #[serde(skip_serializing_if = "zero")]
    pub cache: u64,
    pub usage: MemoryEntry,
    /// Memory plus swap, on v2 too.
    pub swap: MemoryEntry,
    pub kernel: MemoryEntry,
    #[serde(rename = "kernelTCP")]
    pub kernel_tcp: MemoryEntry,
    /// All of `memory.stat`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub raw: BTreeMap<String, u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub psi: Option<Pressure>,
    pub event_count: MemoryEvents,
}

/// "No limit" is 2^64 - 1 on v2, and the kernel's own large number on v1.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct MemoryEntry {
    pub limit: u64,
    #[serde(skip_serializing_if = "zero")]
    pub usage: u64,
    #[serde(skip_serializing_if = "zero")]
    pub max: u64,
    pub failcnt: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct MemoryEvents {
    #[serde(skip_serializing_if = "zero")]
    pub low: u64,
    #[serde(skip_serializing_if = "zero")]
    pub high: u64,
    #[serde(skip_serializing_if = "zero")]
    pub max: u64,
    #[serde(skip_serializing_if = "zero")]
    pub oom: u64,
    #[serde(skip_serializing_if = "zero")]
    pub oom_kill: u64,
    #[serde(skip_serializing_if = "zero")]
    pub oom_group_kill: u64,
}

/// A limit of 0 means none.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Pids {
    #[serde(skip_serializing_if = "zero")]
    pub current: u64,
    #[serde(skip_serializing_if = "zero")]
    pub limit: u64,
}

type Entries = Vec<BlockIoEntry>;

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BlockIo {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub io_service_bytes_recursive: Entries,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub io_serviced_recursive: Entries,
    #[serde(rename = "ioQueueRecursive", skip_serializing_if = "Vec::is_empty")]
    pub io_queued_recursive: Entries,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub io_service_time_recursive: Entries,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub io_wait_time_recursive: Entries,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub io_merged_recursive: Entries,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub io_time_recursive: Entries,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sectors_recursive: Entries,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub psi: Option<Pressure>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct BlockIoEntry {
    #[serde(skip_serializing_if = "zero")]
    pub major: u64,
    #[serde(skip_serializing_if = "zero")]
    pub minor: u64,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub op: String,
    #[serde(skip_serializing_if = "zero")]
    pub value: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Hugetlb {
    #[serde(skip_serializing_if = "zero")]
    pub usage: u64,
    #[serde(skip_serializing_if = "zero")]
    pub max: u64,
    pub failcnt: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Interface {
    pub name: String,
    pub rx_bytes: u64,
    pub rx_packets: u64,
    pub rx_errors: u64,
    pub rx_dropped: u64,
    pub tx_bytes: u64,
    pub tx_packets: u64,
    pub tx_errors: u64,
    pub tx_dropped: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Rdma {
    pub current: Vec<RdmaEntry>,
    pub limit: Vec<RdmaEntry>,
}

impl Rdma {
    fn is_empty(&self) -> bool {
        self.current.is_empty() && self.limit.is_empty()
    }
}

/// "No limit" is 2^32 - 1.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct RdmaEntry {
    pub device: String,
    pub hca_handles: u32,
    pub hca_objects: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_values_have_the_form_of_runc() {
        let expected = r#"{"cpu":{"usage":{"kernel":0,"user":0},"throttling":{}},"cpuset":{"cpu_exclusive":0,"mem_hardwall":0,"mem_exclusive":0,"memory_migrate":0,"memory_spread_page":0,"memory_spread_slab":0,"memory_pressure":0,"sched_load_balance":0,"sched_relax_domain_level":0},"memory":{"usage":{"limit":0,"failcnt":0},"swap":{"limit":0,"failcnt":0},"kernel":{"limit":0,"failcnt":0},"kernelTCP":{"limit":0,"failcnt":0},"event_count":{}},"pids":{},"blkio":{},"hugetlb":{},"intel_rdt":{},"network_interfaces":[]}"#;
        assert_eq!(serde_json::to_string(&Report::default()).unwrap(), expected);
    }

    #[test]
    fn lists_and_pressure_are_read() {
        assert_eq!(list("0-2,5\n"), [0, 1, 2, 5]);
        assert_eq!(list("\n"), Vec::<u16>::new());
        let pressure = Pressure::parse("some avg10=1.50 avg60=0.00 avg300=0.25 total=9\n").unwrap();
        assert_eq!(pressure.some, Some(Stall { avg10: 1.5, avg60: 0.0, avg300: 0.25, total: 9 }));
        assert!(pressure.full.is_none() && Pressure::parse("").is_none());
    }
}
