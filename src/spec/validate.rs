//! The rules of a whole config that need nothing but the document.

use std::path::{Path, PathBuf};

use super::mount_options::MountOptions;
use super::namespaces::{self, Namespaces};
use super::{
    devices, hooks, idmap, intel_rdt, labels, memory_policy, mounts, net_devices, oci, paths, resources, seccomp,
    sysctl, validate_process,
};
use crate::error::{Error, Result};

/// What is known of a document that has been checked.
pub(super) struct Normalized {
    pub rootfs: PathBuf,
    /// Of each entry of `mounts`.
    pub mount_options: Vec<MountOptions>,
}

/// Checks all fields and makes the paths of mounts plain.
pub(super) fn normalize(spec: &mut oci::Spec, bundle: Option<&Path>, rootfs: Option<PathBuf>) -> Result<Normalized> {
    check_version(spec.version())?;
    let rootfs = root(spec, bundle, rootfs)?;
    namespaces::check(spec)?;
    let namespaces = Namespaces::of(spec);
    if let Some(process) = spec.process() {
        validate_process::check(process, "process.")?;
    }
    let mounts = spec.mounts_mut().iter_mut().flatten().enumerate();
    let mount_options =
        mounts.map(|(index, mount)| mounts::normalize(mount, index, bundle, &namespaces)).collect::<Result<_>>()?;
    hooks::check(spec)?;
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
        devices::normalize(linux)?;
        memory_policy::check(linux)?;
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
    sysctl::check(spec, &namespaces)?;
    Ok(Normalized { rootfs, mount_options })
}

fn root(spec: &oci::Spec, bundle: Option<&Path>, given: Option<PathBuf>) -> Result<PathBuf> {
    const AT: &str = "root.path";
    let path = match (given, spec.root()) {
        (Some(given), _) => given,
        (None, None) => return Err(Error::config("root", "is required and missing; expected an object with the path")),
        (None, Some(root)) if root.path().as_os_str().is_empty() => {
            return Err(Error::config(AT, "is empty; expected the path of the root file system"));
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

/// SemVer 2.0.0, of the versions whose fields `schema` lists.
fn check_version(version: &str) -> Result<()> {
    const EXPECTED: &str = "expected a version from 1.0.0 to 1.3.x";
    let release = version.split(['-', '+']).next().unwrap_or_default();
    let numbers: Vec<Option<u64>> = release.split('.').map(number).collect();
    match numbers.as_slice() {
        [Some(1), Some(0..=3), Some(_)] => Ok(()),
        [Some(_), Some(_), Some(_)] => Err(Error::unsupported_field(
            "ociVersion",
            format!("{version:?} is not a version this libberth implements; {EXPECTED}"),
        )),
        _ => Err(Error::config("ociVersion", format!("{version:?} is not a version; {EXPECTED}"))),
    }
}

/// As SemVer writes numbers: digits, without a leading zero.
fn number(text: &str) -> Option<u64> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|_| plain)
}
