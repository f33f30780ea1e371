//! Plans the root filesystem: mounts, devices, masks, and the move into it.

use std::path::{Path, PathBuf};

use berth_init::fields::Device;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, open, openat2};
use nix::sys::stat::Mode;
use serde::{Deserialize, Serialize};

use super::host_mounts::{cut_for_hiding, mount_point_of, revealing_mounts};
use super::mount_order::MountOrder;
use super::{
    Attributes, BeneathRootfs, BindSource, BoundDevice, CallerNode, CopyUp, Descriptor, Entry, IdMaps, Plan, Slot,
    Step, TreeIdMap, TreeOpener, host_devices,
};
use crate::error::{Error, Result};
use crate::spec::Config;
use crate::spec::mount_attributes::MOUNT_ATTR_RDONLY;
use crate::spec::mount_options::{self, Extent, FilesystemOption, MountOptions};
use crate::spec::mounts::{self, MountEntry};
use crate::spec::namespaces::{self, Namespaces};
use crate::spec::oci::{LinuxDevice, LinuxDeviceType, LinuxIdMapping, LinuxNamespaceType, Mount, Spec};
use crate::spec::paths;
use crate::sys::{nsfs, procfs};

/// The devices that the specification requires in every container (config-linux.md, "Default Devices").
const DEFAULT_DEVICES: [(&str, u32, u32); 6] = [
    ("/dev/null", 1, 3),
    ("/dev/zero", 1, 5),
    ("/dev/full", 1, 7),
    ("/dev/random", 1, 8),
    ("/dev/urandom", 1, 9),
    ("/dev/tty", 5, 0),
];

/// Those of the specification (config-linux.md, "Default Devices"), and that to the kernel's memory, which is masked by
/// default.
const DEFAULT_LINKS: [(&str, &str); 6] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("ptmx", "pts/ptmx"),
    ("core", "/proc/kcore"),
];

/// Options of the root filesystem that the runtime sets, not the configuration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootOptions {
    /// Whether a new user namespace's mappings are applied to the owners in the root filesystem, so that the image's
    /// root is the container's root.
    pub id_mapped: bool,
    /// Whether to use MS_MOVE and chroot instead of pivot_root.
    pub no_pivot: bool,
}

pub struct Root<'a> {
    pub options: RootOptions,
    pub config: &'a Config,
    /// The path of the root filesystem, without symlinks.
    pub rootfs: &'a Path,
    /// Whether devices are bind-mounted: device nodes cannot be created in a user namespace.
    pub bind_devices: bool,
    /// The directory in which the caller creates the nodes to bind-mount.
    pub device_dir: &'a Path,
    pub order: MountOrder,
}

/// A device node or a FIFO in the container's /dev.
struct Node<'a> {
    path: &'a Path,
    /// The permissions and the file type.
    mode: u32,
    device: Device,
    uid: u32,
    gid: u32,
    /// The index in `linux.devices`.
    index: Option<usize>,
}

impl Root<'_> {
    fn spec(&self) -> &Spec {
        self.config.spec()
    }

    /// Stops propagation between the namespace's mounts and the host's, and mounts the root filesystem.
    pub fn push_top(&self, plan: &mut Plan, trees: &mut TreeOpener) -> Result<()> {
        if self.mounts_in_shared_namespace() {
            let (base, slot) = (plan.slot(Descriptor::RootBase), plan.slot(Descriptor::RootTree));
            plan.push(Step::AttachSharedRoot { base, slot, path: self.rootfs.to_owned() });
            return Ok(());
        }
        if !self.has_own_mounts() {
            plan.push(Step::OpenRoot(self.rootfs.to_owned()));
            return Ok(());
        }
        match self.propagation() {
            // A shared root remains a peer of the host's mounts. Only the mount that it is attached on must not be a
            // peer, or the root would appear on the host.
            Some(flags) if flags & libc::MS_SHARED != 0 => {
                plan.push(Step::Propagation { path: mount_point_of(self.rootfs)?, flags: libc::MS_PRIVATE });
            }
            Some(flags) if flags & (libc::MS_PRIVATE | libc::MS_UNBINDABLE) != 0 => {
                plan.push(Step::Propagation { path: "/".into(), flags: libc::MS_PRIVATE | libc::MS_REC });
            }
            _ => plan.push(Step::Propagation { path: "/".into(), flags: libc::MS_SLAVE | libc::MS_REC }),
        }
        let maps = IdMaps::of(self.spec()).filter(|_| self.options.id_mapped);
        let id_map = maps.map(|maps| TreeIdMap { namespace: plan.user_namespace(maps), recursive: false });
        let wanted = BindSource { recursive: true, id_map, ..BindSource::single(self.rootfs) };
        let slot = trees.open(plan, wanted);
        plan.push(Step::AttachRoot { slot, path: self.rootfs.to_owned() });
        Ok(())
    }

    /// Returns the user namespace that maps the owners in a mount: one with the mount's own mappings, or the
    /// container's.
    fn mount_maps(&self, plan: &mut Plan, mount: &Mount) -> Option<Slot> {
        let list = |maps: &Option<Vec<LinuxIdMapping>>| maps.clone().unwrap_or_default();
        let own = IdMaps { uids: list(mount.uid_mappings()), gids: list(mount.gid_mappings()) };
        if !own.uids.is_empty() {
            return Some(plan.user_namespace(own));
        }
        if let Some(maps) = IdMaps::of(self.spec()) {
            return Some(plan.user_namespace(maps));
        }
        let joined = Namespaces::of(self.spec()).joined;
        let place = joined.iter().position(|joined| joined.kind == LinuxNamespaceType::User)?;
        Some(plan.slot(Descriptor::Joined(place)))
    }

    fn has_own_mounts(&self) -> bool {
        Namespaces::of(self.spec()).is_new(LinuxNamespaceType::Mount)
    }

    fn mounts_in_shared_namespace(&self) -> bool {
        namespaces::mounts_in_shared_namespace(self.spec())
    }

    fn propagation(&self) -> Option<u64> {
        let name = self.spec().linux().as_ref()?.rootfs_propagation().as_ref()?;
        mount_options::propagation(name)
    }

    pub fn push_mount(&self, plan: &mut Plan, trees: &mut TreeOpener, given: MountEntry) {
        let MountEntry { index, mount, options } = given;
        let mut options = options.clone();
        let target = mount.destination().clone();
        let entry = Some(index);
        let mut source = mount.source().clone();
        if mounts::is_new_sysfs(given) && self.lacks_sysfs() {
            // Bind-mount /sys instead, as crun does. "ro" of a new sysfs applies to all of it, so apply it recursively.
            source = Some("/sys".into());
            options.bind = Some(Extent::Recursive);
            options.rec_attr_set |= options.attr_set;
        }
        // What is no link, or cannot be read, is bind mounted; init reports what prevents that.
        if options.copy_symlink
            && options.bind.is_some()
            && let Some(link) = source.as_deref().and_then(|source| source.read_link().ok())
        {
            let parent = target.parent().unwrap_or(Path::new("/")).to_owned();
            let name = target.file_name().unwrap_or_default().to_string_lossy().into_owned();
            plan.push(Step::Symlink { parent, name, target: link.to_string_lossy().into_owned() });
            return;
        }
        let readonly = options.attr_set & MOUNT_ATTR_RDONLY;
        let later = self.made_readonly_later(given);
        if options.copy_up || later {
            options.attr_set &= !MOUNT_ATTR_RDONLY;
        }
        let id_map = options.idmap.and_then(|extent| {
            Some(TreeIdMap { namespace: self.mount_maps(plan, mount)?, recursive: extent == Extent::Recursive })
        });
        match (options.bind, options.remount) {
            (_, true) => push_remount(plan, &options, &target, entry),
            (Some(bind), _) => {
                let path = source.unwrap_or_default();
                let inside = self.inside(&path, index);
                let (recursive, nofollow) = (bind == Extent::Recursive, options.source_nofollow);
                let wanted = BindSource { inside, recursive, nofollow, id_map, entry, ..BindSource::single(&path) };
                let slot = trees.open(plan, wanted);
                if target == Path::new("/proc") {
                    plan.push(Step::CheckProcfs { tree: slot, path: path.clone(), entry });
                }
                let (attributes, nofollow) = (attributes(&options), options.target_nofollow);
                plan.push(Step::Attach { slot, source: path, target: target.clone(), nofollow, attributes, entry });
            }
            (None, _) => {
                let id_map = id_map.map(|map| map.namespace);
                plan.push(new_filesystem(mount, &options, target.clone(), id_map, entry));
                if let Some(flags) = options.versions_flags() {
                    plan.push(Step::CountVersions { target: target.clone(), flags, entry });
                }
            }
        }
        if options.copy_up && readonly != 0 && !later {
            let attributes = Attributes { set: readonly, ..Attributes::default() };
            plan.push(Step::Remount { target: target.clone(), attributes, entry });
        }
        for flags in options.propagation {
            plan.push(Step::MountPropagation { target: target.clone(), flags, entry });
        }
    }

    /// Returns the position of the source of bind mount `mounts[index]` beneath the root filesystem, if it is there.
    fn inside(&self, source: &Path, index: usize) -> Option<BeneathRootfs> {
        let path = paths::beneath(self.rootfs, source)?;
        let real = real_path_beneath(self.rootfs, &path);
        // A missing path may lead through a symlink to an earlier mount.
        let mounted = real.is_none_or(|real| {
            let resolve = |destination: &Path| real_path_beneath(self.rootfs, destination);
            self.order.is_on_earlier(&real, index, resolve)
        });
        Some(BeneathRootfs { rootfs: self.rootfs.to_owned(), path, mounted })
    }

    /// Whether a new sysfs cannot be mounted. sysfs shows the network namespace, and mounting it needs privileges in
    /// the user namespace that owns the network namespace.
    fn lacks_sysfs(&self) -> bool {
        use LinuxNamespaceType::{Network, User};
        let namespaces = Namespaces::of(self.spec());
        let path = |kind| namespaces.joined.iter().find(|joined| joined.kind == kind).map(|joined| &joined.path);
        match (path(User), path(Network)) {
            _ if !namespaces.has(User) || namespaces.is_new(Network) => false,
            (Some(user), Some(network)) => !nsfs::is_owned_by(network, user),
            _ => true,
        }
    }

    /// Whether a new filesystem becomes read-only after the hooks, as with runc and crun: devices, mount points of later
    /// entries, the working directory, and what hooks create must be made in it first.
    fn made_readonly_later(&self, MountEntry { index, mount, options }: MountEntry) -> bool {
        if options.bind.is_some() || options.attr_set & MOUNT_ATTR_RDONLY == 0 {
            return false;
        }
        let target = mount.destination();
        target == Path::new("/dev")
            || mount.typ().as_deref() == Some("tmpfs")
                && !options.remount
                && !self.order.is_covered_later(target, index)
    }

    /// Whether /dev is a new filesystem of the container, to be populated, and not a bind mount of an existing one.
    pub fn owns_dev(&self) -> bool {
        if !self.has_own_mounts() && !self.mounts_in_shared_namespace() {
            return false;
        }
        !self.config.mounts().rfind(|entry| on_dev(entry.mount)).is_some_and(|entry| entry.is_bind())
    }

    pub fn push_devices(&self, plan: &mut Plan, trees: &mut TreeOpener) -> Result<()> {
        if self.owns_dev() {
            let listed = self.listed_devices();
            for (path, major, minor) in DEFAULT_DEVICES {
                if !listed.iter().any(|device| device.path() == Path::new(path)) {
                    let mode = libc::S_IFCHR | 0o666;
                    let device = Device { major, minor };
                    let node = Node { path: Path::new(path), mode, device, uid: 0, gid: 0, index: None };
                    self.push_device(plan, trees, node)?;
                }
            }
            for (index, device) in listed.iter().enumerate() {
                let kind = match device.typ() {
                    LinuxDeviceType::B => libc::S_IFBLK,
                    LinuxDeviceType::P => libc::S_IFIFO,
                    _ => libc::S_IFCHR,
                };
                let node = Node {
                    path: device.path(),
                    mode: kind | (device.file_mode().unwrap_or(0o666) & 0o7777),
                    device: Device { major: device.major() as u32, minor: device.minor() as u32 },
                    uid: device.uid().unwrap_or(0),
                    gid: device.gid().unwrap_or(0),
                    index: Some(index),
                };
                self.push_device(plan, trees, node)?;
            }
            for (name, target) in DEFAULT_LINKS {
                plan.push(Step::Symlink { parent: "/dev".into(), name: name.into(), target: target.into() });
            }
        }
        Ok(())
    }

    /// Makes filesystems read-only after all that is in them is made.
    fn push_readonly(&self, plan: &mut Plan) {
        for entry in self.config.mounts().filter(|entry| self.made_readonly_later(*entry)) {
            let attributes = Attributes { set: MOUNT_ATTR_RDONLY, ..Attributes::default() };
            let target = entry.mount.destination().clone();
            plan.push(Step::Remount { target, attributes, entry: Some(entry.index) });
        }
    }

    fn listed_devices(&self) -> &[LinuxDevice] {
        self.spec().linux().as_ref().and_then(|linux| linux.devices().as_deref()).unwrap_or_default()
    }

    fn push_device(&self, plan: &mut Plan, trees: &mut TreeOpener, node: Node) -> Result<()> {
        let Node { path, mode, device, uid, gid, .. } = node;
        if self.bind_devices && mode & libc::S_IFMT != libc::S_IFIFO {
            let (source, own) = self.bound_device(plan, &node)?;
            let device = Some(BoundDevice { kind: mode & libc::S_IFMT, device, own });
            let slot = trees.open(plan, BindSource { device, ..BindSource::single(&source) });
            let (target, attributes) = (path.to_owned(), Attributes::default());
            plan.push(Step::Attach { slot, source, target, nofollow: false, attributes, entry: None });
            return Ok(());
        }
        let parent = path.parent().unwrap_or(Path::new("/")).to_owned();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let device = if mode & libc::S_IFMT == libc::S_IFIFO { Device::default() } else { device };
        plan.push(Step::MakeNode { parent, name, mode, device, uid, gid });
        Ok(())
    }

    /// Returns the path to bind-mount instead of creating a node, and whether the caller creates it for the container,
    /// with the configured mode and owner. A caller that may not do so uses the host's node with its present mode and
    /// owner.
    fn bound_device(&self, plan: &mut Plan, node: &Node) -> Result<(PathBuf, bool)> {
        let Node { path, mode, device, uid, gid, index } = *node;
        let Some(index) = index else { return Ok((path.to_owned(), false)) };
        let owner = host_devices::host_owner(self.spec(), uid, gid);
        if let Some((uid, gid)) = owner
            && host_devices::can_make()?
        {
            let path = self.device_dir.join(index.to_string());
            plan.caller_nodes.push(CallerNode { path: path.clone(), mode, device, uid, gid });
            return Ok((path, true));
        }
        let found = host_devices::find(path, mode & libc::S_IFMT, device);
        found.map(|found| (found, false)).ok_or_else(|| {
            let problem = format!(
                "{path:?} is device {device}, which the host has neither at this path nor in /dev; expected \
                 one that can be bind mounted, because a user namespace cannot create device nodes"
            );
            Error::config(&format!("linux.devices[{index}]"), problem)
        })
    }

    pub fn push_masks(&self, plan: &mut Plan) {
        let Some(linux) = self.spec().linux() else { return };
        for path in linux.masked_paths().iter().flatten() {
            plan.push(Step::Mask(path.into()));
        }
        for path in linux.readonly_paths().iter().flatten().filter(|path| *path != "/") {
            plan.push(Step::ReadonlyPath(path.into()));
        }
    }

    /// Whether the root filesystem's own mount becomes read-only; "/" among the read-only paths asks for it, too.
    fn is_readonly(&self) -> bool {
        let mut paths = self.spec().linux().iter().filter_map(|linux| linux.readonly_paths().as_ref()).flatten();
        self.spec().root().as_ref().and_then(|root| root.readonly()).unwrap_or(false) || paths.any(|path| path == "/")
    }

    /// Adds the steps that create the working directory, make mounts read-only, and move into the root filesystem.
    pub fn push_bottom(&self, plan: &mut Plan) -> Result<()> {
        if let Some(process) = self.spec().process() {
            plan.push(Step::MakeDirectory(process.cwd().clone()));
        }
        self.push_readonly(plan);
        if self.is_readonly() {
            plan.push(Step::RootReadonly);
        }
        if !self.has_own_mounts() {
            plan.push(Step::Chroot);
            return Ok(());
        }
        let shared = self.propagation().filter(|flags| flags & libc::MS_SHARED != 0);
        let cut_propagation = if shared.is_some() { libc::MS_SLAVE | libc::MS_REC } else { 0 };
        if self.options.no_pivot {
            let revealing = revealing_mounts(self.rootfs)?;
            if cut_propagation != 0 {
                // The host must keep the mounts that are unmounted here.
                for (path, flags) in cut_for_hiding(&revealing)? {
                    plan.push(Step::Propagation { path, flags });
                }
            }
            plan.push(Step::HideHost(revealing));
            plan.push(Step::MoveRoot);
        } else {
            plan.push(Step::Pivot { cut_propagation });
        }
        if let Some(flags) = self.propagation() {
            plan.push(Step::Propagation { path: "/".into(), flags });
        }
        Ok(())
    }
}

/// Adds the steps that change a mount later, and its filesystem if filesystem options are given.
fn on_dev(mount: &Mount) -> bool {
    mount.destination() == Path::new("/dev")
}

/// Resolves the symlinks of a path in the root filesystem. Returns `None` if that fails: if the path does not exist, or
/// for a reason that init meets again when it mounts there, and reports.
fn real_path_beneath(rootfs: &Path, path: &Path) -> Option<PathBuf> {
    let flags = OFlag::O_PATH | OFlag::O_CLOEXEC;
    let how = OpenHow::new().flags(flags).resolve(ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS);
    let root = open(rootfs, flags | OFlag::O_DIRECTORY, Mode::empty()).ok()?;
    let found = openat2(root, path, how).ok()?;
    let real = procfs::target_of(&found).ok()?;
    Some(Path::new("/").join(real.strip_prefix(rootfs).ok()?))
}

fn push_remount(plan: &mut Plan, options: &MountOptions, target: &Path, entry: Entry) {
    let given = filesystem_options(options);
    // The superblock of a bind mount is the source's.
    if !given.is_empty() && options.bind.is_none() {
        plan.push(Step::Reconfigure { target: target.to_owned(), options: given, entry });
    }
    plan.push(Step::Remount { target: target.to_owned(), attributes: attributes(options), entry });
}

fn filesystem_options(options: &MountOptions) -> Vec<FilesystemOption> {
    let flags = options.sb_flags.iter().map(FilesystemOption::flag);
    flags.chain(options.data.iter().cloned()).collect()
}

/// Returns what is copied from the image. With an explicit owner or mode of the new filesystem, the image's is not
/// copied.
fn copy_up(options: &MountOptions) -> CopyUp {
    let says = |name: &str| options.data.iter().any(|given| given.name == name);
    if !options.copy_up {
        CopyUp::No
    } else if ["mode", "uid", "gid"].into_iter().any(says) {
        CopyUp::Content
    } else {
        CopyUp::ContentAndOwner
    }
}

fn new_filesystem(mount: &Mount, options: &MountOptions, target: PathBuf, id_map: Option<Slot>, entry: Entry) -> Step {
    Step::Mount {
        kind: mount.typ().clone().unwrap_or_default(),
        source: mount.source().as_ref().map(|source| source.to_string_lossy().into_owned()),
        target,
        attributes: options.attr_set,
        options: filesystem_options(options),
        copy_up: copy_up(options),
        id_map,
        entry,
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

/// Adds the steps that open a tree of the host and attach it.
pub(super) fn push_bind(
    plan: &mut Plan,
    trees: &mut TreeOpener,
    source: &Path,
    target: PathBuf,
    attributes: Attributes,
    entry: Entry,
) {
    let slot = trees.open(plan, BindSource { entry, ..BindSource::single(source) });
    plan.push(Step::Attach { slot, source: source.to_owned(), target, nofollow: false, attributes, entry });
}
