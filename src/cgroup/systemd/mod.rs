//! Runs containers in transient scopes of systemd (cgroup v2 only).
//!
//! systemd creates a scope around a process, so the scope is created when the waiting init of the container is
//! attached. Limits are sent to systemd as properties where it has them, since it writes the files of the scope anew from
//! time to time; then all limits are written to the cgroup, which systemd delegates to libberth, because systemd rounds
//! some and has no property for others.

mod bus;
pub mod limits;
pub mod message;
pub mod properties;
mod unit;

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use oci_spec::runtime::{LinuxDeviceCgroup, LinuxResources};

use super::journal::Journal;
use super::wait::Backoff;
use super::{Cgroup, v2};
use crate::error::{Code, Error, Result};
use crate::events::{Level, Source as EventSource};
use crate::stats::report::Report;
use crate::stats::{Meter, Stats};
use crate::sys::kernfs;
use bus::Bus;
use limits::Host;
use message::{Argument, Method, Properties};
pub use properties::annotated;
pub use unit::Unit;

/// The time limit for systemd's answer if the caller has given no deadline.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

/// How long to wait until systemd has unloaded a unit of the same name.
const UNLOAD_TIMEOUT: Duration = Duration::from_secs(2);

/// Exists while systemd is the machine's init (sd_booted(3)).
const BOOTED: &str = "/run/systemd/system";

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

    /// Makes calls to systemd, once more if it has left the bus meanwhile, as it does when it is executed again. So they
    /// must be calls that may be repeated.
    fn ask<T>(deadline: Instant, mut calls: impl FnMut(&mut Bus) -> Result<T>) -> Result<T> {
        let mut backoff = Backoff::until(deadline);
        loop {
            match Bus::connect(deadline).and_then(|mut bus| calls(&mut bus)) {
                Err(error) if bus::has_left(&error) && Path::new(BOOTED).exists() && backoff.pause() => {
                    log::debug!("once more: {error}");
                }
                result => return result,
            }
        }
    }

    fn exists(&self) -> Result<bool> {
        kernfs::exists(&self.path)
    }

    /// Returns what the properties for limits depend on.
    fn host(&self, bus: &mut Bus) -> Result<Host> {
        let get = Method { interface: "org.freedesktop.DBus.Properties", ..method("Get") };
        let reply = bus.call(get, &[Argument::Text(MANAGER.interface), Argument::Text("Version")])?;
        let version = reply.first().and_then(|text| limits::version(text));
        let unknown = || Error::new(Code::System, format!("systemd names no version that is a number: {reply:?}"));
        // The scope has the file if others below the hierarchy's root have it; it may not exist yet.
        let root = self.path.ancestors().find(|above| kernfs::exists(&above.join("init.scope")).unwrap_or(false));
        let beside = root.iter().flat_map(|root| ["init.scope", "system.slice"].map(|name| root.join(name)));
        let has_file = |place: PathBuf| kernfs::exists(&place.join("io.bfq.weight")).unwrap_or(false);
        let bfq = beside.chain([self.path.clone()]).any(has_file);
        Ok(Host { version: version.ok_or_else(unknown)?, bfq })
    }

    /// Starts the scope. A unit of the same name that has failed is forgotten first: it has no processes.
    fn start(&self, pid: i32, resources: &LinuxResources, deadline: Instant) -> Result<()> {
        let name = &self.unit.name;
        let doing = |error: Error| error.context(format!("starting {name}"));
        let mut unloaded = Backoff::until(Instant::now() + UNLOAD_TIMEOUT);
        let start = |bus: &mut Bus| {
            let properties = properties::at_start(&self.unit, pid, resources, self.host(bus)?)?;
            loop {
                match self.start_with(bus, &properties) {
                    // systemd has started it, and could not say so.
                    Err(_) if self.tree.has(pid).unwrap_or(false) => return Ok(()),
                    Err(error) if is(&error, UNIT_EXISTS) && !self.exists()? && unloaded.pause() => {
                        // It fails for a unit that is no longer there.
                        if let Err(error) = bus.call(method("ResetFailedUnit"), &[Argument::Text(name)]) {
                            log::debug!("{name}: {error}");
                        }
                    }
                    result => return result,
                }
            }
        };
        Self::ask(deadline, start).map_err(|error| doing(self.with_annotations(error)))
    }

    /// Names the properties of annotations in a refusal that may be due to them: systemd's own words often name none.
    fn with_annotations(&self, error: Error) -> Error {
        let names: Vec<&str> = self.unit.properties.iter().map(|(name, _)| name.as_str()).collect();
        let named = names.iter().any(|name| error.message.contains(name));
        if names.is_empty() || named || is(&error, UNIT_EXISTS) || !error.detail.contains_key("dbus_error") {
            return error;
        }
        let message =
            format!("{} (annotations give {}: are the types of the values right?)", error.message, names.join(", "));
        Error { message, ..error }
    }

    fn start_with(&self, bus: &mut Bus, properties: &Properties) -> Result<()> {
        let name = &self.unit.name;
        let arguments =
            [Argument::Text(name), Argument::Text("fail"), Argument::Properties(properties), Argument::NoUnits];
        let reply = bus.call(method("StartTransientUnit"), &arguments)?;
        let job = reply.first().ok_or_else(|| Error::new(Code::System, "systemd has named no job"))?;
        match bus.finished(job)?.as_str() {
            "done" => Ok(()),
            other => Err(Error::new(Code::System, format!("the job ended with the result {other:?}"))),
        }
    }

    /// Changes properties, for which systemd writes all of the scope's files anew.
    fn set_properties(&self, properties: impl Fn(Host) -> Result<Properties>) -> Result<()> {
        let name = &self.unit.name;
        let set = |bus: &mut Bus| {
            let properties = properties(self.host(bus)?)?;
            let arguments = [Argument::Text(name), Argument::Bool(true), Argument::Properties(&properties)];
            bus.call(method("SetUnitProperties"), &arguments).map(drop)
        };
        Self::ask(Instant::now() + DEFAULT_TIMEOUT, set).map_err(|error| error.context(format!("changing {name}")))
    }

    /// Writes limits to the files.
    fn write(&self, resources: &LinuxResources, journal: &Journal) -> Result<()> {
        let place = journal.place(&self.path);
        if limits::is_idle(resources) && place.has("cpu.idle")? {
            // systemd may have made the cgroup idle already, which then refuses the weight that it has otherwise.
            place.set("cpu.idle", 0, "linux.resources.cpu.idle")?;
        }
        self.tree.limit(resources, journal)
    }

    /// Writes limits again after systemd has written those that it knows.
    fn restate(&self, resources: &LinuxResources) -> Result<()> {
        self.write(&limits::lasting(resources), &Journal::default())
    }

    /// Stops the scope in any state after an error: nobody else knows that it was started.
    fn stop_after(&self, error: Error, deadline: Instant) -> Error {
        match self.stop(deadline) {
            Ok(()) => error,
            Err(second) => error.detail("cleanup", second.message),
        }
    }

    fn stop(&self, deadline: Instant) -> Result<()> {
        let arguments = [Argument::Text(&self.unit.name), Argument::Text("replace")];
        let stop = |bus: &mut Bus| match bus.call(method("StopUnit"), &arguments) {
            // Whatever the job's result is, the caller removes the cgroup.
            Ok(reply) => reply.first().map_or(Ok(()), |job| bus.finished(job).map(drop)),
            // A scope ends by itself when its last process ends.
            Err(error) if is(&error, NO_SUCH_UNIT) => Ok(()),
            Err(error) => Err(error),
        };
        Self::ask(deadline, stop).map_err(|error| error.context(format!("stopping {}", self.unit.name)))
    }
}

const UNIT_EXISTS: &str = "org.freedesktop.systemd1.UnitExists";
const NO_SUCH_UNIT: &str = "org.freedesktop.systemd1.NoSuchUnit";

/// Whether systemd has refused a call with this D-Bus error.
fn is(error: &Error, name: &str) -> bool {
    error.detail.get("dbus_error").is_some_and(|found| found == name)
}

impl Cgroup for Scope {
    /// Only checks that systemd can be reached.
    fn create(&self) -> Result<()> {
        Bus::connect(Instant::now() + DEFAULT_TIMEOUT).map(drop)
    }

    fn created_on_attach(&self) -> bool {
        true
    }

    /// Writes the files alone: systemd has the limits since the scope's start.
    fn limit(&self, resources: &LinuxResources, journal: &Journal) -> Result<()> {
        self.write(resources, journal)
    }

    fn change(&self, change: &LinuxResources, all: &LinuxResources, journal: &Journal) -> Result<()> {
        // First, since the kernel's refusals name the field.
        self.write(change, journal)?;
        if !limits::has_properties(change) {
            return Ok(());
        }
        self.set_properties(|host| Ok(limits::of_resources(all, host)))?;
        if let Err(error) = self.restate(all) {
            log::warn!("writing the limits of {} again: {error}", self.unit.name);
        }
        self.restate(change)
    }

    fn revert(&self, change: &LinuxResources, before: &LinuxResources) -> Result<()> {
        if !limits::has_properties(change) {
            return Ok(());
        }
        self.set_properties(|host| properties::reverting(&self.unit, change, before, host))?;
        self.restate(before)
    }

    fn set_device_rules(&self, devices: Option<&[LinuxDeviceCgroup]>) -> Result<()> {
        self.tree.set_device_rules(devices)
    }

    fn create_with(&self, pid: i32, resources: &LinuxResources) -> Result<()> {
        super::checked_pid(pid)?;
        let deadline = Instant::now() + DEFAULT_TIMEOUT;
        match self.start(pid, resources, deadline) {
            // The scope belongs to somebody else.
            Err(error) if is(&error, UNIT_EXISTS) => Err(error),
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
