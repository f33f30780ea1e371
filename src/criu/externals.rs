//! Lists a container's mounts and namespaces that are not in the images because they come from outside: bind mounts,
//! masks, devices and cgroups of the host, and joined namespaces (CRIU's "external" resources).
//!
//! Dump and restore use the same name for each. At a restore, the configuration alone decides which resource a name
//! refers to: images can only refer to resources of the configuration.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use nix::sys::stat::{SFlag, fstat, major, minor};

use crate::error::{Code, Context, Error, Result};
use crate::plan::{Plan, Step};
use crate::spec::namespaces::{self, Joined, Namespaces};
use crate::spec::oci::LinuxNamespaceType as Kind;
use crate::sys::{identity::Identity, mountinfo, procfs};

/// An external mount.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Bound {
    /// The mount's path in the container, as in the configuration; also its name.
    target: PathBuf,
    /// Its source on the host.
    source: PathBuf,
    recursive: bool,
    /// Whether it masks a file: the mount exists only if the path existed and was no directory.
    mask: bool,
}

/// All external mounts of a container's plan.
#[derive(Debug)]
pub struct Externals {
    bound: Vec<Bound>,
    /// The mount points of the container's own filesystems.
    own: BTreeSet<PathBuf>,
}

impl Externals {
    /// Collects the external mounts of a plan. Fails if CRIU would restore one of its mounts differently.
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
                // The source is a part of another mount of the container.
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
                    let message = format!("{} is an id-mapped mount, which CRIU does not restore", path.display());
                    return Err(Error::new(Code::Unsupported, message));
                }
                Step::MoveRoot => {
                    let message =
                        "the root was moved onto \"/\" instead of entered with pivot_root, which CRIU does not restore";
                    return Err(Error::new(Code::Unsupported, message));
                }
                _ => {}
            }
        }
        Ok(found)
    }

    /// Returns whether an external mount of this name comes from the configuration: it is one of its mounts, or below
    /// a recursive bind mount.
    pub fn has(&self, name: &Path) -> bool {
        self.bound.iter().any(|bound| bound.target == name || bound.recursive && name.starts_with(&bound.target))
    }

    /// Returns the mounts of the running container that are external, in CRIU's notation for a dump.
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
            // A recursive bind mount includes the mounts below the source.
            let below = points.values().filter(|other| bound.recursive && other.starts_with(&point));
            for other in below.filter(|other| !taken.contains(*other)) {
                let suffix = other.strip_prefix(&point).unwrap_or(Path::new(""));
                externals.push(dumped(other, &bound.target.join(suffix)));
            }
        }
        Ok(externals)
    }

    /// Returns the host's path for each name, for a restore.
    pub fn of_host(&self) -> Result<Vec<ExternalSource>> {
        let table = mountinfo::read("self")?;
        let points: BTreeSet<PathBuf> = mountinfo::parse(&table).map(|mount| mount.point.into_owned()).collect();
        let mut externals = Vec::new();
        for bound in &self.bound {
            // Mount points and the paths that CRIU compares have no "x/..", "." and symlinks.
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

/// The source of an external mount at a restore.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExternalSource {
    /// Its name in the images.
    pub name: PathBuf,
    /// Its path on the host, without symlinks.
    pub source: PathBuf,
}

impl ExternalSource {
    /// Returns it in CRIU's notation.
    pub fn text(&self) -> String {
        format!("mnt[{}]:{}", self.name.display(), self.source.display())
    }
}

fn open_root(init: &Identity) -> Result<OwnedFd> {
    procfs::open(&format!("{}/root", init.pid), OFlag::O_PATH | OFlag::O_DIRECTORY)
}

/// Returns the mount point of an external mount, if it is still mounted.
fn mounted(root: &OwnedFd, bound: &Bound, points: &BTreeMap<u64, PathBuf>) -> Result<Option<PathBuf>> {
    let resolve = ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS;
    let how = OpenHow::new().flags(OFlag::O_PATH | OFlag::O_CLOEXEC).resolve(resolve);
    let doing = || format!("examining the mount on {}", bound.target.display());
    let opened = match openat2(root, &bound.target, how) {
        Err(Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP) => return Ok(None),
        other => other.context(doing)?,
    };
    if bound.mask && !is_null(&opened).context(doing)? {
        return Ok(None);
    }
    let place = procfs::target_of(&opened)?;
    let point = points.get(&mountinfo::id_of(&opened)?);
    // The path may lie below the mount point of another mount: then it is no mount point itself.
    Ok(point.filter(|point| **point == place).cloned())
}

fn is_null(fd: &OwnedFd) -> nix::Result<bool> {
    let found = fstat(fd)?;
    let device = SFlag::from_bits_truncate(found.st_mode) & SFlag::S_IFMT == SFlag::S_IFCHR;
    Ok(device && (major(found.st_rdev), minor(found.st_rdev)) == (1, 3))
}

/// Checks that CRIU can dump and restore a container with these namespaces.
pub fn check_namespaces(namespaces: &Namespaces) -> Result<()> {
    if !namespaces.is_new(Kind::Mount) {
        let message = "cannot be left out or joined for a checkpoint or a restore; expected a new mount namespace";
        return Err(Error::unsupported_field("linux.namespaces", format!("the mount namespace {message}")));
    }
    let unable = namespaces.joined.iter().find(|joined| matches!(joined.kind, Kind::User | Kind::Cgroup));
    match unable {
        Some(Joined { kind, index, .. }) => Err(Error::unsupported_field(
            &format!("linux.namespaces[{index}].path"),
            format!("a {} namespace that was joined cannot be restored; expected a new one", namespaces::name(*kind)),
        )),
        None => Ok(()),
    }
}

/// Returns CRIU's name of the type, and a name of its own, for a joined namespace that stays out of the images; None if
/// CRIU dumps it.
pub fn left_out(joined: &Joined) -> Option<(&'static str, String)> {
    let kind = match joined.kind {
        Kind::Network => "net",
        Kind::Pid => "pid",
        _ => return None,
    };
    Some((kind, format!("berth-{kind}")))
}

/// Returns CRIU's name of the type for a joined namespace that CRIU dumps, but joins at a restore.
pub fn joined_again(joined: &Joined) -> Option<&'static str> {
    match joined.kind {
        Kind::Ipc => Some("ipc"),
        Kind::Uts => Some("uts"),
        Kind::Time => Some("time"),
        _ => None,
    }
}

/// Returns a joined namespace in CRIU's notation for a dump: "net[4026532281]:berth-net".
pub fn namespace_dumped(joined: &Joined) -> Result<Option<String>> {
    let Some((kind, name)) = left_out(joined) else { return Ok(None) };
    let found = nix::sys::stat::stat(&joined.path).context(|| format!("examining {}", joined.path.display()))?;
    if found.st_ino == 0 {
        return Err(Error::new(Code::System, format!("{} is not a namespace", joined.path.display())));
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
