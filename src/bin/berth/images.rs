//! What checkpoint and restore have in common: where the images are, and what CRIU may do.

use std::path::PathBuf;

use berth::criu::CgroupMode;
use clap::{Args, ValueEnum};

use crate::failure::Failure;
use crate::host;

#[derive(Args)]
pub struct Images {
    /// Path of the image directory [default: checkpoint]
    #[arg(long, value_name = "DIR")]
    image_path: Option<PathBuf>,
    /// Path of the directory for CRIU's log and working files
    #[arg(long, value_name = "DIR")]
    work_path: Option<PathBuf>,
    /// Allow established TCP connections
    #[arg(long)]
    pub tcp_established: bool,
    /// Allow unix sockets connected to processes outside the container
    #[arg(long)]
    pub ext_unix_sk: bool,
    /// Allow the caller's session or terminal
    #[arg(long)]
    pub shell_job: bool,
    /// Dump and restore file locks
    #[arg(long)]
    pub file_locks: bool,
    /// Remove pages from earlier images that later images contain
    #[arg(long)]
    pub auto_dedup: bool,
    /// Transfer memory on demand (userfaultfd)
    #[arg(long)]
    pub lazy_pages: bool,
    /// Select how cgroups created by the container are handled
    #[arg(long, value_name = "MODE", default_value = "soft")]
    manage_cgroups_mode: Mode,
    /// Do not dump or restore the contents of a namespace: "network"
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
