//! Device access on cgroup v2: an eBPF program that the kernel runs before a device is opened or created.

use std::collections::VecDeque;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::path::Path;
use std::sync::{Arc, Mutex};

use nix::errno::Errno;

use super::bpf;
use super::device_rules::{Access, Kind, Rule};
use crate::error::{Context, Error, Result};
use crate::sys::kernfs;

/// One eBPF instruction in the kernel's format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Instruction {
    code: u8,
    /// Destination in the low four bits, source in the high ones.
    registers: u8,
    offset: i16,
    immediate: i32,
}

const LOAD_WORD: u8 = 0x61;
const SHIFT_LEFT: u8 = 0x64;
const SHIFT_RIGHT: u8 = 0x74;
const AND: u8 = 0x54;
const OR_REGISTER: u8 = 0x4c;
const MOVE: u8 = 0xb4;
const MOVE_REGISTER: u8 = 0xbc;
const JUMP_IF_NOT_EQUAL: u8 = 0x56;
const JUMP_IF_ANY_BIT: u8 = 0x46;
const JUMP: u8 = 0x05;
const EXIT: u8 = 0x95;

// Register 1 holds the context; these hold the values read from it.
const RESULT: u8 = 0;
const CONTEXT: u8 = 1;
const TYPE: u8 = 2;
/// The requested access bits that no rule has allowed yet.
const OPEN: u8 = 3;
const MAJOR: u8 = 4;
const MINOR: u8 = 5;
/// Major and minor number in the kernel's own dev_t format: 12 and 20 bits.
const NUMBER: u8 = 6;

const fn op(code: u8, register: u8, offset: i16, immediate: i32) -> Instruction {
    Instruction { code, registers: register, offset, immediate }
}

const fn load(register: u8, offset: i16) -> Instruction {
    Instruction { code: LOAD_WORD, registers: register | CONTEXT << 4, offset, immediate: 0 }
}

const MAX_MAJOR_AND_ONE: u32 = 1 << 12;
const MAX_MINOR_AND_ONE: u32 = 1 << 20;

/// Compiles an ordered list in which later rules win.
///
/// The program checks the list backwards, separately for each kind of device. A denying rule that names one of the open
/// access bits denies; an allowing rule closes its bits; when none is open, the access is allowed. So the last rule
/// that names an access bit decides it.
///
/// The kernel may verify the program at each start of a container, which follows every path. So a rule is one
/// comparison where possible, and a match ends the program instead of continuing with more known state.
pub fn compile(rules: &[Rule]) -> Result<Vec<Instruction>> {
    let mut program = vec![
        // struct bpf_cgroup_dev_ctx: access << 16 | type, major, minor.
        load(TYPE, 0),
        load(OPEN, 0),
        op(SHIFT_RIGHT, OPEN, 0, 16),
        op(AND, TYPE, 0, 0xffff),
        load(MAJOR, 4),
        load(MINOR, 8),
        op(MOVE_REGISTER, NUMBER | MAJOR << 4, 0, 0),
        op(SHIFT_LEFT, NUMBER, 0, 20),
        op(OR_REGISTER, NUMBER | MINOR << 4, 0, 0),
    ];
    let (characters, blocks) = (section(rules, Kind::Char), section(rules, Kind::Block));
    let over = i16::try_from(characters.len()).map_err(|_| {
        let problem = format!("has {} rules, too many for one device program", rules.len());
        Error::config("linux.resources.devices", problem)
    })?;
    program.push(op(JUMP_IF_NOT_EQUAL, TYPE, over, 2));
    program.extend(characters.into_iter().chain(blocks));
    Ok(program)
}

/// Compiles the rules for one kind of device.
fn section(rules: &[Rule], kind: Kind) -> Vec<Instruction> {
    let mut program = Vec::new();
    let mut default = false;
    for rule in rules.iter().rev().filter(|rule| rule.kind.is_none_or(|of| of == kind)) {
        if rule.major.is_none() && rule.minor.is_none() && rule.access == Access::ALL {
            default = rule.allow;
            break;
        }
        rule_block(rule, &mut program);
    }
    program.extend(end(default));
    program
}

fn end(allowed: bool) -> [Instruction; 2] {
    [op(MOVE, RESULT, 0, i32::from(allowed)), op(EXIT, 0, 0, 0)]
}

fn rule_block(rule: &Rule, program: &mut Vec<Instruction>) {
    let condition = match (rule.major, rule.minor) {
        // No device has such a number.
        (Some(MAX_MAJOR_AND_ONE..), _) | (_, Some(MAX_MINOR_AND_ONE..)) => return,
        (Some(major), Some(minor)) => Some((NUMBER, major << 20 | minor)),
        (Some(major), None) => Some((MAJOR, major)),
        (None, Some(minor)) => Some((MINOR, minor)),
        (None, None) => None,
    };
    let access = i32::from(rule.access.0);
    let mut body = Vec::new();
    if rule.access != Access::ALL {
        body.extend(if rule.allow {
            [op(AND, OPEN, 0, !access & i32::from(Access::ALL.0)), op(JUMP_IF_NOT_EQUAL, OPEN, 2, 0)]
        } else {
            [op(JUMP_IF_ANY_BIT, OPEN, 1, access), op(JUMP, 0, 2, 0)]
        });
    }
    body.extend(end(rule.allow));
    if let Some((register, value)) = condition {
        // Comparing 32 bits: a number above i32::MAX is the same bits.
        program.push(op(JUMP_IF_NOT_EQUAL, register, body.len() as i16, value.cast_signed()));
    }
    program.extend(body);
}

// Commands and constants of linux/bpf.h.
const PROG_LOAD: u32 = 5;
const PROG_ATTACH: u32 = 8;
const PROG_DETACH: u32 = 9;
const PROG_GET_FD_BY_ID: u32 = 13;
const PROG_QUERY: u32 = 16;
const TYPE_CGROUP_DEVICE: u32 = 15;
const ATTACH_CGROUP_DEVICE: u32 = 6;
const ALLOW_MULTI: u32 = 2;
const REPLACE: u32 = 4;

#[repr(C)]
struct Load {
    program_type: u32,
    instruction_count: u32,
    instructions: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log_buffer: u64,
    kernel_version: u32,
    flags: u32,
    name: [u8; 16],
}

#[repr(C)]
struct Attach {
    target: RawFd,
    program: RawFd,
    attach_type: u32,
    flags: u32,
    replace: RawFd,
}

#[repr(C)]
struct Query {
    target: RawFd,
    attach_type: u32,
    flags: u32,
    attached_flags: u32,
    ids: u64,
    count: u32,
    padding: u32,
}

#[repr(C)]
struct ById {
    id: u32,
    next: u32,
    flags: u32,
}

/// Attaches `rules` to this cgroup. It replaces the previous program in one step, so that the cgroup is never without
/// one.
pub fn apply(dir: &Path, rules: &[Rule]) -> Result<()> {
    let cgroup = kernfs::open_dir(dir)?;
    let doing = |what: &str| format!("linux.resources.devices: {what} the device program of cgroup {}", dir.display());
    let before = attached(&cgroup).context(|| doing("querying"))?;
    let program = loaded(compile(rules)?).map_err(|errno| explain(errno, doing("loading")))?;
    match before.as_slice() {
        [one] => attach(&cgroup, &program, Some(one)).context(|| doing("replacing"))?,
        more => {
            attach(&cgroup, &program, None).context(|| doing("attaching"))?;
            more.iter().try_for_each(|old| detach(&cgroup, old)).context(|| doing("detaching"))?;
        }
    }
    Ok(())
}

fn explain(errno: Errno, doing: String) -> Error {
    let hint = match errno {
        Errno::EPERM => {
            " (it needs CAP_BPF and CAP_NET_ADMIN or CAP_SYS_ADMIN, and before Linux 5.11 room under RLIMIT_MEMLOCK)"
        }
        Errno::EINVAL | Errno::ENOSYS => " (is the kernel built with CONFIG_CGROUP_BPF?)",
        _ => "",
    };
    let mut error = Error::system(errno, doing);
    error.message += hint;
    error
}

/// Loads a program, or returns one loaded before. Most containers of a host have the same rules, and verifying a
/// program takes longer than attaching it, so the latest programs stay loaded. A program can be attached to any number
/// of cgroups.
fn loaded(program: Vec<Instruction>) -> Result<Arc<OwnedFd>, Errno> {
    const MAX_PROGRAMS: usize = 8;
    static LOADED: Mutex<VecDeque<(Vec<Instruction>, Arc<OwnedFd>)>> = Mutex::new(VecDeque::new());
    let known = || LOADED.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    if let Some((_, fd)) = known().iter().find(|(instructions, _)| *instructions == program) {
        return Ok(fd.clone());
    }
    let fd = Arc::new(load_program(&program)?);
    let mut known = known();
    known.truncate(MAX_PROGRAMS - 1);
    known.push_front((program, fd.clone()));
    Ok(fd)
}

fn load_program(program: &[Instruction]) -> Result<OwnedFd, Errno> {
    let mut load = Load {
        program_type: TYPE_CGROUP_DEVICE,
        instruction_count: program.len() as u32,
        instructions: program.as_ptr() as u64,
        license: c"Apache-2.0".as_ptr() as u64,
        log_level: 0,
        log_size: 0,
        log_buffer: 0,
        kernel_version: 0,
        flags: 0,
        name: *b"berth_devices\0\0\0",
    };
    // EAGAIN: a signal interrupted the verifier.
    let mut attempts = 0;
    loop {
        match bpf::bpf(PROG_LOAD, &mut load) {
            Err(Errno::EAGAIN) if attempts < 5 => attempts += 1,
            result => return result.map(bpf::own),
        }
    }
}

fn attach(cgroup: &OwnedFd, program: &OwnedFd, replace: Option<&OwnedFd>) -> Result<(), Errno> {
    let flags = if replace.is_some() { ALLOW_MULTI | REPLACE } else { ALLOW_MULTI };
    let mut attach = Attach {
        target: cgroup.as_raw_fd(),
        program: program.as_raw_fd(),
        attach_type: ATTACH_CGROUP_DEVICE,
        flags,
        replace: replace.map_or(0, AsRawFd::as_raw_fd),
    };
    bpf::bpf(PROG_ATTACH, &mut attach).map(drop)
}

fn detach(cgroup: &OwnedFd, program: &OwnedFd) -> Result<(), Errno> {
    let mut detach = Attach {
        target: cgroup.as_raw_fd(),
        program: program.as_raw_fd(),
        attach_type: ATTACH_CGROUP_DEVICE,
        flags: 0,
        replace: 0,
    };
    bpf::bpf(PROG_DETACH, &mut detach).map(drop)
}

/// Returns the programs that are attached to the cgroup itself.
fn attached(cgroup: &OwnedFd) -> Result<Vec<OwnedFd>, Errno> {
    let mut ids = [0u32; 64];
    let mut query = Query {
        target: cgroup.as_raw_fd(),
        attach_type: ATTACH_CGROUP_DEVICE,
        flags: 0,
        attached_flags: 0,
        ids: ids.as_mut_ptr() as u64,
        count: ids.len() as u32,
        padding: 0,
    };
    bpf::bpf(PROG_QUERY, &mut query)?;
    let mut programs = Vec::new();
    for id in &ids[..(query.count as usize).min(ids.len())] {
        let mut by_id = ById { id: *id, next: 0, flags: 0 };
        match bpf::bpf(PROG_GET_FD_BY_ID, &mut by_id) {
            Ok(fd) => programs.push(bpf::own(fd)),
            Err(Errno::ENOENT) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(programs)
}

#[cfg(test)]
#[path = "device_filter_tests.rs"]
mod tests;
