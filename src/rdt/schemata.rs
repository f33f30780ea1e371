//! The text of a `schemata` file: a line for each resource, like "L3:0=ff;1=ff", with a share for each of its domains.

use std::collections::BTreeMap;

/// Shares by resource and domain.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Schemata(BTreeMap<String, BTreeMap<u32, String>>);

impl Schemata {
    /// Parses lines. The last of several shares for one domain counts. Malformed parts are left for the kernel to
    /// refuse.
    pub fn parse<'a>(lines: impl IntoIterator<Item = &'a str>) -> Schemata {
        let mut schemata = Schemata::default();
        for (resource, shares) in lines.into_iter().filter_map(|line| line.split_once(':')) {
            let domains = schemata.0.entry(resource.trim().to_owned()).or_default();
            let share = |share: &str| {
                let (domain, value) = share.split_once('=')?;
                Some((domain.trim().parse().ok()?, value.trim().to_owned()))
            };
            domains.extend(shares.split(';').filter_map(share));
        }
        schemata
    }

    pub fn resources(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Returns the line of a resource in the kernel's format.
    pub fn line(&self, resource: &str) -> Option<String> {
        let shares = self.0.get(resource)?.iter().map(|(domain, value)| format!("{domain}={value}"));
        Some(format!("{resource}:{}", shares.collect::<Vec<_>>().join(";")))
    }

    /// Describes the first share that differs in `found`. `step` is the granularity to which the kernel rounds
    /// bandwidths up.
    pub fn difference(&self, found: &Schemata, step: u64) -> Option<String> {
        let shares = self.0.iter().flat_map(|(resource, shares)| shares.iter().map(move |share| (resource, share)));
        shares.into_iter().find_map(|(resource, (domain, wanted))| {
            match found.0.get(resource).and_then(|shares| shares.get(domain)) {
                None => Some(format!("has no {resource}:{domain}")),
                Some(there) if same(resource, wanted, there, step) => None,
                Some(there) => Some(format!("has {resource}:{domain}={there}, not {wanted}")),
            }
        })
    }
}

/// Compares two shares. Bandwidths are decimal, cache masks are hexadecimal; the kernel pads both.
fn same(resource: &str, wanted: &str, there: &str, step: u64) -> bool {
    let bandwidth = ["MB", "SMBA"].contains(&resource);
    let number = |text: &str| {
        if bandwidth { text.parse().ok() } else { u64::from_str_radix(text.trim_start_matches("0x"), 16).ok() }
    };
    match (number(wanted), number(there)) {
        (Some(wanted), Some(there)) => {
            wanted == there || bandwidth && step > 0 && wanted.checked_next_multiple_of(step) == Some(there)
        }
        _ => wanted == there,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FOUND: &str = "    L3:0=0ff;1=fff\n    MB:0= 40;1=100\n";

    fn difference(wanted: &str) -> Option<String> {
        Schemata::parse(wanted.lines()).difference(&Schemata::parse(FOUND.lines()), 10)
    }

    #[test]
    fn the_same_is_the_same_however_it_is_spelled() {
        for same in ["", "L3:0=ff", "L3:1=FFF;0=0ff", "L3:0=0xff", "MB:0=40", "MB:0=33;1=100", "L3:0=1\nL3:0=ff"] {
            assert_eq!(difference(same), None, "{same}");
        }
    }

    #[test]
    fn a_difference_is_named() {
        for (wanted, words) in [
            ("L3:0=f", "has L3:0=0ff, not f"),
            ("MB:0=50", "has MB:0=40, not 50"),
            ("MB:0=29", "has MB:0=40, not 29"),
            ("L2:0=f", "has no L2:0"),
            ("L3:0=ff;2=ff", "has no L3:2"),
            ("L3:0=x", "has L3:0=0ff, not x"),
        ] {
            assert_eq!(difference(wanted).as_deref(), Some(words), "{wanted}");
        }
    }

    #[test]
    fn a_line_is_put_together_again() {
        let found = Schemata::parse(FOUND.lines());
        assert_eq!(found.resources().collect::<Vec<_>>(), ["L3", "MB"]);
        assert_eq!(found.line("MB").as_deref(), Some("MB:0=40;1=100"));
        assert_eq!(found.line("L2"), None);
    }
}
