//! The log in runc's formats: lines of the library and of the command line, and the error at the end.

use std::fs::File;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::SystemTime;

use log::{Level, LevelFilter, Metadata, Record};
use serde_json::{Map, Value, json};

use crate::args::{Global, LogFormat, LogLevel};
use crate::failure::Failure;
use crate::{files, output};

struct Logger {
    /// The log file; None for standard error.
    file: Option<File>,
    format: LogFormat,
}

static LOGGER: OnceLock<Logger> = OnceLock::new();

/// Opens the log that the options select.
pub fn open(global: &Global) -> Result<(), Failure> {
    let file = global.log.as_deref().filter(|path| !path.as_os_str().is_empty()).map(destination).transpose()?;
    let file = file.map(|path| files::append(&path, "the log")).transpose()?;
    let logger = LOGGER.get_or_init(|| Logger { file, format: global.log_format });
    log::set_max_level(match (global.debug, global.log_level) {
        (_, Some(LogLevel::Trace)) => LevelFilter::Trace,
        (true, _) | (_, Some(LogLevel::Debug)) => LevelFilter::Debug,
        (_, Some(LogLevel::Error)) => LevelFilter::Error,
        (_, Some(LogLevel::Info)) => LevelFilter::Info,
        (_, Some(LogLevel::Warning) | None) => LevelFilter::Warn,
    });
    // No other code sets a logger.
    let _ = log::set_logger(logger);
    if log::max_level() < LevelFilter::Debug {
        return Ok(());
    }
    // Several commands may write to one log. A full disk is found out here, before anything is done.
    let first = format!("berth {}, pid {}", env!("CARGO_PKG_VERSION"), std::process::id());
    logger.write(&logger.text(Level::Debug, &first, &[]))
}

/// Handles crun's "file:PATH" and rejects its system log targets.
fn destination(given: &Path) -> Result<PathBuf, Failure> {
    let text = given.to_string_lossy();
    match text.split_once(':') {
        Some(("file", path)) => Ok(path.into()),
        Some((system @ ("syslog" | "journald"), _)) => {
            let failure = Failure::new(format!("--log {text}: berth does not write to {system}"));
            Err(failure.remedy("name a file, or leave --log out for standard error"))
        }
        _ => Ok(given.to_owned()),
    }
}

impl log::Log for Logger {
    fn enabled(&self, _: &Metadata) -> bool {
        true
    }

    fn log(&self, record: &Record) {
        // runc and crun do not warn of such configurations, and engines read standard error as the container's.
        let is_for_the_log_alone = record.target() == berth::spec::NOTICE && log::max_level() <= LevelFilter::Warn;
        if self.file.is_some() || !is_for_the_log_alone {
            self.line(record.level(), &record.args().to_string(), &[]);
        }
    }

    fn flush(&self) {}
}

impl Logger {
    /// Writes a line. A failure is reported on standard error and does not stop the command.
    fn line(&self, level: Level, message: &str, beside: &[(&str, &str)]) {
        let written = self.write(&self.text(level, message, beside));
        written.unwrap_or_else(|failure| output::tell(format!("{}\n", failure.message)));
    }

    fn text(&self, level: Level, message: &str, beside: &[(&str, &str)]) -> String {
        match self.format {
            LogFormat::Json => json_line(level, message, beside),
            LogFormat::Text => text_line(level, message, beside),
        }
    }

    fn write(&self, line: &str) -> Result<(), Failure> {
        let written = match &self.file {
            Some(file) => (&*file).write_all(line.as_bytes()),
            None => std::io::stderr().write_all(line.as_bytes()),
        };
        written.map_err(|error| Failure::io(&error, "writing the log"))
    }
}

fn now() -> String {
    humantime::format_rfc3339_seconds(SystemTime::now()).to_string()
}

fn level_name(level: Level) -> &'static str {
    match level {
        Level::Error => "error",
        Level::Warn => "warning",
        Level::Info => "info",
        Level::Debug | Level::Trace => "debug",
    }
}

fn json_line(level: Level, message: &str, beside: &[(&str, &str)]) -> String {
    let mut line = Map::new();
    line.insert("level".into(), json!(level_name(level)));
    line.insert("msg".into(), json!(message));
    line.extend(beside.iter().map(|(name, value)| ((*name).to_owned(), json!(value))));
    line.insert("time".into(), json!(now()));
    format!("{}\n", Value::Object(line))
}

/// Formats a line as logrus does without a terminal.
fn text_line(level: Level, message: &str, beside: &[(&str, &str)]) -> String {
    let mut line = format!("time=\"{}\" level={} msg={message:?}", now(), level_name(level));
    for (name, value) in beside {
        line += &format!(" {name}={value:?}");
    }
    line + "\n"
}

/// Reports why a command failed and returns the exit status.
pub fn report(failure: Failure, verb: &str) -> u8 {
    if failure.closed_pipe {
        return output::end_by_closed_pipe();
    }
    let failure = failure.in_verb(verb);
    let fields = [("reason", &failure.reason), ("remedy", &failure.remedy)];
    let beside: Vec<(&str, &str)> =
        fields.iter().filter_map(|(name, value)| Some((*name, value.as_deref()?))).collect();
    let logger = LOGGER.get_or_init(|| Logger { file: None, format: LogFormat::Text });
    if logger.file.is_some() {
        logger.line(Level::Error, &failure.message, &beside);
        output::tell(format!("{}\n", failure.message));
    } else if std::io::stderr().is_terminal() {
        for_people(&failure);
    } else {
        logger.line(Level::Error, &failure.message, &beside);
    }
    // 255, which distinguishes berth's failure from most exit statuses of programs.
    if verb == "exec" { 255 } else { 1 }
}

fn for_people(failure: &Failure) {
    let (red, dim, plain) =
        if crate::table::colours(&std::io::stderr()) { ("\x1b[1;31m", "\x1b[2m", "\x1b[0m") } else { ("", "", "") };
    let mut text = format!("{red}berth:{plain} {}\n", failure.message);
    if let Some(reason) = &failure.reason {
        text += &format!("{dim}  because:{plain} {reason}\n");
    }
    if let Some(remedy) = &failure.remedy {
        text += &format!("{dim}  try:{plain} {remedy}\n");
    }
    output::tell(text);
}
