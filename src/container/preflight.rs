//! Checks that the host has what a configuration requires, before anything is created. The checks only open and read.

use std::collections::HashSet;
use std::os::fd::OwnedFd;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::{Mode, fstat};
use nix::sys::statfs::{FsType, fstatfs};

use crate::error::{Context, Error, Result, reason};
use crate::plan::{IdMaps, RootOptions};
use crate::security::{labels, seccomp};
use crate::spec::mounts::MountEntry;
use crate::spec::namespaces::{self, Namespaces};
use crate::spec::{Config, hooks, paths, shape, sysctl};
use crate::sys::{kernel, nsfs, procfs};
use crate::{network, rdt};

impl Config {
    /// Checks that everything that the configuration names exists on the host. Changes nothing.
    pub fn validate(&self) -> Result<()> {
        check(self, false)
    }

    /// Checks as [`Config::validate`] does, for a restore: the dumped container may have left its devices in a joined
    /// namespace.
    pub(crate) fn validate_restored(&self) -> Result<()> {
        check(self, true)
    }
}

fn check(config: &Config, restoring: bool) -> Result<()> {
    check_rootfs(config.rootfs())?;
    for joined in Namespaces::of(config.spec()).joined {
        let namespace = check_namespace(&joined)?;
        if let Some((_, name)) = sysctl::owners(config.spec()).into_iter().find(|(kind, _)| *kind == joined.kind) {
            refuse_own(&namespace, &joined, name)?;
        }
    }
    check_first_hook(config)?;
    // Compile the filter now: an error is reported before anything is created, and the result is cached for the plan.
    seccomp::filter(config.spec())?;
    seccomp::check_host(config.spec())?;
    if let Some(process) = config.spec().process() {
        labels::check_host(process, "process.")?;
    }
    labels::check_host_mounts(config.spec())?;
    network::check(config, restoring)?;
    rdt::check(config.spec())?;
    check_attributes(config)?;
    check_bind_sources(config)
}

/// Checks that the kernel can set the attributes of mounts that mount(2) cannot.
fn check_attributes(config: &Config) -> Result<()> {
    for MountEntry { index, options, .. } in config.mounts() {
        // A new filesystem has no mounts below it: its recursive attributes are its own.
        let has_tree = options.bind.is_some() || options.remount;
        if options.idmap.is_some() {
            kernel::need_mount_setattr(&format!("mounts[{index}]"), "id mappings of mounts")?;
        } else if has_tree && options.rec_attr_set | options.rec_attr_clear != 0 {
            kernel::need_mount_setattr(&format!("mounts[{index}].options"), "recursive attributes")?;
        }
    }
    Ok(())
}

/// Checks that the kernel can map the owners in the root filesystem, if the runtime is to.
pub(super) fn check_root(config: &Config, options: RootOptions) -> Result<()> {
    if options.id_mapped && IdMaps::of(config.spec()).is_some() {
        kernel::need_mount_setattr("root", "id-mapped root filesystems")?;
    }
    Ok(())
}

/// Checks the sources of bind mounts. Entries are mounted in order, so a source beneath the root filesystem, or in a
/// directory that an earlier entry may share with the container, may not exist yet: init looks it up when it mounts the
/// entry.
fn check_bind_sources(config: &Config) -> Result<()> {
    let mut earlier: HashSet<&Path> = HashSet::new();
    for entry in config.mounts().filter(MountEntry::is_bind) {
        let Some(source) = entry.mount.source() else { continue };
        let nofollow = entry.options.copy_symlink || entry.options.source_nofollow;
        let found = if nofollow { source.symlink_metadata() } else { source.metadata() };
        let path = format!("mounts[{}].source", entry.index);
        if found.is_ok() && entry.mount.destination() == Path::new("/proc") {
            check_procfs(source, &path)?;
        }
        if let Err(error) = found
            && !source.ancestors().any(|above| earlier.contains(above))
            && paths::beneath(config.rootfs(), source).is_none()
        {
            return Err(fault(&path, source, &error, "a file or directory to bind"));
        }
        earlier.insert(source);
    }
    Ok(())
}

fn fault(json_path: &str, path: &Path, error: &std::io::Error, expected: &str) -> Error {
    let errno = Errno::from_raw(error.raw_os_error().unwrap_or(0));
    Error::config(json_path, format!("{path:?}: {}; expected {expected}", reason(errno))).with_errno(errno)
}

fn check_rootfs(rootfs: &Path) -> Result<()> {
    let found = rootfs.metadata().map_err(|error| fault("root.path", rootfs, &error, "an existing directory"))?;
    if !found.is_dir() {
        return Err(Error::config("root.path", format!("{rootfs:?} is not a directory; expected one"))
            .with_errno(Errno::ENOTDIR));
    }
    Ok(())
}

/// Checks the source of a bind mount on /proc. Only the root of a procfs is allowed, because otherwise the masks below
/// /proc would not apply. init checks again what it has opened.
fn check_procfs(source: &Path, json_path: &str) -> Result<()> {
    const PROC_ROOT_INO: u64 = 1;
    let failed = |errno: Errno| fault(json_path, source, &std::io::Error::from(errno), "a procfs");
    let handle = open(source, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty()).map_err(failed)?;
    let is_procfs = fstatfs(&handle).map_err(failed)?.filesystem_type() == FsType(libc::PROC_SUPER_MAGIC as _);
    if is_procfs && fstat(&handle).map_err(failed)?.st_ino == PROC_ROOT_INO {
        return Ok(());
    }
    let problem = format!("{source:?} is not the root of a procfs; expected one, because it is bound on /proc");
    Err(Error::config(json_path, problem))
}

/// Checks the program of the hook that runs first. Those of the others may not exist yet, because an earlier hook
/// installs them, or because they are needed only when the container ends: they are looked up when they run.
fn check_first_hook(config: &Config) -> Result<()> {
    let kinds = [hooks::Kind::Prestart, hooks::Kind::CreateRuntime];
    let first = kinds.into_iter().find_map(|kind| Some((kind, hooks::list(config.spec(), kind).first()?)));
    first.map_or(Ok(()), |(kind, hook)| check_hook(hook.path(), &format!("hooks.{}[0].path", kind.name())))
}

fn check_hook(path: &Path, json_path: &str) -> Result<()> {
    let found = path.metadata().map_err(|error| fault(json_path, path, &error, "an executable file"))?;
    let mode = std::os::unix::fs::PermissionsExt::mode(&found.permissions());
    if !found.is_file() || mode & 0o111 == 0 {
        return Err(Error::config(json_path, format!("{path:?} is not an executable file; expected one")));
    }
    Ok(())
}

/// Refuses to join the caller's own namespace if the configuration sets a kernel parameter there: the parameter would
/// change for the caller.
fn refuse_own(namespace: &OwnedFd, joined: &namespaces::Joined, parameter: &str) -> Result<()> {
    let kind = namespaces::name(joined.kind);
    let own = procfs::identity_of(&format!("self/ns/{}", namespaces::proc_name(joined.kind)))?;
    let found = fstat(namespace).context(|| format!("examining {}", joined.path.display()))?;
    if own != (found.st_dev, found.st_ino) {
        return Ok(());
    }
    let problem = format!("{parameter:?} would be set in the caller's own {kind} namespace; expected another one");
    Err(Error::config(&shape::join("linux.sysctl", parameter), problem))
}

fn check_namespace(joined: &namespaces::Joined) -> Result<OwnedFd> {
    let json_path = format!("linux.namespaces[{}].path", joined.index);
    let (path, name) = (joined.path.as_path(), namespaces::name(joined.kind));
    let expected = format!("a {name} namespace, like /proc/<pid>/ns/…");
    let failed = |errno: Errno| fault(&json_path, path, &std::io::Error::from(errno), &expected);

    // Open with O_PATH first: opening a device or a FIFO for reading could have effects or block.
    let handle = open(path, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty()).map_err(failed)?;
    let wrong = || Error::config(&json_path, format!("{path:?} is not a {name} namespace; expected {expected}"));
    if fstatfs(&handle).map_err(failed)?.filesystem_type() != FsType(libc::NSFS_MAGIC as _) {
        return Err(wrong());
    }
    let file = procfs::reopen(&handle, OFlag::O_RDONLY).map_err(|error| match error.errno {
        Some(errno) => failed(errno),
        None => error,
    })?;
    if nsfs::flag(&file).map_err(failed)? != namespaces::flag(joined.kind) {
        return Err(wrong());
    }
    Ok(file)
}
