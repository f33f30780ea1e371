//! `berth`: the OCI command line over the library. Each verb has a file with its options and what it does; [`args`] puts
//! them together, [`failure`] says what went wrong in the words that engines know, [`session`] is a process in the
//! foreground. Nothing is done here that a caller in C could not do too.

mod args;
mod checkpoint;
mod create;
mod delete;
mod documents;
mod events;
mod exec;
mod explain;
mod failure;
mod features;
mod go_flags;
mod host;
mod images;
mod kill;
mod list;
mod logging;
mod memory;
mod notify;
mod pause;
mod ps;
mod recover;
mod restore;
mod run;
mod session;
mod signals;
mod spec;
mod start;
mod state;
mod streams;
mod table;
mod terminal;
mod top;
mod update;

use std::process::ExitCode;

use failure::Failure;

/// How a verb ends: with the program's exit status.
type Outcome = Result<u8, Failure>;

fn main() -> ExitCode {
    memory::populate();
    let arguments = match args::parse() {
        Ok(arguments) => arguments,
        Err(code) => return code.into(),
    };
    let name = arguments.verb.name();
    // First of all: what is opened later would take the numbers of descriptors that are missing.
    let outcome = arguments.verb.check_descriptors().and_then(|()| {
        logging::open(&arguments.global)?;
        arguments.verb.run(&arguments.global)
    });
    outcome.unwrap_or_else(|failure| logging::tell(failure, name)).into()
}
