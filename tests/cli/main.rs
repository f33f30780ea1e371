//! Tests of the built program `berth` from the outside: output and exit status.

#[path = "../common/mod.rs"]
mod common;

mod documents;
mod errors;
mod exec;
mod explain;
mod foreground;
mod lifecycle;
mod notify;
mod output;
mod queries;
mod support;
mod watching;
