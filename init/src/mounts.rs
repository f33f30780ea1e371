//! The mount steps: prepare mounts unattached, then attach them to a descriptor.

use super::copy;
use super::fields::{Attributes, CopyUp, Strings};
use super::options::{self, Options};
use super::plan::Path;
use super::report::Report;
use super::steps;
use super::sys::*;
use super::tree::{self, Top};

pub struct Mounter<'a> {
    pub report: &'a mut Report,
    pub proc: i32,
    /// The directory that the step's path is relative to.
    pub top: Top,
    /// Whether `top` is the root filesystem, so that the image controls the path's components.
    pub top_is_root: bool,
}

impl Mounter<'_> {
    /// Mounts a new filesystem on its target. Returns the mount.
    pub fn mount(&mut self, step: &steps::Mount, path: Path, id_map: Option<i32>) -> Result<i32> {
        // Opened once: the mode is that of the directory that is covered.
        let found = if keeps_mode(step)? { self.covered(path)? } else { None };
        let mode = found.map(mode_of).transpose()?;
        if options::too_long(step)? {
            return self.mount_by_path(step, path, found, mode);
        }
        let single = step.id_map.is_none() && step.copy_up == CopyUp::No;
        let filesystem = match self.new_filesystem(step, mode) {
            // mount(2) knows it since Linux 5.10, fsmount(2) since 5.14.
            Err(EINVAL) if single && step.attributes & MOUNT_ATTR_NOSYMFOLLOW != 0 => {
                return self.mount_by_path(step, path, found, mode);
            }
            other => other?,
        };
        if let Some(namespace) = id_map {
            map_owners(filesystem, false, namespace)?;
        }
        let target = found.map_or_else(|| tree::make_directory(self.top, path), Ok)?;
        let result = self
            .check_target(target)
            .and_then(|()| copy_up(self.proc, target, filesystem, step.copy_up))
            .and_then(|()| attach(filesystem, target));
        close(target);
        result.map(|()| filesystem)
    }

    /// Mounts a new filesystem with mount(2), which accepts longer options.
    fn mount_by_path(&mut self, step: &steps::Mount, path: Path, found: Option<i32>, mode: Option<u32>) -> Result<i32> {
        if step.id_map.is_some() || step.copy_up != CopyUp::No {
            return Err(ENAMETOOLONG); // that is done before a filesystem is attached
        }
        let mut given = Options::new();
        given.collect(step, mode)?;
        let source = step.source.unwrap_or(step.kind);
        let flags = as_mount_flags(step.attributes) | access_times(step.attributes) | given.flags;
        let target = found.map_or_else(|| tree::make_directory(self.top, path), Ok)?;
        let result = self.check_target(target).and_then(|()| {
            at_descriptor(self.proc, target, |at| mount_filesystem(source, at, step.kind, flags, given.text()))
        });
        close(target);
        result?;
        tree::find(self.top, path.as_str(), O_PATH)
    }

    /// Opens the directory that will be covered, if it exists.
    fn covered(&self, path: Path) -> Result<Option<i32>> {
        existing(tree::find(self.top, path.as_str(), O_PATH | O_DIRECTORY))
    }

    /// Changes the options of the filesystem that is mounted on a path.
    pub fn reconfigure(&mut self, path: Path, options: Strings) -> Result<()> {
        let target = tree::find(self.top, path.as_str(), O_PATH)?;
        let context = fspick(target);
        close(target);
        let context = context?;
        let result = set_options(context, options).and_then(|()| fsconfig_reconfigure(context));
        if result.is_err() {
            self.report.take_log(context);
        }
        close(context);
        result
    }

    /// Refuses a target on procfs unless its path names a kernel mount point: a symlink of the image could otherwise
    /// lead a mount onto procfs and cover its masks. Such paths follow no symlinks, so a procfs there is the root
    /// filesystem's own (a host's root, a chroot with its /proc).
    fn check_target(&self, target: i32) -> Result<()> {
        match filesystem(target)?.kind {
            PROC_SUPER_MAGIC if self.top_is_root && !self.top.strict => Err(ELOOP),
            _ => Ok(()),
        }
    }

    fn new_filesystem(&mut self, step: &steps::Mount, mode: Option<u32>) -> Result<i32> {
        let context = fsopen(step.kind)?;
        let result = configure(context, step, mode).and_then(|()| fsmount(context, step.attributes));
        if result.is_err() {
            self.report.take_log(context);
        }
        close(context);
        result
    }

    /// Attaches a tree that was opened before to its target.
    pub fn attach(&mut self, tree: i32, path: Path, nofollow: bool, attributes: Attributes) -> Result<()> {
        let target = if nofollow {
            tree::in_parent(self.top, path, |parent, name| target_itself(tree, parent, name))?
        } else {
            self.target_for(tree, path)?
        };
        let result = match self.check_target(target).and_then(|()| attributes.set_on(tree)) {
            Err(refused @ (ENOSYS | EPERM)) => {
                self.name_refused(&attributes);
                attach(tree, target).and_then(|()| attributes.remount(self.proc, tree, refused))
            }
            Err(errno) => Err(errno),
            Ok(()) => attach(tree, target),
        };
        close(target);
        result
    }

    /// Opens or creates the target: a directory for a directory, a file for a file.
    fn target_for(&self, tree: i32, path: Path) -> Result<i32> {
        if file_type(&stat(tree)?) == S_IFDIR {
            return tree::make_directory(self.top, path);
        }
        let target = tree::make_file(self.top, path)?;
        match stat(target) {
            Ok(found) if file_type(&found) != S_IFDIR => Ok(target),
            found => {
                close(target);
                Err(found.err().unwrap_or(ENOTDIR))
            }
        }
    }

    pub fn flags(&self, path: Path, flags: u64) -> Result<()> {
        let target = tree::find(self.top, path.as_str(), O_PATH)?;
        let result = at_descriptor(self.proc, target, |path| mount_flags(path, flags));
        close(target);
        result
    }

    pub fn remount(&mut self, path: Path, attributes: Attributes) -> Result<()> {
        let target = tree::find(self.top, path.as_str(), O_PATH)?;
        let result = match attributes.set_on(target) {
            Err(refused @ (ENOSYS | EPERM)) => {
                self.name_refused(&attributes);
                attributes.remount(self.proc, target, refused)
            }
            other => other,
        };
        close(target);
        result
    }

    /// Names mount_setattr(2), which was refused, in the error of a step that cannot do without it.
    fn name_refused(&mut self, attributes: &Attributes) {
        if attributes.are_of_tree() {
            self.report.say(&[b"mount_setattr"]);
        }
    }
}

/// Whether a new filesystem gets the mode of the directory that it covers: a tmpfs without an explicit mode, whose
/// default would be 1777.
fn keeps_mode(step: &steps::Mount) -> Result<bool> {
    let mut index = 0;
    while let Some(key) = step.options.get(index)? {
        if key.bytes() == b"mode" {
            return Ok(false);
        }
        index += 2;
    }
    Ok(step.kind.bytes() == b"tmpfs" && step.copy_up != CopyUp::ContentAndOwner)
}

fn mode_of(directory: i32) -> Result<u32> {
    Ok(stat(directory)?.stx_mode as u32 & 0o7777)
}

fn configure(context: i32, step: &steps::Mount, mode: Option<u32>) -> Result<()> {
    if let Some(mode) = mode {
        let digits = options::octal(mode);
        // SAFETY: NUL-terminated, and valid until the call has returned.
        fsconfig_string(context, Str::literal(c"mode"), unsafe { Str::new(digits.as_ptr()) })?;
    }
    if let Some(source) = step.source {
        fsconfig_string(context, Str::literal(c"source"), source)?;
    }
    set_options(context, step.options)?;
    fsconfig_create(context)
}

/// Sets options from keys and values; a key without a value is a flag.
fn set_options(context: i32, options: Strings) -> Result<()> {
    let mut index = 0;
    while let Some(key) = options.get(index)? {
        match options.get(index + 1)? {
            Some(value) => fsconfig_string(context, key, value)?,
            None => fsconfig_flag(context, key)?,
        }
        index += 2;
    }
    Ok(())
}

/// Opens or creates a target as [`Mounter::target_for`] does, for one name, which may be a symlink.
fn target_itself(tree: i32, parent: i32, name: Str) -> Result<i32> {
    match openat(parent, name, O_PATH | O_NOFOLLOW, 0) {
        Err(ENOENT) => {}
        other => return other,
    }
    if file_type(&stat(tree)?) == S_IFDIR {
        mkdirat(parent, name, 0o755)?;
        return openat(parent, name, O_PATH | O_NOFOLLOW | O_DIRECTORY, 0);
    }
    tree::make_file_at(parent, name)
}

/// Copies the target's content into the filesystem that will cover it.
fn copy_up(proc: i32, target: i32, filesystem: i32, what: CopyUp) -> Result<()> {
    if what == CopyUp::No {
        return Ok(());
    }
    if what == CopyUp::ContentAndOwner {
        copy::owner(target, filesystem)?;
    }
    copy::content(proc, target, filesystem)
}

/// Clones the mounts at a path of the host.
pub fn open_host_tree(path: Str, recursive: bool, nofollow: bool) -> Result<i32> {
    let recursive = if recursive { AT_RECURSIVE } else { 0 };
    let nofollow = if nofollow { AT_SYMLINK_NOFOLLOW } else { 0 };
    open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | recursive | nofollow)
}

/// Checks that a device to be bind-mounted is the configured one.
pub fn check_device(tree: i32, step: &steps::CheckDevice) -> Result<()> {
    if !is_device(&stat(tree)?, step.kind, step.device.major, step.device.minor) {
        return Err(ENODEV);
    }
    if !step.own {
        return Ok(());
    }
    match mount_setattr(tree, false, 0, MOUNT_ATTR_NODEV, 0) {
        Err(ENOSYS) => Ok(()), // before Linux 5.12 it is as the mount of the state directory has it
        other => other,
    }
}

/// Checks that a tree for /proc is a whole procfs: with a part of one, or a fake one, sysctls and labels would be
/// written elsewhere (CVE-2019-16884).
pub fn check_procfs(tree: i32) -> Result<()> {
    const PROC_ROOT_INO: u64 = 1;
    let whole = filesystem(tree)?.kind == PROC_SUPER_MAGIC && stat(tree)?.stx_ino == PROC_ROOT_INO;
    if whole { Ok(()) } else { Err(EPERM) }
}

/// Clones the mounts at a path beneath the root filesystem. Refuses a procfs that is reached through a symlink of the
/// image.
pub fn open_tree_beneath(root: i32, path: Str, recursive: bool) -> Result<i32> {
    let found = tree::open(Top { fd: root, strict: false }, path, O_PATH)?;
    let flags = OPEN_TREE_CLONE | AT_EMPTY_PATH | if recursive { AT_RECURSIVE } else { 0 };
    let named = path.bytes().strip_prefix(b"/proc").is_some_and(|rest| matches!(rest.first(), None | Some(b'/')));
    let result = match filesystem(found) {
        Ok(on) if on.kind == PROC_SUPER_MAGIC && !named => Err(ELOOP),
        Ok(_) => open_tree(found, EMPTY, flags),
        Err(errno) => Err(errno),
    };
    close(found);
    result
}

/// Attaches the root filesystem at its own path. In a user namespace a parent directory may be inaccessible; then
/// attaches it at the last accessible directory, where it covers nothing that could be reached otherwise.
pub fn attach_at_nearest(tree: i32, path: Path) -> Result<()> {
    let bytes = path.as_str().bytes();
    let mut end = bytes.len();
    loop {
        match path.cut(end, |path| attach_at(tree, path.as_str())) {
            Err(EACCES) if end > 1 => {}
            other => return other,
        }
        end -= 1;
        while end > 1 && bytes[end] != b'/' {
            end -= 1;
        }
    }
}

/// Makes a tree a slave of the host's peer groups: mounts propagate from the host, but not to it. Returns false if only
/// a mounted tree can be changed (before Linux 5.12).
pub fn cut_off(tree: i32, recursive: bool) -> Result<bool> {
    match mount_setattr(tree, recursive, 0, 0, MS_SLAVE) {
        Ok(()) => Ok(true),
        Err(ENOSYS | EPERM) => Ok(false),
        Err(errno) => Err(errno),
    }
}

/// Makes a tree that has just been mounted a slave, as [`cut_off`] does.
pub fn cut_off_mounted(proc: i32, tree: i32) -> Result<()> {
    at_descriptor(proc, tree, |path| mount_flags(path, MS_SLAVE | MS_REC))
}

/// Makes a mounted tree private: mounts neither propagate to it nor from it.
pub fn make_private(proc: i32, tree: i32) -> Result<()> {
    at_descriptor(proc, tree, |path| mount_flags(path, MS_PRIVATE | MS_REC))
}

/// Unmounts the mount at a path, with all mounts on it, if it has this id. A missing path is no error. Asks the mounted
/// filesystem nothing: it may be one whose server has gone.
pub fn detach(proc: i32, path: Str, id: u64) -> Result<()> {
    let Some(top) = existing(openat(AT_FDCWD, path, O_PATH | O_DIRECTORY, 0))? else { return Ok(()) };
    let result = mount_id(top).and_then(|found| {
        if found != id {
            return Ok(());
        }
        at_descriptor(proc, top, |path| umount(path, MNT_DETACH))
    });
    close(top);
    result
}

/// Turns a missing path, into `None`.
pub fn existing(opened: Result<i32>) -> Result<Option<i32>> {
    match opened {
        Ok(fd) => Ok(Some(fd)),
        Err(ENOENT | ENOTDIR) => Ok(None),
        Err(errno) => Err(errno),
    }
}

/// Calls `act` with a path that refers to `fd`, for mount(2), which accepts no descriptor.
fn at_descriptor(proc: i32, fd: i32, act: impl FnOnce(Str) -> Result<()>) -> Result<()> {
    let mut buffer = [0; 32];
    fchdir(proc)?;
    act(tree::self_fd(fd, &mut buffer))
}

impl Attributes {
    /// Whether attributes of mounts below this one change, which mount(2) cannot do.
    fn are_of_tree(&self) -> bool {
        self.tree_set | self.tree_clear != 0
    }

    /// Sets the attributes with mount_setattr(2).
    pub fn set_on(&self, mount: i32) -> Result<()> {
        if self.are_of_tree() {
            mount_setattr(mount, true, self.tree_set, self.tree_clear, 0)?;
        }
        if self.set | self.clear != 0 {
            mount_setattr(mount, false, self.set, self.clear, 0)?;
        }
        Ok(())
    }

    /// Sets the attributes on kernels before mount_setattr (Linux 5.12): mount(2) changes one mount only and replaces
    /// all of its flags, so the present flags are read first. `refused` is why mount_setattr failed.
    pub fn remount(&self, proc: i32, mount: i32, refused: Errno) -> Result<()> {
        if self.are_of_tree() {
            return Err(refused);
        }
        // These flags have the same values in statfs(2) and mount(2).
        const KEPT_FLAGS: u64 = MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_NODIRATIME;
        const STATFS_NOSYMFOLLOW: u64 = 8192;
        let found = filesystem(mount)?.flags;
        let mut flags = found & KEPT_FLAGS;
        if found & STATFS_NOSYMFOLLOW != 0 {
            flags |= MS_NOSYMFOLLOW;
        }
        flags = (flags & !as_mount_flags(self.clear)) | as_mount_flags(self.set);
        flags |= match (self.set | self.clear) & MOUNT_ATTR__ATIME {
            0 => access_times_of(found),
            _ => access_times(self.set),
        };
        at_descriptor(proc, mount, |path| mount_flags(path, MS_REMOUNT | MS_BIND | flags))
    }
}

/// Converts MOUNT_ATTR_… to MS_…, except for access times.
fn as_mount_flags(attributes: u64) -> u64 {
    let pairs = [
        (MOUNT_ATTR_RDONLY, MS_RDONLY),
        (MOUNT_ATTR_NOSUID, MS_NOSUID),
        (MOUNT_ATTR_NODEV, MS_NODEV),
        (MOUNT_ATTR_NOEXEC, MS_NOEXEC),
        (MOUNT_ATTR_NODIRATIME, MS_NODIRATIME),
        (MOUNT_ATTR_NOSYMFOLLOW, MS_NOSYMFOLLOW),
    ];
    let mut flags = 0;
    for (attribute, flag) in pairs {
        if attributes & attribute != 0 {
            flags |= flag;
        }
    }
    flags
}

/// Converts the setting of access times. The kernel's default is relatime only for a new mount.
fn access_times(attributes: u64) -> u64 {
    match attributes & MOUNT_ATTR__ATIME {
        MOUNT_ATTR_NOATIME => MS_NOATIME,
        MOUNT_ATTR_STRICTATIME => MS_STRICTATIME,
        _ => MS_RELATIME,
    }
}

/// Returns the setting of access times of a mount whose flags statfs(2) has returned. Without one mount(2) chooses one,
/// if nodiratime is given.
fn access_times_of(found: u64) -> u64 {
    const STATFS_RELATIME: u64 = 4096;
    if found & MS_NOATIME != 0 {
        MS_NOATIME
    } else if found & STATFS_RELATIME != 0 {
        MS_RELATIME
    } else {
        MS_STRICTATIME
    }
}
