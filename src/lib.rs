//! libberth creates, runs, freezes, measures, checkpoints and restores Linux containers from inside another program.
//!
//! A [`Runtime`] is a state root with containers. A [`Container`] is created from a [`spec::Config`], started, and
//! deleted; `container` has one file for each operation. For create and exec, `plan` compiles the configuration
//! into a list of steps, and `spawn` starts berth-init (`berth_init`), which executes them. `capi` is the C API,
//! for C and all languages that can call C.
//!
//! ```no_run
//! use berth::spec::Config;
//! use berth::{Container, ExitStatus, Force, ProcessOptions, Runtime, Settings};
//!
//! # fn main() -> berth::Result<()> {
//! let runtime = Runtime::new(Settings::default())?;
//! let config = Config::from_bundle("/bundles/web".as_ref())?;
//! let container = Container::run(&runtime, "web", &config, &ProcessOptions::default())?;
//! match container.wait(60_000)? {
//!     ExitStatus::Exited(status) => println!("exited with status {status}"),
//!     ended => println!("{}", ended.describe()),
//! }
//! container.delete(Force::No)
//! # }
//! ```

mod capi;
pub mod cgroup;
mod console_socket;
mod container;
pub mod criu;
mod deadline;
pub mod error;
mod events;
#[cfg(feature = "fault-points")]
pub mod fault;
#[cfg(not(feature = "fault-points"))]
mod fault;
mod features;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod hooks;
mod log;
pub mod network;
mod plan;
mod process;
mod program;
mod rdt;
mod rootless;
mod runtime;
mod security;
mod spawn;
pub mod spec;
mod state;
pub mod stats;
mod sys;

pub use cgroup::Manager;
pub use container::delete::Force;
pub use container::signal::Recipients;
pub use container::{Container, Status, VethNames, explain, explain_with};
pub use error::{Code, Error, Result, Stage};
pub use events::{Events, Level, Occurred};
pub use features::json as features_json;
pub use plan::RootOptions;
pub use process::{Keyring, MissingProgram, Paused, Process, ProcessOptions, Stdio};
pub use rootless::Rootless;
pub use runtime::{DEFAULT_ROOT, Runtime, Settings};
pub use sys::exit_status::ExitStatus;
