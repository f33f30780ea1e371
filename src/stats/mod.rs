//! What a container has used. Counters that the host does not offer are `None`, never a made-up zero.

use serde::Serialize;

/// Times are in nanoseconds, memory in bytes. A limit of `None` means that there is none, or none that the
/// host could tell.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
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
}
