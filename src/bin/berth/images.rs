//! What checkpoint and restore have in common: where the images are, and what CRIU may do.

use std::path::PathBuf;

use berth::criu::CgroupMode;
use clap::{Args, ValueEnum};

use crate::failure::Failure;
use crate::host;

#[derive(Args)]
pub struct Images {
    /// The directory of the images [default: checkpoint]
    #[arg(long, value_name = "DIR")]
    image_path: Option<PathBuf>,
    /// The directory of CRIU's log and other files of its work
    #[arg(long, value_name = "DIR")]
    work_path: Option<PathBuf>,
    /// Allow established TCP connections
    #[arg(long)]
    pub tcp_established: bool,
    /// Allow unix sockets whose other end is outside of the container
    #[arg(long)]
    pub ext_unix_sk: bool,
    /// Allow a session or terminal that is the caller's
    #[arg(long)]
    pub shell_job: bool,
    /// Take file locks along
    #[arg(long)]
    pub file_locks: bool,
    /// Remove pages from earlier images that later ones have, too
    #[arg(long)]
    pub auto_dedup: bool,
    /// Move memory when it is used
    #[arg(long)]
    pub lazy_pages: bool,
    /// What becomes of cgroups that the container has made
    #[arg(long, value_name = "MODE", default_value = "soft")]
    manage_cgroups_mode: Mode,
    /// Leave out what is in a namespace: "network"
    #[arg(long, value_name = "NAMESPACE")]
    empty_ns: Vec<EmptyNamespace>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Mode {
    Soft,
    Full,
    Strict,
    Ignore,
    None,
    #[value(alias = "properties")]
    Props,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum EmptyNamespace {
    Network,
}

impl Images {
    pub fn folder(&self) -> Result<PathBuf, Failure> {
        host::absolute(self.image_path.as_deref().unwrap_or("checkpoint".as_ref()))
    }

    pub fn work(&self) -> Result<Option<PathBuf>, Failure> {
        self.work_path.as_deref().map(host::absolute).transpose()
    }

    pub fn empty_network(&self) -> bool {
        self.empty_ns.contains(&EmptyNamespace::Network)
    }

    pub fn cgroup_mode(&self) -> CgroupMode {
        match self.manage_cgroups_mode {
            Mode::Soft => CgroupMode::Soft,
            Mode::Full => CgroupMode::Full,
            Mode::Strict => CgroupMode::Strict,
            Mode::Ignore => CgroupMode::Ignore,
            Mode::None => CgroupMode::None,
            Mode::Props => CgroupMode::Properties,
        }
    }
}
