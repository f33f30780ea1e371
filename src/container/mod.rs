//! The life cycle: one file per verb. [`status`] is the state machine.

mod checkpoint;
mod create;
pub(crate) mod delete;
mod exec;
mod explain;
mod id_maps;
mod list;
mod network;
mod notify;
mod oci_state;
mod oom_kill;
mod pause;
mod plan_inputs;
mod preflight;
mod prepare;
mod restore;
mod set;
pub(crate) mod signal;
mod start;
mod stats;
pub mod status;

use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex};

use once_cell::sync::OnceCell;

use crate::cgroup::{self, Cgroup};
use crate::error::{Code, Error, Result, Stage};
use crate::hooks;
use crate::process::Process;
use crate::runtime::{Inner as RuntimeInner, Runtime};
use crate::spec::Config;
use crate::spec::hooks as spec_hooks;
use crate::state::{self, Directory, Phase, Record};
use crate::stats::Meter;
use crate::sys::children::{self, ChildExit};
use crate::sys::pidfd::ExitStatus;
pub use explain::{explain, explain_with};
pub use network::VethNames;
pub use status::Status;

/// A handle on one container. It may be used from any thread; several handles, also in several processes, may mean the
/// same container. Dropping one does nothing to the container.
#[derive(Debug)]
pub struct Container {
    id: String,
    runtime: Arc<RuntimeInner>,
    directory: Directory,
    /// Parsed once; nothing but its limits changes, which only `set` reads, and that from the file.
    config: OnceCell<Config>,
    /// The init process as this handle knows it: the caller's own child, or one found through the record.
    init: Mutex<Option<Process>>,
    /// The files of the statistics, from the first question on.
    meter: Mutex<Option<Meter>>,
}

impl Container {
    /// Opens a container that exists already, made by this or any other process.
    pub fn load(runtime: &Runtime, id: &str) -> Result<Container> {
        children::reap(&runtime.inner.settings.root.join(id));
        let directory = runtime.inner.directory(id)?;
        match directory.read() {
            // Deleting needs a handle; every other call says what is wrong.
            Err(error) if state::is_damaged(&error) => {}
            other => drop(other?),
        }
        Ok(Container::new(id, &runtime.inner, directory))
    }

    fn new(id: &str, runtime: &Arc<RuntimeInner>, directory: Directory) -> Container {
        Container {
            id: id.to_owned(),
            runtime: runtime.clone(),
            directory,
            config: OnceCell::new(),
            init: Mutex::new(None),
            meter: Mutex::new(None),
        }
    }

    /// The id, as it was given to create or load.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The configuration as it was given to create, with the limits that [`Container::set`] has changed.
    pub fn config_json(&self) -> Result<String> {
        self.directory.read_config()
    }

    fn config(&self, record: &Record) -> Result<&Config> {
        let parse =
            || Config::from_record(&self.directory.read_config()?, record.bundle.as_deref(), &record.inputs.rootfs);
        self.config.get_or_try_init(parse)
    }

    /// The record as it is now, whoever wrote it.
    fn record(&self) -> Result<Record> {
        children::reap(self.directory.path());
        self.directory.read()?.ok_or_else(|| {
            Error::new(Code::NotRunning, format!("container {:?} was never created in full; delete it", self.id))
        })
    }

    fn cgroup(&self, record: &Record) -> Result<Box<dyn Cgroup>> {
        cgroup::open(&record.inputs.cgroup)
    }

    /// The state at this moment, asked of the kernel.
    pub fn status(&self) -> Result<Status> {
        children::reap(self.directory.path());
        match self.directory.read()? {
            Some(record) => self.status_of(&record, self.cgroup(&record)?.as_ref()),
            None => Ok(Status::Stopped),
        }
    }

    fn status_of(&self, record: &Record, cgroup: &dyn Cgroup) -> Result<Status> {
        status::of(record, cgroup, |init| match self.known_init() {
            // A descriptor tells sooner than /proc, and cannot mean another process.
            Some(process) => Ok(!process.has_ended()),
            None => init.identity.is_alive(),
        })
    }

    /// The processes of the container, as the caller's pid namespace has them.
    pub fn pids(&self) -> Result<Vec<i32>> {
        self.cgroup(&self.record()?)?.pids()
    }

    /// The container's init. [`Code::NotRunning`] if there is none any more and this handle has not seen it.
    pub fn init_process(&self) -> Result<Process> {
        if let Some(process) = self.known_init() {
            return Ok(process);
        }
        let ended = || Error::new(Code::NotRunning, format!("container {:?} has no init process any more", self.id));
        let init = self.record()?.init.ok_or_else(ended)?;
        let end = match children::kept(self.directory.path(), init.identity.pid) {
            Some(end) => end,
            None => Arc::new(ChildExit::new(init.identity.pid, init.identity.open()?.ok_or_else(ended)?)),
        };
        let process = Process::init(end, self.directory.path(), [None, None, None]);
        Ok(self.lock_init().get_or_insert(process).clone())
    }

    fn known_init(&self) -> Option<Process> {
        self.lock_init().clone()
    }

    fn lock_init(&self) -> std::sync::MutexGuard<'_, Option<Process>> {
        self.init.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// A pidfd of init for the caller's own loop: it polls readable when init has ended.
    pub fn pidfd(&self) -> Result<OwnedFd> {
        let process = self.init_process()?;
        process.pidfd().try_clone_to_owned().map_err(|error| Error::io(&error, "duplicating the pidfd"))
    }

    /// Waits until init has ended. Holds no lock.
    pub fn wait(&self, timeout_ms: i64) -> Result<ExitStatus> {
        match self.init_process() {
            Ok(process) => process.wait(timeout_ms),
            Err(error) if error.code == Code::NotRunning => {
                let message = format!("container {:?} has ended before this handle could see how", self.id);
                Err(Error::new(Code::StatusUnknown, message))
            }
            Err(error) => Err(error),
        }
    }

    fn run_hooks(
        &self,
        kind: spec_hooks::Kind,
        config: &Config,
        record: &Record,
        status: Status,
        place: &hooks::Place,
    ) -> Result<()> {
        let list = spec_hooks::list(config.spec(), kind);
        if list.is_empty() {
            return Ok(());
        }
        let inside = !matches!(place, hooks::Place::Host);
        let state = oci_state::for_hooks(config, record, status, inside)?;
        hooks::run(kind, list, &state, place, self.runtime.settings.hook_timeout)
    }

    /// The reason behind an error of a call that holds no lock: the container has ended or been deleted meanwhile.
    fn unless_ended(&self, error: Error) -> Error {
        // Killed by somebody who kills the container, perhaps before its init.
        if error.stage == Stage::Init
            && error.errno.is_none()
            && let Ok(init) = self.init_process()
        {
            let _ = init.wait(200);
        }
        // Somebody at deleting it has said so before killing anything.
        let deleted =
            self.directory.read().is_ok_and(|record| record.is_some_and(|record| record.phase == Phase::Deleting));
        let ended = match self.status() {
            Ok(_) if deleted => self.wrong_state(Code::NotRunning, Status::Stopped, "running"),
            Ok(Status::Stopped) => self.wrong_state(Code::NotRunning, Status::Stopped, "running"),
            Err(gone) if gone.code == Code::NotFound => gone,
            _ => return error,
        };
        ended.detail("cause", error.message)
    }

    fn wrong_state(&self, code: Code, status: Status, needed: &str) -> Error {
        Error::new(code, format!("container {:?} is {}; it must be {needed}", self.id, status.name()))
            .detail("id", self.id.as_str())
            .detail("status", status.name())
    }
}
