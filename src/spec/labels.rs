//! Checks the text of AppArmor and SELinux labels.

use super::oci;
use crate::error::{Error, Result};

/// A write to /proc/<pid>/attr takes at most a page, which includes the prefix "exec ".
const MAX_BYTES: usize = 4000;

pub(super) fn check_process(process: &oci::Process, prefix: &str) -> Result<()> {
    check(process.apparmor_profile(), &format!("{prefix}apparmorProfile"), "the name of a loaded profile")?;
    check(process.selinux_label(), &format!("{prefix}selinuxLabel"), "a label like user:role:type:level")
}

pub(super) fn check_mounts(linux: &oci::Linux) -> Result<()> {
    check(linux.mount_label(), "linux.mountLabel", "a label like user:role:type:level")
}

fn check(label: &Option<String>, path: &str, expected: &str) -> Result<()> {
    let Some(label) = label else { return Ok(()) };
    if label.len() > MAX_BYTES {
        let problem = format!("is {} bytes long; expected {expected}, at most {MAX_BYTES} bytes", label.len());
        return Err(Error::config(path, problem));
    }
    if label.chars().any(|c| c.is_control()) || label.trim() != label {
        let problem = format!("{label:?} has control characters, or leading or trailing blanks; expected {expected}");
        return Err(Error::config(path, problem));
    }
    Ok(())
}
