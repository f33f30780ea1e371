//! berth-init, seen from the library: its bytes (in `spawn`), the wire format, and the raw system calls that the
//! moment between clone and exec needs too. `main.rs` is the program's own root; build.rs compiles it.

pub(crate) mod arch;
pub(crate) mod sys;
pub(crate) mod wire;

// The rest runs in berth-init only. It is compiled here for the tests.
#[cfg(test)]
mod plan;
#[cfg(test)]
mod tree;
