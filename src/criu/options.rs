//! What a checkpoint and a restore can be asked for. CRIU's manual, criu(8), says more about each.

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

/// How long CRIU may take if nothing else is said.
const PATIENCE: Duration = Duration::from_secs(600);

/// What becomes of cgroups that the container has made below its own, and of their values. The container's own cgroups and
/// limits are always those of the configuration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CgroupMode {
    /// They are made again; values are restored in those that are made.
    #[default]
    Soft,
    /// Nothing is dumped or made: all processes are in the container's own cgroups.
    Ignore,
    /// All must be there already.
    None,
    /// All must be there already, and get their values.
    Properties,
    /// They are made if missing, and all get their values.
    Full,
    /// None may be there, all are made. On cgroup v1 CRIU counts the container's own, and refuses a restore.
    Strict,
}

impl CgroupMode {
    /// Whether a container with these namespaces can be dumped, and restored, in this mode.
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

/// What holds back the packets of TCP connections while the container stands still. A restore ends what its images were made
/// with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NetworkLock {
    /// The kernel's nftables, by CRIU itself.
    #[default]
    Nftables,
    /// The programs `iptables-restore` and `ip6tables-restore`. Their rules stay if CRIU is killed.
    Iptables,
    /// Nothing: what arrives while nobody is there ends the connection.
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

/// Where `criu page-server`, or for lazy pages `criu lazy-pages`, is or will be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageServer {
    /// Its address: of another host, or for lazy pages the one of this host to listen on.
    pub address: IpAddr,
    /// Its TCP port.
    pub port: u16,
}

impl PageServer {
    pub(crate) fn message(self) -> message::PageServer {
        message::PageServer { address: Some(self.address.to_string()), port: Some(self.port.into()) }
    }
}

/// How a container is to be dumped.
#[derive(Clone, Debug, Default)]
pub struct CheckpointOptions {
    /// The images go there. Made if missing.
    pub images: PathBuf,
    /// CRIU's log and other files of its work go there. Made if missing. None: the container's own directory.
    pub work: Option<PathBuf>,
    /// The container runs on afterwards. Otherwise it is stopped.
    pub leave_running: bool,
    /// Only memory is dumped, and the container runs on; the next dump, with these images as `parent_images`, has only
    /// what has changed since. Needs a kernel with memory tracking.
    pub pre_dump: bool,
    /// The images of the dump before, absolute or as seen from `images`. Needs a kernel with memory tracking.
    pub parent_images: Option<PathBuf>,
    /// Pages that the images before have, too, are removed there.
    pub auto_dedup: bool,
    /// Memory goes there instead of into the images.
    pub page_server: Option<PageServer>,
    /// Memory stays here until a restore elsewhere asks for it, at `page_server`'s address: this dump waits for that.
    pub lazy_pages: bool,
    /// Gets a NUL byte when lazy pages can be asked for.
    pub status_fd: Option<RawFd>,
    /// Its terminal or session are the caller's.
    pub shell_job: bool,
    /// Established TCP connections are dumped, instead of being an error. The restore needs the same option.
    pub tcp_established: bool,
    /// Connections that are not established yet are left out, instead of being an error.
    pub tcp_skip_in_flight: bool,
    /// Unix sockets whose other end is outside of the container.
    pub external_unix_sockets: bool,
    /// File locks are dumped, instead of being an error. The restore needs the same option.
    pub file_locks: bool,
    /// Open files without a name get one for the time of the checkpoint.
    pub link_remap: bool,
    /// What is in its network namespace is not dumped: a restore begins with an empty one.
    pub empty_network: bool,
    /// What is dumped of cgroups that the container has made below its own.
    pub cgroup_mode: CgroupMode,
    /// What holds back the packets of connections while the container stands still.
    pub network_lock: NetworkLock,
    /// A file of CRIU's options, which overrule all others.
    pub config_file: Option<PathBuf>,
    /// How long CRIU may take. None: ten minutes.
    pub timeout: Option<Duration>,
}

impl CheckpointOptions {
    /// All defaults, into this directory.
    pub fn into_directory(images: impl Into<PathBuf>) -> CheckpointOptions {
        CheckpointOptions { images: images.into(), ..CheckpointOptions::default() }
    }

    pub(crate) fn patience(&self) -> Duration {
        self.timeout.unwrap_or(PATIENCE)
    }

    /// What is wrong with the options by themselves; and the status descriptor, duplicated.
    pub(crate) fn check(&self) -> Result<Option<OwnedFd>> {
        let wrong = |message: &str| Err(Error::invalid_argument(message));
        if self.lazy_pages && self.page_server.is_none() {
            return wrong("lazy pages need a page server's address, at which they can be asked for");
        }
        if self.lazy_pages && self.leave_running {
            return wrong("with lazy pages the container's memory leaves it: it cannot be left running");
        }
        if self.pre_dump && self.lazy_pages {
            return wrong("a pre-dump takes the memory, lazy pages leave it: only one of them is possible");
        }
        if self.status_fd.is_some() && !self.lazy_pages {
            return wrong("a status descriptor tells when lazy pages can be asked for: it needs lazy pages");
        }
        if self.auto_dedup && self.parent_images.is_none() {
            return wrong("auto-dedup removes pages from the parent images: it needs some");
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

/// The part of a container's cgroups that the tree of the images begins at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CgroupRoot {
    /// A v1 controller, `name=…` for a named hierarchy, empty for the v2 tree.
    pub controller: String,
    /// As /proc/<pid>/cgroup has it.
    pub path: String,
}

/// A pair of links that a restore makes for one that was dumped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VethPair {
    /// Its name in the container.
    pub name: String,
    /// The name that its other end shall have on the host.
    pub host_name: String,
}

/// How a container is to be made from images.
#[derive(Clone, Debug, Default)]
pub struct RestoreOptions {
    /// The directory of the images.
    pub images: PathBuf,
    /// As for a checkpoint.
    pub work: Option<PathBuf>,
    /// Where the container's standard streams lead that were pipes, and its terminal's master. A stream that was no pipe
    /// is as it was: it must be left at its default, or be null.
    pub process: ProcessOptions,
    /// Needed where the dump had it: its terminal or session are the caller's.
    pub shell_job: bool,
    /// Needed where the dump had it: established TCP connections go on.
    pub tcp_established: bool,
    /// Established connections are restored as closed ones.
    pub tcp_close: bool,
    /// Needed where the dump had it: Unix sockets whose other end is outside of the container.
    pub external_unix_sockets: bool,
    /// Needed where the dump had it: file locks are taken again.
    pub file_locks: bool,
    /// Pages are removed from the images as soon as they are restored.
    pub auto_dedup: bool,
    /// Memory is asked for when it is used, of a `criu lazy-pages` that works in the same work directory.
    pub lazy_pages: bool,
    /// Needed where the dump had it: the network namespace begins empty.
    pub empty_network: bool,
    /// Pairs beside those of the configuration's networks.
    pub veth_pairs: Vec<VethPair>,
    /// What becomes of cgroups that the container has made below its own, and of their values.
    pub cgroup_mode: CgroupMode,
    /// Instead of the container's own cgroups, which must contain them.
    pub cgroup_roots: Vec<CgroupRoot>,
    /// "apparmor:NAME" or "selinux:LABEL", instead of what the processes had.
    pub lsm_profile: Option<String>,
    /// An SELinux label for mounts.
    pub lsm_mount_context: Option<String>,
    /// A file of CRIU's options, which overrule all others.
    pub config_file: Option<PathBuf>,
    /// How long CRIU may take. None: ten minutes.
    pub timeout: Option<Duration>,
}

impl RestoreOptions {
    /// All defaults, from this directory.
    pub fn from_directory(images: impl Into<PathBuf>) -> RestoreOptions {
        RestoreOptions { images: images.into(), ..RestoreOptions::default() }
    }

    /// Labels are asked for only where the module is there to enforce them: CRIU passes over some of them elsewhere.
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

    /// The labels that a process of this configuration has after the restore.
    pub(crate) fn labels_for<'a>(&'a self, process: &'a oci::Process) -> Vec<(Module, &'a str)> {
        match self.lsm_profile.as_deref().and_then(label) {
            Some(label) => vec![label],
            None => labels::of(process),
        }
    }

    pub(crate) fn patience(&self) -> Duration {
        self.timeout.unwrap_or(PATIENCE)
    }
}

/// Of "apparmor:NAME" and "selinux:LABEL".
fn label(profile: &str) -> Option<(Module, &str)> {
    let (module, name) = profile.split_once(':').filter(|(_, name)| !name.is_empty())?;
    match module {
        "apparmor" => Some((Module::AppArmor, name)),
        "selinux" => Some((Module::Selinux, name)),
        _ => None,
    }
}
