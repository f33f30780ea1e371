//! A container without its own cgroups: it stays in the caller's cgroup and has no limits, and its processes end with
//! its pid namespace. Operations that need a cgroup return an error.

use std::os::fd::OwnedFd;
use std::time::Instant;

use oci_spec::runtime::{LinuxDeviceCgroup, LinuxResources};

use super::Cgroup;
use super::journal::Journal;
use crate::error::{Code, Error, Result};
use crate::events::{Level, Source as EventSource};
use crate::stats::report::Report;
use crate::stats::{Meter, Stats};

pub struct NoCgroup;

fn needed(what: &str) -> Error {
    Error::new(Code::Unsupported, format!("{what} needs a cgroup, and the container was created without one"))
}

impl Cgroup for NoCgroup {
    fn create(&self) -> Result<()> {
        Ok(())
    }

    fn limit(&self, resources: &LinuxResources, _: &Journal) -> Result<()> {
        let mut others = resources.clone();
        others.set_devices(None);
        let asked = serde_json::to_value(&others).map_err(|error| Error::new(Code::Internal, error.to_string()))?;
        let has =
            |value: &serde_json::Value| !matches!(value, serde_json::Value::Null) && *value != serde_json::json!({});
        match asked.as_object().into_iter().flatten().find(|(_, value)| has(value)) {
            Some((name, _)) => Err(without_cgroups(&format!("linux.resources.{name}"))),
            None => Ok(()),
        }
    }

    fn set_device_rules(&self, devices: Option<&[LinuxDeviceCgroup]>) -> Result<()> {
        match devices {
            Some([_, ..]) => Err(without_cgroups("linux.resources.devices")),
            _ => Ok(()),
        }
    }

    fn attach(&self, _: i32) -> Result<()> {
        Ok(())
    }

    fn attach_needed(&self) -> bool {
        false
    }

    fn has_spawn_dir(&self) -> bool {
        false
    }

    fn spawn_dir(&self) -> Result<Option<OwnedFd>> {
        Ok(None)
    }

    fn freeze(&self, _: Instant) -> Result<()> {
        Err(needed("pausing"))
    }

    fn thaw(&self, _: Instant) -> Result<()> {
        Ok(())
    }

    fn is_frozen(&self) -> Result<bool> {
        Ok(false)
    }

    fn pids(&self) -> Result<Vec<i32>> {
        Err(needed("listing processes"))
    }

    fn signal_all(&self, _: i32) -> Result<()> {
        Err(needed("signalling all processes"))
    }

    /// Does nothing: the processes end with the init of their pid namespace.
    fn kill_all(&self, _: Instant) -> Result<()> {
        Ok(())
    }

    fn notify_oom(&self) -> Result<EventSource> {
        Err(needed("counting OOM kills"))
    }

    fn notify_pressure(&self, _: Level) -> Result<EventSource> {
        Err(needed("watching memory pressure"))
    }

    fn meter(&self) -> Result<Meter> {
        Err(needed("measuring"))
    }

    fn report(&self, _: &Stats, _: &mut Report) -> Result<()> {
        Err(needed("measuring"))
    }

    fn remove(&self, _: Instant) -> Result<()> {
        Ok(())
    }
}

fn without_cgroups(field: &str) -> Error {
    Error::unsupported_field(
        field,
        "needs a cgroup, and the container has none, because the runtime was configured without cgroups or may not \
         create them; leave it out",
    )
}
