//! libberth creates, runs, freezes and measures Linux containers from inside somebody else's process.

pub mod cgroup;
pub mod error;
pub mod stats;

pub use error::{Code, Error, Result, Stage};
