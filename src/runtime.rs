//! A runtime: the state root with its containers, and the settings that hold for all of them.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use nix::unistd::Uid;
use once_cell::sync::OnceCell;

use crate::cgroup::Manager;
use crate::criu;
use crate::deadline::Deadline;
use crate::error::Result;
use crate::plan::RootOptions;
use crate::state::{self, Directory, Root};
use crate::sys::procfs;

/// Where the state is kept unless the caller says otherwise: on a tmpfs, gone after a reboot as the containers are.
pub const DEFAULT_ROOT: &str = "/run/berth";

/// How a runtime works.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The state root. Made if missing.
    pub root: PathBuf,
    /// How long berth-init may take to set a container up, without the time of hooks.
    pub setup_timeout: Duration,
    /// How long another process or thread may hold a container's lock before the call gives up (`Busy`).
    pub lock_timeout: Duration,
    /// How long a hook may run that has no timeout of its own.
    pub hook_timeout: Duration,
    /// How long freezing, killing and removing may take.
    pub cgroup_timeout: Duration,
    /// Who makes the cgroups of containers that are created. Those that exist know who made theirs.
    pub cgroup_manager: Manager,
    /// Whether containers that are created do without cgroups that the caller may not make.
    pub rootless: Rootless,
    /// How containers that are created get their root filesystems.
    pub root_options: RootOptions,
    /// Whether the devices of `linux.netDevices` return to the host when their container is deleted, although the
    /// specification leaves them in the network namespace, where the kernel destroys a virtual one.
    pub return_devices: bool,
    /// CRIU's program. None: the `criu` in the usual directories of the host.
    pub criu: Option<PathBuf>,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            root: DEFAULT_ROOT.into(),
            setup_timeout: Duration::from_secs(60),
            lock_timeout: Duration::from_secs(30),
            hook_timeout: Duration::from_secs(60),
            cgroup_timeout: Duration::from_secs(30),
            cgroup_manager: Manager::Files,
            rootless: Rootless::No,
            root_options: RootOptions::default(),
            return_devices: false,
            criu: None,
        }
    }
}

/// For callers without privileges: containers that are created have cgroups of their own only where the caller may make them,
/// unless their configuration asks for more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rootless {
    /// Every container has cgroups of its own.
    #[default]
    No,
    /// Containers do without those that the caller may not make.
    Yes,
    /// As the caller is when the first container is created: without root, or the root of a user namespace, whose cgroups may
    /// be somebody else's.
    Auto,
}

impl Rootless {
    pub(crate) fn holds(self) -> Result<bool> {
        match self {
            Rootless::No => Ok(false),
            Rootless::Yes => Ok(true),
            Rootless::Auto => Ok(!Uid::effective().is_root() || procfs::in_user_namespace()?),
        }
    }
}

/// A state root with containers. Clones are the same runtime.
#[derive(Clone, Debug)]
pub struct Runtime {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub settings: Settings,
    pub root: Root,
    rootless: OnceCell<bool>,
}

impl Runtime {
    /// Opens a runtime, and makes its state root if it is missing. Fails if that belongs to another user, or others may write
    /// to it.
    pub fn new(settings: Settings) -> Result<Runtime> {
        let root = Root::open(&settings.root)?;
        Ok(Runtime { inner: Arc::new(Inner { settings, root, rootless: OnceCell::new() }) })
    }

    /// The directory where the states of the containers are.
    pub fn root(&self) -> &Path {
        &self.inner.settings.root
    }

    /// What CRIU can do on this host; see [`criu::check_json`].
    pub fn criu_check_json(&self) -> Result<String> {
        criu::check_json(self.inner.settings.criu.as_deref())
    }

    /// The ids of all containers below the state root, in order.
    pub fn ids(&self) -> Result<Vec<String>> {
        self.inner.root.ids()
    }
}

impl Inner {
    pub fn is_rootless(&self) -> Result<bool> {
        self.rootless.get_or_try_init(|| self.settings.rootless.holds()).copied()
    }

    pub fn directory(&self, id: &str) -> Result<Directory> {
        state::check_id(id)?;
        self.root.directory(id)
    }

    pub fn lock_deadline(&self) -> Deadline {
        Deadline::after(self.settings.lock_timeout)
    }

    pub fn setup_deadline(&self) -> Deadline {
        Deadline::after(self.settings.setup_timeout)
    }

    pub fn cgroup_deadline(&self) -> std::time::Instant {
        std::time::Instant::now() + self.settings.cgroup_timeout
    }
}
