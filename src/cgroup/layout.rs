//! Decides where a container's cgroups are, before anything is created.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use nix::errno::Errno;
use nix::unistd::AccessFlags;
use serde::{Deserialize, Serialize};

use super::hierarchy::{self, Mount, UNIFIED};
use super::systemd::{Unit, annotated};
use super::{members, mount_table, v1, v2};
use crate::error::{Code, Error, Result};
use crate::spec::paths::lexical;
use crate::sys::{kernfs, procfs};

/// The layout as the state file records it, before anything is created: if the creator dies, removal by this record
/// leaves nothing behind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layout {
    /// The container's cgroup in each hierarchy, as an absolute directory. Keys are v1 controller names (two that share
    /// a mount are listed each), `name=…` for named v1 hierarchies, and the empty name for the v2 hierarchy.
    pub paths: BTreeMap<String, PathBuf>,
    /// The directories that creation makes: missing parents and leaves, in the order of creation. Removal always
    /// removes the leaves (all of `paths`, without `kept`), and parents only if they are unused.
    pub made: Vec<PathBuf>,
    /// Leaves that existed before, without processes: made for the container by an orchestrator, or left by a crash.
    /// Removal removes what is below them and leaves them in place.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kept: Vec<PathBuf>,
    /// The scope, if systemd manages the cgroup.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<Unit>,
    /// Whether the container has no cgroup of its own: `paths` are its creator's and must not be changed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub absent: bool,
}

/// The manager of a container's cgroups.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Manager {
    /// libberth, through the cgroup filesystems (cgroupfs).
    #[default]
    Files,
    /// systemd, with a transient scope. Needs a host with cgroup v2 only.
    Systemd {
        /// Whether annotations that begin with "org.systemd.property." become properties of the scope. They may come
        /// from the image.
        annotations: bool,
    },
    /// None: containers have no cgroups of their own.
    Disabled,
}

/// The errno of a recorded cgroup that exists in a hierarchy that cannot be reached.
const UNREACHABLE: Errno = Errno::ESTALE;

/// Whether [`Layout::check`] has failed because a cgroup is there that cannot be reached now.
pub fn is_unreachable(error: &Error) -> bool {
    error.errno == Some(UNREACHABLE)
}

impl Layout {
    /// Takes a leaf that exists, unless processes use it.
    fn keep(&mut self, leaf: PathBuf) -> Result<()> {
        match in_use(&leaf)? {
            None => self.kept.push(leaf),
            Some(error) => return Err(error),
        }
        Ok(())
    }

    /// Fails if a recorded directory cannot be a container's cgroup: delete would kill whoever is in it.
    pub fn check(&self) -> Result<()> {
        self.check_with(&mount_table::cgroups()?)
    }

    fn check_with(&self, mounts: &[Mount]) -> Result<()> {
        let is_plain = |path: &Path| {
            let mut components = path.components();
            components.next() == Some(Component::RootDir) && components.all(|one| matches!(one, Component::Normal(_)))
        };
        // Below a hierarchy's root, which all processes are in.
        let is_below = |path: &Path| mounts.iter().any(|mount| path != mount.point && path.starts_with(&mount.point));
        let is_root = |path: &Path| mounts.iter().any(|mount| path == mount.point);
        let all = || self.paths.values().chain(&self.made).chain(&self.kept);
        if !self.absent && self.paths.is_empty() {
            return Err(Error::new(Code::System, "the record names no cgroup"));
        }
        match all().find(|path| !self.absent && (!is_plain(path) || !is_below(path) || is_root(path))) {
            // A mount that could not be looked at counts as hidden.
            Some(path) if is_plain(path) && !is_root(path) && kernfs::exists(path).unwrap_or(false) => {
                let message =
                    format!("the record names {}, a cgroup whose hierarchy cannot be reached", path.display());
                Err(Error::new(Code::System, message).with_errno(UNREACHABLE))
            }
            Some(path) => {
                let message = format!("the record names {}, which cannot be a container's cgroup", path.display());
                Err(Error::new(Code::System, message))
            }
            None => Ok(()),
        }
    }

    /// Returns each leaf once.
    pub(crate) fn leaves(&self) -> Vec<PathBuf> {
        self.paths.values().cloned().collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// Returns the container's own cgroups by hierarchy.
    pub fn own_paths(&self) -> BTreeMap<String, PathBuf> {
        if self.absent { BTreeMap::new() } else { self.paths.clone() }
    }

    /// Returns the layout of a process in cgroups below the container's: each of `given` is "path", for all
    /// hierarchies, or `controller[,controller]:path`. They must exist.
    pub fn below(&self, given: &[String]) -> Result<Layout> {
        if self.absent {
            return Err(Error::new(Code::Unsupported, "the container was created without cgroups"));
        }
        let mut layout = self.clone();
        for given in given {
            let (controllers, path) = given.split_once(':').unwrap_or(("", given));
            let path = Path::new(path.trim_start_matches('/'));
            let named: Vec<&str> = controllers.split(',').collect();
            let all = !given.contains(':');
            if let Some(unknown) = named.iter().find(|name| !all && !self.paths.contains_key(**name)) {
                let message = format!("cgroup {given:?}: the container has no cgroup in the hierarchy {unknown:?}");
                return Err(Error::invalid_argument(message).detail("controller", *unknown));
            }
            for (name, place) in &self.paths {
                if all || named.contains(&name.as_str()) {
                    layout.paths.insert(name.clone(), existing_below(place, path)?);
                }
            }
        }
        Ok(layout)
    }

    /// Replaces the v2 cgroup by the one that the container's init is in, if that is below the container's own.
    pub fn where_init_is(&self, pid: i32) -> Result<Option<Layout>> {
        let Some(own) = self.paths.get(UNIFIED).filter(|_| !self.absent) else { return Ok(None) };
        let mounts = mount_table::cgroups()?;
        let places = hierarchy::own(&procfs::read(&format!("{pid}/cgroup"))?);
        let chosen = hierarchy::choose(&mounts);
        let place = places.get(UNIFIED).zip(chosen.get(UNIFIED));
        let place = place.and_then(|(place, mount)| hierarchy::directory(mount, place));
        let Some(place) = place.filter(|place| place != own && place.starts_with(own)) else { return Ok(None) };
        let mut layout = self.clone();
        layout.paths.insert(UNIFIED.to_owned(), place);
        Ok(Some(layout))
    }
}

/// Plans the cgroups from the host's current mounts; creates nothing.
///
/// `cgroups_path` is OCI `linux.cgroupsPath`; without it the container gets `/berth-<id>`. An absolute path is
/// taken below each hierarchy's mount. A relative one is taken below the caller's own cgroup; on a pure v2 host
/// beside it, as runc does, because a v2 cgroup that has processes (the caller) cannot hand controllers down.
///
/// Uses a leaf that exists if no process is in it, and leaves it in place at removal.
pub fn plan(cgroups_path: Option<&Path>, id: &str) -> Result<Layout> {
    let mut layout = locate(cgroups_path, id)?;
    for leaf in layout.leaves() {
        match missing(&leaf)? {
            none if none.is_empty() => layout.keep(leaf)?,
            missing => layout.made.extend(missing),
        }
    }
    Ok(layout)
}

/// Returns the same paths whether or not they exist, for a container whose record is lost.
pub fn locate(cgroups_path: Option<&Path>, id: &str) -> Result<Layout> {
    let own = || Ok(hierarchy::own(&procfs::read("self/cgroup")?));
    let paths = places(&mount_table::cgroups()?, own, cgroups_path, id)?;
    Ok(Layout { paths, ..Layout::default() })
}

/// As [`plan`], for a manager. `annotations` are the container's.
pub fn plan_with(
    manager: Manager,
    cgroups_path: Option<&Path>,
    id: &str,
    annotations: &HashMap<String, String>,
) -> Result<Layout> {
    let obeyed = match manager {
        Manager::Files => return plan(cgroups_path, id),
        Manager::Disabled => return of_caller(),
        Manager::Systemd { annotations } => annotations,
    };
    let mut layout = locate_with(manager, cgroups_path, id)?;
    if let Some(unit) = layout.scope.as_mut().filter(|_| obeyed) {
        unit.properties = annotated(annotations.iter())?;
    }
    match layout.leaves().first() {
        Some(leaf) if kernfs::exists(leaf)? => Err(existing(leaf)?),
        _ => Ok(layout),
    }
}

/// As [`plan`] without a path, for an unprivileged caller: in the hierarchies where it may create a cgroup and move its
/// processes there, at the top or relative to its own. If there is none, the container has no cgroup of its own.
pub fn plan_permitted(id: &str) -> Result<Layout> {
    let mut layout = locate_permitted(id)?;
    if layout.absent {
        return Ok(layout);
    }
    for leaf in layout.leaves() {
        if kernfs::exists(&leaf)? {
            layout.keep(leaf)?;
        } else {
            layout.made.push(leaf);
        }
    }
    Ok(layout)
}

/// As [`locate`], for the paths of [`plan_permitted`].
pub fn locate_permitted(id: &str) -> Result<Layout> {
    let mounts = mount_table::cgroups()?;
    let own = hierarchy::own(&procfs::read("self/cgroup")?);
    let chosen = hierarchy::choose(&mounts);
    let only_v2 = chosen.keys().all(|name| name == UNIFIED);
    let leaf = format!("berth-{id}");
    let mut layout = Layout::default();
    for (name, mount) in chosen {
        let mine = own.get(&name).and_then(|place| hierarchy::directory(mount, place));
        let base = mine.as_deref().map(|mine| if only_v2 { mine.parent().unwrap_or(mine) } else { mine });
        let candidates = [Some(mount.point.as_path()), base.filter(|base| base.starts_with(&mount.point))];
        let permitted = |base: &&Path| may_make(base) && (name != UNIFIED || may_move(mine.as_deref(), base));
        if let Some(base) = candidates.into_iter().flatten().find(permitted) {
            layout.paths.insert(name, base.join(&leaf));
        }
    }
    if layout.paths.is_empty() { of_caller() } else { Ok(layout) }
}

fn may_make(base: &Path) -> bool {
    kernfs::may(base, AccessFlags::W_OK | AccessFlags::X_OK)
}

/// Whether the caller may move a process between two v2 cgroups: it must be able to write to cgroup.procs of their
/// common ancestor (cgroups(7), "Delegation containment").
fn may_move(from: Option<&Path>, to: &Path) -> bool {
    let above = from.and_then(|from| from.ancestors().find(|above| to.starts_with(above)));
    above.is_some_and(|above| kernfs::may(&above.join("cgroup.procs"), AccessFlags::W_OK))
}

/// As [`locate`], for a manager.
pub fn locate_with(manager: Manager, cgroups_path: Option<&Path>, id: &str) -> Result<Layout> {
    match manager {
        Manager::Files => return locate(cgroups_path, id),
        Manager::Disabled => return of_caller(),
        Manager::Systemd { .. } => {}
    }
    let given = cgroups_path.map(Path::to_string_lossy);
    let unit = Unit::new(given.as_deref(), id)?;
    let mounts = mount_table::cgroups()?;
    let chosen = hierarchy::choose(&mounts);
    let Some(mount) = chosen.get(UNIFIED).filter(|_| chosen.len() == 1) else {
        let message = "the systemd cgroup manager needs a host with cgroup v2 alone; this one has v1 hierarchies";
        return Err(Error::new(Code::Unsupported, message));
    };
    let paths = BTreeMap::from([(UNIFIED.to_owned(), mount.point.join(unit.place()?))]);
    Ok(Layout { paths, scope: Some(unit), ..Layout::default() })
}

/// Returns the caller's cgroups, for mounts that show a container its cgroups.
fn of_caller() -> Result<Layout> {
    let mounts = mount_table::cgroups()?;
    let own = hierarchy::own(&procfs::read("self/cgroup")?);
    let place = |(name, mount): (String, &Mount)| {
        let path = own.get(&name).and_then(|place| hierarchy::directory(mount, place))?;
        Some((name, path))
    };
    let paths = hierarchy::choose(&mounts).into_iter().filter_map(place).collect();
    Ok(Layout { paths, absent: true, ..Layout::default() })
}

/// The part of [`plan`] that does not access the host.
fn places(
    mounts: &[Mount],
    own: impl FnOnce() -> Result<BTreeMap<String, PathBuf>>,
    cgroups_path: Option<&Path>,
    id: &str,
) -> Result<BTreeMap<String, PathBuf>> {
    let default = PathBuf::from(format!("/berth-{id}"));
    let wanted = cgroups_path.unwrap_or(&default);
    let (relative, below) = checked(wanted)?;
    let chosen = hierarchy::choose(mounts);
    if chosen.is_empty() {
        return Err(Error::new(Code::Unsupported, "no cgroup hierarchy is mounted in the caller's mount namespace"));
    }
    let own = if relative { own()? } else { BTreeMap::new() };
    let only_v2 = chosen.keys().all(|name| name == UNIFIED);
    let mut paths = BTreeMap::new();
    for (name, mount) in chosen {
        let base = if relative {
            let place = own.get(&name).map(PathBuf::as_path).unwrap_or(Path::new("/"));
            let place = if only_v2 { place.parent().unwrap_or(place) } else { place };
            hierarchy::directory(mount, place).ok_or_else(|| {
                let (place, point) = (place.display(), mount.point.display());
                let problem = format!(
                    "a relative path needs the caller's cgroup {place}, which the mount on {point} does not show"
                );
                Error::config("linux.cgroupsPath", problem)
            })?
        } else {
            mount.point.clone()
        };
        paths.insert(name, base.join(&below));
    }
    Ok(paths)
}

/// Validates the path. Returns whether it is relative, and its components.
fn checked(path: &Path) -> Result<(bool, PathBuf)> {
    let refuse = |problem: &str| {
        let value = path.to_string_lossy();
        Err(Error::config("linux.cgroupsPath", format!("\"{}\" {problem}", value.escape_debug())))
    };
    let bytes = path.as_os_str().as_bytes();
    if bytes.is_empty() {
        return refuse("is empty: a path like \"/group/name\" is needed");
    }
    if bytes.iter().any(|byte| matches!(byte, 0 | b'\n')) {
        return refuse("has a NUL or newline, which no cgroup's name can have");
    }
    // As in runc, `..` goes up to the root of the path and no further, so the path stays below its base.
    let plain = lexical(path);
    let plain = plain.strip_prefix("/").unwrap_or(&plain).to_owned();
    if plain.iter().any(|name| name.len() > 255) {
        return refuse("has a component longer than 255 bytes");
    }
    if plain.as_os_str().is_empty() {
        return refuse("names a cgroup that is not the container's own: a path like \"/group/name\" is needed");
    }
    Ok((path.is_relative(), plain))
}

fn existing_below(place: &Path, path: &Path) -> Result<PathBuf> {
    let place = place.join(path);
    if kernfs::exists(&place)? {
        Ok(place)
    } else {
        let message = format!("there is no cgroup {}", place.display());
        let error = Error::new(Code::System, message).with_errno(nix::errno::Errno::ENOENT);
        Err(error.detail("cgroup", place.to_string_lossy()))
    }
}

/// Returns the missing directories, the outermost first.
pub(super) fn missing(leaf: &Path) -> Result<Vec<PathBuf>> {
    let mut missing = Vec::new();
    for directory in leaf.ancestors() {
        if kernfs::exists(directory)? {
            break;
        }
        missing.push(directory.to_owned());
    }
    missing.reverse();
    Ok(missing)
}

/// Returns why an existing leaf cannot be used: its processes would be limited, and killed with the container.
fn in_use(leaf: &Path) -> Result<Option<Error>> {
    let mut pids = BTreeSet::new();
    members::collect(leaf, &mut pids)?;
    if !pids.is_empty() {
        let problem = format!("has processes in it: {}", members::describe(&pids));
        return Ok(Some(occupied_error(leaf, &problem).detail("processes", pids.len())));
    }
    let frozen = v1::freezer::is_frozen(leaf)? || v2::freezer::is_frozen(leaf)?;
    Ok(frozen.then(|| occupied_error(leaf, "is frozen").detail("frozen", true)))
}

/// Returns the error for a leaf that exists although it must be new, even if it is empty: another create may have just
/// created it, and scopes belong to systemd.
pub(super) fn existing(leaf: &Path) -> Result<Error> {
    let problem = "may be another container's; remove it, or choose another linux.cgroupsPath";
    Ok(in_use(leaf)?.unwrap_or_else(|| occupied_error(leaf, problem)))
}

fn occupied_error(leaf: &Path, problem: &str) -> Error {
    let error = Error::new(Code::System, format!("cgroup {} exists already and {problem}", leaf.display()));
    error.with_errno(nix::errno::Errno::EEXIST).detail("cgroup", leaf.to_string_lossy())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mounts(v1: bool) -> Vec<Mount> {
        let text = if v1 {
            "1 2 0:1 / /cg/memory rw - cgroup cgroup rw,memory\n\
                 1 2 0:2 / /cg/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n\
                 1 2 0:3 / /cg/unified rw - cgroup2 cgroup2 rw\n"
        } else {
            "1 2 0:3 / /cg rw - cgroup2 cgroup2 rw\n"
        };
        hierarchy::mounts(text.as_bytes())
    }

    fn at(v1: bool, path: Option<&str>) -> Result<Vec<String>> {
        let own = hierarchy::own("2:memory:/mine\n1:cpu,cpuacct:/\n0::/user/scope\n");
        let paths = places(&mounts(v1), || Ok(own), path.map(Path::new), "web")?;
        Ok(paths.into_iter().map(|(name, path)| format!("{name}={}", path.display())).collect())
    }

    #[test]
    fn only_what_is_below_a_hierarchy_is_a_containers_cgroup() {
        let with = |path: &str| Layout { paths: BTreeMap::from([(String::new(), path.into())]), ..Layout::default() };
        for good in ["/cg/unified/a", "/cg/memory/a/b"] {
            with(good).check_with(&mounts(true)).unwrap();
        }
        for bad in ["", "a", "/", "/cg", "/tmp/a", "/cg/memory", "/cg/memory/", "/cg/memory/a/..", "/cg/memory/../x"] {
            with(bad).check_with(&mounts(true)).unwrap_err();
        }
        Layout::default().check_with(&mounts(true)).unwrap_err();
        Layout { absent: true, ..Layout::default() }.check_with(&mounts(true)).unwrap();
    }

    #[test]
    fn without_a_path_the_id_names_the_cgroup() {
        let expected = ["=/cg/unified/berth-web", "cpu=/cg/cpu,cpuacct/berth-web", "cpuacct=/cg/cpu,cpuacct/berth-web"];
        let found = at(true, None).unwrap();
        assert_eq!(found[..3], expected);
        assert_eq!(found[3], "memory=/cg/memory/berth-web");
        assert_eq!(at(false, None).unwrap(), ["=/cg/berth-web"]);
    }

    #[test]
    fn a_relative_path_is_below_the_caller_on_v1_and_beside_it_on_v2() {
        let found = at(true, Some("a/b")).unwrap();
        assert_eq!(found[0], "=/cg/unified/user/scope/a/b");
        assert_eq!(found[3], "memory=/cg/memory/mine/a/b");
        assert_eq!(at(false, Some("a/b")).unwrap(), ["=/cg/user/a/b"]);
    }

    #[test]
    fn dots_and_doubled_slashes_are_harmless() {
        assert_eq!(at(false, Some("//a/./b/")).unwrap(), ["=/cg/a/b"]);
    }

    #[test]
    fn two_dots_do_not_leave_the_base_directory() {
        assert_eq!(at(false, Some("/../../a/../b")).unwrap(), ["=/cg/b"]);
        assert_eq!(at(false, Some("../../b")).unwrap(), ["=/cg/user/b"]);
    }

    #[test]
    fn paths_that_name_nothing_are_refused() {
        let long = "x".repeat(256);
        for path in ["", "/", ".", "..", "/..", "a/..", "/a/../..", "/a\0b", "/a\nb", &long] {
            let error = at(true, Some(path)).unwrap_err();
            assert_eq!(error.code, Code::ConfigInvalid, "{path:?}");
            assert!(error.message.starts_with("linux.cgroupsPath: "), "{error}");
        }
    }

    #[test]
    fn a_host_without_cgroups_is_an_error() {
        let error = places(&[], || Ok(BTreeMap::new()), None, "web").unwrap_err();
        assert_eq!(error.code, Code::Unsupported);
    }
}
