//! Identifies a process: pids are reused, but a pid together with its start time and the boot id is unique.

use std::os::fd::OwnedFd;
use std::sync::Mutex;

use nix::errno::Errno;
use once_cell::sync::OnceCell;
use serde::{Deserialize, Serialize};

use super::{pidfd, procfs};
use crate::error::{Context, Error, Result};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    pub pid: i32,
    /// The start time in clock ticks since boot (proc_pid_stat(5), field 22).
    pub start_time: u64,
    pub boot_id: String,
}

impl Identity {
    pub fn of(pid: i32) -> Result<Identity> {
        let stat = procfs::stat(pid)?.ok_or_else(|| Error::system(Errno::ESRCH, format!("examining process {pid}")))?;
        Ok(Identity { pid, start_time: stat.start_time, boot_id: boot_id()?.to_owned() })
    }

    /// Returns the identity of the caller. Read once per process: a forked one has another pid.
    pub fn own() -> Result<Identity> {
        static CACHE: Mutex<Option<Identity>> = Mutex::new(None);
        let pid = std::process::id() as i32;
        let mut known = CACHE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some(own) = known.as_ref().filter(|own| own.pid == pid) {
            return Ok(own.clone());
        }
        Ok(known.insert(Identity::of(pid)?).clone())
    }

    /// Whether the process is alive. A zombie is not.
    pub fn is_alive(&self) -> Result<bool> {
        if self.boot_id != boot_id()? {
            return Ok(false);
        }
        Ok(procfs::stat(self.pid)?
            .is_some_and(|now| now.start_time == self.start_time && !matches!(now.state, 'Z' | 'X')))
    }

    /// Opens a pidfd of the process. Returns `None` if the process no longer exists (a zombie still does).
    pub fn open(&self) -> Result<Option<OwnedFd>> {
        let pidfd = match pidfd::open(self.pid) {
            // EINVAL: the number is now the id of a thread.
            Err(Errno::ESRCH | Errno::EINVAL) => return Ok(None),
            other => other.context(|| format!("opening process {}", self.pid))?,
        };
        // Check after opening: from now on the descriptor cannot refer to another process.
        let same =
            self.boot_id == boot_id()? && procfs::stat(self.pid)?.is_some_and(|now| now.start_time == self.start_time);
        Ok(same.then_some(pidfd))
    }
}

fn boot_id() -> Result<&'static str> {
    static BOOT_ID: OnceCell<String> = OnceCell::new();
    let read = || Ok(procfs::read_optional("sys/kernel/random/boot_id")?.unwrap_or_default().trim().to_owned());
    BOOT_ID.get_or_try_init(read).map(String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_calling_process_is_alive_and_itself() {
        let own = Identity::own().unwrap();
        assert!(own.is_alive().unwrap());
        assert!(own.open().unwrap().is_some());
    }

    #[test]
    fn a_reused_pid_is_not_our_process() {
        let mut other = Identity::own().unwrap();
        other.start_time += 1;
        assert!(!other.is_alive().unwrap());
        assert!(other.open().unwrap().is_none());
        let rebooted = Identity { boot_id: "another".into(), ..Identity::own().unwrap() };
        assert!(!rebooted.is_alive().unwrap());
    }

    #[test]
    fn a_zombie_is_not_alive() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let identity = Identity::of(child.id() as i32).unwrap();
        let pidfd = identity.open().unwrap().unwrap();
        assert!(crate::deadline::Deadline::after_ms(60_000).readable(std::os::fd::AsFd::as_fd(&pidfd)).unwrap());
        assert!(!identity.is_alive().unwrap());
        child.wait().unwrap();
        assert!(identity.open().unwrap().is_none());
    }
}
