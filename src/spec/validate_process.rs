//! Checks a process document, in a configuration or for exec.

use std::collections::HashSet;
use std::path::Path;

use serde_json::{Value, json};

use super::{labels, oci, paths, rlimits, scheduling};
use crate::error::{Error, Result};

/// The kernel's limit of supplementary groups (NGROUPS_MAX).
const MAX_GROUPS: usize = 65536;

/// Adds to a process's document the members that programs written in Go leave out if they are 0. The document has been
/// fitted to the table of fields.
pub(super) fn complete(process: &mut Value) {
    let zeros = |object: &mut Value, names: &[&str]| {
        for name in names {
            if object.get(name).is_none() {
                object[*name] = 0.into();
            }
        }
    };
    if process.get("user").is_none() {
        process["user"] = json!({});
    }
    zeros(&mut process["user"], &["uid", "gid"]);
    if let Some(size) = process.get_mut("consoleSize") {
        zeros(size, &["height", "width"]);
    }
    if let Some(priority) = process.get_mut("ioPriority") {
        zeros(priority, &["priority"]);
    }
}

/// Checks all fields, and keeps the last value of each variable of the environment. `prefix` is `process.` in a
/// configuration and empty for a document of its own.
pub(super) fn normalize(process: &mut oci::Process, prefix: &str) -> Result<()> {
    check(process, prefix)?;
    if let Some(env) = process.env() {
        process.set_env(Some(last_values(env)));
    }
    Ok(())
}

fn check(process: &oci::Process, prefix: &str) -> Result<()> {
    let args = process.args().as_deref().unwrap_or_default();
    match args.first() {
        None => return Err(Error::config(&format!("{prefix}args"), "is empty; expected at least the program")),
        Some(program) if program.is_empty() => {
            return Err(Error::config(&format!("{prefix}args[0]"), "is empty; expected the name or path of a program"));
        }
        Some(program) => paths::bounded(Path::new(program), format_args!("{prefix}args[0]"))?,
    }
    for (index, arg) in args.iter().enumerate() {
        fits_exec(arg, &format!("{prefix}args[{index}]"))?;
    }
    paths::absolute(process.cwd(), format_args!("{prefix}cwd"))?;
    check_console_size(process, &format!("{prefix}consoleSize"))?;
    check_environment(process.env().as_deref().unwrap_or_default(), &format!("{prefix}env"))?;
    let groups = process.user().additional_gids().as_ref().map_or(0, Vec::len);
    if groups > MAX_GROUPS {
        return Err(Error::config(
            &format!("{prefix}user.additionalGids"),
            format!("has {groups} groups; expected at most {MAX_GROUPS}"),
        ));
    }
    labels::check_process(process, prefix)?;
    scheduling::check(process, prefix)?;
    rlimits::check(process, prefix)
}

/// Checks the size of the terminal, which the kernel stores in two 16-bit numbers. Without a terminal the size is not
/// used.
fn check_console_size(process: &oci::Process, path: &str) -> Result<()> {
    let Some(size) = process.console_size().filter(|_| process.terminal().unwrap_or(false)) else { return Ok(()) };
    for (name, value) in [("height", size.height()), ("width", size.width())] {
        if value > u64::from(u16::MAX) {
            return Err(Error::config(
                &format!("{path}.{name}"),
                format!("{value} is more than a terminal can have; expected a whole number from 0 to {}", u16::MAX),
            ));
        }
    }
    Ok(())
}

/// The kernel's MAX_ARG_STRLEN, including the NUL.
const MAX_BYTES: usize = 32 * 4096;

fn fits_exec(text: &str, path: &str) -> Result<()> {
    if text.len() >= MAX_BYTES {
        return Err(Error::config(path, format!("is {} bytes long; expected less than {MAX_BYTES}", text.len())));
    }
    Ok(())
}

/// Returns the entries with the last value of each variable, as programs get them from runc, crun and any shell:
/// execve(2) would pass on duplicates, and the C library would decide which one a program reads.
pub(super) fn last_values(entries: &[String]) -> Vec<String> {
    let mut seen = HashSet::new();
    let mut kept = Vec::with_capacity(entries.len());
    for entry in entries.iter().rev() {
        if seen.insert(entry.split_once('=').map_or(entry.as_str(), |(name, _)| name)) {
            kept.push(entry.clone());
        }
    }
    kept.reverse();
    kept
}

pub(super) fn check_environment(entries: &[String], path: &str) -> Result<()> {
    for (index, entry) in entries.iter().enumerate() {
        fits_exec(entry, &format!("{path}[{index}]"))?;
        if entry.find('=').is_none_or(|at| at == 0) {
            return Err(Error::config(
                &format!("{path}[{index}]"),
                format!("{entry:?} is not an environment variable; expected NAME=value"),
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_value_of_a_repeated_variable_is_used() {
        let given = ["A=1", "PATH=/x", "B=", "A=2", "AB=A=1", "PATH=/bin"].map(str::to_owned);
        assert_eq!(last_values(&given), ["B=", "A=2", "AB=A=1", "PATH=/bin"]);
    }
}
