//! `berth recover`

use clap::Args;
use serde_json::json;

use crate::args::Global;
use crate::{Outcome, host, notify, output};

#[derive(Args)]
pub struct Recover {
    /// Print the ids as JSON
    #[arg(long)]
    json: bool,
}

impl Recover {
    pub fn run(self, global: &Global) -> Outcome {
        let Some(runtime) = host::existing(global)? else {
            return self.print(&[]);
        };
        let ids = runtime.recover()?;
        ids.iter().for_each(|id| notify::forget(runtime.root(), id));
        self.print(&ids)
    }

    fn print(&self, ids: &[String]) -> Outcome {
        if self.json {
            output::print_line(json!(ids))?;
        } else {
            output::print(ids.iter().map(|id| format!("{id}\n")).collect::<String>())?;
        }
        Ok(0)
    }
}
