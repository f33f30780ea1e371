//! Typed wrappers of the system calls that init makes. They contain no decisions.

use linux_raw_sys::general as kernel;

use super::arch;

/// An errno, positive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Errno(
    /// The number, as in errno(3).
    pub i32,
);

/// The result of a system call.
pub type Result<T> = core::result::Result<T, Errno>;

fn check(result: isize) -> Result<usize> {
    if result < 0 { Err(Errno(-result as i32)) } else { Ok(result as usize) }
}

/// Makes a system call, given by the name of its number.
macro_rules! call {
    ($nr:ident) => { call!($nr, 0, 0, 0, 0, 0, 0) };
    ($nr:ident, $a:expr) => { call!($nr, $a, 0, 0, 0, 0, 0) };
    ($nr:ident, $a:expr, $b:expr) => { call!($nr, $a, $b, 0, 0, 0, 0) };
    ($nr:ident, $a:expr, $b:expr, $c:expr) => { call!($nr, $a, $b, $c, 0, 0, 0) };
    ($nr:ident, $a:expr, $b:expr, $c:expr, $d:expr) => { call!($nr, $a, $b, $c, $d, 0, 0) };
    ($nr:ident, $a:expr, $b:expr, $c:expr, $d:expr, $e:expr) => { call!($nr, $a, $b, $c, $d, $e, 0) };
    ($nr:ident, $a:expr, $b:expr, $c:expr, $d:expr, $e:expr, $f:expr) => {{
        let nr = linux_raw_sys::general::$nr as usize;
        // SAFETY: each wrapper below passes what its call expects: descriptors, numbers, references and strings of
        // the plan, which live as long as the process.
        check(unsafe {
            arch::syscall6(nr, $a as usize, $b as usize, $c as usize, $d as usize, $e as usize, $f as usize)
        })
    }};
}

mod constants;
mod mount;
mod process;
mod socket;

pub use constants::*;
pub use mount::*;
pub use process::*;
pub use socket::*;

/// A NUL-terminated string in the plan or in this program. Copyable, never owned.
#[derive(Clone, Copy)]
pub struct Str(*const u8);

impl Str {
    /// Returns the string that begins at `start`.
    ///
    /// # Safety
    /// `start` must be NUL-terminated memory that outlives the value.
    pub unsafe fn new(start: *const u8) -> Str {
        Str(start)
    }

    /// Returns a string of the program itself.
    pub const fn literal(text: &'static core::ffi::CStr) -> Str {
        Str(text.as_ptr() as *const u8)
    }

    /// Returns the address of the first byte, for a system call.
    pub fn as_ptr(self) -> *const u8 {
        self.0
    }

    /// Returns the bytes without the NUL.
    pub fn bytes(self) -> &'static [u8] {
        let mut len = 0;
        // SAFETY: NUL-terminated by the contract of `new`; the memory is never freed.
        unsafe {
            while *self.0.add(len) != 0 {
                len += 1;
            }
            core::slice::from_raw_parts(self.0, len)
        }
    }
}

/// The empty path, for calls with AT_EMPTY_PATH.
pub const EMPTY: Str = Str::literal(c"");
/// "."
pub const DOT: Str = Str::literal(c".");
/// "/"
pub const SLASH: Str = Str::literal(c"/");

/// Opens a path below `dir`, as `resolve` (RESOLVE_…) permits (openat2(2)), with close-on-exec.
pub fn openat2(dir: i32, path: Str, flags: u64, mode: u32, resolve: u64) -> Result<i32> {
    let how = kernel::open_how { flags: flags | O_CLOEXEC, mode: mode as u64, resolve };
    // EAGAIN: a rename or mount happened during a scoped walk (openat2(2)). Repeat the walk a limited number of times.
    let mut tries = 256;
    loop {
        match call!(__NR_openat2, dir, path.as_ptr(), &raw const how, size_of::<kernel::open_how>()) {
            Err(EAGAIN) if tries > 0 => tries -= 1,
            Err(EINTR) => {}
            other => return other.map(|fd| fd as i32),
        }
    }
}

/// Opens a path below `dir` (openat(2)), with close-on-exec.
pub fn openat(dir: i32, path: Str, flags: u64, mode: u32) -> Result<i32> {
    loop {
        match call!(__NR_openat, dir, path.as_ptr(), flags | O_CLOEXEC, mode) {
            Err(EINTR) => {}
            other => return other.map(|fd| fd as i32),
        }
    }
}

/// Checks that a file exists.
pub fn exists(path: *const u8) -> Result<()> {
    const F_OK: usize = 0;
    call!(__NR_faccessat, AT_FDCWD, path, F_OK).map(|_| ())
}

/// Closes a descriptor.
pub fn close(fd: i32) {
    // The descriptor is free in any case, and what was written to it has been reported by the writes.
    let _ = call!(__NR_close, fd);
}

/// Closes all descriptors from `first` to `last`, both included.
pub fn close_range(first: u32, last: u32) -> Result<()> {
    call!(__NR_close_range, first, last, 0).map(|_| ())
}

/// Copies a descriptor to the lowest free number that is not below `lowest`, with close-on-exec.
pub fn dup_from(fd: i32, lowest: i32) -> Result<i32> {
    call!(__NR_fcntl, fd, kernel::F_DUPFD_CLOEXEC, lowest).map(|fd| fd as i32)
}

/// Makes `to` a copy of `fd` that survives exec.
pub fn dup_onto(fd: i32, to: i32) -> Result<()> {
    call!(__NR_dup3, fd, to, 0).map(|_| ())
}

/// Creates a pipe, and returns its read and write ends.
pub fn pipe() -> Result<(i32, i32)> {
    let mut ends = [-1i32; 2];
    call!(__NR_pipe2, ends.as_mut_ptr(), O_CLOEXEC)?;
    Ok((ends[0], ends[1]))
}

/// Writes as write(2) does: possibly not all bytes.
pub fn write(fd: i32, bytes: &[u8]) -> Result<usize> {
    loop {
        match call!(__NR_write, fd, bytes.as_ptr(), bytes.len()) {
            Err(EINTR) => {}
            other => return other,
        }
    }
}

/// Reads as read(2) does: possibly fewer bytes than requested; 0 at the end.
pub fn read(fd: i32, into: &mut [u8]) -> Result<usize> {
    loop {
        match call!(__NR_read, fd, into.as_mut_ptr(), into.len()) {
            Err(EINTR) => {}
            other => return other,
        }
    }
}

/// The result of statx(2).
pub type Statx = kernel::statx;

/// Returns the status of the file that a descriptor refers to.
pub fn stat(fd: i32) -> Result<Statx> {
    // SAFETY: all-zero is a valid statx, and the kernel fills it.
    let mut out: Statx = unsafe { core::mem::zeroed() };
    call!(__NR_statx, fd, EMPTY.as_ptr(), AT_EMPTY_PATH, kernel::STATX_BASIC_STATS, &raw mut out)?;
    Ok(out)
}

/// Returns the id of the mount that a descriptor refers to (Linux 5.8).
pub fn mount_id(fd: i32) -> Result<u64> {
    // SAFETY: all-zero is a valid statx, and the kernel fills it.
    let mut out: Statx = unsafe { core::mem::zeroed() };
    let flags = AT_EMPTY_PATH | AT_STATX_DONT_SYNC;
    call!(__NR_statx, fd, EMPTY.as_ptr(), flags, kernel::STATX_MNT_ID, &raw mut out)?;
    if out.stx_mask & kernel::STATX_MNT_ID == 0 { Err(ENOSYS) } else { Ok(out.stx_mnt_id) }
}

/// Returns the file type: S_IFDIR and so on.
pub fn file_type(found: &Statx) -> u32 {
    found.stx_mode as u32 & S_IFMT
}

/// Whether it is a device node of this type (S_IFCHR) and number.
pub fn is_device(found: &Statx, kind: u32, major: u32, minor: u32) -> bool {
    file_type(found) == kind && found.stx_rdev_major == major && found.stx_rdev_minor == minor
}

/// The type and the mount flags of a filesystem, from fstatfs(2).
pub struct Filesystem {
    /// f_type
    pub kind: u64,
    /// f_flags: ST_RDONLY and others, which have the values of the MS_ flags.
    pub flags: u64,
}

/// Returns the filesystem that a descriptor is on.
pub fn filesystem(fd: i32) -> Result<Filesystem> {
    // SAFETY: all-zero is a valid statfs, and the kernel fills it.
    let mut out: kernel::statfs = unsafe { core::mem::zeroed() };
    call!(__NR_fstatfs, fd, &raw mut out)?;
    Ok(Filesystem { kind: out.f_type as u64, flags: out.f_flags as u64 })
}

/// Creates a directory in `dir` (mkdirat(2)).
pub fn mkdirat(dir: i32, name: Str, mode: u32) -> Result<()> {
    call!(__NR_mkdirat, dir, name.as_ptr(), mode).map(|_| ())
}

/// Creates a node in `dir` (mknodat(2)); `mode` includes the type.
pub fn mknodat(dir: i32, name: Str, mode: u32, device: u64) -> Result<()> {
    call!(__NR_mknodat, dir, name.as_ptr(), mode, device).map(|_| ())
}

/// Creates a symbolic link in `dir` to `target`.
pub fn symlinkat(target: Str, dir: i32, name: Str) -> Result<()> {
    call!(__NR_symlinkat, target.as_ptr(), dir, name.as_ptr()).map(|_| ())
}

/// Reads the target of a symbolic link; returns the length, without a NUL.
pub fn readlinkat(dir: i32, name: Str, into: &mut [u8]) -> Result<usize> {
    call!(__NR_readlinkat, dir, name.as_ptr(), into.as_mut_ptr(), into.len())
}

/// Removes a name from `dir`; with AT_REMOVEDIR, a directory.
pub fn unlinkat(dir: i32, name: Str, flags: u32) -> Result<()> {
    call!(__NR_unlinkat, dir, name.as_ptr(), flags).map(|_| ())
}

/// Changes the owner of the file that `fd` refers to; `fd` may be an O_PATH descriptor.
pub fn chown(fd: i32, uid: u32, gid: u32) -> Result<()> {
    call!(__NR_fchownat, fd, EMPTY.as_ptr(), uid, gid, AT_EMPTY_PATH).map(|_| ())
}

/// Changes the permissions of the file that `fd` refers to; `fd` may not be an O_PATH descriptor.
pub fn fchmod(fd: i32, mode: u32) -> Result<()> {
    call!(__NR_fchmod, fd, mode).map(|_| ())
}

/// Sets the access and modification times of the file that `fd` refers to, to those of `from`.
pub fn set_times(fd: i32, from: &Statx) -> Result<()> {
    let time = |time: &kernel::statx_timestamp| kernel::__kernel_timespec {
        tv_sec: time.tv_sec,
        tv_nsec: time.tv_nsec.into(),
    };
    let times = [time(&from.stx_atime), time(&from.stx_mtime)];
    call!(__NR_utimensat, fd, 0, times.as_ptr(), 0).map(|_| ())
}

/// Reads entries of a directory; returns 0 bytes at its end.
pub fn getdents(fd: i32, into: &mut [u8]) -> Result<usize> {
    call!(__NR_getdents64, fd, into.as_mut_ptr(), into.len())
}

/// Copies at most `count` bytes from the current position of `from`; returns 0 at its end.
pub fn sendfile(to: i32, from: i32, count: usize) -> Result<usize> {
    loop {
        match call!(__NR_sendfile, to, from, 0, count) {
            Err(EINTR) => {}
            other => return other,
        }
    }
}

/// Changes the permissions of a path below `dir`; follows a symbolic link.
pub fn chmod_at(dir: i32, path: Str, mode: u32) -> Result<()> {
    call!(__NR_fchmodat, dir, path.as_ptr(), mode).map(|_| ())
}

/// Makes `path` the root of this process.
pub fn chroot(path: Str) -> Result<()> {
    call!(__NR_chroot, path.as_ptr()).map(|_| ())
}

/// Makes `path` the working directory.
pub fn chdir(path: Str) -> Result<()> {
    call!(__NR_chdir, path.as_ptr()).map(|_| ())
}

/// Makes the directory behind a descriptor the working directory.
pub fn fchdir(fd: i32) -> Result<()> {
    call!(__NR_fchdir, fd).map(|_| ())
}

/// Reads the path of the working directory; returns its length with the NUL.
pub fn getcwd(into: &mut [u8]) -> Result<usize> {
    call!(__NR_getcwd, into.as_mut_ptr(), into.len())
}

/// Makes a request to a device (ioctl(2)); `argument` is a number or the address of the request's data.
pub fn ioctl(fd: i32, request: u64, argument: usize) -> Result<usize> {
    call!(__NR_ioctl, fd, request, argument)
}

/// Sets whether a write to a pipe without readers fails with EPIPE or kills the process.
pub fn ignore_sigpipe(on: bool) {
    let handler = if on { linux_raw_sys::signal_macros::sig_ign() } else { linux_raw_sys::signal_macros::SIG_DFL };
    let action = kernel::kernel_sigaction { sa_handler_kernel: handler, ..default_action() };
    // It fails only for invalid arguments.
    let _ = call!(__NR_rt_sigaction, kernel::SIGPIPE, &raw const action, 0, size_of::<kernel::kernel_sigset_t>());
}

fn default_action() -> kernel::kernel_sigaction {
    // SAFETY: all-zero is SIG_DFL, without flags, restorer and mask.
    unsafe { core::mem::zeroed() }
}

/// Resets every signal to its default action and unblocks it, whatever the caller's thread had set.
pub fn reset_signals() {
    let default = default_action();
    for signal in 1..=64 {
        // It fails only for invalid arguments: SIGKILL and SIGSTOP, which cannot be changed by anybody.
        let _ = call!(__NR_rt_sigaction, signal, &raw const default, 0, size_of::<kernel::kernel_sigset_t>());
    }
    let none = 0u64;
    // As above.
    let _ = call!(__NR_rt_sigprocmask, kernel::SIG_SETMASK, &raw const none, 0, size_of_val(&none));
}

/// Executes a program. Returns only if that fails, with the reason.
pub fn execve(path: *const u8, argv: *const *const u8, envp: *const *const u8) -> Errno {
    match call!(__NR_execve, path, argv, envp) {
        Err(errno) => errno,
        Ok(_) => EINVAL,
    }
}

/// Maps the whole file `fd`, private and writable.
pub fn map(fd: i32, len: usize) -> Result<*mut u8> {
    let (protection, flags) = (kernel::PROT_READ | kernel::PROT_WRITE, kernel::MAP_PRIVATE | kernel::MAP_POPULATE);
    call!(__NR_mmap, 0, len, protection, flags, fd, 0).map(|at| at as *mut u8)
}

/// Ends the process.
pub fn exit(status: i32) -> ! {
    // If it returns at all:
    let _ = call!(__NR_exit_group, status);
    // The configuration's filter of system calls refuses even this one. The kernel kills for an invalid instruction, too,
    // and does not spare the first process of a namespace.
    arch::trap()
}
