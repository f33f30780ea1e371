//! Plans mounts of type cgroup and cgroup2, which show a container its own cgroups.
//!
//! With a cgroup namespace, the hierarchies are mounted and show the container's cgroups as their roots. Without one,
//! the container's directory is bind-mounted instead, read-only, because its files are the limits that the host sets
//! (CVE-2023-25809).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::rootfs::{self, attributes};
use super::{CopyUp, Entry, Plan, Step, TreeOpener};
use crate::cgroup::Layout;
use crate::error::{Error, Result};
use crate::spec::Config;
use crate::spec::mount_attributes::{MOUNT_ATTR_NODEV, MOUNT_ATTR_NOEXEC, MOUNT_ATTR_NOSUID, MOUNT_ATTR_RDONLY};
use crate::spec::mount_options::{FilesystemOption, MountOptions};
use crate::spec::mounts::MountEntry;
use crate::spec::namespaces::Namespaces;
use crate::spec::oci::{LinuxNamespaceType, Mount};

pub fn is_cgroup(mount: &Mount) -> bool {
    matches!(mount.typ().as_deref(), Some("cgroup" | "cgroup2"))
}

/// Whether the container has a new cgroup namespace and its cgroups writable at /sys/fs/cgroup, so that it may manage
/// cgroups there.
pub fn is_delegated(config: &Config) -> bool {
    let read_write = |entry: MountEntry| {
        is_cgroup(entry.mount)
            && entry.mount.destination() == Path::new("/sys/fs/cgroup")
            && entry.options.attr_set & MOUNT_ATTR_RDONLY == 0
    };
    Namespaces::of(config.spec()).is_new(LinuxNamespaceType::Cgroup) && config.mounts().any(read_write)
}

pub fn push(
    plan: &mut Plan,
    trees: &mut TreeOpener,
    layout: &Layout,
    given: MountEntry,
    in_namespace: bool,
) -> Result<()> {
    let MountEntry { index, mount, options } = given;
    let mut options = options.clone();
    if !in_namespace {
        options.attr_set |= MOUNT_ATTR_RDONLY;
        options.attr_clear &= !MOUNT_ATTR_RDONLY;
    }
    let place =
        CgroupMount { target: mount.destination().clone(), options: &options, in_namespace, entry: Some(index) };
    let unified = layout.paths.get("");
    let only_unified = unified.is_some() && layout.paths.len() == 1;
    let wants_unified = mount.typ().as_deref() == Some("cgroup2");
    match unified {
        None if wants_unified => {
            let message = "this host has no cgroup v2 hierarchy to mount; use the type \"cgroup\"";
            Err(Error::unsupported_field(&format!("mounts[{index}].type"), message))
        }
        Some(path) if wants_unified || only_unified => {
            place.push_hierarchy(plan, trees, "", path, place.target.clone());
            place.push_propagation(plan);
            Ok(())
        }
        _ => {
            place.push_all(plan, trees, layout);
            place.push_propagation(plan);
            Ok(())
        }
    }
}

/// An entry of `mounts` of type cgroup or cgroup2.
struct CgroupMount<'a> {
    target: PathBuf,
    options: &'a MountOptions,
    in_namespace: bool,
    entry: Entry,
}

impl CgroupMount<'_> {
    /// Mounts a tmpfs with one directory for each hierarchy, as on hosts with cgroup v1.
    fn push_all(&self, plan: &mut Plan, trees: &mut TreeOpener, layout: &Layout) {
        let (target, entry) = (&self.target, self.entry);
        plan.push(Step::Mount {
            kind: "tmpfs".into(),
            source: Some("tmpfs".into()),
            target: target.clone(),
            attributes: MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC,
            options: vec![FilesystemOption::with_value("mode", "755")],
            copy_up: CopyUp::No,
            id_map: None,
            entry,
        });
        let mut controllers: BTreeMap<&Path, Vec<&str>> = BTreeMap::new();
        for (controller, path) in &layout.paths {
            controllers.entry(path).or_default().push(controller);
        }
        for (path, names) in controllers {
            let joined = names.join(",");
            let directory = directory_name(&joined);
            self.push_hierarchy(plan, trees, &joined, path, target.join(directory));
            for name in names.iter().filter(|name| **name != directory && names.len() > 1) {
                let (name, to) = ((*name).to_owned(), directory.to_owned());
                plan.push(Step::Symlink { parent: target.clone(), name, target: to });
            }
        }
        if self.options.attr_set & MOUNT_ATTR_RDONLY != 0 {
            let readonly = MountOptions { attr_set: MOUNT_ATTR_RDONLY, ..MountOptions::default() };
            plan.push(Step::Remount { target: target.clone(), attributes: attributes(&readonly), entry });
        }
    }

    fn push_hierarchy(&self, plan: &mut Plan, trees: &mut TreeOpener, controllers: &str, path: &Path, target: PathBuf) {
        let (options, entry) = (self.options, self.entry);
        if !self.in_namespace {
            rootfs::push_bind(plan, trees, path, target, attributes(options), entry);
            return;
        }
        let kind = if controllers.is_empty() { "cgroup2" } else { "cgroup" };
        let selection = match controllers.strip_prefix("name=") {
            _ if controllers.is_empty() => options.data.clone(),
            // A named hierarchy needs the option "none": it has no controllers (cgroups(7)).
            Some(name) => vec![FilesystemOption::flag("none"), FilesystemOption::with_value("name", name)],
            None => controllers.split(',').map(FilesystemOption::flag).collect(),
        };
        plan.push(Step::Mount {
            kind: kind.into(),
            source: Some(kind.into()),
            target,
            attributes: options.attr_set,
            options: selection,
            copy_up: CopyUp::No,
            id_map: None,
            entry,
        });
    }

    fn push_propagation(&self, plan: &mut Plan) {
        for flags in &self.options.propagation {
            plan.push(Step::MountPropagation { target: self.target.clone(), flags: *flags, entry: self.entry });
        }
    }
}

/// Returns the directory name of a hierarchy: "systemd" for "name=systemd", "unified" for v2, otherwise its
/// controllers, such as "cpu,cpuacct".
fn directory_name(controllers: &str) -> &str {
    match controllers {
        "" => "unified",
        named => named.strip_prefix("name=").unwrap_or(named),
    }
}
