//! What test programs share that run themselves again as a caller (`runner.rs`).

use berth::spec::Config;
use berth::{Container, Process, ProcessOptions, Runtime, Settings};
use serde_json::{Value, json};

use super::{leftovers, rootfs, runner, shell, unique};

/// Runs the caller of this name, and checks that it leaves nothing behind. Its arguments are a state root that does not
/// exist yet, the id of a container, and `more`. Returns what it has printed.
pub fn run_caller(name: &str, more: &[&str]) -> String {
    rootfs();
    let dir = tempfile::Builder::new().prefix("berth-test-").tempdir().unwrap();
    let (root, id) = (dir.path().join("state"), unique(name));
    let args = [&[root.to_str().unwrap(), &id], more].concat();
    let text = runner::run(&mut runner::caller(name, &args));
    leftovers::no_orphan_stays();
    leftovers::nothing_stays(&id, &root);
    text
}

/// Opens the state root among a caller's arguments.
pub fn runtime_of(args: &[String]) -> Runtime {
    Runtime::new(Settings { root: args[0].as_str().into(), ..Settings::default() }).unwrap()
}

/// Loads a configuration with the tests' root filesystem.
pub fn load_config(config: &Value) -> Config {
    Config::from_json(&config.to_string(), Some(rootfs())).unwrap()
}

/// Loads the configuration of a container that runs a shell script.
pub fn shell_config(script: &str) -> Config {
    load_config(&shell(script))
}

/// Executes a shell script in a container.
pub fn exec_script(container: &Container, script: &str, options: &ProcessOptions) -> berth::Result<Process> {
    let process =
        json!({ "cwd": "/", "args": ["sh", "-c", script], "env": ["PATH=/bin"], "user": { "uid": 0, "gid": 0 } });
    container.exec(&serde_json::from_value(process).unwrap(), options)
}
