//! A runtime: a state root with containers, and the settings that apply to all of them.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use once_cell::sync::OnceCell;

use crate::cgroup::Manager;
use crate::criu;
use crate::deadline::Deadline;
use crate::error::{Error, Result};
use crate::plan::RootOptions;
use crate::rootless::Rootless;
use crate::state::{self, Directory, Root};

/// The default state root: on a tmpfs, so that it is empty after a reboot, when no containers exist either.
pub const DEFAULT_ROOT: &str = "/run/berth";

/// The settings of a runtime.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The state root, which is created if missing.
    pub root: PathBuf,
    /// The time that setup may take, without the time of hooks.
    pub setup_timeout: Duration,
    /// The time that a call waits for the lock of a container before it fails with `Busy`.
    pub lock_timeout: Duration,
    /// The time that a hook without its own timeout may run.
    pub hook_timeout: Duration,
    /// The environment, as NAME=VALUE, of hooks that run on the host (prestart, createRuntime, poststart, poststop) and
    /// have none of their own. The caller's own environment, which may have secrets, is not passed on.
    pub hook_env: Vec<String>,
    /// The time that freezing, killing and removing may take.
    pub cgroup_timeout: Duration,
    /// The manager that creates the cgroups of new containers. Existing containers keep theirs.
    pub cgroup_manager: Manager,
    /// Whether new containers do without cgroups that the caller may not create.
    pub rootless: Rootless,
    /// The options of new containers' root filesystems.
    pub root_options: RootOptions,
    /// Whether delete returns the devices of `linux.netDevices` to the host. The specification leaves them in the
    /// network namespace, where the kernel destroys virtual devices.
    pub return_devices: bool,
    /// The path of CRIU. `None`: the `criu` in the usual directories of the host.
    pub criu: Option<PathBuf>,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            root: DEFAULT_ROOT.into(),
            setup_timeout: Duration::from_secs(60),
            lock_timeout: Duration::from_secs(30),
            hook_timeout: Duration::from_secs(60),
            hook_env: Vec::new(),
            cgroup_timeout: Duration::from_secs(30),
            cgroup_manager: Manager::Files,
            rootless: Rootless::No,
            root_options: RootOptions::default(),
            return_devices: false,
            criu: None,
        }
    }
}

/// A state root with containers. Clones refer to the same runtime.
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
    /// Opens a runtime, and creates its state root if it is missing. Fails if the state root belongs to another user or
    /// others may write to it.
    pub fn new(settings: Settings) -> Result<Runtime> {
        check_hook_env(&settings.hook_env)?;
        let root = Root::open(&settings.root)?;
        Ok(Runtime { inner: Arc::new(Inner { settings, root, rootless: OnceCell::new() }) })
    }

    /// Returns the path of the state root, which has a directory for each container.
    pub fn root(&self) -> &Path {
        &self.inner.settings.root
    }

    /// Returns what CRIU supports on this host, as JSON; see [`criu::check_json`].
    pub fn criu_check_json(&self) -> Result<String> {
        criu::check_json(self.inner.settings.criu.as_deref())
    }

    /// Returns the ids of all containers in the state root, sorted.
    pub fn ids(&self) -> Result<Vec<String>> {
        self.inner.root.ids()
    }
}

fn check_hook_env(env: &[String]) -> Result<()> {
    let bad = |entry: &&String| entry.contains('\0') || entry.starts_with('=') || !entry.contains('=');
    env.iter().find(bad).map_or(Ok(()), |entry| {
        let message = format!("hook_env: {entry:?} is not a variable; expected NAME=VALUE");
        Err(Error::invalid_argument(message).detail("parameter", "hook_env"))
    })
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
