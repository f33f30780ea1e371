//! The system calls that init makes, with types. Nothing here decides anything.

use super::arch::{self, nr};

/// An errno, positive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Errno(pub i32);

pub type Result<T> = core::result::Result<T, Errno>;

pub const EPERM: Errno = Errno(1);
pub const ENOENT: Errno = Errno(2);
pub const EINTR: Errno = Errno(4);
pub const EAGAIN: Errno = Errno(11);
pub const EACCES: Errno = Errno(13);
pub const EEXIST: Errno = Errno(17);
pub const ENODEV: Errno = Errno(19);
pub const ENOTDIR: Errno = Errno(20);
pub const EINVAL: Errno = Errno(22);
pub const ENAMETOOLONG: Errno = Errno(36);
pub const ENOSYS: Errno = Errno(38);
pub const ELOOP: Errno = Errno(40);
pub const EPROTO: Errno = Errno(71);

pub const AT_FDCWD: i32 = -100;
pub const AT_EMPTY_PATH: u32 = 0x1000;
pub const AT_RECURSIVE: u32 = 0x8000;

pub const O_RDONLY: u64 = 0;
pub const O_WRONLY: u64 = 1;
pub const O_RDWR: u64 = 2;
pub const O_CREAT: u64 = 0o100;
pub const O_EXCL: u64 = 0o200;
pub const O_NOCTTY: u64 = 0o400;
pub const O_DIRECTORY: u64 = 0o200_000;
pub const O_NOFOLLOW: u64 = 0o400_000;
pub const O_CLOEXEC: u64 = 0o2_000_000;
pub const O_PATH: u64 = 0o10_000_000;

pub const RESOLVE_NO_MAGICLINKS: u64 = 0x02;
pub const RESOLVE_NO_SYMLINKS: u64 = 0x04;
pub const RESOLVE_BENEATH: u64 = 0x08;
pub const RESOLVE_IN_ROOT: u64 = 0x10;

pub const OPEN_TREE_CLONE: u32 = 1;
pub const MOVE_MOUNT_F_EMPTY_PATH: u32 = 0x04;
pub const MOVE_MOUNT_T_EMPTY_PATH: u32 = 0x40;
pub const MOUNT_ATTR_RDONLY: u64 = 0x01;
pub const MOUNT_ATTR_NOSUID: u64 = 0x02;
pub const MOUNT_ATTR_NODEV: u64 = 0x04;
pub const MOUNT_ATTR_NOEXEC: u64 = 0x08;
pub const MOUNT_ATTR_ATIME: u64 = 0x70;
pub const MOUNT_ATTR_NOATIME: u64 = 0x10;
pub const MOUNT_ATTR_STRICTATIME: u64 = 0x20;
pub const MOUNT_ATTR_NODIRATIME: u64 = 0x80;
pub const MOUNT_ATTR_NOSYMFOLLOW: u64 = 0x20_0000;
pub const MS_REMOUNT: u64 = 32;
pub const MS_BIND: u64 = 4096;
pub const MS_SLAVE: u64 = 1 << 19;
pub const MS_REC: u64 = 1 << 14;
pub const MNT_DETACH: u32 = 2;

pub const S_IFMT: u32 = 0o170_000;
pub const S_IFDIR: u32 = 0o040_000;
pub const S_IFCHR: u32 = 0o020_000;
pub const S_IFREG: u32 = 0o100_000;

pub const PROC_SUPER_MAGIC: u64 = 0x9fa0;
pub const DEVPTS_SUPER_MAGIC: u64 = 0x1cd1;

const F_DUPFD_CLOEXEC: usize = 1030;

fn check(result: isize) -> Result<usize> {
    if result < 0 { Err(Errno(-result as i32)) } else { Ok(result as usize) }
}

macro_rules! call {
    ($nr:expr) => { call!($nr, 0, 0, 0, 0, 0, 0) };
    ($nr:expr, $a:expr) => { call!($nr, $a, 0, 0, 0, 0, 0) };
    ($nr:expr, $a:expr, $b:expr) => { call!($nr, $a, $b, 0, 0, 0, 0) };
    ($nr:expr, $a:expr, $b:expr, $c:expr) => { call!($nr, $a, $b, $c, 0, 0, 0) };
    ($nr:expr, $a:expr, $b:expr, $c:expr, $d:expr) => { call!($nr, $a, $b, $c, $d, 0, 0) };
    ($nr:expr, $a:expr, $b:expr, $c:expr, $d:expr, $e:expr) => { call!($nr, $a, $b, $c, $d, $e, 0) };
    ($nr:expr, $a:expr, $b:expr, $c:expr, $d:expr, $e:expr, $f:expr) => {
        // SAFETY: each wrapper below passes what its call expects: descriptors, numbers, references and strings of
        // the plan, which live as long as the process.
        check(unsafe {
            arch::syscall6($nr, $a as usize, $b as usize, $c as usize, $d as usize, $e as usize, $f as usize)
        })
    };
}

/// A NUL-terminated string in the plan or in this program. Copyable, never owned.
#[derive(Clone, Copy)]
pub struct Str(*const u8);

impl Str {
    /// # Safety
    /// `start` must be NUL-terminated memory that outlives the value.
    pub unsafe fn new(start: *const u8) -> Str {
        Str(start)
    }

    pub const fn literal(text: &'static core::ffi::CStr) -> Str {
        Str(text.as_ptr() as *const u8)
    }

    pub fn as_ptr(self) -> *const u8 {
        self.0
    }

    pub fn bytes(self) -> &'static [u8] {
        let mut len = 0;
        // SAFETY: NUL-terminated by the promise of `new`; the memory stays for the life of the process.
        unsafe {
            while *self.0.add(len) != 0 {
                len += 1;
            }
            core::slice::from_raw_parts(self.0, len)
        }
    }
}

pub const EMPTY: Str = Str::literal(c"");
pub const DOT: Str = Str::literal(c".");
pub const SLASH: Str = Str::literal(c"/");

#[repr(C)]
struct OpenHow {
    flags: u64,
    mode: u64,
    resolve: u64,
}

pub fn openat2(dir: i32, path: Str, flags: u64, mode: u32, resolve: u64) -> Result<i32> {
    let how = OpenHow { flags: flags | O_CLOEXEC, mode: mode as u64, resolve };
    // EAGAIN: somebody renamed or mounted during a scoped walk (openat2(2)). The walk is repeated, not for ever.
    let mut tries = 256;
    loop {
        match call!(nr::OPENAT2, dir, path.as_ptr(), &raw const how, size_of::<OpenHow>()) {
            Err(EAGAIN) if tries > 0 => tries -= 1,
            Err(EINTR) => {}
            other => return other.map(|fd| fd as i32),
        }
    }
}

pub fn openat(dir: i32, path: Str, flags: u64, mode: u32) -> Result<i32> {
    loop {
        match call!(nr::OPENAT, dir, path.as_ptr(), flags | O_CLOEXEC, mode) {
            Err(EINTR) => {}
            other => return other.map(|fd| fd as i32),
        }
    }
}

pub fn close(fd: i32) {
    let _ = call!(nr::CLOSE, fd);
}

pub fn close_range(first: u32, last: u32) -> Result<()> {
    call!(nr::CLOSE_RANGE, first, last, 0).map(|_| ())
}

pub fn dup_from(fd: i32, lowest: i32) -> Result<i32> {
    call!(nr::FCNTL, fd, F_DUPFD_CLOEXEC, lowest).map(|fd| fd as i32)
}

/// `to` becomes a copy of `fd` that survives exec.
pub fn dup_onto(fd: i32, to: i32) -> Result<()> {
    call!(nr::DUP3, fd, to, 0).map(|_| ())
}

/// Reading and writing end.
pub fn pipe() -> Result<(i32, i32)> {
    let mut ends = [-1i32; 2];
    call!(nr::PIPE2, ends.as_mut_ptr(), O_CLOEXEC)?;
    Ok((ends[0], ends[1]))
}

pub fn write(fd: i32, bytes: &[u8]) -> Result<usize> {
    loop {
        match call!(nr::WRITE, fd, bytes.as_ptr(), bytes.len()) {
            Err(EINTR) => {}
            other => return other,
        }
    }
}

pub fn read(fd: i32, into: &mut [u8]) -> Result<usize> {
    loop {
        match call!(nr::READ, fd, into.as_mut_ptr(), into.len()) {
            Err(EINTR) => {}
            other => return other,
        }
    }
}

#[repr(C)]
struct Iovec {
    base: *const u8,
    len: usize,
}

#[repr(C)]
struct Msghdr {
    name: usize,
    name_len: u64,
    iov: *const Iovec,
    iov_len: usize,
    control: *const u8,
    control_len: usize,
    flags: u64,
}

#[repr(C)]
struct ControlFd {
    len: usize,
    level: i32,
    kind: i32,
    fd: i32,
    _pad: i32,
}

/// One datagram, with at most one descriptor.
pub fn send(socket: i32, bytes: &[u8], fd: Option<i32>) -> Result<()> {
    const SOL_SOCKET: i32 = 1;
    const SCM_RIGHTS: i32 = 1;
    const MSG_NOSIGNAL: usize = 0x4000;
    let iov = Iovec { base: bytes.as_ptr(), len: bytes.len() };
    // cmsg_len counts the header and the descriptor, without the padding after it.
    let control = ControlFd { len: 20, level: SOL_SOCKET, kind: SCM_RIGHTS, fd: fd.unwrap_or(-1), _pad: 0 };
    let (control, control_len) =
        if fd.is_some() { (&raw const control as *const u8, size_of::<ControlFd>()) } else { (core::ptr::null(), 0) };
    let header = Msghdr { name: 0, name_len: 0, iov: &iov, iov_len: 1, control, control_len, flags: 0 };
    loop {
        match call!(nr::SENDMSG, socket, &raw const header, MSG_NOSIGNAL) {
            Err(EINTR) => {}
            other => return other.map(|_| ()),
        }
    }
}

/// The head of struct statx, the same on every architecture.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Statx {
    _mask: u32,
    _blksize: u32,
    _attributes: u64,
    _nlink: u32,
    pub uid: u32,
    pub gid: u32,
    pub mode: u16,
    _pad: u16,
    pub ino: u64,
    pub size: u64,
    _blocks: u64,
    _attributes_mask: u64,
    _times: [u64; 8],
    pub rdev_major: u32,
    pub rdev_minor: u32,
    pub dev_major: u32,
    pub dev_minor: u32,
    _rest: [u64; 14],
}

impl Statx {
    pub fn is_dir(&self) -> bool {
        self.mode as u32 & S_IFMT == S_IFDIR
    }

    pub fn is_device(&self, kind: u32, major: u32, minor: u32) -> bool {
        self.mode as u32 & S_IFMT == kind && self.rdev_major == major && self.rdev_minor == minor
    }
}

pub fn stat(fd: i32) -> Result<Statx> {
    const STATX_BASIC_STATS: usize = 0x7ff;
    // SAFETY: all-zero is a valid Statx, and the kernel fills it.
    let mut out: Statx = unsafe { core::mem::zeroed() };
    call!(nr::STATX, fd, EMPTY.as_ptr(), AT_EMPTY_PATH, STATX_BASIC_STATS, &raw mut out)?;
    Ok(out)
}

/// What fstatfs(2) says of the filesystem and of the mount.
pub struct Filesystem {
    /// f_type
    pub kind: u64,
    /// f_flags: ST_RDONLY and its like, which have the numbers of the MS_ flags.
    pub flags: u64,
}

pub fn filesystem(fd: i32) -> Result<Filesystem> {
    // struct statfs is 120 bytes on 64-bit Linux: f_type is its first word, f_flags its eleventh.
    let mut out = [0u64; 16];
    call!(nr::FSTATFS, fd, out.as_mut_ptr())?;
    Ok(Filesystem { kind: out[0], flags: out[10] })
}

pub fn mkdirat(dir: i32, name: Str, mode: u32) -> Result<()> {
    call!(nr::MKDIRAT, dir, name.as_ptr(), mode).map(|_| ())
}

pub fn mknodat(dir: i32, name: Str, mode: u32, device: u64) -> Result<()> {
    call!(nr::MKNODAT, dir, name.as_ptr(), mode, device).map(|_| ())
}

pub fn symlinkat(target: Str, dir: i32, name: Str) -> Result<()> {
    call!(nr::SYMLINKAT, target.as_ptr(), dir, name.as_ptr()).map(|_| ())
}

pub fn readlinkat(dir: i32, name: Str, into: &mut [u8]) -> Result<usize> {
    call!(nr::READLINKAT, dir, name.as_ptr(), into.as_mut_ptr(), into.len())
}

pub fn unlinkat(dir: i32, name: Str, flags: u32) -> Result<()> {
    call!(nr::UNLINKAT, dir, name.as_ptr(), flags).map(|_| ())
}

/// Changes the owner of what `fd` (also an O_PATH one) refers to.
pub fn chown(fd: i32, uid: u32, gid: u32) -> Result<()> {
    call!(nr::FCHOWNAT, fd, EMPTY.as_ptr(), uid, gid, AT_EMPTY_PATH).map(|_| ())
}

pub fn chmod_at(dir: i32, path: Str, mode: u32) -> Result<()> {
    call!(nr::FCHMODAT, dir, path.as_ptr(), mode).map(|_| ())
}

pub fn open_tree(dir: i32, path: Str, flags: u32) -> Result<i32> {
    call!(nr::OPEN_TREE, dir, path.as_ptr(), flags | O_CLOEXEC as u32).map(|fd| fd as i32)
}

/// Attaches the detached tree `from` on what `onto` refers to.
pub fn attach(from: i32, onto: i32) -> Result<()> {
    let flags = MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH;
    call!(nr::MOVE_MOUNT, from, EMPTY.as_ptr(), onto, EMPTY.as_ptr(), flags).map(|_| ())
}

/// The same with a path of the host.
pub fn attach_at(from: i32, path: Str) -> Result<()> {
    call!(nr::MOVE_MOUNT, from, EMPTY.as_ptr(), AT_FDCWD, path.as_ptr(), MOVE_MOUNT_F_EMPTY_PATH).map(|_| ())
}

pub fn fsopen(kind: Str) -> Result<i32> {
    const FSOPEN_CLOEXEC: usize = 1;
    call!(nr::FSOPEN, kind.as_ptr(), FSOPEN_CLOEXEC).map(|fd| fd as i32)
}

pub fn fsconfig_flag(context: i32, key: Str) -> Result<()> {
    call!(nr::FSCONFIG, context, 0, key.as_ptr(), 0, 0).map(|_| ())
}

pub fn fsconfig_string(context: i32, key: Str, value: Str) -> Result<()> {
    call!(nr::FSCONFIG, context, 1, key.as_ptr(), value.as_ptr(), 0).map(|_| ())
}

pub fn fsconfig_create(context: i32) -> Result<()> {
    call!(nr::FSCONFIG, context, 6, 0, 0, 0).map(|_| ())
}

pub fn fsmount(context: i32, attributes: u64) -> Result<i32> {
    const FSMOUNT_CLOEXEC: usize = 1;
    call!(nr::FSMOUNT, context, FSMOUNT_CLOEXEC, attributes).map(|fd| fd as i32)
}

#[repr(C)]
struct MountAttr {
    set: u64,
    clear: u64,
    propagation: u64,
    userns_fd: u64,
}

pub fn mount_setattr(fd: i32, recursive: bool, set: u64, clear: u64, propagation: u64) -> Result<()> {
    let attr = MountAttr { set, clear, propagation, userns_fd: 0 };
    let flags = AT_EMPTY_PATH | if recursive { AT_RECURSIVE } else { 0 };
    call!(nr::MOUNT_SETATTR, fd, EMPTY.as_ptr(), flags, &raw const attr, size_of::<MountAttr>()).map(|_| ())
}

/// mount(2) for what needs no source and no type: propagation and remounts.
pub fn mount_flags(target: Str, flags: u64) -> Result<()> {
    call!(nr::MOUNT, 0, target.as_ptr(), 0, flags, 0).map(|_| ())
}

pub fn pivot_root(new: Str, old: Str) -> Result<()> {
    call!(nr::PIVOT_ROOT, new.as_ptr(), old.as_ptr()).map(|_| ())
}

pub fn umount(path: Str, flags: u32) -> Result<()> {
    call!(nr::UMOUNT2, path.as_ptr(), flags).map(|_| ())
}

pub fn chroot(path: Str) -> Result<()> {
    call!(nr::CHROOT, path.as_ptr()).map(|_| ())
}

pub fn chdir(path: Str) -> Result<()> {
    call!(nr::CHDIR, path.as_ptr()).map(|_| ())
}

pub fn fchdir(fd: i32) -> Result<()> {
    call!(nr::FCHDIR, fd).map(|_| ())
}

pub fn getcwd(into: &mut [u8]) -> Result<usize> {
    call!(nr::GETCWD, into.as_mut_ptr(), into.len())
}

pub fn setns(fd: i32, kind: u64) -> Result<()> {
    call!(nr::SETNS, fd, kind).map(|_| ())
}

pub fn unshare(flags: u64) -> Result<()> {
    call!(nr::UNSHARE, flags).map(|_| ())
}

pub fn sethostname(name: &[u8]) -> Result<()> {
    call!(nr::SETHOSTNAME, name.as_ptr(), name.len()).map(|_| ())
}

pub fn setdomainname(name: &[u8]) -> Result<()> {
    call!(nr::SETDOMAINNAME, name.as_ptr(), name.len()).map(|_| ())
}

pub fn setsid() -> Result<()> {
    call!(nr::SETSID).map(|_| ())
}

/// A new session keyring without a name, which nobody else can have made before (keyctl(2)).
pub fn new_session_keyring() -> Result<()> {
    const KEYCTL_JOIN_SESSION_KEYRING: usize = 1;
    call!(nr::KEYCTL, KEYCTL_JOIN_SESSION_KEYRING, 0).map(|_| ())
}

/// Forgets which processors and which realtime policy the host's thread was bound to.
pub fn reset_scheduling() {
    const SCHED_OTHER: usize = 0;
    const REALTIME: [usize; 3] = [1, 2, 6]; // SCHED_FIFO, SCHED_RR, SCHED_DEADLINE
    let all = [u64::MAX; 128];
    let _ = call!(nr::SCHED_SETAFFINITY, 0, size_of_val(&all), all.as_ptr());
    if call!(nr::SCHED_GETSCHEDULER, 0).is_ok_and(|policy| REALTIME.contains(&policy)) {
        let priority = 0i32;
        let _ = call!(nr::SCHED_SETSCHEDULER, 0, SCHED_OTHER, &raw const priority);
    }
}

pub fn ioctl(fd: i32, request: u64, argument: usize) -> Result<usize> {
    call!(nr::IOCTL, fd, request, argument)
}

pub fn setrlimit(resource: u64, soft: u64, hard: u64) -> Result<()> {
    let limit = [soft, hard];
    call!(nr::PRLIMIT64, 0, resource, limit.as_ptr(), 0).map(|_| ())
}

pub fn prctl(option: u32, a: usize, b: usize) -> Result<usize> {
    call!(nr::PRCTL, option, a, b, 0, 0)
}

pub fn setgroups(count: usize, groups: *const u32) -> Result<()> {
    call!(nr::SETGROUPS, count, groups).map(|_| ())
}

/// How many supplementary groups there are.
pub fn group_count() -> Result<usize> {
    call!(nr::GETGROUPS, 0, 0)
}

pub fn setresuid(uid: u32) -> Result<()> {
    call!(nr::SETRESUID, uid, uid, uid).map(|_| ())
}

pub fn setresgid(gid: u32) -> Result<()> {
    call!(nr::SETRESGID, gid, gid, gid).map(|_| ())
}

pub fn capset(effective: u64, permitted: u64, inheritable: u64) -> Result<()> {
    const LINUX_CAPABILITY_VERSION_3: u32 = 0x2008_0522;
    let header = [LINUX_CAPABILITY_VERSION_3, 0];
    let data = [
        effective as u32,
        permitted as u32,
        inheritable as u32,
        (effective >> 32) as u32,
        (permitted >> 32) as u32,
        (inheritable >> 32) as u32,
    ];
    call!(nr::CAPSET, header.as_ptr(), data.as_ptr()).map(|_| ())
}

pub fn umask(mask: u64) {
    let _ = call!(nr::UMASK, mask);
}

const SIGPIPE: usize = 13;

/// Whether writing into a pipe that nobody reads is an error (EPIPE) or deadly.
pub fn ignore_sigpipe(on: bool) {
    const SIG_IGN: usize = 1;
    let action = [if on { SIG_IGN } else { 0 }, 0, 0, 0];
    let _ = call!(nr::RT_SIGACTION, SIGPIPE, action.as_ptr(), 0, 8);
}

/// Every signal to its default action and unblocked, whatever the host's thread had.
pub fn reset_signals() {
    const SIG_SETMASK: usize = 2;
    // struct kernel_sigaction: handler, flags, restorer, mask; all zero is SIG_DFL.
    let default = [0usize; 4];
    for signal in 1..=64 {
        // SIGKILL and SIGSTOP answer EINVAL, which is as good.
        let _ = call!(nr::RT_SIGACTION, signal, default.as_ptr(), 0, 8);
    }
    let none = 0u64;
    let _ = call!(nr::RT_SIGPROCMASK, SIG_SETMASK, &raw const none, 0, 8);
}

pub fn execve(path: *const u8, argv: *const *const u8, envp: *const *const u8) -> Errno {
    match call!(nr::EXECVE, path, argv, envp) {
        Err(errno) => errno,
        Ok(_) => EINVAL,
    }
}

/// struct clone_args up to `cgroup` (Linux 5.7).
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct CloneArgs {
    pub flags: u64,
    pub pidfd: u64,
    pub child_tid: u64,
    pub parent_tid: u64,
    pub exit_signal: u64,
    pub stack: u64,
    pub stack_size: u64,
    pub tls: u64,
    pub set_tid: u64,
    pub set_tid_size: u64,
    pub cgroup: u64,
}

pub const CLONE_PIDFD: u64 = 0x1000;
pub const CLONE_PARENT: u64 = 0x8000;
pub const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;
pub const CLONE_NEWTIME: u64 = 0x80;

/// clone3 without shared memory: both sides return, the child with 0.
pub fn fork(args: &CloneArgs) -> Result<i32> {
    call!(nr::CLONE3, args as *const CloneArgs, size_of::<CloneArgs>()).map(|pid| pid as i32)
}

/// Maps `fd` privately and writable.
pub fn map(fd: i32, len: usize) -> Result<*mut u8> {
    const PROT_READ_WRITE: usize = 3;
    const MAP_PRIVATE: usize = 2;
    call!(nr::MMAP, 0, len, PROT_READ_WRITE, MAP_PRIVATE, fd, 0).map(|at| at as *mut u8)
}

pub fn exit(status: i32) -> ! {
    loop {
        let _ = call!(nr::EXIT_GROUP, status);
    }
}
