//! Attacks by images, volumes, other containers and processes. docs/security.md lists the classes of attacks and the
//! defences.

#[path = "../common/mod.rs"]
mod common;

mod controls;
mod files;
mod processes;
