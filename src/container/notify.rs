//! Subscriptions to what happens to the container's memory, and how its init came to its end.

use std::os::fd::OwnedFd;

use super::{Container, Status};
use crate::error::{Code, Error, Result};
use crate::events::{Events, Level};
use crate::sys::pidfd::ExitStatus;

impl Container {
    /// Events when the container runs out of memory.
    pub fn notify_oom(&self) -> Result<Events> {
        let (init, cgroup) = self.watched()?;
        Events::new(cgroup.notify_oom()?, init)
    }

    /// Events when memory becomes hard to get.
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

    /// Whether the kernel's OOM killer has ended the container's init: it was killed by SIGKILL, the cgroup has counted
    /// OOM kills, and no SIGKILL was sent through this handle.
    ///
    /// Does not wait: [`Code::Timeout`] while init lives. The kernel counts kills by cgroup and not by process, so where
    /// other processes than init have been OOM-killed before, a SIGKILL from outside of libberth is taken for one more.
    pub fn oom_killed(&self) -> Result<bool> {
        match self.wait(0)? {
            ExitStatus::Signaled { signal: libc::SIGKILL, .. } if !self.init_process()?.was_killed() => {}
            _ => return Ok(false),
        }
        let unknown = || Error::new(Code::Unsupported, "this kernel does not count OOM kills of a cgroup");
        Ok(self.stats()?.oom_kills.ok_or_else(unknown)? > 0)
    }
}
