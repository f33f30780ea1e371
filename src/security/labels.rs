//! AppArmor and SELinux labels of processes and new filesystems.
//!
//! A label is refused if its module is not active: a container that runs without its configured confinement is worse
//! than one that does not run.

use crate::error::{Error, Result};
use crate::spec::oci::{Process, Spec};
use crate::sys::procfs;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Module {
    AppArmor,
    Selinux,
}

impl Module {
    pub fn name(self) -> &'static str {
        match self {
            Module::AppArmor => "AppArmor",
            Module::Selinux => "SELinux",
        }
    }

    /// An unreadable file counts as no: without the module the file does not exist, and the error names the module.
    fn is_enabled(self) -> bool {
        match self {
            Module::AppArmor => {
                std::fs::read("/sys/module/apparmor/parameters/enabled").is_ok_and(|text| text == b"Y\n")
            }
            // The kernel registers the filesystem only if the module is active.
            Module::Selinux => procfs::read_optional("filesystems")
                .ok()
                .flatten()
                .is_some_and(|list| procfs::has_filesystem(&list, "selinuxfs")),
        }
    }

    pub fn required(self, path: &str) -> Result<()> {
        if self.is_enabled() {
            return Ok(());
        }
        Err(Error::unsupported_field(path, format!("{} is not enabled on this host; leave it out", self.name())))
    }
}

/// Returns the labels configured for a process.
pub fn of(process: &Process) -> Vec<(Module, &str)> {
    let asked = |label: &'_ Option<String>| label.as_deref().is_some_and(|label| !label.is_empty());
    let mut labels = Vec::new();
    if asked(process.apparmor_profile()) {
        labels.extend(process.apparmor_profile().as_deref().map(|label| (Module::AppArmor, label)));
    }
    if asked(process.selinux_label()) {
        labels.extend(process.selinux_label().as_deref().map(|label| (Module::Selinux, label)));
    }
    labels
}

/// Returns the present label of a process, or `None` if the process no longer exists.
pub fn current(pid: i32, module: Module) -> Result<Option<String>> {
    let common = || procfs::read_optional(&format!("{pid}/attr/current"));
    let text = match module {
        Module::AppArmor => match procfs::read_optional(&format!("{pid}/attr/apparmor/current"))? {
            Some(text) => Some(text),
            None => common()?,
        },
        Module::Selinux => common()?,
    };
    Ok(text.map(|text| plain(&text).to_owned()))
}

/// Returns a label without trailing newline or NUL, and without the mode that AppArmor appends: "name (enforce)".
fn plain(text: &str) -> &str {
    let text = text.trim_end_matches(['\n', '\0']);
    text.strip_suffix(')').and_then(|text| text.rsplit_once(" (")).map_or(text, |(name, _)| name)
}

/// Checks that the host supports the labels. `prefix` is "process." for a configuration, and empty for a separate
/// process document.
pub fn check_host(process: &Process, prefix: &str) -> Result<()> {
    of(process).into_iter().try_for_each(|(module, _)| match module {
        Module::AppArmor => module.required(&format!("{prefix}apparmorProfile")),
        Module::Selinux => module.required(&format!("{prefix}selinuxLabel")),
    })
}

pub fn check_host_mounts(spec: &Spec) -> Result<()> {
    match mount_label(spec) {
        Some(_) => Module::Selinux.required("linux.mountLabel"),
        None => Ok(()),
    }
}

/// Returns `linux.mountLabel`.
pub fn mount_label(spec: &Spec) -> Option<&str> {
    let label = spec.linux().as_ref().and_then(|linux| linux.mount_label().as_deref());
    label.filter(|label| !label.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_read_without_its_mode() {
        for (text, label) in [
            ("web (enforce)\n", "web"),
            ("a b (c) (complain)\n", "a b (c)"),
            ("unconfined\n", "unconfined"),
            ("u:r:t:s0:c1\0", "u:r:t:s0:c1"),
        ] {
            assert_eq!(plain(text), label);
        }
    }
}
