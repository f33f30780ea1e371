//! Parses lists of numbers in the kernel's notation for sets of processors and memory nodes: "0-3,8".

use std::ops::RangeInclusive;

use crate::error::{Error, Result};

/// Returns the ranges of a list; None if it is malformed.
pub fn ranges(list: &str) -> Option<Vec<RangeInclusive<u32>>> {
    list.split(',').map(range).collect()
}

fn range(text: &str) -> Option<RangeInclusive<u32>> {
    let number =
        |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<u32>().ok()).flatten();
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let range = number(first)?..=number(last)?;
    (!range.is_empty()).then_some(range)
}

/// Checks a list of numbers below `bound`. It may be empty.
pub(super) fn check(list: &str, bound: u32, path: &str) -> Result<()> {
    if list.is_empty() {
        return Ok(());
    }
    let Some(ranges) = ranges(list) else {
        return Err(Error::config(path, format!("{list:?} is not a list of numbers; expected one like \"0-3,8\"")));
    };
    match ranges.iter().map(|range| *range.end()).find(|last| *last >= bound) {
        Some(last) => Err(Error::config(path, format!("{last} is out of range; expected numbers below {bound}"))),
        None => Ok(()),
    }
}

/// Converts a list to the bit mask that system calls take: bit N stands for N. An empty list gives an empty mask.
/// `check` has limited the numbers before.
pub fn mask(list: &str) -> Vec<u32> {
    let mut words = Vec::new();
    for number in ranges(list).unwrap_or_default().into_iter().flatten() {
        let (word, bit) = (number as usize / 32, number % 32);
        if words.len() <= word {
            // System calls read the mask in units of `long`.
            words.resize((word + 1).next_multiple_of(2), 0);
        }
        words[word] |= 1 << bit;
    }
    words
}

/// Formats a list as a number with these bits, like "0x3".
pub fn hexadecimal(list: &str) -> String {
    let words = mask(list);
    let digits: String = words.iter().rev().map(|word| format!("{word:08x}")).collect();
    match digits.trim_start_matches('0') {
        "" => "0x0".to_owned(),
        digits => format!("0x{digits}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_becomes_bits() {
        assert_eq!(mask(""), [0u32; 0]);
        assert_eq!(mask("0"), [1, 0]);
        assert_eq!(mask("0-3,33,31"), [0x8000_000f, 2]);
        assert_eq!(mask("64"), [0, 0, 1, 0]);
        let numbers = ["", "0", "0-1", "1,4", "32", "64"].map(hexadecimal);
        assert_eq!(numbers, ["0x0", "0x1", "0x3", "0x12", "0x100000000", "0x10000000000000000"]);
    }

    #[test]
    fn an_invalid_list_is_refused() {
        for bad in ["a", "1-", "-1", "3-1", "1,,2", "1, 2", "+1", "0x1", "4294967296", ",", "1-2-3"] {
            assert_eq!(ranges(bad), None, "{bad:?}");
        }
        assert!(check("0-8191", 8192, "x").is_ok() && check("8192", 8192, "x").is_err());
    }
}
