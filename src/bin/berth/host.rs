//! Opens the runtime that the global options select, and the containers in it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use berth::{Code, Container, DEFAULT_ROOT, Error, Manager, Rootless, Runtime, Settings};
use nix::unistd::Uid;

use crate::args::{self, CgroupManager, Global};
use crate::failure::Failure;

/// Opens the runtime for read-only commands. Returns None if there is no state root; it is not created.
pub fn existing(global: &Global) -> Result<Option<Runtime>, Failure> {
    existing_with(settings(global)?)
}

fn existing_with(settings: Settings) -> Result<Option<Runtime>, Failure> {
    if std::fs::symlink_metadata(&settings.root).is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound) {
        return Ok(None);
    }
    Ok(Some(Runtime::new(settings)?))
}

pub fn container(global: &Global, id: &str) -> Result<Container, Failure> {
    container_with(settings(global)?, id)
}

pub fn container_with(settings: Settings, id: &str) -> Result<Container, Failure> {
    match existing_with(settings)? {
        Some(runtime) => Ok(runtime.load(id)?),
        None => Err(Error::new(Code::NotFound, format!("container {id:?} does not exist")).into()),
    }
}

/// Returns the CRIU program from --criu, or the first in PATH.
pub fn criu(global: &Global) -> Option<PathBuf> {
    global.criu.clone().or_else(|| {
        let path = std::env::var_os("PATH")?;
        std::env::split_paths(&path).map(|dir| dir.join("criu")).find(|program| program.is_file())
    })
}

pub fn settings(global: &Global) -> Result<Settings, Failure> {
    let systemd = global.systemd_cgroup || global.cgroup_manager == CgroupManager::Systemd;
    Ok(Settings {
        root: absolute(global.root.as_deref().unwrap_or(&default_root()))?,
        cgroup_manager: match global.cgroup_manager {
            _ if systemd => Manager::Systemd { annotations: true },
            CgroupManager::Disabled => Manager::Disabled,
            _ => Manager::Files,
        },
        rootless: match global.rootless {
            args::Rootless::Auto => Rootless::Auto,
            args::Rootless::True => Rootless::Yes,
            args::Rootless::False => Rootless::No,
        },
        hook_env: environment(),
        ..Settings::default()
    })
}

/// Returns this process's environment, which hooks without their own get, as from runc and crun. A variable that is not
/// UTF-8 cannot be passed on, as it could not be in a configuration.
fn environment() -> Vec<String> {
    let variable = |(name, value): (OsString, OsString)| {
        Some(format!("{}={}", name.to_str()?, value.to_str()?)).filter(|entry| !entry.starts_with('='))
    };
    std::env::vars_os().filter_map(variable).collect()
}

fn default_root() -> PathBuf {
    match std::env::var_os("XDG_RUNTIME_DIR") {
        Some(own) if !Uid::effective().is_root() && !own.is_empty() => Path::new(&own).join("berth"),
        _ => DEFAULT_ROOT.into(),
    }
}

pub fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path).map_err(|error| Failure::new(format!("{}: {error}", path.display())))
}

/// Returns the ids that match a regular expression, as crun's --regex does.
pub fn matching(runtime: &Runtime, pattern: &str) -> Result<Vec<String>, Failure> {
    let pattern = regex_lite::Regex::new(pattern)
        .map_err(|error| Failure::new(format!("{pattern:?} is not a regular expression: {error}")))?;
    Ok(runtime.ids()?.into_iter().filter(|id| pattern.is_match(id)).collect())
}
