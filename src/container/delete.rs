//! Delete: removes everything of a container. Every step can be repeated, so the next delete completes one that was
//! killed.

use std::os::fd::AsFd;
use std::path::Path;
use std::time::{Duration, Instant};

use super::{Container, Status, status};
use crate::cgroup::{self, Cgroup, Manager};
use crate::deadline::Deadline;
use crate::error::{Code, Error, Result};
use crate::fault;
use crate::network::{self, Journal};
use crate::process::Process;
use crate::rdt::{self, Group};
use crate::spec::hooks::Kind;
use crate::state::{self, Init, Phase, Record};
use crate::sys::{children, exit_status, flock::LockKind, identity::Identity, kernfs, pidfd};

const EXIT_TIMEOUT: Duration = Duration::from_secs(2);
/// The time after which a killed init is looked for in a frozen cgroup.
const THAW_AFTER: Duration = Duration::from_millis(100);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
/// Whether delete removes a container that is not stopped.
pub enum Force {
    /// Refuses a container that is not stopped.
    #[default]
    No,
    /// Refuses a container that runs. Kills one that was created and never started.
    Created,
    /// Kills the container's processes. Also removes a container that was never completely created.
    Kill,
}

impl Container {
    /// Removes the container: its processes, cgroups and state. Its poststop hooks run after its processes have ended.
    /// A handle stays valid, and returns [`Code::NotFound`].
    pub fn delete(&self, force: Force) -> Result<()> {
        children::reap(self.directory.path());
        let _lock = self.directory.lock(self.runtime.lock_deadline())?;
        fault::point("delete.locked");
        self.delete_locked(force)
    }

    pub(super) fn delete_locked(&self, force: Force) -> Result<()> {
        let mut record = match self.directory.read() {
            Ok(Some(record)) => record,
            Ok(None) => return self.directory.remove(),
            Err(error) if force == Force::Kill && state::is_damaged(&error) => {
                log::warn!("container {:?}: {error}", self.id);
                return self.tear_down(&self.guess()?).and_then(|()| self.directory.remove());
            }
            Err(error) => return Err(error),
        };
        if let Err(error) = self.check(&record) {
            // A stopped container's cgroups are emptied as well, and these may be of others. A cgroup that is there and
            // cannot be removed now needs the record.
            if force != Force::Kill || cgroup::is_unreachable(&error) {
                return Err(error);
            }
            log::warn!("container {:?}: {error}", self.id);
            return self.tear_down(&self.guess()?).and_then(|()| self.directory.remove());
        }
        let cgroup = self.cgroup(&record)?;
        let status = match self.status_of(&record, cgroup.as_ref())? {
            // A creator holds the lock until it is done: it was killed, and its process is still exiting.
            Status::Creating => Status::Stopped,
            status => status,
        };
        let permitted = match force {
            Force::No => status == Status::Stopped,
            Force::Created => matches!(status, Status::Stopped | Status::Created),
            Force::Kill => true,
        };
        if !permitted {
            return Err(self.wrong_state(Code::NotStopped, status, "stopped"));
        }
        self.record_deletion(&mut record);
        fault::point("delete.recorded");
        self.tear_down(&record)?;
        self.run_poststop_hooks(&record);
        fault::point("delete.files");
        self.directory.remove()
    }

    /// Fails if the record is not this container's: then none of its contents can be relied on.
    fn check(&self, record: &Record) -> Result<()> {
        if record.id != self.id {
            return Err(Error::new(Code::System, format!("the record is container {:?}'s", record.id)));
        }
        if record.init.as_ref().is_some_and(|init| init.identity.pid <= 1) {
            return Err(Error::new(Code::System, "the record's init cannot be a container's process"));
        }
        record.network.iter().try_for_each(Journal::check)?;
        record.inputs.resctrl.iter().try_for_each(Group::check)?;
        record.inputs.cgroup.check()
    }

    /// Returns a record for a container whose record is damaged: with the cgroups and the resctrl groups that its
    /// configuration names, or otherwise those that follow from its id. Its init is among the processes in these
    /// cgroups.
    fn guess(&self) -> Result<Record> {
        let config = self.directory.read_config().ok();
        let config: serde_json::Value = config.and_then(|json| serde_json::from_str(&json).ok()).unwrap_or_default();
        let cgroups_path = config.pointer("/linux/cgroupsPath").and_then(|path| path.as_str());
        let cgroups_path = cgroups_path.filter(|path| !path.is_empty()).map(Path::new);
        let layout = match (self.runtime.settings.cgroup_manager, cgroups_path) {
            (Manager::Files, None) if self.runtime.is_rootless()? => cgroup::locate_permitted(&self.id)?,
            (manager, path) => cgroup::locate_with(manager, path, &self.id)?,
        };
        Ok(Record::placeholder(&self.id, layout, rdt::locate(&config, &self.id)))
    }

    /// Records that the container is being deleted. Continues without the record if the disk is full: the phase only
    /// informs other callers.
    fn record_deletion(&self, record: &mut Record) {
        record.phase = Phase::Deleting;
        if let Ok(own) = Identity::own() {
            record.owner = own;
        }
        if let Err(error) = self.directory.write(record) {
            log::warn!("container {:?}: {error}", self.id);
        }
    }

    /// Kills all processes, and removes the container's networks, cgroups and resctrl groups.
    pub(super) fn tear_down(&self, record: &Record) -> Result<()> {
        let cgroup = self.cgroup(record)?;
        self.kill(record, cgroup.as_ref())?;
        fault::point("delete.killed");
        self.unmount_root(record)?;
        fault::point("delete.root");
        network::take_down(record.network.as_ref(), &self.network_pin(), self.runtime.setup_deadline())?;
        cgroup.remove(self.runtime.cgroup_deadline())?;
        fault::point("delete.cgroups");
        if let Some(group) = &record.inputs.resctrl {
            group.remove(self.runtime.lock_deadline())?;
        }
        fault::point("delete.resctrl");
        Ok(())
    }

    /// Kills all processes in the cgroups, and init in any cgroup; waits until init has exited, and reaps it if it is a
    /// child of the caller.
    pub(super) fn kill(&self, record: &Record, cgroup: &dyn Cgroup) -> Result<()> {
        let known = self.known_init();
        let init = match &record.init {
            Some(init) if !known.as_ref().is_some_and(Process::has_ended) => init.identity.open()?,
            _ => None,
        };
        if let Some(pidfd) = &init {
            // It has ended meanwhile, or the wait below tells that it has not.
            let _ = pidfd::send_signal(pidfd, libc::SIGKILL);
        }
        self.kill_members(cgroup)?;
        // The cgroups are empty. init may still be blocked in its exit by zombies whose parent, another process, does
        // not reap them. There is no need to wait for them, so the wait is short.
        let deadline = Deadline::after(self.runtime.settings.cgroup_timeout).within(EXIT_TIMEOUT);
        let wait = |deadline: Deadline| match (&known, &init) {
            // The handle's process stores the status for later calls of wait.
            (Some(process), _) => process.wait_until(deadline).is_err_and(|error| error.code == Code::Timeout),
            (None, Some(pidfd)) => {
                children::wait_for_init(self.directory.path(), pidfd.as_fd(), deadline);
                // Reaps it if it is a child of the caller. Any other answer but a timeout means that it has ended.
                exit_status::wait(pidfd, Deadline::after_ms(0)).is_err_and(|error| error.code == Code::Timeout)
            }
            (None, None) => false,
        };
        if wait(deadline.within(THAW_AFTER))
            && let Some(init) = &record.init
        {
            self.thaw_elsewhere(init, cgroup)?;
            if wait(deadline) && status::executes(init)? {
                let place = cgroup::frozen_elsewhere(init.identity.pid)?;
                return Err(not_ended(&self.id, init, place.as_deref()));
            }
        }
        children::reap(self.directory.path());
        Ok(())
    }

    /// Moves init into the container's own cgroups, which are thawed, if somebody has moved it into a frozen cgroup of v1:
    /// there, SIGKILL has no effect until it is thawed, and that cgroup is not the container's to thaw.
    fn thaw_elsewhere(&self, init: &Init, cgroup: &dyn Cgroup) -> Result<()> {
        let Some(place) = cgroup::frozen_elsewhere(init.identity.pid)? else { return Ok(()) };
        // A frozen process cannot end, so the pid is still its.
        if !init.identity.is_alive()? {
            return Ok(());
        }
        let (id, place) = (&self.id, place.display());
        log::warn!(
            "container {id:?}: its init was moved into the frozen cgroup {place}, and is taken out to be killed"
        );
        match cgroup.attach(init.identity.pid) {
            // The container has no cgroup to move it into: the caller's wait tells that init has not ended.
            Err(error) if kernfs::is_gone(&error) || error.code == Code::Unsupported => Ok(()),
            other => other,
        }
    }

    /// Kills all processes in the cgroups. Meanwhile it reaps the caller's exited children: as zombies they would
    /// prevent the init of their pid namespace, which may be that of another container, from exiting.
    pub(super) fn kill_members(&self, cgroup: &dyn Cgroup) -> Result<()> {
        if let Some(init) = self.known_init() {
            init.note_kill_if_alive();
        }
        let deadline = self.runtime.cgroup_deadline();
        let mut attempt = Duration::from_millis(5);
        children::reap(self.directory.path());
        loop {
            let soon = Instant::now() + attempt;
            match cgroup.kill_all(soon.min(deadline)) {
                Err(error) if error.code == Code::Timeout && soon < deadline => attempt *= 2,
                other => return other,
            }
            children::reap_all();
        }
    }

    /// Runs the poststop hooks. Their failures are only logged, and so are errors that prevent them from running.
    pub(super) fn run_poststop_hooks(&self, record: &Record) {
        let run =
            self.config(record).and_then(|config| self.run_host_hooks(Kind::Poststop, config, record, Status::Stopped));
        if let Err(error) = run {
            log::warn!("container {:?}: {error}", self.id);
        }
    }

    /// Deletes the container if its creator or deleter was killed before it finished, and returns whether it did. Also
    /// cleans up after a checkpoint whose caller was killed.
    pub(crate) fn remove_if_abandoned(&self) -> Result<bool> {
        let creators = self.runtime.root.lock(LockKind::Exclusive, self.runtime.lock_deadline())?;
        let _lock = self.directory.lock(Deadline::after_ms(0))?;
        drop(creators);
        // Creators and deleters hold the lock until they finish, so none is active now.
        if let Some(mut record) = self.directory.read()?.filter(|record| record.phase == Phase::Created) {
            self.clean_up_checkpoint(&mut record)?;
            return Ok(false);
        }
        self.delete_locked(Force::Kill).map(|()| true)
    }
}

/// Returns the error for an init that still executes its program after SIGKILL.
fn not_ended(id: &str, init: &Init, frozen: Option<&Path>) -> Error {
    let reason = match frozen {
        Some(place) => format!("it is in the frozen cgroup {}", place.display()),
        None => "it does not get the signal (an uninterruptible system call)".to_owned(),
    };
    let message =
        format!("container {id:?}: its init, process {}, has not ended after SIGKILL: {reason}", init.identity.pid);
    Error::new(Code::Timeout, message).detail("id", id)
}
