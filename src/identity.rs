//! Which process a pid means: pids are reused, a pid together with its start time and the boot is not.

use std::io::Read;
use std::os::fd::{FromRawFd, OwnedFd};
use std::sync::Mutex;

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;
use once_cell::sync::OnceCell;
use serde::{Deserialize, Serialize};

use crate::error::{Context, Error, Result};
use crate::spawn;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    pub pid: i32,
    /// Clock ticks between boot and the start of the process (proc_pid_stat(5), field 22).
    pub start_time: u64,
    pub boot_id: String,
}

/// What /proc says of a process at one moment.
pub struct ProcStat {
    pub parent: i32,
    pub session: i32,
    pub start_time: u64,
    /// R, S, D, Z …
    pub state: char,
    /// The program's name, as far as the kernel keeps it, or what the process has called itself.
    pub name: String,
}

impl Identity {
    pub fn of(pid: i32) -> Result<Identity> {
        let stat = proc_stat(pid)?.ok_or_else(|| Error::system(Errno::ESRCH, format!("looking at process {pid}")))?;
        Ok(Identity { pid, start_time: stat.start_time, boot_id: boot_id()?.to_owned() })
    }

    /// Asked of the kernel once per process: a forked one has another pid.
    pub fn own() -> Result<Identity> {
        static OWN: Mutex<Option<Identity>> = Mutex::new(None);
        let pid = std::process::id() as i32;
        let mut known = OWN.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some(own) = known.as_ref().filter(|own| own.pid == pid) {
            return Ok(own.clone());
        }
        Ok(known.insert(Identity::of(pid)?).clone())
    }

    /// The process, if it still lives. A zombie does not.
    pub fn is_alive(&self) -> Result<bool> {
        if self.boot_id != boot_id()? {
            return Ok(false);
        }
        Ok(proc_stat(self.pid)?.is_some_and(|now| now.start_time == self.start_time && !matches!(now.state, 'Z' | 'X')))
    }

    /// A descriptor of the process; None when it is gone (a zombie still counts).
    pub fn open(&self) -> Result<Option<OwnedFd>> {
        let pidfd = match pidfd_open(self.pid) {
            // EINVAL: the number now belongs to a thread.
            Err(Errno::ESRCH | Errno::EINVAL) => return Ok(None),
            other => other.context(|| format!("opening process {}", self.pid))?,
        };
        // Checked after opening: from here on the descriptor cannot mean another process.
        let same =
            self.boot_id == boot_id()? && proc_stat(self.pid)?.is_some_and(|now| now.start_time == self.start_time);
        Ok(same.then_some(pidfd))
    }
}

pub fn pidfd_open(pid: i32) -> nix::Result<OwnedFd> {
    // SAFETY: no pointers.
    let result = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    // SAFETY: the call has just given us this descriptor.
    Errno::result(result).map(|fd| unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

pub fn proc_stat(pid: i32) -> Result<Option<ProcStat>> {
    let Some(text) = read_proc(&format!("{pid}/stat"))? else { return Ok(None) };
    // The name in parentheses may have anything in it, also parentheses.
    let (before, after) = text.rsplit_once(") ").unwrap_or_default();
    let name = before.split_once('(').map_or("", |(_, name)| name).to_owned();
    let fields: Vec<&str> = after.split(' ').collect();
    let state = fields.first().and_then(|field| field.chars().next());
    let parent = fields.get(1).and_then(|field| field.parse().ok());
    let session = fields.get(3).and_then(|field| field.parse().ok());
    let start_time = fields.get(19).and_then(|field| field.parse().ok());
    match (state, parent, session, start_time) {
        (Some(state), Some(parent), Some(session), Some(start_time)) => {
            Ok(Some(ProcStat { parent, session, start_time, state, name }))
        }
        _ => Err(Error::system(Errno::EPROTO, format!("reading /proc/{pid}/stat"))),
    }
}

/// A file below /proc; None when the process is gone.
pub fn read_proc(path: &str) -> Result<Option<String>> {
    let doing = || format!("reading /proc/{path}");
    let file = match openat(spawn::proc()?, path, OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty()) {
        Err(Errno::ENOENT | Errno::ESRCH) => return Ok(None),
        other => other.context(doing)?,
    };
    // Room for all that is read here in one go; proc files have no size to tell.
    let mut text = Vec::with_capacity(2048);
    // A file that is taken a part of is not asked for its size and place first.
    match std::fs::File::from(file).take(u64::MAX).read_to_end(&mut text) {
        Err(error) if error.raw_os_error() == Some(libc::ESRCH) => Ok(None),
        Err(error) => Err(Error::io(&error, doing())),
        Ok(_) => Ok(Some(String::from_utf8_lossy(&text).into_owned())),
    }
}

/// Whether the caller is in another user namespace than the first, where all ids are what they are.
pub fn in_user_namespace() -> Result<bool> {
    let map = read_proc("self/uid_map")?.unwrap_or_default();
    Ok(map.split_whitespace().ne(["0", "0", "4294967295"]))
}

fn boot_id() -> Result<&'static str> {
    static BOOT_ID: OnceCell<String> = OnceCell::new();
    let read = || Ok(read_proc("sys/kernel/random/boot_id")?.unwrap_or_default().trim().to_owned());
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
