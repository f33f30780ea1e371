//! Compiles a profile with libseccomp.

use std::collections::HashSet;
use std::fs::File;
use std::io::{Read, Seek};

use libseccomp::error::{SeccompErrno, SeccompError};
use libseccomp::{ScmpAction, ScmpArch, ScmpArgCompare, ScmpCompareOp, ScmpFilterContext, ScmpSyscall};
use nix::sys::memfd::{MFdFlags, memfd_create};

use super::added::Added;
use super::{Filter, Instruction, MAX_INSTRUCTIONS, flag_bit, newer};
use crate::error::{Code, Context, Error, Result};
use crate::spec::oci::{
    Arch, LinuxSeccomp, LinuxSeccompAction as Action, LinuxSeccompArg, LinuxSeccompFilterFlag as Flag,
    LinuxSeccompOperator as Operator, LinuxSyscall,
};

const AT: &str = "linux.seccomp";
/// The number of names from which a binary search is faster than linear comparison. Older versions of libseccomp do not
/// have it.
const SEARCH_FROM: usize = 32;
/// SCMP_FLTATR_CTL_OPTIMIZE level: binary search by system call number.
const BINARY_TREE: u32 = 2;

pub fn compile(seccomp: &LinuxSeccomp) -> Result<Filter> {
    let default = action(seccomp.default_action(), seccomp.default_errno_ret());
    let mut context = ScmpFilterContext::new(default).map_err(|error| failed(AT, "creating a filter", &error))?;
    let architectures = add_architectures(&mut context, seccomp)?;
    // init sets no_new_privs if the configuration asks for it.
    context.set_ctl_nnp(false).map_err(|error| failed(AT, "creating a filter", &error))?;

    let rules = seccomp.syscalls().as_deref().unwrap_or_default();
    let names: usize = rules.iter().map(|rule| rule.names().len()).sum();
    if names > SEARCH_FROM {
        let _ = context.set_ctl_optimize(BINARY_TREE); // an older libseccomp compiles to a slower filter
    }
    let mut unknown = Vec::new();
    let mut used = vec![seccomp.default_action()];
    let mut errnos: Vec<i32> = errno_of(default).into_iter().collect();
    let mut added = Added::of(rules);
    for (index, rule) in rules.iter().enumerate() {
        let rule_action = action(rule.action(), rule.errno_ret());
        let (mut known, mut seen) = (false, HashSet::new());
        for (place, name) in rule.names().iter().enumerate() {
            let Ok(syscall) = ScmpSyscall::from_name(name) else {
                unknown.push(name.clone());
                continue;
            };
            known = true;
            // libseccomp refuses rules whose action is the default action.
            if rule_action != default && seen.insert(syscall) {
                for conditions in alternatives(rule) {
                    if added.is_new(syscall, rule_action, &conditions) {
                        context.add_rule_conditional(rule_action, syscall, &conditions).map_err(|error| {
                            failed(&format!("{AT}.syscalls[{index}].names[{place}]"), &format!("{name:?}"), &error)
                        })?;
                        added.check_length(&context)?;
                    }
                }
            }
        }
        if known {
            used.push(rule.action());
            errnos.extend(errno_of(rule_action));
        }
    }

    let mut program = newer::prologue(&architectures, rules, seccomp.default_action());
    if !program.is_empty() {
        errnos.push(libc::ENOSYS);
    }
    program.extend(export(&context)?);
    check_length(program.len())?;
    errnos.sort_unstable();
    errnos.dedup();
    let notifies = used.contains(&Action::ScmpActNotify);
    Ok(Filter { program, flags: flags(seccomp, notifies), notifies, errnos, unknown })
}

/// Converts an action; without an errno in the profile, EPERM.
pub(super) fn action(action: Action, value: Option<u32>) -> ScmpAction {
    let value = value.unwrap_or(libc::EPERM as u32) as u16;
    match action {
        Action::ScmpActKill | Action::ScmpActKillThread => ScmpAction::KillThread,
        Action::ScmpActKillProcess => ScmpAction::KillProcess,
        Action::ScmpActTrap => ScmpAction::Trap,
        Action::ScmpActErrno => ScmpAction::Errno(value.into()),
        Action::ScmpActNotify => ScmpAction::Notify,
        Action::ScmpActTrace => ScmpAction::Trace(value),
        Action::ScmpActLog => ScmpAction::Log,
        Action::ScmpActAllow => ScmpAction::Allow,
    }
}

fn errno_of(action: ScmpAction) -> Option<i32> {
    match action {
        ScmpAction::Errno(errno) => Some(errno),
        // The kernel returns ENOSYS without a tracer, and without a supervisor.
        ScmpAction::Trace(_) | ScmpAction::Notify => Some(libc::ENOSYS),
        _ => None,
    }
}

/// Adds the profile's architectures that this machine can run, and returns them with the native one, which libseccomp
/// always adds. System calls of other architectures cannot occur here.
fn add_architectures(context: &mut ScmpFilterContext, seccomp: &LinuxSeccomp) -> Result<Vec<ScmpArch>> {
    let native = ScmpArch::native();
    let mut added = vec![native];
    for (index, arch) in seccomp.architectures().iter().flatten().enumerate() {
        let Some(arch) = usable_here(*arch).filter(|arch| !added.contains(arch)) else { continue };
        context
            .add_arch(arch)
            .map_err(|error| failed(&format!("{AT}.architectures[{index}]"), "adding the architecture", &error))?;
        added.push(arch);
    }
    Ok(added)
}

fn usable_here(arch: Arch) -> Option<ScmpArch> {
    match arch {
        Arch::ScmpArchNative => Some(ScmpArch::native()),
        #[cfg(target_arch = "x86_64")]
        Arch::ScmpArchX86_64 => Some(ScmpArch::X8664),
        #[cfg(target_arch = "x86_64")]
        Arch::ScmpArchX86 => Some(ScmpArch::X86),
        #[cfg(target_arch = "x86_64")]
        Arch::ScmpArchX32 => Some(ScmpArch::X32),
        #[cfg(target_arch = "aarch64")]
        Arch::ScmpArchAarch64 => Some(ScmpArch::Aarch64),
        #[cfg(target_arch = "aarch64")]
        Arch::ScmpArchArm => Some(ScmpArch::Arm),
        _ => None,
    }
}

/// Returns the conditions of a rule, as libseccomp adds them: all must hold. The specification does not define several
/// conditions on one argument. Every runtime treats them as alternatives, and then all conditions of the rule.
fn alternatives(rule: &LinuxSyscall) -> Vec<Vec<ScmpArgCompare>> {
    let conditions = rule.args().as_deref().unwrap_or_default();
    let compare: Vec<ScmpArgCompare> = conditions.iter().map(comparison).collect();
    let arguments: HashSet<usize> = conditions.iter().map(LinuxSeccompArg::index).collect();
    if arguments.len() < conditions.len() { compare.into_iter().map(|one| vec![one]).collect() } else { vec![compare] }
}

fn comparison(condition: &LinuxSeccompArg) -> ScmpArgCompare {
    let (operator, value) = match condition.op() {
        Operator::ScmpCmpNe => (ScmpCompareOp::NotEqual, condition.value()),
        Operator::ScmpCmpLt => (ScmpCompareOp::Less, condition.value()),
        Operator::ScmpCmpLe => (ScmpCompareOp::LessOrEqual, condition.value()),
        Operator::ScmpCmpEq => (ScmpCompareOp::Equal, condition.value()),
        Operator::ScmpCmpGe => (ScmpCompareOp::GreaterEqual, condition.value()),
        Operator::ScmpCmpGt => (ScmpCompareOp::Greater, condition.value()),
        Operator::ScmpCmpMaskedEq => {
            (ScmpCompareOp::MaskedEqual(condition.value()), condition.value_two().unwrap_or(0))
        }
    };
    ScmpArgCompare::new(condition.index() as u32, operator, value)
}

fn flags(seccomp: &LinuxSeccomp, notifies: bool) -> u32 {
    let mut flags = 0;
    for flag in seccomp.flags().iter().flatten() {
        match flag {
            // The flag controls the wait for the supervisor; the kernel accepts it only with a listener.
            Flag::SeccompFilterFlagWaitKillableRecv if !notifies => {}
            // seccomp(2) returns either the listener or the id of a thread that could not be synchronized, so TSYNC
            // with a listener needs TSYNC_ESRCH.
            Flag::SeccompFilterFlagTsync if notifies => {
                flags |= flag_bit(*flag) | libc::SECCOMP_FILTER_FLAG_TSYNC_ESRCH as u32;
            }
            _ => flags |= flag_bit(*flag),
        }
    }
    flags | if notifies { libc::SECCOMP_FILTER_FLAG_NEW_LISTENER as u32 } else { 0 }
}

/// Returns the compiled program. It passes through a memfd: libseccomp before 2.6 can only write to a descriptor.
pub(super) fn export(context: &ScmpFilterContext) -> Result<Vec<Instruction>> {
    let doing = || "reading the compiled seccomp filter";
    let memory = memfd_create(c"berth-seccomp", MFdFlags::MFD_CLOEXEC).context(doing)?;
    context.export_bpf(&memory).map_err(|error| failed(AT, "compiling the filter", &error))?;
    let mut memory = File::from(memory);
    memory.rewind().context(doing)?;
    let mut bytes = Vec::new();
    memory.read_to_end(&mut bytes).context(doing)?;
    let one = |bytes: &[u8]| Instruction {
        code: u16::from_ne_bytes([bytes[0], bytes[1]]),
        if_true: bytes[2],
        if_false: bytes[3],
        value: u32::from_ne_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]),
    };
    Ok(bytes.chunks_exact(8).map(one).collect())
}

pub(super) fn check_length(instructions: usize) -> Result<()> {
    if instructions <= MAX_INSTRUCTIONS {
        return Ok(());
    }
    let problem = format!(
        "compiles to a filter of {instructions} instructions; expected at most {MAX_INSTRUCTIONS}, the kernel's limit"
    );
    Err(Error::config(AT, problem))
}

fn failed(path: &str, doing: &str, error: &SeccompError) -> Error {
    match error.errno() {
        Some(SeccompErrno::EEXIST) => {
            Error::config(path, format!("{doing} has another action for the same arguments already; expected one"))
        }
        Some(SeccompErrno::ENOMEM) => Error::new(Code::System, format!("{path}: {doing}: libseccomp is out of memory")),
        _ => Error::config(path, format!("{doing}: libseccomp rejects it: {error}")),
    }
}
