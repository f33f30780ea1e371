//! Runs a filter on a system call as the kernel does, for tests.

use super::Instruction;

/// struct seccomp_data of linux/seccomp.h, without the instruction pointer.
pub struct Call {
    pub architecture: u32,
    pub number: u32,
    pub args: [u64; 6],
}

impl Call {
    fn word(&self, offset: u32) -> u32 {
        match offset {
            0 => self.number,
            4 => self.architecture,
            16..64 => (self.args[(offset as usize - 16) / 8] >> (offset % 8 * 8)) as u32,
            _ => 0,
        }
    }
}

/// Returns the filter's result: SECCOMP_RET_….
pub fn run(program: &[Instruction], call: &Call) -> u32 {
    let (mut at, mut a) = (0, 0u32);
    loop {
        let Instruction { code, if_true, if_false, value } = program[at];
        at += 1;
        let jump = |holds: bool| if holds { if_true as usize } else { if_false as usize };
        match code {
            0x20 => a = call.word(value),
            0x54 => a &= value,
            0x05 => at += value as usize,
            0x15 => at += jump(a == value),
            0x25 => at += jump(a > value),
            0x35 => at += jump(a >= value),
            0x45 => at += jump(a & value != 0),
            0x06 => return value,
            _ => panic!("libseccomp generated an unknown instruction {code:#x}"),
        }
    }
}
