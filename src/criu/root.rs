//! The root filesystem of a container that is to be restored, as CRIU wants it: a mount point, with a place for each
//! mount.

use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, open, openat2};
use nix::sys::stat::Mode;

use crate::error::{Context, Result};
use crate::plan::{Attributes, Descriptor, Plan, Step};

pub struct Root {
    path: PathBuf,
    /// Mount points that are not there, and whether they are to be directories.
    missing: Vec<(PathBuf, bool)>,
    /// Files that are to be seen in the place of others.
    instead: Vec<(PathBuf, PathBuf)>,
}

impl Root {
    /// By the plan of the container: create would make the missing ones, too.
    pub fn of(plan: &Plan, path: &Path) -> Result<Root> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let root = open(path, flags, Mode::empty()).context(|| format!("opening {}", path.display()))?;
        let mut covered: Vec<&Path> = Vec::new();
        let mut missing = Vec::new();
        for step in &plan.steps {
            let (target, directory) = match step {
                Step::Mount { target, .. } => (target, true),
                Step::Attach { source, target, .. } => (target, source.is_dir()),
                _ => continue,
            };
            // What lies on another mount is there when that is: CRIU restores its content, or it is the host's.
            let below = covered.iter().any(|mount| target != mount && target.starts_with(mount));
            covered.push(target);
            if below {
                continue;
            }
            let resolve = ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS;
            let how = OpenHow::new().flags(OFlag::O_PATH | OFlag::O_CLOEXEC).resolve(resolve);
            match openat2(&root, target, how) {
                Ok(_) => {}
                Err(Errno::ENOENT) => missing.push((target.clone(), directory)),
                Err(errno) => {
                    return Err(errno).context(|| format!("looking for the mount point {}", target.display()));
                }
            }
        }
        Ok(Root { path: path.to_owned(), missing, instead: Vec::new() })
    }

    /// A file of the host in the place of another.
    pub fn show_instead(&mut self, file: PathBuf, of: PathBuf) {
        self.instead.push((file, of));
    }

    /// In CRIU's mount namespace the root is bound on its own place; the host sees nothing of it.
    pub fn steps(&self, plan: &mut Plan) -> Vec<Step> {
        let mut steps = vec![Step::OpenRoot("/".into())];
        let mut tree = |path: &Path, recursive: bool| {
            let slot = plan.slot(Descriptor::ByInit);
            (slot, Step::OpenTree { path: path.to_owned(), recursive, own_propagation: false, slot, entry: None })
        };
        for (file, of) in &self.instead {
            let (slot, open) = tree(file, false);
            let (source, attributes) = (file.clone(), Attributes::default());
            steps.extend([open, Step::Attach { slot, source, target: of.clone(), attributes, entry: None }]);
        }
        let (slot, open) = tree(&self.path, true);
        steps.extend([open, Step::AttachRoot { slot, path: self.path.clone() }]);
        for (target, directory) in &self.missing {
            match (directory, target.parent(), target.file_name()) {
                (false, Some(parent), Some(name)) => steps.push(Step::MakeNode {
                    parent: parent.to_owned(),
                    name: name.to_string_lossy().into_owned(),
                    mode: libc::S_IFREG | 0o600,
                    device: (0, 0),
                    uid: 0,
                    gid: 0,
                }),
                _ => steps.push(Step::MakeDirectory(target.clone())),
            }
        }
        steps
    }
}
