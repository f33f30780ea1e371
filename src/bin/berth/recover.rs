//! `berth recover`

use clap::Args;
use serde_json::json;

use crate::args::Global;
use crate::{Outcome, host};

#[derive(Args)]
pub struct Recover {
    /// Print the ids as JSON
    #[arg(long)]
    json: bool,
}

impl Recover {
    pub fn run(self, global: &Global) -> Outcome {
        let ids = host::existing(global)?.map_or(Ok(Vec::new()), |runtime| runtime.recover())?;
        match self.json {
            true => println!("{}", json!(ids)),
            false => ids.iter().for_each(|id| println!("{id}")),
        }
        Ok(0)
    }
}
