//! Checkpoint and restore with a real CRIU.

#[path = "../common/mod.rs"]
mod common;

#[path = "../network/support.rs"]
#[expect(dead_code)] // what the tests of networks need besides
mod links;

mod basics;
mod edit_images;
mod failures;
mod hostile;
mod labels;
mod mounts;
mod networks;
mod options;
mod programs;
mod protocol;
mod scenarios;
mod streams;
mod support;
mod trust_files;
mod trust_mounts;
mod trust_privileges;
