//! Named points at which a test has the process killed, to show that whatever is left can be removed.
//!
//! Without the feature `fault-points` a point is nothing at all.

#[cfg(not(feature = "fault-points"))]
pub(crate) fn point(_name: &str) {}

#[cfg(feature = "fault-points")]
pub(crate) use armed::point;
#[cfg(feature = "fault-points")]
pub use armed::{POINTS, arm};

#[cfg(feature = "fault-points")]
mod armed {
    use std::sync::Mutex;

    /// Every point there is, in the order in which a life passes them.
    pub const POINTS: [&str; 28] = [
        "create.directory",
        "record.written",
        "create.recorded",
        "create.cgroups",
        "create.limits",
        "create.fifo",
        "create.spawned",
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
        "delete.locked",
        "delete.recorded",
        "delete.killed",
        "delete.cgroups",
        "delete.files",
        "delete.emptied",
    ];

    static ARMED: Mutex<Option<(String, u32)>> = Mutex::new(None);

    /// The process kills itself when it passes the point of this name for the `pass`th time (1 is the first).
    pub fn arm(name: &str, pass: u32) {
        *ARMED.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = Some((name.to_owned(), pass));
    }

    pub(crate) fn point(name: &str) {
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
