//! Memory events of cgroup v1: OOM and pressure, counted into an eventfd.

use std::os::fd::{AsFd, AsRawFd};
use std::path::Path;

use nix::fcntl::OFlag;

use crate::error::Result;
use crate::events::{self, Level, Source};
use crate::sys::kernfs;

pub fn oom(dir: &Path) -> Result<Source> {
    register(dir, "memory.oom_control", "")
}

pub fn pressure(dir: &Path, level: Level) -> Result<Source> {
    register(dir, "memory.pressure_level", level.name())
}

/// Registers an eventfd for the events of `file` (kernel documentation, "cgroup.event_control").
fn register(dir: &Path, file: &str, argument: &str) -> Result<Source> {
    let counter = events::counter()?;
    let watched = kernfs::open(&dir.join(file), OFlag::O_RDONLY)?;
    let line = format!("{} {} {argument}", counter.as_fd().as_raw_fd(), watched.as_raw_fd());
    kernfs::write(dir, "cgroup.event_control", line.trim_end())
        .map_err(|error| error.context(format!("registering for events of {file}")))?;
    Ok(Source::counted(counter, dir))
}
