//! Statistics of cgroup v2.

use std::path::Path;

use crate::error::Result;
use crate::stats::parse::{self, assignment, lines, number, pairs, words};
use crate::stats::report::{BlockIoEntry, Hugetlb, MemoryEntry, Pressure, Rdma, RdmaEntry, Report, list};
use crate::stats::{Source, Stats};
use crate::sys::kernfs;

pub const CPU: Source = Source { file: "cpu.stat", parse: cpu };

pub const PRESSURE: [Source; 3] = [
    Source { file: "cpu.pressure", parse: parse::cpu_pressure },
    Source { file: "memory.pressure", parse: parse::memory_pressure },
    Source { file: "io.pressure", parse: parse::io_pressure },
];

pub const MEMORY: [Source; 7] = [
    Source { file: "memory.current", parse: |text, stats| stats.memory_usage = number(text) },
    Source { file: "memory.max", parse: |text, stats| stats.memory_limit = number(text) },
    Source { file: "memory.peak", parse: |text, stats| stats.memory_peak = number(text) },
    Source { file: "memory.swap.current", parse: |text, stats| stats.memory_swap_usage = number(text) },
    Source { file: "memory.swap.max", parse: |text, stats| stats.memory_swap_limit = number(text) },
    Source { file: "memory.events", parse: memory_events },
    Source { file: "memory.stat", parse: memory_stat },
];

/// The files of the pids controller, the same on v1.
pub const PIDS: [Source; 2] = [
    Source { file: "pids.current", parse: |text, stats| stats.pids_current = number(text) },
    Source { file: "pids.max", parse: |text, stats| stats.pids_limit = number(text) },
];

pub const IO: Source = Source { file: "io.stat", parse: io };

fn cpu(text: &[u8], stats: &mut Stats) {
    for (key, value) in pairs(text) {
        match key {
            b"usage_usec" => stats.cpu_usage_ns = Some(value.saturating_mul(1000)),
            b"user_usec" => stats.cpu_user_ns = Some(value.saturating_mul(1000)),
            b"system_usec" => stats.cpu_system_ns = Some(value.saturating_mul(1000)),
            b"nr_periods" => stats.cpu_periods = Some(value),
            b"nr_throttled" => stats.cpu_throttled_periods = Some(value),
            b"throttled_usec" => stats.cpu_throttled_ns = Some(value.saturating_mul(1000)),
            _ => {}
        }
    }
}

fn memory_events(text: &[u8], stats: &mut Stats) {
    for (key, value) in pairs(text) {
        match key {
            b"max" => stats.memory_limit_hits = Some(value),
            b"oom_kill" => stats.oom_kills = Some(value),
            _ => {}
        }
    }
}

fn memory_stat(text: &[u8], stats: &mut Stats) {
    for (key, value) in pairs(text) {
        match key {
            b"anon" => stats.memory_anon = Some(value),
            b"file" => stats.memory_file = Some(value),
            b"inactive_file" => stats.memory_inactive_file = Some(value),
            // Since Linux 5.18.
            b"kernel" => stats.memory_kernel = Some(value),
            b"pgfault" => stats.page_faults = Some(value),
            b"pgmajfault" => stats.page_faults_major = Some(value),
            _ => {}
        }
    }
}

/// Parses `io.stat`: "8:0 rbytes=1 wbytes=2 rios=3 wios=4 …" for each device; a device without I/O is not listed.
fn io(text: &[u8], stats: &mut Stats) {
    let mut sums = [0u64; 4];
    for (key, value) in lines(text).flat_map(words).filter_map(assignment) {
        let index = match key {
            b"rbytes" => 0,
            b"wbytes" => 1,
            b"rios" => 2,
            b"wios" => 3,
            _ => continue,
        };
        sums[index] = sums[index].saturating_add(value);
    }
    let [read_bytes, write_bytes, reads, writes] = sums.map(Some);
    (stats.io_read_bytes, stats.io_write_bytes) = (read_bytes, write_bytes);
    (stats.io_reads, stats.io_writes) = (reads, writes);
}

fn text(dir: &Path, file: &str) -> Result<String> {
    Ok(kernfs::read_optional(dir, file)?.unwrap_or_default())
}

/// Reads a pressure file. Reading fails if the kernel does not measure pressure.
pub fn pressure(dir: &Path, file: &str) -> Option<Pressure> {
    kernfs::read(dir, file).ok().and_then(|text| Pressure::parse(&text))
}

/// Adds the values that only v2 has, or has in another form. `stats` was read at the same moment.
pub fn report(dir: &Path, stats: &Stats, report: &mut Report) -> Result<()> {
    pressures(dir, report);
    memory(dir, stats, report)?;
    report.cpuset.cpus = list(&text(dir, "cpuset.cpus.effective")?);
    report.cpuset.mems = list(&text(dir, "cpuset.mems.effective")?);
    block_io(&text(dir, "io.stat")?, report);
    hugetlb(dir, report)?;
    rdma(dir, report)
}

pub fn pressures(dir: &Path, report: &mut Report) {
    report.cpu.psi = pressure(dir, "cpu.pressure");
    report.memory.psi = pressure(dir, "memory.pressure");
    report.blkio.psi = pressure(dir, "io.pressure");
}

fn memory(dir: &Path, stats: &Stats, report: &mut Report) -> Result<()> {
    let Some(usage) = stats.memory_usage else { return Ok(()) };
    let memory = &mut report.memory;
    let owned = |(key, value): (&[u8], u64)| (String::from_utf8_lossy(key).into_owned(), value);
    memory.raw = pairs(text(dir, "memory.stat")?.as_bytes()).map(owned).collect();
    memory.cache = stats.memory_file.unwrap_or(0);
    memory.usage = MemoryEntry {
        limit: stats.memory_limit.unwrap_or(u64::MAX),
        usage,
        max: stats.memory_peak.unwrap_or(0),
        failcnt: stats.memory_limit_hits.unwrap_or(0),
    };
    memory.kernel.usage = stats.memory_kernel.unwrap_or(0);
    if let Some(swap) = stats.memory_swap_usage {
        let both = stats.memory_limit.zip(stats.memory_swap_limit).map(|(memory, swap)| memory.saturating_add(swap));
        let limit = both.unwrap_or(u64::MAX);
        memory.swap = MemoryEntry { limit, usage: swap.saturating_add(usage), max: 0, failcnt: 0 };
    }
    let events = &mut memory.event_count;
    for (key, value) in pairs(text(dir, "memory.events")?.as_bytes()) {
        match key {
            b"low" => events.low = value,
            b"high" => events.high = value,
            b"max" => events.max = value,
            b"oom" => events.oom = value,
            b"oom_kill" => events.oom_kill = value,
            b"oom_group_kill" => events.oom_group_kill = value,
            _ => {}
        }
    }
    Ok(())
}

fn block_io(text: &str, report: &mut Report) {
    for line in text.lines() {
        let mut words = words(line.as_bytes());
        let device = words.next().and_then(|word| std::str::from_utf8(word).ok()).and_then(|word| word.split_once(':'));
        let Some((Ok(major), Ok(minor))) = device.map(|(major, minor)| (major.parse(), minor.parse())) else {
            continue;
        };
        for (key, value) in words.filter_map(assignment) {
            let (list, op) = match key {
                b"rbytes" => (&mut report.blkio.io_service_bytes_recursive, "Read"),
                b"wbytes" => (&mut report.blkio.io_service_bytes_recursive, "Write"),
                b"dbytes" => (&mut report.blkio.io_service_bytes_recursive, "Discard"),
                b"rios" => (&mut report.blkio.io_serviced_recursive, "Read"),
                b"wios" => (&mut report.blkio.io_serviced_recursive, "Write"),
                b"dios" => (&mut report.blkio.io_serviced_recursive, "Discard"),
                _ => continue,
            };
            list.push(BlockIoEntry { major, minor, op: op.to_owned(), value });
        }
    }
}

/// Returns the host's huge page sizes, as in the file names of the controller.
pub fn page_sizes(dir: &Path, word: &str) -> Result<Vec<String>> {
    let names = kernfs::list(dir)?;
    let size = |name: &String| name.strip_prefix("hugetlb.")?.strip_suffix(word)?.strip_suffix('.').map(str::to_owned);
    Ok(names.iter().filter_map(size).filter(|size| !size.contains('.')).collect())
}

fn hugetlb(dir: &Path, report: &mut Report) -> Result<()> {
    for size in page_sizes(dir, "current")? {
        let usage = number(text(dir, &format!("hugetlb.{size}.current"))?.as_bytes()).unwrap_or(0);
        let events = text(dir, &format!("hugetlb.{size}.events"))?;
        let failcnt = pairs(events.as_bytes()).find(|(key, _)| *key == b"max").map_or(0, |(_, value)| value);
        report.hugetlb.insert(size, Hugetlb { usage, max: 0, failcnt });
    }
    Ok(())
}

/// Adds the RDMA values, whose files are the same on v1.
pub fn rdma(dir: &Path, report: &mut Report) -> Result<()> {
    let entries = |text: &str| -> Vec<RdmaEntry> {
        let entry = |line: &str| {
            let mut words = line.split_whitespace();
            let mut entry = RdmaEntry { device: words.next()?.to_owned(), ..RdmaEntry::default() };
            for (key, value) in words.filter_map(|word| word.split_once('=')) {
                let value = value.parse().unwrap_or(u32::MAX);
                match key {
                    "hca_handle" => entry.hca_handles = value,
                    "hca_object" => entry.hca_objects = value,
                    _ => {}
                }
            }
            Some(entry)
        };
        text.lines().filter_map(entry).collect()
    };
    report.rdma = Rdma { current: entries(&text(dir, "rdma.current")?), limit: entries(&text(dir, "rdma.max")?) };
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_added_up_and_listed() {
        let text =
            "254:0 rbytes=10 wbytes=20 rios=1 wios=2 dbytes=5 dios=1\n8:16 rbytes=1 wbytes=0 rios=1 wios=0\n7:0 \n";
        let mut stats = Stats::default();
        io(text.as_bytes(), &mut stats);
        assert_eq!((stats.io_read_bytes, stats.io_write_bytes), (Some(11), Some(20)));
        assert_eq!((stats.io_reads, stats.io_writes), (Some(2), Some(2)));
        let mut report = Report::default();
        block_io(text, &mut report);
        let entry = BlockIoEntry { major: 254, minor: 0, op: "Read".into(), value: 10 };
        assert_eq!(report.blkio.io_service_bytes_recursive[0], entry);
        assert_eq!((report.blkio.io_service_bytes_recursive.len(), report.blkio.io_serviced_recursive.len()), (5, 5));
    }

    #[test]
    fn times_are_nanoseconds() {
        let mut stats = Stats::default();
        cpu(b"usage_usec 5\nuser_usec 3\nsystem_usec 2\nnr_periods 7\nnr_throttled 1\nthrottled_usec 9\n", &mut stats);
        assert_eq!((stats.cpu_usage_ns, stats.cpu_periods, stats.cpu_throttled_ns), (Some(5000), Some(7), Some(9000)));
    }
}
