//! Writes limits so that an error explains itself and earlier writes can be undone.

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use nix::errno::Errno;

use crate::error::{Code, Error, Result};
use crate::sys::kernfs;

/// The written values and the previous ones.
#[derive(Debug, Default)]
pub struct Journal(Mutex<Vec<Written>>);

#[derive(Debug)]
struct Written {
    dir: PathBuf,
    file: String,
    before: String,
}

impl Journal {
    /// Returns a directory whose changes this journal records.
    pub fn place<'a>(&'a self, dir: &'a Path) -> LimitTarget<'a> {
        LimitTarget { dir, journal: self }
    }

    /// Records a file's value before it is written.
    pub fn note(&self, dir: &Path, file: &str, before: String) {
        self.entries().push(Written { dir: dir.to_owned(), file: file.to_owned(), before });
    }

    fn entries(&self) -> std::sync::MutexGuard<'_, Vec<Written>> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Writes the previous values back, the latest change first: the kernel passes through the same states in reverse,
    /// so it accepts each. Returns an error for each file that could not be restored.
    pub fn undo(&self) -> Vec<Error> {
        let restore = |entry: Written| match kernfs::write(&entry.dir, &entry.file, &entry.before) {
            Err(error) if !kernfs::is_gone(&error) => Some(error),
            _ => None,
        };
        std::mem::take(&mut *self.entries()).into_iter().rev().filter_map(restore).collect()
    }

    /// Undoes all changes and adds what could not be restored to the error that made it necessary.
    pub fn undo_after(&self, error: Error) -> Error {
        let failures: Vec<String> = self.undo().into_iter().map(|failure| failure.message).collect();
        if failures.is_empty() {
            return error.detail("restored", true);
        }
        let message = format!("{} (and not all previous limits were restored: {})", error.message, failures.join("; "));
        Error { message, ..error }.detail("restored", false)
    }
}

/// A cgroup's directory that limits are written to.
#[derive(Clone, Copy)]
pub struct LimitTarget<'a> {
    pub dir: &'a Path,
    journal: &'a Journal,
}

impl LimitTarget<'_> {
    /// Writes `value`; `field` is the JSON path that asked for it.
    pub fn set(&self, file: &str, value: impl ToString, field: &str) -> Result<()> {
        self.replace(file, value, field, |present| {
            match file {
                // The file shows more than it accepts.
                "memory.oom_control" => present.split_whitespace().nth(1).map(str::to_owned),
                // An empty write would not reach the kernel.
                _ if present.trim().is_empty() => Some("\n".to_owned()),
                _ => Some(present.trim_end().to_owned()),
            }
        })
    }

    /// Writes `value` for a key of a file with one line for each key. `absent` is the value that means that a key has
    /// no line.
    pub fn set_keyed(&self, file: &str, key: &str, value: impl ToString, absent: &str, field: &str) -> Result<()> {
        self.replace(file, format!("{key} {}", value.to_string()), field, |present| {
            let line = present.lines().find(|line| line.split_whitespace().next() == Some(key));
            Some(line.map_or_else(|| format!("{key} {absent}"), |line| line.trim_end().to_owned()))
        })
    }

    fn replace(
        &self,
        file: &str,
        value: impl ToString,
        field: &str,
        before: impl FnOnce(&str) -> Option<String>,
    ) -> Result<()> {
        let value = value.to_string();
        // A file that cannot be read has no value to restore. If it does not exist, writing it reports that.
        let before = kernfs::read(self.dir, file).ok().and_then(|present| before(&present));
        kernfs::write(self.dir, file, &value).map_err(|error| {
            let error = match error.errno {
                Some(Errno::ENOENT) if kernfs::exists(self.dir).unwrap_or(false) => missing(self.dir, file, field),
                _ => error.context(field),
            };
            let path = self.dir.join(file).display().to_string();
            error.detail("json_path", field).detail("file", path).detail("value", value.as_str())
        })?;
        if let Some(before) = before {
            self.journal.note(self.dir, file, before);
        }
        Ok(())
    }

    pub fn has(&self, file: &str) -> Result<bool> {
        kernfs::exists(&self.dir.join(file))
    }
}

/// Explains a missing file of an existing cgroup: an older kernel, or a controller that could not be enabled.
fn missing(dir: &Path, file: &str, field: &str) -> Error {
    let path = dir.join(file);
    let controller = file.split('.').next().unwrap_or(file);
    // It only explains the error.
    let enabled = kernfs::read_optional(dir, "cgroup.controllers").ok().flatten();
    let reason = match enabled {
        Some(list) if !list.split_whitespace().any(|name| name == controller) => {
            let parent = dir.parent().unwrap_or(dir).display();
            format!("the {controller} controller is not enabled in {parent}/cgroup.subtree_control")
        }
        _ => "this kernel does not have it".to_owned(),
    };
    Error::new(Code::Unsupported, format!("{field}: {}: no such file or directory: {reason}", path.display()))
        .with_errno(Errno::ENOENT)
}
