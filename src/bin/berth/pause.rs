//! `berth pause` and `berth resume`

use clap::Args;

use crate::args::Global;
use crate::{Outcome, host};

#[derive(Args)]
pub struct Pause {
    /// Container id
    #[arg(value_name = "ID")]
    id: String,
}

impl Pause {
    pub fn run(self, global: &Global) -> Outcome {
        host::container(global, &self.id)?.pause()?;
        Ok(0)
    }
}

#[derive(Args)]
pub struct Resume {
    /// Container id
    #[arg(value_name = "ID")]
    id: String,
}

impl Resume {
    pub fn run(self, global: &Global) -> Outcome {
        host::container(global, &self.id)?.resume()?;
        Ok(0)
    }
}
