//! `berth spec`

use std::io::Write;
use std::path::PathBuf;

use berth::spec::Config;
use clap::Args;
use nix::unistd::{Gid, Uid};

use crate::Outcome;
use crate::args::Global;
use crate::failure::Failure;

#[derive(Args)]
pub struct Spec {
    /// Path of the directory to write to
    #[arg(short, long, value_name = "DIR", default_value = ".", hide_default_value = true)]
    bundle: PathBuf,
    /// Name of the file
    #[arg(short, long, value_name = "FILE", default_value = "config.json")]
    file: PathBuf,
    /// Create a configuration for an unprivileged user
    #[arg(long)]
    rootless: bool,
}

impl Spec {
    pub fn run(self, _: &Global) -> Outcome {
        let json = if self.rootless {
            Config::default_rootless_json(Uid::effective().as_raw(), Gid::effective().as_raw())?
        } else {
            Config::default_json()
        };
        let path = self.bundle.join(&self.file);
        let mut file = std::fs::File::create_new(&path).map_err(|error| match error.kind() {
            std::io::ErrorKind::AlreadyExists => {
                Failure::new(format!("File {} exists. Remove it first", self.file.display()))
            }
            _ => Failure::io(&error, format!("writing {}", path.display())),
        })?;
        file.write_all(json.as_bytes()).map_err(|error| {
            let _ = std::fs::remove_file(&path);
            Failure::io(&error, format!("writing {}", path.display()))
        })?;
        Ok(0)
    }
}
