//! Options of a checkpoint and a restore. CRIU's manual, criu(8), describes most of them in detail.

use std::net::IpAddr;
use std::os::fd::{OwnedFd, RawFd};
use std::path::PathBuf;
use std::time::Duration;

use super::message;
use crate::error::{Error, Result};
use crate::process::{ProcessOptions, duplicate};
use crate::security::labels::{self, Module};
use crate::spec::namespaces::Namespaces;
use crate::spec::oci::{self, LinuxNamespaceType};

/// CRIU's default timeout.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(600);

/// How cgroups that the container has created below its own are dumped and restored, with their values. The container's
/// own cgroups and limits are always those of the configuration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CgroupMode {
    /// Cgroups are created again; values are restored in those that did not exist.
    #[default]
    Soft,
    /// No cgroup is dumped or created: all processes are in the container's own cgroups.
    Ignore,
    /// All cgroups must exist already.
    None,
    /// All cgroups must exist already, and their values are restored.
    Properties,
    /// Missing cgroups are created, and the values of all are restored.
    Full,
    /// No cgroup may exist, all are created. On cgroup v1 CRIU counts the container's own, and refuses a restore.
    Strict,
}

impl CgroupMode {
    /// Checks that a container with these namespaces can be dumped, and restored, in this mode.
    pub(crate) fn check(self, namespaces: &Namespaces) -> Result<()> {
        if self == CgroupMode::Ignore && namespaces.is_new(LinuxNamespaceType::Cgroup) {
            let message = "the cgroup mode \"ignore\" makes no cgroup namespace, but the configuration has one";
            return Err(Error::invalid_argument(message));
        }
        Ok(())
    }

    pub(crate) fn message(self) -> message::CgroupMode {
        match self {
            CgroupMode::Soft => message::CgroupMode::Soft,
            CgroupMode::Ignore => message::CgroupMode::Ignore,
            CgroupMode::None => message::CgroupMode::None,
            CgroupMode::Properties => message::CgroupMode::Properties,
            CgroupMode::Full => message::CgroupMode::Full,
            CgroupMode::Strict => message::CgroupMode::Strict,
        }
    }
}

/// How packets of TCP connections are blocked while the container is stopped. A restore unblocks them by the method of
/// the dump.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NetworkLock {
    /// nftables rules, which CRIU sets itself.
    #[default]
    Nftables,
    /// iptables rules, set by the programs `iptables-restore` and `ip6tables-restore`. The rules stay if CRIU is
    /// killed.
    Iptables,
    /// Packets are not blocked: one that arrives while no process has the connection resets it.
    Skip,
}

impl NetworkLock {
    pub(crate) fn message(self) -> message::NetworkLock {
        match self {
            NetworkLock::Nftables => message::NetworkLock::Nftables,
            NetworkLock::Iptables => message::NetworkLock::Iptables,
            NetworkLock::Skip => message::NetworkLock::Skip,
        }
    }
}

/// The address at which `criu page-server`, or for lazy pages `criu lazy-pages`, is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageServer {
    /// The IP address: another host's, or for lazy pages an address of this host to listen on.
    pub address: IpAddr,
    /// The TCP port.
    pub port: u16,
}

impl PageServer {
    pub(crate) fn message(self) -> message::PageServer {
        message::PageServer { address: Some(self.address.to_string()), port: Some(self.port.into()) }
    }
}

/// Options of a checkpoint.
#[derive(Clone, Debug, Default)]
pub struct CheckpointOptions {
    /// The directory for the images. Created if missing.
    pub images: PathBuf,
    /// The directory for CRIU's log and other work files. Created if missing. None: a directory in the container's
    /// state directory.
    pub work: Option<PathBuf>,
    /// Whether the container continues to run after the dump. Otherwise it is stopped.
    pub leave_running: bool,
    /// Whether only memory is dumped, and the container continues to run; the next dump, with these images as
    /// `parent_images`, contains only the pages changed since. Needs a kernel with memory tracking.
    pub pre_dump: bool,
    /// The images of the previous dump, absolute or relative to `images`. Needs a kernel with memory tracking.
    pub parent_images: Option<PathBuf>,
    /// Whether pages of the parent images that this dump contains too are removed there.
    pub auto_dedup: bool,
    /// A page server that memory is sent to, instead of into the images.
    pub page_server: Option<PageServer>,
    /// Whether memory stays on this host until a restore elsewhere requests it at `page_server`'s address. The dump
    /// waits for that.
    pub lazy_pages: bool,
    /// A descriptor that a NUL byte is written to when lazy pages can be requested.
    pub status_fd: Option<RawFd>,
    /// Whether the container's terminal or session are the caller's.
    pub shell_job: bool,
    /// Whether established TCP connections are dumped, instead of being an error. The restore needs the same option.
    pub tcp_established: bool,
    /// Whether TCP connections that are not established yet are left out, instead of being an error.
    pub tcp_skip_in_flight: bool,
    /// Whether Unix sockets whose other end is outside of the container are dumped, instead of being an error.
    pub external_unix_sockets: bool,
    /// Whether file locks are dumped, instead of being an error. The restore needs the same option.
    pub file_locks: bool,
    /// Whether open files that were deleted get a name for the time of the checkpoint.
    pub link_remap: bool,
    /// Whether the content of the network namespace is left out: the restore begins with an empty one.
    pub empty_network: bool,
    /// How cgroups that the container has created below its own are dumped.
    pub cgroup_mode: CgroupMode,
    /// How packets of TCP connections are blocked while the container is stopped.
    pub network_lock: NetworkLock,
    /// A file of CRIU's options, which overrule all others.
    pub config_file: Option<PathBuf>,
    /// How long CRIU may take. None: ten minutes.
    pub timeout: Option<Duration>,
}

impl CheckpointOptions {
    /// Returns the defaults, with this directory for the images.
    pub fn into_directory(images: impl Into<PathBuf>) -> CheckpointOptions {
        CheckpointOptions { images: images.into(), ..CheckpointOptions::default() }
    }

    pub(crate) fn timeout(&self) -> Duration {
        self.timeout.unwrap_or(DEFAULT_TIMEOUT)
    }

    /// Checks the options by themselves. Returns a duplicate of the status descriptor.
    pub(crate) fn check(&self) -> Result<Option<OwnedFd>> {
        let wrong = |message: &str| Err(Error::invalid_argument(message));
        if self.lazy_pages && self.page_server.is_none() {
            return wrong("lazy pages need the address of a page server");
        }
        if self.lazy_pages && self.leave_running {
            return wrong(
                "lazy pages move the container's memory to the restored container: it cannot be left running",
            );
        }
        if self.pre_dump && self.lazy_pages {
            return wrong("a pre-dump writes memory, lazy pages leave it in place: only one of them is possible");
        }
        if self.status_fd.is_some() && !self.lazy_pages {
            return wrong("a status descriptor reports when lazy pages can be requested: it needs lazy pages");
        }
        if self.auto_dedup && self.parent_images.is_none() {
            return wrong("auto-dedup removes pages from the parent images: it needs parent images");
        }
        self.status_fd.map(|fd| duplicate(fd, "status_fd")).transpose()
    }

    pub(crate) fn needs(&self) -> super::Needs {
        super::Needs { memory_tracking: self.tracks_memory(), lazy_pages: self.lazy_pages }
    }

    pub(crate) fn tracks_memory(&self) -> bool {
        self.pre_dump || self.parent_images.is_some()
    }
}

/// The cgroup at which the cgroup tree of the images begins, of one controller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CgroupRoot {
    /// A v1 controller, `name=…` for a named hierarchy, empty for the v2 tree.
    pub controller: String,
    /// The cgroup's path, as in `/proc/<pid>/cgroup`.
    pub path: String,
}

/// A veth pair that a restore creates for one that was dumped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VethPair {
    /// The name of its end in the container.
    pub name: String,
    /// The name of its end on the host.
    pub host_name: String,
}

/// Options of a restore.
#[derive(Clone, Debug, Default)]
pub struct RestoreOptions {
    /// The directory of the images.
    pub images: PathBuf,
    /// The directory for CRIU's log and other work files, as for a checkpoint.
    pub work: Option<PathBuf>,
    /// The targets of the container's standard streams that were pipes, and of its terminal's master. A stream that was
    /// no pipe is restored as it was, so it must be left at its default, or be null.
    pub process: ProcessOptions,
    /// Required if the dump had it: the container's terminal or session are the caller's.
    pub shell_job: bool,
    /// Required if the dump had it: established TCP connections are restored.
    pub tcp_established: bool,
    /// Whether established TCP connections are restored as closed ones.
    pub tcp_close: bool,
    /// Required if the dump had it: Unix sockets whose other end is outside of the container are restored.
    pub external_unix_sockets: bool,
    /// Required if the dump had it: file locks are acquired again.
    pub file_locks: bool,
    /// Whether pages are removed from the images as soon as they are restored.
    pub auto_dedup: bool,
    /// Whether memory is requested when it is first accessed, from a `criu lazy-pages` with the same work directory.
    pub lazy_pages: bool,
    /// Required if the dump had it: the network namespace begins empty.
    pub empty_network: bool,
    /// Veth pairs in addition to those of the configuration's networks.
    pub veth_pairs: Vec<VethPair>,
    /// How cgroups that the container has created below its own are restored, with their values.
    pub cgroup_mode: CgroupMode,
    /// Cgroups to restore into, instead of the container's own, which must contain them.
    pub cgroup_roots: Vec<CgroupRoot>,
    /// The label of the restored processes instead of the dumped one: "apparmor:NAME" or "selinux:LABEL".
    pub lsm_profile: Option<String>,
    /// An SELinux label for mounts.
    pub lsm_mount_context: Option<String>,
    /// A file of CRIU's options, which overrule all others.
    pub config_file: Option<PathBuf>,
    /// How long CRIU may take. None: ten minutes.
    pub timeout: Option<Duration>,
}

impl RestoreOptions {
    /// Returns the defaults, with this directory of images.
    pub fn from_directory(images: impl Into<PathBuf>) -> RestoreOptions {
        RestoreOptions { images: images.into(), ..RestoreOptions::default() }
    }

    /// Checks that the host enforces the security modules of the requested labels: without the module CRIU ignores some
    /// labels silently.
    pub(crate) fn check_labels(&self) -> Result<()> {
        if let Some(profile) = &self.lsm_profile {
            let (module, _) = label(profile).ok_or_else(|| {
                let message = format!("lsm_profile is {profile:?}; expected \"apparmor:\" or \"selinux:\" and a name");
                Error::invalid_argument(message)
            })?;
            module.required("lsm_profile")?;
        }
        match &self.lsm_mount_context {
            Some(_) => Module::Selinux.required("lsm_mount_context"),
            None => Ok(()),
        }
    }

    /// Returns the labels that a process of this configuration has after the restore.
    pub(crate) fn labels_for<'a>(&'a self, process: &'a oci::Process) -> Vec<(Module, &'a str)> {
        match self.lsm_profile.as_deref().and_then(label) {
            Some(label) => vec![label],
            None => labels::of(process),
        }
    }

    pub(crate) fn timeout(&self) -> Duration {
        self.timeout.unwrap_or(DEFAULT_TIMEOUT)
    }
}

/// Splits "apparmor:NAME" or "selinux:LABEL".
fn label(profile: &str) -> Option<(Module, &str)> {
    let (module, name) = profile.split_once(':').filter(|(_, name)| !name.is_empty())?;
    match module {
        "apparmor" => Some((Module::AppArmor, name)),
        "selinux" => Some((Module::Selinux, name)),
        _ => None,
    }
}
