//! `berth checkpoint`

use std::net::SocketAddr;
use std::os::fd::RawFd;
use std::path::{Component, PathBuf};

use berth::criu::{CheckpointOptions, NetworkLock, PageServer};
use berth::{Force, Settings, Status};
use clap::{Args, ValueEnum};
use serde_json::Value;

use crate::args::Global;
use crate::failure::Failure;
use crate::images::{CRIU_CONFIG, Images, criu_config};
use crate::{Outcome, host};

#[derive(Args)]
pub struct Checkpoint {
    #[command(flatten)]
    images: Images,
    /// Path of the previous dump's images, relative to the image directory
    #[arg(long, value_name = "DIR")]
    parent_path: Option<PathBuf>,
    /// Leave the container running
    #[arg(long)]
    leave_running: bool,
    /// Dump only memory and leave the container running
    #[arg(long)]
    pre_dump: bool,
    /// Skip TCP connections that are not established yet
    #[arg(long)]
    tcp_skip_in_flight: bool,
    /// Allow open files that were unlinked: link them for the time of the checkpoint
    #[arg(long)]
    link_remap: bool,
    /// Write a NUL byte to FD when the lazy page server is ready
    #[arg(long, value_name = "FD", allow_negative_numbers = true)]
    status_fd: Option<RawFd>,
    /// Send memory to a page server instead of writing it to the images
    #[arg(long, value_name = "ADDRESS:PORT")]
    page_server: Option<SocketAddr>,
    /// Select how packets of TCP connections are blocked during the dump
    #[arg(long, value_name = "METHOD", default_value = "nftables")]
    network_lock: Lock,
    /// Container id
    #[arg(value_name = "ID")]
    id: String,
}

#[derive(Clone, Copy, ValueEnum)]
enum Lock {
    Nftables,
    Iptables,
    Skip,
}

impl Checkpoint {
    pub fn run(self, global: &Global) -> Outcome {
        let settings = Settings { criu: host::criu(global), ..host::settings(global)? };
        let container = host::container_with(settings, &self.id)?;
        let status = container.status()?;
        if matches!(status, Status::Stopped | Status::Created) {
            return Err(Failure::new(format!("Container cannot be checkpointed in {} state", status.name())));
        }
        let images = &self.images;
        self.check_parent()?;
        // It is JSON that libberth has printed.
        let config: Value = serde_json::from_str(&container.config_json()?).unwrap_or_default();
        // As runc does: hooks or the network's creator set it up again. libberth's own links are in the images.
        let empty_network = images.empty_network() || container.veth_pairs()?.is_empty();
        container.checkpoint(&CheckpointOptions {
            images: images.dir()?,
            // As runc and crun have it: without a work directory, CRIU writes its log beside the images.
            work: Some(images.work()?.map_or_else(|| images.dir(), Ok)?),
            leave_running: self.leave_running,
            pre_dump: self.pre_dump,
            parent_images: self.parent_path,
            auto_dedup: images.auto_dedup,
            page_server: self.page_server.map(|server| PageServer { address: server.ip(), port: server.port() }),
            lazy_pages: images.lazy_pages,
            status_fd: self.status_fd.filter(|fd| *fd >= 0),
            shell_job: images.shell_job,
            tcp_established: images.tcp_established,
            tcp_skip_in_flight: self.tcp_skip_in_flight,
            external_unix_sockets: images.ext_unix_sk,
            file_locks: images.file_locks,
            link_remap: self.link_remap,
            empty_network,
            config_file: criu_config(config["annotations"][CRIU_CONFIG].as_str()),
            cgroup_mode: images.cgroup_mode(),
            network_lock: match self.network_lock {
                Lock::Nftables => NetworkLock::Nftables,
                Lock::Iptables => NetworkLock::Iptables,
                Lock::Skip => NetworkLock::Skip,
            },
            ..CheckpointOptions::default()
        })?;
        // As runc does: after the dump the container is deleted.
        if !self.leave_running
            && !self.pre_dump
            && let Err(error) = container.delete(Force::Kill)
        {
            log::warn!("removing the container: {error}");
        }
        Ok(0)
    }

    /// As runc does: the path is the target of a symlink in the image directory, which may be copied elsewhere.
    fn check_parent(&self) -> Result<(), Failure> {
        let Some(parent) = &self.parent_path else { return Ok(()) };
        if parent.is_absolute() {
            return Err(Failure::new("--parent-path must be relative"));
        }
        // The image directory may not be there yet.
        let images = self.images.dir()?;
        let mut seen = images.canonicalize().unwrap_or(images);
        for component in parent.components() {
            match component {
                Component::ParentDir => drop(seen.pop()),
                other => seen.push(other),
            }
        }
        if !seen.is_dir() {
            return Err(Failure::new(format!("invalid --parent-path: there is no directory {}", seen.display())));
        }
        Ok(())
    }
}
