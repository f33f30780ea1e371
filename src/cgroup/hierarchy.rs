//! Finds the host's cgroup hierarchies, their mount points, and the caller's cgroup in each.
//!
//! These functions take text, so that the tests can use samples of v1, v2, hybrid and bind-mounted hosts.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::sys::mountinfo;

/// The name of the v2 hierarchy, as in `/proc/self/cgroup`.
pub const UNIFIED: &str = "";

/// One line of `/proc/self/mountinfo` whose filesystem is `cgroup` or `cgroup2`.
#[derive(Clone, Debug, PartialEq)]
pub struct Mount {
    /// The device number as in `stat`, to recognise a mount that is hidden below another.
    pub device: u64,
    /// The cgroup at `point`: not `/` if a part of the hierarchy is bind-mounted.
    pub root: PathBuf,
    pub point: PathBuf,
    pub read_only: bool,
    /// v1: controllers and `name=…`. v2: [`UNIFIED`] alone.
    pub names: Vec<String>,
}

/// Mount options of v1 that are not controllers.
const NOT_CONTROLLERS: [&str; 12] = [
    "rw",
    "ro",
    "relatime",
    "noatime",
    "nosuid",
    "xattr",
    "noprefix",
    "clone_children",
    "cpuset_v2_mode",
    "none",
    "all",
    "favordynmods",
];

/// The cgroup mounts in the text of a mountinfo.
pub fn mounts(table: &[u8]) -> Vec<Mount> {
    mountinfo::parse(table).filter_map(|found| mount(&found)).collect()
}

fn mount(found: &mountinfo::Mount) -> Option<Mount> {
    let names = match found.kind.as_ref() {
        "cgroup2" => vec![UNIFIED.to_owned()],
        "cgroup" => found
            .super_options
            .split(',')
            .filter(|option| option.starts_with("name=") || !option.contains('='))
            .filter(|option| !NOT_CONTROLLERS.contains(option))
            .map(str::to_owned)
            .collect(),
        _ => return None,
    };
    let (root, point) = (found.root.clone().into_owned(), found.point.clone().into_owned());
    Some(Mount { device: found.device, root, point, read_only: found.is_read_only(), names })
}

/// Chooses the mount for each hierarchy. If a hierarchy is mounted more than once, a writable mount of the whole
/// hierarchy is preferred, then the first mount.
pub fn choose(mounts: &[Mount]) -> BTreeMap<String, &Mount> {
    let mut chosen: BTreeMap<String, &Mount> = BTreeMap::new();
    let rank = |mount: &Mount| (mount.read_only, mount.root != Path::new("/"));
    for mount in mounts {
        for name in &mount.names {
            match chosen.get(name) {
                Some(other) if rank(other) <= rank(mount) => {}
                _ => {
                    chosen.insert(name.clone(), mount);
                }
            }
        }
    }
    chosen
}

/// Parses `/proc/self/cgroup`: the caller's cgroup for each controller, named hierarchy and the v2 hierarchy.
pub fn own(proc_self_cgroup: &str) -> BTreeMap<String, PathBuf> {
    let mut places = BTreeMap::new();
    for line in proc_self_cgroup.lines() {
        let mut fields = line.splitn(3, ':');
        let (Some(_), Some(names), Some(place)) = (fields.next(), fields.next(), fields.next()) else { continue };
        for name in names.split(',') {
            places.insert(name.to_owned(), PathBuf::from(place));
        }
    }
    places
}

/// Returns the directory of the cgroup `place` (a path as in `/proc/self/cgroup`), or `None` if it is outside the
/// mount.
pub fn directory(mount: &Mount, place: &Path) -> Option<PathBuf> {
    let below = place.strip_prefix(&mount.root).ok()?;
    // "/../x" is how a place outside of the caller's cgroup namespace is written.
    let plain = below.components().all(|component| matches!(component, std::path::Component::Normal(_)));
    plain.then(|| if below.as_os_str().is_empty() { mount.point.clone() } else { mount.point.join(below) })
}

#[cfg(test)]
mod tests {
    use super::*;

    const V2: &str = "\
22 1 0:20 / /proc rw,nosuid - proc proc rw
29 23 0:26 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:4 - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot
";
    const HYBRID: &str = "\
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime shared:9 master:1 - cgroup cgroup rw,memory
40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,xattr,release_agent=/lib/x,name=systemd
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
";
    const IN_A_CONTAINER: &str = "\
700 600 0:32 /docker/abc /sys/fs/cgroup/memory ro,nosuid - cgroup cgroup rw,memory
701 600 0:32 /docker/abc /mnt/with\\040space rw,nosuid - cgroup cgroup rw,memory
";

    fn names(mountinfo: &str) -> Vec<(String, String)> {
        let mounts = mounts(mountinfo.as_bytes());
        choose(&mounts).iter().map(|(name, mount)| (name.clone(), mount.point.display().to_string())).collect()
    }

    #[test]
    fn a_v2_host_has_one_tree() {
        assert_eq!(names(V2), [("".into(), "/sys/fs/cgroup".into())]);
    }

    #[test]
    fn a_hybrid_host_lists_each_controller_and_the_tree() {
        let expected = [
            ("", "/sys/fs/cgroup/unified"),
            ("cpu", "/sys/fs/cgroup/cpu,cpuacct"),
            ("cpuacct", "/sys/fs/cgroup/cpu,cpuacct"),
            ("memory", "/sys/fs/cgroup/memory"),
            ("name=systemd", "/sys/fs/cgroup/systemd"),
        ];
        assert_eq!(names(HYBRID), expected.map(|(name, point)| (name.into(), point.into())));
    }

    #[test]
    fn a_writable_mount_is_preferred_and_escapes_are_read() {
        assert_eq!(names(IN_A_CONTAINER), [("memory".into(), "/mnt/with space".into())]);
    }

    #[test]
    fn the_whole_hierarchy_is_preferred_to_a_part() {
        let both = format!("{IN_A_CONTAINER}702 600 0:32 / /whole rw - cgroup cgroup rw,memory\n");
        assert_eq!(names(&both), [("memory".into(), "/whole".into())]);
    }

    #[test]
    fn own_places_are_read() {
        let own = own("9:name=systemd:/a:b\n4:cpu,cpuacct:/x\n0::/user.slice\n");
        assert_eq!(own["name=systemd"], Path::new("/a:b"));
        assert_eq!(own["cpu"], Path::new("/x"));
        assert_eq!(own["cpuacct"], Path::new("/x"));
        assert_eq!(own[UNIFIED], Path::new("/user.slice"));
    }

    #[test]
    fn a_place_is_found_below_a_part_of_the_hierarchy() {
        let mounts = mounts(IN_A_CONTAINER.as_bytes());
        let at = |place: &str| directory(&mounts[0], Path::new(place)).map(|path| path.display().to_string());
        assert_eq!(at("/docker/abc").as_deref(), Some("/sys/fs/cgroup/memory"));
        assert_eq!(at("/docker/abc/d").as_deref(), Some("/sys/fs/cgroup/memory/d"));
        assert_eq!(at("/docker/abcd"), None);
        assert_eq!(at("/"), None);
    }

    #[test]
    fn a_place_outside_the_cgroup_namespace_is_not_guessed() {
        assert_eq!(directory(&mounts(V2.as_bytes())[0], Path::new("/../other")), None);
    }

    #[test]
    fn device_numbers_are_those_of_stat() {
        assert_eq!(mounts(V2.as_bytes())[0].device, libc::makedev(0, 26));
    }
}
