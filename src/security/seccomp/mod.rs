//! System call filters: `linux.seccomp` compiled to the program that the kernel runs at every system call.
//!
//! The compiling is libseccomp's, and takes milliseconds for a usual profile, so compiled filters are kept. `newer`
//! puts in front what libseccomp has no notion of.

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
    /// Some system calls are decided by the supervisor at the listener socket.
    pub notifies: bool,
    /// The errnos with which it refuses.
    pub errnos: Vec<i32>,
    /// Names of system calls that this libseccomp does not know. They are left out.
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

    /// Tells the log what of the profile this libseccomp does not know.
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
const MOST_INSTRUCTIONS: usize = 4096;

/// The filter of a configuration, if it has one. Errors name the JSON path.
pub fn filter(spec: &Spec) -> Result<Option<Arc<Filter>>> {
    let Some(seccomp) = profile(spec) else { return Ok(None) };
    // libseccomp has global variables that it sets without a lock: one at a time.
    static CACHE: Mutex<Cache> = Mutex::new(Cache::new());
    let mut cache = CACHE.lock().unwrap_or_else(PoisonError::into_inner);
    cache.get(seccomp, compile::compile).map(Some)
}

pub fn profile(spec: &Spec) -> Option<&LinuxSeccomp> {
    spec.linux().as_ref().and_then(|linux| linux.seccomp().as_ref())
}

/// The number of a flag in linux/seccomp.h.
fn flag_bit(flag: Flag) -> u32 {
    let bit = match flag {
        Flag::SeccompFilterFlagTsync => libc::SECCOMP_FILTER_FLAG_TSYNC,
        Flag::SeccompFilterFlagLog => libc::SECCOMP_FILTER_FLAG_LOG,
        Flag::SeccompFilterFlagSpecAllow => libc::SECCOMP_FILTER_FLAG_SPEC_ALLOW,
        Flag::SeccompFilterFlagWaitKillableRecv => libc::SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV,
    };
    bit as u32
}

/// Asks the kernel for the flags of a profile. Changes nothing: there is no program at address 0.
pub fn check_host(spec: &Spec) -> Result<()> {
    let flags = profile(spec).and_then(|seccomp| seccomp.flags().as_ref());
    for (index, flag) in flags.into_iter().flatten().enumerate() {
        // WAIT_KILLABLE_RECV goes only with a listener, and TSYNC with one only when asked for differently.
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
    // SAFETY: the kernel checks the flags, then the address, and goes no further than that.
    let result = unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, no_program) };
    nix::errno::Errno::result(result) != Err(nix::errno::Errno::EINVAL)
}
