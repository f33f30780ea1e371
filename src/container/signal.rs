//! Signals to a container: to its init, or to all its processes.

use nix::errno::Errno;

use super::{Container, Status};
use crate::error::{Code, Error, Result};

/// The recipients of a signal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Recipients {
    /// The container's init.
    #[default]
    Init,
    /// Every process in the container's cgroups.
    All,
}

impl Container {
    /// Sends a signal. SIGKILL takes effect at once in a paused container, too, which is thawed if frozen processes
    /// cannot die; other signals are delivered when the container is resumed.
    pub fn signal(&self, signal: i32, to: Recipients) -> Result<()> {
        if !(0..=64).contains(&signal) {
            return Err(Error::invalid_argument(format!("{signal} is not a signal; expected 0 to 64")));
        }
        let record = self.record()?;
        let cgroup = self.cgroup(&record)?;
        let status = self.status_of(&record, cgroup.as_ref())?;
        match to {
            // Without cgroups the container has a new pid namespace, and its processes end with init.
            Recipients::All if record.inputs.cgroup.absent && signal == libc::SIGKILL => {
                self.init_process()?.signal(signal)
            }
            Recipients::All if signal == libc::SIGKILL => self.kill_members(cgroup.as_ref()),
            Recipients::All => {
                // signal_all freezes and thaws the cgroup, which must not interfere with a pause.
                let _lock = self.directory.lock(self.runtime.lock_deadline())?;
                cgroup.signal_all(signal).map_err(|error| self.unless_ended(error))
            }
            Recipients::Init if !matches!(status, Status::Created | Status::Running | Status::Paused) => {
                Err(self.wrong_state(Code::NotRunning, status, "running").with_errno(Errno::ESRCH))
            }
            Recipients::Init => {
                self.init_process()?.signal(signal)?;
                if signal == libc::SIGKILL && status == Status::Paused {
                    let _lock = self.directory.lock(self.runtime.lock_deadline())?;
                    if cgroup.is_frozen()? {
                        cgroup.thaw(self.runtime.cgroup_deadline())?;
                    }
                }
                Ok(())
            }
        }
    }
}
