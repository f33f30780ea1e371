//! What the host does to a process while it waits: the part of a plan that berth-init cannot do, because it asks for
//! privileges that a user namespace takes away.

use serde_json::{Value, json};

use crate::rdt::Group;
use crate::spec::intel_rdt::Write;
use crate::spec::scheduling::Scheduler;

#[derive(Clone, Debug, PartialEq)]
pub enum HostAction {
    /// Into its place in resctrl, which has these shares.
    Resctrl {
        group: Group,
        shares: Vec<Write>,
    },
    OomScore(i32),
    /// Raised if it is lower. The limits themselves are set by init, late, so that they do not hinder its own work.
    HardLimit {
        resource: u32,
        name: String,
        hard: u64,
    },
    Scheduler(Scheduler),
    /// As ioprio_set(2) takes it.
    IoPriority {
        value: u32,
        name: String,
    },
}

impl HostAction {
    /// The act and its object, as the beginning of a sentence.
    pub fn describe(&self) -> String {
        match self {
            HostAction::Resctrl { group, shares } => {
                let lines: Vec<&str> = shares.iter().flat_map(|write| &write.lines).map(String::as_str).collect();
                let with = if lines.is_empty() { "" } else { ", with the schemata " };
                format!("{}{with}{}", group.describe(), lines.join(", "))
            }
            HostAction::OomScore(score) => format!("setting the OOM score adjustment {score}"),
            HostAction::HardLimit { name, hard, .. } => {
                format!("raising the hard limit of {name} to {}, if it is lower", super::field::limit_text(*hard))
            }
            HostAction::Scheduler(scheduler) => format!("setting the scheduler {}", scheduler.describe()),
            HostAction::IoPriority { name, .. } => format!("setting the I/O priority {name}"),
        }
    }

    pub fn explain(&self) -> Value {
        json!({ "text": self.describe() })
    }

    /// Whether it waits until init has done its own work, which it would slow down. (berth-init also takes back what it
    /// inherits of this, when it begins.)
    pub fn comes_last(&self) -> bool {
        matches!(self, HostAction::Scheduler(_) | HostAction::IoPriority { .. })
    }
}
