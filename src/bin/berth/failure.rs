//! Error messages: runc's text, which engines and scripts parse, with the reason and a remedy in separate fields.

use berth::{Code, Error};
use nix::errno::Errno;
use nix::unistd::Uid;

use crate::words;

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
    /// Whether output could not be written.
    pub lost_output: bool,
    /// Whether the output's reader has closed its end: the command then exits without a message.
    pub closed_pipe: bool,
}

impl Failure {
    pub fn new(message: impl Into<String>) -> Failure {
        Failure {
            message: message.into(),
            reason: None,
            remedy: None,
            error: None,
            lost_output: false,
            closed_pipe: false,
        }
    }

    pub fn remedy(mut self, remedy: impl Into<String>) -> Failure {
        self.remedy = Some(remedy.into());
        self
    }

    /// Creates a failure about one of the caller's files.
    pub fn io(error: &std::io::Error, doing: impl std::fmt::Display) -> Failure {
        Error::io(error, doing).into()
    }

    /// Creates a failure of writing to standard output or error.
    pub fn output(error: &std::io::Error) -> Failure {
        let closed_pipe = error.kind() == std::io::ErrorKind::BrokenPipe;
        Failure { lost_output: true, closed_pipe, ..Failure::io(error, "writing the output") }
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
        let words = words::of(&error, verb);
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
        Failure { error: Some(Box::new(error.clone())), ..Failure::new(error.message) }
    }
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
        Errno::ENOENT if words::unexecutable(error).is_some() => {
            Some("the program is searched in the container's root filesystem".into())
        }
        _ => None,
    }
}
