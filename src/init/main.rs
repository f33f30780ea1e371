//! berth-init: the first process of every container, and of every hook and helper. It is compiled by build.rs
//! without std, libc, heap or threads, embedded in the library, and started from a sealed memory file.

#![no_std]
#![no_main]

#[allow(dead_code)] // the library's half: the moment between clone and exec
mod arch;
mod copy;
mod home;
mod label;
mod loopback;
mod mem;
mod mounts;
mod network;
mod plan;
mod process;
mod report;
mod run;
mod sys;
mod terminal;
mod tree;
mod wire;

use sys::{EPROTO, Result, Str};
use wire::EXIT_FAILED;

/// Called by `_start` with the initial stack: argc, argv…, as execve(2) leaves it.
///
/// # Safety
/// Only `_start` may call it.
#[unsafe(no_mangle)]
unsafe extern "C" fn berth_init_main(stack: *const usize) -> ! {
    // SAFETY: the kernel puts argc and a NULL-terminated argv at the top of the stack.
    let argument = unsafe { if *stack < 2 { None } else { Some(Str::new(*stack.add(2) as *const u8)) } };
    let Some(plan_fd) = argument.and_then(|text| number(text.bytes())) else { sys::exit(EXIT_FAILED) };
    match begin(plan_fd) {
        Ok(init) => init.run(),
        Err(_) => sys::exit(EXIT_FAILED),
    }
}

fn begin(plan_fd: i32) -> Result<run::Init> {
    // Nobody in the namespaces to come may look into this process, and the host's death is its own, until it has
    // become what it shall be.
    sys::prctl(process::PR_SET_DUMPABLE, 0, 0)?;
    sys::prctl(process::PR_SET_PDEATHSIG, 9, 0)?;
    sys::prctl(process::PR_SET_NAME, c"berth-init".as_ptr() as usize, 0)?;
    let len = sys::stat(plan_fd)?.size as usize;
    if len > wire::MAX_PLAN {
        return Err(EPROTO);
    }
    // SAFETY: a private, writable mapping that is never unmapped.
    let plan = unsafe { plan::Plan::new(sys::map(plan_fd, len)?, len)? };
    // All others are blocked (spawn::clone).
    sys::ignore_sigpipe(true);
    sys::umask(0);
    sys::reset_scheduling();
    run::arrange_descriptors(plan)?;
    run::Init::new(plan)
}

fn number(digits: &[u8]) -> Option<i32> {
    let mut value = 0i32;
    for &digit in digits {
        if !digit.is_ascii_digit() {
            return None;
        }
        value = value.checked_mul(10)?.checked_add((digit - b'0') as i32)?;
    }
    if digits.is_empty() { None } else { Some(value) }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    sys::exit(EXIT_FAILED)
}
