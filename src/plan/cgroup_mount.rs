//! Mounts of type cgroup and cgroup2: what a container sees of its own cgroups.
//!
//! With a cgroup namespace the hierarchies are mounted and show the container's part. Without one the container's
//! directory is bound instead, and read-only: its files are the host's limits (CVE-2023-25809).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::rootfs::{self, attributes};
use super::{CopyUp, Entry, Plan, Step, TreeOpener};
use crate::cgroup::Layout;
use crate::error::{Error, Result};
use crate::spec::mount_options::{
    MOUNT_ATTR_NODEV, MOUNT_ATTR_NOEXEC, MOUNT_ATTR_NOSUID, MOUNT_ATTR_RDONLY, MountOptions,
};
use crate::spec::mounts;
use crate::spec::namespaces::Namespaces;
use crate::spec::oci::{LinuxNamespaceType, Mount, Spec};

pub fn is_cgroup(mount: &Mount) -> bool {
    matches!(mount.typ().as_deref(), Some("cgroup" | "cgroup2"))
}

/// Whether a container has its own part of the tree, read-write at the usual place.
pub fn is_delegated(spec: &Spec) -> bool {
    let read_write = |(index, mount): (usize, &Mount)| {
        is_cgroup(mount)
            && mount.destination() == Path::new("/sys/fs/cgroup")
            && mounts::options(mount, index).is_ok_and(|options| options.attr_set & MOUNT_ATTR_RDONLY == 0)
    };
    Namespaces::of(spec).is_new(LinuxNamespaceType::Cgroup)
        && spec.mounts().iter().flatten().enumerate().any(read_write)
}

pub fn push(
    plan: &mut Plan,
    trees: &mut TreeOpener,
    layout: &Layout,
    mount: &Mount,
    index: usize,
    in_namespace: bool,
) -> Result<()> {
    let mut options = mounts::options(mount, index)?;
    let entry = Some(index);
    if !in_namespace {
        options.attr_set |= MOUNT_ATTR_RDONLY;
        options.attr_clear &= !MOUNT_ATTR_RDONLY;
    }
    let target = mount.destination().clone();
    let unified = layout.paths.get("");
    let only_unified = unified.is_some() && layout.paths.len() == 1;
    let wants_unified = mount.typ().as_deref() == Some("cgroup2");
    match unified {
        None if wants_unified => {
            let message = "this host has no cgroup v2 hierarchy to mount; use the type \"cgroup\"";
            Err(Error::unsupported_field(&format!("mounts[{index}].type"), message))
        }
        Some(path) if wants_unified || only_unified => {
            push_hierarchy(plan, trees, "", path, target.clone(), &options, (in_namespace, entry));
            push_propagation(plan, &options, &target, entry);
            Ok(())
        }
        _ => {
            push_all(plan, trees, layout, target.clone(), &options, (in_namespace, entry));
            push_propagation(plan, &options, &target, entry);
            Ok(())
        }
    }
}

/// A tmpfs with one directory for each hierarchy, as hosts with cgroup v1 have it.
fn push_all(
    plan: &mut Plan,
    trees: &mut TreeOpener,
    layout: &Layout,
    target: PathBuf,
    options: &MountOptions,
    (in_namespace, entry): (bool, Entry),
) {
    let readonly = options.attr_set & MOUNT_ATTR_RDONLY != 0;
    plan.push(Step::Mount {
        kind: "tmpfs".into(),
        source: Some("tmpfs".into()),
        target: target.clone(),
        attributes: MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC,
        options: vec![("mode".into(), Some("755".into()))],
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
        push_hierarchy(plan, trees, &joined, path, target.join(directory), options, (in_namespace, entry));
        for name in names.iter().filter(|name| **name != directory && names.len() > 1) {
            let (name, to) = ((*name).to_owned(), directory.to_owned());
            plan.push(Step::Symlink { parent: target.clone(), name, target: to });
        }
    }
    if readonly {
        plan.push(Step::Remount {
            target,
            attributes: attributes(&MountOptions { attr_set: MOUNT_ATTR_RDONLY, ..MountOptions::default() }),
            entry,
        });
    }
}

/// "cpu,cpuacct" as it is, "name=systemd" as systemd, the v2 tree as unified.
fn directory_name(controllers: &str) -> &str {
    match controllers {
        "" => "unified",
        named => named.strip_prefix("name=").unwrap_or(named),
    }
}

fn push_hierarchy(
    plan: &mut Plan,
    trees: &mut TreeOpener,
    controllers: &str,
    path: &Path,
    target: PathBuf,
    options: &MountOptions,
    (in_namespace, entry): (bool, Entry),
) {
    if !in_namespace {
        rootfs::push_bind(plan, trees, path, target, attributes(options), entry);
        return;
    }
    let kind = if controllers.is_empty() { "cgroup2" } else { "cgroup" };
    let selection = match controllers.strip_prefix("name=") {
        _ if controllers.is_empty() => options.data.clone(),
        // A named hierarchy has no controllers, which must be said (cgroups(7)).
        Some(name) => vec![("none".into(), None), ("name".into(), Some(name.into()))],
        None => controllers.split(',').map(|controller| (controller.to_owned(), None)).collect(),
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

fn push_propagation(plan: &mut Plan, options: &MountOptions, target: &Path, entry: Entry) {
    for flags in &options.propagation {
        plan.push(Step::MountPropagation { target: target.to_owned(), flags: *flags, entry });
    }
}
