//! `berth` as a user of a shell has it: the built program, its output, its exit status.

#[path = "../common/mod.rs"]
mod common;

mod documents;
mod errors;
mod exec;
mod explain;
mod foreground;
mod life;
mod notify;
mod queries;
mod support;
mod watching;
