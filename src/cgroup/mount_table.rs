//! Caches the host's cgroup mounts, and reads them again only if a mount has changed.
//!
//! The mount table of a busy host has hundreds of lines, and the kernel takes longer to produce it than to create a
//! container's cgroups. A poll on the table reports changes: proc_pid_mounts(5), "poll".

use std::fs::File;
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::hierarchy::{self, Mount};
use crate::error::{Context, Result};
use crate::sys::{kernfs, mountinfo, procfs};

struct CachedTable {
    /// The process that opened `table`: a forked process shares the descriptor and the changes already reported on it.
    pid: u32,
    /// The inode number of the mount namespace.
    namespace: u64,
    table: File,
    mounts: Arc<[Mount]>,
}

/// Returns the cgroup mounts that are reachable at this moment.
pub fn cgroups() -> Result<Arc<[Mount]>> {
    static CACHE: Mutex<Option<CachedTable>> = Mutex::new(None);
    let pid = std::process::id();
    let (_, namespace) = procfs::identity_of("self/ns/mnt")?;
    let mut cache = CACHE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    if let Some(cache) = cache.as_ref()
        && (cache.pid, cache.namespace) == (pid, namespace)
        && !has_changed(&cache.table)
    {
        return Ok(cache.mounts.clone());
    }
    // Poll reports changes since the file was opened, so open it before reading.
    let table = File::from(procfs::open("self/mountinfo", OFlag::O_RDONLY)?);
    let text = procfs::read_to_end(&table, mountinfo::TYPICAL_SIZE).context(|| "reading /proc/self/mountinfo")?;
    let mut mounts = hierarchy::mounts(&text);
    let mut unknown = Ok(());
    mounts.retain(|mount| match kernfs::device(&mount.point) {
        Ok(device) => device == mount.device,
        // A mount that is hidden below another is listed but not reachable.
        Err(Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP | Errno::EACCES) => false,
        Err(errno) => {
            unknown = Err(errno).context(|| format!("examining {}", mount.point.display()));
            false
        }
    });
    unknown?;
    let mounts: Arc<[Mount]> = mounts.into();
    *cache = Some(CachedTable { pid, namespace, table, mounts: mounts.clone() });
    Ok(mounts)
}

fn has_changed(table: &File) -> bool {
    let mut watched = [PollFd::new(table.as_fd(), PollFlags::POLLPRI)];
    let polled = poll(&mut watched, PollTimeout::ZERO);
    // If in doubt, the table is read again.
    polled.is_err() || watched[0].revents().is_none_or(|events| events.contains(PollFlags::POLLPRI))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_cached_until_a_mount_changes() {
        // Another process may mount something between two calls, but not each time.
        assert!((0..1000).any(|_| Arc::ptr_eq(&cgroups().unwrap(), &cgroups().unwrap())));
    }
}
