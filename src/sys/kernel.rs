//! What the running kernel has.

use crate::error::{Error, Result};

/// Fails if the kernel has no mount_setattr(2), as before Linux 5.12. `path` is the JSON path of the field that needs it,
/// `what` the need. A call that a filter refuses is reported by init, when it has made it.
pub fn need_mount_setattr(path: &str, what: &str) -> Result<()> {
    let missing = berth_init::sys::ENOSYS;
    // Changes nothing: there is no such descriptor, and no attribute is named.
    if berth_init::sys::mount_setattr(-1, false, 0, 0, 0) != Err(missing) {
        return Ok(());
    }
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let problem = format!(
        "{what} need mount_setattr(2), which Linux has since 5.12 and this kernel, {}, does not have",
        release.trim()
    );
    Err(Error::unsupported_field(path, problem).with_errno(nix::errno::Errno::ENOSYS))
}
