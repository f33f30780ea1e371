//! Checks the names of `linux.seccomp`, and the rules between its fields.

use std::path::Path;

use super::oci::{LinuxSeccomp, LinuxSeccompAction as Action, LinuxSeccompOperator as Operator, LinuxSyscall};
use super::paths;
use crate::error::{Error, Result};

pub const ACTIONS: [&str; 9] = [
    "SCMP_ACT_KILL",
    "SCMP_ACT_KILL_PROCESS",
    "SCMP_ACT_KILL_THREAD",
    "SCMP_ACT_TRAP",
    "SCMP_ACT_ERRNO",
    "SCMP_ACT_TRACE",
    "SCMP_ACT_ALLOW",
    "SCMP_ACT_LOG",
    "SCMP_ACT_NOTIFY",
];

pub const ARCHITECTURES: [&str; 24] = [
    "SCMP_ARCH_NATIVE",
    "SCMP_ARCH_X86",
    "SCMP_ARCH_X86_64",
    "SCMP_ARCH_X32",
    "SCMP_ARCH_ARM",
    "SCMP_ARCH_AARCH64",
    "SCMP_ARCH_MIPS",
    "SCMP_ARCH_MIPS64",
    "SCMP_ARCH_MIPS64N32",
    "SCMP_ARCH_MIPSEL",
    "SCMP_ARCH_MIPSEL64",
    "SCMP_ARCH_MIPSEL64N32",
    "SCMP_ARCH_PPC",
    "SCMP_ARCH_PPC64",
    "SCMP_ARCH_PPC64LE",
    "SCMP_ARCH_S390",
    "SCMP_ARCH_S390X",
    "SCMP_ARCH_PARISC",
    "SCMP_ARCH_PARISC64",
    "SCMP_ARCH_RISCV64",
    "SCMP_ARCH_LOONGARCH64",
    "SCMP_ARCH_M68K",
    "SCMP_ARCH_SH",
    "SCMP_ARCH_SHEB",
];

pub const FLAGS: [&str; 4] = [
    "SECCOMP_FILTER_FLAG_TSYNC",
    "SECCOMP_FILTER_FLAG_LOG",
    "SECCOMP_FILTER_FLAG_SPEC_ALLOW",
    "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV",
];

pub const OPERATORS: [&str; 7] =
    ["SCMP_CMP_NE", "SCMP_CMP_LT", "SCMP_CMP_LE", "SCMP_CMP_EQ", "SCMP_CMP_GE", "SCMP_CMP_GT", "SCMP_CMP_MASKED_EQ"];

/// The system call with which the process that has just loaded the filter sends its listener.
const LISTENER_SYSCALL: &str = "sendmsg";
/// The length of sun_path of unix(7), without the NUL.
const MAX_ADDRESS_LENGTH: usize = 107;

pub(super) fn check(profile: &LinuxSeccomp) -> Result<()> {
    let at = |field: &str| format!("linux.seccomp.{field}");
    check_errno(profile.default_action(), profile.default_errno_ret(), &at("defaultErrnoRet"))?;
    if profile.default_action() == Action::ScmpActNotify {
        let problem = "SCMP_ACT_NOTIFY cannot be the default: the system call that sends the listener would wait for \
                       the supervisor, which does not have it yet; expected another action";
        return Err(Error::config(&at("defaultAction"), problem));
    }
    let rules = profile.syscalls().as_deref().unwrap_or_default();
    for (index, rule) in rules.iter().enumerate() {
        check_rule(rule, &at(&format!("syscalls[{index}]")))?;
    }
    let notifies = rules.iter().any(|rule| rule.action() == Action::ScmpActNotify);
    match profile.listener_path().as_deref().filter(|path| !path.as_os_str().is_empty()) {
        Some(path) => check_address(path, &at("listenerPath"))?,
        None if notifies => {
            let problem = "is missing, and there is a rule with SCMP_ACT_NOTIFY; expected the supervisor's socket";
            return Err(Error::config(&at("listenerPath"), problem));
        }
        None if profile.listener_metadata().as_ref().is_some_and(|metadata| !metadata.is_empty()) => {
            return Err(Error::config(&at("listenerMetadata"), "is given without listenerPath; expected both or none"));
        }
        None => {}
    }
    Ok(())
}

fn check_address(path: &Path, at: &str) -> Result<()> {
    paths::absolute(path, at)?;
    let length = path.as_os_str().len();
    if length > MAX_ADDRESS_LENGTH {
        let problem = format!("is {length} bytes long; expected at most {MAX_ADDRESS_LENGTH}, the address of a socket");
        return Err(Error::config(at, problem));
    }
    Ok(())
}

fn check_rule(rule: &LinuxSyscall, at: &str) -> Result<()> {
    check_errno(rule.action(), rule.errno_ret(), &format!("{at}.errnoRet"))?;
    if rule.names().is_empty() {
        return Err(Error::config(&format!("{at}.names"), "is empty; expected at least one system call"));
    }
    for (index, name) in rule.names().iter().enumerate() {
        let at = format!("{at}.names[{index}]");
        if name.is_empty() {
            return Err(Error::config(&at, "is empty; expected the name of a system call"));
        }
        if rule.action() == Action::ScmpActNotify && name == LISTENER_SYSCALL {
            let problem = "SCMP_ACT_NOTIFY is not possible for sendmsg, which sends the listener and would wait for \
                           the supervisor, which does not have it yet; expected another action";
            return Err(Error::config(&at, problem));
        }
    }
    for (index, condition) in rule.args().iter().flatten().enumerate() {
        if condition.op() != Operator::ScmpCmpMaskedEq && condition.value_two().unwrap_or(0) != 0 {
            return Err(Error::config(
                &format!("{at}.args[{index}].valueTwo"),
                "is only for SCMP_CMP_MASKED_EQ; expected 0 or nothing",
            ));
        }
    }
    Ok(())
}

fn check_errno(action: Action, errno: Option<u32>, at: &str) -> Result<()> {
    match (action, errno) {
        (Action::ScmpActErrno | Action::ScmpActTrace, _) | (_, None) => Ok(()),
        (action, Some(_)) => {
            let problem = format!("is not for the action {action}; expected it with SCMP_ACT_ERRNO or SCMP_ACT_TRACE");
            Err(Error::config(at, problem))
        }
    }
}
