//! Which earlier and later entries of `mounts` concern an entry. Asked for each entry, so none compares it with all
//! others.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crate::spec::Config;

pub struct MountOrder {
    destinations: Vec<PathBuf>,
    /// The last entry of each destination.
    last: HashMap<PathBuf, usize>,
    /// The first entry of each destination, without symlinks in it.
    first: OnceCell<HashMap<PathBuf, usize>>,
}

impl MountOrder {
    pub fn of(config: &Config) -> MountOrder {
        let destinations: Vec<PathBuf> = config.mounts().map(|entry| entry.mount.destination().clone()).collect();
        let last = destinations.iter().cloned().enumerate().map(|(index, path)| (path, index)).collect();
        MountOrder { destinations, last, first: OnceCell::new() }
    }

    /// Whether an entry after `index` is mounted on `path` or above it.
    pub fn is_covered_later(&self, path: &Path, index: usize) -> bool {
        path.ancestors().any(|above| self.last.get(above).is_some_and(|last| *last > index))
    }

    /// Whether the path `real` is on the mount of an entry before `index`. `resolve` returns the path of a destination
    /// without symlinks, if it exists.
    pub fn is_on_earlier(&self, real: &Path, index: usize, resolve: impl Fn(&Path) -> Option<PathBuf>) -> bool {
        let first = self.first.get_or_init(|| {
            let mut first = HashMap::new();
            for (index, destination) in self.destinations.iter().enumerate() {
                let real = resolve(destination).unwrap_or_else(|| destination.clone());
                first.entry(real).or_insert(index);
            }
            first
        });
        real.ancestors().any(|above| first.get(above).is_some_and(|first| *first < index))
    }
}
