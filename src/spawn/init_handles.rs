//! The descriptors that lead into a container: of its init, of what is joined apart from the rest, and of its root.

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

/// What is needed beside the pidfd.
#[derive(Clone, Copy, Debug, Default)]
pub struct Needs {
    /// The cgroup namespace by itself: it is joined by a process that may not look at init any more.
    pub cgroup_namespace: bool,
    /// The root directory: a container in a joined mount namespace has another one than the namespace.
    pub root: bool,
}

impl InitHandles {
    /// None when init is gone.
    pub fn open(init: &Identity, needs: Needs) -> Result<Option<InitHandles>> {
        let Some(pidfd) = init.open()? else { return Ok(None) };
        let by_path = |wanted: bool, name: &str, flags: OFlag| {
            let path = format!("{}/{name}", init.pid);
            wanted.then(|| procfs::open(&path, flags)).transpose()
        };
        let cgroup_namespace = by_path(needs.cgroup_namespace, "ns/cgroup", OFlag::O_RDONLY);
        let root = by_path(needs.root, "root", OFlag::O_PATH | OFlag::O_DIRECTORY);
        // What was opened by number is its, if it is still there.
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
