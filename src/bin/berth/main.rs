//! `berth`: the OCI command line, a client of the library. Each command has a file with its options and its code;
//! [`args`] assembles them, [`failure`] has the error messages that engines parse, [`session`] runs a process in the
//! foreground. Everything here could also be done by a caller in C.

#![cfg_attr(not(test), no_main)]

mod args;
mod checkpoint;
mod completions;
mod create;
mod delete;
#[cfg(not(any(test, fuzzing)))]
mod entry;
mod events;
mod exec;
mod explain;
mod failure;
mod features;
mod files;
#[cfg(any(test, fuzzing))]
mod fuzz;
mod go_flags;
mod host;
mod images;
mod kill;
mod list;
mod logging;
mod notify;
mod output;
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
mod words;

use failure::Failure;

/// The result of a command: the program's exit status.
type Outcome = Result<u8, Failure>;

#[cfg_attr(any(test, fuzzing), allow(dead_code))] // the tests and the fuzzer have a main of their own
fn run() -> u8 {
    let arguments = match args::parse() {
        Ok(arguments) => arguments,
        Err(code) => return code,
    };
    let name = arguments.verb.name();
    // First: a file that is opened later would get the number of a missing standard descriptor.
    let outcome = arguments.verb.check_descriptors().and_then(|()| {
        logging::open(&arguments.global)?;
        arguments.verb.run(&arguments.global)
    });
    outcome.unwrap_or_else(|failure| logging::report(failure, name))
}
