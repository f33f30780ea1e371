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
pub const O_NONBLOCK: u64 = 0o4000;
pub const O_DIRECTORY: u64 = 0o200_000;
pub const O_NOFOLLOW: u64 = 0o400_000;
pub const O_CLOEXEC: u64 = 0o2_000_000;
pub const O_PATH: u64 = 0o10_000_000;

pub const RESOLVE_NO_XDEV: u64 = 0x01;
pub const RESOLVE_NO_MAGICLINKS: u64 = 0x02;
pub const RESOLVE_NO_SYMLINKS: u64 = 0x04;
pub const RESOLVE_BENEATH: u64 = 0x08;
pub const RESOLVE_IN_ROOT: u64 = 0x10;

pub const S_IFMT: u32 = 0o170_000;
pub const S_IFDIR: u32 = 0o040_000;
pub const S_IFCHR: u32 = 0o020_000;
pub const S_IFREG: u32 = 0o100_000;
pub const S_IFLNK: u32 = 0o120_000;
pub const S_IFSOCK: u32 = 0o140_000;

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

mod mount;
mod process;
mod socket;

pub use mount::*;
pub use process::*;
#[allow(unused_imports)] // init's half
pub use socket::*;

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

/// Whether there is a file of that name.
pub fn exists(path: *const u8) -> Result<()> {
    const F_OK: usize = 0;
    call!(nr::FACCESSAT, AT_FDCWD, path, F_OK).map(|_| ())
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
    /// Access, birth, change, modification: each seconds, and nanoseconds in 32 bits.
    times: [u64; 8],
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

/// Not of O_PATH descriptors.
pub fn fchmod(fd: i32, mode: u32) -> Result<()> {
    call!(nr::FCHMOD, fd, mode).map(|_| ())
}

/// The times of access and modification that `from` tells, to what `fd` refers to.
pub fn set_times(fd: i32, from: &Statx) -> Result<()> {
    let nanoseconds = |word: u64| word & 0xffff_ffff;
    let times = [from.times[0], nanoseconds(from.times[1]), from.times[6], nanoseconds(from.times[7])];
    call!(nr::UTIMENSAT, fd, 0, times.as_ptr(), 0).map(|_| ())
}

/// Entries of a directory; 0 bytes at its end.
pub fn getdents(fd: i32, into: &mut [u8]) -> Result<usize> {
    call!(nr::GETDENTS64, fd, into.as_mut_ptr(), into.len())
}

/// Copies at most `count` bytes from where `from` stands; 0 at its end.
pub fn sendfile(to: i32, from: i32, count: usize) -> Result<usize> {
    loop {
        match call!(nr::SENDFILE, to, from, 0, count) {
            Err(EINTR) => {}
            other => return other,
        }
    }
}

pub fn chmod_at(dir: i32, path: Str, mode: u32) -> Result<()> {
    call!(nr::FCHMODAT, dir, path.as_ptr(), mode).map(|_| ())
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

pub fn ioctl(fd: i32, request: u64, argument: usize) -> Result<usize> {
    call!(nr::IOCTL, fd, request, argument)
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

/// Maps `fd` privately and writable, all of it at once.
pub fn map(fd: i32, len: usize) -> Result<*mut u8> {
    const PROT_READ_WRITE: usize = 3;
    const MAP_PRIVATE: usize = 2;
    const MAP_POPULATE: usize = 0x8000;
    call!(nr::MMAP, 0, len, PROT_READ_WRITE, MAP_PRIVATE | MAP_POPULATE, fd, 0).map(|at| at as *mut u8)
}

pub fn exit(status: i32) -> ! {
    loop {
        let _ = call!(nr::EXIT_GROUP, status);
    }
}
