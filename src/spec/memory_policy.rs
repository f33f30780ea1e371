//! Checks `linux.memoryPolicy`: the memory nodes from which a process gets its pages.

use super::number_list;
use super::oci::{self, LinuxMemoryPolicy, MemoryPolicyFlagType as Flag, MemoryPolicyModeType as Mode};
use crate::error::{Error, Result};

pub const MODES: [&str; 7] = [
    "MPOL_DEFAULT",
    "MPOL_PREFERRED",
    "MPOL_BIND",
    "MPOL_INTERLEAVE",
    "MPOL_LOCAL",
    "MPOL_PREFERRED_MANY",
    "MPOL_WEIGHTED_INTERLEAVE",
];

pub const FLAGS: [&str; 3] = ["MPOL_F_NUMA_BALANCING", "MPOL_F_RELATIVE_NODES", "MPOL_F_STATIC_NODES"];

/// The kernel's largest number of memory nodes.
const MAX_NODES: u32 = 1024;

/// Returns the first argument of set_mempolicy(2): mode and flags, from linux/mempolicy.h.
pub fn mode(policy: &LinuxMemoryPolicy) -> u64 {
    let mode = match policy.mode() {
        Mode::MpolDefault => 0,
        Mode::MpolPreferred => 1,
        Mode::MpolBind => 2,
        Mode::MpolInterleave => 3,
        Mode::MpolLocal => 4,
        Mode::MpolPreferredMany => 5,
        Mode::MpolWeightedInterleave => 6,
    };
    policy.flags().iter().flatten().fold(mode, |mode, flag| mode | flag_bit(*flag))
}

fn flag_bit(flag: Flag) -> u64 {
    match flag {
        Flag::MpolFStaticNodes => 1 << 15,
        Flag::MpolFRelativeNodes => 1 << 14,
        Flag::MpolFNumaBalancing => 1 << 13,
    }
}

pub(super) fn check(linux: &oci::Linux) -> Result<()> {
    let Some(policy) = linux.memory_policy() else { return Ok(()) };
    let mode = policy.mode();
    let nodes = policy.nodes().as_deref().unwrap_or_default();
    number_list::check(nodes, MAX_NODES, "linux.memoryPolicy.nodes")?;
    let fault = |name: &str, message: String| Err(Error::config(&format!("linux.memoryPolicy.{name}"), message));
    match (mode, nodes.is_empty()) {
        (Mode::MpolDefault | Mode::MpolLocal, false) => {
            return fault("nodes", format!("{nodes:?} contradicts {mode}, which has no nodes; expected none"));
        }
        (Mode::MpolDefault | Mode::MpolLocal | Mode::MpolPreferred, true) | (_, false) => {}
        (_, true) => return fault("nodes", format!("is missing; expected nodes for {mode}, like \"0-1\"")),
    }
    let flags = policy.flags().as_deref().unwrap_or_default();
    let has = |flag| flags.contains(&flag);
    if let Some(flag) = flags.first().filter(|_| nodes.is_empty()) {
        return fault("flags", format!("{flag} has no meaning without nodes; expected none"));
    }
    if has(Flag::MpolFStaticNodes) && has(Flag::MpolFRelativeNodes) {
        let message = "MPOL_F_STATIC_NODES and MPOL_F_RELATIVE_NODES contradict each other; expected only one of them";
        return fault("flags", message.into());
    }
    if has(Flag::MpolFNumaBalancing) && !matches!(mode, Mode::MpolBind | Mode::MpolPreferredMany) {
        let message =
            format!("MPOL_F_NUMA_BALANCING has no meaning for {mode}; expected MPOL_BIND or MPOL_PREFERRED_MANY");
        return fault("flags", message);
    }
    Ok(())
}
