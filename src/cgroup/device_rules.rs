//! The device rules of OCI `linux.resources.devices`, checked, completed, and folded for cgroup v1.

use std::collections::HashMap;
use std::fmt::Write;

use oci_spec::runtime::{LinuxDeviceCgroup, LinuxDeviceType};

use crate::error::{Error, Result};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
/// The kinds of device nodes that a rule tells apart.
pub enum Kind {
    /// Block devices.
    Block,
    /// Character devices.
    Char,
}

/// A set of access bits, with the kernel's numbers for cgroup device programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access(
    /// BPF_DEVCG_ACC_… of linux/bpf.h.
    pub u8,
);

impl Access {
    /// To make a node (mknod(2)).
    pub const MKNOD: Access = Access(1);
    /// To open for reading.
    pub const READ: Access = Access(2);
    /// To open for writing.
    pub const WRITE: Access = Access(4);
    /// All three.
    pub const ALL: Access = Access(7);
}

/// Whether rules grant an access to a device: the last one that is about it decides.
pub fn allows(rules: &[Rule], kind: Kind, major: u32, minor: u32, access: Access) -> bool {
    let concerns = |rule: &&Rule| {
        rule.kind.is_none_or(|other| other == kind)
            && rule.major.is_none_or(|other| other == major)
            && rule.minor.is_none_or(|other| other == minor)
            && rule.access.0 & access.0 == access.0
    };
    rules.iter().rev().find(concerns).is_some_and(|rule| rule.allow)
}

/// Devices of a kind; `None` stands for every kind, major or minor number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Whether the rule grants the access or denies it.
    pub allow: bool,
    /// The kind of the devices.
    pub kind: Option<Kind>,
    /// Their major number.
    pub major: Option<u32>,
    /// Their minor number.
    pub minor: Option<u32>,
    /// The accesses that the rule is about.
    pub access: Access,
}

impl Rule {
    const DENY_ALL: Rule = Rule { allow: false, kind: None, major: None, minor: None, access: Access::ALL };

    const fn allow(kind: Kind, major: Option<u32>, minor: Option<u32>, access: Access) -> Rule {
        Rule { allow: true, kind: Some(kind), major, minor, access }
    }

    /// Whether the rule covers every access to every device.
    pub fn is_total(&self) -> bool {
        self.kind.is_none() && self.major.is_none() && self.minor.is_none() && self.access == Access::ALL
    }
}

/// The devices that every container may use whatever its rules say, as in other OCI runtimes: creating (not opening)
/// any node, the memory devices, the container's own terminals, and tunnels, which act in the network namespace that opens
/// them. The container's /dev/console is one of its terminals; device 5:1 would be the console of the host.
const ALWAYS: [Rule; 11] = [
    Rule::allow(Kind::Char, None, None, Access::MKNOD),
    Rule::allow(Kind::Block, None, None, Access::MKNOD),
    Rule::allow(Kind::Char, Some(1), Some(3), Access::ALL), // null
    Rule::allow(Kind::Char, Some(1), Some(5), Access::ALL), // zero
    Rule::allow(Kind::Char, Some(1), Some(7), Access::ALL), // full
    Rule::allow(Kind::Char, Some(1), Some(8), Access::ALL), // random
    Rule::allow(Kind::Char, Some(1), Some(9), Access::ALL), // urandom
    Rule::allow(Kind::Char, Some(5), Some(0), Access::ALL), // tty
    Rule::allow(Kind::Char, Some(5), Some(2), Access::ALL), // ptmx
    Rule::allow(Kind::Char, Some(136), None, Access::ALL),  // pts/*
    Rule::allow(Kind::Char, Some(10), Some(200), Access::ALL), // net/tun
];

/// Returns the complete list in order of application, later rules winning: deny everything, then the configuration's
/// rules, then what every container needs.
pub fn complete(devices: Option<&[LinuxDeviceCgroup]>) -> Result<Vec<Rule>> {
    let mut rules = vec![Rule::DENY_ALL];
    for (index, device) in devices.unwrap_or_default().iter().enumerate() {
        rules.push(checked(device, index)?);
    }
    rules.extend(ALWAYS);
    Ok(rules)
}

fn checked(device: &LinuxDeviceCgroup, index: usize) -> Result<Rule> {
    let refuse = |field: &str, problem: String| {
        Err(Error::config(&format!("linux.resources.devices[{index}].{field}"), problem))
    };
    let kind = match device.typ().unwrap_or_default() {
        LinuxDeviceType::A => None,
        LinuxDeviceType::B => Some(Kind::Block),
        LinuxDeviceType::C | LinuxDeviceType::U => Some(Kind::Char),
        LinuxDeviceType::P => return refuse("type", "\"p\" is not a device: a, b or c is needed".to_owned()),
    };
    let number = |value: Option<i64>| match value {
        None | Some(-1) => Ok(None),
        Some(value) => u32::try_from(value).map(Some).map_err(|_| value),
    };
    let major = match number(device.major()) {
        Ok(major) => major,
        Err(value) => return refuse("major", format!("{value} is neither a device number nor -1 for all")),
    };
    let minor = match number(device.minor()) {
        Ok(minor) => minor,
        Err(value) => return refuse("minor", format!("{value} is neither a device number nor -1 for all")),
    };
    let mut access = 0;
    for letter in device.access().as_deref().unwrap_or("").chars() {
        access |= match letter {
            'r' => Access::READ.0,
            'w' => Access::WRITE.0,
            'm' => Access::MKNOD.0,
            other => return refuse("access", format!("\"{}\" is not one of r, w and m", other.escape_debug())),
        };
    }
    if access == 0 {
        return refuse("access", "is missing: a combination of r, w and m is needed".to_owned());
    }
    Ok(Rule { allow: device.allow(), kind, major, minor, access: Access(access) })
}

/// How many exceptions may be compared with rules for several devices, in all: usual lists have a few of both.
const MAX_COMPARED: usize = 10_000_000;

type Key = (Kind, Option<u32>, Option<u32>);

/// The cgroup v1 form: one default for all devices, and exceptions from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exceptions {
    /// What holds for devices that no entry names.
    pub allow_others: bool,
    /// The accesses by device, in the order of the rules, which devices.list keeps.
    entries: Vec<(Key, u8)>,
}

impl Exceptions {
    /// Converts an ordered list to the v1 form. v1 cannot express "all of these except that one" in the direction of
    /// its exceptions and would silently allow the device, so such lists are refused.
    pub fn fold(rules: &[Rule]) -> Result<Exceptions> {
        let mut folding = Folding::from(false);
        for rule in rules {
            if rule.is_total() {
                folding = Folding::from(rule.allow);
                continue;
            }
            let kinds = match rule.kind {
                Some(kind) => vec![kind],
                None => vec![Kind::Block, Kind::Char],
            };
            for kind in kinds {
                folding.take((kind, rule.major, rule.minor), rule.allow, rule.access.0)?;
            }
        }
        let mut folded = folding.folded;
        folded.entries.retain(|(_, access)| *access != 0);
        Ok(folded)
    }

    /// The entries as lines of devices.allow or devices.deny.
    pub fn lines(&self) -> Vec<String> {
        self.entries.iter().map(|(key, access)| line(*key, *access)).collect()
    }

    /// Returns the lines of the exceptions that `other` does not have.
    pub fn lines_not_in(&self, other: &Exceptions) -> Vec<String> {
        let present: HashMap<Key, u8> = other.entries.iter().copied().collect();
        let rest = |(key, access): &(Key, u8)| {
            let rest = access & !present.get(key).copied().unwrap_or(0);
            (rest != 0).then(|| line(*key, rest))
        };
        self.entries.iter().filter_map(rest).collect()
    }

    /// Parses `devices.list`. Returns `None` if everything is allowed: the kernel does not show the exceptions then.
    pub fn parse(list: &str) -> Option<Exceptions> {
        let mut entries = Vec::new();
        for text in list.lines() {
            let mut fields = text.split([' ', ':']);
            let kind = match fields.next()? {
                "b" => Kind::Block,
                "c" => Kind::Char,
                _ => return None,
            };
            let (major, minor) = (number(fields.next()?)?, number(fields.next()?)?);
            let letters = fields.next()?;
            let bit = |letter: char, bit: Access| if letters.contains(letter) { bit.0 } else { 0 };
            let access = bit('r', Access::READ) | bit('w', Access::WRITE) | bit('m', Access::MKNOD);
            entries.push(((kind, major, minor), access));
        }
        Some(Exceptions { allow_others: false, entries })
    }
}

/// Exceptions that further rules change.
struct Folding {
    folded: Exceptions,
    /// The positions of the entries.
    places: HashMap<Key, usize>,
    /// The number of comparisons so far.
    compared: usize,
}

impl Folding {
    fn from(allow_others: bool) -> Folding {
        Folding { folded: Exceptions { allow_others, entries: Vec::new() }, places: HashMap::new(), compared: 0 }
    }

    fn take(&mut self, key: Key, allow: bool, access: u8) -> Result<()> {
        let entries = &mut self.folded.entries;
        if allow != self.folded.allow_others {
            let place = *self.places.entry(key).or_insert(entries.len());
            if place == entries.len() {
                entries.push((key, 0));
            }
            entries[place].1 |= access;
            return Ok(());
        }
        if let (kind, Some(_), Some(_)) = key {
            // One device: only its own entry and those of many devices concern it.
            let wider = [key, (kind, key.1, None), (kind, None, key.2), (kind, None, None)];
            let places = wider.iter().filter_map(|wider| self.places.get(wider));
            return places.copied().try_for_each(|place| change(key, access, &mut entries[place]));
        }
        self.compared += entries.len();
        if self.compared > MAX_COMPARED {
            let what = "too many rules for several devices each, after rules for many others";
            return Err(Error::unsupported_field("linux.resources.devices", what));
        }
        entries.iter_mut().try_for_each(|entry| change(key, access, entry))
    }
}

/// Takes the access of a rule from an exception. An exception from the exception cannot be expressed.
fn change(key: Key, access: u8, (entry, present): &mut (Key, u8)) -> Result<()> {
    if covers(key, *entry) {
        *present &= !access;
    } else if overlaps(key, *entry) && *present & access != 0 {
        let (rule, entry) = (line(key, access), line(*entry, *present));
        let what = format!("\"{rule}\" is an exception from \"{entry}\", which cgroup v1 cannot express");
        return Err(Error::unsupported_field("linux.resources.devices", what));
    }
    Ok(())
}

/// Parses a device number. The inner `None` is `*`; the outer one means "not a number".
fn number(text: &str) -> Option<Option<u32>> {
    if text == "*" { Some(None) } else { text.parse().ok().map(Some) }
}

fn covers(outer: Key, inner: Key) -> bool {
    let number = |outer: Option<u32>, inner| outer.is_none() || outer == inner;
    outer.0 == inner.0 && number(outer.1, inner.1) && number(outer.2, inner.2)
}

fn overlaps(one: Key, other: Key) -> bool {
    let number = |one: Option<u32>, other: Option<u32>| one.is_none() || other.is_none() || one == other;
    one.0 == other.0 && number(one.1, other.1) && number(one.2, other.2)
}

/// Formats an exception as `devices.allow` and `devices.deny` expect it: "c 1:3 rwm".
fn line((kind, major, minor): Key, access: u8) -> String {
    let star = |number: Option<u32>| number.map_or("*".to_owned(), |number| number.to_string());
    let mut line = String::new();
    let kind = if kind == Kind::Block { 'b' } else { 'c' };
    // Writing to a String cannot fail.
    let _ = write!(line, "{kind} {}:{} ", star(major), star(minor));
    for (letter, bit) in [('r', Access::READ), ('w', Access::WRITE), ('m', Access::MKNOD)] {
        if access & bit.0 != 0 {
            line.push(letter);
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Code;

    fn rules(json: &str) -> Result<Vec<Rule>> {
        let devices: Vec<LinuxDeviceCgroup> = serde_json::from_str(json).unwrap();
        complete(Some(&devices))
    }

    fn fold(json: &str) -> Result<Exceptions> {
        Exceptions::fold(&rules(json).unwrap())
    }

    #[test]
    fn without_rules_only_the_needed_devices_are_allowed() {
        let folded = Exceptions::fold(&complete(None).unwrap()).unwrap();
        assert!(!folded.allow_others);
        let lines = folded.lines();
        assert_eq!(lines.len(), 11);
        assert!(!lines.iter().any(|line| line.starts_with("c 5:1 ")), "the host's console");
        for line in ["b *:* m", "c *:* m", "c 1:3 rwm", "c 136:* rwm", "c 10:200 rwm"] {
            assert!(lines.iter().any(|present| present == line), "{lines:?}");
        }
    }

    #[test]
    fn rules_keep_their_order_before_the_needed_devices() {
        let folded = fold(
            r#"[{"allow": true, "type": "c", "major": 10, "minor": 229, "access": "rwm"},
                {"allow": true, "type": "b", "major": 8, "minor": 20, "access": "r"},
                {"allow": true, "type": "b", "major": 8, "minor": 20, "access": "w"}]"#,
        );
        assert_eq!(folded.unwrap().lines()[..3], ["c 10:229 rwm", "b 8:20 rw", "c *:* m"]);
    }

    #[test]
    fn a_later_rule_wins() {
        let folded = fold(
            r#"[{"allow": true, "type": "b", "major": 8, "minor": 0, "access": "rw"},
                {"allow": false, "type": "b", "major": 8, "access": "w"}]"#,
        );
        assert!(folded.unwrap().lines().contains(&"b 8:0 r".to_owned()));
    }

    #[test]
    fn a_rule_for_all_devices_replaces_earlier_rules() {
        let folded =
            fold(r#"[{"allow": false, "type": "b", "major": 8, "access": "w"}, {"allow": true, "access": "rwm"}]"#);
        let folded = folded.unwrap();
        assert!(folded.allow_others && folded.lines().is_empty());
    }

    #[test]
    fn exceptions_from_everything_are_kept() {
        let folded =
            fold(r#"[{"allow": true, "access": "rwm"}, {"allow": false, "type": "b", "major": 8, "access": "rw"}]"#);
        let folded = folded.unwrap();
        assert!(folded.allow_others);
        assert_eq!(folded.lines(), ["b 8:* rw"]);
    }

    #[test]
    fn rules_that_v1_would_not_enforce_are_refused() {
        let folded = fold(
            r#"[{"allow": true, "type": "b", "access": "rwm"},
                {"allow": false, "type": "b", "major": 8, "minor": 0, "access": "rw"}]"#,
        );
        assert_eq!(folded.unwrap_err().code, Code::Unsupported);
    }

    #[test]
    fn comparisons_are_bounded() {
        let rules = |allow: bool, count: u32, minor: fn(u32) -> Option<u32>| -> Vec<Rule> {
            let rule =
                |number| Rule { minor: minor(number), ..Rule::allow(Kind::Block, Some(number), None, Access::READ) };
            (0..count).map(|number| Rule { allow, ..rule(number) }).collect()
        };
        // Each denial of one device meets the exception of that device only.
        let one_by_one = [rules(true, 20_000, Some), rules(false, 20_000, Some)].concat();
        assert!(Exceptions::fold(&one_by_one).unwrap().lines().is_empty());
        let many = [rules(true, 4000, Some), rules(false, 4000, |_| None)].concat();
        assert_eq!(Exceptions::fold(&many).unwrap_err().code, Code::Unsupported);
    }

    #[test]
    fn wrong_rules_are_refused_by_their_path() {
        for (json, path) in [
            (r#"[{"allow": true, "access": "x"}]"#, "linux.resources.devices[0].access"),
            (r#"[{"allow": true}]"#, "linux.resources.devices[0].access"),
            (r#"[{"allow": true, "major": -2, "access": "r"}]"#, "linux.resources.devices[0].major"),
            (r#"[{"allow": true, "minor": 4294967296, "access": "r"}]"#, "linux.resources.devices[0].minor"),
            (r#"[{"allow": true, "type": "p", "access": "r"}]"#, "linux.resources.devices[0].type"),
        ] {
            let error = rules(json).unwrap_err();
            assert!(error.code == Code::ConfigInvalid && error.message.starts_with(path), "{error}");
        }
    }

    #[test]
    fn a_kernel_list_is_read_back() {
        let folded = Exceptions::fold(&complete(None).unwrap()).unwrap();
        assert_eq!(Exceptions::parse(&folded.lines().join("\n")), Some(folded.clone()));
        assert_eq!(Exceptions::parse("a *:* rwm\n"), None);
        assert!(folded.lines_not_in(&folded).is_empty());
    }
}
