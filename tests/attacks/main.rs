//! Images, volumes, neighbours and processes that attack (docs/security.md has the classes and what closes them).

#[path = "../common/mod.rs"]
mod common;

mod files;
mod processes;
