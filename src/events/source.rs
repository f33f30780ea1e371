//! The sources of events.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};

use super::Level;
use super::aio::Completion;
use crate::error::{Code, Context, Error, Result};
use crate::stats::parse::pairs;
use crate::sys::{kernfs, procfs};

#[derive(Debug)]
pub enum Source {
    /// v1: the kernel counts into an eventfd.
    Counted { counter: EventFd, dir: PathBuf },
    /// v2: a counter of `memory.events`, watched by inotify.
    Kills { watch: Inotify, file: OwnedFd, seen: u64 },
    /// v2: a pressure trigger.
    Stalls { completion: Completion, _trigger: OwnedFd },
}

fn counter() -> Result<EventFd> {
    EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK).context(|| "making an eventfd")
}

impl Source {
    /// Registers an eventfd for `file` with cgroup v1 (kernel documentation, "cgroup.event_control").
    pub fn v1(dir: &Path, file: &str, argument: &str) -> Result<Source> {
        let counter = counter()?;
        let watched = kernfs::open(&dir.join(file), OFlag::O_RDONLY)?;
        let line = format!("{} {} {argument}", counter.as_fd().as_raw_fd(), watched.as_raw_fd());
        kernfs::write(dir, "cgroup.event_control", line.trim_end())
            .map_err(|error| error.context(format!("asking for events of {file}")))?;
        Ok(Source::Counted { counter, dir: dir.to_owned() })
    }

    pub fn v2_oom(dir: &Path) -> Result<Source> {
        let path = dir.join("memory.events");
        let file = kernfs::open(&path, OFlag::O_RDONLY).map_err(no_controller)?;
        let doing = || format!("watching {}", path.display());
        let watch = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK).context(doing)?;
        // By descriptor: the watched file is the opened one.
        let itself = procfs::path_of(&file)?;
        watch.add_watch(itself.as_str(), AddWatchFlags::IN_MODIFY).context(doing)?;
        let seen = kills(&file).context(doing)?;
        Ok(Source::Kills { watch, file, seen })
    }

    pub fn v2_pressure(dir: &Path, level: Level) -> Result<Source> {
        let path = dir.join("memory.pressure");
        let unmeasured = |error: Error| match error.errno {
            Some(Errno::ENOENT | Errno::EOPNOTSUPP) => {
                let message = format!("{}: this kernel does not measure pressure (PSI)", path.display());
                Error::new(Code::Unsupported, message)
            }
            _ => error,
        };
        let trigger = kernfs::open(&path, OFlag::O_RDWR | OFlag::O_NONBLOCK).map_err(unmeasured)?;
        match kernfs::write_all(&trigger, &level.trigger(1)) {
            // Without CAP_SYS_RESOURCE.
            Err(Errno::EINVAL | Errno::EPERM) => kernfs::write_all(&trigger, &level.trigger(2)),
            other => other,
        }
        .context(|| format!("setting a trigger on {} to \"{}\"", path.display(), level.trigger(1)))
        .map_err(unmeasured)?;
        let completion = Completion::of(counter()?, trigger.as_fd())?;
        Ok(Source::Stalls { completion, _trigger: trigger })
    }

    /// Returns the descriptor that is readable when [`Source::take`] may return events.
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        match self {
            Source::Counted { counter, .. } => counter.as_fd(),
            Source::Kills { watch, .. } => watch.as_fd(),
            Source::Stalls { completion, .. } => completion.descriptor(),
        }
    }

    /// Returns the number of events since the last call. None if the cgroup was removed.
    pub fn take(&mut self) -> Result<Option<u64>> {
        match self {
            Source::Counted { counter, dir } => {
                let count = match counter.read() {
                    Err(Errno::EAGAIN) => return Ok(Some(0)),
                    other => other.context(|| "reading an eventfd")?,
                };
                // The removal of a cgroup counts as an event, too.
                Ok(kernfs::exists(&dir.join("cgroup.event_control"))?.then_some(count))
            }
            Source::Kills { watch, file, seen } => {
                loop {
                    match watch.read_events() {
                        Err(Errno::EAGAIN) => break,
                        Err(Errno::EINTR) => {}
                        other => drop(other.context(|| "reading what inotify says")?),
                    }
                }
                let now = match kills(file) {
                    Err(Errno::ENODEV) => return Ok(None),
                    other => other.context(|| "reading the cgroup's memory.events")?,
                };
                let count = now.saturating_sub(*seen);
                *seen = now;
                Ok(Some(count))
            }
            Source::Stalls { completion, .. } => completion.take(),
        }
    }
}

fn no_controller(error: Error) -> Error {
    match error.errno {
        Some(Errno::ENOENT) => {
            Error::new(Code::Unsupported, format!("{}: the memory controller is not there", error.message))
        }
        _ => error,
    }
}

fn kills(file: &OwnedFd) -> Result<u64, Errno> {
    let text = kernfs::read_all(file)?;
    Ok(pairs(text.as_bytes()).find(|(key, _)| *key == b"oom_kill").map_or(0, |(_, count)| count))
}
