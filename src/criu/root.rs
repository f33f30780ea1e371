//! Prepares the root filesystem of a container for CRIU's restore: a mount point, with an existing target for each
//! mount.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use berth_init::fields::Device;
use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, open, openat2};
use nix::sys::stat::Mode;

use crate::error::{Context, Result};
use crate::plan::{Attributes, Descriptor, Plan, Step};

pub struct Root {
    path: PathBuf,
    missing: Vec<MissingPoint>,
    instead: Vec<Replacement>,
}

/// A missing mount point.
#[derive(Debug, PartialEq)]
struct MissingPoint {
    /// The source of the bind mount that contains it. None: the root filesystem.
    source: Option<PathBuf>,
    /// Its path relative to that.
    path: PathBuf,
    directory: bool,
}

/// A file to be mounted over another.
struct Replacement {
    file: PathBuf,
    of: PathBuf,
}

/// A mount of the container that may contain other mount points.
struct CoveringMount<'a> {
    target: &'a Path,
    /// The path of its content on the host, if it is a bind mount.
    source: Option<PathBuf>,
}

impl CoveringMount<'_> {
    /// Returns the path on the host of a source in the container; None if that is on a filesystem of the container's
    /// own.
    fn on_host(covering: &[CoveringMount], path: &Path, source: &Path) -> Option<PathBuf> {
        let below =
            |mount: &CoveringMount| Some((path.strip_prefix(mount.target).ok()?.to_owned(), mount.source.clone()));
        match covering.iter().rev().find_map(below) {
            Some((rest, source)) => source.map(|source| source.join(rest)),
            None => Some(source.to_owned()),
        }
    }
}

impl Root {
    /// Finds the missing mount points of the container's plan, which create would make too.
    pub fn of(plan: &Plan, path: &Path) -> Result<Root> {
        let mut covering: Vec<CoveringMount> = Vec::new();
        let mut missing = Vec::new();
        // The sources that lie on mounts of the container, by slot.
        let mut inner = BTreeMap::new();
        for step in &plan.steps {
            let (target, source) = match step {
                Step::OpenInnerTree { slot, path, mounted: true, .. } => {
                    inner.insert(slot.0, path);
                    continue;
                }
                Step::Mount { target, .. } => (target, None),
                Step::Attach { slot, source, target, .. } => match inner.get(&slot.0) {
                    Some(path) => (target, CoveringMount::on_host(&covering, path, source)),
                    None => (target, Some(source.clone())),
                },
                _ => continue,
            };
            let directory = source.as_deref().is_none_or(Path::is_dir);
            let below = covering.iter().filter(|mount| target != mount.target && target.starts_with(mount.target));
            let place = match below.max_by_key(|mount| mount.target.as_os_str().len()) {
                None => Some((None, target.as_path())),
                // CRIU restores the content of a new filesystem.
                Some(CoveringMount { source: None, .. }) => None,
                // The images contain nothing of the host's filesystem.
                Some(CoveringMount { source: Some(source), target: point }) => {
                    target.strip_prefix(point).ok().map(|rest| (Some(source.clone()), rest))
                }
            };
            covering.push(CoveringMount { target, source });
            let Some((source, point)) = place else { continue };
            if is_missing(source.as_deref().unwrap_or(path), point)
                .context(|| format!("looking for the mount point {}", target.display()))?
            {
                missing.push(MissingPoint { source, path: point.to_owned(), directory });
            }
        }
        Ok(Root { path: path.to_owned(), missing, instead: Vec::new() })
    }

    /// Mounts `file` over the file `of` for CRIU.
    pub fn mount_over(&mut self, file: PathBuf, of: PathBuf) {
        self.instead.push(Replacement { file, of });
    }

    /// Returns the steps that bind the root on itself in CRIU's mount namespace, which the host does not see.
    pub fn steps(&self, plan: &mut Plan) -> Vec<Step> {
        let mut steps = vec![Step::OpenRoot("/".into())];
        let mut tree = |path: &Path, recursive: bool| {
            let slot = plan.slot(Descriptor::ByInit);
            (
                slot,
                Step::OpenTree {
                    path: path.to_owned(),
                    recursive,
                    nofollow: false,
                    own_propagation: false,
                    slot,
                    entry: None,
                },
            )
        };
        for Replacement { file, of } in &self.instead {
            let (slot, open) = tree(file, false);
            let (source, attributes) = (file.clone(), Attributes::default());
            steps.extend([
                open,
                Step::Attach { slot, source, target: of.clone(), nofollow: false, attributes, entry: None },
            ]);
        }
        let (slot, open) = tree(&self.path, true);
        steps.extend([open, Step::AttachRoot { slot, path: self.path.clone() }]);
        // Mount points in the root filesystem come first, since the plan's root is that filesystem from here on.
        let (inside, outside): (Vec<_>, Vec<_>) = self.missing.iter().partition(|missing| missing.source.is_none());
        for MissingPoint { source, path, directory } in inside.into_iter().chain(outside) {
            if let Some(source) = source {
                // Symlinks in the root filesystem must not lead out of it, to directories of the host.
                steps.push(Step::OpenRoot(source.clone()));
            }
            match (directory, path.parent(), path.file_name()) {
                (false, Some(parent), Some(name)) => steps.push(Step::MakeNode {
                    parent: Path::new("/").join(parent),
                    name: name.to_string_lossy().into_owned(),
                    mode: libc::S_IFREG | 0o600,
                    device: Device::default(),
                    uid: 0,
                    gid: 0,
                }),
                _ => steps.push(Step::MakeDirectory(Path::new("/").join(path))),
            }
        }
        steps
    }
}

/// Returns whether `point` does not exist beneath `root`, a directory of the host.
fn is_missing(root: &Path, point: &Path) -> nix::Result<bool> {
    let root = open(root, OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())?;
    let resolve = ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS;
    match openat2(&root, point, OpenHow::new().flags(OFlag::O_PATH | OFlag::O_CLOEXEC).resolve(resolve)) {
        Ok(_) => Ok(false),
        Err(Errno::ENOENT) => Ok(true),
        Err(errno) => Err(errno),
    }
}
