//! Set: changes the limits of a running, created or paused container.

use super::create::resources;
use super::{Container, Status};
use crate::cgroup::Cgroup;
use crate::cgroup::journal::Journal;
use crate::error::{Code, Error, Result};
use crate::spec::{Change, Config};
use crate::state::Record;

impl Container {
    /// Changes the limits to those of an OCI `linux.resources` document; limits that it omits remain. The change is
    /// saved in the configuration. After an error the previous limits apply; if one could not be restored, the error
    /// says so.
    pub fn set(&self, resources_json: &str) -> Result<()> {
        let _lock = self.directory.lock(self.runtime.lock_deadline())?;
        let record = self.record()?;
        let cgroup = self.cgroup(&record)?;
        match self.status_of(&record, cgroup.as_ref())? {
            Status::Running | Status::Created | Status::Paused => {}
            status => return Err(self.wrong_state(Code::NotRunning, status, "running, created or paused")),
        }
        // Read the saved configuration, not the handle's: another handle may have changed it.
        let before = self.saved_config(&record)?;
        let change = before.with_resources(resources_json)?;
        let journal = Journal::default();
        let result = self.change(&record, cgroup.as_ref(), &change, &journal);
        result.map_err(|error| revert(cgroup.as_ref(), &before, &change, &journal, error))
    }

    fn change(&self, record: &Record, cgroup: &dyn Cgroup, change: &Change, journal: &Journal) -> Result<()> {
        cgroup.change(&change.write, &resources(change.config.spec()), journal)?;
        if change.write.devices().is_some() {
            cgroup.set_device_rules(change.write.devices().as_deref())?;
        }
        if let Some(group) = &record.inputs.resctrl {
            group.change(&change.shares, journal, self.runtime.lock_deadline())?;
        }
        self.directory.replace_config(change.config.json())
    }

    fn saved_config(&self, record: &Record) -> Result<Config> {
        Config::from_record(&self.directory.read_config()?, record.bundle.as_deref(), &record.inputs.rootfs)
    }
}

fn revert(cgroup: &dyn Cgroup, before: &Config, change: &Change, journal: &Journal, error: Error) -> Error {
    let resources = resources(before.spec());
    // Revert the manager (systemd) first: the journal then overwrites the values that it sets.
    if let Err(second) = cgroup.revert(&change.write, &resources) {
        log::warn!("reverting a failed change of limits: {second}");
    }
    let error = journal.undo_after(error);
    if change.write.devices().is_none() {
        return error;
    }
    match cgroup.set_device_rules(resources.devices().as_deref()) {
        Ok(()) => error,
        Err(second) => {
            let message = format!("{} (and the previous device rules were not restored: {second})", error.message);
            Error { message, ..error }.detail("restored", false)
        }
    }
}
