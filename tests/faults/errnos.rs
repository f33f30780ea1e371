//! Which errors the manual pages name for a system call, and which calls are not made to fail.
//!
//! Left out everywhere: EFAULT, EBADF, ENOTSOCK and EISCONN, which only a wrong pointer or descriptor of the program brings
//! about, no state of the host.

use libc::*;

/// Why a call is not made to fail.
pub const EXCLUDED: &[(i64, &str, &str)] = &[
    (SYS_close, "close", "closes the descriptor whatever it returns, and nobody can do anything about it"),
    (SYS_exit, "exit", "does not return"),
    (SYS_exit_group, "exit_group", "does not return"),
    (SYS_rt_sigreturn, "rt_sigreturn", "does not return"),
    (SYS_restart_syscall, "restart_syscall", "made by the kernel"),
    (SYS_brk, "brk", "memory: without it, Rust's allocator ends the process by design"),
    (SYS_munmap, "munmap", "memory, as above; of the program's own mappings it does not fail"),
    (SYS_mprotect, "mprotect", "memory, as above; only the loader and the allocator call it"),
    (SYS_mremap, "mremap", "memory, as above"),
    (SYS_madvise, "madvise", "advice"),
    (SYS_futex, "futex", "the C library's and Rust's locks end the process by design"),
    (SYS_set_tid_address, "set_tid_address", "names no error"),
    (SYS_set_robust_list, "set_robust_list", "the C library's"),
    (SYS_rseq, "rseq", "the C library's"),
    (SYS_arch_prctl, "arch_prctl", "the C library's"),
    (SYS_sigaltstack, "sigaltstack", "Rust's, which ends the process by design"),
    (SYS_getpid, "getpid", "names no error"),
    (SYS_gettid, "gettid", "names no error"),
    (SYS_getppid, "getppid", "names no error"),
    (SYS_getuid, "getuid", "names no error"),
    (SYS_geteuid, "geteuid", "names no error"),
    (SYS_getgid, "getgid", "names no error"),
    (SYS_getegid, "getegid", "names no error"),
    (SYS_umask, "umask", "names no error"),
];

/// Errors that say that a thing does not exist. A verb that removes things believes them: it has nothing to remove, and
/// forgets the thing.
pub const ABSENT: &[i32] = &[ENOENT, ENODEV, ENOTDIR, ESRCH];

const PATHS: &[i32] = &[EACCES, EINVAL, EIO, ELOOP, ENAMETOOLONG, ENOENT, ENOMEM, ENOTDIR];
const CHANGES: &[i32] =
    &[EACCES, EDQUOT, EEXIST, EINVAL, ELOOP, EMLINK, ENAMETOOLONG, ENOENT, ENOMEM, ENOSPC, ENOTDIR, EPERM, EROFS];
const REMOVALS: &[i32] =
    &[EACCES, EBUSY, EINVAL, EIO, EISDIR, ELOOP, ENAMETOOLONG, ENOENT, ENOMEM, ENOTDIR, ENOTEMPTY, EPERM, EROFS];
const RENAMES: &[i32] = &[
    EACCES,
    EBUSY,
    EDQUOT,
    EEXIST,
    EINVAL,
    EISDIR,
    ELOOP,
    EMLINK,
    ENAMETOOLONG,
    ENOENT,
    ENOMEM,
    ENOSPC,
    ENOTDIR,
    ENOTEMPTY,
    EPERM,
    EROFS,
    EXDEV,
];
const OPENS: &[i32] = &[
    EACCES,
    EBUSY,
    EDQUOT,
    EEXIST,
    EFBIG,
    EINTR,
    EINVAL,
    EISDIR,
    ELOOP,
    EMFILE,
    ENAMETOOLONG,
    ENFILE,
    ENODEV,
    ENOENT,
    ENOMEM,
    ENOSPC,
    ENOTDIR,
    ENXIO,
    EOPNOTSUPP,
    EOVERFLOW,
    EPERM,
    EROFS,
    ETXTBSY,
    EAGAIN,
];
const OPENS_BENEATH: &[i32] = &[
    E2BIG,
    EACCES,
    EAGAIN,
    EBUSY,
    EDQUOT,
    EEXIST,
    EINTR,
    EINVAL,
    EISDIR,
    ELOOP,
    EMFILE,
    ENAMETOOLONG,
    ENFILE,
    ENODEV,
    ENOENT,
    ENOMEM,
    ENOSPC,
    ENOTDIR,
    ENXIO,
    EPERM,
    EROFS,
    EXDEV,
];
const READS: &[i32] = &[EAGAIN, EINTR, EINVAL, EIO, EISDIR];
const READS_AT: &[i32] = &[EAGAIN, EINTR, EINVAL, EIO, EISDIR, ENXIO, EOVERFLOW, ESPIPE];
const WRITES: &[i32] = &[EAGAIN, EDESTADDRREQ, EDQUOT, EFBIG, EINTR, EINVAL, EIO, ENOSPC, EPERM, EPIPE];
const STATS: &[i32] = &[EACCES, EINVAL, ELOOP, ENAMETOOLONG, ENOENT, ENOMEM, ENOTDIR, EOVERFLOW];
const SENDS: &[i32] = &[
    EACCES,
    EAGAIN,
    EALREADY,
    ECONNRESET,
    EDESTADDRREQ,
    EINTR,
    EINVAL,
    EMSGSIZE,
    ENOBUFS,
    ENOMEM,
    ENOTCONN,
    EOPNOTSUPP,
    EPIPE,
];
const RECEIVES: &[i32] = &[EAGAIN, ECONNREFUSED, EINTR, EINVAL, ENOMEM, ENOTCONN];
const CONNECTS: &[i32] = &[
    EACCES,
    EADDRINUSE,
    EADDRNOTAVAIL,
    EAFNOSUPPORT,
    EAGAIN,
    ECONNREFUSED,
    EINTR,
    ENETUNREACH,
    ENOENT,
    EPERM,
    EPROTOTYPE,
    ETIMEDOUT,
];
const EXECUTES: &[i32] = &[
    E2BIG,
    EACCES,
    EAGAIN,
    EINVAL,
    EIO,
    EISDIR,
    ELIBBAD,
    ELOOP,
    EMFILE,
    ENAMETOOLONG,
    ENFILE,
    ENOENT,
    ENOEXEC,
    ENOMEM,
    ENOTDIR,
    EPERM,
    ETXTBSY,
];
const STARTS: &[i32] = &[EACCES, EAGAIN, EBUSY, EEXIST, EINVAL, ENOMEM, ENOSPC, EOPNOTSUPP, EPERM, EUSERS];
const DESCRIPTORS: &[i32] = &[EINVAL, EMFILE, ENFILE, ENODEV, ENOMEM];
const SCHEDULING: &[i32] = &[EINVAL, EPERM, ESRCH];
const IDENTITY: &[i32] = &[EAGAIN, EINVAL, EPERM];
const MOUNTS: &[i32] = &[
    EACCES,
    EBUSY,
    EINVAL,
    ELOOP,
    EMFILE,
    ENAMETOOLONG,
    ENODEV,
    ENOENT,
    ENOMEM,
    ENOTBLK,
    ENOTDIR,
    ENXIO,
    EPERM,
    EROFS,
];
const ATTRIBUTES: &[i32] = &[EDQUOT, EEXIST, ENODATA, ENOSPC, ENOTSUP, EPERM, ERANGE];
const KEYS: &[i32] = &[
    EACCES,
    EDQUOT,
    EINVAL,
    EKEYEXPIRED,
    EKEYREJECTED,
    EKEYREVOKED,
    ENFILE,
    ENOENT,
    ENOKEY,
    ENOMEM,
    ENOTDIR,
    EOPNOTSUPP,
    EPERM,
];

/// Number, name and errors of each call.
pub const TABLE: &[(i64, &str, &[i32])] = &[
    (SYS_accept4, "accept4", &[EAGAIN, ECONNABORTED, EINTR, EINVAL, EMFILE, ENFILE, ENOBUFS, ENOMEM, EPERM, EPROTO]),
    (SYS_access, "access", PATHS),
    (SYS_bind, "bind", &[EACCES, EADDRINUSE, EADDRNOTAVAIL, EINVAL, ELOOP, ENOENT, ENOMEM, ENOTDIR, EROFS]),
    (SYS_capget, "capget", SCHEDULING),
    (SYS_capset, "capset", SCHEDULING),
    (SYS_chdir, "chdir", PATHS),
    (SYS_clock_gettime, "clock_gettime", &[EINVAL, EPERM]),
    (SYS_clock_nanosleep, "clock_nanosleep", &[EINTR, EINVAL]),
    (SYS_clone, "clone", STARTS),
    (SYS_clone3, "clone3", STARTS),
    (SYS_close_range, "close_range", &[EINVAL, EMFILE, ENOMEM]),
    (SYS_connect, "connect", CONNECTS),
    (SYS_copy_file_range, "copy_file_range", &[EFBIG, EINVAL, EIO, EISDIR, ENOMEM, ENOSPC, EPERM, EXDEV]),
    (SYS_dup, "dup", &[EMFILE]),
    (SYS_dup2, "dup2", &[EBUSY, EINTR, EMFILE]),
    (SYS_dup3, "dup3", &[EBUSY, EINTR, EINVAL, EMFILE]),
    (SYS_epoll_create1, "epoll_create1", &[EINVAL, EMFILE, ENFILE, ENOMEM]),
    (SYS_epoll_ctl, "epoll_ctl", &[EEXIST, EINVAL, ELOOP, ENOENT, ENOMEM, ENOSPC, EPERM]),
    (SYS_epoll_wait, "epoll_wait", &[EINTR, EINVAL]),
    (SYS_eventfd2, "eventfd2", DESCRIPTORS),
    (SYS_execve, "execve", EXECUTES),
    (SYS_execveat, "execveat", EXECUTES),
    (SYS_faccessat, "faccessat", PATHS),
    (SYS_faccessat2, "faccessat2", PATHS),
    (SYS_fallocate, "fallocate", &[EFBIG, EINTR, EINVAL, EIO, ENODEV, ENOSPC, EOPNOTSUPP, EPERM, ESPIPE, ETXTBSY]),
    (SYS_fchdir, "fchdir", PATHS),
    (SYS_fchmod, "fchmod", &[EIO, EPERM, EROFS]),
    (SYS_fchmodat, "fchmodat", &[EACCES, EIO, ELOOP, ENAMETOOLONG, ENOENT, ENOMEM, ENOTDIR, ENOTSUP, EPERM, EROFS]),
    (SYS_fchown, "fchown", &[EIO, EPERM, EROFS]),
    (SYS_fchownat, "fchownat", &[EACCES, EIO, ELOOP, ENAMETOOLONG, ENOENT, ENOMEM, ENOTDIR, EPERM, EROFS]),
    (SYS_fcntl, "fcntl", &[EACCES, EAGAIN, EBUSY, EINTR, EINVAL, EMFILE, ENOLCK, EPERM]),
    (SYS_fgetxattr, "fgetxattr", ATTRIBUTES),
    (SYS_flistxattr, "flistxattr", &[E2BIG, ENOTSUP, ERANGE]),
    (SYS_flock, "flock", &[EINTR, EINVAL, ENOLCK, EWOULDBLOCK]),
    (SYS_fsconfig, "fsconfig", &[EACCES, EBUSY, EINVAL, ENODEV, ENOENT, ENOMEM, ENOTBLK, ENXIO, EOPNOTSUPP, EPERM]),
    (SYS_fsetxattr, "fsetxattr", ATTRIBUTES),
    (SYS_fsmount, "fsmount", &[EBUSY, EINVAL, EMFILE, ENFILE, ENOMEM, EPERM]),
    (SYS_fsopen, "fsopen", &[EINVAL, EMFILE, ENFILE, ENODEV, ENOMEM, EPERM]),
    (SYS_fstat, "fstat", STATS),
    (SYS_fstatfs, "fstatfs", &[EINTR, EIO, ENOMEM, EOVERFLOW]),
    (SYS_fsync, "fsync", &[EDQUOT, EINTR, EINVAL, EIO, ENOSPC, EROFS]),
    (SYS_ftruncate, "ftruncate", &[EACCES, EFBIG, EINTR, EINVAL, EIO, EPERM, EROFS, ETXTBSY]),
    (SYS_getcwd, "getcwd", &[EACCES, EINVAL, ENAMETOOLONG, ENOENT, ENOMEM, ERANGE]),
    (SYS_getdents64, "getdents64", &[EINVAL, ENOENT, ENOTDIR]),
    (SYS_getgroups, "getgroups", &[EINVAL, EPERM]),
    (SYS_getpgid, "getpgid", &[ESRCH]),
    (SYS_getsid, "getsid", &[EPERM, ESRCH]),
    (SYS_getrandom, "getrandom", &[EAGAIN, EINTR, EINVAL, ENOSYS]),
    (SYS_getpeername, "getpeername", &[EINVAL, ENOBUFS, ENOTCONN]),
    (SYS_getsockname, "getsockname", &[EINVAL, ENOBUFS]),
    (SYS_getsockopt, "getsockopt", &[EINVAL, ENOPROTOOPT]),
    (
        SYS_inotify_add_watch,
        "inotify_add_watch",
        &[EACCES, EEXIST, EINVAL, ENAMETOOLONG, ENOENT, ENOMEM, ENOSPC, ENOTDIR],
    ),
    (SYS_inotify_init1, "inotify_init1", &[EINVAL, EMFILE, ENFILE, ENOMEM]),
    (SYS_ioctl, "ioctl", &[EINVAL, ENOTTY]),
    (SYS_keyctl, "keyctl", KEYS),
    (SYS_kill, "kill", SCHEDULING),
    (SYS_linkat, "linkat", CHANGES),
    (SYS_listen, "listen", &[EADDRINUSE, EOPNOTSUPP]),
    (SYS_lseek, "lseek", &[EINVAL, ENXIO, EOVERFLOW, ESPIPE]),
    (SYS_lstat, "lstat", STATS),
    (SYS_memfd_create, "memfd_create", &[EINVAL, EMFILE, ENFILE, ENOMEM]),
    (SYS_mkdir, "mkdir", CHANGES),
    (SYS_mkdirat, "mkdirat", CHANGES),
    (SYS_mknodat, "mknodat", CHANGES),
    (SYS_mmap, "mmap", &[EACCES, EAGAIN, EINVAL, ENFILE, ENODEV, ENOMEM, EOVERFLOW, EPERM, ETXTBSY]),
    (SYS_mount, "mount", MOUNTS),
    (SYS_mount_setattr, "mount_setattr", &[EBUSY, EINVAL, ENOENT, ENOMEM, ENOSPC, EPERM]),
    (SYS_move_mount, "move_mount", &[EACCES, EBUSY, EINVAL, ELOOP, ENAMETOOLONG, ENOENT, ENOMEM, ENOTDIR, EPERM]),
    (SYS_newfstatat, "newfstatat", STATS),
    (SYS_open, "open", OPENS),
    (
        SYS_open_tree,
        "open_tree",
        &[EACCES, EINVAL, ELOOP, EMFILE, ENAMETOOLONG, ENFILE, ENOENT, ENOMEM, ENOTDIR, EPERM],
    ),
    (SYS_openat, "openat", OPENS),
    (SYS_openat2, "openat2", OPENS_BENEATH),
    (SYS_pidfd_getfd, "pidfd_getfd", &[EINVAL, EMFILE, EPERM, ESRCH]),
    (SYS_pidfd_open, "pidfd_open", &[EINVAL, EMFILE, ENFILE, ENODEV, ENOMEM, ESRCH]),
    (SYS_pidfd_send_signal, "pidfd_send_signal", SCHEDULING),
    (SYS_pipe2, "pipe2", &[EINVAL, EMFILE, ENFILE]),
    (SYS_pivot_root, "pivot_root", &[EBUSY, EINVAL, ENOTDIR, EPERM]),
    (SYS_poll, "poll", &[EINTR, EINVAL, ENOMEM]),
    (SYS_ppoll, "ppoll", &[EINTR, EINVAL, ENOMEM]),
    (SYS_prctl, "prctl", &[EACCES, EBUSY, EINVAL, ENODEV, ENXIO, EOPNOTSUPP, EPERM, ERANGE]),
    (SYS_pread64, "pread64", READS_AT),
    (SYS_prlimit64, "prlimit64", SCHEDULING),
    (SYS_pwrite64, "pwrite64", WRITES),
    (SYS_read, "read", READS),
    (SYS_readlink, "readlink", PATHS),
    (SYS_readlinkat, "readlinkat", PATHS),
    (SYS_recvfrom, "recvfrom", RECEIVES),
    (SYS_recvmsg, "recvmsg", RECEIVES),
    (SYS_rename, "rename", RENAMES),
    (SYS_renameat, "renameat", RENAMES),
    (SYS_renameat2, "renameat2", RENAMES),
    (SYS_rmdir, "rmdir", REMOVALS),
    (SYS_rt_sigaction, "rt_sigaction", &[EINVAL]),
    (SYS_rt_sigprocmask, "rt_sigprocmask", &[EINVAL]),
    (SYS_sched_getaffinity, "sched_getaffinity", SCHEDULING),
    (SYS_sched_getparam, "sched_getparam", SCHEDULING),
    (SYS_sched_getscheduler, "sched_getscheduler", SCHEDULING),
    (SYS_sched_setaffinity, "sched_setaffinity", SCHEDULING),
    (SYS_seccomp, "seccomp", &[EACCES, EINVAL, ENOMEM, EOPNOTSUPP, ESRCH]),
    (SYS_sendfile, "sendfile", &[EAGAIN, EINVAL, EIO, ENOMEM, EOVERFLOW, ESPIPE]),
    (SYS_sendmsg, "sendmsg", SENDS),
    (SYS_sendto, "sendto", SENDS),
    (SYS_setgroups, "setgroups", &[EINVAL, ENOMEM, EPERM]),
    (SYS_sethostname, "sethostname", &[EINVAL, ENAMETOOLONG, EPERM]),
    (SYS_setns, "setns", &[EINVAL, ENOMEM, EPERM, ESRCH]),
    (SYS_setresgid, "setresgid", IDENTITY),
    (SYS_setresuid, "setresuid", IDENTITY),
    (SYS_setsid, "setsid", &[EPERM]),
    (SYS_setsockopt, "setsockopt", &[EDOM, EINVAL, ENOPROTOOPT]),
    (SYS_setpgid, "setpgid", &[EACCES, EINVAL, EPERM, ESRCH]),
    (SYS_shutdown, "shutdown", &[EINVAL, ENOTCONN]),
    (SYS_signalfd4, "signalfd4", DESCRIPTORS),
    (SYS_socket, "socket", &[EACCES, EAFNOSUPPORT, EINVAL, EMFILE, ENFILE, ENOBUFS, EPROTONOSUPPORT]),
    (SYS_socketpair, "socketpair", &[EAFNOSUPPORT, EMFILE, ENFILE, EOPNOTSUPP, EPROTONOSUPPORT]),
    (SYS_stat, "stat", STATS),
    (SYS_statfs, "statfs", &[EACCES, EINTR, EIO, ELOOP, ENOENT, ENOMEM, ENOTDIR, EOVERFLOW]),
    (SYS_statx, "statx", STATS),
    (SYS_symlinkat, "symlinkat", CHANGES),
    (SYS_tgkill, "tgkill", SCHEDULING),
    (SYS_umount2, "umount2", &[EAGAIN, EBUSY, EINVAL, ENAMETOOLONG, ENOENT, ENOMEM, EPERM]),
    (SYS_unlink, "unlink", REMOVALS),
    (SYS_unlinkat, "unlinkat", REMOVALS),
    (SYS_unshare, "unshare", &[EINVAL, ENOMEM, ENOSPC, EPERM, EUSERS]),
    (SYS_utimensat, "utimensat", &[EACCES, EINVAL, ELOOP, ENOENT, ENOTDIR, EPERM, EROFS]),
    (SYS_wait4, "wait4", &[ECHILD, EINTR, EINVAL]),
    (SYS_waitid, "waitid", &[EAGAIN, ECHILD, EINTR, EINVAL, ESRCH]),
    (SYS_write, "write", WRITES),
];

/// Returns the errors with which a call is to fail; none for a call that is in neither table.
pub fn of(number: i64, args: &[u64; 6]) -> Option<&'static [i32]> {
    // The standard library's check of a descriptor that it closes, in debug builds: it ends the process by design.
    let checks = number == SYS_fcntl && args[1] == F_GETFD as u64;
    // The allocator's.
    let allocates = number == SYS_mmap && args[3] & MAP_ANONYMOUS as u64 != 0;
    // It never waits; the standard library, which asks for the keys of its maps, knows that.
    if number == SYS_getrandom && args[2] & u64::from(GRND_INSECURE) != 0 {
        return Some(&[EINTR, EINVAL, ENOSYS]);
    }
    if checks || allocates || EXCLUDED.iter().any(|excluded| excluded.0 == number) {
        return Some(&[]);
    }
    TABLE.iter().find(|call| call.0 == number).map(|call| call.2)
}

pub fn name(number: i64) -> String {
    let known = TABLE.iter().map(|call| (call.0, call.1)).chain(EXCLUDED.iter().map(|call| (call.0, call.1)));
    let mut known = known.filter(|call| call.0 == number).map(|call| call.1.to_owned());
    known.next().unwrap_or_else(|| format!("system call {number}"))
}
