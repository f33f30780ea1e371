//! Reads the same files repeatedly: they stay open, and one buffer is reused.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::resource::{Resource, getrlimit};

use super::Stats;
use crate::error::{Error, Result};
use crate::sys::kernfs;

/// Extracts values from a file's text.
pub type Parse = fn(&[u8], &mut Stats);

/// A file of a cgroup and its parser.
#[derive(Clone, Copy, Debug)]
pub struct Source {
    pub file: &'static str,
    pub parse: Parse,
}

#[derive(Debug)]
struct Open {
    fd: OwnedFd,
    source: Source,
}

/// The number of descriptors that this process keeps open for statistics of all containers.
static OPEN_FILES: AtomicUsize = AtomicUsize::new(0);

/// The open statistics files of one container. Files that the host does not have are omitted.
#[derive(Debug, Default)]
pub struct Meter {
    files: Vec<Open>,
    buffer: Vec<u8>,
    /// Part of [`OPEN_FILES`].
    counted: usize,
}

impl Meter {
    /// One that reads nothing yet.
    pub fn new() -> Meter {
        // Larger than the longest usual file; a longer one makes the buffer grow once.
        Meter { files: Vec::new(), buffer: vec![0; 8192], counted: 0 }
    }

    /// Adds the files that exist. Later files may override values of earlier ones.
    pub(crate) fn add(&mut self, dir: &Path, sources: &[Source]) -> Result<()> {
        for source in sources {
            if let Some(fd) = kernfs::optional(kernfs::open(&dir.join(source.file), OFlag::O_RDONLY))? {
                self.files.push(Open { fd, source: *source });
            }
        }
        Ok(())
    }

    /// Whether the host has none of the files.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// Reserves descriptors to keep open; returns None if the limit is reached. Statistics leave at least three
    /// quarters of RLIMIT_NOFILE to the caller.
    pub fn kept(mut self) -> Option<Meter> {
        let max =
            getrlimit(Resource::RLIMIT_NOFILE).map_or(0, |(soft, _)| usize::try_from(soft / 4).unwrap_or(usize::MAX));
        let wanted = self.files.len();
        let take = |kept: usize| kept.checked_add(wanted).filter(|kept| *kept <= max);
        OPEN_FILES.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).ok()?;
        self.counted = wanted;
        Some(self)
    }

    /// Reads all files. Allocates nothing, unless a file is longer than any before.
    ///
    /// Fails with ENODEV if the cgroup was removed.
    pub fn read(&mut self) -> Result<Stats> {
        let mut stats = Stats::default();
        for Open { fd, source } in &self.files {
            match read(fd, &mut self.buffer) {
                Ok(length) => (source.parse)(&self.buffer[..length], &mut stats),
                // Pressure accounting that is disabled.
                Err(Errno::EOPNOTSUPP) => {}
                Err(errno) => return Err(Error::system(errno, format_args!("reading the cgroup's {}", source.file))),
            }
        }
        Ok(stats)
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        OPEN_FILES.fetch_sub(self.counted, Ordering::Relaxed);
    }
}

/// Reads the whole file from its beginning.
fn read(fd: &OwnedFd, buffer: &mut Vec<u8>) -> Result<usize, Errno> {
    let mut length = 0;
    loop {
        match nix::sys::uio::pread(fd, &mut buffer[length..], length as i64) {
            // One read returns a whole kernfs file if it fits; a shorter result is complete.
            Ok(count) if length + count < buffer.len() => return Ok(length + count),
            Ok(count) => {
                length += count;
                buffer.resize(buffer.len() * 2, 0);
            }
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}
