//! `berth start`

use clap::Args;

use crate::args::Global;
use crate::{Outcome, host};

#[derive(Args)]
pub struct Start {
    /// The container's id
    #[arg(value_name = "ID")]
    id: String,
}

impl Start {
    pub fn run(self, global: &Global) -> Outcome {
        host::container(global, &self.id)?.start()?;
        Ok(0)
    }
}
