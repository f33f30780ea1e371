//! The entries of `mounts`: where they may lie, and what they must say.

use std::path::Path;

use super::mount_options::{self, Bind, MountOptions};
use super::{oci, paths};
use crate::error::{Error, Result};

/// File systems that have no block device beneath, so that a read-only mount needs no read-only
/// superblock (which may be the host's own, as for sysfs and cgroup).
const VIRTUAL: [&str; 10] =
    ["proc", "sysfs", "tmpfs", "devpts", "mqueue", "cgroup", "cgroup2", "ramfs", "overlay", "bind"];

/// Files below /proc that show something else without harm to the masks: what LXCFS provides.
const HARMLESS_IN_PROC: [&str; 10] = [
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

/// The options of `mounts[index]`, with what its type implies: `bind` may be said by the type alone, and
/// `ro` of a file system on a block device goes to the superblock as well.
pub fn options(mount: &oci::Mount, index: usize) -> Result<MountOptions> {
    let given = mount.options().as_deref().unwrap_or_default();
    let mut parsed = mount_options::parse(given, &format!("mounts[{index}].options"))?;
    let kind = mount.typ().as_deref().unwrap_or_default();
    if kind == "bind" {
        parsed.bind.get_or_insert(Bind::Single);
    }
    let read_only = parsed.attr_set & mount_options::MOUNT_ATTR_RDONLY != 0;
    if parsed.bind.is_none() && read_only && !VIRTUAL.contains(&kind) {
        parsed.sb_flags.push("ro".to_owned());
    }
    Ok(parsed)
}

/// Checks one entry and makes its paths plain: the destination absolute and in its shortest spelling,
/// the source of a bind mount absolute (it is relative to the bundle).
pub(super) fn settle(mount: &mut oci::Mount, index: usize, bundle: Option<&Path>) -> Result<()> {
    let at = |name: &str| format!("mounts[{index}].{name}");
    let parsed = options(mount, index)?;

    if mount.destination().as_os_str().is_empty() {
        return Err(Error::config(&at("destination"), "is empty; expected an absolute path in the container"));
    }
    // The specification's older versions take a relative destination as below "/".
    let destination = paths::inside(&Path::new("/").join(mount.destination()), &at("destination"))?;
    let kind = mount.typ().clone().unwrap_or_default();
    guard_proc(&destination, &kind, parsed.bind, &at("destination"))?;
    mount.set_destination(destination);

    if parsed.bind.is_some() {
        settle_bind(mount, index, &parsed, bundle)
    } else if kind.is_empty() || kind == "none" {
        Err(Error::config(
            &at("type"),
            "names no file system and options have neither \"bind\" nor \"rbind\"; expected a type or one of these",
        ))
    } else if kind.contains('/') || kind.len() > 64 {
        Err(Error::config(&at("type"), format!("{kind:?} is not a file system type; expected one like \"tmpfs\"")))
    } else {
        Ok(())
    }
}

fn settle_bind(mount: &mut oci::Mount, index: usize, parsed: &MountOptions, bundle: Option<&Path>) -> Result<()> {
    let path = format!("mounts[{index}].source");
    if let Some((name, _)) = parsed.data.first() {
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

/// A mount over /proc can take the masks away or feed the runtime a false one.
fn guard_proc(destination: &Path, kind: &str, bind: Option<Bind>, path: &str) -> Result<()> {
    if !destination.starts_with("/proc") {
        return Ok(());
    }
    if destination == Path::new("/proc") {
        if kind == "proc" && bind.is_none() {
            return Ok(());
        }
        return Err(Error::config(path, "only a mount of type \"proc\" may lie on /proc"));
    }
    if HARMLESS_IN_PROC.iter().any(|harmless| destination == Path::new(harmless)) {
        return Ok(());
    }
    Err(Error::config(
        path,
        format!("{destination:?} would cover a part of /proc; expected one of {}", HARMLESS_IN_PROC.join(", ")),
    ))
}
