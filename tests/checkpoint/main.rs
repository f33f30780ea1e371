//! Checkpoint and restore with a real CRIU.

#[path = "../common/mod.rs"]
mod common;

mod basics;
mod protocol;
mod streams;
mod support;
