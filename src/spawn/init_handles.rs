//! The descriptors for joining a container: its init, namespaces that are joined separately, and its root.

use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use nix::fcntl::OFlag;

use crate::error::Result;
use crate::plan::Descriptor;
use crate::sys::{identity::Identity, procfs};

pub struct InitHandles {
    pub pidfd: OwnedFd,
    cgroup_namespace: Option<OwnedFd>,
    root: Option<OwnedFd>,
}

/// The descriptors to open beside the pidfd.
#[derive(Clone, Copy, Debug, Default)]
pub struct Needs {
    /// Whether to open the cgroup namespace: the process that joins it may no longer access init.
    pub cgroup_namespace: bool,
    /// Whether to open the root directory: in a joined mount namespace the container's root differs from the
    /// namespace's.
    pub root: bool,
}

impl InitHandles {
    /// Opens the descriptors. Returns `None` if init no longer exists.
    pub fn open(init: &Identity, needs: Needs) -> Result<Option<InitHandles>> {
        let Some(pidfd) = init.open()? else { return Ok(None) };
        let by_path = |wanted: bool, name: &str, flags: OFlag| {
            let path = format!("{}/{name}", init.pid);
            wanted.then(|| procfs::open(&path, flags)).transpose()
        };
        let cgroup_namespace = by_path(needs.cgroup_namespace, "ns/cgroup", OFlag::O_RDONLY);
        let root = by_path(needs.root, "root", OFlag::O_PATH | OFlag::O_DIRECTORY);
        // The files opened by pid belong to init if it still exists now.
        if !init.is_alive()? {
            return Ok(None);
        }
        Ok(Some(InitHandles { pidfd, cgroup_namespace: cgroup_namespace?, root: root? }))
    }

    pub fn find(&self, descriptor: &Descriptor) -> RawFd {
        let number = |fd: &Option<OwnedFd>| fd.as_ref().map_or(-1, |fd| fd.as_raw_fd());
        match descriptor {
            Descriptor::ContainerInit => self.pidfd.as_raw_fd(),
            Descriptor::ContainerCgroupNamespace => number(&self.cgroup_namespace),
            Descriptor::ContainerRoot => number(&self.root),
            _ => -1,
        }
    }
}
