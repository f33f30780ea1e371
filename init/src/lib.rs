//! berth-init: the first process of every container, and of every hook and helper. It executes a plan that the library has
//! compiled (`plan`), and has no libc, heap or threads.
//!
//! The crate is compiled twice. cargo compiles it as a library: libberth uses its plan format (`wire`), the raw system
//! calls that are also needed between clone and exec (`arch`, `sys`), and the program as bytes ([`PROGRAM`]); tests and
//! lints see all of it. build.rs compiles it as that program, with `cfg(berth_init)` and without std.

#![cfg_attr(not(any(test, fuzzing)), no_std)]

pub mod arch;
mod copy;
pub mod fields;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod home;
mod label;
mod layout;
pub mod loopback;
mod masks;
#[cfg(any(berth_init, all(test, not(miri))))] // Miri has its own, and no assembly
mod mem;
mod mounts;
mod network;
mod nodes;
mod options;
pub mod plan;
mod process;
mod report;
mod resolve;
mod run;
pub mod steps;
pub mod sys;
mod terminal;
#[cfg(test)]
mod test_root;
mod tree;
pub mod wire;

use plan::Refusal;
use report::Report;
use sys::{EPROTO, Errno};
use wire::{EXIT_FAILED, EXIT_OTHER_BUILD};

/// The program that containers run first: a static executable.
#[cfg(not(berth_init))]
pub const PROGRAM: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/berth-init"));

/// What failed before the first step: a system call or another operation, and the reason.
struct Refused(&'static str, Errno);

/// Adds the operation to an error.
fn named<T>(operation: &'static str, result: sys::Result<T>) -> Result<T, Refused> {
    result.map_err(|errno| Refused(operation, errno))
}

/// Executes a plan. The program's arguments are two descriptor numbers: of the file with the plan, and of the control
/// socket, which reports failures before the plan, which also names it, can be read.
pub fn execute(arguments: [Option<&[u8]>; 2]) -> ! {
    let [plan, control] = arguments.map(|argument| argument.and_then(number));
    let control = control.unwrap_or(-1);
    let plan = match map_plan(plan.unwrap_or(-1)) {
        Ok(Ok(plan)) => plan,
        Ok(Err(Refusal::OtherBuild)) => sys::exit(EXIT_OTHER_BUILD),
        Ok(Err(_)) => fail(control, Refused("reading the plan", EPROTO)),
        Err(refused) => fail(control, refused),
    };
    match prepare(plan) {
        Ok(init) => init.run(),
        // The socket may have been moved to another number.
        Err(refused) => fail(run::control(plan).unwrap_or(control), refused),
    }
}

fn fail(control: i32, Refused(operation, errno): Refused) -> ! {
    let mut report = Report::new(control);
    report.step = wire::NO_STEP;
    report.say(&[operation.as_bytes()]);
    report.failed(errno);
    sys::exit(EXIT_FAILED)
}

fn map_plan(plan_fd: i32) -> Result<Result<plan::Plan, Refusal>, Refused> {
    // Until setup ends, no process in the new namespaces may access this process, and it dies with the caller's thread.
    named("prctl(PR_SET_DUMPABLE)", sys::prctl(sys::PR_SET_DUMPABLE, 0, 0))?;
    named("prctl(PR_SET_PDEATHSIG)", sys::prctl(sys::PR_SET_PDEATHSIG, sys::SIGKILL, 0))?;
    named("prctl(PR_SET_NAME)", sys::prctl(sys::PR_SET_NAME, c"berth-init".as_ptr() as usize, 0))?;
    let len = named("statx of the plan", sys::stat(plan_fd))?.stx_size as usize;
    if len > wire::MAX_PLAN {
        return Err(Refused("reading the plan", EPROTO));
    }
    let plan = named("mmap of the plan", sys::map(plan_fd, len))?;
    // SAFETY: a private, writable mapping that is never unmapped.
    Ok(unsafe { plan::Plan::new(plan, len) })
}

fn prepare(plan: plan::Plan) -> Result<run::Init, Refused> {
    // All other signals are blocked (spawn::clone).
    sys::ignore_sigpipe(true);
    sys::umask(0);
    sys::reset_scheduling();
    run::arrange_descriptors(plan)?;
    named("reading the plan", run::Init::new(plan))
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

#[cfg(test)]
mod tests {
    use super::number;

    #[test]
    fn a_descriptor_is_a_plain_number() {
        assert_eq!(number(b"0"), Some(0));
        assert_eq!(number(b"2147483647"), Some(i32::MAX));
        for wrong in [&b""[..], b"-1", b"+1", b" 1", b"1x", b"2147483648"] {
            assert_eq!(number(wrong), None, "{wrong:?}");
        }
    }
}
