//! The lock that all users of resctrl share: flock(2) on its root directory ("resctrl locking" in the kernel's
//! documentation). Every user may open that directory and hold the lock; such a holder is not waited for.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

use nix::sys::stat::{fstat, major, minor};
use nix::unistd::geteuid;

use crate::deadline::Deadline;
use crate::error::{Code, Context, Result};
use crate::sys::flock::{Lock, LockKind};
use crate::sys::{kernfs, procfs};

/// How long a holder is waited for before it is looked for.
const PATIENCE: Duration = Duration::from_millis(200);

/// Waits for the lock. Returns `None` if processes of other users hold it.
pub fn take(root: &Path, deadline: Deadline) -> Result<Option<Lock>> {
    take_on(|| kernfs::open_dir(root), &root.display().to_string(), deadline)
}

fn take_on(open: impl Fn() -> Result<OwnedFd>, name: &str, deadline: Deadline) -> Result<Option<Lock>> {
    loop {
        let busy = match Lock::of(open()?, LockKind::Exclusive, deadline.within(PATIENCE), || name.to_owned()) {
            Err(error) if error.code == Code::Busy => error,
            other => return other.map(Some),
        };
        if held_by_others(&open()?, name)? {
            log::warn!("{name} is locked by a process of another user: it is not waited for");
            return Ok(None);
        }
        if deadline.passed() {
            return Err(busy);
        }
    }
}

/// Whether processes hold a lock on this directory, and none of them is of root or of the caller's user. The process that
/// has locked it may have ended, and others have its descriptor; so the descriptors are looked at.
fn held_by_others(directory: &OwnedFd, name: &str) -> Result<bool> {
    let found = fstat(directory).context(|| format!("examining {name}"))?;
    // As in /proc/locks (proc(5)).
    let inode = format!(" {:02x}:{:02x}:{} ", major(found.st_dev), minor(found.st_dev), found.st_ino);
    let mut others = false;
    for pid in procfs::list(".")?.iter().filter(|name| name.bytes().all(|byte| byte.is_ascii_digit())) {
        let Some(status) = procfs::read_optional(&format!("{pid}/status"))? else { continue };
        // The real uid: a program with the set-uid bit is run by anybody.
        let uid = procfs::status_field(&status, "Uid").and_then(|uids| uids.split_whitespace().next()?.parse().ok());
        let is_trusted = uid.is_some_and(|uid: u32| uid == 0 || uid == geteuid().as_raw());
        if holds_lock(pid, &inode) {
            if is_trusted {
                return Ok(false);
            }
            others = true;
        }
    }
    Ok(others)
}

/// Whether a descriptor of the process has a lock on the inode. A process that ends, or may not be examined, holds none.
fn holds_lock(pid: &str, inode: &str) -> bool {
    let descriptors = procfs::list(&format!("{pid}/fdinfo")).unwrap_or_default();
    descriptors.iter().any(|fd| {
        let info = procfs::read(&format!("{pid}/fdinfo/{fd}")).unwrap_or_default();
        info.lines().any(|line| line.starts_with("lock:") && line.contains("FLOCK") && line.contains(inode))
    })
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;
    use std::process::{Child, Command, Stdio};

    use super::*;

    /// Starts a process that holds the lock until its standard input is closed.
    fn holder(directory: &Path, uid: u32) -> Child {
        let mut shell = Command::new("sh");
        shell.args(["-c", "exec 9<\"$0\"; flock 9; echo locked; read line"]).arg(directory);
        let mut child = shell.uid(uid).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "locked\n");
        child
    }

    #[test]
    fn only_a_lock_of_another_user_is_not_waited_for() {
        if !geteuid().is_root() {
            eprintln!("SKIPPED: needs root");
            return;
        }
        let directory = tempfile::Builder::new().prefix("berth-test-").tempdir().unwrap();
        std::fs::set_permissions(directory.path(), PermissionsExt::from_mode(0o755)).unwrap();
        let open = || Ok(std::fs::File::open(directory.path()).unwrap().into());
        let take = |deadline| take_on(open, "the directory", deadline);
        assert!(take(Deadline::after_ms(0)).unwrap().is_some(), "nobody has it");

        let mut other = holder(directory.path(), 61234);
        assert!(take(Deadline::NEVER).unwrap().is_none());
        drop(other.stdin.take());
        other.wait().unwrap();

        let mut own = holder(directory.path(), 0);
        assert_eq!(take(Deadline::after_ms(1000)).unwrap_err().code, Code::Busy);
        let waiting = std::thread::scope(|scope| {
            let waiting = scope.spawn(|| take(Deadline::NEVER).unwrap().is_some());
            drop(own.stdin.take());
            waiting.join().unwrap()
        });
        own.wait().unwrap();
        assert!(waiting);
    }
}
