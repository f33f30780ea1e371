//! `berth recover`

use clap::Args;
use serde_json::json;

use crate::args::Global;
use crate::{Outcome, host, notify};

#[derive(Args)]
pub struct Recover {
    /// Print the ids as JSON
    #[arg(long)]
    json: bool,
}

impl Recover {
    pub fn run(self, global: &Global) -> Outcome {
        let Some(runtime) = host::existing(global)? else {
            return Ok(self.print(&[]));
        };
        let ids = runtime.recover()?;
        ids.iter().for_each(|id| notify::forget(runtime.root(), id));
        Ok(self.print(&ids))
    }

    fn print(&self, ids: &[String]) -> u8 {
        if self.json {
            println!("{}", json!(ids))
        } else {
            ids.iter().for_each(|id| println!("{id}"))
        }
        0
    }
}
