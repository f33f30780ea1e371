//! The sentences of runc that engines and scripts look for, in place of the library's own.

use berth::{Code, Error, Stage};
use nix::errno::Errno;
use serde_json::Value;

/// Returns runc's sentence for an error, if it has one of the same meaning.
pub fn of(error: &Error, verb: &str) -> Option<String> {
    let fact = |name: &str| error.detail.get(name).and_then(Value::as_str).unwrap_or_default();
    let (id, status) = (fact("id"), fact("status"));
    let words = match (error.code, verb) {
        (Code::NotFound, _) => "container does not exist".to_owned(),
        (Code::IdInUse, _) => "container with given ID already exists".to_owned(),
        (Code::IdInvalid, _) if id.is_empty() => "container id cannot be empty".to_owned(),
        (Code::IdInvalid, _) => "invalid container ID format".to_owned(),
        (Code::AlreadyRunning, _) => "cannot start an already running container".to_owned(),
        (Code::NotRunning, "start") if status == "stopped" => "cannot start a container that has stopped".to_owned(),
        (Code::Paused, "start") => "cannot start a container in the paused state".to_owned(),
        (Code::NotRunning, "exec") => "cannot exec in a stopped container".to_owned(),
        (Code::Paused, "exec") => "cannot exec in a paused container (use --ignore-paused to override)".to_owned(),
        (Code::NotRunning, "events" | "top") => format!("container with id {id} is not running"),
        (Code::NotRunning, "checkpoint") => format!("Container cannot be checkpointed in {status} state"),
        (Code::NotRunning | Code::Paused, _) => "container not running".to_owned(),
        (Code::NotPaused, _) => "container not paused".to_owned(),
        (Code::NotStopped, _) => format!("cannot delete container {id} that is not stopped: {status}"),
        _ => return of_setup(error),
    };
    Some(words)
}

/// Returns the words for a failure of starting a process.
fn of_setup(error: &Error) -> Option<String> {
    if let Some(words) = of_hook(error) {
        return Some(words);
    }
    if error.detail.contains_key("oom_kills") {
        return Some(starting("container init was OOM-killed (memory limit too low?)"));
    }
    if error.stage == Stage::Host {
        return of_host(error);
    }
    unexecutable(error).or_else(|| of_step(error))
}

fn starting(problem: &str) -> String {
    format!("unable to start container process: {problem}")
}

fn of_hook(error: &Error) -> Option<String> {
    let hook = error.detail.get("hook")?.as_str()?;
    let index = error.detail.get("hook_index")?;
    // After the name of the hook and its program.
    let problem = error.message.split_once("): ").map_or(error.message.as_str(), |(_, problem)| problem);
    Some(format!("error running {hook} hook #{index}: {problem}"))
}

fn of_host(error: &Error) -> Option<String> {
    let message = error.message.as_str();
    if let Some(cgroup) = message.strip_prefix("there is no cgroup ") {
        let file = format!("{cgroup}/cgroup.procs: no such file or directory");
        return Some(starting(&format!("error adding pid to cgroups: {file}")));
    }
    if message.starts_with("cgroup ") && message.contains("exists already and has processes in it") {
        return Some("container's cgroup is not empty".to_owned());
    }
    if message.starts_with("cgroup ") && message.ends_with("exists already and is frozen") {
        return Some("container's cgroup unexpectedly frozen".to_owned());
    }
    let file = message.strip_prefix("opening ")?.strip_suffix(": no such file or directory")?;
    file.ends_with(".json").then(|| format!("JSON specification file {file} not found"))
}

/// Returns the words by which podman and others recognise a missing or unusable program.
pub fn unexecutable(error: &Error) -> Option<String> {
    let action = error.detail.get("action")?;
    if error.stage != Stage::Init || !(action["op"] == "Exec" || action["op"] == "FindProgram") {
        return None;
    }
    let program = action["args"][0].as_str().unwrap_or_default();
    let reason = match error.errno? {
        Errno::ENOENT if !program.contains('/') => "executable file not found in $PATH".to_owned(),
        errno => berth::error::reason(errno),
    };
    Some(starting(&format!("exec: {program:?}: {reason}")))
}

fn of_step(error: &Error) -> Option<String> {
    let action = error.detail.get("action")?;
    let reason = berth::error::reason(error.errno?);
    let text = |name: &str| action[name].as_str().unwrap_or_default();
    match action["op"].as_str()? {
        "WorkingDirectory" => {
            Some(starting(&format!("chdir to cwd ({:?}) set in config.json failed: {reason}", text("path"))))
        }
        "Mount" | "Attach" => {
            let (source, target) = (text("source"), text("target"));
            Some(starting(&format!("error mounting {source:?} to rootfs at {target:?}: {reason}")))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_the_host_have_runcs_words() {
        for (message, expected) in [
            (
                "there is no cgroup /sys/fs/cgroup/a/b",
                Some("error adding pid to cgroups: /sys/fs/cgroup/a/b/cgroup.procs"),
            ),
            ("cgroup /a exists already and has processes in it: pid 3", Some("container's cgroup is not empty")),
            ("cgroup /a exists already and is frozen", Some("container's cgroup unexpectedly frozen")),
            ("cgroup /a exists already and is container \"b\"'s", None),
            (
                "opening /b/config.json: no such file or directory",
                Some("JSON specification file /b/config.json not found"),
            ),
            ("opening /dev/null: no such file or directory", None),
        ] {
            let words = of(&Error::new(Code::System, message), "create");
            assert_eq!(words.is_some(), expected.is_some(), "{words:?}");
            assert!(expected.is_none_or(|expected| words.unwrap().contains(expected)), "{message}");
        }
    }

    #[test]
    fn a_hook_is_named_by_its_place() {
        let error = Error::new(Code::Hook, "prestart hook 1 (/bin/x): exited with status 1")
            .detail("hook", "prestart")
            .detail("hook_index", 1);
        assert_eq!(of(&error, "run").unwrap(), "error running prestart hook #1: exited with status 1");
    }
}
