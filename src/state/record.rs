//! The record of a container, `state.json`: the inputs that it was created with, and everything that may exist of it on
//! the host.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::any_path;
use crate::cgroup::Layout;
use crate::network::Journal;
use crate::plan::RootOptions;
use crate::rdt::Group;
use crate::sys::identity::Identity;

/// The phase of a container, as its record states it. The kernel is asked for the rest of the status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    Creating,
    Created,
    Deleting,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Record {
    /// The version of the record's format.
    pub version: u32,
    pub id: String,
    pub phase: Phase,
    /// The process that is creating or deleting the container.
    pub owner: Identity,
    #[serde(with = "any_path::optional")]
    pub bundle: Option<PathBuf>,
    /// The time of creation (RFC 3339).
    pub created: String,
    pub init: Option<Init>,
    #[serde(flatten)]
    pub(crate) inputs: PlanInputs,
    /// CLONE_NEW… flags of the namespaces that are not the host's.
    pub namespaces: u64,
    /// The names of init's standard descriptors ("pipe:[123]", "/dev/null" …), for checkpoints, in libcontainer's
    /// format.
    #[serde(default)]
    pub external_descriptors: Vec<String>,
    /// The container's network interfaces, if it has any that libberth must remove.
    #[serde(default)]
    pub(crate) network: Option<Journal>,
    /// The mount of the root filesystem, if it is in a mount namespace that other processes use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root_mount: Option<RootMount>,
    /// The checkpoint in progress, if any.
    #[serde(default)]
    pub checkpoint: Option<CheckpointInProgress>,
}

impl Record {
    /// Returns a record of which only the cgroups and the resctrl groups are known.
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
            root_mount: None,
            checkpoint: None,
        }
    }

    /// Whether another record is of the same attempt to create the container, and not of a later moment.
    pub fn is_same(&self, other: &Record) -> bool {
        (self.phase, &self.created, &self.owner) == (other.phase, &other.created, &other.owner)
    }

    /// Marks the container as created: from then on it does not depend on its creator.
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
    /// Device and inode of berth-init. As long as the process executes this file, the container's status is *created*.
    pub image: (u64, u64),
}

/// The mounts of a root filesystem that delete must unmount.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootMount {
    /// The ids of the mounts at its path, in the order in which they are unmounted.
    pub ids: [u64; 2],
    /// The joined mount namespace that they are in; None for the caller's.
    #[serde(default, with = "any_path::optional")]
    pub namespace: Option<PathBuf>,
}

/// The inputs of a container's plans, beside its configuration.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct PlanInputs {
    /// The path of the root filesystem, without symlinks.
    #[serde(with = "any_path")]
    pub rootfs: PathBuf,
    /// The directory in which the caller creates device nodes if init may not.
    #[serde(default, with = "any_path")]
    pub device_dir: PathBuf,
    pub cgroup: Layout,
    /// The container's resctrl group, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resctrl: Option<Group>,
    /// The signal of [`ProcessOptions`](crate::ProcessOptions) that create was given.
    pub parent_death_signal: i32,
    /// Whether the container's processes keep the session keyring of the caller that starts them.
    #[serde(default)]
    pub inherits_keyring: bool,
    /// Whether create fails if the program does not exist.
    #[serde(default)]
    pub found_program: bool,
    /// Whether the terminal leaves newlines as they are.
    #[serde(default)]
    pub plain_newlines: bool,
    /// The options of the root filesystem.
    #[serde(default)]
    pub root_options: RootOptions,
}

/// A checkpoint in progress. If its caller is killed, CRIU is killed with it, and the next checkpoint, resume or
/// recover cleans up.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CheckpointInProgress {
    pub owner: Identity,
    pub was_paused: bool,
}
