//! Network tests with real links. The thread of each test has a network namespace of its own, which acts as the host's.

#[path = "../common/mod.rs"]
mod common;

mod crash;
mod devices;
mod refused;
mod support;
mod traffic;
mod veth;
