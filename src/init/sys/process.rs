//! What a process is: namespaces, identity, limits, scheduling, and its children.

use super::*;

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

const LINUX_CAPABILITY_VERSION_3: u32 = 0x2008_0522;

/// Permitted and inheritable.
pub fn capget() -> Result<(u64, u64)> {
    let header = [LINUX_CAPABILITY_VERSION_3, 0];
    let mut data = [0u32; 6];
    call!(nr::CAPGET, header.as_ptr(), data.as_mut_ptr())?;
    let whole = |low: usize| data[low] as u64 | (data[low + 3] as u64) << 32;
    Ok((whole(1), whole(2)))
}

pub fn capset(effective: u64, permitted: u64, inheritable: u64) -> Result<()> {
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
pub const CLONE_NEWNET: u64 = 0x4000_0000;

/// clone3 without shared memory: both sides return, the child with 0.
pub fn fork(args: &CloneArgs) -> Result<i32> {
    call!(nr::CLONE3, args as *const CloneArgs, size_of::<CloneArgs>()).map(|pid| pid as i32)
}

/// The processors that this process may run on: `words` numbers of 32 bits.
pub fn set_affinity(words: usize, mask: *const u32) -> Result<()> {
    call!(nr::SCHED_SETAFFINITY, 0, words * 4, mask).map(|_| ())
}

pub fn personality(persona: u64) -> Result<()> {
    call!(nr::PERSONALITY, persona).map(|_| ())
}

/// `words` numbers of 32 bits.
pub fn set_memory_policy(mode: u64, words: usize, nodes: *const u32) -> Result<()> {
    // One more than the bits: the kernel takes the number for exclusive (set_mempolicy(2), "BUGS").
    let bits = if words == 0 { 0 } else { words * 32 + 1 };
    call!(nr::SET_MEMPOLICY, mode, nodes, bits).map(|_| ())
}

/// Loads `count` instructions (struct sock_filter, two words each). Returns the listener, if the flags ask for one.
pub fn load_filter(instructions: *const u32, count: usize, flags: u64) -> Result<i32> {
    const SECCOMP_SET_MODE_FILTER: usize = 1;
    #[repr(C)]
    struct Program {
        count: u16,
        instructions: *const u32,
    }
    let program = Program { count: count as u16, instructions };
    call!(nr::SECCOMP, SECCOMP_SET_MODE_FILTER, flags, &raw const program).map(|fd| fd as i32)
}
