//! Error messages: runc's text, which engines and scripts parse, with the reason and a remedy in separate fields.

use berth::{Code, Error, Stage};
use nix::errno::Errno;
use nix::unistd::Uid;

/// The error of a failed command.
#[derive(Debug)]
pub struct Failure {
    /// The message, one sentence.
    pub message: String,
    /// The reason that runc's message omits.
    pub reason: Option<String>,
    /// A remedy, if one is known.
    pub remedy: Option<String>,
    error: Option<Box<Error>>,
}

impl Failure {
    pub fn new(message: impl Into<String>) -> Failure {
        Failure { message: message.into(), reason: None, remedy: None, error: None }
    }

    pub fn remedy(mut self, remedy: impl Into<String>) -> Failure {
        self.remedy = Some(remedy.into());
        self
    }

    /// Creates a failure about one of the caller's files.
    pub fn io(error: &std::io::Error, doing: impl std::fmt::Display) -> Failure {
        Error::io(error, doing).into()
    }

    pub fn code(&self) -> Option<Code> {
        self.error.as_ref().map(|error| error.code)
    }

    /// Prefixes the message with runc's text for the command.
    pub fn in_verb(mut self, verb: &str) -> Failure {
        let Some(error) = self.error.take() else {
            return self.prefixed(verb);
        };
        let id = error.detail.get("id").and_then(|id| id.as_str()).unwrap_or_default();
        let status = error.detail.get("status").and_then(|status| status.as_str()).unwrap_or_default();
        let words = match (error.code, verb) {
            (Code::NotFound, _) => Some("container does not exist".to_owned()),
            (Code::IdInUse, _) => Some("container with given ID already exists".to_owned()),
            (Code::IdInvalid, _) => Some("invalid container ID format".to_owned()),
            (Code::AlreadyRunning, _) => Some("cannot start an already running container".to_owned()),
            (Code::NotRunning, "start") if status == "stopped" => {
                Some("cannot start a container that has stopped".to_owned())
            }
            (Code::Paused, "start") => Some("cannot start a container in the paused state".to_owned()),
            (Code::NotRunning, "exec") => Some("cannot exec in a stopped container".to_owned()),
            (Code::Paused, "exec") => {
                Some("cannot exec in a paused container (use --ignore-paused to override)".to_owned())
            }
            (Code::NotRunning, "events" | "top") => Some(format!("container with id {id} is not running")),
            (Code::NotRunning | Code::Paused, _) => Some("container not running".to_owned()),
            (Code::NotPaused, _) => Some("container not paused".to_owned()),
            (Code::NotStopped, _) => Some(format!("cannot delete container {id} that is not stopped: {status}")),
            _ => unexecutable(&error),
        };
        if let Some(words) = words {
            self.reason = Some(std::mem::replace(&mut self.message, words));
        }
        if self.remedy.is_none() {
            self.remedy = remedy(&error, id);
        }
        self.prefixed(verb)
    }

    fn prefixed(mut self, verb: &str) -> Failure {
        match verb {
            "exec" => self.message.insert_str(0, "exec failed: "),
            "create" | "run" | "restore" => self.message.insert_str(0, &format!("berth {verb} failed: ")),
            _ => {}
        }
        self
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure { message: error.message.clone(), reason: None, remedy: None, error: Some(Box::new(error)) }
    }
}

/// Returns the text by which podman and others recognise a missing or unusable program.
fn unexecutable(error: &Error) -> Option<String> {
    let action = error.detail.get("action")?;
    if error.stage != Stage::Init || !(action["op"] == "Exec" || action["op"] == "FindProgram") {
        return None;
    }
    let program = action["args"][0].as_str().unwrap_or_default();
    let reason = match error.errno? {
        Errno::ENOENT if !program.contains('/') => "executable file not found in $PATH".to_owned(),
        errno => berth::error::reason(errno),
    };
    Some(format!("unable to start container process: exec: {program:?}: {reason}"))
}

fn remedy(error: &Error, id: &str) -> Option<String> {
    let text = match error.code {
        Code::NotFound => "\"berth list\" shows the containers of the same --root".to_owned(),
        Code::IdInUse => format!("choose another id, or remove that one: berth delete {id}"),
        Code::IdInvalid => {
            "an id is 1 to 200 letters, digits and \"_+-.\", the first one no \"+\", \"-\" or \".\"".into()
        }
        Code::NotStopped => format!("\"berth delete --force {id}\" kills it first"),
        Code::Paused => "\"berth resume\" resumes it".to_owned(),
        Code::Busy => "another process is changing this container: try again".to_owned(),
        Code::System => return remedy_of_system(error),
        _ => return None,
    };
    Some(text)
}

fn remedy_of_system(error: &Error) -> Option<String> {
    match error.errno? {
        Errno::EACCES | Errno::EPERM if !Uid::effective().is_root() => Some("run it as root".into()),
        Errno::ENOENT if error.message.starts_with("opening ") && error.message.contains("config.json") => Some(
            "a bundle is a directory with config.json and a root filesystem; \"berth spec\" writes a default one"
                .into(),
        ),
        Errno::ENOENT if unexecutable(error).is_some() => {
            Some("the program is searched in the container's root filesystem".into())
        }
        _ => None,
    }
}
