//! Subscribes to events of the container's memory, and detects that its init was OOM-killed.

use std::os::fd::OwnedFd;

use super::{Container, Status};
use crate::error::{Code, Error, Result};
use crate::events::{Events, Level};
use crate::sys::exit_status::ExitStatus;

impl Container {
    /// Subscribes to events that occur when the container runs out of memory.
    pub fn notify_oom(&self) -> Result<Events> {
        let (init, cgroup) = self.watched()?;
        Events::new(cgroup.notify_oom()?, init)
    }

    /// Subscribes to events that occur when memory pressure reaches a level.
    pub fn notify_memory_pressure(&self, level: Level) -> Result<Events> {
        let (init, cgroup) = self.watched()?;
        Events::new(cgroup.notify_pressure(level)?, init)
    }

    fn watched(&self) -> Result<(OwnedFd, Box<dyn crate::cgroup::Cgroup>)> {
        let record = self.record()?;
        let cgroup = self.cgroup(&record)?;
        let ended = || self.wrong_state(Code::NotRunning, Status::Stopped, "running, created or paused");
        match self.status_of(&record, cgroup.as_ref())? {
            Status::Running | Status::Created | Status::Paused => {}
            status => return Err(self.wrong_state(Code::NotRunning, status, "running, created or paused")),
        }
        let init = record.init.as_ref().ok_or_else(ended)?.identity.open()?.ok_or_else(ended)?;
        Ok((init, cgroup))
    }

    /// Whether the kernel's OOM killer has killed the container's init: init was killed by SIGKILL, the cgroup has
    /// counted OOM kills, and this handle has sent no SIGKILL.
    ///
    /// Does not wait: returns [`Code::Timeout`] while init runs. The kernel counts OOM kills per cgroup and not per
    /// process. If processes other than init were OOM-killed before, a SIGKILL that libberth has not sent is therefore
    /// mistaken for another OOM kill.
    pub fn oom_killed(&self) -> Result<bool> {
        match self.wait(0)? {
            ExitStatus::Signaled { signal: libc::SIGKILL, .. } if !self.init_process()?.was_killed() => {}
            _ => return Ok(false),
        }
        let unknown = || Error::new(Code::Unsupported, "this kernel does not count OOM kills of a cgroup");
        Ok(self.stats()?.oom_kills.ok_or_else(unknown)? > 0)
    }
}
