//! The planner: compiles a configuration into the flat list of steps that berth-init executes. Everything is decided
//! here, on the host's side; init only acts and reports.

mod cgroup_mount;
mod create;
mod encode;
mod field;
mod host_action;
mod host_devices;
mod join;
mod mount_labels;
mod process;
mod rootfs;
mod step;
#[cfg(test)]
mod tests;

use std::os::fd::RawFd;
use std::path::PathBuf;

use berth_init::wire::SLOT_FREE;
use serde_json::{Value, json};

pub use berth_init::fields::{Attributes, Barrier, CopyUp, Slot};
pub use cgroup_mount::is_delegated as delegates_cgroup;
pub use create::{Create, create, prepares_network};
pub use encode::{Encoded, encode};
pub use host_action::HostAction;
pub use host_devices::HostNode;
pub use join::{Join, Program, in_user_namespace, join, netlink_socket, program, waiting};
pub use rootfs::RootOptions;
pub use step::{Descriptor, Entry, Step};

use crate::error::Result;
use crate::security::seccomp::Filter;
use crate::spec::namespaces::Namespaces;
use crate::spec::oci::{LinuxIdMapping, LinuxNamespaceType, Spec};

/// What init will do, and how it is to be spawned for it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    pub steps: Vec<Step>,
    /// The descriptors behind the slots from [`SLOT_FREE`] on.
    pub descriptors: Vec<Descriptor>,
    /// CLONE_NEW… flags for the spawning clone3 itself. 0 where a `Fork` step makes the namespaces.
    pub clone_flags: u64,
    /// What the host does to the process, beside what it does to the container.
    pub host_actions: Vec<HostAction>,
    /// Device nodes that the host makes before it starts init.
    pub host_nodes: Vec<HostNode>,
    /// What user namespaces the host makes for mapping owners of files; [`Descriptor::UserNamespace`].
    pub user_namespaces: Vec<IdMaps>,
}

/// The maps of a user namespace.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct IdMaps {
    pub uids: Vec<LinuxIdMapping>,
    pub gids: Vec<LinuxIdMapping>,
}

impl Plan {
    pub(crate) fn slot(&mut self, descriptor: Descriptor) -> Slot {
        self.descriptors.push(descriptor);
        Slot(SLOT_FREE + self.descriptors.len() - 1)
    }

    /// The slot of a user namespace with these maps.
    fn user_namespace(&mut self, maps: IdMaps) -> Slot {
        let index = self.user_namespaces.iter().position(|other| *other == maps).unwrap_or_else(|| {
            self.user_namespaces.push(maps);
            self.user_namespaces.len() - 1
        });
        let descriptor = Descriptor::UserNamespace(index);
        match self.descriptors.iter().position(|other| *other == descriptor) {
            Some(place) => Slot(SLOT_FREE + place),
            None => self.slot(descriptor),
        }
    }

    fn push(&mut self, step: Step) {
        self.steps.push(step);
    }

    /// Whether init reaches this barrier.
    pub fn waits_for(&self, barrier: Barrier) -> bool {
        self.steps.contains(&Step::WaitHost(barrier))
    }

    /// The filter that init loads, with the index of the step.
    pub fn filter(&self) -> Option<(usize, &Filter)> {
        self.steps.iter().enumerate().find_map(|(index, step)| match step {
            Step::Seccomp { filter, .. } => Some((index, filter.as_ref())),
            _ => None,
        })
    }

    /// Whether init gives the listener of its filter to the host.
    pub fn has_listener(&self) -> bool {
        self.filter().is_some_and(|(_, filter)| filter.notifies)
    }

    /// Whether the process that goes on is another one than the spawned.
    pub fn forks(&self) -> bool {
        self.steps.iter().any(|step| matches!(step, Step::Fork { .. }))
    }

    /// The plan as bytes. `fixed` are the descriptors of the fixed slots; `open` finds the others.
    pub fn encode(
        &self,
        fixed: [RawFd; SLOT_FREE],
        low: &[RawFd],
        open: impl Fn(&Descriptor) -> RawFd,
    ) -> Result<Encoded> {
        let slots: Vec<RawFd> = fixed.into_iter().chain(self.descriptors.iter().map(open)).collect();
        encode(&self.steps, &slots, low)
    }

    /// What would be done, in words and in order.
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
            "outside": self.host_nodes.iter().map(HostNode::explain)
                .chain(self.host_actions.iter().map(HostAction::explain)).collect::<Vec<_>>(),
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
        json!({ "text": format!("making a user namespace with the uids {uids} and the gids {gids}") })
    }

    /// Those of the user namespace that a configuration asks for, if it is a new one.
    pub fn of(spec: &Spec) -> Option<IdMaps> {
        let linux = spec.linux().as_ref()?;
        let list = |maps: &Option<Vec<LinuxIdMapping>>| maps.clone().unwrap_or_default();
        Namespaces::of(spec)
            .is_new(LinuxNamespaceType::User)
            .then(|| IdMaps { uids: list(linux.uid_mappings()), gids: list(linux.gid_mappings()) })
    }
}

/// A device that is bound in the place of a node.
#[derive(Clone, Copy)]
struct BoundDevice {
    /// S_IFCHR or S_IFBLK.
    kind: u32,
    device: (u32, u32),
    /// The caller has made it for the container.
    own: bool,
}

/// A tree of the host that is wanted.
struct BindSource {
    path: PathBuf,
    /// It lies beneath the root filesystem.
    inside: Option<Inside>,
    recursive: bool,
    /// If it is a symlink, that is what is wanted.
    nofollow: bool,
    id_map: Option<TreeIdMap>,
    /// The device that it must be.
    device: Option<BoundDevice>,
    entry: Entry,
}

/// Where a path of the host lies beneath the root filesystem.
struct Inside {
    /// The root filesystem, a path of the host.
    rootfs: PathBuf,
    /// From there.
    path: PathBuf,
    /// What is there is, or lies in, what an earlier mount brings.
    mounted: bool,
}

/// How the owners in a tree are mapped.
struct TreeIdMap {
    /// The slot of the user namespace with the mappings.
    namespace: Slot,
    /// In the mounts below, too.
    recursive: bool,
}

impl BindSource {
    /// One mount as it is.
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

/// Adds steps that open and attach the trees of the host. They are opened where the host's paths and privileges
/// still are: before init leaves its user namespace, or right when they are needed, which is what those want that a mount
/// of the container brings.
#[derive(Default)]
struct TreeOpener {
    early: Vec<Step>,
    open_early: bool,
}

impl TreeOpener {
    fn open(&mut self, plan: &mut Plan, wanted: BindSource) -> Slot {
        let BindSource { path, inside, recursive, nofollow, id_map, device, entry } = wanted;
        let slot = plan.slot(Descriptor::ByInit);
        let early = self.open_early && !inside.as_ref().is_some_and(|inside| inside.mounted);
        let steps = if early { &mut self.early } else { &mut plan.steps };
        steps.push(match inside {
            None => {
                let own_propagation = early;
                Step::OpenTree { path: path.clone(), recursive, nofollow, own_propagation, slot, entry }
            }
            Some(Inside { rootfs, path, mounted }) => {
                Step::OpenInnerTree { rootfs, path, recursive, own_propagation: early, slot, mounted, entry }
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
