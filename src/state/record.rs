//! The record of a container, `state.json`: what there may be of it on the host, and what it was created with.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::any_path;
use crate::cgroup::Layout;
use crate::network::Journal;
use crate::plan::RootOptions;
use crate::rdt::Group;
use crate::sys::identity::Identity;

/// How far a container has come, as its record says. The kernel is asked for the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    Creating,
    Created,
    Deleting,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Record {
    /// Of this layout.
    pub version: u32,
    pub id: String,
    pub phase: Phase,
    /// Who is creating or deleting it.
    pub owner: Identity,
    #[serde(with = "any_path::optional")]
    pub bundle: Option<PathBuf>,
    /// RFC 3339.
    pub created: String,
    pub init: Option<Init>,
    #[serde(flatten)]
    pub(crate) inputs: PlanInputs,
    /// CLONE_NEW… of the namespaces that are not the host's.
    pub namespaces: u64,
    /// What init's standard descriptors are: "pipe:[123]", "/dev/null" … (for checkpoints, as the seed has it).
    #[serde(default)]
    pub external_descriptors: Vec<String>,
    /// Links of the container, if it has any that are ours to remove.
    #[serde(default)]
    pub(crate) network: Option<Journal>,
    /// A checkpoint that somebody is at work on.
    #[serde(default)]
    pub checkpoint: Option<CheckpointInProgress>,
}

impl Record {
    /// All that is known is where there may be cgroups, and what there may be in resctrl.
    pub(crate) fn placeholder(id: &str, cgroup: Layout, resctrl: Option<Group>) -> Record {
        Record {
            version: RECORD_VERSION,
            id: id.to_owned(),
            phase: Phase::Deleting,
            owner: Identity { pid: 0, start_time: 0, boot_id: String::new() },
            bundle: None,
            created: String::new(),
            init: None,
            inputs: PlanInputs { cgroup, resctrl, ..PlanInputs::default() },
            namespaces: 0,
            external_descriptors: Vec::new(),
            network: None,
            checkpoint: None,
        }
    }

    /// It lives without its creator from here on.
    pub fn mark_created(&mut self) {
        self.phase = Phase::Created;
        if let Some(group) = &mut self.inputs.resctrl {
            group.mark_created();
        }
    }
}

pub const RECORD_VERSION: u32 = 1;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Init {
    #[serde(flatten)]
    pub identity: Identity,
    /// Device and inode of berth-init: as long as this is what the process executes, it is *created*.
    pub image: (u64, u64),
}

/// What the plans of a container are made from, beside its configuration.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct PlanInputs {
    /// The root filesystem, without symlinks in its path.
    #[serde(with = "any_path")]
    pub rootfs: PathBuf,
    /// Where the caller makes device nodes for an init that may not.
    #[serde(default, with = "any_path")]
    pub device_dir: PathBuf,
    pub cgroup: Layout,
    /// Its group in resctrl, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resctrl: Option<Group>,
    /// As create was asked for it.
    pub parent_death_signal: i32,
    /// The container's processes have the session keyring of whoever starts them.
    #[serde(default)]
    pub inherits_keyring: bool,
    /// A program that is missing was an error of create.
    #[serde(default)]
    pub found_program: bool,
    /// How the container gets its root filesystem.
    #[serde(default)]
    pub root_options: RootOptions,
}

/// A checkpoint under way, as the record has it: whoever comes after a killed host puts back in order what CRIU, which
/// dies with it, has left.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CheckpointInProgress {
    pub owner: Identity,
    pub was_paused: bool,
}
