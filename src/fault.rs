//! Named points of a container's life cycle. A point that is passed is logged with the time, at level trace. With the
//! feature `fault-points`, a test can have the process killed at a point, to show that everything it has left can be
//! removed.

#[cfg(feature = "fault-points")]
pub use armed::{POINTS, arm};

pub(crate) fn point(name: &str) {
    if log::log_enabled!(target: TARGET, log::Level::Trace) {
        log::trace!(target: TARGET, "{name} {}", monotonic_ns());
    }
    #[cfg(feature = "fault-points")]
    armed::pass(name);
}

const TARGET: &str = "berth::point";

fn monotonic_ns() -> i128 {
    let now = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC);
    now.map_or(0, |now| i128::from(now.tv_sec()) * 1_000_000_000 + i128::from(now.tv_nsec()))
}

#[cfg(feature = "fault-points")]
mod armed {
    use std::sync::Mutex;

    /// All points, in the order in which a container's life cycle passes them.
    pub const POINTS: [&str; 48] = [
        "create.directory",
        "record.written",
        "create.recorded",
        "create.cgroups",
        "create.limits",
        "create.resctrl",
        "create.fifo",
        "create.spawned",
        "create.pinned",
        "create.linked",
        "create.moved",
        "create.networks",
        "create.attached",
        "create.hooks",
        "create.ready",
        "create.committed",
        "create.saved",
        "start.hooks",
        "start.opened",
        "start.released",
        "start.running",
        "exec.spawned",
        "exec.adopted",
        "exec.attached",
        "exec.executed",
        "pause.frozen",
        "resume.thawed",
        "checkpoint.recorded",
        "checkpoint.started",
        "checkpoint.locked",
        "checkpoint.dumped",
        "restore.recorded",
        "restore.limits",
        "restore.started",
        "restore.namespaces",
        "restore.verified",
        "restore.restored",
        "restore.committed",
        "delete.locked",
        "delete.recorded",
        "delete.killed",
        "delete.root",
        "delete.returned",
        "delete.networks",
        "delete.cgroups",
        "delete.resctrl",
        "delete.files",
        "delete.emptied",
    ];

    static ARMED: Mutex<Option<(String, u32)>> = Mutex::new(None);

    /// Makes the process kill itself when it passes the point `name` for the `pass`th time (1 is the first).
    pub fn arm(name: &str, pass: u32) {
        *ARMED.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = Some((name.to_owned(), pass));
    }

    pub(super) fn pass(name: &str) {
        debug_assert!(POINTS.contains(&name), "{name} is not in the list");
        let mut armed = ARMED.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some((_, passes)) = armed.as_mut().filter(|(armed, _)| armed == name) {
            *passes -= 1;
            if *passes == 0 {
                let _ = nix::sys::signal::raise(nix::sys::signal::Signal::SIGKILL);
            }
        }
    }
}
