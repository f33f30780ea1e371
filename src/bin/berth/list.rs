//! `berth list`

use std::os::unix::fs::MetadataExt;

use berth::{Code, Runtime};
use clap::{Args, ValueEnum};
use nix::unistd::{Uid, User};
use serde_json::Value;

use crate::args::Global;
use crate::failure::Failure;
use crate::state::Summary;
use crate::{Outcome, host, output, table};

#[derive(Args)]
pub struct List {
    /// Set the output format
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    format: Format,
    /// Same as --format json
    #[arg(long, conflicts_with = "format")]
    json: bool,
    /// Print only ids
    #[arg(short, long)]
    quiet: bool,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
pub enum Format {
    Table,
    Json,
}

impl List {
    pub fn run(self, global: &Global) -> Outcome {
        let runtime = host::existing(global)?;
        let summaries = runtime.as_ref().map_or(Ok(Vec::new()), summaries)?;
        if self.quiet {
            let ids = summaries.iter().filter_map(|summary| summary.id.as_str());
            output::print(ids.map(|id| format!("{id}\n")).collect::<String>())?;
            return Ok(0);
        }
        if self.json || self.format == Format::Json {
            let text = serde_json::to_string(&summaries).map_err(|error| Failure::new(error.to_string()))?;
            output::print_line(text)?;
        } else {
            output::print(table::set(&rows(&summaries)))?;
        }
        Ok(0)
    }
}

/// Returns the states of all containers; omits one that is deleted in the meantime. A container whose record is damaged
/// does not keep the others from being listed: it is named on standard error, as by runc.
fn summaries(runtime: &Runtime) -> Result<Vec<Summary>, Failure> {
    let mut summaries = Vec::new();
    for container in runtime.list()? {
        match Summary::of(&container) {
            Err(failure) if failure.code() == Some(Code::NotFound) => {}
            Err(failure) => output::tell(format!("load container {}: {}\n", container.id(), failure.message)),
            Ok(mut summary) => {
                summary.owner = owner(runtime, container.id());
                summaries.push(summary);
            }
        }
    }
    Ok(summaries)
}

/// Returns the owner of the state directory.
fn owner(runtime: &Runtime, id: &str) -> String {
    let Ok(found) = std::fs::metadata(runtime.root().join(id)) else { return String::new() };
    match User::from_uid(Uid::from_raw(found.uid())) {
        Ok(Some(user)) => user.name,
        _ => format!("#{}", found.uid()),
    }
}

fn rows(summaries: &[Summary]) -> Vec<Vec<String>> {
    let head = ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"].map(str::to_owned).to_vec();
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let row = |summary: &Summary| {
        let cells = [&summary.id, &summary.pid, &summary.status, &summary.bundle, &summary.created];
        cells.into_iter().map(text).chain([summary.owner.clone()]).collect()
    };
    std::iter::once(head).chain(summaries.iter().map(row)).collect()
}
