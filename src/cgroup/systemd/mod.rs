//! Runs containers in transient scopes of systemd (cgroup v2 only).
//!
//! systemd creates a scope around a process, so the scope is created when the waiting init of the container is
//! attached. Limits are sent to systemd as properties where it has them, so that it does not overwrite them; then all
//! limits are written to the cgroup, which systemd delegates to libberth.

mod bus;
pub mod message;
pub mod properties;
mod unit;

use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use oci_spec::runtime::{LinuxDeviceCgroup, LinuxResources};

use super::journal::Journal;
use super::{Cgroup, v2};
use crate::error::{Code, Error, Result};
use crate::events::{Level, Source as EventSource};
use crate::stats::report::Report;
use crate::stats::{Meter, Stats};
use crate::sys::kernfs;
use bus::Bus;
use message::{Argument, Method, Properties};
pub use properties::annotated;
pub use unit::Unit;

/// The time limit for systemd's answer if the caller has given no deadline.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

const MANAGER: Method = Method {
    destination: "org.freedesktop.systemd1",
    path: "/org/freedesktop/systemd1",
    interface: "org.freedesktop.systemd1.Manager",
    member: "",
};

fn method(member: &'static str) -> Method {
    Method { member, ..MANAGER }
}

pub struct Scope {
    tree: v2::Tree,
    path: PathBuf,
    unit: Unit,
}

impl Scope {
    pub fn new(path: PathBuf, unit: Unit) -> Scope {
        Scope { tree: v2::Tree::new(path.clone(), Vec::new(), Vec::new()), path, unit }
    }

    fn bus(&self) -> Result<Bus> {
        Bus::connect(Instant::now() + DEFAULT_TIMEOUT)
    }

    fn exists(&self) -> Result<bool> {
        kernfs::exists(&self.path)
    }

    fn start(&self, pid: i32) -> Result<()> {
        let properties = properties::at_start(&self.unit, pid)?;
        let name = &self.unit.name;
        let mut bus = self.bus()?;
        let arguments =
            [Argument::Text(name), Argument::Text("fail"), Argument::Properties(&properties), Argument::NoUnits];
        let doing = |error: Error| error.context(format!("starting {name}"));
        let reply = bus.call(method("StartTransientUnit"), &arguments).map_err(doing)?;
        let no_job = || doing(Error::new(Code::System, "systemd has named no job"));
        let job = reply.first().ok_or_else(no_job)?;
        match bus.finished(job).map_err(doing)?.as_str() {
            "done" => Ok(()),
            other => Err(doing(Error::new(Code::System, format!("the job ended with the result {other:?}")))),
        }
    }

    fn set_properties(&self, properties: &Properties) -> Result<()> {
        if properties.is_empty() {
            return Ok(());
        }
        let name = &self.unit.name;
        let arguments = [Argument::Text(name), Argument::Bool(true), Argument::Properties(properties)];
        let done = self.bus()?.call(method("SetUnitProperties"), &arguments);
        done.map(drop).map_err(|error| error.context(format!("changing {name}")))
    }

    /// Stops the scope in any state after an error: nobody else knows that it was started.
    fn stop_after(&self, error: Error, deadline: Instant) -> Error {
        match self.stop(deadline) {
            Ok(()) => error,
            Err(second) => error.detail("cleanup", second.message),
        }
    }

    fn stop(&self, deadline: Instant) -> Result<()> {
        let mut bus = Bus::connect(deadline)?;
        match bus.call(method("StopUnit"), &[Argument::Text(&self.unit.name), Argument::Text("replace")]) {
            // Whatever the job's result is, the caller removes the cgroup.
            Ok(reply) => reply.first().map_or(Ok(()), |job| bus.finished(job).map(drop)),
            // A scope ends by itself when its last process ends.
            Err(error) if error.detail.get("dbus_error").is_some_and(|name| name == NO_SUCH_UNIT) => Ok(()),
            Err(error) => Err(error.context(format!("stopping {}", self.unit.name))),
        }
    }
}

const UNIT_EXISTS: &str = "org.freedesktop.systemd1.UnitExists";
const NO_SUCH_UNIT: &str = "org.freedesktop.systemd1.NoSuchUnit";

impl Cgroup for Scope {
    /// Only checks that systemd can be reached.
    fn create(&self) -> Result<()> {
        self.bus().map(drop)
    }

    fn created_on_attach(&self) -> bool {
        true
    }

    fn limit(&self, resources: &LinuxResources, journal: &Journal) -> Result<()> {
        self.tree.limit(resources, journal)?;
        let properties = properties::of_resources(resources);
        if !properties.is_empty() {
            self.set_properties(&properties)?;
            // systemd has written the limits too, and rounds some of them.
            self.tree.limit(resources, &Journal::default())?;
        }
        Ok(())
    }

    fn revert(&self, change: &LinuxResources, before: &LinuxResources) -> Result<()> {
        let mut properties = properties::defaults(&properties::of_resources(change));
        let known = properties::of_resources(before);
        properties.retain(|(name, _)| !known.iter().any(|(present, _)| present == name));
        properties.extend(known);
        self.set_properties(&properties)
    }

    fn set_device_rules(&self, devices: Option<&[LinuxDeviceCgroup]>) -> Result<()> {
        self.tree.set_device_rules(devices)
    }

    fn create_with(&self, pid: i32) -> Result<()> {
        super::checked_pid(pid)?;
        let deadline = Instant::now() + DEFAULT_TIMEOUT;
        match self.start(pid) {
            // The scope belongs to somebody else.
            Err(error) if error.detail.get("dbus_error").is_some_and(|name| name == UNIT_EXISTS) => Err(error),
            // Stop the scope in any state: nobody else knows that it was started.
            Err(error) => Err(self.stop_after(error, deadline)),
            Ok(()) => match self.tree.has(pid) {
                Ok(true) => Ok(()),
                Ok(false) => {
                    let place = self.path.display();
                    let problem = format!("systemd started {}, but not in the cgroup {place}", self.unit.name);
                    Err(self.stop_after(Error::new(Code::System, problem), deadline))
                }
                Err(error) => Err(self.stop_after(error, deadline)),
            },
        }
    }

    fn delegate_to(&self, uid: u32) -> Result<()> {
        self.tree.delegate_to(uid)
    }

    fn attach(&self, pid: i32) -> Result<()> {
        if self.tree.has(pid)? { Ok(()) } else { self.tree.attach(pid) }
    }

    fn attach_needed(&self) -> bool {
        true
    }

    fn has_spawn_dir(&self) -> bool {
        false
    }

    fn spawn_dir(&self) -> Result<Option<OwnedFd>> {
        Ok(None)
    }

    fn freeze(&self, deadline: Instant) -> Result<()> {
        self.tree.freeze(deadline)
    }

    fn thaw(&self, deadline: Instant) -> Result<()> {
        self.tree.thaw(deadline)
    }

    fn is_frozen(&self) -> Result<bool> {
        self.tree.is_frozen()
    }

    fn pids(&self) -> Result<Vec<i32>> {
        self.tree.pids()
    }

    fn signal_all(&self, signal: i32) -> Result<()> {
        self.tree.signal_all(signal)
    }

    fn kill_all(&self, deadline: Instant) -> Result<()> {
        self.tree.kill_all(deadline)
    }

    fn notify_oom(&self) -> Result<EventSource> {
        self.tree.notify_oom()
    }

    fn notify_pressure(&self, level: Level) -> Result<EventSource> {
        self.tree.notify_pressure(level)
    }

    fn meter(&self) -> Result<Meter> {
        self.tree.meter()
    }

    fn report(&self, stats: &Stats, report: &mut Report) -> Result<()> {
        self.tree.report(stats, report)
    }

    /// Asks systemd to stop the scope, and removes the directory even if systemd cannot be reached.
    fn remove(&self, deadline: Instant) -> Result<()> {
        if !self.exists()? {
            return Ok(());
        }
        if let Err(error) = self.stop(deadline) {
            log::warn!("{error}");
        }
        self.tree.remove(deadline)
    }
}
