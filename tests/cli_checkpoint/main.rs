//! Tests of each option of `berth checkpoint` and `berth restore`, with the built program and a real CRIU.

#[path = "../common/mod.rs"]
mod common;

#[path = "../cli/support.rs"]
#[expect(dead_code)] // what the other tests of the command line need besides
mod support;

#[path = "../network/support.rs"]
#[expect(dead_code)] // what the tests of networks need besides
mod links;

#[path = "../checkpoint/programs.rs"]
#[expect(dead_code)] // what the tests of the library need besides
mod programs;

mod cgroups;
mod connections;
mod environment;
mod kept;
mod lifecycle;
mod memory;
mod place;
mod restored;
