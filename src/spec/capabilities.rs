//! Capability names to the kernel's numbers, and the rules between the five sets.

use super::oci;
use crate::error::{Error, Result};

/// In the order of their numbers in `linux/capability.h`.
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

/// The five sets as the kernel takes them: bit *n* is capability number *n*.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sets {
    pub bounding: u64,
    pub effective: u64,
    pub inheritable: u64,
    pub permitted: u64,
    pub ambient: u64,
}

impl Sets {
    /// A set that is not given is empty, and so are all five of a process without `capabilities`.
    pub fn of(process: &oci::Process) -> Sets {
        let Some(given) = process.capabilities() else { return Sets::default() };
        Sets {
            bounding: mask(given.bounding()),
            effective: mask(given.effective()),
            inheritable: mask(given.inheritable()),
            permitted: mask(given.permitted()),
            ambient: mask(given.ambient()),
        }
    }
}

/// The kernel's number of a capability.
pub fn number(capability: oci::Capability) -> u8 {
    let name = capability.to_string();
    // The OCI crate prints `SYS_ADMIN` for what it serialises as `CAP_SYS_ADMIN`.
    let position = NAMES.iter().position(|known| known.strip_prefix("CAP_") == Some(&name));
    // Every name of the OCI crate is in the table (a test holds it); 63 is no capability of any kernel.
    position.map_or(63, |position| position as u8)
}

/// The name of a number, for errors of init and of the kernel's last known capability.
pub fn name(number: u8) -> Option<&'static str> {
    NAMES.get(usize::from(number)).copied()
}

fn mask(set: &Option<oci::Capabilities>) -> u64 {
    set.iter().flatten().fold(0, |mask, capability| mask | 1 << number(*capability))
}

pub(super) fn check(process: &oci::Process, prefix: &str) -> Result<()> {
    let sets = Sets::of(process);
    within(sets.effective, "effective", sets.permitted, "permitted", prefix)?;
    within(sets.ambient, "ambient", sets.permitted, "permitted", prefix)?;
    within(sets.ambient, "ambient", sets.inheritable, "inheritable", prefix)?;
    within(sets.inheritable, "inheritable", sets.bounding, "bounding", prefix)
}

/// The kernel refuses the sets otherwise, when init can no longer say why.
fn within(inner: u64, inner_name: &str, outer: u64, outer_name: &str, prefix: &str) -> Result<()> {
    let outside = inner & !outer;
    if outside == 0 {
        return Ok(());
    }
    let names: Vec<_> = (0..64).filter(|number| outside >> number & 1 == 1).filter_map(name).collect();
    Err(Error::config(
        &format!("{prefix}capabilities.{inner_name}"),
        format!("{} is not in capabilities.{outer_name}; the kernel allows only what is in both", names.join(", ")),
    ))
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
    fn numbers_are_the_kernels() {
        assert_eq!(number(oci::Capability::Chown), 0);
        assert_eq!(number(oci::Capability::SysAdmin), 21);
        assert_eq!(number(oci::Capability::CheckpointRestore), 40);
        assert_eq!(name(12), Some("CAP_NET_ADMIN"));
        assert_eq!(name(41), None);
    }
}
