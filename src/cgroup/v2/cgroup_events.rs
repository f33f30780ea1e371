//! `cgroup.events`: whether a cgroup has processes and whether it is frozen, with notification.

use std::path::Path;
use std::time::Instant;

use nix::errno::Errno;
use nix::fcntl::OFlag;

use crate::cgroup::limit::parse_table;
use crate::cgroup::wait;
use crate::error::{Context, Result};
use crate::sys::kernfs;

/// Waits until `key` has the value. Returns `Some(true)` when it has, `Some(false)` at the deadline, and `None` if the
/// cgroup no longer exists.
pub fn wait(dir: &Path, key: &str, value: u64, deadline: Instant) -> Result<Option<bool>> {
    let path = dir.join("cgroup.events");
    let Some(file) = kernfs::optional(kernfs::open(&path, OFlag::O_RDONLY))? else { return Ok(None) };
    let mut look = 0u32;
    loop {
        let text = match kernfs::read_all(&file) {
            Err(Errno::ENODEV) => return Ok(None),
            result => result.context(|| format!("reading {}", path.display()))?,
        };
        if parse_table(&text).get(key) == Some(&value) {
            return Ok(Some(true));
        }
        if !wait::notification(&file, look, deadline)? {
            return Ok(Some(false));
        }
        look = look.saturating_add(1);
    }
}
