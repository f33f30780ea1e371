//! Exec: a further process in a running container, with its own specification.

use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};

use super::create::process_of;
use super::prepare;
use super::store::Record;
use super::{Container, Status, status};
use crate::cgroup::Cgroup;
use crate::error::{Code, Result};
use crate::plan::{self, Descriptor, Join, Plan, Step};
use crate::process::{Process, ProcessOptions, Streams, send_terminal};
use crate::spawn::{self, Child, Launch};
use crate::spec::{Config, oci};

impl Container {
    /// Executes a process in the container's namespaces and cgroups and returns when its program runs. Capabilities
    /// that `process` leaves out are those of the container's own process.
    ///
    /// The container must be running or created. No lock is held: the pidfd of init names the namespaces, and a
    /// container that is deleted meanwhile is an error.
    pub fn exec(&self, process: &oci::Process, options: &ProcessOptions) -> Result<Process> {
        let terminal = process.terminal().unwrap_or(false);
        options.check(terminal)?;
        let record = self.record()?;
        let cgroup = self.cgroup(&record)?;
        let mut status = status::of(&record, cgroup.as_ref())?;
        if status == Status::Paused {
            // Or frozen for a moment, by a signal to all that is under way; that one has the lock.
            let _lock = self.directory.lock(self.runtime.lock_deadline())?;
            status = status::of(&record, cgroup.as_ref())?;
        }
        match status {
            Status::Running | Status::Created => {}
            status @ Status::Paused => return Err(self.wrong_state(Code::Paused, status, "running")),
            status => return Err(self.wrong_state(Code::NotRunning, status, "running")),
        }
        let config = self.config(&record)?;
        let plan = self.join_plan(config, &record, process, options.parent_death_signal);
        let owner = prepare::owner(config.spec(), process.user().uid(), process.user().gid());
        let mut streams = Streams::open(options, terminal, owner)?;
        let (child, master) = self.join(&plan, &record, cgroup.as_ref(), Some(process), &streams.low)?;
        let stdio = std::mem::take(&mut streams.ours);
        let leader = record.init.as_ref().map_or(0, |init| init.identity.pid);
        let process = Process::started(child, leader, stdio);
        match (&options.console_socket, master) {
            (Some(socket), Some(master)) => {
                send_terminal(socket, &master).inspect_err(|_| process.kill_and_reap())?;
                Ok(process)
            }
            (_, master) => Ok(process.with_terminal(master)),
        }
    }

    fn join_plan(&self, config: &Config, record: &Record, process: &oci::Process, parent_death_signal: i32) -> Plan {
        plan::join(&Join {
            id: &self.id,
            process,
            container_process: config.spec().process().as_ref(),
            namespaces: record.namespaces,
            into_cgroup: record.into_cgroup,
            parent_death_signal,
        })
    }

    /// A startContainer hook runs as the container's process would: its program lies in the image, so it gets no more
    /// privileges than the image's own.
    pub(super) fn hook_plan(&self, config: &Config, record: &Record, hook: &oci::Hook) -> Plan {
        let mut process = process_of(config).cloned().unwrap_or_default();
        process.set_terminal(None);
        process.set_env(hook.env().clone());
        let mut plan = self.join_plan(config, record, &process, 0);
        if let Some(Step::Exec { file, args, .. }) = plan.steps.last_mut() {
            let path = hook.path().to_string_lossy().into_owned();
            *args = hook.args().clone().unwrap_or_else(|| vec![path.clone()]);
            *file = Some(path);
        }
        plan
    }

    /// Starts a join plan and returns the process once it has executed, and its terminal.
    pub(super) fn join(
        &self,
        plan: &Plan,
        record: &Record,
        cgroup: &dyn Cgroup,
        process: Option<&oci::Process>,
        low: &[RawFd],
    ) -> Result<(Child, Option<OwnedFd>)> {
        let ended = || self.wrong_state(Code::NotRunning, Status::Stopped, "running");
        let init = record.init.as_ref().ok_or_else(ended)?.identity.open()?.ok_or_else(ended)?;
        let cgroup_dir = if record.into_cgroup { cgroup.spawn_dir()? } else { None };
        let open = |descriptor: &Descriptor| match descriptor {
            Descriptor::ContainerInit => init.as_raw_fd(),
            Descriptor::Cgroup => cgroup_dir.as_ref().map_or(-1, |fd| fd.as_raw_fd()),
            _ => -1,
        };
        let deadline = self.runtime.setup_deadline();
        let mut child = spawn::start(plan, Launch { low, open: &open, cgroup: None, proc: spawn::proc()?.as_fd() })?;
        child.adopt(deadline)?;
        match process {
            Some(process) => prepare::from_outside(child.pid(), process, cgroup)?,
            None if cgroup.attach_needed() => cgroup.attach(child.pid())?,
            None => {}
        }
        child.go()?;
        child.executed(deadline)?;
        Ok(child.finish())
    }
}
