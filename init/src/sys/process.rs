//! Process system calls: namespaces, identity, limits, scheduling, and children.

use linux_raw_sys::general as kernel;
use linux_raw_sys::ptrace;

use super::*;

/// Joins the namespace that a descriptor refers to; `kind` is its CLONE_NEW… flag, or several flags for a pidfd.
pub fn setns(fd: i32, kind: u64) -> Result<()> {
    call!(__NR_setns, fd, kind).map(|_| ())
}

/// Creates new namespaces and enters them (CLONE_NEW…).
pub fn unshare(flags: u64) -> Result<()> {
    call!(__NR_unshare, flags).map(|_| ())
}

/// Sets the host name of the UTS namespace.
pub fn sethostname(name: &[u8]) -> Result<()> {
    call!(__NR_sethostname, name.as_ptr(), name.len()).map(|_| ())
}

/// Sets the NIS domain name of the UTS namespace.
pub fn setdomainname(name: &[u8]) -> Result<()> {
    call!(__NR_setdomainname, name.as_ptr(), name.len()).map(|_| ())
}

/// Makes this process the leader of a new session.
pub fn setsid() -> Result<()> {
    call!(__NR_setsid).map(|_| ())
}

/// Joins a new anonymous session keyring, which no other process can have created before (keyctl(2)).
pub fn new_session_keyring() -> Result<()> {
    const KEYCTL_JOIN_SESSION_KEYRING: usize = 1;
    call!(__NR_keyctl, KEYCTL_JOIN_SESSION_KEYRING, 0).map(|_| ())
}

/// Resets the CPU affinity and a realtime policy inherited from the caller's thread.
pub fn reset_scheduling() {
    const REALTIME: [u32; 3] = [kernel::SCHED_FIFO, kernel::SCHED_RR, kernel::SCHED_DEADLINE];
    let all = [u64::MAX; 128];
    // Without the right to change them, init keeps what it has inherited, as every other child would.
    let _ = call!(__NR_sched_setaffinity, 0, size_of_val(&all), all.as_ptr());
    if call!(__NR_sched_getscheduler, 0).is_ok_and(|policy| REALTIME.contains(&(policy as u32))) {
        let priority = 0i32;
        // As above.
        let _ = call!(__NR_sched_setscheduler, 0, kernel::SCHED_NORMAL, &raw const priority);
    }
}

/// Sets the limits of a resource (RLIMIT_…).
pub fn setrlimit(resource: u64, soft: u64, hard: u64) -> Result<()> {
    let limit = kernel::rlimit64 { rlim_cur: soft, rlim_max: hard };
    call!(__NR_prlimit64, 0, resource, &raw const limit, 0).map(|_| ())
}

/// Performs an operation on this process (prctl(2)).
pub fn prctl(option: u32, a: usize, b: usize) -> Result<usize> {
    call!(__NR_prctl, option, a, b, 0, 0)
}

/// Sets the supplementary groups: `count` ids.
pub fn setgroups(count: usize, groups: *const u32) -> Result<()> {
    call!(__NR_setgroups, count, groups).map(|_| ())
}

/// Returns the number of supplementary groups.
pub fn group_count() -> Result<usize> {
    call!(__NR_getgroups, 0, 0)
}

/// Sets the real, effective and saved user id.
pub fn setresuid(uid: u32) -> Result<()> {
    call!(__NR_setresuid, uid, uid, uid).map(|_| ())
}

/// Sets the real, effective and saved group id.
pub fn setresgid(gid: u32) -> Result<()> {
    call!(__NR_setresgid, gid, gid, gid).map(|_| ())
}

const CAP_HEADER: kernel::__user_cap_header_struct =
    kernel::__user_cap_header_struct { version: kernel::_LINUX_CAPABILITY_VERSION_3, pid: 0 };

/// Returns the permitted and the inheritable capabilities.
pub fn capget() -> Result<(u64, u64)> {
    // If the header has another version, the kernel writes its own into it.
    let mut header = CAP_HEADER;
    let mut data = [kernel::__user_cap_data_struct { effective: 0, permitted: 0, inheritable: 0 }; 2];
    call!(__NR_capget, &raw mut header, data.as_mut_ptr())?;
    let whole = |low: u32, high: u32| low as u64 | (high as u64) << 32;
    Ok((whole(data[0].permitted, data[1].permitted), whole(data[0].inheritable, data[1].inheritable)))
}

/// Sets the capabilities: bit N stands for capability N.
pub fn capset(effective: u64, permitted: u64, inheritable: u64) -> Result<()> {
    let mut header = CAP_HEADER;
    let data = [0, 32].map(|shift| kernel::__user_cap_data_struct {
        effective: (effective >> shift) as u32,
        permitted: (permitted >> shift) as u32,
        inheritable: (inheritable >> shift) as u32,
    });
    call!(__NR_capset, &raw mut header, data.as_ptr()).map(|_| ())
}

/// Sends a signal to a process that has not been reaped.
pub fn kill(pid: i32, signal: usize) {
    // It has exited already.
    let _ = call!(__NR_kill, pid, signal);
}

/// Sets the file mode creation mask.
pub fn umask(mask: u64) {
    // It returns the previous mask, and cannot fail.
    let _ = call!(__NR_umask, mask);
}

/// The arguments of clone3, as of Linux 5.7.
pub type CloneArgs = kernel::clone_args;

/// Arguments that are all zero, to be filled in.
pub const CLONE_ARGS: CloneArgs = CloneArgs {
    flags: 0,
    pidfd: 0,
    child_tid: 0,
    parent_tid: 0,
    exit_signal: 0,
    stack: 0,
    stack_size: 0,
    tls: 0,
    set_tid: 0,
    set_tid_size: 0,
    cgroup: 0,
};

/// Calls clone3 without shared memory: both processes return, the child with 0.
pub fn fork(args: &CloneArgs) -> Result<i32> {
    call!(__NR_clone3, args as *const CloneArgs, size_of::<CloneArgs>()).map(|pid| pid as i32)
}

/// Sets the CPUs that this process may run on: `words` 32-bit numbers.
pub fn set_affinity(words: usize, mask: *const u32) -> Result<()> {
    call!(__NR_sched_setaffinity, 0, words * 4, mask).map(|_| ())
}

/// Sets the execution domain (personality(2)).
pub fn personality(persona: u64) -> Result<()> {
    call!(__NR_personality, persona).map(|_| ())
}

/// Sets the memory policy; `nodes` has `words` 32-bit numbers.
pub fn set_memory_policy(mode: u64, words: usize, nodes: *const u32) -> Result<()> {
    // One more than the number of bits: the kernel treats it as exclusive (set_mempolicy(2), "BUGS").
    let bits = if words == 0 { 0 } else { words * 32 + 1 };
    call!(__NR_set_mempolicy, mode, nodes, bits).map(|_| ())
}

/// Loads a seccomp filter of `count` instructions (struct sock_filter, two words each). Returns the listener, if the
/// flags ask for one.
pub fn load_filter(instructions: *const u32, count: usize, flags: u64) -> Result<i32> {
    let program = ptrace::sock_fprog { len: count as u16, filter: instructions as *mut ptrace::sock_filter };
    call!(__NR_seccomp, ptrace::SECCOMP_SET_MODE_FILTER, flags, &raw const program).map(|fd| fd as i32)
}
