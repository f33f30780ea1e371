//! Pause and resume, by the freezer. Both return when the kernel confirms the new state.

use super::{Container, Status};
use crate::error::{Code, Result};
use crate::fault;

impl Container {
    /// Freezes a running or created container. If it cannot be frozen within the timeout, it continues to run.
    pub fn pause(&self) -> Result<()> {
        let _lock = self.directory.lock(self.runtime.lock_deadline())?;
        let record = self.record()?;
        let cgroup = self.cgroup(&record)?;
        match self.status_of(&record, cgroup.as_ref())? {
            Status::Running | Status::Created => {
                cgroup.freeze(self.runtime.cgroup_deadline()).map_err(|error| self.unless_ended(error))?;
                fault::point("pause.frozen");
                Ok(())
            }
            status @ Status::Paused => Err(self.wrong_state(Code::Paused, status, "running or created")),
            status => Err(self.wrong_state(Code::NotRunning, status, "running or created")),
        }
    }

    /// Thaws a paused container.
    pub fn resume(&self) -> Result<()> {
        let _lock = self.directory.lock(self.runtime.lock_deadline())?;
        let mut record = self.record()?;
        let cgroup = self.cgroup(&record)?;
        let before = self.status_of(&record, cgroup.as_ref())?;
        let interrupted = record.checkpoint.is_some();
        self.clean_up_checkpoint(&mut record)?;
        match self.status_of(&record, cgroup.as_ref())? {
            // The container was frozen by a checkpoint whose caller was killed.
            Status::Running if interrupted && before == Status::Paused => Ok(()),
            Status::Paused => {
                cgroup.thaw(self.runtime.cgroup_deadline())?;
                fault::point("resume.thawed");
                Ok(())
            }
            status => Err(self.wrong_state(Code::NotPaused, status, "paused")),
        }
    }
}
