//! A container: what can be asked about it.

use std::ffi::c_char;
use std::mem::MaybeUninit;

use super::boundary::call;
use super::container::berth_container;
use super::error::berth_error;
use super::process::{berth_exit_status, berth_process};
use super::sized::{self, Grows};
use super::{args, memory};
use crate::stats::Stats;

/// What a container has used. Every number is UINT64_MAX if the host does not offer it; a limit is, too, if there is none.
/// Set `size` to sizeof(berth_stats) before the call.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct berth_stats {
    /// sizeof(berth_stats).
    pub size: usize,
    /// CPU time used by all processes, living and dead, in nanoseconds.
    pub cpu_usage_ns: u64,
    pub cpu_user_ns: u64,
    pub cpu_system_ns: u64,
    /// Enforcement periods in which the container had something to run.
    pub cpu_periods: u64,
    /// Periods in which it was held back by its quota.
    pub cpu_throttled_periods: u64,
    pub cpu_throttled_ns: u64,
    /// Memory in bytes, with the page cache.
    pub memory_usage: u64,
    pub memory_limit: u64,
    /// The highest usage so far (cgroup v2: Linux 5.19).
    pub memory_peak: u64,
    /// Swap in bytes, without memory.
    pub memory_swap_usage: u64,
    pub memory_swap_limit: u64,
    /// Processes of the container that the OOM killer has killed.
    pub oom_kills: u64,
    /// Threads, which is what the kernel counts here.
    pub pids_current: u64,
    pub pids_limit: u64,
    /// How often memory was at its limit.
    pub memory_limit_hits: u64,
    /// Memory of processes that no file is behind.
    pub memory_anon: u64,
    /// Page cache.
    pub memory_file: u64,
    /// The part of it that was not used lately: usage without it is what cannot be had back easily.
    pub memory_inactive_file: u64,
    /// Memory of the kernel's own.
    pub memory_kernel: u64,
    pub page_faults: u64,
    /// Those that had to wait for a disk.
    pub page_faults_major: u64,
    /// All block devices together.
    pub io_read_bytes: u64,
    pub io_write_bytes: u64,
    pub io_reads: u64,
    pub io_writes: u64,
    /// Time in which at least one task (some) or every task (full) waited for a resource (PSI).
    pub cpu_pressure_some_ns: u64,
    pub cpu_pressure_full_ns: u64,
    pub memory_pressure_some_ns: u64,
    pub memory_pressure_full_ns: u64,
    pub io_pressure_some_ns: u64,
    pub io_pressure_full_ns: u64,
}

// SAFETY: repr(C), begins with its size, numbers of eight bytes each.
unsafe impl Grows for berth_stats {
    const NAME: &'static str = "berth_stats";
    const FIRST: usize = 120;
}

const _: () = assert!(size_of::<berth_stats>() == 256, "members are only added, at the end");

impl From<Stats> for berth_stats {
    fn from(stats: Stats) -> berth_stats {
        let known = |number: Option<u64>| number.unwrap_or(u64::MAX);
        berth_stats {
            size: size_of::<berth_stats>(),
            cpu_usage_ns: known(stats.cpu_usage_ns),
            cpu_user_ns: known(stats.cpu_user_ns),
            cpu_system_ns: known(stats.cpu_system_ns),
            cpu_periods: known(stats.cpu_periods),
            cpu_throttled_periods: known(stats.cpu_throttled_periods),
            cpu_throttled_ns: known(stats.cpu_throttled_ns),
            memory_usage: known(stats.memory_usage),
            memory_limit: known(stats.memory_limit),
            memory_peak: known(stats.memory_peak),
            memory_swap_usage: known(stats.memory_swap_usage),
            memory_swap_limit: known(stats.memory_swap_limit),
            oom_kills: known(stats.oom_kills),
            pids_current: known(stats.pids_current),
            pids_limit: known(stats.pids_limit),
            memory_limit_hits: known(stats.memory_limit_hits),
            memory_anon: known(stats.memory_anon),
            memory_file: known(stats.memory_file),
            memory_inactive_file: known(stats.memory_inactive_file),
            memory_kernel: known(stats.memory_kernel),
            page_faults: known(stats.page_faults),
            page_faults_major: known(stats.page_faults_major),
            io_read_bytes: known(stats.io_read_bytes),
            io_write_bytes: known(stats.io_write_bytes),
            io_reads: known(stats.io_reads),
            io_writes: known(stats.io_writes),
            cpu_pressure_some_ns: known(stats.cpu_pressure_some_ns),
            cpu_pressure_full_ns: known(stats.cpu_pressure_full_ns),
            memory_pressure_some_ns: known(stats.memory_pressure_some_ns),
            memory_pressure_full_ns: known(stats.memory_pressure_full_ns),
            io_pressure_some_ns: known(stats.io_pressure_some_ns),
            io_pressure_full_ns: known(stats.io_pressure_full_ns),
        }
    }
}

/// The container's id. Valid as long as the handle; NULL for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn berth_container_id(container: Option<&berth_container>) -> *const c_char {
    container.map_or(std::ptr::null(), |container| container.id.as_ptr())
}

/// The container's status at this moment, a BERTH_STATUS_... constant. It is asked of the kernel each time: other
/// processes may have changed it.
///
/// Errors: BERTH_E_NOT_FOUND if it was deleted.
#[unsafe(no_mangle)]
pub extern "C" fn berth_container_status(
    container: Option<&berth_container>,
    status: Option<&mut MaybeUninit<i32>>,
    error: Option<&mut MaybeUninit<*mut berth_error>>,
) -> i32 {
    call(error, || {
        let slot = args::out(status, "status")?;
        slot.write(args::handle(container, "container")?.container.status()? as i32);
        Ok(())
    })
}

/// The container's state as JSON: OCI "State" (ociVersion, id, status, pid, bundle, annotations), and beside it rootfs,
/// created, initProcessStartTime, cgroupPaths, namespacePaths and externalDescriptors. The status may also be "paused".
///
/// `json` is released with berth_string_free. Errors: BERTH_E_NOT_FOUND.
#[unsafe(no_mangle)]
pub extern "C" fn berth_container_state_json(
    container: Option<&berth_container>,
    json: Option<&mut MaybeUninit<*mut c_char>>,
    error: Option<&mut MaybeUninit<*mut berth_error>>,
) -> i32 {
    call(error, || {
        let slot = args::out_pointer(json, "json")?;
        memory::give_text(slot, &args::handle(container, "container")?.container.state_json()?)
    })
}

/// The configuration that the container was created from, as it was given, with the limits that berth_container_set has
/// changed. `json` is released with berth_string_free.
///
/// Errors: BERTH_E_NOT_FOUND.
#[unsafe(no_mangle)]
pub extern "C" fn berth_container_config_json(
    container: Option<&berth_container>,
    json: Option<&mut MaybeUninit<*mut c_char>>,
    error: Option<&mut MaybeUninit<*mut berth_error>>,
) -> i32 {
    call(error, || {
        let slot = args::out_pointer(json, "json")?;
        memory::give_text(slot, &args::handle(container, "container")?.container.config_json()?)
    })
}

/// The ids of all processes in the container's cgroups, in the caller's pid namespace and in ascending order. `pids`
/// becomes an array of `count` numbers, released with berth_pids_free; NULL if there are none.
///
/// Errors: BERTH_E_NOT_FOUND, BERTH_E_NOT_RUNNING.
#[unsafe(no_mangle)]
pub extern "C" fn berth_container_pids(
    container: Option<&berth_container>,
    pids: Option<&mut MaybeUninit<*mut i32>>,
    count: Option<&mut MaybeUninit<usize>>,
    error: Option<&mut MaybeUninit<*mut berth_error>>,
) -> i32 {
    call(error, || {
        let array = args::out_pointer(pids, "pids")?;
        let length = args::out(count, "count")?;
        let found = args::handle(container, "container")?.container.pids()?;
        array.write(memory::copy(&found)?);
        length.write(found.len());
        Ok(())
    })
}

/// Releases an array of berth_container_pids. NULL is fine.
#[unsafe(no_mangle)]
pub extern "C" fn berth_pids_free(pids: *mut i32) {
    memory::release(pids);
}

/// What the container has used so far (cgroups(7)). The caller sets stats->size before. Members that only a newer header
/// than the library's has become UINT64_MAX.
///
/// Made to be called often: the first call opens the files that are read (up to 25 descriptors, closed with the handle),
/// and later calls read them again, without allocating memory and without a look at the state directory. All handles
/// together keep at most a quarter of RLIMIT_NOFILE; the others open the files each time.
///
/// Errors: BERTH_E_NOT_FOUND, BERTH_E_NOT_RUNNING.
#[unsafe(no_mangle)]
pub extern "C" fn berth_container_stats(
    container: Option<&berth_container>,
    stats: *mut berth_stats,
    error: Option<&mut MaybeUninit<*mut berth_error>>,
) -> i32 {
    call(error, || {
        sized::check(stats, "stats")?;
        let found = args::handle(container, "container")?.container.stats()?;
        sized::write(stats, &berth_stats::from(found))
    })
}

/// Everything that is known of the container's usage, as the JSON object that runc's "events --stats" gives as "data":
/// "cpu" (with times of each CPU on cgroup v1, and pressure), "cpuset", "memory" (with all of memory.stat as "raw", and
/// "event_count"), "pids", "blkio", "hugetlb", "intel_rdt" (empty without linux.intelRdt), "network_interfaces" (each
/// interface of the container's network namespace as its processes see it; none if it has the host's), and, not in runc's,
/// "rdma". Members that runc leaves out when they are 0 are left out.
///
/// `json` is released with berth_string_free. Errors: BERTH_E_NOT_FOUND, BERTH_E_NOT_RUNNING.
#[unsafe(no_mangle)]
pub extern "C" fn berth_container_stats_json(
    container: Option<&berth_container>,
    json: Option<&mut MaybeUninit<*mut c_char>>,
    error: Option<&mut MaybeUninit<*mut berth_error>>,
) -> i32 {
    call(error, || {
        let slot = args::out_pointer(json, "json")?;
        memory::give_text(slot, &args::handle(container, "container")?.container.stats_json()?)
    })
}

/// Waits until the container's init has ended, and tells how: berth_process_wait for init, with the same parameters and
/// errors. A handle that has seen init end tells it also after the container was deleted.
#[unsafe(no_mangle)]
pub extern "C" fn berth_container_wait(
    container: Option<&berth_container>,
    timeout_ms: i64,
    status: Option<&mut MaybeUninit<berth_exit_status>>,
    error: Option<&mut MaybeUninit<*mut berth_error>>,
) -> i32 {
    call(error, || {
        let ended = args::handle(container, "container")?.container.wait(timeout_ms)?;
        status.map(|slot| slot.write(ended.into()));
        Ok(())
    })
}

/// A descriptor for the container's init, as berth_process_pidfd: for poll(2), it becomes readable when init has ended.
///
/// The kernel keeps init of a pid namespace from ending as long as a process in it is a zombie, which executed processes
/// are until their status is taken: by berth_process_wait, or by any call on the container. So whoever only polls this
/// should wait for the processes it has executed, too.
///
/// Errors: BERTH_E_NOT_RUNNING if init is gone and this handle has not seen it; BERTH_E_NOT_FOUND.
#[unsafe(no_mangle)]
pub extern "C" fn berth_container_pidfd(
    container: Option<&berth_container>,
    fd: Option<&mut MaybeUninit<i32>>,
    error: Option<&mut MaybeUninit<*mut berth_error>>,
) -> i32 {
    call(error, || {
        let slot = args::out_fd(fd, "fd")?;
        slot.write(args::into_raw(Some(args::handle(container, "container")?.container.pidfd()?)));
        Ok(())
    })
}

/// A handle on the container's init: for its pipes and terminal, which are with the handle that created the container.
/// `process` is released with berth_process_free.
///
/// Errors: as berth_container_pidfd.
#[unsafe(no_mangle)]
pub extern "C" fn berth_container_init_process(
    container: Option<&berth_container>,
    process: Option<&mut MaybeUninit<*mut berth_process>>,
    error: Option<&mut MaybeUninit<*mut berth_error>>,
) -> i32 {
    call(error, || {
        let slot = args::out_pointer(process, "process")?;
        args::give(slot, berth_process(args::handle(container, "container")?.container.init_process()?));
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handles_may_be_used_by_many_threads() {
        fn shared<T: Send + Sync>() {}
        shared::<berth_container>();
        shared::<berth_process>();
        shared::<crate::capi::config::berth_config>();
        shared::<crate::capi::runtime::berth_runtime>();
        shared::<berth_error>();
    }

    #[test]
    fn what_the_host_does_not_offer_is_all_ones() {
        let stats = berth_stats::from(Stats { cpu_usage_ns: Some(1), ..Stats::default() });
        assert_eq!((stats.cpu_usage_ns, stats.pids_limit), (1, u64::MAX));
    }
}
