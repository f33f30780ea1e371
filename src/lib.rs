//! libberth creates, runs, freezes and measures Linux containers from inside somebody else's process.

pub mod error;
mod init;
mod plan;

pub use error::{Code, Error, Result, Stage};
