//! `berth restore`

use std::path::{Path, PathBuf};

use berth::criu::RestoreOptions;
use berth::spec::Config;
use berth::{Container, Force, ProcessOptions, Runtime, Settings, Stdio};
use clap::Args;

use crate::args::Global;
use crate::create::{check_terminal, delete_after};
use crate::failure::Failure;
use crate::images::{CRIU_CONFIG, Images, criu_config};
use crate::session::{self, Session};
use crate::streams::PidFile;
use crate::{Outcome, host};

#[derive(Args)]
pub struct Restore {
    #[command(flatten)]
    images: Images,
    /// Path of the bundle, a directory with config.json and a root filesystem
    #[arg(short, long, value_name = "DIR", default_value = ".", hide_default_value = true)]
    bundle: PathBuf,
    /// Use this file instead of the bundle's config.json
    #[arg(short = 'f', long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Return as soon as the container is running
    #[arg(short, long)]
    detach: bool,
    /// Do not delete the container after it has ended
    #[arg(long)]
    keep: bool,
    /// Write the pid of the container's init to this file
    #[arg(long, value_name = "FILE")]
    pid_file: Option<PathBuf>,
    /// Do not reap the container's orphans
    #[arg(long)]
    no_subreaper: bool,
    /// Do not use pivot_root(2), for a root filesystem on an initial ramdisk
    #[arg(long)]
    no_pivot: bool,
    /// Send the terminal's master to this unix socket
    #[arg(long, value_name = "PATH")]
    console_socket: Option<PathBuf>,
    /// Restore established TCP connections as closed ones
    #[arg(long)]
    tcp_close: bool,
    /// Use this label ("apparmor:NAME" or "selinux:LABEL") instead of the dumped one
    #[arg(long, value_name = "TYPE:NAME")]
    lsm_profile: Option<String>,
    /// Set the SELinux label for mounts
    #[arg(long, value_name = "LABEL")]
    lsm_mount_context: Option<String>,
    /// Container id
    #[arg(value_name = "ID")]
    id: String,
}

impl Restore {
    pub fn run(self, global: &Global) -> Outcome {
        let config = match &self.config {
            Some(file) => Config::from_file(&self.bundle, &self.bundle.join(file))?,
            None => Config::from_bundle(&self.bundle)?,
        };
        let terminal = config.has_terminal();
        check_terminal(terminal, self.detach, self.console_socket.is_some())?;
        if self.detach {
            self.restore(global, &config, Default::default())?.1.keep();
            return Ok(0);
        }
        if !self.no_subreaper {
            session::become_subreaper()?;
        }
        let session = Session::begin(terminal)?;
        let stdio = if terminal { Default::default() } else { streams(&self.images.dir()?, session.stdio()) };
        let (container, pid_file) = self.restore(global, &config, stdio)?;
        let followed = container.init_process().map_err(Into::into).and_then(|init| {
            let attached = session.attach(&init)?;
            pid_file.keep();
            attached.wait(&init)
        });
        let is_kept = |failure: &Failure| failure.lost_output && self.keep;
        let ended =
            followed.map_err(|failure| if is_kept(&failure) { failure } else { delete_after(&container, failure) })?;
        if !self.keep
            && let Err(error) = container.delete(Force::Kill)
        {
            log::warn!("removing the container: {error}");
        }
        Ok(session::code(ended))
    }

    fn restore(&self, global: &Global, config: &Config, stdio: [Stdio; 3]) -> Result<(Container, PidFile), Failure> {
        let mut settings = Settings { criu: host::criu(global), ..host::settings(global)? };
        settings.root_options.no_pivot = self.no_pivot;
        let images = &self.images;
        let annotations = config.spec().annotations().as_ref();
        let options = RestoreOptions {
            images: images.dir()?,
            work: images.work()?,
            process: ProcessOptions {
                stdio,
                console_socket: self.console_socket.as_deref().map(host::absolute).transpose()?,
                ..ProcessOptions::default()
            },
            shell_job: images.shell_job,
            tcp_established: images.tcp_established,
            tcp_close: self.tcp_close,
            external_unix_sockets: images.ext_unix_sk,
            file_locks: images.file_locks,
            auto_dedup: images.auto_dedup,
            lazy_pages: images.lazy_pages,
            empty_network: images.empty_network() || images.have_no_network()?,
            config_file: criu_config(annotations.and_then(|named| named.get(CRIU_CONFIG)).map(String::as_str)),
            cgroup_mode: images.cgroup_mode(),
            lsm_profile: self.lsm_profile.clone(),
            lsm_mount_context: self.lsm_mount_context.clone(),
            ..RestoreOptions::default()
        };
        let container = Container::restore(&Runtime::new(settings)?, &self.id, config, &options)?;
        let init = container.init_process().map_err(Failure::from);
        match init.and_then(|init| PidFile::write(self.pid_file.as_deref(), init.pid())) {
            Ok(pid_file) => Ok((container, pid_file)),
            Err(failure) => Err(delete_after(&container, failure)),
        }
    }
}

/// Replaces only streams that were pipes, according to the images' descriptors.json.
fn streams(images: &Path, wanted: [Stdio; 3]) -> [Stdio; 3] {
    // If it cannot be read, the restore says why.
    let text = std::fs::read_to_string(images.join("descriptors.json")).unwrap_or_default();
    let were: Vec<String> = serde_json::from_str(&text).unwrap_or_default();
    let mut streams = wanted;
    for (index, stream) in streams.iter_mut().enumerate() {
        if !were.get(index).is_some_and(|was| was.starts_with("pipe:")) {
            *stream = Stdio::Inherit;
        }
    }
    streams
}
