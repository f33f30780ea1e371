//! The compiled program, run by a small interpreter and compared with what the rules mean.

use super::*;
use crate::cgroup::device_rules::complete;

/// Runs the few instructions that the compiler uses.
fn run(program: &[Instruction], kind: Kind, major: u32, minor: u32, access: u8) -> bool {
    let kind = if kind == Kind::Block { 1 } else { 2 };
    let context = [u32::from(access) << 16 | kind, major, minor];
    let mut registers = [0u32; 11];
    let mut at = 0usize;
    loop {
        let instruction = program[at];
        let register = usize::from(instruction.registers & 15);
        let immediate = instruction.immediate.cast_unsigned();
        let value = registers[register];
        at += 1;
        let jump = match instruction.code {
            LOAD_WORD => {
                registers[register] = context[instruction.offset as usize / 4];
                false
            }
            SHIFT_RIGHT => {
                registers[register] >>= immediate;
                false
            }
            SHIFT_LEFT => {
                registers[register] <<= immediate;
                false
            }
            MOVE_REGISTER => {
                registers[register] = registers[usize::from(instruction.registers >> 4)];
                false
            }
            OR_REGISTER => {
                registers[register] |= registers[usize::from(instruction.registers >> 4)];
                false
            }
            AND => {
                registers[register] &= immediate;
                false
            }
            MOVE => {
                registers[register] = immediate;
                false
            }
            JUMP_IF_NOT_EQUAL => value != immediate,
            JUMP_IF_ANY_BIT => value & immediate != 0,
            JUMP => true,
            EXIT => return registers[0] == 1,
            other => panic!("instruction {other:#x}"),
        };
        if jump {
            at += instruction.offset as usize;
        }
    }
}

/// The expected result: the last rule that matches decides about each requested bit.
fn meaning(rules: &[Rule], kind: Kind, major: u32, minor: u32, access: u8) -> bool {
    let fits = |rule: &&Rule, bit: u8| {
        rule.kind.is_none_or(|wanted| wanted == kind)
            && rule.major.is_none_or(|wanted| wanted == major)
            && rule.minor.is_none_or(|wanted| wanted == minor)
            && rule.access.0 & bit != 0
    };
    let decide = |bit: u8| rules.iter().rev().find(|rule| fits(rule, bit)).is_some_and(|rule| rule.allow);
    [1, 2, 4].into_iter().filter(|bit| access & bit != 0).all(decide)
}

fn rule(allow: bool, kind: Option<Kind>, major: Option<u32>, minor: Option<u32>, access: u8) -> Rule {
    Rule { allow, kind, major, minor, access: Access(access) }
}

#[test]
fn an_instruction_has_the_size_the_kernel_reads() {
    assert_eq!((size_of::<Instruction>(), size_of::<Load>(), size_of::<Query>()), (8, 64, 32));
}

#[test]
fn the_needed_devices_are_allowed_and_others_denied() {
    let program = compile(&complete(None).unwrap()).unwrap();
    assert!(run(&program, Kind::Char, 1, 3, 6));
    assert!(run(&program, Kind::Char, 136, 77, 7));
    assert!(run(&program, Kind::Block, 8, 0, 1), "making any node");
    assert!(!run(&program, Kind::Block, 8, 0, 2));
    assert!(!run(&program, Kind::Block, 8, 0, 3), "making and reading");
    assert!(!run(&program, Kind::Char, 10, 237, 6));
    assert!(!run(&program, Kind::Block, 1, 3, 6), "the kind counts");
}

#[test]
fn the_program_decides_as_the_rules_do() {
    // A fixed sequence that looks random: 400 lists of up to 6 rules over few numbers, so that they overlap.
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = |below: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % below
    };
    for _ in 0..400 {
        let rules: Vec<Rule> = (0..random(7))
            .map(|_| {
                let kind = [None, Some(Kind::Block), Some(Kind::Char)][random(3) as usize];
                let number = |random: u64| [None, Some(1), Some(2), Some(0xfff)][random as usize];
                let (major, minor) = (number(random(4)), number(random(4)));
                rule(random(2) == 1, kind, major, minor, 1 + random(7) as u8)
            })
            .collect();
        let program = compile(&rules).unwrap();
        for kind in [Kind::Block, Kind::Char] {
            for major in [1, 2, 3, 0xfff] {
                for minor in [1, 2, 3, 0xfff, 0xf_ffff] {
                    for access in 1..8 {
                        let expected = meaning(&rules, kind, major, minor, access);
                        let found = run(&program, kind, major, minor, access);
                        assert_eq!(found, expected, "{rules:?} {kind:?} {major}:{minor} {access}");
                    }
                }
            }
        }
    }
}
