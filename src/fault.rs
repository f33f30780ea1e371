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
    pub const POINTS: [&str; 24] = [
        "create.directory",
        "create.recorded",
        "create.cgroups",
        "create.limits",
        "create.fifo",
        "create.spawned",
        "create.pinned",
        "create.linked",
        "create.moved",
        "create.networks",
        "create.attached",
        "create.hooks",
        "create.ready",
        "create.saved",
        "start.opened",
        "start.released",
        "start.running",
        "delete.locked",
        "delete.recorded",
        "delete.killed",
        "delete.returned",
        "delete.networks",
        "delete.cgroups",
        "delete.files",
    ];

    static ARMED: Mutex<Option<String>> = Mutex::new(None);

    /// The process kills itself when it passes the point of this name.
    pub fn arm(name: &str) {
        *ARMED.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = Some(name.to_owned());
    }

    pub(crate) fn point(name: &str) {
        debug_assert!(POINTS.contains(&name), "{name} is not in the list");
        if ARMED.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).as_deref() == Some(name) {
            let _ = nix::sys::signal::raise(nix::sys::signal::Signal::SIGKILL);
        }
    }
}
