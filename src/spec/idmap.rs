//! Completes, checks and applies the id mappings of a user namespace.

use nix::unistd::{getegid, geteuid};
use serde_json::{Value, json};

use super::namespaces::Namespaces;
use super::oci::{self, LinuxIdMapping, LinuxNamespaceType};
use crate::error::{Error, Result};

/// The kernel's limit of extents in one map.
const MAX_MAPPINGS: usize = 340;
/// The kernel takes a map in one write of less than a page (user_namespaces(7)).
const MAX_BYTES: usize = 4096;

/// Maps root to the caller, as crun does, where a new user namespace has no mappings at all. Returns whether it did. The
/// document has been fitted to the table of fields.
pub(super) fn complete(config: &mut Value) -> bool {
    let Some(linux) = config.get_mut("linux") else { return false };
    let is_new = |namespace: &Value| {
        let path = namespace.get("path").and_then(Value::as_str).unwrap_or_default();
        namespace.get("type").and_then(Value::as_str) == Some("user") && path.is_empty()
    };
    let is_empty = |name| linux.get(name).and_then(Value::as_array).is_none_or(Vec::is_empty);
    let namespaces = linux.get("namespaces").and_then(Value::as_array);
    let unmapped =
        namespaces.is_some_and(|list| list.iter().any(is_new)) && is_empty("uidMappings") && is_empty("gidMappings");
    if unmapped {
        linux["uidMappings"] = json!([{ "containerID": 0, "hostID": geteuid().as_raw(), "size": 1 }]);
        linux["gidMappings"] = json!([{ "containerID": 0, "hostID": getegid().as_raw(), "size": 1 }]);
    }
    unmapped
}

pub(super) fn check(spec: &oci::Spec, namespaces: &Namespaces) -> Result<()> {
    let linux = spec.linux().as_ref();
    let uids = linux.and_then(|linux| linux.uid_mappings().as_deref()).unwrap_or_default();
    let gids = linux.and_then(|linux| linux.gid_mappings().as_deref()).unwrap_or_default();
    for (path, mappings, other) in [("linux.uidMappings", uids, gids), ("linux.gidMappings", gids, uids)] {
        if mappings.is_empty() && !other.is_empty() && namespaces.is_joined(LinuxNamespaceType::User) {
            let other = if path == "linux.uidMappings" { "linux.gidMappings" } else { "linux.uidMappings" };
            return Err(Error::config(path, format!("is missing beside {other}; expected both or neither")));
        }
        check_need(path, mappings, namespaces)?;
        check_ranges(path, mappings)?;
    }
    if namespaces.is_new(LinuxNamespaceType::User) {
        check_user(spec, uids, gids)?;
    }
    Ok(())
}

fn check_need(path: &str, mappings: &[LinuxIdMapping], namespaces: &Namespaces) -> Result<()> {
    let problem = match (namespaces.is_new(LinuxNamespaceType::User), mappings.is_empty()) {
        (true, true) => "is missing; expected at least one mapping, because linux.namespaces asks for a user namespace",
        // `container::id_maps` later compares them with the maps of the joined namespace.
        (false, false) if namespaces.is_joined(LinuxNamespaceType::User) => return Ok(()),
        (false, false) => {
            "has no user namespace to apply to; expected an entry of type \"user\" in linux.namespaces, or no mappings"
        }
        _ => return Ok(()),
    };
    Err(Error::config(path, problem))
}

pub(super) fn check_ranges(path: &str, mappings: &[LinuxIdMapping]) -> Result<()> {
    if mappings.len() > MAX_MAPPINGS {
        return Err(Error::config(path, format!("has {} mappings; expected at most {MAX_MAPPINGS}", mappings.len())));
    }
    let line = |map: &LinuxIdMapping| format!("{} {} {}\n", map.container_id(), map.host_id(), map.size()).len();
    let bytes: usize = mappings.iter().map(line).sum();
    if bytes >= MAX_BYTES {
        let problem = format!("is {bytes} bytes long in the kernel's format; expected less than {MAX_BYTES}");
        return Err(Error::config(path, problem));
    }
    for (index, mapping) in mappings.iter().enumerate() {
        let path = format!("{path}[{index}]");
        let size = mapping.size();
        if size == 0 {
            return Err(Error::config(&format!("{path}.size"), "0 maps nothing; expected at least 1"));
        }
        let sides = [
            ("containerID", LinuxIdMapping::container_id as fn(&LinuxIdMapping) -> u32),
            ("hostID", LinuxIdMapping::host_id),
        ];
        for (name, side) in sides {
            let first = side(mapping);
            if first.checked_add(size).is_none() {
                return Err(Error::config(
                    &format!("{path}.size"),
                    format!("{size} ids from {name} {first} go beyond the last id, 4294967294"),
                ));
            }
            let overlap = mappings[..index].iter().position(|other| {
                let (a, b) = (u64::from(first), u64::from(side(other)));
                a < b + u64::from(other.size()) && b < a + u64::from(size)
            });
            if let Some(other) = overlap {
                return Err(Error::config(
                    &format!("{path}.{name}"),
                    format!("{first} with size {size} overlaps mapping [{other}]; expected ranges that do not overlap"),
                ));
            }
        }
    }
    Ok(())
}

/// Checks that the process's ids are mapped: init would fail with unmapped ones, where the cause is harder to see.
fn check_user(spec: &oci::Spec, uids: &[LinuxIdMapping], gids: &[LinuxIdMapping]) -> Result<()> {
    for (path, mappings) in [("linux.uidMappings", uids), ("linux.gidMappings", gids)] {
        if !maps(mappings, 0) {
            return Err(Error::config(
                path,
                "does not map container id 0; expected it mapped, because the container is set up as its root",
            ));
        }
    }
    let Some(process) = spec.process() else { return Ok(()) };
    let user = process.user();
    mapped(uids, user.uid(), "process.user.uid", "linux.uidMappings")?;
    mapped(gids, user.gid(), "process.user.gid", "linux.gidMappings")?;
    for (index, gid) in user.additional_gids().iter().flatten().enumerate() {
        mapped(gids, *gid, &format!("process.user.additionalGids[{index}]"), "linux.gidMappings")?;
    }
    Ok(())
}

fn mapped(mappings: &[LinuxIdMapping], id: u32, path: &str, table: &str) -> Result<()> {
    if maps(mappings, id) {
        return Ok(());
    }
    Err(Error::config(path, format!("{id} is not mapped; expected an id that {table} maps")))
}

/// Returns whether an id of the container is mapped to one of the host.
pub fn maps(mappings: &[LinuxIdMapping], id: u32) -> bool {
    to_host(mappings, id).is_some()
}

/// Returns the host's id for an id of the container.
pub fn to_host(mappings: &[LinuxIdMapping], id: u32) -> Option<u32> {
    mappings.iter().find_map(|mapping| {
        let offset = id.checked_sub(mapping.container_id()).filter(|offset| *offset < mapping.size())?;
        mapping.host_id().checked_add(offset)
    })
}
