//! The planner: compiles a configuration into the flat list of steps that berth-init executes. Everything is decided
//! here, on the host's side; init only acts and reports.

mod cgroup_mount;
mod create;
mod encode;
mod join;
mod outside;
mod process;
mod rootfs;
mod step;
#[cfg(test)]
mod tests;

use std::os::fd::RawFd;
use std::path::PathBuf;

use serde_json::{Value, json};

pub use create::{Create, create};
pub use encode::{Encoded, encode};
pub use join::{Join, Program, join, program, route_socket};
pub use outside::Outside;
pub use step::{Attributes, Barrier, Descriptor, Slot, Step};

use crate::init::wire::SLOT_FREE;
use crate::security::seccomp::Filter;

/// What init will do, and how it is to be spawned for it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    pub steps: Vec<Step>,
    /// The descriptors behind the slots from [`SLOT_FREE`] on.
    pub descriptors: Vec<Descriptor>,
    /// CLONE_NEW… flags for the spawning clone3 itself. 0 where a `Fork` step makes the namespaces.
    pub clone_flags: u64,
    /// What the host does to the process, beside what it does to the container.
    pub outside: Vec<Outside>,
}

impl Plan {
    fn slot(&mut self, descriptor: Descriptor) -> Slot {
        self.descriptors.push(descriptor);
        Slot(SLOT_FREE + self.descriptors.len() - 1)
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
    ) -> crate::Result<Encoded> {
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
            "outside": self.outside.iter().map(Outside::explain).collect::<Vec<_>>(),
        })
    }
}

/// Adds steps that open and attach the trees of the host. They are opened where the host's paths and privileges
/// still are: before init leaves its user namespace, or right when they are needed.
#[derive(Default)]
struct Trees {
    early: Vec<Step>,
    open_early: bool,
}

impl Trees {
    fn open(&mut self, plan: &mut Plan, path: PathBuf, recursive: bool) -> Slot {
        let slot = plan.slot(Descriptor::ByInit);
        let step = Step::OpenTree { path, recursive, own_propagation: self.open_early, slot };
        if self.open_early {
            self.early.push(step)
        } else {
            plan.push(step)
        }
        slot
    }
}
