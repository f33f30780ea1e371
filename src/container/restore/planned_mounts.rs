//! The mounts that a container has according to its plan, to be compared with those that CRIU has restored.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;

use crate::error::{Context, Result};
use crate::plan::{Attributes, Plan, Step};
use crate::spec::mount_attributes::{
    MOUNT_ATTR_NODEV, MOUNT_ATTR_NOEXEC, MOUNT_ATTR_NOSUID, MOUNT_ATTR_NOSYMFOLLOW, MOUNT_ATTR_RDONLY,
};
use crate::sys::mountinfo::{self, Mount};
use crate::sys::procfs;

/// The attributes that restrict a mount, as mountinfo names them.
pub const RESTRICTIONS: [(u64, &str); 5] = [
    (MOUNT_ATTR_RDONLY, "ro"),
    (MOUNT_ATTR_NOSUID, "nosuid"),
    (MOUNT_ATTR_NODEV, "nodev"),
    (MOUNT_ATTR_NOEXEC, "noexec"),
    (MOUNT_ATTR_NOSYMFOLLOW, "nosymfollow"),
];

pub fn restrictions(mount: &Mount) -> u64 {
    let has = |name: &str| mount.options.split(',').any(|option| option == name);
    let bits: u64 = RESTRICTIONS.into_iter().filter(|(_, name)| has(name)).map(|(bit, _)| bit).sum();
    if mount.is_read_only() { bits | MOUNT_ATTR_RDONLY } else { bits }
}

/// A directory or file of a filesystem, wherever it is mounted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    pub device: u64,
    pub root: PathBuf,
}

impl Location {
    pub fn of(mount: &Mount) -> Location {
        Location { device: mount.device, root: mount.root.to_path_buf() }
    }

    /// Whether it is this location or below it.
    pub fn contains(&self, other: &Location) -> bool {
        self.device == other.device && other.root.starts_with(&self.root)
    }
}

/// Whether opening a path fails because nothing is there that a process could reach.
pub fn is_absent(errno: Errno) -> bool {
    matches!(errno, Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP | Errno::ENAMETOOLONG | Errno::EACCES)
}

/// The mounts of the caller.
pub struct HostMounts<'a>(BTreeMap<u64, Mount<'a>>);

impl<'a> HostMounts<'a> {
    pub fn of(table: &'a [u8]) -> HostMounts<'a> {
        HostMounts(mountinfo::parse(table).map(|mount| (mount.id, mount)).collect())
    }

    pub fn all(&self) -> impl Iterator<Item = &Mount<'a>> {
        self.0.values()
    }

    /// Returns the location of a path, and the restrictions of the mount that it is on. None if it does not exist, or is
    /// on no mount that the caller sees.
    pub fn location(&self, path: &Path) -> Result<Option<(Location, u64)>> {
        match open(path, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty()) {
            Err(errno) if is_absent(errno) => Ok(None),
            opened => self.location_of(&opened.context(|| format!("opening {}", path.display()))?),
        }
    }

    fn location_of(&self, opened: &OwnedFd) -> Result<Option<(Location, u64)>> {
        let Some(mount) = self.0.get(&mountinfo::id_of(opened)?) else { return Ok(None) };
        let place = procfs::target_of(opened)?;
        let Ok(rest) = place.strip_prefix(&mount.point) else { return Ok(None) };
        Ok(Some((Location { device: mount.device, root: mount.root.join(rest) }, restrictions(mount))))
    }
}

/// What a mount shows.
#[derive(Debug)]
pub enum Content {
    /// A new filesystem of this type.
    New(String),
    /// A part of a filesystem of the host, with its path there.
    Bound { location: Location, source: PathBuf },
    /// A part of another mount of the container.
    Inner,
}

/// A mount of the plan.
#[derive(Debug)]
pub struct PlannedMount {
    pub target: PathBuf,
    pub content: Content,
    /// The restrictions that it must have.
    pub restrictions: u64,
    /// The restrictions of mounts below it.
    pub below: u64,
}

/// Everything of a plan that decides about mounts.
#[derive(Debug, Default)]
pub struct PlannedMounts {
    pub mounts: Vec<PlannedMount>,
    pub masks: Vec<PathBuf>,
    pub read_only: Vec<PathBuf>,
    /// The file on which the terminal is mounted.
    pub console: Option<PathBuf>,
    /// Changes of the propagation in their order; the first is that of the root and all below.
    propagation: Vec<(PathBuf, u64)>,
}

impl PlannedMounts {
    pub fn of(plan: &Plan, host: &HostMounts) -> Result<PlannedMounts> {
        let mut found = PlannedMounts::default();
        let mut trees: BTreeMap<usize, Option<PathBuf>> = BTreeMap::new();
        for step in &plan.steps {
            match step {
                Step::OpenTree { slot, path, .. } => drop(trees.insert(slot.0, Some(path.clone()))),
                Step::OpenInnerTree { slot, mounted: true, .. } => drop(trees.insert(slot.0, None)),
                Step::OpenInnerTree { slot, rootfs, path, .. } => {
                    drop(trees.insert(slot.0, Some(rootfs.join(path.strip_prefix("/").unwrap_or(path)))));
                }
                Step::AttachRoot { path, .. } => {
                    found.bind("/".into(), Some(path.clone()), Attributes::default(), host)?;
                }
                Step::Attach { slot, target, attributes, .. } => {
                    found.bind(target.clone(), trees.get(&slot.0).cloned().flatten(), *attributes, host)?;
                }
                Step::Mount { kind, target, attributes, .. } => found.mounts.push(PlannedMount {
                    target: target.clone(),
                    content: Content::New(kind.clone()),
                    restrictions: *attributes,
                    below: 0,
                }),
                Step::Remount { target, attributes, .. } => found.change(target, *attributes),
                Step::RootReadonly => {
                    found.change(Path::new("/"), Attributes { set: MOUNT_ATTR_RDONLY, ..Attributes::default() });
                }
                Step::Mask(path) => found.masks.push(path.clone()),
                Step::ReadonlyPath(path) => found.read_only.push(path.clone()),
                Step::Terminal { dev, console, .. } => {
                    found.console = console.then(|| dev.join("console"));
                }
                Step::Propagation { path, flags } if path == Path::new("/") => {
                    found.propagation.push((path.clone(), *flags | libc::MS_REC));
                }
                Step::MountPropagation { target, flags, .. } => found.propagation.push((target.clone(), *flags)),
                _ => {}
            }
        }
        Ok(found)
    }

    fn bind(&mut self, target: PathBuf, source: Option<PathBuf>, given: Attributes, host: &HostMounts) -> Result<()> {
        let (content, inherited) = match source {
            None => (Content::Inner, 0),
            Some(source) => {
                let looking = || format!("looking for {}, the source of {}", source.display(), target.display());
                let found = host.location(&source)?.ok_or(nix::errno::Errno::ENOENT).context(looking)?;
                // Other restrictions of the host's mount may have changed since the dump.
                (Content::Bound { location: found.0, source }, found.1 & MOUNT_ATTR_RDONLY)
            }
        };
        let cleared = given.clear | given.tree_clear;
        let restrictions = inherited & !cleared | given.tree_set & !given.clear | given.set;
        self.mounts.push(PlannedMount { target, content, restrictions, below: given.tree_set });
        Ok(())
    }

    fn change(&mut self, target: &Path, given: Attributes) {
        if let Some(mount) = self.mounts.iter_mut().rfind(|mount| mount.target == target) {
            mount.restrictions &= !(given.clear | given.tree_clear);
            mount.restrictions |= given.set | given.tree_set;
            mount.below = mount.below & !given.tree_clear | given.tree_set;
        }
    }

    /// Returns the last propagation of a mount: MS_SHARED, MS_SLAVE, MS_PRIVATE or MS_UNBINDABLE.
    pub fn propagation(&self, point: &Path) -> u64 {
        let concerns = |(target, flags): &&(PathBuf, u64)| {
            target == point || flags & libc::MS_REC != 0 && point.starts_with(target)
        };
        self.propagation.iter().rfind(concerns).map_or(libc::MS_SLAVE, |(_, flags)| flags & !libc::MS_REC)
    }
}
