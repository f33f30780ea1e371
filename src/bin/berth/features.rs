//! `berth features`

use clap::Args;
use serde_json::Value;

use crate::args::Global;
use crate::failure::Failure;
use crate::{Outcome, output};

#[derive(Args)]
pub struct Features {}

impl Features {
    pub fn run(self, _: &Global) -> Outcome {
        let document = berth::features_json();
        let pretty =
            serde_json::from_str::<Value>(&document).and_then(|document| serde_json::to_string_pretty(&document));
        output::print_line(pretty.map_err(|error| Failure::new(error.to_string()))?)?;
        Ok(0)
    }
}
