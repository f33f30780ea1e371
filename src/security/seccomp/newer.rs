//! Handles system calls that are newer than a profile.
//!
//! An allowlist profile refuses calls that did not exist when it was written, usually with EPERM. The C library tries
//! new calls first and falls back to old ones on ENOSYS, but treats EPERM as a final result, so old profiles break new
//! programs. So a call newer than all that the profile can have known returns ENOSYS, as on a kernel without it. This
//! allows nothing new: the profile refused the call before.

use libseccomp::{ScmpArch, ScmpSyscall};

use super::Instruction;
use crate::spec::oci::{LinuxSeccompAction as Action, LinuxSyscall};

/// The first common number: since Linux 5.1, new system calls have the same number on all architectures, from 403 on.
/// Every profile's author knows the older ones, whether or not the profile lists them.
const FIRST_COMMON: u32 = 403;
/// The bit that x32 sets in its numbers. x32 has calls of its own up to 547.
const X32_BIT: u32 = 0x4000_0000;
const X32_LAST_OWN: u32 = X32_BIT | 547;

const LOAD: u16 = 0x20; // BPF_LD | BPF_W | BPF_ABS
const JUMP: u16 = 0x05; // BPF_JMP | BPF_JA
const IF_EQUAL: u16 = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
const IF_ABOVE: u16 = 0x25; // BPF_JMP | BPF_JGT | BPF_K
const IF_FROM: u16 = 0x35; // BPF_JMP | BPF_JGE | BPF_K
const RETURN: u16 = 0x06; // BPF_RET | BPF_K

/// Offsets in struct seccomp_data.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;

const ANSWER_ENOSYS: u32 = 0x0005_0000 | libc::ENOSYS as u32; // SECCOMP_RET_ERRNO

/// Returns the instructions to run before the filter; calls that they do not answer continue in it.
pub fn prologue(architectures: &[ScmpArch], rules: &[LinuxSyscall], default: Action) -> Vec<Instruction> {
    // These actions pass new calls to the kernel or to a tracer, which can decide.
    if matches!(default, Action::ScmpActAllow | Action::ScmpActLog | Action::ScmpActTrace) {
        return Vec::new();
    }
    let has = |arch| architectures.contains(&arch);
    let last = |arch| last_known(rules, arch);
    let mut parts: Vec<Vec<Instruction>> = Vec::new();
    if has(ScmpArch::X8664) || has(ScmpArch::X32) {
        let of_x32 = if has(ScmpArch::X32) { last(ScmpArch::X32) } else { u32::MAX };
        let of_x86_64 = if has(ScmpArch::X8664) { last(ScmpArch::X8664) } else { u32::MAX };
        // Numbers with the x32 bit jump to the second comparison.
        let mut part = vec![jump(IF_FROM, X32_BIT, 2, 0)];
        part.extend([jump(IF_ABOVE, of_x86_64, 2, 0), out(), jump(IF_ABOVE, of_x32, 0, 1), answer(), out()]);
        parts.push(on(audit::X86_64, part));
    }
    for (arch, number) in
        [(ScmpArch::X86, audit::I386), (ScmpArch::Aarch64, audit::AARCH64), (ScmpArch::Arm, audit::ARM)]
    {
        if has(arch) {
            parts.push(on(number, vec![jump(IF_ABOVE, last(arch), 0, 1), answer(), out()]));
        }
    }
    let mut program = vec![instruction(LOAD, ARCHITECTURE)];
    program.extend(parts.concat());
    // The jumps marked by `out` lead to the end of all parts, which is known only now.
    let length = program.len();
    for (place, instruction) in program.iter_mut().enumerate() {
        if instruction.code == JUMP {
            instruction.value = (length - place - 1) as u32;
        }
    }
    program
}

/// AUDIT_ARCH_… of linux/audit.h.
mod audit {
    pub const X86_64: u32 = 0xc000_003e;
    pub const I386: u32 = 0x4000_0003;
    pub const AARCH64: u32 = 0xc000_00b7;
    pub const ARM: u32 = 0x4000_0028;
}

/// Returns the highest number that the profile mentions, but at least the highest that every author knew.
fn last_known(rules: &[LinuxSyscall], arch: ScmpArch) -> u32 {
    let names = rules.iter().flat_map(|rule| rule.names());
    let numbers = names.filter_map(|name| {
        let syscall = ScmpSyscall::from_name_by_arch(name, arch).ok()?;
        // Negative numbers mean calls that this architecture does not have.
        u32::try_from(syscall.as_raw_syscall()).ok()
    });
    let least = if arch == ScmpArch::X32 { X32_LAST_OWN } else { FIRST_COMMON - 1 };
    numbers.chain([least]).max().unwrap_or(least)
}

/// Returns `part` for one architecture, with the system call number loaded; other architectures skip it.
fn on(architecture: u32, part: Vec<Instruction>) -> Vec<Instruction> {
    let around = part.len() as u8 + 1;
    let mut whole = vec![jump(IF_EQUAL, architecture, 0, around), instruction(LOAD, NUMBER)];
    whole.extend(part);
    whole
}

fn out() -> Instruction {
    instruction(JUMP, 0)
}

fn answer() -> Instruction {
    instruction(RETURN, ANSWER_ENOSYS)
}

fn jump(code: u16, value: u32, if_true: u8, if_false: u8) -> Instruction {
    Instruction { code, if_true, if_false, value }
}

fn instruction(code: u16, value: u32) -> Instruction {
    jump(code, value, 0, 0)
}
