//! Helpers shared by the checkpoint tests: a runtime with CRIU, and checkpoints and restores that must work.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use berth::criu::{CheckpointOptions, RestoreOptions};
use berth::{Container, Force, ProcessOptions, Runtime, Settings};
use serde_json::Value;

use crate::common::*;
pub use crate::programs::*;

/// Like [`TestRuntime::new`], with CRIU.
pub fn test_runtime() -> TestRuntime {
    test_runtime_with(&criu())
}

/// Like [`host`], with another program for CRIU.
pub fn test_runtime_with(criu: &Path) -> TestRuntime {
    let mut test = TestRuntime::new();
    test.runtime = runtime(&test.path("state"), criu);
    test
}

pub fn runtime(root: &Path, criu: &Path) -> Runtime {
    Runtime::new(Settings { root: root.into(), criu: Some(criu.into()), ..Settings::default() }).unwrap()
}

impl TestRuntime {
    pub fn data(&self) -> PathBuf {
        self.make_dir("data")
    }

    pub fn images(&self, name: &str) -> PathBuf {
        self.path(name)
    }

    /// Runs a counter with this configuration, dumps it and deletes it.
    pub fn dumped(&self, config: &Value, data: &Path, options: &CheckpointOptions) {
        let container = self.run(config, &quiet()).unwrap();
        counts_on(data);
        checkpoint(&container, options);
        end(container);
    }

    pub fn restore(&self, config: &Value, options: &RestoreOptions) -> berth::Result<Container> {
        Container::restore(&self.runtime, &unique("r"), &self.config(config), options)
    }

    /// Restores with default options; this must work.
    pub fn restored(&self, config: &Value, images: &Path) -> Container {
        self.restore(config, &from(images)).unwrap_or_else(|error| panic!("{error}\n{}", log_tail(&error)))
    }
}

pub fn into(images: &Path) -> CheckpointOptions {
    CheckpointOptions::into_directory(images)
}

pub fn from(images: &Path) -> RestoreOptions {
    RestoreOptions { process: quiet(), ..RestoreOptions::from_directory(images) }
}

pub fn from_with(images: &Path, process: ProcessOptions) -> RestoreOptions {
    RestoreOptions { process, ..RestoreOptions::from_directory(images) }
}

/// Checks that a directory and its images are accessible to their owner alone, and to this program's group if the owner
/// is root of a user namespace.
pub fn assert_only_for(directory: &Path, owner: u32) {
    let image = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "img");
    let (directories, images) = if owner == 0 { (0o700, 0o600) } else { (0o710, 0o640) };
    for path in leftovers::files(directory).into_iter().filter(image).chain([directory.to_owned()]) {
        let found = path.symlink_metadata().unwrap();
        let mode = if found.is_dir() { directories } else { images };
        assert_eq!((found.mode() & 0o7777, found.uid(), found.gid()), (mode, owner, 0), "{}", path.display());
    }
}

/// Makes a checkpoint, which must work.
pub fn checkpoint(container: &Container, options: &CheckpointOptions) {
    container.checkpoint(options).unwrap_or_else(|error| panic!("{error}\n{}", log_tail(&error)));
}

/// Returns the end of CRIU's log, for the message of a failing test.
pub fn log_tail(error: &berth::Error) -> String {
    error.detail.get("log").and_then(Value::as_str).unwrap_or_default().to_owned()
}

pub fn end(container: Container) {
    container.delete(Force::Kill).unwrap();
}
