//! Checks the rules of a whole configuration that depend on the document alone.

use std::path::{Path, PathBuf};

use super::mount_options::MountOptions;
use super::namespaces::{self, Namespaces};
use super::{
    devices, hooks, idmap, intel_rdt, labels, memory_policy, mounts, net_devices, oci, paths, resources, seccomp,
    sysctl, validate_process,
};
use crate::error::{Error, Result};

/// The results of checking a document.
pub(super) struct Normalized {
    pub rootfs: PathBuf,
    /// The parsed options of each entry of `mounts`.
    pub mount_options: Vec<MountOptions>,
}

/// Checks all fields and normalizes the paths of mounts. Adds a warning to `notices` for each unusual value that is
/// accepted.
pub(super) fn normalize(
    spec: &mut oci::Spec,
    bundle: Option<&Path>,
    rootfs: Option<PathBuf>,
    notices: &mut Vec<String>,
) -> Result<Normalized> {
    let rootfs = root(spec, bundle, rootfs)?;
    namespaces::check(spec)?;
    let namespaces = Namespaces::of(spec);
    if let Some(process) = spec.process_mut() {
        validate_process::normalize(process, "process.")?;
    }
    let mut entries = spec.mounts().clone();
    let mounts = entries.iter_mut().flatten().enumerate();
    let mount_options = mounts
        .map(|(index, mount)| mounts::normalize(mount, index, bundle, &namespaces, spec.linux().as_ref()))
        .collect::<Result<_>>()?;
    spec.set_mounts(entries);
    hooks::normalize(spec)?;
    if let Some(annotations) = spec.annotations()
        && annotations.contains_key("")
    {
        return Err(Error::config("annotations[\"\"]", "has an empty name; expected a name like \"com.example.key\""));
    }
    if let Some(linux) = spec.linux_mut() {
        labels::check_mounts(linux)?;
        if let Some(profile) = linux.seccomp() {
            seccomp::check(profile)?;
        }
        devices::normalize(linux, notices)?;
        memory_policy::check(linux)?;
        let flags = linux.personality().iter().find_map(|personality| personality.flags().as_ref());
        if flags.is_some_and(|flags| !flags.is_empty()) {
            notices.push("linux.personality.flags are ignored: the specification supports none".to_owned());
        }
        intel_rdt::check(linux)?;
        if let Some(path) = linux.cgroups_path() {
            resources::check_cgroups_path(path)?;
        }
        if let Some(resources) = linux.resources() {
            resources::check(resources)?;
        }
    }
    idmap::check(spec, &namespaces)?;
    net_devices::check(spec, &namespaces)?;
    sysctl::check(spec, &namespaces, notices)?;
    Ok(Normalized { rootfs, mount_options })
}

fn root(spec: &oci::Spec, bundle: Option<&Path>, given: Option<PathBuf>) -> Result<PathBuf> {
    const AT: &str = "root.path";
    let path = match (given, spec.root()) {
        (Some(given), _) => given,
        (None, None) => return Err(Error::config("root", "is required and missing; expected an object with the path")),
        (None, Some(root)) if root.path().as_os_str().is_empty() => {
            return Err(Error::config(AT, "is empty; expected the path of the root filesystem"));
        }
        (None, Some(root)) => match (root.path().is_absolute(), bundle) {
            (true, _) => root.path().clone(),
            (false, Some(bundle)) => bundle.join(root.path()),
            (false, None) => {
                return Err(Error::config(
                    AT,
                    format!("{:?} is relative and there is no bundle; expected an absolute path", root.path()),
                ));
            }
        },
    };
    paths::bounded(&path, AT)?;
    Ok(path)
}
