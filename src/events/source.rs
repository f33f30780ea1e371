//! The sources of events. The cgroup modules open and register them (`memory_events` of v1 and v2).

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};

use super::aio::Completion;
use crate::error::{Context, Result};
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

/// Makes an eventfd for a source.
pub fn counter() -> Result<EventFd> {
    EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK).context(|| "creating an eventfd")
}

impl Source {
    /// Counts the events that the kernel reports into `counter` until `dir` is removed.
    pub fn counted(counter: EventFd, dir: &Path) -> Source {
        Source::Counted { counter, dir: dir.to_owned() }
    }

    /// Counts the OOM kills in `memory.events`, which is open as `file`.
    pub fn kills(file: OwnedFd, path: &Path) -> Result<Source> {
        let doing = || format!("watching {}", path.display());
        let watch = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK).context(doing)?;
        // By descriptor: the watched file is the opened one.
        let itself = procfs::path_of(&file)?;
        watch.add_watch(itself.as_str(), AddWatchFlags::IN_MODIFY).context(doing)?;
        let seen = kills(&file).context(doing)?;
        Ok(Source::Kills { watch, file, seen })
    }

    /// Counts how often a pressure trigger fires.
    pub fn stalls(trigger: OwnedFd) -> Result<Source> {
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
                        other => drop(other.context(|| "reading inotify events")?),
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

fn kills(file: &OwnedFd) -> Result<u64, Errno> {
    let text = kernfs::read_all(file)?;
    Ok(pairs(text.as_bytes()).find(|(key, _)| *key == b"oom_kill").map_or(0, |(_, count)| count))
}
