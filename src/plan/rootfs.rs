//! The root filesystem: mounts, devices, masks, and the move into it.

use std::path::{Path, PathBuf};

use super::{Attributes, Plan, Slot, Step, Trees};
use crate::error::{Doing, Result};
use crate::spec::mount_options::{self, Bind, MountOptions};
use crate::spec::mounts;
use crate::spec::namespaces::Namespaces;
use crate::spec::oci::{LinuxDevice, LinuxDeviceType, LinuxNamespaceType, Mount, Spec};

/// What the specification promises to each container (config-linux.md, "Default Devices").
const DEFAULT_DEVICES: [(&str, u32, u32); 6] = [
    ("/dev/null", 1, 3),
    ("/dev/zero", 1, 5),
    ("/dev/full", 1, 7),
    ("/dev/random", 1, 8),
    ("/dev/urandom", 1, 9),
    ("/dev/tty", 5, 0),
];

const DEFAULT_LINKS: [(&str, &str); 5] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("ptmx", "pts/ptmx"),
];

pub struct Root<'a> {
    pub spec: &'a Spec,
    /// Without symlinks in it.
    pub rootfs: &'a Path,
    /// A user namespace may not make device nodes: the host's are bound.
    pub bind_devices: bool,
}

impl Root<'_> {
    /// Cuts the namespace's mounts off from the host's, and mounts the root filesystem.
    pub fn push_top(&self, plan: &mut Plan, trees: &mut Trees) -> Result<()> {
        if !self.has_own_mounts() {
            plan.push(Step::OpenRoot(self.rootfs.to_owned()));
            return Ok(());
        }
        match self.propagation() {
            // A shared root stays a peer of the host's mounts; only the mount it is attached on must not be, or it
            // would appear on the host.
            Some(flags) if flags & libc::MS_SHARED != 0 => {
                plan.push(Step::Propagation { path: mount_point_of(self.rootfs)?, flags: libc::MS_PRIVATE });
            }
            Some(flags) if flags & (libc::MS_PRIVATE | libc::MS_UNBINDABLE) != 0 => {
                plan.push(Step::Propagation { path: "/".into(), flags: libc::MS_PRIVATE | libc::MS_REC });
            }
            _ => plan.push(Step::Propagation { path: "/".into(), flags: libc::MS_SLAVE | libc::MS_REC }),
        }
        let slot = trees.open(plan, self.rootfs.to_owned(), true);
        plan.push(Step::AttachRoot { slot, path: self.rootfs.to_owned() });
        Ok(())
    }

    fn has_own_mounts(&self) -> bool {
        Namespaces::of(self.spec).is_new(LinuxNamespaceType::Mount)
    }

    fn propagation(&self) -> Option<u64> {
        let name = self.spec.linux().as_ref()?.rootfs_propagation().as_ref()?;
        mount_options::propagation(name)
    }

    fn mounts(&self) -> &[Mount] {
        self.spec.mounts().as_deref().unwrap_or_default()
    }

    pub fn push_mount(&self, plan: &mut Plan, trees: &mut Trees, mount: &Mount, index: usize) -> Result<()> {
        let mut options = mounts::options(mount, index)?;
        let target = mount.destination().clone();
        if self.made_readonly_later(&target, &options) {
            options.attr_set &= !mount_options::MOUNT_ATTR_RDONLY;
        }
        match (options.bind, options.remount) {
            (_, true) => plan.push(Step::Remount { target: target.clone(), attributes: attributes(&options) }),
            (Some(bind), _) => {
                let source = mount.source().clone().unwrap_or_default();
                let slot = trees.open(plan, source.clone(), bind == Bind::Recursive);
                plan.push(Step::Attach { slot, source, target: target.clone(), attributes: attributes(&options) });
            }
            (None, _) => plan.push(new_filesystem(mount, &options, target.clone())),
        }
        for flags in options.propagation {
            plan.push(Step::MountPropagation { target: target.clone(), flags });
        }
        Ok(())
    }

    /// A read-only /dev must be filled first.
    fn made_readonly_later(&self, target: &Path, options: &MountOptions) -> bool {
        target == Path::new("/dev")
            && options.bind.is_none()
            && options.attr_set & mount_options::MOUNT_ATTR_RDONLY != 0
    }

    /// Whether /dev is the container's own, to be filled, and not a bind mount of another one.
    pub fn owns_dev(&self) -> bool {
        if !self.has_own_mounts() {
            return false;
        }
        let on_dev = |mount: &&Mount| mount.destination() == Path::new("/dev");
        let last = self.mounts().iter().enumerate().rfind(|(_, mount)| on_dev(mount));
        !last.is_some_and(|(index, mount)| mounts::options(mount, index).is_ok_and(|options| options.bind.is_some()))
    }

    pub fn push_devices(&self, plan: &mut Plan, trees: &mut Trees) -> Result<()> {
        if self.owns_dev() {
            let listed = self.listed_devices();
            for (path, major, minor) in DEFAULT_DEVICES {
                if !listed.iter().any(|device| device.path() == Path::new(path)) {
                    self.push_device(plan, trees, Path::new(path), libc::S_IFCHR | 0o666, (major, minor), (0, 0));
                }
            }
            for device in listed {
                let kind = match device.typ() {
                    LinuxDeviceType::B => libc::S_IFBLK,
                    LinuxDeviceType::P => libc::S_IFIFO,
                    _ => libc::S_IFCHR,
                };
                let mode = kind | (device.file_mode().unwrap_or(0o666) & 0o7777);
                let number = (device.major() as u32, device.minor() as u32);
                let owner = (device.uid().unwrap_or(0), device.gid().unwrap_or(0));
                self.push_device(plan, trees, device.path(), mode, number, owner);
            }
            for (name, target) in DEFAULT_LINKS {
                plan.push(Step::Symlink { parent: "/dev".into(), name: name.into(), target: target.into() });
            }
        }
        for (index, mount) in self.mounts().iter().enumerate() {
            if self.made_readonly_later(mount.destination(), &mounts::options(mount, index)?) {
                let attributes = Attributes { set: mount_options::MOUNT_ATTR_RDONLY, ..Attributes::default() };
                plan.push(Step::Remount { target: mount.destination().clone(), attributes });
            }
        }
        Ok(())
    }

    fn listed_devices(&self) -> &[LinuxDevice] {
        self.spec.linux().as_ref().and_then(|linux| linux.devices().as_deref()).unwrap_or_default()
    }

    fn push_device(
        &self,
        plan: &mut Plan,
        trees: &mut Trees,
        path: &Path,
        mode: u32,
        device: (u32, u32),
        (uid, gid): (u32, u32),
    ) {
        if self.bind_devices && mode & libc::S_IFMT != libc::S_IFIFO {
            let slot = trees.open(plan, path.to_owned(), false);
            let (source, target) = (path.to_owned(), path.to_owned());
            plan.push(Step::Attach { slot, source, target, attributes: Attributes::default() });
            return;
        }
        let parent = path.parent().unwrap_or(Path::new("/")).to_owned();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let device = if mode & libc::S_IFMT == libc::S_IFIFO { (0, 0) } else { device };
        plan.push(Step::MakeNode { parent, name, mode, device, uid, gid });
    }

    pub fn push_masks(&self, plan: &mut Plan) {
        let Some(linux) = self.spec.linux() else { return };
        for path in linux.masked_paths().iter().flatten() {
            plan.push(Step::Mask(path.into()));
        }
        for path in linux.readonly_paths().iter().flatten() {
            plan.push(Step::ReadonlyPath(path.into()));
        }
    }

    /// The working directory, and the move into the root.
    pub fn push_bottom(&self, plan: &mut Plan) {
        if let Some(process) = self.spec.process() {
            plan.push(Step::MakeDirectory(process.cwd().clone()));
        }
        let readonly = self.spec.root().as_ref().and_then(|root| root.readonly()).unwrap_or(false);
        if !self.has_own_mounts() {
            plan.push(Step::Chroot);
            return;
        }
        if readonly {
            plan.push(Step::RootReadonly);
        }
        let shared = self.propagation().filter(|flags| flags & libc::MS_SHARED != 0);
        let cut_propagation = if shared.is_some() { libc::MS_SLAVE | libc::MS_REC } else { 0 };
        plan.push(Step::Pivot { cut_propagation });
        if let Some(flags) = self.propagation() {
            plan.push(Step::Propagation { path: "/".into(), flags });
        }
    }
}

fn new_filesystem(mount: &Mount, options: &MountOptions, target: PathBuf) -> Step {
    let flags = options.sb_flags.iter().map(|name| (name.clone(), None));
    Step::Mount {
        kind: mount.typ().clone().unwrap_or_default(),
        source: mount.source().as_ref().map(|source| source.to_string_lossy().into_owned()),
        target,
        attributes: options.attr_set,
        options: flags.chain(options.data.iter().cloned()).collect(),
    }
}

pub(super) fn attributes(options: &MountOptions) -> Attributes {
    Attributes {
        set: options.attr_set,
        clear: options.attr_clear,
        tree_set: options.rec_attr_set,
        tree_clear: options.rec_attr_clear,
    }
}

/// A tree of the host, attached.
pub(super) fn push_bind(
    plan: &mut Plan,
    trees: &mut Trees,
    source: &Path,
    target: PathBuf,
    attributes: Attributes,
) -> Slot {
    let slot = trees.open(plan, source.to_owned(), false);
    plan.push(Step::Attach { slot, source: source.to_owned(), target, attributes });
    slot
}

/// The mount of the caller's namespace in which a path lies.
fn mount_point_of(path: &Path) -> Result<PathBuf> {
    let table = std::fs::read_to_string("/proc/self/mountinfo").doing(|| "reading /proc/self/mountinfo")?;
    let points = table.lines().filter_map(|line| line.split(' ').nth(4)).map(|field| PathBuf::from(unescape(field)));
    let longest = points.filter(|point| path.starts_with(point)).max_by_key(|point| point.as_os_str().len());
    Ok(longest.unwrap_or_else(|| "/".into()))
}

/// proc(5): space, tab, newline and backslash are written in octal.
fn unescape(field: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .iter()
        .fold(field.to_owned(), |text, (escaped, plain)| text.replace(escaped, plain))
}
