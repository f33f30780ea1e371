//! Queries of a container.

use std::ffi::{CString, c_char};
use std::mem::MaybeUninit;
use std::sync::LazyLock;

use super::boundary::{call, infallible};
use super::container::berth_container;
use super::error::berth_error;
use super::memory::c_string;
use super::process::{berth_exit_status, berth_process};
use super::sized::{self, Grows};
use super::{args, memory};
use crate::container::Status;
use crate::stats::Stats;

/// Resource usage of a container. A member is UINT64_MAX if the host does not provide it, or, for a limit, if there is
/// none. Set `size` to sizeof(berth_stats) before the call.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct berth_stats {
    /// sizeof(berth_stats).
    pub size: usize,
    /// CPU time of all processes, running and ended, in nanoseconds.
    pub cpu_usage_ns: u64,
    pub cpu_user_ns: u64,
    pub cpu_system_ns: u64,
    /// Number of enforcement periods in which the container had runnable tasks.
    pub cpu_periods: u64,
    /// Number of periods in which the container was throttled by its quota.
    pub cpu_throttled_periods: u64,
    pub cpu_throttled_ns: u64,
    /// Memory usage in bytes, including the page cache.
    pub memory_usage: u64,
    pub memory_limit: u64,
    /// Maximum memory usage in bytes (cgroup v2: Linux 5.19).
    pub memory_peak: u64,
    /// Swap usage in bytes, excluding memory.
    pub memory_swap_usage: u64,
    pub memory_swap_limit: u64,
    /// Number of the container's processes that the OOM killer has killed.
    pub oom_kills: u64,
    /// Number of tasks (threads).
    pub pids_current: u64,
    pub pids_limit: u64,
    /// Number of times that memory usage reached the limit.
    pub memory_limit_hits: u64,
    /// Anonymous memory in bytes.
    pub memory_anon: u64,
    /// Page cache in bytes.
    pub memory_file: u64,
    /// Page cache on the inactive list, in bytes. Working set = memory_usage - memory_inactive_file.
    pub memory_inactive_file: u64,
    /// Kernel memory in bytes.
    pub memory_kernel: u64,
    pub page_faults: u64,
    /// Page faults that needed disk I/O.
    pub page_faults_major: u64,
    /// Sums over all block devices.
    pub io_read_bytes: u64,
    pub io_write_bytes: u64,
    pub io_reads: u64,
    pub io_writes: u64,
    /// Time in nanoseconds in which at least one task (some) or all tasks (full) were stalled on a resource (PSI).
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

/// Return the container's id. Valid as long as the handle; NULL for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn berth_container_id(container: Option<&berth_container>) -> *const c_char {
    container.map_or(std::ptr::null(), |container| container.id.as_ptr())
}

/// Return the container's current status, a BERTH_STATUS_... constant. It is computed from the kernel's state on every
/// call, because other processes may have changed it.
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

/// Return the name of a status as the OCI runtime specification spells it ("running"), or "unknown". The string is valid for
/// ever.
#[unsafe(no_mangle)]
pub extern "C" fn berth_status_name(status: i32) -> *const c_char {
    static NAMES: LazyLock<Vec<(i32, CString)>> =
        LazyLock::new(|| Status::ALL.map(|status| (status as i32, c_string(status.name()))).into());
    infallible(c"unknown".as_ptr(), || {
        NAMES.iter().find(|(known, _)| *known == status).map_or(c"unknown".as_ptr(), |(_, name)| name.as_ptr())
    })
}

/// Return the container's state as JSON: OCI "State" (ociVersion, id, status, pid, bundle, annotations) with the
/// additional members rootfs, created, initProcessStartTime, cgroupPaths, namespacePaths and externalDescriptors. The
/// status may also be "paused".
///
/// Release `json` with berth_string_free. Errors: BERTH_E_NOT_FOUND.
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

/// Return the configuration that the container was created from, as it was given, with the limits that
/// berth_container_set has changed. Release `json` with berth_string_free.
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

/// Return the ids of all processes in the container's cgroups, in the caller's pid namespace and in ascending order.
/// `pids` receives an array of `count` numbers, or NULL if there are none. Release it with berth_pids_free.
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

/// Release an array that berth_container_pids has returned. NULL is ignored.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn berth_pids_free(pids: *mut i32) {
    // SAFETY: berth.h requires NULL or an array of berth_container_pids, once.
    unsafe { memory::release(pids) };
}

/// Read the container's resource usage (cgroups(7)). Set stats->size before the call. Members that only a newer header
/// than the library has are set to UINT64_MAX.
///
/// Designed for frequent calls: the first call opens the files that are read (up to 25 descriptors, closed with the
/// handle); later calls read them again, without allocating memory and without accessing the state directory. All
/// handles together keep at most a quarter of RLIMIT_NOFILE open; further handles open the files on each call.
///
/// The counters (CPU time, peak of the memory, OOM kills …) stay after the container's processes have ended, until it is
/// deleted: then they are the totals of a job.
///
/// Errors: BERTH_E_NOT_FOUND; BERTH_E_NOT_RUNNING if the container was not created completely, or if somebody else has
/// removed its cgroups.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn berth_container_stats(
    container: Option<&berth_container>,
    stats: *mut berth_stats,
    error: Option<&mut MaybeUninit<*mut berth_error>>,
) -> i32 {
    call(error, || {
        // SAFETY: berth.h requires a struct that begins with its size.
        unsafe { sized::check(stats, "stats") }?;
        let found = args::handle(container, "container")?.container.stats()?;
        // SAFETY: it is not NULL, was just checked, and is the caller's own until the function returns.
        unsafe { sized::write(stats, &berth_stats::from(found)) }
    })
}

/// Return all statistics of the container as JSON, in the format of "data" in runc's "events --stats": "cpu" (with
/// times of each CPU on cgroup v1, and pressure), "cpuset", "memory" (with all of memory.stat as "raw", and
/// "event_count"), "pids", "blkio", "hugetlb", "intel_rdt" (empty without linux.intelRdt), "network_interfaces" (each
/// interface of the container's network namespace as its processes see it; none if it has the host's), and, in addition
/// to runc's, "rdma". Members that runc omits when they are 0 are omitted.
///
/// Release `json` with berth_string_free. Errors: as berth_container_stats.
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

/// Wait until the container's init has ended and return how: as berth_process_wait for init, with the same parameters
/// and errors. A handle that has seen init end returns its status also after the container was deleted.
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

/// Return a pidfd of the container's init, as berth_process_pidfd: for poll(2), it becomes readable when init has
/// ended.
///
/// The init of a pid namespace cannot end while the namespace contains a zombie. Exec'd processes are zombies until
/// their status is read, by berth_process_wait or by any call on the container. So a caller that only polls this
/// descriptor should wait for the processes that it has executed, too.
///
/// Errors: BERTH_E_NOT_RUNNING if init has ended and this handle has not seen it; BERTH_E_NOT_FOUND.
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

/// Return a process handle of the container's init, for its pipes and terminal, which belong to the handle that created
/// the container. Release `process` with berth_process_free.
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
    fn values_that_the_host_lacks_are_all_ones() {
        let stats = berth_stats::from(Stats { cpu_usage_ns: Some(1), ..Stats::default() });
        assert_eq!((stats.cpu_usage_ns, stats.pids_limit), (1, u64::MAX));
    }
}
