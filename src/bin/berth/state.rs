//! `berth state`

use berth::Container;
use clap::Args;
use serde::Serialize;
use serde_json::Value;

use crate::args::Global;
use crate::failure::Failure;
use crate::{Outcome, host, output};

#[derive(Args)]
pub struct State {
    /// Container id
    #[arg(value_name = "ID")]
    id: String,
}

impl State {
    pub fn run(self, global: &Global) -> Outcome {
        let summary = Summary::of(&host::container(global, &self.id)?)?;
        let text = serde_json::to_string_pretty(&summary).map_err(|error| Failure::new(error.to_string()))?;
        output::print(text)?;
        Ok(0)
    }
}

/// The fields of runc's state output, in its order.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    oci_version: Value,
    pub id: Value,
    pub pid: Value,
    pub status: Value,
    pub bundle: Value,
    rootfs: Value,
    pub created: Value,
    #[serde(skip_serializing_if = "Value::is_null")]
    annotations: Value,
    pub owner: String,
}

impl Summary {
    pub fn of(container: &Container) -> Result<Summary, Failure> {
        let json = container.state_json()?;
        let mut state: Value = serde_json::from_str(&json).map_err(|error| Failure::new(error.to_string()))?;
        let mut take = |name: &str| state.get_mut(name).map(Value::take).unwrap_or_default();
        let text = |value: Value| if value.is_null() { Value::from("") } else { value };
        Ok(Summary {
            oci_version: take("ociVersion"),
            id: take("id"),
            pid: take("pid"),
            status: take("status"),
            bundle: take("bundle"),
            rootfs: text(take("rootfs")),
            created: text(take("created")),
            annotations: take("annotations"),
            owner: String::new(),
        })
    }
}
