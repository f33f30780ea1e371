//! Checks the entries of `mounts`: destinations, sources, types and options.

use std::path::Path;

use super::mount_attributes::MOUNT_ATTR_RDONLY;
use super::mount_options::{self, Extent, FilesystemOption, MountOptions};
use super::namespaces::Namespaces;
use super::{idmap, oci, paths};
use crate::error::{Error, Result};

/// Filesystems without a block device, whose read-only mounts need no read-only superblock (which may be the host's
/// own, as for sysfs and cgroup).
const VIRTUAL: [&str; 10] =
    ["proc", "sysfs", "tmpfs", "devpts", "mqueue", "cgroup", "cgroup2", "ramfs", "overlay", "bind"];

/// The files below /proc that LXCFS mounts over. Replacing them does not weaken the masked paths.
const ALLOWED_IN_PROC: [&str; 10] = [
    "/proc/cpuinfo",
    "/proc/diskstats",
    "/proc/meminfo",
    "/proc/stat",
    "/proc/swaps",
    "/proc/uptime",
    "/proc/loadavg",
    "/proc/slabinfo",
    "/proc/sys/kernel/ns_last_pid",
    "/proc/sys/crypto/fips_enabled",
];

/// An entry of `mounts`, with its options as parsed when the configuration was read.
#[derive(Clone, Copy, Debug)]
pub struct MountEntry<'a> {
    /// Its index in the array.
    pub index: usize,
    pub mount: &'a oci::Mount,
    pub options: &'a MountOptions,
}

impl MountEntry<'_> {
    /// Returns whether the entry is a bind mount, by its options or its type.
    pub fn is_bind(&self) -> bool {
        self.options.bind.is_some()
    }
}

/// Returns the options of `mounts[index]`, completed by its type: the type alone may make it a bind mount, and `ro` of
/// a filesystem on a block device applies to the superblock as well.
fn options(mount: &oci::Mount, index: usize) -> Result<MountOptions> {
    let given = mount.options().as_deref().unwrap_or_default();
    let mut parsed = mount_options::parse(given, format_args!("mounts[{index}].options"))?;
    let kind = mount.typ().as_deref().unwrap_or_default();
    if kind == "bind" {
        parsed.bind.get_or_insert(Extent::Single);
    }
    if [mount.uid_mappings(), mount.gid_mappings()].into_iter().flatten().any(|list| !list.is_empty()) {
        // Mappings without `idmap` or `ridmap` apply to the mount alone.
        parsed.idmap.get_or_insert(Extent::Single);
    }
    if parsed.bind.is_none() && !parsed.remount {
        // A new filesystem has no mounts below it, so recursive options apply to the mount.
        parsed.attr_set |= parsed.rec_attr_set & !parsed.attr_clear;
        parsed.attr_clear |= parsed.rec_attr_clear;
        let read_only = parsed.attr_set & MOUNT_ATTR_RDONLY != 0;
        if read_only && !VIRTUAL.contains(&kind) {
            parsed.sb_flags.push("ro".to_owned());
        }
    }
    Ok(parsed)
}

/// Returns whether the entry is a new sysfs, not a bind mount.
pub fn is_new_sysfs(entry: MountEntry) -> bool {
    entry.mount.typ().as_deref() == Some("sysfs") && entry.options.bind.is_none() && !entry.options.remount
}

/// Checks one entry and normalizes its paths: the destination becomes absolute and gets its shortest spelling, the
/// source of a bind mount becomes absolute (it is relative to the bundle). Returns its options.
pub(super) fn normalize(
    mount: &mut oci::Mount,
    index: usize,
    bundle: Option<&Path>,
    namespaces: &Namespaces,
    linux: Option<&oci::Linux>,
) -> Result<MountOptions> {
    let at = |name: &str| format!("mounts[{index}].{name}");
    let parsed = options(mount, index)?;
    take_id_maps(mount, index, &parsed, linux)?;

    if mount.destination().as_os_str().is_empty() {
        return Err(Error::config(&at("destination"), "is empty; expected an absolute path in the container"));
    }
    // Older versions of the specification resolve a relative destination from "/".
    let destination =
        paths::inside(&Path::new("/").join(mount.destination()), format_args!("mounts[{index}].destination"))?;
    let kind = mount.typ().clone().unwrap_or_default();
    guard_proc(&destination, &kind, parsed.bind, &at("destination"))?;
    mount.set_destination(destination);
    check_id_mappings(mount, index, &parsed, namespaces)?;
    check_copy_up(&kind, index, &parsed)?;
    check_cgroup(&kind, index, &parsed, namespaces)?;

    if parsed.versions && parsed.remount && parsed.bind.is_none() {
        return Err(Error::config(
            &at("options"),
            "\"iversion\" is for a new filesystem; expected it with the mount itself, without remount",
        ));
    }
    if parsed.bind.is_some() {
        normalize_bind(mount, index, &parsed, bundle)?;
        Ok(parsed)
    } else if parsed.remount {
        Ok(parsed)
    } else if kind.is_empty() || kind == "none" {
        Err(Error::config(
            &at("type"),
            "names no filesystem and options have neither \"bind\" nor \"rbind\"; expected a type or one of these",
        ))
    } else if kind.contains('/') || kind.len() > 64 {
        Err(Error::config(&at("type"), format!("{kind:?} is not a filesystem type; expected one like \"tmpfs\"")))
    } else {
        Ok(parsed)
    }
}

/// Moves mappings from the options, as crun takes them, to the entry's own fields.
fn take_id_maps(mount: &mut oci::Mount, index: usize, parsed: &MountOptions, linux: Option<&oci::Linux>) -> Result<()> {
    if parsed.id_maps.is_empty() {
        return Ok(());
    }
    let at = |name: &str| format!("mounts[{index}].{name}");
    let is_given = |list: &Option<Vec<oci::LinuxIdMapping>>| list.as_ref().is_some_and(|list| !list.is_empty());
    if is_given(mount.uid_mappings()) || is_given(mount.gid_mappings()) {
        return Err(Error::config(
            &at("options"),
            "has id mappings, and uidMappings has, too; expected one of the two",
        ));
    }
    let container = |gids: bool| {
        let list = linux.map(|linux| if gids { linux.gid_mappings() } else { linux.uid_mappings() });
        list.and_then(|list| list.as_deref()).unwrap_or_default()
    };
    let mut lists = [Vec::new(), Vec::new()];
    for map in &parsed.id_maps {
        let [from, mut to, size] = map.range;
        if map.relative {
            to = idmap::to_host(container(map.gids), to).ok_or_else(|| {
                let name = if map.gids { "linux.gidMappings" } else { "linux.uidMappings" };
                Error::config(&at("options"), format!("\"@\": {to} is not mapped; expected an id that {name} maps"))
            })?;
        }
        let mapping = oci::LinuxIdMappingBuilder::default().container_id(from).host_id(to).size(size).build();
        lists[usize::from(map.gids)].push(mapping.map_err(|error| Error::config(&at("options"), error))?);
    }
    let [uids, gids] = lists;
    mount.set_uid_mappings(Some(uids)).set_gid_mappings(Some(gids));
    Ok(())
}

/// Of tmpfs(5).
const TMPFS_OPTIONS: [&str; 6] = ["mode", "size", "uid", "gid", "nr_blocks", "nr_inodes"];

fn normalize_bind(mount: &mut oci::Mount, index: usize, parsed: &MountOptions, bundle: Option<&Path>) -> Result<()> {
    let path = format!("mounts[{index}].source");
    // A bind mount shares its superblock with the source, so the kernel ignores superblock flags, also in a remount, as
    // other runtimes do.
    for FilesystemOption { name, value } in &parsed.data {
        // Those of a tmpfs, which a mount had before it was changed into a bind mount. Of anything else, a misspelt
        // attribute for example, it is not known that it does no harm to leave it out.
        if value.is_some() && TMPFS_OPTIONS.contains(&name.as_str()) {
            log::warn!("mounts[{index}].options: {name:?} has no effect on a bind mount");
            continue;
        }
        return Err(Error::config(
            &format!("mounts[{index}].options"),
            format!("{name:?} is not an option of a bind mount; expected attributes like \"ro\" and propagation"),
        ));
    }
    let source = match mount.source() {
        Some(source) if !source.as_os_str().is_empty() => source,
        _ => return Err(Error::config(&path, "is missing; expected the path that is bound")),
    };
    let source = match (source.is_absolute(), bundle) {
        (true, _) => source.clone(),
        (false, Some(bundle)) => bundle.join(source),
        (false, None) => {
            return Err(Error::config(
                &path,
                format!("{source:?} is relative and there is no bundle; expected an absolute path"),
            ));
        }
    };
    paths::bounded(&source, &path)?;
    mount.set_source(Some(source));
    Ok(())
}

fn check_id_mappings(mount: &oci::Mount, index: usize, parsed: &MountOptions, namespaces: &Namespaces) -> Result<()> {
    let at = |name: &str| format!("mounts[{index}].{name}");
    if parsed.idmap.is_none() {
        return Ok(());
    }
    let lists = [mount.uid_mappings(), mount.gid_mappings()].map(|list| list.as_deref().unwrap_or_default());
    let names = ["uidMappings", "gidMappings"].map(at);
    let in_user_namespace = namespaces.has(oci::LinuxNamespaceType::User);
    match lists.map(<[_]>::is_empty) {
        [false, false] => {}
        [true, true] if in_user_namespace => {}
        [true, true] => {
            return Err(Error::config(
                &names[0],
                "is missing; expected the mappings of the mount, because the container has no user namespace that \
                 would supply them",
            ));
        }
        [missing, _] => {
            let (missing, other) = if missing { (&names[0], "gidMappings") } else { (&names[1], "uidMappings") };
            return Err(Error::config(missing, format!("is missing beside {other}; expected both or neither")));
        }
    }
    for (path, list) in names.iter().zip(lists) {
        idmap::check_ranges(path, list)?;
    }
    let refused = match mount.typ().as_deref() {
        _ if parsed.remount => "cannot be set on an existing mount; expected it with the mount itself",
        Some("cgroup" | "cgroup2") => "is not possible for cgroups, whose files belong to the host",
        _ if parsed.bind.is_none() && in_user_namespace => {
            "is possible for bind mounts only in a container with a user namespace, to which its new filesystems belong"
        }
        _ => return Ok(()),
    };
    Err(Error::config(&at("options"), format!("an id-mapped mount {refused}")))
}

/// Checks an entry of type cgroup. The container's cgroup is bound, or the hierarchies are mounted by their
/// controllers: no option of the filesystem can apply, except for cgroup v2 in a new cgroup namespace.
fn check_cgroup(kind: &str, index: usize, parsed: &MountOptions, namespaces: &Namespaces) -> Result<()> {
    let none = match kind {
        "cgroup" => true,
        "cgroup2" => !namespaces.has(oci::LinuxNamespaceType::Cgroup) || parsed.versions,
        _ => false,
    };
    match parsed.of_the_filesystem().filter(|_| none) {
        Some(name) => Err(Error::config(
            &format!("mounts[{index}].options"),
            format!(
                "{name:?} would be an option of the host's cgroups; expected attributes like \"ro\" and propagation"
            ),
        )),
        None => Ok(()),
    }
}

fn check_copy_up(kind: &str, index: usize, parsed: &MountOptions) -> Result<()> {
    if parsed.copy_up && (kind != "tmpfs" || parsed.bind.is_some() || parsed.remount) {
        return Err(Error::config(
            &format!("mounts[{index}].options"),
            "\"tmpcopyup\" copies into a new tmpfs; expected it with the type \"tmpfs\", without bind and remount",
        ));
    }
    Ok(())
}

/// Refuses most mounts on or below /proc: they could uncover masked paths, or give the runtime a false procfs.
fn guard_proc(destination: &Path, kind: &str, bind: Option<Extent>, path: &str) -> Result<()> {
    if !destination.starts_with("/proc") {
        return Ok(());
    }
    if destination == Path::new("/proc") {
        // A bind source must be a whole procfs: `host` checks the source, and init the tree that it has opened.
        if kind == "proc" || bind.is_some() {
            return Ok(());
        }
        return Err(Error::config(path, "only a mount of type \"proc\" or a bind mount may be mounted on /proc"));
    }
    if ALLOWED_IN_PROC.iter().any(|allowed| destination == Path::new(allowed)) {
        return Ok(());
    }
    Err(Error::config(
        path,
        format!("{destination:?} would cover a part of /proc; expected one of {}", ALLOWED_IN_PROC.join(", ")),
    ))
}
