//! libberth creates, runs, freezes and measures Linux containers from inside somebody else's process.

pub mod error;
pub mod spec;

pub use error::{Code, Error, Result, Stage};
