//! Targets for fuzzers: what this process reads of a plan, and of files that an image controls.

#![allow(missing_docs)] // the crate has this module only for tests and fuzzers

extern crate std;

#[path = "../../fuzz/driver.rs"]
#[cfg_attr(fuzzing, allow(dead_code))] // the fuzzer takes its part
mod driver;

use std::vec::Vec;

pub use driver::Target;
#[cfg(fuzzing)]
pub use driver::write_seeds;

use super::fields::Words;
use super::plan::Plan;
use super::steps::{self, LAYOUT};
use super::sys::EPROTO;
use super::wire::{Header, MAGIC};
use super::{home, number};

pub const TARGETS: [Target; 3] =
    [("plan", plan, plan_seeds), ("passwd", passwd, passwd_seeds), ("arguments", arguments, arguments_seeds)];

/// Reads a plan of these bytes as init does, up to the first mistake. They have the length and the layout of a real one,
/// since otherwise nothing of them is read.
pub fn plan(data: &[u8]) {
    if data.len() < size_of::<Header>() || data.len() > 1 << 20 {
        return;
    }
    let mut block: Vec<u64> = data
        .chunks(8)
        .map(|chunk| {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            u64::from_ne_bytes(word)
        })
        .collect();
    let len = block.len() * 8;
    block[0] = u64::from(MAGIC) | (len as u64) << 32;
    block[1] = LAYOUT;
    // SAFETY: aligned, and nothing that was read of it is left when it is freed.
    let Ok(plan) = (unsafe { Plan::new(block.as_mut_ptr().cast(), len) }) else { return };
    for table in [Plan::keep, Plan::low, Plan::slots] {
        let sum = table(&plan).map(|table| table.iter().fold(0i32, |sum, fd| sum.wrapping_add(*fd)));
        assert!(sum.is_ok() || sum == Err(EPROTO));
    }
    let mut words = Words::new(plan);
    for _ in 0..plan.header().step_count.min(10_000) {
        if steps::read_next(&mut words).is_err() {
            break;
        }
    }
    for offset in (0..len as u32).step_by(61) {
        assert!(plan.text(offset).is_err() || plan.text(offset).is_ok_and(|text| text.bytes().len() < len));
    }
}

/// Returns for each step a plan with this step alone, whose fields are small numbers and offsets of a text.
fn plan_seeds() -> Vec<Vec<u8>> {
    let one = |op: u64, field: u64| {
        let header = Header {
            magic: MAGIC,
            len: 256,
            layout: LAYOUT,
            steps: 48,
            step_count: 1,
            slots: 232,
            slot_count: 4,
            low: 232,
            low_count: 1,
            keep: 236,
            keep_count: 2,
        };
        let mut bytes = header.bytes().to_vec();
        bytes.extend(op.to_ne_bytes());
        (0..12).for_each(|_| bytes.extend(field.to_ne_bytes()));
        bytes.resize(224, 0);
        bytes.extend(b"/text\0\0\0");
        bytes.extend([0xff; 16]);
        bytes.resize(256, 0);
        bytes
    };
    // Miri is slow, and its own check is the same for each step.
    let steps = if cfg!(miri) { 60..62 } else { 0..80 };
    steps.flat_map(|op| [one(op, 0), one(op, 1), one(op, 224)]).collect()
}

/// Searches a passwd file for a home directory. The first byte is the uid, the second the size of what is read at once.
pub fn passwd(data: &[u8]) {
    let [uid, piece, text @ ..] = data else { return };
    let find = |piece: usize| {
        let mut rest = text;
        let mut into = [0u8; 64];
        let read = |buffer: &mut [u8]| {
            let count = rest.len().min(piece).min(buffer.len());
            buffer[..count].copy_from_slice(&rest[..count]);
            rest = &rest[count..];
            Ok(count)
        };
        let found = home::search(read, (*uid).into(), &mut into);
        found.map(|len| len.map(|len| into[..len].to_vec()))
    };
    let found = find(usize::from(*piece) + 1);
    assert!(found == find(4096), "it depends on where a read ends");
    if let Ok(Some(home)) = found {
        assert!(home.starts_with(b"/") && home.len() < 64 && !home.contains(&0) && !home.contains(&b'\n'));
    }
}

fn passwd_seeds() -> Vec<Vec<u8>> {
    [
        "\x00\x03root:x:0:0:root:/root:/bin/sh\nme:x:1000:1000::/home/me:\n",
        "\x05\x10daemon:x:1:1::/usr/sbin:/bin/false\nlast:x:5:5::/five",
        "\x00\x00a:x:4294967296:0::/x:\nb:x:+0:0::relative:\nc:x:0:0::/c:\n",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}

/// Reads a descriptor's number in the arguments.
pub fn arguments(data: &[u8]) {
    let expected = std::str::from_utf8(data).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    assert_eq!(number(data), expected.and_then(|text| text.parse().ok()));
}

fn arguments_seeds() -> Vec<Vec<u8>> {
    ["0", "12", "2147483647", "-1"].map(|text| text.as_bytes().to_vec()).to_vec()
}

#[cfg(test)]
mod tests {
    use super::{TARGETS, driver::drive};

    #[test]
    fn plan() {
        drive(TARGETS[0]);
    }

    #[test]
    fn passwd() {
        drive(TARGETS[1]);
    }

    #[test]
    fn arguments() {
        drive(TARGETS[2]);
    }
}
