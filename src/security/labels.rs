//! Labels of AppArmor and SELinux, for the process and for new filesystems.
//!
//! They are asked for only where the module is there to enforce them: a container that runs without the confinement its
//! configuration names is worse than one that does not run.

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

    fn is_enabled(self) -> bool {
        match self {
            Module::AppArmor => {
                std::fs::read("/sys/module/apparmor/parameters/enabled").is_ok_and(|text| text == b"Y\n")
            }
            // The filesystem is registered only where the module runs.
            Module::Selinux => procfs::read_optional("filesystems")
                .ok()
                .flatten()
                .is_some_and(|list| list.lines().any(|line| line.split_whitespace().last() == Some("selinuxfs"))),
        }
    }

    pub fn required(self, path: &str) -> Result<()> {
        if self.is_enabled() {
            return Ok(());
        }
        Err(Error::unsupported_field(path, format!("{} is not enabled on this host; leave it out", self.name())))
    }
}

/// The labels that a process asks for.
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

/// The label that a process has now. None when it is gone.
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

/// Without the end of the text, and without the mode that AppArmor adds: "name (enforce)".
fn plain(text: &str) -> &str {
    let text = text.trim_end_matches(['\n', '\0']);
    text.strip_suffix(')').and_then(|text| text.rsplit_once(" (")).map_or(text, |(name, _)| name)
}

/// `prefix` is "process." in a configuration, and empty in a process's own document.
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

/// `linux.mountLabel`.
pub fn mount_label(spec: &Spec) -> Option<&str> {
    let label = spec.linux().as_ref().and_then(|linux| linux.mount_label().as_deref());
    label.filter(|label| !label.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_told_without_its_mode() {
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
