//! The kernel's numbers by their own names, from linux-raw-sys, in the types that the calls beside take.

use super::Errno;

macro_rules! constants {
    ($from:ident as $type:ident: $($name:ident)*) => {
        $(#[doc = concat!("The kernel's ", stringify!($name), ".")]
        pub const $name: $type = constants!(@ $type linux_raw_sys::$from::$name);)*
    };
    (@ Errno $value:expr) => { Errno($value as i32) };
    (@ $type:ident $value:expr) => { $value as $type };
}

constants! { errno as Errno:
    EPERM ENOENT EINTR EAGAIN EACCES EEXIST ENODEV ENOTDIR EINVAL ENAMETOOLONG ENOSYS ELOOP EPROTO
}
constants! { general as i32:
    AT_FDCWD
}
constants! { general as u32:
    AT_EMPTY_PATH AT_RECURSIVE
    S_IFMT S_IFDIR S_IFCHR S_IFREG S_IFLNK S_IFSOCK
    OPEN_TREE_CLONE MOVE_MOUNT_F_EMPTY_PATH MOVE_MOUNT_T_EMPTY_PATH MNT_DETACH
}
constants! { general as u64:
    O_RDONLY O_WRONLY O_RDWR O_CREAT O_EXCL O_NOCTTY O_NONBLOCK O_DIRECTORY O_NOFOLLOW O_CLOEXEC O_PATH
    RESOLVE_NO_XDEV RESOLVE_NO_MAGICLINKS RESOLVE_NO_SYMLINKS RESOLVE_BENEATH RESOLVE_IN_ROOT
    PROC_SUPER_MAGIC DEVPTS_SUPER_MAGIC
    MOUNT_ATTR_RDONLY MOUNT_ATTR_NOSUID MOUNT_ATTR_NODEV MOUNT_ATTR_NOEXEC MOUNT_ATTR__ATIME MOUNT_ATTR_NOATIME
    MOUNT_ATTR_STRICTATIME MOUNT_ATTR_NODIRATIME MOUNT_ATTR_NOSYMFOLLOW MOUNT_ATTR_IDMAP
    MS_RDONLY MS_NOSUID MS_NODEV MS_NOEXEC MS_NOSYMFOLLOW MS_REMOUNT MS_NOATIME MS_NODIRATIME MS_BIND MS_REC MS_SLAVE
    MS_RELATIME MS_STRICTATIME
    CLONE_PIDFD CLONE_PARENT CLONE_CLEAR_SIGHAND CLONE_INTO_CGROUP CLONE_NEWTIME CLONE_NEWNET
}
constants! { general as usize:
    SIGKILL
}
constants! { prctl as u32:
    PR_SET_PDEATHSIG PR_SET_DUMPABLE PR_SET_NAME PR_SET_KEEPCAPS PR_CAPBSET_DROP PR_SET_NO_NEW_PRIVS PR_CAP_AMBIENT
}
constants! { prctl as usize:
    PR_CAP_AMBIENT_RAISE PR_CAP_AMBIENT_CLEAR_ALL
}
constants! { ioctl as u64:
    TIOCSCTTY TIOCSWINSZ TIOCSPTLCK TIOCGPTPEER SIOCGIFFLAGS SIOCSIFFLAGS
}
constants! { net as i32:
    AF_UNIX AF_NETLINK SOCK_DGRAM SOCK_RAW
}
