//! The root filesystem of a container without a mount namespace of its own. It is mounted at its own path in the host's
//! or in a joined mount namespace, where other processes see it, and delete unmounts it with all that is mounted on it.

use std::fs::File;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

use nix::errno::Errno;

use super::Container;
use crate::deadline::Deadline;
use crate::error::{Code, Context, Error, Result};
use crate::plan::{self, Descriptor, Plan};
use crate::spawn::{self, InitChannel, Launch};
use crate::spec::Config;
use crate::spec::namespaces::{Namespaces, mounts_in_shared_namespace};
use crate::spec::oci::LinuxNamespaceType;
use crate::state::{Record, RootMount};
use crate::sys::{mountinfo, nsfs, procfs};

/// The mounts of a root filesystem, which are not attached yet.
pub struct RootMounts {
    /// The root filesystem's mount alone.
    pub base: OwnedFd,
    /// It with the mounts below it.
    pub tree: OwnedFd,
    /// Where they will be. They keep their ids when they are attached.
    pub mount: RootMount,
}

/// Clones the mounts of the root filesystem, before anything of the container exists, if it is mounted in a namespace
/// that other processes use. `joined`: the namespaces to join, in the order of the plan.
pub fn clone(config: &Config, joined: &[File], rootfs: &Path, deadline: Deadline) -> Result<Option<RootMounts>> {
    if !mounts_in_shared_namespace(config.spec()) {
        return Ok(None);
    }
    if rootfs == Path::new("/") {
        let problem = "is \"/\", on which nothing can be mounted in a mount namespace that other processes use; expected \
                       another directory, or an entry of type \"mount\" without path in linux.namespaces";
        return Err(Error::config("root.path", problem));
    }
    let namespaces = Namespaces::of(config.spec()).joined;
    let mut of_mounts = namespaces.iter().zip(joined).filter(|(joined, _)| joined.kind == LinuxNamespaceType::Mount);
    let (path, namespace) = of_mounts.next().map(|(joined, file)| (joined.path.clone(), file)).unzip();
    let plan = plan::clone_mounts(rootfs, namespace.is_some());
    let mut helper = start(&plan, namespace)?;
    let (base, tree) = (helper.opened(deadline)?, helper.opened(deadline)?);
    let mount = RootMount { ids: [mountinfo::id_of(&tree)?, mountinfo::id_of(&base)?], namespace: path };
    Ok(Some(RootMounts { base, tree, mount }))
}

impl Container {
    /// Unmounts the root filesystem if it is in a mount namespace that other processes use.
    pub(super) fn unmount_root(&self, record: &Record) -> Result<()> {
        let Some(RootMount { ids, namespace }) = &record.root_mount else { return Ok(()) };
        let Some(path) = namespace else { return self.unmount(record, ids, None) };
        let Some(namespace) = open_namespace(path)? else {
            // The mounts end with the namespace, if nobody else can reach it.
            let (id, path) = (&self.id, path.display());
            log::warn!("container {id:?}: {path} is no mount namespace any more, and the mounts in it are left");
            return Ok(());
        };
        self.unmount(record, ids, Some(&namespace))
    }

    fn unmount(&self, record: &Record, ids: &[u64], namespace: Option<&File>) -> Result<()> {
        let rootfs = &record.inputs.rootfs;
        // For all of them: somebody may go on mounting over the root.
        let deadline = self.runtime.setup_deadline();
        for id in ids {
            let mut top = *id;
            // The container itself may have mounted over its root.
            while let Some(next) = detach(rootfs, top, *id, namespace, deadline)? {
                if next == top {
                    let message = format!("unmounting {}: another mount covers it", rootfs.display());
                    return Err(Error::system(Errno::EBUSY, message));
                }
                top = next;
            }
        }
        Ok(())
    }
}

/// Unmounts the mount `id` if it is the topmost one at the root filesystem's path. Returns the topmost mount on the
/// mount `root` then, which may be `root` itself; none if that is gone.
fn detach(rootfs: &Path, id: u64, root: u64, namespace: Option<&File>, deadline: Deadline) -> Result<Option<u64>> {
    let plan = plan::detach_mount(rootfs, id, namespace.is_some());
    let mut helper = start(&plan, namespace)?;
    helper.reached(deadline)?;
    let table = mountinfo::read(&helper.pid().to_string())?;
    if table.is_empty() {
        let message = format!("unmounting {}: the process that looks whether it is gone was killed", rootfs.display());
        return Err(Error::new(Code::System, message));
    }
    let there: Vec<_> = mountinfo::parse(&table).filter(|mount| mount.point == *rootfs).collect();
    let mut top = there.iter().find(|mount| mount.id == root);
    while let Some(above) = top.and_then(|top| there.iter().find(|mount| mount.parent == top.id)) {
        top = Some(above);
    }
    Ok(top.map(|top| top.id))
}

/// Opens a mount namespace. None if the path is missing or no longer one: an unmounted namespace leaves a plain file.
fn open_namespace(path: &Path) -> Result<Option<File>> {
    let doing = || format!("opening the mount namespace {}", path.display());
    match nsfs::open(path) {
        Ok(file) => {
            let file = OwnedFd::from(file);
            let is_namespace = nsfs::flag(&file) == Ok(libc::CLONE_NEWNS as u64);
            Ok(is_namespace.then(|| file.into()))
        }
        Err(error) if [libc::ENOENT, libc::ENOTDIR, libc::ESRCH].map(Some).contains(&error.raw_os_error()) => Ok(None),
        Err(error) => Err(error).context(doing),
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
