//! Device access on cgroup v1: the rules as a default and a list of exceptions.

use std::path::Path;

use nix::fcntl::OFlag;

use crate::cgroup::device_rules::{Exceptions, Rule};
use crate::error::{Context, Result};
use crate::sys::kernfs;

/// Changes the cgroup's list to `rules`.
pub fn apply(dir: &Path, rules: &[Rule]) -> Result<()> {
    let wanted = Exceptions::fold(rules)?;
    let present = Exceptions::parse(&kernfs::read(dir, "devices.list")?);
    // Change a list of allowed devices entry by entry, so that a running container never loses access, even briefly, to
    // a device that it keeps.
    let before = present.clone();
    change(dir, &wanted, present).map_err(|error| {
        // After an error restore the previous list, since a half-changed list matches neither the old nor the new
        // rules. If the kernel does not show the previous list (all devices except some), keep what is allowed so far,
        // which is less than either.
        let restored = before.map_or(Ok(()), |before| {
            write(dir, "devices.deny", &["a".to_owned()]).and_then(|()| write(dir, "devices.allow", &before.lines()))
        });
        match restored {
            Ok(()) => error,
            Err(second) => error.detail("cleanup", second.message),
        }
    })
}

fn change(dir: &Path, wanted: &Exceptions, present: Option<Exceptions>) -> Result<()> {
    let (revoke, grant) = match present {
        Some(present) if !wanted.allow_others => (present.lines_not_in(wanted), wanted.lines_not_in(&present)),
        _ => (vec!["a".to_owned()], wanted.lines()),
    };
    if wanted.allow_others {
        return write(dir, "devices.allow", &["a".to_owned()]).and_then(|()| write(dir, "devices.deny", &grant));
    }
    write(dir, "devices.deny", &revoke)?;
    write(dir, "devices.allow", &grant)
}

fn write(dir: &Path, file: &str, lines: &[String]) -> Result<()> {
    if lines.is_empty() {
        return Ok(());
    }
    let path = dir.join(file);
    let fd = kernfs::open(&path, OFlag::O_WRONLY)?;
    for line in lines {
        kernfs::write_all(&fd, line)
            .context(|| format!("linux.resources.devices: setting {} to \"{line}\"", path.display()))?;
    }
    Ok(())
}
