//! Parsers of cgroup files, on bytes without copying.

use super::Stats;

/// Parses a single number; "max" and malformed text give none.
pub fn number(text: &[u8]) -> Option<u64> {
    let mut value = 0u64;
    let text = text.trim_ascii();
    if text.is_empty() {
        return None;
    }
    for byte in text {
        let digit = byte.checked_sub(b'0').filter(|digit| *digit < 10)?;
        value = value.checked_mul(10)?.checked_add(u64::from(digit))?;
    }
    Some(value)
}

pub fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty())
}

/// Iterates over lines of a key and a number.
pub fn pairs(text: &[u8]) -> impl Iterator<Item = (&[u8], u64)> {
    lines(text).filter_map(|line| {
        let space = line.iter().position(|byte| *byte == b' ')?;
        Some((&line[..space], number(&line[space..])?))
    })
}

pub fn words(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(|byte| *byte == b' ').filter(|word| !word.is_empty())
}

/// Splits `rbytes=12` into ("rbytes", 12).
pub fn assignment(word: &[u8]) -> Option<(&[u8], u64)> {
    let equals = word.iter().position(|byte| *byte == b'=')?;
    Some((&word[..equals], number(&word[equals + 1..])?))
}

/// Returns the totals of a pressure file, some and full, in nanoseconds.
pub fn pressure(text: &[u8]) -> (Option<u64>, Option<u64>) {
    let mut totals = (None, None);
    for line in lines(text) {
        let total = words(line).filter_map(assignment).find(|(key, _)| *key == b"total");
        let total = total.map(|(_, microseconds)| microseconds.saturating_mul(1000));
        match words(line).next() {
            Some(b"some") => totals.0 = total,
            Some(b"full") => totals.1 = total,
            _ => {}
        }
    }
    totals
}

pub fn cpu_pressure(text: &[u8], stats: &mut Stats) {
    (stats.cpu_pressure_some_ns, stats.cpu_pressure_full_ns) = pressure(text);
}

pub fn memory_pressure(text: &[u8], stats: &mut Stats) {
    (stats.memory_pressure_some_ns, stats.memory_pressure_full_ns) = pressure(text);
}

pub fn io_pressure(text: &[u8], stats: &mut Stats) {
    (stats.io_pressure_some_ns, stats.io_pressure_full_ns) = pressure(text);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_exact_or_none() {
        for (text, expected) in [
            ("0\n", Some(0)),
            ("18446744073709551615", Some(u64::MAX)),
            ("18446744073709551616", None),
            ("max\n", None),
            ("", None),
            ("-1", None),
            ("1 2", None),
        ] {
            assert_eq!(number(text.as_bytes()), expected, "{text:?}");
        }
    }

    #[test]
    fn lines_that_do_not_fit_are_left_out() {
        let found: Vec<_> = pairs(b"a 1\nodd\nb x\nc 3\n").collect();
        assert_eq!(found, [(&b"a"[..], 1), (&b"c"[..], 3)]);
    }

    #[test]
    fn pressure_is_the_total_of_some_and_full() {
        let text = b"some avg10=0.00 avg60=1.50 avg300=0.00 total=12\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=7\n";
        assert_eq!(pressure(text), (Some(12_000), Some(7_000)));
        assert_eq!(pressure(b"some avg10=0.00 avg60=1.50 avg300=0.00 total=12\n"), (Some(12_000), None));
        assert_eq!(pressure(b""), (None, None));
    }
}
