//! Determines the namespaces that a container creates, and those that it joins.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::oci::{self, LinuxNamespaceType};
use crate::error::{Error, Result};

/// A namespace to be joined with setns(2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joined {
    pub kind: LinuxNamespaceType,
    pub path: PathBuf,
    /// Its index in `linux.namespaces`, for errors.
    pub index: usize,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Namespaces {
    /// The CLONE_NEW… flags of the new namespaces.
    pub new_flags: u64,
    /// The joined namespaces, in the order for a caller without privileges: user first, because it grants the
    /// capabilities for the rest; mount last, because after it the paths of the others do not resolve.
    pub joined: Vec<Joined>,
}

/// The names of the namespace types, as in `linux.namespaces[].type`.
pub const NAMES: [&str; 8] = ["pid", "network", "mount", "ipc", "uts", "user", "cgroup", "time"];

const JOIN_ORDER: [LinuxNamespaceType; 8] = [
    LinuxNamespaceType::User,
    LinuxNamespaceType::Ipc,
    LinuxNamespaceType::Uts,
    LinuxNamespaceType::Network,
    LinuxNamespaceType::Pid,
    LinuxNamespaceType::Cgroup,
    LinuxNamespaceType::Time,
    LinuxNamespaceType::Mount,
];

impl Namespaces {
    pub fn of(spec: &oci::Spec) -> Namespaces {
        let listed = list(spec);
        let mut joined = Vec::new();
        for kind in JOIN_ORDER {
            for (index, namespace) in listed.iter().enumerate().filter(|(_, namespace)| namespace.typ() == kind) {
                if let Some(path) = path_of(namespace) {
                    joined.push(Joined { kind, path: path.to_owned(), index });
                }
            }
        }
        let new = listed.iter().filter(|namespace| path_of(namespace).is_none());
        Namespaces { new_flags: new.fold(0, |flags, namespace| flags | flag(namespace.typ())), joined }
    }

    pub fn is_new(&self, kind: LinuxNamespaceType) -> bool {
        self.new_flags & flag(kind) != 0
    }

    pub fn is_joined(&self, kind: LinuxNamespaceType) -> bool {
        self.joined.iter().any(|joined| joined.kind == kind)
    }

    /// Returns whether the joined cgroup namespace belongs to another user namespace than the container's new one, whose
    /// processes have no right to join it.
    pub fn has_foreign_cgroup(&self) -> bool {
        self.is_new(LinuxNamespaceType::User) && self.is_joined(LinuxNamespaceType::Cgroup)
    }

    /// Returns whether the container has a namespace of this type that is not the caller's: new or joined.
    pub fn has(&self, kind: LinuxNamespaceType) -> bool {
        self.is_new(kind) || self.is_joined(kind)
    }
}

/// Returns the CLONE_NEW… flag of a type, which NS_GET_NSTYPE also returns.
pub fn flag(kind: LinuxNamespaceType) -> u64 {
    let flag = match kind {
        LinuxNamespaceType::Mount => libc::CLONE_NEWNS,
        LinuxNamespaceType::Cgroup => libc::CLONE_NEWCGROUP,
        LinuxNamespaceType::Uts => libc::CLONE_NEWUTS,
        LinuxNamespaceType::Ipc => libc::CLONE_NEWIPC,
        LinuxNamespaceType::User => libc::CLONE_NEWUSER,
        LinuxNamespaceType::Pid => libc::CLONE_NEWPID,
        LinuxNamespaceType::Network => libc::CLONE_NEWNET,
        LinuxNamespaceType::Time => libc::CLONE_NEWTIME,
    };
    flag as u64
}

/// The namespace types, in the order in which they are joined.
pub const KINDS: [LinuxNamespaceType; 8] = JOIN_ORDER;

/// Returns the type's file name in /proc/<pid>/ns.
pub fn proc_name(kind: LinuxNamespaceType) -> &'static str {
    match kind {
        LinuxNamespaceType::Mount => "mnt",
        LinuxNamespaceType::Cgroup => "cgroup",
        LinuxNamespaceType::Uts => "uts",
        LinuxNamespaceType::Ipc => "ipc",
        LinuxNamespaceType::User => "user",
        LinuxNamespaceType::Pid => "pid",
        LinuxNamespaceType::Network => "net",
        LinuxNamespaceType::Time => "time",
    }
}

pub fn name(kind: LinuxNamespaceType) -> &'static str {
    match kind {
        LinuxNamespaceType::Mount => "mount",
        LinuxNamespaceType::Cgroup => "cgroup",
        LinuxNamespaceType::Uts => "uts",
        LinuxNamespaceType::Ipc => "ipc",
        LinuxNamespaceType::User => "user",
        LinuxNamespaceType::Pid => "pid",
        LinuxNamespaceType::Network => "network",
        LinuxNamespaceType::Time => "time",
    }
}

fn list(spec: &oci::Spec) -> &[oci::LinuxNamespace] {
    spec.linux().as_ref().and_then(|linux| linux.namespaces().as_deref()).unwrap_or_default()
}

/// Returns the path of the namespace, if it has one. Some programs write an empty path for none.
fn path_of(namespace: &oci::LinuxNamespace) -> Option<&Path> {
    namespace.path().as_deref().filter(|path| !path.as_os_str().is_empty())
}

pub(super) fn check(spec: &oci::Spec) -> Result<()> {
    let listed = list(spec);
    for (index, namespace) in listed.iter().enumerate() {
        let kind = name(namespace.typ());
        if let Some(first) = listed[..index].iter().position(|other| other.typ() == namespace.typ()) {
            return Err(Error::config(
                &format!("linux.namespaces[{index}].type"),
                format!("{kind:?} is in linux.namespaces[{first}] already; expected each type at most once"),
            ));
        }
        let Some(path) = path_of(namespace) else { continue };
        let json_path = format!("linux.namespaces[{index}].path");
        super::paths::absolute(path, &json_path)?;
    }
    let namespaces = Namespaces::of(spec);
    if namespaces.has(LinuxNamespaceType::User) && !namespaces.is_new(LinuxNamespaceType::Mount) {
        check_foreign_mounts(spec)?;
    }
    let needs_uts = [("hostname", spec.hostname()), ("domainname", spec.domainname())];
    for (path, value) in needs_uts {
        let Some(value) = value.as_deref().filter(|value| !value.is_empty()) else { continue };
        if !namespaces.has(LinuxNamespaceType::Uts) {
            return Err(Error::config(
                path,
                format!("{value:?} would rename the host; expected an entry of type \"uts\" in linux.namespaces"),
            ));
        }
        uts_name(value, path)?;
    }
    check_time_offsets(spec, &namespaces)
}

/// Whether the root filesystem and the mounts of a container are mounted in a mount namespace that other processes use:
/// in the host's or in a joined one. The container's root is then set by chroot(2), and delete unmounts everything.
pub fn mounts_in_shared_namespace(spec: &oci::Spec) -> bool {
    let namespaces = Namespaces::of(spec);
    !namespaces.is_new(LinuxNamespaceType::Mount) && !namespaces.has(LinuxNamespaceType::User)
}

/// Checks a container in a user namespace that has no new mount namespace: processes in a user namespace may not mount
/// in a mount namespace that another user namespace owns. So the container uses the mounts that are there, and gets its
/// root by chroot(2).
fn check_foreign_mounts(spec: &oci::Spec) -> Result<()> {
    let linux = spec.linux().as_ref();
    let listed = |paths: Option<&Option<Vec<String>>>| {
        paths.and_then(|paths| paths.as_ref()).is_some_and(|list| !list.is_empty())
    };
    let wrong = [
        ("mounts", spec.mounts().as_ref().is_some_and(|mounts| !mounts.is_empty())),
        ("linux.maskedPaths", listed(linux.map(|linux| linux.masked_paths()))),
        ("linux.readonlyPaths", listed(linux.map(|linux| linux.readonly_paths()))),
        ("linux.devices", linux.and_then(|linux| linux.devices().as_ref()).is_some_and(|list| !list.is_empty())),
        ("linux.rootfsPropagation", linux.and_then(|linux| linux.rootfs_propagation().as_ref()).is_some()),
        ("root.readonly", spec.root().as_ref().and_then(|root| root.readonly()).unwrap_or(false)),
    ];
    match wrong.iter().find(|(_, given)| *given) {
        Some((path, _)) => Err(Error::config(
            path,
            "needs a new mount namespace, because the processes in a user namespace may not mount in one that they do \
             not own; expected an entry of type \"mount\" without path in linux.namespaces",
        )),
        None => Ok(()),
    }
}

fn uts_name(value: &str, path: &str) -> Result<()> {
    // The kernel's __NEW_UTS_LEN.
    if value.len() > 64 || value.chars().any(char::is_control) {
        return Err(Error::config(
            path,
            format!("{value:?} is not a usable name; expected at most 64 bytes without control characters"),
        ));
    }
    Ok(())
}

/// The kernel's largest clock offset: half of what its clock can hold (KTIME_SEC_MAX / 2).
const MAX_SECONDS: u64 = 4_611_686_018;

fn check_time_offsets(spec: &oci::Spec, namespaces: &Namespaces) -> Result<()> {
    let offsets = spec.linux().as_ref().and_then(|linux| linux.time_offsets().as_ref());
    let Some(offsets) = offsets.filter(|offsets| !offsets.is_empty()) else { return Ok(()) };
    if !namespaces.is_new(LinuxNamespaceType::Time) {
        return Err(Error::config(
            "linux.timeOffsets",
            "can be set only on a time namespace that is new; expected an entry of type \"time\" without a path \
             in linux.namespaces",
        ));
    }
    // Sorted, so that of several errors the same one is always reported.
    for (clock, offset) in offsets.iter().collect::<BTreeMap<_, _>>() {
        let path = super::shape::join("linux.timeOffsets", clock);
        if !matches!(clock.as_str(), "monotonic" | "boottime") {
            return Err(Error::config(&path, format!("{clock:?} has no offset; expected monotonic or boottime")));
        }
        if let Some(secs) = offset.secs().filter(|secs| secs.unsigned_abs() > MAX_SECONDS) {
            return Err(Error::config(
                &format!("{path}.secs"),
                format!("{secs} is out of range; expected from -{MAX_SECONDS} to {MAX_SECONDS}"),
            ));
        }
    }
    Ok(())
}
