//! Options that checkpoint and restore share: the image directory, and what CRIU may do.

use std::fs::DirEntry;
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
    /// Path of the directory for CRIU's log and working files [default for checkpoint: the image directory]
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

/// Returns CRIU's configuration file, chosen as runc and crun do: by the annotation "org.criu.config" (empty: none),
/// otherwise the first existing one of the runtime's own files.
pub fn criu_config(annotation: Option<&str>) -> Option<PathBuf> {
    const FILES: [&str; 2] = ["/etc/criu/runc.conf", "/etc/criu/crun.conf"];
    match annotation {
        Some(file) => Some(file.into()).filter(|_| !file.is_empty()),
        None => FILES.into_iter().map(PathBuf::from).find(|file| file.is_file()),
    }
}

pub const CRIU_CONFIG: &str = "org.criu.config";

impl Images {
    pub fn dir(&self) -> Result<PathBuf, Failure> {
        host::absolute(self.image_path.as_deref().unwrap_or("checkpoint".as_ref()))
    }

    pub fn work(&self) -> Result<Option<PathBuf>, Failure> {
        self.work_path.as_deref().map(host::absolute).transpose()
    }

    pub fn empty_network(&self) -> bool {
        self.empty_ns.contains(&EmptyNamespace::Network)
    }

    /// Whether the images contain no network namespace: the tables of its links are empty.
    pub fn have_no_network(&self) -> Result<bool, Failure> {
        // CRIU's two magic numbers.
        const HEADER: u64 = 8;
        let dir = self.dir()?;
        // What cannot be read counts as a network: CRIU reports it.
        let Ok(mut entries) = std::fs::read_dir(dir) else { return Ok(false) };
        let is_empty = |entry: std::io::Result<DirEntry>| -> std::io::Result<bool> {
            let entry = entry?;
            let is_table = entry.file_name().to_string_lossy().starts_with("netdev-");
            Ok(!is_table || entry.metadata()?.len() <= HEADER)
        };
        Ok(entries.all(|entry| is_empty(entry).unwrap_or(false)))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_annotation_overrides_the_usual_files() {
        assert_eq!(criu_config(Some("/srv/criu.conf")), Some("/srv/criu.conf".into()));
        assert_eq!(criu_config(Some("")), None, "an empty one means none at all");
    }
}
