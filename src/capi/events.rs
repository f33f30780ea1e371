//! Memory events of a container.

use std::mem::MaybeUninit;

use super::args;
use super::boundary::{call, infallible};
use super::container::berth_container;
use super::error::berth_error;
use crate::error::Error;
use crate::events::{Events, Level};

/// A subscription to events of one container. Release with berth_event_free, which ends it.
pub struct berth_event(Events);

/// Memory pressure levels, for berth_container_notify_memory_pressure.
#[repr(i32)]
pub enum berth_pressure {
    /// The kernel reclaims memory; caches shrink.
    Low = 1,
    /// Processes are stalled noticeably.
    Medium = 2,
    /// Little work gets done for lack of memory; the OOM killer may be next.
    Critical = 3,
}

const _: () = assert!(berth_pressure::Low as i32 == Level::Low as i32);
const _: () = assert!(berth_pressure::Medium as i32 == Level::Medium as i32);
const _: () = assert!(berth_pressure::Critical as i32 == Level::Critical as i32);

/// What has happened since the previous read.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct berth_occurred {
    /// Number of events.
    pub count: u64,
    /// 1 if the container's init has ended: no more events follow, and the descriptor stays readable. Else 0.
    pub ended: i32,
    /// Always 0.
    pub reserved: i32,
}

/// Subscribe to out-of-memory events. On cgroup v2 an event is a process that the OOM killer kills in the container or
/// in cgroups below it (memory.events, "oom_kill"). On v1 it is an out-of-memory condition of the container's limit or
/// of one above it (cgroup.event_control with memory.oom_control), also if the OOM killer is disabled.
///
/// Release `event` with berth_event_free. Only events after this call count.
///
/// Errors: BERTH_E_UNSUPPORTED if there is no memory controller, BERTH_E_NOT_RUNNING, BERTH_E_NOT_FOUND.
#[unsafe(no_mangle)]
pub extern "C" fn berth_container_notify_oom(
    container: Option<&berth_container>,
    event: Option<&mut MaybeUninit<*mut berth_event>>,
    error: Option<&mut MaybeUninit<*mut berth_error>>,
) -> i32 {
    call(error, || {
        let slot = args::out_pointer(event, "event")?;
        args::give(slot, berth_event(args::handle(container, "container")?.container.notify_oom()?));
        Ok(())
    })
}

/// Subscribe to memory pressure of `level`, a BERTH_PRESSURE_... constant. Levels are independent: subscribe to each
/// that you need.
///
/// On cgroup v2, by pressure stall information: BERTH_PRESSURE_LOW when some process has waited for memory for 30 ms within
/// one second, BERTH_PRESSURE_MEDIUM for 100 ms, and BERTH_PRESSURE_CRITICAL when all processes at once have waited for
/// 100 ms; counted at most once a second (for callers without CAP_SYS_RESOURCE: twice these times within two seconds). On v1, the kernel's own levels (memory.pressure_level), which come from how much
/// of what is scanned can be reclaimed.
///
/// Errors: as berth_container_notify_oom; BERTH_E_INVALID_ARGUMENT for an unknown level; BERTH_E_UNSUPPORTED if the
/// kernel does not measure pressure.
#[unsafe(no_mangle)]
pub extern "C" fn berth_container_notify_memory_pressure(
    container: Option<&berth_container>,
    level: i32,
    event: Option<&mut MaybeUninit<*mut berth_event>>,
    error: Option<&mut MaybeUninit<*mut berth_error>>,
) -> i32 {
    call(error, || {
        let slot = args::out_pointer(event, "event")?;
        let container = &args::handle(container, "container")?.container;
        let level = Level::ALL.into_iter().find(|known| *known as i32 == level).ok_or_else(|| {
            Error::invalid_argument(format!("level is {level}; expected 1 (low), 2 (medium) or 3 (critical)"))
                .detail("parameter", "level")
        })?;
        args::give(slot, berth_event(container.notify_memory_pressure(level)?));
        Ok(())
    })
}

/// Return a descriptor for the caller's poll(2) or epoll(7): it becomes readable when berth_event_read may return an
/// event, and when the container's init has ended. It may be readable although there is no event. Do not read from it.
/// The caller closes `fd`, before or after berth_event_free.
#[unsafe(no_mangle)]
pub extern "C" fn berth_event_fd(
    event: Option<&berth_event>,
    fd: Option<&mut MaybeUninit<i32>>,
    error: Option<&mut MaybeUninit<*mut berth_error>>,
) -> i32 {
    call(error, || {
        let slot = args::out_fd(fd, "fd")?;
        slot.write(args::into_raw(Some(args::handle(event, "event")?.0.descriptor()?)));
        Ok(())
    })
}

/// Read the events since the previous call. Blocks up to `timeout_ms` until there is one. If several threads call it,
/// each event goes to one of them. When the container's init ends, the last events are returned with or before "ended".
///
/// Errors: BERTH_E_TIMEOUT if nothing has happened.
#[unsafe(no_mangle)]
pub extern "C" fn berth_event_read(
    event: Option<&berth_event>,
    timeout_ms: i64,
    occurred: Option<&mut MaybeUninit<berth_occurred>>,
    error: Option<&mut MaybeUninit<*mut berth_error>>,
) -> i32 {
    call(error, || {
        let slot = args::out(occurred, "occurred")?;
        let found = args::handle(event, "event")?.0.read(timeout_ms)?;
        slot.write(berth_occurred { count: found.count, ended: found.ended.into(), reserved: 0 });
        Ok(())
    })
}

/// End a subscription and release it. NULL is ignored.
#[unsafe(no_mangle)]
pub extern "C" fn berth_event_free(event: Option<Box<berth_event>>) {
    infallible((), || drop(event));
}

/// Check whether the kernel's OOM killer has ended the container's init: `killed` becomes 1 if init ended by SIGKILL,
/// processes of the container were OOM-killed, and no SIGKILL was sent through this handle; else 0. Call it after
/// berth_container_wait and before berth_container_delete.
///
/// The kernel counts OOM kills per cgroup, not per process: if another process of the container was OOM-killed before,
/// a SIGKILL from outside this handle is mistaken for an OOM kill of init.
///
/// Errors: BERTH_E_TIMEOUT if init has not ended, BERTH_E_STATUS_UNKNOWN; BERTH_E_UNSUPPORTED if the kernel does not count
/// (cgroup v1 before Linux 4.13, or no memory controller); BERTH_E_NOT_FOUND.
#[unsafe(no_mangle)]
pub extern "C" fn berth_container_oom_killed(
    container: Option<&berth_container>,
    killed: Option<&mut MaybeUninit<i32>>,
    error: Option<&mut MaybeUninit<*mut berth_error>>,
) -> i32 {
    call(error, || {
        let slot = args::out(killed, "killed")?;
        slot.write(args::handle(container, "container")?.container.oom_killed()?.into());
        Ok(())
    })
}
