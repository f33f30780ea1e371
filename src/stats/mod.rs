//! Resource usage of a container. Counters that the host does not provide are `None`, never zero.
//!
//! [`Stats`] are plain numbers, read repeatedly through a `Meter` without allocating. `report` is the complete JSON
//! in runc's format.

pub(crate) mod intel_rdt;
mod interfaces;
mod meter;
pub(crate) mod parse;
pub(crate) mod report;

use serde::Serialize;

pub(crate) use interfaces::interfaces;
pub(crate) use meter::Meter;
pub(crate) use meter::Source;

/// Times are in nanoseconds, memory in bytes. A limit of `None` means that there is none, or that the host does not
/// report it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Stats {
    /// CPU time of all processes, running and ended.
    pub cpu_usage_ns: Option<u64>,
    /// The part of it in user mode.
    pub cpu_user_ns: Option<u64>,
    /// The part of it in the kernel.
    pub cpu_system_ns: Option<u64>,
    /// Number of enforcement periods in which the container had runnable tasks.
    pub cpu_periods: Option<u64>,
    /// Number of periods in which the container was throttled by its quota.
    pub cpu_throttled_periods: Option<u64>,
    /// How long it was held back by its quota.
    pub cpu_throttled_ns: Option<u64>,
    /// Memory in use, with the page cache.
    pub memory_usage: Option<u64>,
    /// How much it may use.
    pub memory_limit: Option<u64>,
    /// Maximum memory usage (v2: Linux 5.19).
    pub memory_peak: Option<u64>,
    /// Swap usage, excluding memory, on v1 too.
    pub memory_swap_usage: Option<u64>,
    /// Swap limit, excluding memory, on v1 too.
    pub memory_swap_limit: Option<u64>,
    /// Number of processes that the OOM killer has killed.
    pub oom_kills: Option<u64>,
    /// Number of tasks (threads).
    pub pids_current: Option<u64>,
    /// How many threads it may have.
    pub pids_limit: Option<u64>,
    /// Number of times that memory usage reached the limit.
    pub memory_limit_hits: Option<u64>,
    /// Anonymous memory.
    pub memory_anon: Option<u64>,
    /// Page cache.
    pub memory_file: Option<u64>,
    /// Page cache on the inactive list. Working set = memory_usage - memory_inactive_file.
    pub memory_inactive_file: Option<u64>,
    /// Kernel memory.
    pub memory_kernel: Option<u64>,
    /// All page faults.
    pub page_faults: Option<u64>,
    /// Page faults that needed disk I/O.
    pub page_faults_major: Option<u64>,
    /// Sums over all block devices.
    /// What was read from block devices.
    pub io_read_bytes: Option<u64>,
    /// What was written to block devices.
    pub io_write_bytes: Option<u64>,
    /// Requests to block devices for reading.
    pub io_reads: Option<u64>,
    /// Requests to block devices for writing.
    pub io_writes: Option<u64>,
    /// Time in which at least one task (some) or all tasks (full) were stalled on a resource (PSI).
    /// Time in which at least one task waited for a CPU (PSI).
    pub cpu_pressure_some_ns: Option<u64>,
    /// Time in which every task waited for a CPU.
    pub cpu_pressure_full_ns: Option<u64>,
    /// Time in which at least one task waited for memory.
    pub memory_pressure_some_ns: Option<u64>,
    /// Time in which every task waited for memory.
    pub memory_pressure_full_ns: Option<u64>,
    /// Time in which at least one task waited for I/O.
    pub io_pressure_some_ns: Option<u64>,
    /// Time in which every task waited for I/O.
    pub io_pressure_full_ns: Option<u64>,
}
