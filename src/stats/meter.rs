//! Reading the same files again and again: they stay open, and what is read goes into one buffer.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::resource::{Resource, getrlimit};

use super::Stats;
use crate::cgroup::kernfs;
use crate::error::{Error, Result};

/// Takes from a file's text what it knows of.
pub type Parse = fn(&[u8], &mut Stats);

/// A file of a cgroup, and what is in it.
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

/// How many descriptors this process keeps for statistics, of all containers together.
static KEPT: AtomicUsize = AtomicUsize::new(0);

/// The open files of one container. One that the host does not have is left out.
#[derive(Debug, Default)]
pub struct Meter {
    files: Vec<Open>,
    buffer: Vec<u8>,
    /// Part of [`KEPT`].
    counted: usize,
}

impl Meter {
    pub fn new() -> Meter {
        // More than the longest of the usual files; a longer one makes it grow once.
        Meter { files: Vec::new(), buffer: vec![0; 8192], counted: 0 }
    }

    /// Adds those files that there are. Later ones may correct earlier ones.
    pub(crate) fn add(&mut self, dir: &Path, sources: &[Source]) -> Result<()> {
        for source in sources {
            if let Some(fd) = kernfs::optional(kernfs::open(&dir.join(source.file), OFlag::O_RDONLY))? {
                self.files.push(Open { fd, source: *source });
            }
        }
        Ok(())
    }

    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// Takes its share of the descriptors that may be kept; None if there is none left. The host needs its descriptors, so
    /// statistics leave at least three quarters of what it may have alone.
    pub fn kept(mut self) -> Option<Meter> {
        let most =
            getrlimit(Resource::RLIMIT_NOFILE).map_or(0, |(soft, _)| usize::try_from(soft / 4).unwrap_or(usize::MAX));
        let wanted = self.files.len();
        let take = |kept: usize| kept.checked_add(wanted).filter(|kept| *kept <= most);
        KEPT.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).ok()?;
        self.counted = wanted;
        Some(self)
    }

    /// Reads all files. Allocates nothing, unless a file has become longer than any before.
    ///
    /// ENODEV when the cgroup is gone.
    pub fn read(&mut self) -> Result<Stats> {
        let mut stats = Stats::default();
        for Open { fd, source } in &self.files {
            match read(fd, &mut self.buffer) {
                Ok(length) => (source.parse)(&self.buffer[..length], &mut stats),
                // Pressure that the kernel was told not to measure.
                Err(Errno::EOPNOTSUPP) => {}
                Err(errno) => return Err(Error::system(errno, format_args!("reading the cgroup's {}", source.file))),
            }
        }
        Ok(stats)
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        KEPT.fetch_sub(self.counted, Ordering::Relaxed);
    }
}

/// The whole file, from its beginning.
fn read(fd: &OwnedFd, buffer: &mut Vec<u8>) -> Result<usize, Errno> {
    let mut length = 0;
    loop {
        match nix::sys::uio::pread(fd, &mut buffer[length..], length as i64) {
            // A kernfs file that fits is given whole by one read; less than the buffer is all of it.
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
