//! `berth spec`

use std::io::Write;
use std::path::PathBuf;

use berth::spec::Config;
use clap::Args;
use nix::sys::statfs::{CGROUP2_SUPER_MAGIC, statfs};
use nix::unistd::{Gid, Uid};
use serde::Serialize;
use serde_json::Value;
use serde_json::ser::{PrettyFormatter, Serializer};

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
        let json = if cgroup_v2_alone() { json } else { without_cgroup_namespace(&json)? };
        let path = self.bundle.join(&self.file);
        let mut file = std::fs::File::create_new(&path).map_err(|error| match error.kind() {
            std::io::ErrorKind::AlreadyExists => {
                Failure::new(format!("File {} exists. Remove it first", self.file.display()))
            }
            _ => Failure::io(&error, format!("writing {}", path.display())),
        })?;
        file.write_all(json.as_bytes()).map_err(|error| {
            // This call has just created the file; the first error is reported.
            let _ = std::fs::remove_file(&path);
            Failure::io(&error, format!("writing {}", path.display()))
        })?;
        Ok(0)
    }
}

fn cgroup_v2_alone() -> bool {
    statfs("/sys/fs/cgroup").is_ok_and(|found| found.filesystem_type() == CGROUP2_SUPER_MAGIC)
}

/// As runc and crun have it on cgroup v1: programs add that namespace to the configuration where they want it.
fn without_cgroup_namespace(json: &str) -> Result<String, Failure> {
    let broken = |error: serde_json::Error| Failure::new(format!("the default configuration: {error}"));
    let mut config: Value = serde_json::from_str(json).map_err(broken)?;
    if let Some(namespaces) = config["linux"]["namespaces"].as_array_mut() {
        namespaces.retain(|namespace| namespace["type"] != "cgroup");
    }
    let mut text = Vec::new();
    config
        .serialize(&mut Serializer::with_formatter(&mut text, PrettyFormatter::with_indent(b"\t")))
        .map_err(broken)?;
    text.push(b'\n');
    String::from_utf8(text).map_err(|error| Failure::new(error.to_string()))
}
