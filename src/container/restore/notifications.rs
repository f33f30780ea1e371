//! The notifications that CRIU sends during a restore.

use super::verify::{family, gone, verify_mounts};
use super::{RestoreInProgress, RestoredInit, read_only_root, restored_init};
use crate::cgroup::Cgroup;
use crate::container::create::{process_of, resources};
use crate::container::{Status, prepare};
use crate::criu::Notice;
use crate::error::Result;
use crate::fault;
use crate::network;
use crate::plan::Plan;
use crate::process::Streams;
use crate::spec::hooks::Kind as Hook;
use crate::state::Record;

impl RestoreInProgress<'_> {
    /// Handles a notification of CRIU, which waits for the result. After an error CRIU undoes the restore.
    pub(super) fn notified(
        &mut self,
        notice: Notice,
        plan: &Plan,
        record: &mut Record,
        cgroup: &dyn Cgroup,
        streams: &mut Streams,
        found: &mut RestoredInit,
    ) -> Result<()> {
        match (notice.script, notice.pid) {
            ("setup-namespaces", Some(pid)) => {
                fault::point("restore.namespaces");
                // From here on, a delete finds init in the record.
                record.init = Some(restored_init(pid)?);
                self.container.directory.write(record)?;
                self.set_up_network(pid, record)?;
                self.made.by_hooks = true;
                for kind in [Hook::Prestart, Hook::CreateRuntime] {
                    self.container.run_host_hooks(kind, self.config, record, Status::Created)?;
                }
                Ok(())
            }
            ("network-unlock", _) => match &record.network {
                Some(journal) if self.network_is_dumped() => network::adopt(journal),
                _ => Ok(()),
            },
            ("orphan-pts-master", _) => {
                found.master = notice.descriptor;
                Ok(())
            }
            ("post-restore", Some(pid)) => {
                let init = restored_init(pid)?;
                let pidfd = init.identity.open()?.ok_or_else(|| gone(pid))?;
                record.namespaces = self.verify_namespaces(pid)?;
                self.verify_cgroups(pid, cgroup)?;
                read_only_root::restore(plan, pid, self.container.runtime.setup_deadline())?;
                verify_mounts(self.config, plan, record, &family(pid)?)?;
                // CRIU has written those of the images.
                cgroup.set_device_rules(resources(self.config.spec()).devices().as_deref())?;
                self.container.delegate(self.config, cgroup, pid)?;
                let in_user_namespace = record.namespaces & libc::CLONE_NEWUSER as u64 != 0;
                let owner = prepare::owner(pid, in_user_namespace, Some(process_of(self.config)?))?;
                // As with runc, streams that the caller has passed keep their owner.
                streams.give(owner, false)?;
                record.external_descriptors = self.streams_now(streams);
                found.init = Some((init.identity.clone(), pidfd));
                record.init = Some(init);
                self.container.directory.write(record)?;
                fault::point("restore.verified");
                Ok(())
            }
            ("pre-resume", _) => {
                let Some((init, _)) = &found.init else { return Ok(()) };
                // CRIU ignores an error at this point, so kill the processes: they must not run.
                self.verify_privileges(init.pid, plan).inspect_err(|_| {
                    if let Err(error) = cgroup.kill_all(self.container.runtime.cgroup_deadline()) {
                        log::warn!("container {:?}: {error}", self.container.id);
                    }
                })
            }
            _ => Ok(()),
        }
    }
}
