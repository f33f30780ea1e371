//! libberth creates, runs, freezes and measures Linux containers from inside somebody else's process.

pub mod cgroup;
pub mod error;
mod deadline;
mod init;
mod plan;
mod spawn;
pub mod spec;
pub mod stats;

pub use error::{Code, Error, Result, Stage};
