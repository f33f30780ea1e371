//! Delete: nothing stays behind. Every step can be repeated, so a delete that was killed is finished by the next.

use std::time::{Duration, Instant};

use super::store::{Phase, Record};
use super::{Container, Status, status};
use crate::cgroup::Cgroup;
use crate::children;
use crate::deadline::Deadline;
use crate::error::{Code, Result};
use crate::fault;
use crate::hooks::Place;
use crate::identity::Identity;
use crate::spawn;
use crate::spec::hooks::Kind;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Force {
    /// Refuses a container that is not stopped.
    #[default]
    No,
    /// Kills what is left, and takes apart also what was never created in full.
    Kill,
}

impl Container {
    /// Removes the container: its processes, cgroups, and state; then its poststop hooks run. A handle stays valid,
    /// and answers [`Code::NotFound`].
    pub fn delete(&self, force: Force) -> Result<()> {
        let _lock = self.directory.lock(self.runtime.lock_deadline())?;
        fault::point("delete.locked");
        let Some(mut record) = self.directory.read()? else {
            return self.directory.remove();
        };
        let cgroup = self.cgroup(&record)?;
        let status = status::of(&record, cgroup.as_ref())?;
        if force == Force::No && status != Status::Stopped {
            return Err(self.wrong_state(Code::NotStopped, status, "stopped"));
        }
        self.record_deletion(&mut record);
        fault::point("delete.recorded");
        self.take_apart(&record)?;
        self.run_poststop_hooks(&record);
        fault::point("delete.files");
        self.directory.remove()
    }

    /// A full disk must not keep anybody from deleting; the phase only tells others what is going on.
    fn record_deletion(&self, record: &mut Record) {
        record.phase = Phase::Deleting;
        if let Ok(own) = Identity::own() {
            record.owner = own;
        }
        if let Err(error) = self.directory.write(record) {
            log::warn!("container {:?}: {error}", self.id);
        }
    }

    /// Ends all processes and removes the cgroups.
    pub(super) fn take_apart(&self, record: &Record) -> Result<()> {
        let cgroup = self.cgroup(record)?;
        self.kill(record, cgroup.as_ref())?;
        fault::point("delete.killed");
        cgroup.remove(self.runtime.cgroup_deadline())?;
        fault::point("delete.cgroups");
        Ok(())
    }

    /// Kills everything in the cgroups, and init wherever it is; waits until init is gone, and reaps it if it is ours.
    pub(super) fn kill(&self, record: &Record, cgroup: &dyn Cgroup) -> Result<()> {
        let init = match &record.init {
            Some(init) => init.identity.open()?,
            None => None,
        };
        if let Some(pidfd) = &init {
            let _ = spawn::send_signal(pidfd, libc::SIGKILL);
        }
        self.kill_members(cgroup)?;
        let deadline = Deadline::after(self.runtime.settings.cgroup_timeout);
        match (self.known_init(), init) {
            // The handle's own process keeps the status for those who ask later.
            (Some(process), _) => {
                let _ = process.wait_until(deadline);
            }
            (None, Some(pidfd)) => {
                let _ = spawn::wait(&pidfd, deadline);
            }
            (None, None) => {}
        }
        Ok(())
    }

    /// Kills everything in the cgroups. Children of ours that have ended are taken meanwhile: they keep the init of their
    /// pid namespace, which may be another container's too, from ending.
    pub(super) fn kill_members(&self, cgroup: &dyn Cgroup) -> Result<()> {
        if let Some(init) = self.known_init() {
            init.note_kill_if_alive();
        }
        let deadline = self.runtime.cgroup_deadline();
        let mut attempt = Duration::from_millis(5);
        loop {
            children::take_ended();
            let soon = Instant::now() + attempt;
            match cgroup.kill_all(soon.min(deadline)) {
                Err(error) if error.code == Code::Timeout && soon < deadline => attempt *= 2,
                other => return other,
            }
        }
    }

    /// A failing poststop hook is told to the log, and the rest goes on (OCI runtime specification, "Lifecycle").
    fn run_poststop_hooks(&self, record: &Record) {
        let run = self
            .config(record)
            .and_then(|config| self.run_hooks(Kind::Poststop, config, record, Status::Stopped, &Place::Host));
        if let Err(error) = run {
            log::warn!("container {:?}: {error}", self.id);
        }
    }

    /// Deletes a container whose creator or deleter was killed at its work.
    pub(crate) fn remove_if_abandoned(&self) -> Result<bool> {
        let abandoned = {
            let _lock = self.directory.lock(Deadline::after_ms(0))?;
            match self.directory.read()? {
                None => true,
                Some(record) => record.phase != Phase::Created && !record.owner.is_alive()?,
            }
        };
        if abandoned {
            self.delete(Force::Kill)?;
        }
        Ok(abandoned)
    }
}
