//! The planner: compiles a configuration into the flat list of steps that berth-init executes. The caller decides
//! everything here; init only executes and reports.

mod caller_action;
mod cgroup_mount;
mod create;
mod encode;
mod field;
mod host_devices;
mod host_mounts;
mod join;
mod mount_labels;
mod mount_order;
mod process;
mod rootfs;
mod step;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::os::fd::RawFd;
use std::path::PathBuf;

use berth_init::fields::Device;
use berth_init::wire::SLOT_FREE;
use serde_json::{Value, json};

pub use berth_init::fields::{Attributes, Barrier, CopyUp, Slot};
pub use caller_action::CallerAction;
pub use cgroup_mount::is_delegated as delegates_cgroup;
pub use create::{Create, create, prepares_network};
pub use encode::{Encoded, encode};
pub use host_devices::CallerNode;
pub use join::{
    Join, Program, ProgramPlace, clone_mounts, detach_mount, in_user_namespace, join, netlink_socket, program,
    root_readonly, waiting,
};
pub use rootfs::RootOptions;
pub use step::{Descriptor, Entry, Step};

use crate::error::Result;
use crate::security::seccomp::Filter;
use crate::spec::namespaces::Namespaces;
use crate::spec::oci::{LinuxIdMapping, LinuxNamespaceType, Spec};

/// The steps of init, and how it is spawned.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    pub steps: Vec<Step>,
    /// The descriptors behind the slots from [`SLOT_FREE`] on.
    pub descriptors: Vec<Descriptor>,
    /// CLONE_NEW… flags for the spawning clone3 itself; 0 if a `Fork` step creates the namespaces.
    pub clone_flags: u64,
    /// The caller's actions on the process, beside those on the container.
    pub caller_actions: Vec<CallerAction>,
    /// Device nodes that the caller creates before it starts init.
    pub caller_nodes: Vec<CallerNode>,
    /// The user namespaces that the caller creates to map the owners of files; see [`Descriptor::UserNamespace`].
    pub user_namespaces: Vec<IdMaps>,
    /// The slots of `user_namespaces`, by [`IdMaps::numbers`].
    pub slots_of_maps: HashMap<(usize, Vec<[u32; 3]>), Slot>,
}

/// The id mappings of a user namespace.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct IdMaps {
    pub uids: Vec<LinuxIdMapping>,
    pub gids: Vec<LinuxIdMapping>,
}

impl IdMaps {
    /// Returns what identifies the mappings: the number of those of users, and the ids and sizes of all.
    fn numbers(&self) -> (usize, Vec<[u32; 3]>) {
        let all = self.uids.iter().chain(&self.gids);
        let numbers = all.map(|map| [map.container_id(), map.host_id(), map.size()]).collect();
        (self.uids.len(), numbers)
    }
}

impl Plan {
    pub(crate) fn slot(&mut self, descriptor: Descriptor) -> Slot {
        self.descriptors.push(descriptor);
        Slot(SLOT_FREE + self.descriptors.len() - 1)
    }

    /// Returns the slot of a user namespace with these mappings.
    fn user_namespace(&mut self, maps: IdMaps) -> Slot {
        let numbers = maps.numbers();
        if let Some(slot) = self.slots_of_maps.get(&numbers) {
            return *slot;
        }
        self.user_namespaces.push(maps);
        let slot = self.slot(Descriptor::UserNamespace(self.user_namespaces.len() - 1));
        self.slots_of_maps.insert(numbers, slot);
        slot
    }

    fn push(&mut self, step: Step) {
        self.steps.push(step);
    }

    /// Whether init reaches this barrier.
    pub fn waits_for(&self, barrier: Barrier) -> bool {
        self.steps.contains(&Step::WaitHost(barrier))
    }

    /// Returns the filter that init loads, with the index of its step.
    pub fn filter(&self) -> Option<(usize, &Filter)> {
        self.steps.iter().enumerate().find_map(|(index, step)| match step {
            Step::Seccomp { filter, .. } => Some((index, filter.as_ref())),
            _ => None,
        })
    }

    /// Whether init sends the listener of its filter to the caller.
    pub fn has_listener(&self) -> bool {
        self.filter().is_some_and(|(_, filter)| filter.notifies)
    }

    /// Whether the spawned process forks, and its child becomes init.
    pub fn forks(&self) -> bool {
        self.steps.iter().any(|step| matches!(step, Step::Fork { .. }))
    }

    /// Whether the process that the spawned one forks is not in the container's cgroup of the v2 hierarchy.
    pub fn forks_outside_cgroup(&self) -> bool {
        self.forks() && !self.descriptors.contains(&Descriptor::Cgroup)
    }

    /// Encodes the plan as bytes. `fixed` holds the descriptors of the fixed slots; `open` finds the others.
    pub fn encode(
        &self,
        fixed: [RawFd; SLOT_FREE],
        low: &[RawFd],
        open: impl Fn(&Descriptor) -> RawFd,
    ) -> Result<Encoded> {
        let slots: Vec<RawFd> = fixed.into_iter().chain(self.descriptors.iter().map(open)).collect();
        encode(&self.steps, &slots, low)
    }

    /// Describes the steps in words and in order.
    pub fn explain(&self) -> Value {
        let steps = self.steps.iter().enumerate().map(|(index, step)| {
            let mut value = step.explain();
            if let Value::Object(fields) = &mut value {
                fields.insert("step".into(), json!(index + 1));
            }
            value
        });
        json!({
            "steps": steps.collect::<Vec<_>>(),
            "user_namespaces": self.user_namespaces.iter().map(IdMaps::explain).collect::<Vec<_>>(),
            "outside": self.caller_nodes.iter().map(CallerNode::explain)
                .chain(self.caller_actions.iter().map(CallerAction::explain)).collect::<Vec<_>>(),
        })
    }
}

impl IdMaps {
    fn explain(&self) -> Value {
        let list = |maps: &[LinuxIdMapping]| {
            let text = |map: &LinuxIdMapping| format!("{} {} {}", map.container_id(), map.host_id(), map.size());
            maps.iter().map(text).collect::<Vec<_>>().join(", ")
        };
        let (uids, gids) = (list(&self.uids), list(&self.gids));
        json!({ "text": format!("creating a user namespace with the uids {uids} and the gids {gids}") })
    }

    /// Returns the mappings of the user namespace that a configuration creates, if it does.
    pub fn of(spec: &Spec) -> Option<IdMaps> {
        let linux = spec.linux().as_ref()?;
        let list = |maps: &Option<Vec<LinuxIdMapping>>| maps.clone().unwrap_or_default();
        Namespaces::of(spec)
            .is_new(LinuxNamespaceType::User)
            .then(|| IdMaps { uids: list(linux.uid_mappings()), gids: list(linux.gid_mappings()) })
    }
}

/// A device that is bind-mounted instead of creating a node.
#[derive(Clone, Copy)]
struct BoundDevice {
    /// S_IFCHR or S_IFBLK.
    kind: u32,
    device: Device,
    /// Whether the caller has created the node for this container.
    own: bool,
}

/// A mount tree of the host to open.
struct BindSource {
    path: PathBuf,
    /// The position of the path beneath the root filesystem, if it is there.
    inside: Option<BeneathRootfs>,
    recursive: bool,
    /// Whether to open a symlink itself, not its target.
    nofollow: bool,
    id_map: Option<TreeIdMap>,
    /// The device that the path must be.
    device: Option<BoundDevice>,
    entry: Entry,
}

/// The position of a host path beneath the root filesystem.
struct BeneathRootfs {
    /// The root filesystem, as a path of the host.
    rootfs: PathBuf,
    /// The path within the root filesystem.
    path: PathBuf,
    /// Whether an earlier mount of the container provides the path.
    mounted: bool,
}

/// The mapping of the owners of files in a tree.
struct TreeIdMap {
    /// The slot of the user namespace with the mappings.
    namespace: Slot,
    /// Whether the mounts below are mapped, too.
    recursive: bool,
}

impl BindSource {
    /// Returns a source of one mount, without any changes.
    fn single(path: &std::path::Path) -> BindSource {
        BindSource {
            path: path.to_owned(),
            inside: None,
            recursive: false,
            nofollow: false,
            id_map: None,
            device: None,
            entry: None,
        }
    }
}

/// Adds steps that open mount trees of the host. The steps run while the host's paths and privileges are available:
/// before init leaves its user namespace, or just before the tree is attached if an earlier mount of the container
/// provides it.
#[derive(Default)]
struct TreeOpener {
    early: Vec<Step>,
    open_early: bool,
    /// Whether the mounts of the namespace in which the trees are attached propagate.
    among_shared: bool,
}

impl TreeOpener {
    fn open(&mut self, plan: &mut Plan, wanted: BindSource) -> Slot {
        let BindSource { path, inside, recursive, nofollow, id_map, device, entry } = wanted;
        let slot = plan.slot(Descriptor::ByInit);
        let early = self.open_early && !inside.as_ref().is_some_and(|inside| inside.mounted);
        let own_propagation = early || self.among_shared;
        let steps = if early { &mut self.early } else { &mut plan.steps };
        steps.push(match inside {
            None => Step::OpenTree { path: path.clone(), recursive, nofollow, own_propagation, slot, entry },
            Some(BeneathRootfs { rootfs, path, mounted }) => {
                Step::OpenInnerTree { rootfs, path, recursive, own_propagation, slot, mounted, entry }
            }
        });
        if let Some(BoundDevice { kind, device, own }) = device {
            steps.push(Step::CheckDevice { tree: slot, kind, device, own, path: path.clone() });
        }
        if let Some(TreeIdMap { namespace, recursive }) = id_map {
            steps.push(Step::IdMap { path, recursive, tree: slot, namespace, entry });
        }
        slot
    }
}
