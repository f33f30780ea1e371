//! Writes the id mappings of new user namespaces: directly, or through the set-uid helpers newuidmap(1) and
//! newgidmap(1) if the caller lacks the capability (user_namespaces(7)).

use std::fs::File;
use std::io::Write;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;
use nix::unistd::{getegid, geteuid};

use crate::deadline::Deadline;
use crate::error::{Code, Context, Error, Result, Stage};
use crate::hooks;
use crate::plan::{self, Descriptor, IdMaps};
use crate::spawn::{self, Launch};
use crate::spec::Config;
use crate::spec::namespaces::Namespaces;
use crate::spec::oci::{Hook, LinuxIdMapping, LinuxNamespaceType};
use crate::sys::procfs;

/// The directories in which the helpers are searched: not those of PATH, which is the caller's environment.
const HELPER_DIRS: [&str; 4] = ["/usr/bin", "/usr/local/bin", "/bin", "/run/wrappers/bin"];

/// A kind of ids: its file in /proc, its helper, and the caller's own id.
struct Kind {
    file: &'static str,
    helper: &'static str,
    own: u32,
}

/// Writes the mappings of a process's new user namespace. The process waits meanwhile.
pub fn write(pid: i32, maps: &IdMaps, timeout: Duration) -> Result<()> {
    let uids = Kind { file: "uid_map", helper: "newuidmap", own: geteuid().as_raw() };
    let gids = Kind { file: "gid_map", helper: "newgidmap", own: getegid().as_raw() };
    write_map(pid, &uids, &maps.uids, timeout)?;
    write_map(pid, &gids, &maps.gids, timeout)
}

fn write_map(pid: i32, kind: &Kind, list: &[LinuxIdMapping], timeout: Duration) -> Result<()> {
    let line = |map: &LinuxIdMapping| format!("{} {} {}\n", map.container_id(), map.host_id(), map.size());
    let text: String = list.iter().map(line).collect();
    match write_proc(pid, kind.file, &text) {
        Err(error) if error.errno == Some(Errno::EPERM) => {}
        other => return other,
    }
    let only_own = matches!(list, [map] if map.size() == 1 && map.host_id() == kind.own);
    if only_own && kind.file == "gid_map" {
        // A caller without CAP_SETGID may map its own gid once setgroups(2) is denied in the namespace, so that no
        // process there can drop groups (CVE-2014-8989).
        write_proc(pid, "setgroups", "deny")?;
        return write_proc(pid, kind.file, &text);
    }
    run_helper(pid, kind, list, timeout)
}

fn run_helper(pid: i32, kind: &Kind, list: &[LinuxIdMapping], timeout: Duration) -> Result<()> {
    let program = find(kind.helper, &HELPER_DIRS)?;
    let numbers = list.iter().flat_map(|map| [map.container_id(), map.host_id(), map.size()]);
    let args: Vec<String> =
        [kind.helper.to_owned(), pid.to_string()].into_iter().chain(numbers.map(|number| number.to_string())).collect();
    let mut call = Hook::default();
    call.set_path(program).set_args(Some(args));
    hooks::run_program(&call, timeout).map_err(|error| {
        // The helper's message says what is wrong: mostly the ranges in /etc/subuid or /etc/subgid.
        let mut error = error.context(format!("{} for process {pid}", kind.helper));
        error.code = if error.code == Code::Timeout { Code::Timeout } else { Code::System };
        error.with_errno(Errno::EPERM).with_stage(Stage::Host)
    })
}

fn find(helper: &str, places: &[&str]) -> Result<PathBuf> {
    // A place that cannot be looked at is as good as an empty one: the error below lists all.
    let found = places.iter().map(|place| Path::new(place).join(helper)).find(|path| path.exists());
    found.ok_or_else(|| {
        let message = format!(
            "this process may not map these ids, and the helper {helper} is in none of {}: install it (package uidmap)",
            places.join(", ")
        );
        Error::new(Code::System, message).with_errno(Errno::EPERM)
    })
}

/// Creates a user namespace with these mappings and without processes, which maps the owners of files.
pub fn user_namespace(maps: &IdMaps, timeout: Duration) -> Result<OwnedFd> {
    let plan = plan::waiting(libc::CLONE_NEWUSER as u64);
    let nothing = |_: &Descriptor| -1;
    // The process that creates the namespace is killed when this function returns; the descriptor keeps the namespace.
    let maker =
        spawn::start(&plan, Launch { low: &[], open: &nothing, cgroup: None, proc: procfs::root()?, network: None })?;
    write(maker.pid(), maps, timeout)?;
    procfs::open(&format!("{}/ns/user", maker.pid()), OFlag::O_RDONLY)
}

/// Checks that mappings of a joined user namespace are those that it has. Some engines specify them when they join a
/// namespace (containerd, pods of podman). Other mappings are a mistake, because they can no longer be set.
pub fn check_joined(config: &Config, joined: &[File], timeout: Duration) -> Result<()> {
    let linux = config.spec().linux().as_ref();
    let list = |maps: Option<&Option<Vec<LinuxIdMapping>>>| maps.cloned().flatten().unwrap_or_default();
    let given = [list(linux.map(|linux| linux.uid_mappings())), list(linux.map(|linux| linux.gid_mappings()))];
    let place = Namespaces::of(config.spec()).joined.iter().position(|joined| joined.kind == LinuxNamespaceType::User);
    let Some(namespace) = place.and_then(|place| joined.get(place)).filter(|_| !given[0].is_empty()) else {
        return Ok(());
    };
    let found = maps_of(namespace, timeout)?;
    for (name, given, found) in [("uidMappings", &given[0], &found[0]), ("gidMappings", &given[1], &found[1])] {
        let given = sorted(given.iter().map(|map| [map.container_id(), map.host_id(), map.size()]).collect());
        if given != *found {
            let text = |maps: &[[u32; 3]]| {
                maps.iter()
                    .map(|[inside, outside, size]| format!("{inside} {outside} {size}"))
                    .collect::<Vec<_>>()
                    .join(", ")
            };
            return Err(Error::config(
                &format!("linux.{name}"),
                format!(
                    "{} does not match the joined user namespace; expected {}, or no mappings",
                    text(&given),
                    text(found)
                ),
            ));
        }
    }
    log::info!(target: crate::spec::NOTICE, "linux.uidMappings and gidMappings repeat the joined user namespace's");
    Ok(())
}

/// Returns the uid and gid mappings of a user namespace, with outer ids as the caller's user namespace sees them.
fn maps_of(namespace: &File, timeout: Duration) -> Result<[Vec<[u32; 3]>; 2]> {
    let plan = plan::in_user_namespace();
    let open = |descriptor: &Descriptor| match descriptor {
        Descriptor::Joined(0) => namespace.as_raw_fd(),
        _ => -1,
    };
    let mut inside =
        spawn::start(&plan, Launch { low: &[], open: &open, cgroup: None, proc: procfs::root()?, network: None })?;
    inside.reached(Deadline::after(timeout))?;
    let read = |file: &str| -> Result<Vec<[u32; 3]>> {
        let text = procfs::read_optional(&format!("{}/{file}", inside.pid()))?.unwrap_or_default();
        Ok(sorted(procfs::id_mappings(&text).collect()))
    };
    Ok([read("uid_map")?, read("gid_map")?])
}

/// Sorts mappings by the inner ids and merges adjacent ones: the kernel gives their order no meaning, and the merged
/// mappings are equivalent.
fn sorted(mut maps: Vec<[u32; 3]>) -> Vec<[u32; 3]> {
    maps.sort_unstable();
    let mut merged: Vec<[u32; 3]> = Vec::new();
    for [inside, outside, size] in maps {
        match merged.last_mut() {
            Some(last) if last[0] + last[2] == inside && last[1] + last[2] == outside => last[2] += size,
            _ => merged.push([inside, outside, size]),
        }
    }
    merged
}

/// Writes a file in a process's directory in /proc.
pub fn write_proc(pid: i32, name: &str, text: &str) -> Result<()> {
    let path = format!("{pid}/{name}");
    let doing = || format!("writing {:?} to /proc/{path}", text.trim_end());
    let file = openat(procfs::root()?, path.as_str(), OFlag::O_WRONLY | OFlag::O_CLOEXEC, Mode::empty());
    // Use a single write: the kernel accepts a map only as a whole (user_namespaces(7)).
    let written = File::from(file.context(doing)?).write(text.as_bytes()).context(doing)?;
    if written == text.len() { Ok(()) } else { Err(Error::system(Errno::EIO, doing())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_are_equal_however_they_are_written() {
        let map = "     65536    1065536      65536\n0 1000000 65536\n200000 0 1\n0 1\n";
        assert_eq!(sorted(procfs::id_mappings(map).collect()), [[0, 1_000_000, 131_072], [200_000, 0, 1]]);
    }

    #[test]
    fn a_missing_helper_is_named() {
        let error = find("newuidmap", &["/nowhere", "/neither"]).unwrap_err();
        assert!(error.message.contains("newuidmap is in none of /nowhere, /neither"), "{error}");
        assert_eq!(error.errno, Some(Errno::EPERM));
    }
}
