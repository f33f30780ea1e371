//! Compares the mounts of the restored processes with the configuration, before any of them runs.
//!
//! The kernel's table of each mount namespace is compared, not the images: whatever CRIU has made of them. Each mount of
//! the plan must be there with what it shows and with its restrictions, and each mount must come from the plan, except
//! that processes with CAP_SYS_ADMIN may have mounted filesystems that show nothing of the host, and parts of their
//! own mounts.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use nix::sys::stat::{SFlag, fstat, major, minor};

use super::planned_mounts::{Content, HostMounts, Location, PlannedMounts, RESTRICTIONS, is_absent, restrictions};
use super::verify::gone;
use crate::criu::{HARMLESS, mismatch};
use crate::error::{Result, reason};
use crate::plan::Plan;
use crate::spec::capabilities;
use crate::spec::mount_attributes::MOUNT_ATTR_RDONLY;
use crate::sys::mountinfo::{self, Mount};
use crate::sys::procfs;

/// Types of which each mount has a filesystem of its own, never one of the host's.
const ALWAYS_NEW: [&str; 3] = ["tmpfs", "devpts", "ramfs"];

/// What the mounts of a container's processes are compared with.
pub struct Comparison<'a> {
    plan: PlannedMounts,
    host: &'a HostMounts<'a>,
    /// The container's own directories in the cgroup hierarchies.
    cgroups: Vec<Location>,
    /// Whether processes may mount filesystems, and change their root directory.
    may_mount: bool,
    may_change_root: bool,
}

impl<'a> Comparison<'a> {
    /// `bounding`: the capabilities that the container's processes can have.
    pub fn new<'p>(
        plan: &Plan,
        host: &'a HostMounts<'a>,
        cgroups: impl Iterator<Item = &'p PathBuf>,
        bounding: u64,
    ) -> Result<Comparison<'a>> {
        let mut own = Vec::new();
        for path in cgroups {
            own.extend(host.location(path)?.map(|(location, _)| location));
        }
        let may = |name: &str| bounding & capabilities::bit(name) != 0;
        let (may_mount, may_change_root) = (may("CAP_SYS_ADMIN"), may("CAP_SYS_CHROOT"));
        Ok(Comparison { plan: PlannedMounts::of(plan, host)?, host, cgroups: own, may_mount, may_change_root })
    }

    /// Checks the mount namespaces and roots of all processes. The first one is init.
    pub fn check(&self, family: &[i32]) -> Result<()> {
        let Some((&init, _)) = family.split_first() else { return Ok(()) };
        let place = |pid: i32, name: &str| procfs::identity_of(&format!("{pid}/{name}"));
        let (namespace, root) = (place(init, "ns/mnt")?, place(init, "root")?);
        let mut seen = BTreeSet::new();
        for &pid in family {
            let found = (place(pid, "ns/mnt")?, place(pid, "root")?);
            if !seen.insert(found) {
                continue;
            }
            if found.0 != namespace && !self.may_mount {
                return Err(mismatch(format!("process {pid} has another mount namespace than the container")));
            }
            if found.0 == namespace && found.1 != root {
                if !self.may_change_root {
                    return Err(mismatch(format!("process {pid} has another root directory than the container")));
                }
                continue;
            }
            let table = mountinfo::read(&pid.to_string())?;
            let root = procfs::open_optional(&format!("{pid}/root"), OFlag::O_PATH | OFlag::O_DIRECTORY)?;
            let root = root.ok_or_else(|| gone(pid))?;
            let mut view = View::new(&table, root);
            view.compare(self, found.0 == namespace)
                .map_err(|why| mismatch(format!("mounts of process {pid}: {why}")))?;
        }
        Ok(())
    }

    fn is_of_host(&self, device: u64) -> bool {
        self.host.all().any(|mount| mount.device == device)
    }

    /// Whether a new filesystem is one that the configuration asks for: of this type, whole, and none of the host's.
    fn is_new(&self, mount: &Mount, kind: &str) -> bool {
        if mount.kind != kind {
            return false;
        }
        let location = Location::of(mount);
        match kind {
            "cgroup" | "cgroup2" => self.cgroups.iter().any(|own| own.contains(&location)),
            // If the container's mounts propagate to the host, the host has this one, too.
            _ if ALWAYS_NEW.contains(&kind) && self.plan.propagation(&mount.point) & libc::MS_SHARED == 0 => {
                mount.shows_all() && !self.is_of_host(mount.device)
            }
            _ => mount.shows_all(),
        }
    }

    /// Whether a mount below a bind mount is the one that the host has at that place.
    fn is_of_source(&self, mount: &Mount) -> Option<u64> {
        let location = Location::of(mount);
        self.plan.mounts.iter().find_map(|planned| {
            let Content::Bound { source, .. } = &planned.content else { return None };
            let source = source.canonicalize().ok()?.join(mount.point.strip_prefix(&planned.target).ok()?);
            let same = |other: &&Mount| other.point == source && Location::of(other) == location;
            self.host.all().find(same).map(|_| planned.below)
        })
    }
}

/// A mount namespace as a process sees it.
struct View<'a> {
    mounts: Vec<Mount<'a>>,
    explained: Vec<bool>,
    root: OwnedFd,
}

type Checked<T> = std::result::Result<T, String>;

impl<'a> View<'a> {
    fn new(table: &'a [u8], root: OwnedFd) -> View<'a> {
        let mounts: Vec<Mount> = mountinfo::parse(table).collect();
        View { explained: vec![false; mounts.len()], mounts, root }
    }

    /// `main`: it is the container's own namespace. In others, which only processes that may mount can create, mounts of
    /// the plan may be missing.
    fn compare(&mut self, with: &Comparison, main: bool) -> Checked<()> {
        self.check_planned(with, main)?;
        for path in &with.plan.masks {
            let checked = self.check_mask(path);
            if main {
                checked?;
            }
        }
        for path in &with.plan.read_only {
            let checked = self.check_read_only(path, with.may_mount);
            if main {
                checked?;
            }
        }
        if with.may_mount {
            self.explain_own(with);
        }
        let roots = explained_roots(&self.mounts, &self.explained);
        for (mount, _) in self.mounts.iter().zip(&self.explained).filter(|(_, explained)| !**explained) {
            self.check_other(mount, &roots, with)?;
        }
        self.mounts.iter().try_for_each(|mount| check_propagation(mount, with))
    }

    fn check_planned(&mut self, with: &Comparison, main: bool) -> Checked<()> {
        for planned in &with.plan.mounts {
            let target = &planned.target;
            let resolved = self.resolve(target)?.map(|(_, place)| place);
            let here =
                |mount: &Mount| mount.point == target.as_path() || Some(mount.point.as_ref()) == resolved.as_deref();
            let fits = |mount: &Mount| match &planned.content {
                Content::New(kind) => with.is_new(mount, kind),
                Content::Bound { location, .. } => *location == Location::of(mount),
                Content::Inner => true,
            };
            let mut candidates = self.mounts.iter().enumerate();
            let found = candidates.find(|(index, mount)| !self.explained[*index] && here(mount) && fits(mount));
            let Some((index, mount)) = found else {
                if !main || with.may_mount && planned.restrictions & MOUNT_ATTR_RDONLY == 0 {
                    continue; // The container has unmounted it.
                }
                return Err(format!("{} is not the mount of the configuration", target.display()));
            };
            let lacks = planned.restrictions & !restrictions(mount);
            if let Some((_, name)) = RESTRICTIONS.into_iter().find(|(bit, _)| lacks & bit != 0) {
                return Err(format!("{} lacks the option {name:?} of the configuration", target.display()));
            }
            // Inner mounts are checked like the container's own, but they are in the plan.
            self.explained[index] = match planned.content {
                Content::Inner => is_part(mount, &explained_roots(&self.mounts, &self.explained)),
                _ => true,
            };
        }
        Ok(())
    }

    /// Checks that a path cannot be read: a file is the null device, a directory an empty filesystem.
    fn check_mask(&mut self, path: &Path) -> Checked<()> {
        let Some((opened, place)) = self.resolve(path)? else { return Ok(()) };
        let status = fstat(&opened).map_err(|errno| unseen(path, &reason(errno)))?;
        let kind = SFlag::from_bits_truncate(status.st_mode) & SFlag::S_IFMT;
        let is_null = kind == SFlag::S_IFCHR && (major(status.st_rdev), minor(status.st_rdev)) == (1, 3);
        let index = self.mount_of(&opened, path)?.filter(|index| self.mounts[*index].point == place);
        let is_empty = |mount: &Mount| kind == SFlag::S_IFDIR && mount.kind == "tmpfs" && mount.is_read_only();
        match index {
            Some(index) if is_null || is_empty(&self.mounts[index]) => {
                // A path may be masked twice, and making a path above read-only mounts its mask again.
                let location = Location::of(&self.mounts[index]);
                for (mount, explained) in self.mounts.iter().zip(&mut self.explained) {
                    *explained |= mount.point == place && Location::of(mount) == location;
                }
                Ok(())
            }
            _ if is_null => Ok(()),
            _ => Err(format!("{} is not masked", path.display())),
        }
    }

    /// Checks that a path is read-only, with all below it.
    fn check_read_only(&mut self, path: &Path, may_mount: bool) -> Checked<()> {
        let Some((opened, place)) = self.resolve(path)? else { return Ok(()) };
        let writable = |at: &Path| Err(format!("{} is not read-only", at.display()));
        match self.mount_of(&opened, path)? {
            Some(index) if self.mounts[index].is_read_only() => {}
            _ => return writable(path),
        }
        let roots = explained_roots(&self.mounts, &self.explained);
        for (mount, explained) in self.mounts.iter().zip(&mut self.explained) {
            if !mount.point.starts_with(&place) || *explained {
                continue;
            }
            if mount.is_read_only() {
                *explained = is_part(mount, &roots);
            } else if !may_mount {
                return writable(&mount.point);
            }
        }
        Ok(())
    }

    /// Explains filesystems that the container's processes may have mounted: they show nothing of the host.
    fn explain_own(&mut self, with: &Comparison) {
        for (index, mount) in self.mounts.iter().enumerate() {
            if HARMLESS.iter().any(|kind| with.is_new(mount, kind)) {
                self.explained[index] = true;
            }
        }
    }

    /// Checks a mount that is not in the plan.
    fn check_other(&self, mount: &Mount, roots: &Roots, with: &Comparison) -> Checked<()> {
        if with.plan.console.as_deref() == Some(&mount.point) && self.is_terminal(mount) {
            return Ok(());
        }
        let restricted = |below: u64| below & !restrictions(mount) == 0;
        if with.is_of_source(mount).is_some_and(restricted) {
            return Ok(());
        }
        if with.may_mount && is_part(mount, roots) {
            return Ok(());
        }
        Err(format!(
            "{} is a mount that the configuration does not have ({} {})",
            mount.point.display(),
            mount.kind,
            mount.root.display()
        ))
    }

    fn is_terminal(&self, mount: &Mount) -> bool {
        let same = |other: &Mount| other.device == mount.device && other.shows_all();
        mount.kind == "devpts" && self.mounts.iter().any(same)
    }

    /// Opens a path as the process would, and returns it without symlinks; none if it does not exist.
    fn resolve(&self, path: &Path) -> Checked<Option<(OwnedFd, PathBuf)>> {
        let resolve = ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS;
        let how = OpenHow::new().flags(OFlag::O_PATH | OFlag::O_CLOEXEC).resolve(resolve);
        // The kernel refuses "..", for which it cannot exclude a race with a rename anywhere (openat2(2)).
        let mut attempts = (0..256).map(|_| openat2(&self.root, path, how));
        let done = |opened: &nix::Result<OwnedFd>| !matches!(opened, Err(Errno::EAGAIN));
        let opened = match attempts.find(done).unwrap_or(Err(Errno::EAGAIN)) {
            Err(errno) if is_absent(errno) => return Ok(None),
            other => other.map_err(|errno| unseen(path, &reason(errno)))?,
        };
        let place = procfs::target_of(&opened).map_err(|error| unseen(path, &error))?;
        Ok(Some((opened, place)))
    }

    fn mount_of(&self, opened: &OwnedFd, path: &Path) -> Checked<Option<usize>> {
        let id = mountinfo::id_of(opened).map_err(|error| unseen(path, &error))?;
        Ok(self.mounts.iter().position(|mount| mount.id == id))
    }
}

/// The problem of a path that could not be looked at: what is there is not known, so it is not as it must be.
fn unseen(path: &Path, error: &dyn std::fmt::Display) -> String {
    format!("looking at {}: {error}", path.display())
}

/// What explained mounts show, by filesystem. A container may have very many mounts.
type Roots<'m> = BTreeMap<u64, BTreeSet<&'m Path>>;

fn explained_roots<'m>(mounts: &'m [Mount], explained: &[bool]) -> Roots<'m> {
    let mut roots = Roots::new();
    for (mount, _) in mounts.iter().zip(explained).filter(|(_, explained)| **explained) {
        roots.entry(mount.device).or_default().insert(&mount.root);
    }
    roots
}

/// Whether a mount that is not explained shows a part of what an explained one shows.
fn is_part(mount: &Mount, roots: &Roots) -> bool {
    roots.get(&mount.device).is_some_and(|roots| mount.root.ancestors().any(|above| roots.contains(above)))
}

/// Checks that a mount propagates to the host, or receives mounts of the host, only if the configuration says so.
fn check_propagation(mount: &Mount, with: &Comparison) -> Checked<()> {
    let planned = with.plan.propagation(&mount.point);
    let of_host = |group: Option<u64>| group.is_some() && with.host.all().any(|other| other.peer_group() == group);
    let received = planned & libc::MS_SLAVE == 0 && of_host(mount.master());
    if planned & libc::MS_SHARED == 0 && (received || of_host(mount.peer_group())) {
        return Err(format!("mounts below {} propagate to or from the host", mount.point.display()));
    }
    Ok(())
}
