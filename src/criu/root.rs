//! The root filesystem of a container that is to be restored, as CRIU wants it: a mount point, with a place for each
//! mount.

use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, open, openat2};
use nix::sys::stat::Mode;

use crate::error::{Doing, Result};
use crate::plan::{Descriptor, Plan, Step};

pub struct Root {
    path: PathBuf,
    /// Mount points that are not there, and whether they are to be directories.
    missing: Vec<(PathBuf, bool)>,
}

impl Root {
    /// By the plan of the container: create would make the missing ones, too.
    pub fn of(plan: &Plan, path: &Path) -> Result<Root> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let root = open(path, flags, Mode::empty()).doing(|| format!("opening {}", path.display()))?;
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
                Err(errno) => return Err(errno).doing(|| format!("looking for the mount point {}", target.display())),
            }
        }
        Ok(Root { path: path.to_owned(), missing })
    }

    /// In CRIU's mount namespace the root is bound on its own place; the host sees nothing of it.
    pub fn steps(&self, plan: &mut Plan) -> Vec<Step> {
        let slot = plan.slot(Descriptor::ByInit);
        let mut steps = vec![
            Step::OpenTree { path: self.path.clone(), recursive: true, own_propagation: false, slot, entry: None },
            Step::AttachRoot { slot, path: self.path.clone() },
        ];
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
