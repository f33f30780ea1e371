//! Networks on real links. Every test has a network namespace of its own for a host: its thread is in it.

#[path = "../common/mod.rs"]
mod common;

mod crash;
mod devices;
mod refused;
mod support;
mod traffic;
mod veth;
