//! Hooks: when they run, what they get on standard input, and what happens when they fail or hang.

#[path = "../common/mod.rs"]
mod common;

mod environment;
mod failures;
mod limits;
mod order;
mod support;
