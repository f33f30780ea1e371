//! Maps capability names to the kernel's numbers, and applies the rules between the five sets.
//!
//! config.md, "capabilities": a capability that cannot be mapped to the kernel, or cannot be granted, is logged as a
//! warning and is no error.

use once_cell::sync::OnceCell;
use serde_json::Value;

use super::oci;
use crate::sys::procfs;

/// The names of capabilities, indexed by their numbers in `linux/capability.h`.
pub const NAMES: [&str; 41] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
];

/// The five sets as the kernel represents them: bit *n* is capability number *n*.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sets {
    pub bounding: u64,
    pub effective: u64,
    pub inheritable: u64,
    pub permitted: u64,
    pub ambient: u64,
}

/// Returns the bit of a capability.
pub fn bit(name: &str) -> u64 {
    NAMES.iter().position(|known| *known == name).map_or(0, |number| 1 << number)
}

impl Sets {
    /// Returns the given sets without capabilities that contradict another set, because the kernel would refuse all of
    /// them. A set that is not given is empty, and so are all five of a process without `capabilities`.
    pub fn of(process: &oci::Process) -> Sets {
        Sets::given(process).consistent()
    }

    fn given(process: &oci::Process) -> Sets {
        let Some(given) = process.capabilities() else { return Sets::default() };
        Sets {
            bounding: mask(given.bounding()),
            effective: mask(given.effective()),
            inheritable: mask(given.inheritable()),
            permitted: mask(given.permitted()),
            ambient: mask(given.ambient()),
        }
    }

    /// Removes capabilities that contradict another set (capabilities(7)): effective ones must be permitted,
    /// inheritable ones in the bounding set, ambient ones permitted and inheritable.
    fn consistent(self) -> Sets {
        let inheritable = self.inheritable & self.bounding;
        Sets {
            effective: self.effective & self.permitted,
            inheritable,
            ambient: self.ambient & self.permitted & inheritable,
            ..self
        }
    }

    /// Removes capabilities that the running kernel does not know, and therefore cannot grant.
    pub fn of_this_kernel(self) -> Sets {
        self.up_to(last_of_this_kernel())
    }

    /// Removes capabilities that cannot be granted. In a new user namespace that leaves all that this kernel knows;
    /// elsewhere none that the caller's bounding set lacks (a container engine inside a container, for example).
    pub fn granted(self, in_user_namespace: bool) -> Sets {
        let known = self.of_this_kernel();
        if in_user_namespace { known } else { known.only(!withheld(known.any())) }
    }

    fn up_to(self, last: u8) -> Sets {
        self.only(u64::MAX >> (63 - last.min(63)))
    }

    fn only(self, mask: u64) -> Sets {
        Sets {
            bounding: self.bounding & mask,
            effective: self.effective & mask,
            inheritable: self.inheritable & mask,
            permitted: self.permitted & mask,
            ambient: self.ambient & mask,
        }
    }

    fn any(self) -> u64 {
        self.bounding | self.effective | self.inheritable | self.permitted | self.ambient
    }
}

/// Returns those of the capabilities `asked` that the caller's bounding set lacks.
fn withheld(asked: u64) -> u64 {
    let lacks = |number: &u8| {
        let capability = name(*number).and_then(|name| name.parse().ok());
        capability.is_some_and(|one| caps::has_cap(None, caps::CapSet::Bounding, one).is_ok_and(|has| !has))
    };
    let asked = (0..64u8).filter(|number| asked >> number & 1 == 1);
    asked.filter(lacks).fold(0, |mask, number| mask | 1 << number)
}

fn last_of_this_kernel() -> u8 {
    static LAST: OnceCell<u8> = OnceCell::new();
    let read = || procfs::read_optional("sys/kernel/cap_last_cap").ok().flatten()?.trim().parse().ok();
    *LAST.get_or_init(|| read().unwrap_or(NAMES.len() as u8 - 1))
}

/// Removes from a process's document the names that are not in [`NAMES`], and returns them: those of a newer kernel,
/// and spellings that capabilities(7) does not have (`NET_ADMIN`, `cap_net_admin`), which runc ignores as well.
pub(super) fn take_unknown(process: &mut Value) -> Vec<String> {
    let mut unknown = Vec::new();
    let mut seen = std::collections::HashSet::new();
    let sets = process.get_mut("capabilities").and_then(Value::as_object_mut);
    for set in sets.into_iter().flat_map(|sets| sets.values_mut()) {
        let Value::Array(names) = set else { continue };
        names.retain(|name| {
            let name = name.as_str().unwrap_or_default();
            let known = NAMES.contains(&name);
            if !known && seen.insert(name.to_owned()) {
                unknown.push(name.to_owned());
            }
            known
        });
    }
    unknown
}

/// Logs which capabilities are not granted: the `unknown` ones, and those that this kernel does not know.
pub fn report(unknown: &[String], process: &oci::Process) {
    let given = Sets::given(process);
    let beyond = given.any() & !given.of_this_kernel().any();
    let missing: Vec<String> = unknown.iter().cloned().chain(names(beyond).map(str::to_owned)).collect();
    if !missing.is_empty() {
        // runc's words.
        log::warn!("ignoring unknown or unavailable capabilities: [{}]", missing.join(" "));
    }
    let held = given.consistent();
    for (set, given, held, lacking) in [
        ("effective", given.effective, held.effective, "permitted"),
        ("inheritable", given.inheritable, held.inheritable, "bounding"),
    ] {
        let dropped: Vec<&str> = names(given & !held).collect();
        if !dropped.is_empty() {
            let dropped = dropped.join(", ");
            log::warn!("capabilities.{set}: {dropped} is not granted, because it is not {lacking}");
        }
    }
    for ambient in names(given.ambient & !held.ambient) {
        // runc's words.
        log::warn!("can't raise ambient capability {ambient}: it is not both permitted and inheritable");
    }
}

/// Logs which capabilities are not granted because the caller does not have them, for a process without a new user
/// namespace.
pub fn report_withheld(process: &oci::Process) {
    let withheld = withheld(Sets::of(process).of_this_kernel().any());
    if withheld != 0 {
        let names: Vec<&str> = names(withheld).collect();
        log::warn!("capabilities that the caller's bounding set lacks are not granted: {}", names.join(", "));
    }
}

fn names(set: u64) -> impl Iterator<Item = &'static str> {
    (0..64).filter(move |number| set >> number & 1 == 1).filter_map(name)
}

/// Returns the kernel's number of a capability.
pub fn number(capability: oci::Capability) -> u8 {
    let name = capability.to_string();
    // The OCI crate's Display prints `SYS_ADMIN` for `CAP_SYS_ADMIN`.
    let position = NAMES.iter().position(|known| known.strip_prefix("CAP_") == Some(&name));
    // The table has every name of the OCI crate (checked by a test); no kernel has a capability 63.
    position.map_or(63, |position| position as u8)
}

/// Returns the name of a capability number, for errors of init and for the last capability of the kernel.
pub fn name(number: u8) -> Option<&'static str> {
    NAMES.get(usize::from(number)).copied()
}

fn mask(set: &Option<oci::Capabilities>) -> u64 {
    set.iter().flatten().fold(0, |mask, capability| mask | 1 << number(*capability))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_known_to_the_oci_crate_and_has_its_own_number() {
        for (index, name) in NAMES.iter().enumerate() {
            let capability: oci::Capability = serde_json::from_value((*name).into()).unwrap();
            assert_eq!(number(capability), index as u8, "{name}");
        }
    }

    #[test]
    fn an_older_kernels_capabilities_end_earlier() {
        let all = Sets { bounding: u64::MAX, ambient: 1 << 40 | 1 << 3, ..Sets::default() };
        let sets = all.up_to(37);
        assert_eq!((sets.bounding, sets.ambient), ((1 << 38) - 1, 1 << 3));
        assert_eq!(all.up_to(63), all);
    }

    #[test]
    fn contradictory_capabilities_are_removed_from_the_sets() {
        let given =
            Sets { bounding: 0b0111, effective: 0b1111, permitted: 0b0011, inheritable: 0b1010, ambient: 0b1111 };
        let held = Sets { effective: 0b0011, inheritable: 0b0010, ambient: 0b0010, ..given };
        assert_eq!(given.consistent(), held);
        assert_eq!(held.consistent(), held);
    }

    #[test]
    fn unknown_names_are_removed_and_logged_once() {
        let mut process = serde_json::json!({ "capabilities": {
            "bounding": ["CAP_KILL", "CAP_FLY"], "effective": ["CAP_FLY", "KILL"], "ambient": ["cap_kill"],
        }});
        assert_eq!(take_unknown(&mut process), ["CAP_FLY", "KILL", "cap_kill"]);
        let left = serde_json::json!({ "bounding": ["CAP_KILL"], "effective": [], "ambient": [] });
        assert_eq!(process["capabilities"], left);
        assert_eq!(take_unknown(&mut process), [""; 0]);
    }

    #[test]
    fn numbers_are_the_kernels() {
        assert_eq!(number(oci::Capability::Chown), 0);
        assert_eq!(number(oci::Capability::SysAdmin), 21);
        assert_eq!(number(oci::Capability::CheckpointRestore), 40);
        assert_eq!(name(12), Some("CAP_NET_ADMIN"));
        assert_eq!(name(41), None);
    }
}
