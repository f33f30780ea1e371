//! libberth creates, runs, freezes and measures Linux containers from inside somebody else's process.

pub mod error;

pub use error::{Code, Error, Result, Stage};
