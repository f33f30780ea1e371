//! What of a container's mounts and namespaces is not in the images, because it comes from outside: bind mounts, masks,
//! devices and cgroups of the host, and namespaces that were joined.
//!
//! Dump and restore call each by the same name. What a name stands for at a restore is decided by the configuration alone:
//! images can only name what is in it.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use nix::sys::stat::{SFlag, fstat, major, minor};

use super::propagation::mount_id;
use crate::error::{Code, Context, Error, Result};
use crate::plan::{Plan, Step};
use crate::spec::namespaces::{self, Joined, Namespaces};
use crate::spec::oci::LinuxNamespaceType as Kind;
use crate::sys::{identity::Identity, mountinfo, procfs};

/// A mount from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Bound {
    /// In the container, as the configuration has it; also its name.
    target: PathBuf,
    /// On the host.
    source: PathBuf,
    recursive: bool,
    /// A file's mask: there is one only if the path was there, and no directory.
    mask: bool,
}

/// Everything from outside, by a plan of the container.
#[derive(Debug)]
pub struct Externals {
    bound: Vec<Bound>,
    /// Where filesystems of the container's own are mounted.
    own: BTreeSet<PathBuf>,
}

impl Externals {
    /// An error if there is something among them that CRIU would restore as something else.
    pub fn of(plan: &Plan) -> Result<Externals> {
        let mut recursive = BTreeMap::new();
        let mut inner = BTreeSet::new();
        let mut found = Externals { bound: Vec::new(), own: BTreeSet::new() };
        for step in &plan.steps {
            match step {
                Step::OpenInnerTree { slot, mounted: true, .. } => {
                    inner.insert(slot.0);
                }
                Step::OpenTree { slot, recursive: whole, .. } | Step::OpenInnerTree { slot, recursive: whole, .. } => {
                    recursive.insert(slot.0, *whole);
                }
                // A part of another mount of the container.
                Step::Attach { slot, target, .. } if inner.contains(&slot.0) => {
                    found.own.insert(target.clone());
                }
                Step::Attach { slot, source, target, .. } => found.bound.push(Bound {
                    target: target.clone(),
                    source: source.clone(),
                    recursive: recursive.get(&slot.0) == Some(&true),
                    mask: false,
                }),
                Step::Mask(path) => found.bound.push(Bound {
                    target: path.clone(),
                    source: "/dev/null".into(),
                    recursive: false,
                    mask: true,
                }),
                Step::Mount { target, .. } => {
                    found.own.insert(target.clone());
                }
                Step::IdMap { path, .. } => {
                    let message = format!("{} is mounted with mapped ids, which CRIU does not restore", path.display());
                    return Err(Error::new(Code::Unsupported, message));
                }
                Step::MoveRoot => {
                    let message = "the root was moved onto \"/\" instead of pivoted, which CRIU does not restore";
                    return Err(Error::new(Code::Unsupported, message));
                }
                _ => {}
            }
        }
        Ok(found)
    }

    /// For a dump: which mounts of the running container they are.
    pub fn of_running(&self, init: &Identity) -> Result<Vec<String>> {
        let table = mountinfo::read(&init.pid.to_string())?;
        let points: BTreeMap<u64, PathBuf> =
            mountinfo::parse(&table).map(|mount| (mount.id, mount.point.into_owned())).collect();
        let root = open_root(init)?;
        let mut declared = Vec::new();
        let mut taken = self.own.clone();
        for bound in &self.bound {
            let Some(point) = mounted(&root, bound, &points)? else { continue };
            taken.insert(point.clone());
            declared.push((point, bound));
        }
        let mut externals = Vec::new();
        for (point, bound) in declared {
            externals.push(dumped(&point, &bound.target));
            // What was mounted below the source came along.
            let below = points.values().filter(|other| bound.recursive && other.starts_with(&point));
            for other in below.filter(|other| !taken.contains(*other)) {
                let suffix = other.strip_prefix(&point).unwrap_or(Path::new(""));
                externals.push(dumped(other, &bound.target.join(suffix)));
            }
        }
        Ok(externals)
    }

    /// For a restore: what each name stands for.
    pub fn of_host(&self) -> Result<Vec<ExternalSource>> {
        let table = mountinfo::read("self")?;
        let points: BTreeSet<PathBuf> = mountinfo::parse(&table).map(|mount| mount.point.into_owned()).collect();
        let mut externals = Vec::new();
        for bound in &self.bound {
            // Mount points and CRIU's own comparisons know no "x/..", "." and symlinks.
            let source = bound.source.canonicalize().unwrap_or_else(|_| bound.source.clone());
            let below = points.iter().filter(|point| bound.recursive && point.starts_with(&source));
            let below: Vec<&PathBuf> = below.filter(|point| **point != source).collect();
            externals.push(ExternalSource { name: bound.target.clone(), source: source.clone() });
            for point in below {
                let suffix = point.strip_prefix(&source).unwrap_or(Path::new(""));
                externals.push(ExternalSource { name: bound.target.join(suffix), source: point.clone() });
            }
        }
        Ok(externals)
    }
}

fn dumped(point: &Path, name: &Path) -> String {
    format!("mnt[{}]:{}", point.display(), name.display())
}

/// What an external mount stands for at a restore.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExternalSource {
    /// What the images call it.
    pub name: PathBuf,
    /// On the host, without symlinks.
    pub source: PathBuf,
}

impl ExternalSource {
    /// As CRIU wants it.
    pub fn text(&self) -> String {
        format!("mnt[{}]:{}", self.name.display(), self.source.display())
    }
}

fn open_root(init: &Identity) -> Result<OwnedFd> {
    procfs::open(&format!("{}/root", init.pid), OFlag::O_PATH | OFlag::O_DIRECTORY)
}

/// The mount point on which something of the configuration lies, if it still lies there.
fn mounted(root: &OwnedFd, bound: &Bound, points: &BTreeMap<u64, PathBuf>) -> Result<Option<PathBuf>> {
    let resolve = ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS;
    let how = OpenHow::new().flags(OFlag::O_PATH | OFlag::O_CLOEXEC).resolve(resolve);
    let Ok(opened) = openat2(root, &bound.target, how) else { return Ok(None) };
    let doing = || format!("looking at the mount on {}", bound.target.display());
    if bound.mask && !is_null(&opened).context(doing)? {
        return Ok(None);
    }
    let place = procfs::target_of(&opened)?;
    let point = points.get(&mount_id(&opened)?);
    // The path may lie somewhere on a mount whose point is elsewhere: then there is none of its own.
    Ok(point.filter(|point| **point == place).cloned())
}

fn is_null(fd: &OwnedFd) -> nix::Result<bool> {
    let found = fstat(fd)?;
    let device = SFlag::from_bits_truncate(found.st_mode) & SFlag::S_IFMT == SFlag::S_IFCHR;
    Ok(device && (major(found.st_rdev), minor(found.st_rdev)) == (1, 3))
}

/// Whether CRIU can do anything with the namespaces of a container.
pub fn check_namespaces(namespaces: &Namespaces) -> Result<()> {
    if !namespaces.is_new(Kind::Mount) {
        let message = "cannot be left out or joined for a checkpoint or a restore; expected a new mount namespace";
        return Err(Error::unsupported_field("linux.namespaces", format!("the mount namespace {message}")));
    }
    let unable = namespaces.joined.iter().find(|joined| matches!(joined.kind, Kind::User | Kind::Cgroup));
    match unable {
        Some(Joined { kind, index, .. }) => Err(Error::unsupported_field(
            &format!("linux.namespaces[{index}].path"),
            format!("a {} namespace that is joined cannot be restored; expected a new one", namespaces::name(*kind)),
        )),
        None => Ok(()),
    }
}

/// The joined namespaces that stay out of the images: CRIU's name of their kind, and a name for each.
pub fn left_out(joined: &Joined) -> Option<(&'static str, String)> {
    let kind = match joined.kind {
        Kind::Network => "net",
        Kind::Pid => "pid",
        _ => return None,
    };
    Some((kind, format!("berth-{kind}")))
}

/// Those that CRIU dumps, but joins at a restore.
pub fn joined_again(joined: &Joined) -> Option<&'static str> {
    match joined.kind {
        Kind::Ipc => Some("ipc"),
        Kind::Uts => Some("uts"),
        Kind::Time => Some("time"),
        _ => None,
    }
}

/// For a dump: "net[4026532281]:berth-net".
pub fn namespace_dumped(joined: &Joined) -> Result<Option<String>> {
    let Some((kind, name)) = left_out(joined) else { return Ok(None) };
    let found = nix::sys::stat::stat(&joined.path).context(|| format!("looking at {}", joined.path.display()))?;
    if found.st_ino == 0 {
        return Err(Error::new(Code::System, format!("{} is no namespace", joined.path.display())));
    }
    Ok(Some(format!("{kind}[{}]:{name}", found.st_ino)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Attributes, Slot};

    fn plan() -> Plan {
        let attach = |slot, source: &str, target: &str| Step::Attach {
            slot: Slot(slot),
            source: source.into(),
            target: target.into(),
            nofollow: false,
            attributes: Attributes::default(),
            entry: None,
        };
        let open = |slot, recursive| Step::OpenTree {
            path: "/x".into(),
            recursive,
            nofollow: false,
            own_propagation: false,
            slot: Slot(slot),
            entry: None,
        };
        Plan {
            steps: vec![
                open(9, false),
                attach(9, "/srv/a b", "/data"),
                open(10, true),
                attach(10, "/proc", "/deep"),
                Step::Mask("/proc/kcore".into()),
            ],
            ..Plan::default()
        }
    }

    #[test]
    fn names_are_the_configurations_and_sources_the_hosts() {
        let found: Vec<String> =
            Externals::of(&plan()).unwrap().of_host().unwrap().iter().map(ExternalSource::text).collect();
        assert_eq!(found[0], "mnt[/data]:/srv/a b");
        assert_eq!(found[1], "mnt[/deep]:/proc");
        assert_eq!(found.last().unwrap(), "mnt[/proc/kcore]:/dev/null");
    }
}
