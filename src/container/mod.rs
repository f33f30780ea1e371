//! The life cycle of containers: one file per operation. [`status`] is the state machine.

mod checkpoint;
mod create;
pub(crate) mod delete;
mod exec;
mod explain;
mod id_maps;
mod list;
mod memory_events;
mod network;
mod oci_state;
mod oom_kill;
mod pause;
mod plan_inputs;
mod preflight;
mod prepare;
mod restore;
mod seccomp_listener;
mod set;
mod shared_root;
pub(crate) mod signal;
mod start;
mod stats;
pub mod status;

use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use once_cell::sync::OnceCell;

use crate::cgroup::{self, Cgroup};
use crate::deadline::Deadline;
use crate::error::{Code, Error, Result, Stage};
use crate::hooks;
use crate::process::Process;
use crate::runtime::{Inner as RuntimeInner, Runtime};
use crate::spec::Config;
use crate::spec::hooks as spec_hooks;
use crate::state::{self, Directory, Phase, Record};
use crate::stats::Meter;
use crate::sys::children::{self, ChildExit};
use crate::sys::exit_status::ExitStatus;
use crate::sys::flock::LockKind;
pub use explain::{explain, explain_with};
pub use network::VethNames;
pub use status::Status;

/// The time that a reader gives the creator of a container to write the first record.
const CREATOR_PATIENCE: Duration = Duration::from_millis(100);

/// A handle on a container, which any thread may use. Several handles, also in several processes, may refer to the same
/// container. Dropping a handle does not affect the container.
#[derive(Debug)]
pub struct Container {
    id: String,
    runtime: Arc<RuntimeInner>,
    directory: Directory,
    /// The configuration, parsed once. Only its limits change, and only `set` uses those, which reads the file again.
    config: OnceCell<Config>,
    /// The init process, if this handle knows it: a child of the caller, or one found through the record.
    init: Mutex<Option<Process>>,
    /// The open statistics files, from the first call of `stats` on.
    meter: Mutex<Option<Meter>>,
}

impl Container {
    /// Opens an existing container, which this or another process has created.
    pub fn load(runtime: &Runtime, id: &str) -> Result<Container> {
        children::reap(&runtime.inner.settings.root.join(id));
        let directory = runtime.inner.directory(id)?;
        match directory.read() {
            // A damaged record is no error here, because delete needs a handle. Every other call reports it.
            Err(error) if state::is_damaged(&error) => {}
            Ok(None) if directory.is_foreign()? => return Err(state::not_found(id)),
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

    /// Returns the id that was given to create or load.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Returns the configuration that was given to create, with the limits that [`Container::set`] has changed.
    pub fn config_json(&self) -> Result<String> {
        self.directory.read_config()
    }

    fn config(&self, record: &Record) -> Result<&Config> {
        let parse =
            || Config::from_record(&self.directory.read_config()?, record.bundle.as_deref(), &record.inputs.rootfs);
        self.config.get_or_try_init(parse)
    }

    /// Reads the current record, which any process may have written.
    fn record(&self) -> Result<Record> {
        children::reap(self.directory.path());
        self.directory.read()?.ok_or_else(|| {
            Error::new(Code::NotRunning, format!("container {:?} was not created completely; delete it", self.id))
        })
    }

    fn cgroup(&self, record: &Record) -> Result<Box<dyn Cgroup>> {
        cgroup::open(&record.inputs.cgroup)
    }

    /// Returns the current status, as the kernel reports it.
    pub fn status(&self) -> Result<Status> {
        children::reap(self.directory.path());
        Ok(self.observe()?.1)
    }

    /// Reads the record, and determines the status that belongs to it. A container without a record, or whose record
    /// says that it is being created, is stopped only if its creator is gone: as long as the two facts may belong to
    /// different moments, they are read again.
    fn observe(&self) -> Result<(Option<Record>, Status)> {
        let patience = Deadline::after(CREATOR_PATIENCE);
        loop {
            let Some(record) = self.directory.read()? else {
                match self.is_in_work(patience)? {
                    // The creator or deleter has had the directory until a moment ago.
                    false if self.directory.read()?.is_none() => return Ok((None, Status::Stopped)),
                    true if patience.passed() => return Ok((None, Status::Creating)),
                    true => std::thread::sleep(Duration::from_millis(1)),
                    false => {}
                }
                continue;
            };
            let status = self.status_of(&record, self.cgroup(&record)?.as_ref())?;
            // The creator may have completed the container and ended since the record was read.
            let raced = status == Status::Stopped
                && record.phase == Phase::Creating
                && !self.directory.read()?.is_some_and(|now| now.is_same(&record));
            if !raced {
                return Ok((Some(record), status));
            }
        }
    }

    /// Whether a caller is creating or deleting the container: it holds the lock of the directory, or, before that, the
    /// lock of the state root.
    fn is_in_work(&self, deadline: Deadline) -> Result<bool> {
        let free = self
            .runtime
            .root
            .lock(LockKind::Exclusive, deadline)
            .and_then(|_creators| self.directory.lock(Deadline::after_ms(0)).map(drop));
        match free {
            Err(error) if error.code == Code::Busy => Ok(true),
            other => other.map(|()| false),
        }
    }

    fn status_of(&self, record: &Record, cgroup: &dyn Cgroup) -> Result<Status> {
        status::of(record, cgroup, |init| match self.known_init() {
            // A pidfd reports the exit sooner than /proc, and cannot refer to another process.
            Some(process) => Ok(!process.has_ended()),
            None => init.identity.is_alive(),
        })
    }

    /// Returns the container's processes, as pids of the caller's pid namespace.
    pub fn pids(&self) -> Result<Vec<i32>> {
        self.cgroup(&self.record()?)?.pids()
    }

    /// Returns the container's init. [`Code::NotRunning`] if it has ended and this handle has never known it.
    pub fn init_process(&self) -> Result<Process> {
        if let Some(process) = self.known_init() {
            return Ok(process);
        }
        let ended = || Error::new(Code::NotRunning, format!("container {:?} no longer has an init process", self.id));
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

    /// Returns a pidfd of init for the caller's event loop: it polls readable when init has ended.
    pub fn pidfd(&self) -> Result<OwnedFd> {
        let process = self.init_process()?;
        process.pidfd().try_clone_to_owned().map_err(|error| Error::io(&error, "duplicating the pidfd"))
    }

    /// Waits until init has ended. Holds no lock.
    pub fn wait(&self, timeout_ms: i64) -> Result<ExitStatus> {
        match self.init_process() {
            Ok(process) => process.wait(timeout_ms),
            Err(error) if error.code == Code::NotRunning => {
                let message = format!("container {:?} ended before this handle could read its exit status", self.id);
                Err(Error::new(Code::StatusUnknown, message))
            }
            Err(error) => Err(error),
        }
    }

    /// Runs the hooks of a kind on the host: in the bundle, if there is one, as runc and crun have it.
    fn run_host_hooks(&self, kind: spec_hooks::Kind, config: &Config, record: &Record, status: Status) -> Result<()> {
        // The bundle may be gone at delete. init, which enters it, follows no magic links like those in /proc/self/fd.
        let bundle = record.bundle.as_deref().and_then(|bundle| bundle.canonicalize().ok());
        let directory = bundle.as_deref().filter(|bundle| bundle.is_dir());
        let place = hooks::Place::Host { directory, env: &self.runtime.settings.hook_env };
        self.run_hooks(kind, config, record, status, &place)
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
        let inside = !matches!(place, hooks::Place::Host { .. });
        let state = oci_state::for_hooks(config, record, status, inside)?;
        hooks::run(kind, list, &state, place, self.runtime.settings.hook_timeout)
    }

    /// Replaces an error of a call that holds no lock if its reason is that the container has ended or was deleted
    /// meanwhile.
    fn unless_ended(&self, error: Error) -> Error {
        // The spawned process may have been killed by a call that kills the whole container, possibly before init. Wait
        // for init, too.
        if error.stage == Stage::Init
            && error.errno.is_none()
            && let Ok(init) = self.init_process()
        {
            // The status that is read below tells whether it has ended.
            let _ = init.wait(200);
        }
        // delete records its phase before it kills any process.
        let deleted =
            self.directory.read().is_ok_and(|record| record.is_some_and(|record| record.phase == Phase::Deleting));
        let ended = match self.status() {
            Ok(_) if deleted => self.wrong_state(Code::NotRunning, Status::Stopped, "running"),
            // Creating: a create that fails removes what the call has just found.
            Ok(status @ (Status::Stopped | Status::Creating)) => self.wrong_state(Code::NotRunning, status, "running"),
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
