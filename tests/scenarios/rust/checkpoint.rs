//! Scenarios of checkpoint and restore.

use berth::criu::{CheckpointOptions, RestoreOptions};
use berth::{Container, ExitStatus, Force, ProcessOptions, Runtime, Settings, Status, Stdio};
use serde_json::Value;

use super::*;

pub const ALL: &[Scenario] = &[("checkpoint-restore", checkpoint_restore)];

/// Writes a line to the init's pipe and reads the answer; the pipes stay open.
fn counts(container: &Container, expected: &str) -> [Option<File>; 3] {
    let stdio = container.init_process().unwrap().take_stdio().map(|end| end.map(File::from));
    write(stdio[0].as_ref().unwrap(), "line\n");
    read_until(stdio[1].as_ref().unwrap(), &format!("{expected}\n"));
    stdio
}

fn checkpoint_restore(test: &TestRuntime) {
    let Some(criu) = std::env::var_os("BERTH_TEST_CRIU") else { skip("no CRIU") };
    let settings = Settings { root: test.runtime.root().to_owned(), criu: Some(criu.into()), ..Settings::default() };
    let runtime = Runtime::new(settings).unwrap();
    let report: Value = serde_json::from_str(&runtime.criu_check_json().unwrap()).unwrap();
    assert_eq!(report["usable"], true, "{report}");

    let config = test.config(&shell("n=0; while read line; do n=$((n+1)); echo $n; done"));
    let images = test.path("images");
    let pipes = ProcessOptions { stdio: [Stdio::Pipe, Stdio::Pipe, Stdio::Null], ..ProcessOptions::default() };
    let container = Container::run(&runtime, &unique("checkpoint"), &config, &pipes).unwrap();
    let kept = counts(&container, "1");
    container.checkpoint(&CheckpointOptions { images: images.clone(), ..CheckpointOptions::default() }).unwrap();
    assert_eq!(container.status().unwrap(), Status::Stopped);
    container.delete(Force::No).unwrap();
    drop(kept);

    let options = RestoreOptions { images, process: pipes, ..RestoreOptions::default() };
    let restored = Container::restore(&runtime, container.id(), &config, &options).unwrap();
    assert_eq!(restored.status().unwrap(), Status::Running);
    let [input, _output, _] = counts(&restored, "2");
    drop(input);
    assert_eq!(restored.end(), ExitStatus::Exited(0));
}
