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
    if error.code == Code::Unsupported && error.detail.contains_key("cgroup_version") {
        return Some("invalid configuration: cannot use unified on cgroup v1".to_owned());
    }
    if let Some(words) = of_memory_policy(error) {
        return Some(words);
    }
    if error.detail.contains_key("seccomp_listener") {
        let reason = error.errno.map_or_else(|| error.message.clone(), berth::error::reason);
        let problem = "failed to connect with seccomp agent specified in the seccomp profile";
        return Some(starting(&format!("{problem}: {reason}")));
    }
    if error.stage == Stage::Host {
        return of_host(error);
    }
    unexecutable(error).or_else(|| of_step(error))
}

fn starting(problem: &str) -> String {
    format!("unable to start container process: {problem}")
}

fn not_attached(problem: &str) -> String {
    starting(&format!("error adding pid of the process to cgroups: {problem}"))
}

fn of_hook(error: &Error) -> Option<String> {
    let hook = error.detail.get("hook")?.as_str()?;
    let index = error.detail.get("hook_index")?;
    // After the name of the hook and its program.
    let problem = error.message.split_once("): ").map_or(error.message.as_str(), |(_, problem)| problem);
    Some(format!("error running {hook} hook #{index}: {}", end_as_go_says_it(problem)))
}

/// Returns how a process ended as Go's os/exec says it, and anything else as it is.
fn end_as_go_says_it(problem: &str) -> String {
    if let Some(status) = problem.strip_prefix("exited with status ") {
        return format!("exit status {status}");
    }
    let Some(killed) = problem.strip_prefix("was killed by ") else { return problem.to_owned() };
    let name = match killed {
        "SIGHUP" => "hangup",
        "SIGINT" => "interrupt",
        "SIGQUIT" => "quit",
        "SIGILL" => "illegal instruction",
        "SIGABRT" => "aborted",
        "SIGBUS" => "bus error",
        "SIGFPE" => "floating point exception",
        "SIGKILL" => "killed",
        "SIGSEGV" => "segmentation fault",
        "SIGPIPE" => "broken pipe",
        "SIGALRM" => "alarm clock",
        "SIGTERM" => "terminated",
        "SIGSYS" => "bad system call",
        other => other,
    };
    format!("signal: {name}")
}

fn of_memory_policy(error: &Error) -> Option<String> {
    let field = error.detail.get("json_path")?.as_str()?.strip_prefix("linux.memoryPolicy.")?;
    let name = ["mode", "flag", "node"].into_iter().find(|name| field.starts_with(name))?;
    Some(format!("invalid memory policy {name}: {}", error.message))
}

fn of_host(error: &Error) -> Option<String> {
    let fact = |name: &str| error.detail.get(name).and_then(Value::as_str);
    let is_argument = error.code == Code::InvalidArgument;
    if let Some(controller) = fact("controller").filter(|_| is_argument) {
        return Some(format!("unknown controller {controller:?}"));
    }
    if let Some(cgroup) = fact("cgroup") {
        return match error.errno {
            _ if is_argument => {
                let path = cgroup.split_once(':').map_or(cgroup, |(_, path)| path);
                Some(format!("{path} is not a sub cgroup path"))
            }
            Some(Errno::ENOENT) => Some(not_attached(&format!("{cgroup}/cgroup.procs: no such file or directory"))),
            _ if error.detail.contains_key("frozen") => Some("container's cgroup unexpectedly frozen".to_owned()),
            _ => {
                let count = error.detail.get("processes")?;
                Some(format!("container's cgroup is not empty: {count} process(es) found"))
            }
        };
    }
    fact("config_file")
        .filter(|_| error.errno == Some(Errno::ENOENT))
        .map(|file| format!("JSON specification file {file} not found"))
}

/// Returns the words by which podman and others recognise a missing or unusable program.
pub fn unexecutable(error: &Error) -> Option<String> {
    let action = error.detail.get("action")?;
    if error.stage != Stage::Init || !(action["op"] == "Exec" || action["op"] == "FindProgram") {
        return None;
    }
    let program = action["args"][0].as_str().unwrap_or_default();
    let errno = error.errno?;
    let reason = berth::error::reason(errno);
    let words = match (action["op"].as_str()?, errno) {
        (_, Errno::ENOENT) if !program.contains('/') => {
            format!("exec: {program:?}: executable file not found in $PATH")
        }
        ("FindProgram", Errno::ENOENT) => format!("exec: {program:?}: stat {program}: {reason}"),
        (_, Errno::EACCES | Errno::EPERM | Errno::EISDIR) => format!("exec: {program:?}: {reason}"),
        // The file is there, but the kernel does not execute it.
        _ => format!("exec {program}: {reason}"),
    };
    Some(starting(&words))
}

fn of_step(error: &Error) -> Option<String> {
    let action = error.detail.get("action")?;
    let reason = berth::error::reason(error.errno?);
    let text = |name: &str| action[name].as_str().unwrap_or_default();
    match action["op"].as_str()? {
        // It is spawned into its cgroup.
        "Fork" if error.errno == Some(Errno::EBUSY) => Some(not_attached(&reason)),
        "WorkingDirectory" => {
            Some(starting(&format!("chdir to cwd ({:?}) set in config.json failed: {reason}", text("path"))))
        }
        "Mount" | "Attach" => {
            let (source, target) = (text("source"), text("target"));
            let reason = match error.errno {
                // A link of the image is not followed there.
                Some(Errno::ELOOP | Errno::ENOTDIR) if matches!(target, "/proc" | "/sys") => {
                    format!("filesystem {source:?} must be mounted on ordinary directory")
                }
                _ => reason,
            };
            let problem = format!("error mounting {source:?} to rootfs at {target:?}: {reason}");
            Some(starting(&format!("error during container init: {problem}")))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cgroup_and_file_errors_have_runcs_text() {
        let system = |errno: Errno| Error::system(errno, "doing").detail("cgroup", "/cg");
        for (error, words) in [
            (Error::invalid_argument("..").detail("cgroup", "cpu:.."), ".. is not a sub cgroup path"),
            (Error::invalid_argument("x").detail("controller", "x"), "unknown controller \"x\""),
            (system(Errno::ENOENT), "error adding pid of the process to cgroups: /cg/cgroup.procs: no such file"),
            (system(Errno::EEXIST).detail("processes", 2), "container's cgroup is not empty: 2 process(es) found"),
            (system(Errno::EEXIST).detail("frozen", true), "container's cgroup unexpectedly frozen"),
            (
                Error::system(Errno::ENOENT, "x").detail("config_file", "/b/c.json"),
                "JSON specification file /b/c.json not found",
            ),
        ] {
            assert!(of(&error, "create").is_some_and(|told| told.contains(words)), "{error}: {words}");
        }
        assert_eq!(of(&system(Errno::EEXIST), "create"), None);
        let unified = Error::unsupported_field("linux.resources.unified", "x").detail("cgroup_version", 1);
        assert!(of(&unified, "run").is_some_and(|told| told.starts_with("invalid configuration: ")));
        let other = Error::system(Errno::ENOENT, "x").detail("file", "/sys/fs/cgroup/pids.max");
        assert_eq!(of(&other, "update"), None);
    }

    #[test]
    fn a_hook_is_named_by_its_place() {
        let error = Error::new(Code::Hook, "prestart hook 1 (/bin/x): exited with status 1")
            .detail("hook", "prestart")
            .detail("hook_index", 1);
        assert_eq!(of(&error, "run").unwrap(), "error running prestart hook #1: exit status 1");
        let error = Error::new(Code::Hook, "startContainer hook 0 (/bin/x): was killed by SIGSYS")
            .detail("hook", "startContainer")
            .detail("hook_index", 0);
        assert_eq!(of(&error, "start").unwrap(), "error running startContainer hook #0: signal: bad system call");
    }
}
