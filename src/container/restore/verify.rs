//! Verifies, before the restored processes run, that they conform to the configuration.

use std::collections::BTreeSet;

use nix::errno::Errno;

use super::RestoreInProgress;
use super::mounts::Comparison;
use super::planned_mounts::HostMounts;
use super::privileges::Allowed;
use crate::cgroup::Cgroup;
use crate::container::create::process_of;
use crate::criu::mismatch;
use crate::error::{Context, Error, Result, Stage};
use crate::plan::Plan;
use crate::security::labels;
use crate::spec::Config;
use crate::spec::capabilities::Sets;
use crate::spec::namespaces;
use crate::spec::oci::LinuxNamespaceType;
use crate::state::Record;
use crate::sys::{mountinfo, procfs};

impl RestoreInProgress<'_> {
    /// Verifies that all restored processes are in the container's cgroups.
    pub(super) fn verify_cgroups(&self, pid: i32, cgroup: &dyn Cgroup) -> Result<()> {
        let members: BTreeSet<i32> = cgroup.pids()?.into_iter().collect();
        match family(pid)?.into_iter().find(|pid| !members.contains(pid)) {
            Some(outsider) => Err(mismatch(format!("process {outsider} is not in the container's cgroups"))),
            None => Ok(()),
        }
    }

    /// Verifies that the restored processes have no more privileges than the configuration grants. CRIU sets the
    /// privileges last, so this is called right before the processes run.
    pub(super) fn verify_privileges(&self, pid: i32, plan: &Plan) -> Result<()> {
        let family = family(pid)?;
        self.verify_labels(pid, &family)?;
        verify_privileges(self.config, plan, &family)
    }

    /// Verifies the labels. A CRIU that was built without support for a security module silently ignores its labels
    /// (Debian's does not support SELinux), and images may contain any label. init must have the requested label; other
    /// processes may have changed theirs, but must not have the caller's.
    fn verify_labels(&self, init: i32, family: &[i32]) -> Result<()> {
        let own = std::process::id() as i32;
        for (module, wanted) in self.options.labels_for(process_of(self.config)?) {
            let callers = labels::current(own, module)?.unwrap_or_default();
            for &pid in family {
                for thread in threads(pid)? {
                    let found = labels::current(thread, module)?.ok_or_else(|| gone(thread))?;
                    let fits = found == wanted
                        || found.strip_prefix(wanted).is_some_and(|rest| rest.starts_with("//"))
                        || (pid != init && found != callers);
                    if !fits {
                        let name = module.name();
                        return Err(mismatch(format!(
                            "process {thread} has the {name} label {found:?} instead of {wanted:?}"
                        )));
                    }
                }
            }
        }
        Ok(())
    }

    /// Verifies the namespaces of the new init, and returns the flags of those that are not the caller's.
    pub(super) fn verify_namespaces(&self, pid: i32) -> Result<u64> {
        let mut found = 0;
        for kind in namespaces::KINDS {
            let name = namespaces::proc_name(kind);
            let place = format!("{pid}/ns/{name}");
            let theirs = procfs::identity_of(&place)?;
            let ours = procfs::identity_of(&format!("thread-self/ns/{name}"))?;
            if theirs != ours {
                found |= namespaces::flag(kind);
            }
            let joined = self.namespaces.joined.iter().zip(self.joined).find(|(joined, _)| joined.kind == kind);
            let fits = match joined {
                Some((_, file)) => {
                    let expected =
                        nix::sys::stat::fstat(file).context(|| format!("examining the namespace for /proc/{place}"))?;
                    (expected.st_dev, expected.st_ino) == theirs
                }
                None if self.namespaces.is_new(kind) => theirs != ours,
                // CRIU creates a time namespace so that the clocks of the processes continue.
                None => theirs == ours || kind == LinuxNamespaceType::Time,
            };
            if !fits {
                let name = namespaces::name(kind);
                return Err(mismatch(format!("the {name} namespace is not the one of the configuration")));
            }
        }
        Ok(found)
    }
}

/// Verifies that a container's processes have the mounts of the configuration.
pub(super) fn verify_mounts(config: &Config, plan: &Plan, record: &Record, family: &[i32]) -> Result<()> {
    let table = mountinfo::read("self")?;
    let host = HostMounts::of(&table);
    let own = record.inputs.cgroup.paths.values();
    Comparison::new(plan, &host, own, Sets::of(process_of(config)?).bounding)?.check(family)
}

fn verify_privileges(config: &Config, plan: &Plan, family: &[i32]) -> Result<()> {
    let allowed = Allowed::of(config, plan)?;
    family.iter().try_for_each(|pid| allowed.excess(*pid)?.map_or(Ok(()), |excess| Err(mismatch(excess))))
}

/// Verifies that the processes of a container, which are stopped, would be restored as they are.
pub(in crate::container) fn verify_stopped(config: &Config, plan: &Plan, record: &Record, init: i32) -> Result<()> {
    let family = family(init)?;
    verify_mounts(config, plan, record, &family)?;
    verify_privileges(config, plan, &family)
}

pub(super) fn gone(pid: i32) -> Error {
    Error::system(Errno::ESRCH, format!("examining the restored process {pid}")).with_stage(Stage::Criu)
}

/// Returns a process and its living descendants. Zombies are left out: those that were dumped are restored as zombies.
pub(super) fn family(pid: i32) -> Result<Vec<i32>> {
    let mut found = vec![pid];
    let mut next = 0;
    while let Some(pid) = found.get(next).copied() {
        found.extend(children_of(pid)?);
        next += 1;
    }
    let lives = |pid: &i32| match procfs::stat(*pid) {
        Ok(stat) => stat.is_some_and(|stat| !matches!(stat.state, 'Z' | 'X')),
        Err(_) => true,
    };
    found.retain(lives);
    Ok(found)
}

fn threads(pid: i32) -> Result<Vec<i32>> {
    Ok(procfs::list(&format!("{pid}/task"))?.iter().filter_map(|thread| thread.parse().ok()).collect())
}

pub(super) fn children_of(pid: i32) -> Result<Vec<i32>> {
    let mut found = Vec::new();
    for thread in procfs::list(&format!("{pid}/task"))? {
        let list = procfs::read_optional(&format!("{pid}/task/{thread}/children"))?;
        found.extend(list.unwrap_or_default().split_whitespace().filter_map(|pid| pid.parse::<i32>().ok()));
    }
    Ok(found)
}
