//! Statistics of cgroup v1, by the controller whose hierarchy has them.

use std::path::Path;

use crate::cgroup::v2::stats::page_sizes;
use crate::error::Result;
use crate::stats::parse::{lines, number, pairs};
use crate::stats::report::{BlockIoEntry, Hugetlb, MemoryEntry, Report, list};
use crate::stats::{Source, Stats};
use crate::sys::kernfs;

/// The value that v1 shows for "unlimited": the largest number of pages, in bytes.
const UNLIMITED: u64 = (i64::MAX as u64) / 4096 * 4096;

fn finite(text: &[u8]) -> Option<u64> {
    number(text).filter(|limit| *limit < UNLIMITED)
}

pub const CPUACCT: [Source; 3] = [
    Source { file: "cpuacct.usage", parse: |text, stats| stats.cpu_usage_ns = number(text) },
    Source { file: "cpuacct.usage_user", parse: |text, stats| stats.cpu_user_ns = number(text) },
    Source { file: "cpuacct.usage_sys", parse: |text, stats| stats.cpu_system_ns = number(text) },
];

pub const CPU: [Source; 1] = [Source { file: "cpu.stat", parse: throttling }];

/// The memory files. Those with "memsw" count memory plus swap, and come after those without.
pub const MEMORY: [Source; 9] = [
    Source { file: "memory.usage_in_bytes", parse: |text, stats| stats.memory_usage = number(text) },
    Source { file: "memory.limit_in_bytes", parse: |text, stats| stats.memory_limit = finite(text) },
    Source { file: "memory.max_usage_in_bytes", parse: |text, stats| stats.memory_peak = number(text) },
    Source { file: "memory.failcnt", parse: |text, stats| stats.memory_limit_hits = number(text) },
    Source { file: "memory.memsw.usage_in_bytes", parse: swap_usage },
    Source { file: "memory.memsw.limit_in_bytes", parse: swap_limit },
    Source { file: "memory.oom_control", parse: oom_control },
    Source { file: "memory.kmem.usage_in_bytes", parse: |text, stats| stats.memory_kernel = number(text) },
    Source { file: "memory.stat", parse: memory_stat },
];

pub const BLKIO: [Source; 2] = [
    Source { file: "blkio.throttle.io_service_bytes_recursive", parse: io_bytes },
    Source { file: "blkio.throttle.io_serviced_recursive", parse: io_operations },
];

fn throttling(text: &[u8], stats: &mut Stats) {
    for (key, value) in pairs(text) {
        match key {
            b"nr_periods" => stats.cpu_periods = Some(value),
            b"nr_throttled" => stats.cpu_throttled_periods = Some(value),
            b"throttled_time" => stats.cpu_throttled_ns = Some(value),
            _ => {}
        }
    }
}

fn swap_usage(text: &[u8], stats: &mut Stats) {
    stats.memory_swap_usage = number(text).zip(stats.memory_usage).map(|(both, memory)| both.saturating_sub(memory));
}

fn swap_limit(text: &[u8], stats: &mut Stats) {
    stats.memory_swap_limit = finite(text).zip(stats.memory_limit).map(|(both, memory)| both.saturating_sub(memory));
}

fn oom_control(text: &[u8], stats: &mut Stats) {
    // Since Linux 4.13.
    stats.oom_kills = pairs(text).find(|(key, _)| *key == b"oom_kill").map(|(_, value)| value);
}

/// Parses `memory.stat`. The values that include the cgroups below begin with "total_".
fn memory_stat(text: &[u8], stats: &mut Stats) {
    for (key, value) in pairs(text) {
        match key {
            b"total_rss" => stats.memory_anon = Some(value),
            b"total_cache" => stats.memory_file = Some(value),
            b"total_inactive_file" => stats.memory_inactive_file = Some(value),
            b"total_pgfault" => stats.page_faults = Some(value),
            b"total_pgmajfault" => stats.page_faults_major = Some(value),
            _ => {}
        }
    }
}

/// Parses lines such as "8:0 Read 512", one for each device and operation.
fn entries(text: &[u8]) -> impl Iterator<Item = (&[u8], &[u8], u64)> {
    lines(text).filter_map(|line| {
        let mut words = line.splitn(3, |byte| *byte == b' ');
        Some((words.next()?, words.next()?, number(words.next()?)?))
    })
}

fn sums(text: &[u8]) -> (Option<u64>, Option<u64>) {
    let values = |wanted| entries(text).filter(move |(_, op, _)| *op == wanted).map(|(_, _, value)| value);
    let sum = |wanted: &'static [u8]| Some(values(wanted).fold(0, u64::saturating_add));
    (sum(b"Read"), sum(b"Write"))
}

fn io_bytes(text: &[u8], stats: &mut Stats) {
    (stats.io_read_bytes, stats.io_write_bytes) = sums(text);
}

fn io_operations(text: &[u8], stats: &mut Stats) {
    (stats.io_reads, stats.io_writes) = sums(text);
}

fn text(dir: &Path, file: &str) -> Result<String> {
    Ok(kernfs::read_optional(dir, file)?.unwrap_or_default())
}

fn value(dir: &Path, file: &str) -> Result<u64> {
    Ok(number(text(dir, file)?.as_bytes()).unwrap_or(0))
}

pub fn report_cpuacct(dir: &Path, report: &mut Report) -> Result<()> {
    let numbers = |text: &str| text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    report.cpu.usage.percpu = numbers(&text(dir, "cpuacct.usage_percpu")?);
    report.cpu.usage.percpu_kernel = numbers(&text(dir, "cpuacct.usage_percpu_sys")?);
    report.cpu.usage.percpu_user = numbers(&text(dir, "cpuacct.usage_percpu_user")?);
    Ok(())
}

pub fn report_cpuset(dir: &Path, report: &mut Report) -> Result<()> {
    let cpuset = &mut report.cpuset;
    cpuset.cpus = list(&text(dir, "cpuset.cpus")?);
    cpuset.mems = list(&text(dir, "cpuset.mems")?);
    for (file, member) in [
        ("cpuset.cpu_exclusive", &mut cpuset.cpu_exclusive),
        ("cpuset.mem_hardwall", &mut cpuset.mem_hardwall),
        ("cpuset.mem_exclusive", &mut cpuset.mem_exclusive),
        ("cpuset.memory_migrate", &mut cpuset.memory_migrate),
        ("cpuset.memory_spread_page", &mut cpuset.memory_spread_page),
        ("cpuset.memory_spread_slab", &mut cpuset.memory_spread_slab),
        ("cpuset.memory_pressure", &mut cpuset.memory_pressure),
        ("cpuset.sched_load_balance", &mut cpuset.sched_load_balance),
    ] {
        *member = value(dir, file)?;
    }
    cpuset.sched_relax_domain_level = text(dir, "cpuset.sched_relax_domain_level")?.trim().parse().unwrap_or(0);
    Ok(())
}

pub fn report_memory(dir: &Path, stats: &Stats, report: &mut Report) -> Result<()> {
    let memory = &mut report.memory;
    let owned = |(key, value): (&[u8], u64)| (String::from_utf8_lossy(key).into_owned(), value);
    memory.raw = pairs(text(dir, "memory.stat")?.as_bytes()).map(owned).collect();
    memory.cache = memory.raw.get("cache").copied().unwrap_or(0);
    for (name, entry) in [
        ("memory", &mut memory.usage),
        ("memory.memsw", &mut memory.swap),
        ("memory.kmem", &mut memory.kernel),
        ("memory.kmem.tcp", &mut memory.kernel_tcp),
    ] {
        *entry = MemoryEntry {
            limit: value(dir, &format!("{name}.limit_in_bytes"))?,
            usage: value(dir, &format!("{name}.usage_in_bytes"))?,
            max: value(dir, &format!("{name}.max_usage_in_bytes"))?,
            failcnt: value(dir, &format!("{name}.failcnt"))?,
        };
    }
    memory.event_count.oom_kill = stats.oom_kills.unwrap_or(0);
    Ok(())
}

/// Adds the I/O scheduler's values if it has any (BFQ), else those of the throttling layer, as runc does.
pub fn report_blkio(dir: &Path, report: &mut Report) -> Result<()> {
    let list = |name: &str| -> Result<Vec<BlockIoEntry>> {
        for file in [format!("blkio.bfq.{name}_recursive"), format!("blkio.{name}_recursive")] {
            let found = block_io(&text(dir, &file)?);
            if !found.is_empty() {
                return Ok(found);
            }
        }
        Ok(Vec::new())
    };
    let throttled = |name: &str| -> Result<Vec<BlockIoEntry>> {
        match list(name)? {
            found if found.is_empty() => Ok(block_io(&text(dir, &format!("blkio.throttle.{name}_recursive"))?)),
            found => Ok(found),
        }
    };
    let blkio = &mut report.blkio;
    blkio.io_service_bytes_recursive = throttled("io_service_bytes")?;
    blkio.io_serviced_recursive = throttled("io_serviced")?;
    blkio.io_queued_recursive = list("io_queued")?;
    blkio.io_service_time_recursive = list("io_service_time")?;
    blkio.io_wait_time_recursive = list("io_wait_time")?;
    blkio.io_merged_recursive = list("io_merged")?;
    blkio.io_time_recursive = list("time")?;
    blkio.sectors_recursive = list("sectors")?;
    Ok(())
}

/// Parses lines of a device, an operation and a number. Some files have no operation; the last line is a total without
/// a device.
fn block_io(text: &str) -> Vec<BlockIoEntry> {
    let entry = |line: &str| {
        let mut words = line.split_whitespace();
        let (major, minor) = words.next()?.split_once(':')?;
        let (op, value) = match (words.next()?, words.next()) {
            (op, Some(value)) => (op.to_owned(), value),
            (value, None) => (String::new(), value),
        };
        Some(BlockIoEntry { major: major.parse().ok()?, minor: minor.parse().ok()?, op, value: value.parse().ok()? })
    };
    text.lines().filter_map(entry).collect()
}

pub fn report_hugetlb(dir: &Path, report: &mut Report) -> Result<()> {
    for size in page_sizes(dir, "usage_in_bytes")? {
        let usage = value(dir, &format!("hugetlb.{size}.usage_in_bytes"))?;
        let max = value(dir, &format!("hugetlb.{size}.max_usage_in_bytes"))?;
        let failcnt = value(dir, &format!("hugetlb.{size}.failcnt"))?;
        report.hugetlb.insert(size, Hugetlb { usage, max, failcnt });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_and_swap_are_distinguished() {
        let mut stats = Stats { memory_usage: Some(100), memory_limit: Some(1000), ..Stats::default() };
        swap_usage(b"150\n", &mut stats);
        swap_limit(b"9223372036854771712\n", &mut stats);
        assert_eq!((stats.memory_swap_usage, stats.memory_swap_limit), (Some(50), None));
        swap_limit(b"3000\n", &mut stats);
        assert_eq!(stats.memory_swap_limit, Some(2000));
    }

    #[test]
    fn block_io_is_added_up_and_listed() {
        let text = "8:0 Read 10\n8:0 Write 20\n8:0 Total 30\n8:16 Read 1\nTotal 31\n";
        assert_eq!(sums(text.as_bytes()), (Some(11), Some(20)));
        assert_eq!(sums(b"8:0 Read 18446744073709551615\n8:16 Read 1\n").0, Some(u64::MAX), "not beyond the end");
        assert_eq!(block_io(text).len(), 4);
        assert_eq!(block_io("8:16 77\n")[0], BlockIoEntry { major: 8, minor: 16, op: String::new(), value: 77 });
    }
}
