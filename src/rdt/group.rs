//! A group of the resctrl filesystem: creating, joining, changing and removing it.

use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::stat::{Mode, mkdirat};
use serde::{Deserialize, Serialize};

use super::lock;
use super::mount::{FIELD, is_mounted};
use super::schemata::Schemata;
use crate::cgroup::journal::Journal;
use crate::deadline::Deadline;
use crate::error::{Code, Error, Result};
use crate::spec::intel_rdt::Write;
use crate::sys::kernfs;

pub const SCHEMATA: &str = "schemata";
const TASKS: &str = "tasks";
const MON_GROUPS: &str = "mon_groups";
const CLOS_ID: &str = "linux.intelRdt.closID";

/// Whether delete removes a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Removal {
    /// The group is the container's own and is removed with it.
    Always,
    /// A failed create removes the group that it has created, if no other process has joined it.
    IfUnused,
    Never,
}

/// A container's group, as the record names it before it exists.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// The mount point of resctrl.
    pub root: PathBuf,
    /// The group's directory (class of service).
    pub path: PathBuf,
    pub removal: Removal,
    /// The monitoring group, which is always the container's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub monitor: Option<PathBuf>,
}

impl Group {
    pub(super) fn new(root: PathBuf, name: Option<&str>, monitored: bool, id: &str) -> Group {
        let (path, removal) = match name {
            None => (root.join(id), Removal::Always),
            Some("/") => (root.clone(), Removal::Never),
            Some(name) => (root.join(name), Removal::IfUnused),
        };
        let monitor = monitored.then(|| path.join(MON_GROUPS).join(id));
        Group { root, path, removal, monitor }
    }

    /// Fails if a group that is to be the container's own exists.
    pub(super) fn refuse_others(&self) -> Result<()> {
        let own = (self.removal == Removal::Always).then_some(&self.path);
        for path in own.into_iter().chain(&self.monitor) {
            if kernfs::exists(path)? {
                return Err(existing(path));
            }
        }
        Ok(())
    }

    /// Creates what is missing. An existing group must have the wanted shares. After an error, delete removes the
    /// groups that this record still names.
    ///
    /// This happens under the lock that users of resctrl share ("resctrl locking" in the kernel's documentation), so
    /// that no process finds a group without its shares, and the kernel's last message belongs to this operation.
    pub(crate) fn make(&mut self, writes: &[Write], deadline: Deadline) -> Result<()> {
        // The container owns no group until it is created.
        let (removal, monitor) = (std::mem::replace(&mut self.removal, Removal::Never), self.monitor.take());
        let _lock = lock::take(&self.root, deadline)?;
        if removal != Removal::Never && make_dir(&self.root, &self.path)? {
            self.removal = removal;
            write(&self.root, &self.path, writes)?;
        } else if removal == Removal::Always {
            return Err(existing(&self.path));
        } else {
            matches(&self.root, &self.path, writes)?;
        }
        if let Some(path) = monitor {
            if !make_dir(&self.root, &path)? {
                return Err(existing(&path));
            }
            self.monitor = Some(path);
        }
        Ok(())
    }

    /// From here on a named group stays.
    pub(crate) fn mark_created(&mut self) {
        if self.removal == Removal::IfUnused {
            self.removal = Removal::Never;
        }
    }

    /// Fails if the paths are not those of a group: then somebody has changed the record.
    pub(crate) fn check(&self) -> Result<()> {
        let is_below = |path: &Path, above: &Path| path.file_name().is_some() && path.parent() == Some(above);
        let named = self.path == self.root || is_below(&self.path, &self.root);
        let monitored = self.monitor.as_ref().is_none_or(|path| is_below(path, &self.path.join(MON_GROUPS)));
        let stays = self.removal == Removal::Never && self.monitor.is_none();
        if named && monitored && (stays || is_mounted(&self.root)? || !kernfs::exists(&self.path)?) {
            return Ok(());
        }
        Err(Error::new(Code::System, format!("the record's resctrl group, {}, cannot be one", self.path.display())))
    }

    /// Moves a single-threaded process into the group; its children follow.
    pub(crate) fn join(&self, pid: i32) -> Result<()> {
        for path in std::iter::once(&self.path).chain(&self.monitor) {
            let written = kernfs::write(path, TASKS, &pid.to_string());
            written.map_err(|error| explained(&self.root, error, FIELD))?;
        }
        Ok(())
    }

    /// Changes the shares of a live container's group. `journal` has the previous values afterwards, also after an
    /// error.
    pub(crate) fn change(&self, writes: &[Write], journal: &Journal, deadline: Deadline) -> Result<()> {
        if writes.is_empty() {
            return Ok(());
        }
        let _lock = lock::take(&self.root, deadline)?;
        let before = kernfs::read(&self.path, SCHEMATA).map_err(|error| error.context(FIELD))?;
        journal.note(&self.path, SCHEMATA, before);
        write(&self.root, &self.path, writes)
    }

    /// Removes the container's own groups. Its processes must have ended.
    pub(crate) fn remove(&self, deadline: Deadline) -> Result<()> {
        if let Some(monitor) = &self.monitor {
            remove_dir(monitor)?;
        }
        match self.removal {
            Removal::Never => Ok(()),
            Removal::Always => remove_dir(&self.path),
            Removal::IfUnused => {
                if !kernfs::exists(&self.path)? {
                    return Ok(());
                }
                let _lock = lock::take(&self.root, deadline)?;
                let tasks = kernfs::read_optional(&self.path, TASKS)?.unwrap_or_default();
                let unused = tasks.is_empty() && kernfs::list(&self.path.join(MON_GROUPS))?.iter().all(is_dots);
                if unused { remove_dir(&self.path) } else { Ok(()) }
            }
        }
    }

    /// Describes the group for the start of a message.
    pub fn describe(&self) -> String {
        let (whose, created) = match self.removal {
            Removal::Always => ("container's own ", ""),
            Removal::IfUnused => ("", " (created if missing)"),
            Removal::Never => ("", ""),
        };
        let monitor = self.monitor.as_ref().map(|path| format!(" and the monitoring group {}", path.display()));
        let path = self.path.display();
        format!("joining the {whose}resctrl group {path}{created}{}", monitor.unwrap_or_default())
    }
}

/// Checks a named group, without the lock: it may change before it is joined.
pub(super) fn check_named(root: &Path, name: &str, writes: &[Write]) -> Result<()> {
    let path = root.join(name.trim_start_matches('/'));
    if kernfs::exists(&path)? {
        return matches(root, &path, writes);
    }
    if writes.is_empty() {
        let expected = "expected an existing group, or a schema to create it with";
        return Err(Error::config(CLOS_ID, format!("there is no resctrl group {}; {expected}", path.display())));
    }
    Ok(())
}

/// Checks that an existing group has the wanted shares.
fn matches(root: &Path, path: &Path, writes: &[Write]) -> Result<()> {
    let found = match kernfs::read_optional(path, SCHEMATA)? {
        Some(text) if kernfs::exists(&path.join(TASKS))? => text,
        _ => return Err(Error::config(CLOS_ID, format!("{} is not a resctrl group; expected one", path.display()))),
    };
    let lines = writes.iter().flat_map(|write| &write.lines).map(String::as_str);
    let step = kernfs::read_optional(&root.join("info/MB"), "bandwidth_gran")?;
    let step = step.and_then(|text| text.trim().parse().ok()).unwrap_or(0);
    match Schemata::parse(lines).difference(&Schemata::parse(found.lines()), step) {
        None => Ok(()),
        Some(difference) => {
            let problem = format!("the resctrl group {} exists, and {difference}", path.display());
            Err(Error::config(CLOS_ID, problem))
        }
    }
}

fn write(root: &Path, path: &Path, writes: &[Write]) -> Result<()> {
    for Write { field, lines } in writes {
        let text = lines.join("\n") + "\n";
        kernfs::write(path, SCHEMATA, &text).map_err(|error| {
            let file = path.join(SCHEMATA).display().to_string();
            explained(root, error, field).detail("file", file).detail("value", lines.join("\n"))
        })?;
    }
    Ok(())
}

/// Creates a group's directory. Returns `false` if it exists.
fn make_dir(root: &Path, path: &Path) -> Result<bool> {
    let (parent, name) = kernfs::parent(path)?;
    match mkdirat(&parent, name, Mode::from_bits_truncate(0o755)) {
        Ok(()) => Ok(true),
        Err(Errno::EEXIST) => Ok(false),
        Err(errno) => {
            let doing = match errno {
                Errno::ENOSPC => {
                    format!("creating the resctrl group {}: the processor supports no more groups", path.display())
                }
                _ => format!("creating the resctrl group {}", path.display()),
            };
            Err(explained(root, Error::system(errno, doing), FIELD))
        }
    }
}

fn remove_dir(path: &Path) -> Result<()> {
    kernfs::optional(kernfs::remove_dir(path)).map(drop)
}

fn existing(path: &Path) -> Error {
    let problem = format!("the resctrl group {} exists already, and is not this container's", path.display());
    Error::config(FIELD, problem).with_errno(Errno::EEXIST)
}

fn is_dots(name: &String) -> bool {
    name == "." || name == ".."
}

/// Adds the kernel's message about its latest refusal to the error.
fn explained(root: &Path, error: Error, field: &str) -> Error {
    // It only explains the error.
    let said = kernfs::read(&root.join("info"), "last_cmd_status").unwrap_or_default();
    let error = error.context(field).detail("json_path", field);
    match said.trim() {
        "" | "ok" => error,
        said => error.append(&format!(" ({said})")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_determines_the_namespace() {
        let group = |name, monitored| Group::new("/sys/fs/resctrl".into(), name, monitored, "web");
        let own = group(None, true);
        assert_eq!((own.path.to_str(), own.removal), (Some("/sys/fs/resctrl/web"), Removal::Always));
        assert_eq!(own.monitor.as_deref(), Some(Path::new("/sys/fs/resctrl/web/mon_groups/web")));
        let shared = group(Some("gold"), false);
        assert_eq!((shared.path.to_str(), shared.removal), (Some("/sys/fs/resctrl/gold"), Removal::IfUnused));
        assert_eq!(shared.monitor, None);
        let all = group(Some("/"), true);
        assert_eq!((all.path.to_str(), all.removal), (Some("/sys/fs/resctrl"), Removal::Never));
        assert_eq!(all.monitor.as_deref(), Some(Path::new("/sys/fs/resctrl/mon_groups/web")));
    }
}
