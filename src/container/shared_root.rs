//! The root filesystem of a container without a mount namespace of its own. It is mounted at its own path in the host's
//! or in a joined mount namespace, where other processes see it, and delete unmounts it with all that is mounted on it.

use std::fs::File;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

use nix::errno::Errno;

use super::Container;
use crate::deadline::Deadline;
use crate::error::{Error, Result};
use crate::plan::{self, Descriptor, Plan};
use crate::spawn::{self, InitChannel, Launch};
use crate::spec::Config;
use crate::spec::namespaces::{Namespaces, mounts_in_shared_namespace};
use crate::spec::oci::LinuxNamespaceType;
use crate::state::{Record, RootMount};
use crate::sys::{mountinfo, procfs};

/// The mounts of a root filesystem, which are not attached yet.
pub struct RootMounts {
    pub tree: OwnedFd,
    /// Where the root filesystem's mount will be. It keeps its id when it is attached.
    pub mount: RootMount,
}

/// Clones the mounts of the root filesystem, before anything of the container exists, if it is mounted in a namespace
/// that other processes use. `joined`: the namespaces to join, in the order of the plan.
pub fn clone(config: &Config, joined: &[File], rootfs: &Path, deadline: Deadline) -> Result<Option<RootMounts>> {
    if !mounts_in_shared_namespace(config.spec()) {
        return Ok(None);
    }
    let namespaces = Namespaces::of(config.spec()).joined;
    let mut of_mounts = namespaces.iter().zip(joined).filter(|(joined, _)| joined.kind == LinuxNamespaceType::Mount);
    let (path, namespace) = of_mounts.next().map(|(joined, file)| (joined.path.clone(), file)).unzip();
    let plan = plan::clone_mounts(rootfs, namespace.is_some());
    let tree = start(&plan, namespace)?.opened(deadline)?;
    let mount = RootMount { id: mountinfo::id_of(&tree)?, namespace: path };
    Ok(Some(RootMounts { tree, mount }))
}

impl Container {
    /// Unmounts the root filesystem if it is in a mount namespace that other processes use.
    pub(super) fn unmount_root(&self, record: &Record) -> Result<()> {
        let Some(RootMount { id, namespace }) = &record.root_mount else { return Ok(()) };
        let namespace = match namespace.as_deref().map(|path| (path, File::open(path))) {
            None => None,
            Some((_, Ok(namespace))) => Some(namespace),
            // The mounts end with the namespace, if nobody else can reach it.
            Some((path, Err(error))) => {
                let (id, path) = (&self.id, path.display());
                log::warn!(
                    "container {id:?}: its mounts are left to the namespace {path}, which cannot be opened: {error}"
                );
                return Ok(());
            }
        };
        let rootfs = &record.inputs.rootfs;
        let plan = plan::detach_mount(rootfs, *id, namespace.is_some());
        let mut helper = start(&plan, namespace.as_ref())?;
        helper.reached(self.runtime.setup_deadline())?;
        let table = mountinfo::read(&helper.pid().to_string())?;
        if mountinfo::parse(&table).any(|mount| mount.id == *id && mount.point == *rootfs) {
            let message = format!("unmounting {}: another mount covers it; unmount that first", rootfs.display());
            return Err(Error::system(Errno::EBUSY, message));
        }
        Ok(())
    }
}

/// Starts a helper in the caller's mount namespace. It is ended with the channel.
fn start<'p>(plan: &'p Plan, namespace: Option<&File>) -> Result<InitChannel<'p>> {
    let open = |descriptor: &Descriptor| match descriptor {
        Descriptor::Joined(_) => namespace.map_or(-1, AsRawFd::as_raw_fd),
        _ => -1,
    };
    spawn::start(plan, Launch { low: &[], open: &open, cgroup: None, proc: procfs::root()?, network: None })
}
