//! What a container has used. Counters that the host does not offer are `None`, never a made-up zero.
//!
//! [`Stats`] are plain numbers, read again and again through a [`Meter`] without allocating. [`report`] is everything
//! there is, as JSON in the shape of another runtime.

mod interfaces;
mod meter;
pub(crate) mod parse;
pub mod report;

use serde::Serialize;

pub(crate) use interfaces::interfaces;
pub use meter::Meter;
pub(crate) use meter::Source;

/// Times are in nanoseconds, memory in bytes. A limit of `None` means that there is none, or none that the
/// host could tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Stats {
    /// CPU time used by all processes, living and dead.
    pub cpu_usage_ns: Option<u64>,
    pub cpu_user_ns: Option<u64>,
    pub cpu_system_ns: Option<u64>,
    /// Enforcement periods in which the container had something to run.
    pub cpu_periods: Option<u64>,
    /// Periods in which it was held back by its quota.
    pub cpu_throttled_periods: Option<u64>,
    pub cpu_throttled_ns: Option<u64>,
    pub memory_usage: Option<u64>,
    pub memory_limit: Option<u64>,
    /// The highest usage so far (v2: Linux 5.19).
    pub memory_peak: Option<u64>,
    /// Swap alone, on v1 too.
    pub memory_swap_usage: Option<u64>,
    /// The limit of swap alone, on v1 too.
    pub memory_swap_limit: Option<u64>,
    /// Processes killed by the OOM killer in this container.
    pub oom_kills: Option<u64>,
    /// Threads, which is what the kernel counts here.
    pub pids_current: Option<u64>,
    pub pids_limit: Option<u64>,
    /// How often memory was at its limit.
    pub memory_limit_hits: Option<u64>,
    /// Memory of processes that no file is behind.
    pub memory_anon: Option<u64>,
    /// Page cache.
    pub memory_file: Option<u64>,
    /// The part of it that was not used lately: usage without it is what cannot be had back easily.
    pub memory_inactive_file: Option<u64>,
    /// Memory of the kernel's own.
    pub memory_kernel: Option<u64>,
    pub page_faults: Option<u64>,
    /// Those that had to wait for a disk.
    pub page_faults_major: Option<u64>,
    /// All block devices together.
    pub io_read_bytes: Option<u64>,
    pub io_write_bytes: Option<u64>,
    pub io_reads: Option<u64>,
    pub io_writes: Option<u64>,
    /// Time in which at least one task (some) or every task (full) waited for a resource (PSI).
    pub cpu_pressure_some_ns: Option<u64>,
    pub cpu_pressure_full_ns: Option<u64>,
    pub memory_pressure_some_ns: Option<u64>,
    pub memory_pressure_full_ns: Option<u64>,
    pub io_pressure_some_ns: Option<u64>,
    pub io_pressure_full_ns: Option<u64>,
}
