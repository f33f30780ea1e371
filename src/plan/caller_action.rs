//! Actions of the caller on a process that waits: the part of a plan that berth-init cannot perform, because it needs
//! privileges that a user namespace takes away.

use serde_json::{Value, json};

use crate::rdt::Group;
use crate::spec::intel_rdt::Write;
use crate::spec::scheduling::Scheduler;

#[derive(Clone, Debug, PartialEq)]
pub enum CallerAction {
    /// Moves the process into its resctrl group, which has these schemata.
    Resctrl {
        group: Group,
        shares: Vec<Write>,
    },
    OomScore(i32),
    /// Raises a hard limit if it is lower. init sets the limits themselves late, so that they do not restrict setup.
    HardLimit {
        resource: u32,
        name: String,
        hard: u64,
    },
    Scheduler(Scheduler),
    /// The value for ioprio_set(2).
    IoPriority {
        value: u32,
        name: String,
    },
}

impl CallerAction {
    /// Returns the action and its object, as the beginning of a sentence.
    pub fn describe(&self) -> String {
        match self {
            CallerAction::Resctrl { group, shares } => {
                let lines: Vec<&str> = shares.iter().flat_map(|write| &write.lines).map(String::as_str).collect();
                let with = if lines.is_empty() { "" } else { ", with the schemata " };
                format!("{}{with}{}", group.describe(), lines.join(", "))
            }
            CallerAction::OomScore(score) => format!("setting the OOM score adjustment {score}"),
            CallerAction::HardLimit { name, hard, .. } => {
                format!("raising the hard limit of {name} to {}, if it is lower", super::field::limit_text(*hard))
            }
            CallerAction::Scheduler(scheduler) => format!("setting the scheduler {}", scheduler.describe()),
            CallerAction::IoPriority { name, .. } => format!("setting the I/O priority {name}"),
        }
    }

    pub fn explain(&self) -> Value {
        json!({ "text": self.describe() })
    }

    /// Whether the action is deferred to the end of setup, which it would slow down. (berth-init also resets these
    /// settings, which it may inherit, when it begins.)
    pub fn comes_last(&self) -> bool {
        matches!(self, CallerAction::Scheduler(_) | CallerAction::IoPriority { .. })
    }
}
