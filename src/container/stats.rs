//! Statistics: the resource usage of a container.

use super::{Container, Status};
use crate::error::{Code, Error, Result};
use crate::rdt;
use crate::spec::oci::LinuxNamespaceType;
use crate::spec::{intel_rdt, namespaces};
use crate::stats::report::{Pids, Report};
use crate::stats::{self, Stats};
use crate::sys::kernfs;

impl Container {
    /// Returns the current statistics. The first call opens the files and keeps them open with the handle; later calls
    /// allocate nothing and only read these files. All handles together keep at most a quarter of RLIMIT_NOFILE open;
    /// further handles open and close the files in each call.
    pub fn stats(&self) -> Result<Stats> {
        let mut meter = self.meter.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some(open) = meter.as_mut() {
            match open.read() {
                // The cgroup no longer exists, and perhaps the container, too: the record tells.
                Err(error) if kernfs::is_gone(&error) => *meter = None,
                other => return other,
            }
        }
        let opened = self.cgroup(&self.record()?)?.meter().map_err(|error| self.unless_ended(error));
        let mut opened = opened?;
        if opened.is_empty() {
            let message = format!("container {:?} no longer has a cgroup with statistics", self.id);
            return Err(Error::new(Code::NotRunning, message));
        }
        let stats = opened.read().map_err(|error| self.unless_ended(error))?;
        *meter = opened.kept();
        Ok(stats)
    }

    /// Returns all statistics as JSON, in the format of "data" in runc's `events --stats`.
    pub fn stats_json(&self) -> Result<String> {
        serde_json::to_string(&self.report()?).map_err(|error| Error::new(Code::Internal, error.to_string()))
    }

    fn report(&self) -> Result<Report> {
        let record = self.record()?;
        let cgroup = self.cgroup(&record)?;
        let stats = self.stats()?;
        let mut report = Report::default();
        let usage = &mut report.cpu.usage;
        usage.total = stats.cpu_usage_ns.unwrap_or(0);
        (usage.kernel, usage.user) = (stats.cpu_system_ns.unwrap_or(0), stats.cpu_user_ns.unwrap_or(0));
        report.cpu.throttling.periods = stats.cpu_periods.unwrap_or(0);
        report.cpu.throttling.throttled_periods = stats.cpu_throttled_periods.unwrap_or(0);
        report.cpu.throttling.throttled_time = stats.cpu_throttled_ns.unwrap_or(0);
        report.pids = Pids { current: stats.pids_current.unwrap_or(0), limit: stats.pids_limit.unwrap_or(0) };
        cgroup.report(&stats, &mut report)?;
        if let Some((group, rdt)) = record.inputs.resctrl.as_ref().zip(intel_rdt::of(self.config(&record)?.spec())) {
            report.intel_rdt = rdt::report(group, rdt)?;
        }
        // In the host's network namespace, the interfaces are not the container's.
        let network = namespaces::flag(LinuxNamespaceType::Network);
        if let Some(init) = record.init.as_ref().filter(|_| record.namespaces & network != 0)
            && self.status_of(&record, cgroup.as_ref())? != Status::Stopped
        {
            report.network_interfaces = stats::interfaces(init.identity.pid)?;
        }
        Ok(report)
    }
}
