//! Seccomp filters: compiles `linux.seccomp` to the program that the kernel runs at every system call.
//!
//! libseccomp compiles; that takes milliseconds for a usual profile, so filters are cached. `newer` prepends the
//! treatment of newer system calls, which libseccomp does not offer.

mod added;
mod cache;
mod compile;
#[cfg(test)]
mod interpret;
mod newer;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, PoisonError};

use crate::error::{Error, Result};
use crate::spec::oci::{LinuxSeccomp, LinuxSeccompFilterFlag as Flag, Spec};
use cache::Cache;

/// A compiled filter.
#[derive(PartialEq, Eq)]
pub struct Filter {
    pub program: Vec<Instruction>,
    /// SECCOMP_FILTER_FLAG_… for seccomp(2).
    pub flags: u32,
    /// Whether some system calls are decided by the supervisor at the listener socket.
    pub notifies: bool,
    /// The errnos that the filter may return.
    pub errnos: Vec<i32>,
    /// The system calls that this libseccomp does not know. The filter omits them.
    pub unknown: Vec<String>,
}

impl std::fmt::Debug for Filter {
    fn fmt(&self, formatter: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(formatter, "a filter of {} instructions, {:?}", self.program.len(), self.flag_names())
    }
}

impl Filter {
    pub fn flag_names(&self) -> Vec<&'static str> {
        let names = [
            (libc::SECCOMP_FILTER_FLAG_TSYNC, "TSYNC"),
            (libc::SECCOMP_FILTER_FLAG_LOG, "LOG"),
            (libc::SECCOMP_FILTER_FLAG_SPEC_ALLOW, "SPEC_ALLOW"),
            (libc::SECCOMP_FILTER_FLAG_NEW_LISTENER, "NEW_LISTENER"),
            (libc::SECCOMP_FILTER_FLAG_TSYNC_ESRCH, "TSYNC_ESRCH"),
            (libc::SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, "WAIT_KILLABLE_RECV"),
        ];
        names.iter().filter(|(bit, _)| u64::from(self.flags) & *bit != 0).map(|(_, name)| *name).collect()
    }

    /// Logs the system calls that this libseccomp does not know.
    pub fn report(&self) {
        if !self.unknown.is_empty() {
            log::info!(
                "linux.seccomp names system calls that libseccomp here does not know, which are left out: {}",
                self.unknown.join(", ")
            );
        }
    }
}

/// struct sock_filter of linux/filter.h.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instruction {
    pub code: u16,
    pub if_true: u8,
    pub if_false: u8,
    pub value: u32,
}

impl Instruction {
    pub fn bytes(&self) -> [u8; 8] {
        let [c0, c1] = self.code.to_ne_bytes();
        let [v0, v1, v2, v3] = self.value.to_ne_bytes();
        [c0, c1, self.if_true, self.if_false, v0, v1, v2, v3]
    }
}

/// The kernel's BPF_MAXINSNS.
const MAX_INSTRUCTIONS: usize = 4096;

/// Returns the filter of a configuration, if it has one. Errors name the JSON path.
pub fn filter(spec: &Spec) -> Result<Option<Arc<Filter>>> {
    let Some(seccomp) = profile(spec) else { return Ok(None) };
    // libseccomp sets global variables without a lock, so compile one filter at a time.
    static CACHE: Mutex<Cache> = Mutex::new(Cache::new());
    let mut cache = CACHE.lock().unwrap_or_else(PoisonError::into_inner);
    cache.get(seccomp, compile::compile).map(Some)
}

pub fn profile(spec: &Spec) -> Option<&LinuxSeccomp> {
    spec.linux().as_ref().and_then(|linux| linux.seccomp().as_ref())
}

/// Returns the value of a flag in linux/seccomp.h.
fn flag_bit(flag: Flag) -> u32 {
    let bit = match flag {
        Flag::SeccompFilterFlagTsync => libc::SECCOMP_FILTER_FLAG_TSYNC,
        Flag::SeccompFilterFlagLog => libc::SECCOMP_FILTER_FLAG_LOG,
        Flag::SeccompFilterFlagSpecAllow => libc::SECCOMP_FILTER_FLAG_SPEC_ALLOW,
        Flag::SeccompFilterFlagWaitKillableRecv => libc::SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV,
    };
    bit as u32
}

/// Checks that the kernel supports the flags of a profile. Changes nothing: the program's address is 0.
pub fn check_host(spec: &Spec) -> Result<()> {
    let flags = profile(spec).and_then(|seccomp| seccomp.flags().as_ref());
    for (index, flag) in flags.into_iter().flatten().enumerate() {
        // WAIT_KILLABLE_RECV needs a listener, and TSYNC with a listener needs another flag.
        let with = match flag {
            Flag::SeccompFilterFlagWaitKillableRecv => libc::SECCOMP_FILTER_FLAG_NEW_LISTENER as u32,
            _ => 0,
        };
        if !kernel_knows(flag_bit(*flag) | with) {
            let problem = "this kernel does not know the flag; leave it out";
            return Err(Error::unsupported_field(&format!("linux.seccomp.flags[{index}]"), problem));
        }
    }
    Ok(())
}

fn kernel_knows(flags: u32) -> bool {
    let no_program = std::ptr::null::<libc::sock_fprog>();
    // SAFETY: the kernel checks the flags first, and then fails on the null address.
    let result = unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, no_program) };
    nix::errno::Errno::result(result) != Err(nix::errno::Errno::EINVAL)
}
