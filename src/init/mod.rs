//! berth-init, seen from the library: its bytes (in `spawn`), the wire format, and the raw system calls that the
//! moment between clone and exec needs too. `main.rs` is the program's own root; build.rs compiles it.

pub(crate) mod arch;
pub(crate) mod loopback;
#[allow(dead_code)] // most of it is init's half
pub(crate) mod sys;
#[allow(dead_code)] // as above
pub(crate) mod wire;

// The rest runs in berth-init only. It is compiled here for the tests.
#[cfg(test)]
#[allow(dead_code)] // as below
mod copy;
#[cfg(test)]
#[allow(dead_code)] // what opens files is run by init only
mod home;
#[cfg(test)]
#[allow(dead_code)] // as above
mod label;
#[cfg(test)]
pub(crate) mod plan;
#[cfg(test)]
mod tree;
