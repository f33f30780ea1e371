//! The descriptors for joining a container: its init, namespaces that are joined separately, and its root filesystem.

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
    /// Where init has the root filesystem, if it is to be opened.
    pub root: Option<RootOf>,
}

/// Where init has the container's root filesystem.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RootOf {
    /// Its root directory. In a joined mount namespace that differs from the namespace's root.
    Root,
    /// Its working directory, before it has moved into the root filesystem.
    WorkingDirectory,
}

impl RootOf {
    /// Returns the name of the link in /proc/<pid>.
    fn link(self) -> &'static str {
        match self {
            RootOf::Root => "root",
            RootOf::WorkingDirectory => "cwd",
        }
    }
}

impl InitHandles {
    /// Opens the descriptors. Returns `None` if init no longer exists.
    pub fn open(init: &Identity, needs: Needs) -> Result<Option<InitHandles>> {
        let Some(pidfd) = init.open()? else { return Ok(None) };
        let by_path = |name: Option<&str>, flags: OFlag| {
            name.map(|name| procfs::open(&format!("{}/{name}", init.pid), flags)).transpose()
        };
        let cgroup_namespace = by_path(needs.cgroup_namespace.then_some("ns/cgroup"), OFlag::O_RDONLY);
        let root = by_path(needs.root.map(RootOf::link), OFlag::O_PATH | OFlag::O_DIRECTORY);
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
