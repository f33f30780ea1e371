//! The command line: global options and commands.

use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;
use std::sync::LazyLock;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{ArgAction, Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

use crate::failure::Failure;
use crate::{
    Outcome, checkpoint, completions, create, delete, events, exec, explain, features, go_flags, kill, list, logging,
    output, pause, ps, recover, restore, run, spec, start, state, top, update,
};

/// Runs and manages OCI containers
#[derive(Parser)]
#[command(name = "berth", version = version(), disable_version_flag = true, disable_help_flag = true, max_term_width = 100)]
// If an option is repeated, the last one counts, as in Go.
#[command(args_override_self = true)]
pub struct Arguments {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub verb: Verb,
}

/// Returns the text after the program name, in runc's order. Engines parse the lines "commit:" and "spec:".
fn version() -> &'static str {
    // `make` and the packages set the commit; a build by cargo alone does not know it.
    const COMMIT: &str = match option_env!("BERTH_COMMIT") {
        Some(commit) if !commit.is_empty() => commit,
        _ => "unknown",
    };
    static TEXT: LazyLock<String> =
        LazyLock::new(|| format!("version {}\ncommit: {COMMIT}\nspec: 1.3.0", env!("CARGO_PKG_VERSION")));
    &TEXT
}

#[derive(Args)]
pub struct Global {
    /// Keep container state in DIR [default: /run/berth, or $XDG_RUNTIME_DIR/berth for ordinary users]
    #[arg(long, value_name = "DIR")]
    pub root: Option<PathBuf>,
    /// Write the log to FILE [default: standard error]
    #[arg(long, value_name = "FILE")]
    pub log: Option<PathBuf>,
    /// Set the log format
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub log_format: LogFormat,
    /// Log debug messages
    #[arg(long)]
    pub debug: bool,
    /// Set the minimum log level
    #[arg(long, value_name = "LEVEL")]
    pub log_level: Option<LogLevel>,
    /// Use systemd as cgroup manager; linux.cgroupsPath is "slice:prefix:name"
    #[arg(long, conflicts_with = "cgroup_manager")]
    pub systemd_cgroup: bool,
    /// Select the cgroup manager
    #[arg(long, value_name = "MANAGER", default_value = "cgroupfs")]
    pub cgroup_manager: CgroupManager,
    /// Ignore cgroup permission errors, for callers without privileges
    #[arg(long, value_name = "WHEN", default_value = "auto", num_args = 0..=1, require_equals = false, default_missing_value = "true")]
    pub rootless: Rootless,
    /// Use this CRIU program [default: criu, searched in PATH]
    #[arg(long, value_name = "PATH")]
    pub criu: Option<PathBuf>,
    /// Print the version of berth and of the OCI runtime specification
    #[arg(short = 'v', long, short_alias = 'V', action = ArgAction::Version)]
    version: Option<bool>,
    /// Print help
    #[arg(short = 'h', long, short_alias = '?', action = ArgAction::Help, global = true)]
    help: Option<bool>,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
pub enum LogFormat {
    Text,
    Json,
}

#[derive(Clone, Copy, ValueEnum)]
pub enum LogLevel {
    Error,
    #[value(alias = "warn")]
    Warning,
    Info,
    Debug,
    /// Also log a CLOCK_MONOTONIC time stamp, in nanoseconds, for each stage of an operation
    Trace,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
pub enum CgroupManager {
    Cgroupfs,
    Systemd,
    Disabled,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
pub enum Rootless {
    Auto,
    True,
    False,
}

#[derive(Subcommand)]
#[command(defer = true)]
pub enum Verb {
    /// Create a container; its program waits for "start"
    Create(create::Create),
    /// Start the program of a created container
    Start(start::Start),
    /// Create and start a container and wait until it ends
    Run(run::Run),
    /// Execute a process in a running container
    Exec(exec::Exec),
    /// Print the state of a container as JSON
    State(state::State),
    /// List the containers
    List(list::List),
    /// Send a signal to a container
    Kill(kill::Kill),
    /// Delete a container and its resources
    Delete(delete::Delete),
    /// Suspend all processes of a container
    Pause(pause::Pause),
    /// Resume a paused container
    Resume(pause::Resume),
    /// List the processes of a container
    Ps(ps::Ps),
    /// Print statistics and OOM events of a container, one JSON object per line
    Events(events::Watch),
    /// Update the resource limits of a container
    Update(update::Update),
    /// Checkpoint a container into images
    Checkpoint(checkpoint::Checkpoint),
    /// Restore a container from a checkpoint
    Restore(restore::Restore),
    /// Create a default config.json
    Spec(spec::Spec),
    /// Print the supported features as an OCI features document
    Features(features::Features),
    /// Print the steps of creating a container without executing them
    Explain(explain::Explain),
    /// Display the resource usage of all containers
    Top(top::Top),
    /// Remove containers whose creator or deleter was killed
    Recover(recover::Recover),
    /// Print shell completions
    Completions(completions::Completions),
    /// Print the man page or write all man pages
    Man(completions::Man),
}

impl Verb {
    pub fn name(&self) -> &'static str {
        match self {
            Verb::Create(_) => "create",
            Verb::Start(_) => "start",
            Verb::Run(_) => "run",
            Verb::Exec(_) => "exec",
            Verb::State(_) => "state",
            Verb::List(_) => "list",
            Verb::Kill(_) => "kill",
            Verb::Delete(_) => "delete",
            Verb::Pause(_) => "pause",
            Verb::Resume(_) => "resume",
            Verb::Ps(_) => "ps",
            Verb::Events(_) => "events",
            Verb::Update(_) => "update",
            Verb::Checkpoint(_) => "checkpoint",
            Verb::Restore(_) => "restore",
            Verb::Spec(_) => "spec",
            Verb::Features(_) => "features",
            Verb::Explain(_) => "explain",
            Verb::Top(_) => "top",
            Verb::Recover(_) => "recover",
            Verb::Completions(_) => "completions",
            Verb::Man(_) => "man",
        }
    }

    /// Checks that the descriptors to be passed on are open.
    pub fn check_descriptors(&self) -> Result<(), Failure> {
        match self {
            Verb::Create(verb) => verb.create.setup.descriptors.check(),
            Verb::Run(verb) => verb.create.setup.descriptors.check(),
            Verb::Explain(verb) => verb.setup.descriptors.check(),
            Verb::Exec(verb) => verb.descriptors.check(),
            _ => Ok(()),
        }
    }

    pub fn run(self, global: &Global) -> Outcome {
        match self {
            Verb::Create(verb) => verb.run(global),
            Verb::Start(verb) => verb.run(global),
            Verb::Run(verb) => verb.run(global),
            Verb::Exec(verb) => verb.run(global),
            Verb::State(verb) => verb.run(global),
            Verb::List(verb) => verb.run(global),
            Verb::Kill(verb) => verb.run(global),
            Verb::Delete(verb) => verb.run(global),
            Verb::Pause(verb) => verb.run(global),
            Verb::Resume(verb) => verb.run(global),
            Verb::Ps(verb) => verb.run(global),
            Verb::Events(verb) => verb.run(global),
            Verb::Update(verb) => verb.run(global),
            Verb::Checkpoint(verb) => verb.run(global),
            Verb::Restore(verb) => verb.run(global),
            Verb::Spec(verb) => verb.run(global),
            Verb::Features(verb) => verb.run(global),
            Verb::Explain(verb) => verb.run(global),
            Verb::Top(verb) => verb.run(global),
            Verb::Recover(verb) => verb.run(global),
            Verb::Completions(verb) => verb.run(global),
            Verb::Man(verb) => verb.run(global),
        }
    }
}

/// Parses the arguments. Prints help or usage errors itself and then returns the exit status.
pub fn parse() -> Result<Arguments, u8> {
    let arguments = go_flags::translated(std::env::args_os(), Arguments::command);
    let mut command = Arguments::command();
    let parsed = parsed(&mut command, &arguments);
    // Dropping it would take longer than parsing.
    std::mem::forget(command);
    parsed.map_err(|error| {
        let help = match error.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Some(error.print()),
            // As runc has it.
            ErrorKind::MissingSubcommand => Some(Arguments::command().print_help()),
            _ => None,
        };
        if let Some(printed) = help {
            let printed = printed.and_then(|()| std::io::stdout().flush());
            return printed.map_or_else(|error| logging::report(Failure::output(&error), ""), |()| 0);
        }
        match in_words_of_runc(&error) {
            Some(words) => output::tell(format!("error: {words}\n\nFor more information, try '--help'.\n")),
            // A failure to write to standard error cannot be reported.
            None => error.print().unwrap_or(()),
        }
        if let Some(global) = global_options(&arguments).filter(|global| global.log.is_some())
            // If the log cannot be opened, standard error has the words already.
            && logging::open(&global).is_ok()
        {
            log::error!("{}", sentence(&error));
        }
        match error.kind() {
            // As runc has it.
            ErrorKind::InvalidSubcommand => 3,
            _ => 1,
        }
    })
}

/// Parses arguments, the first of which is the program's name.
pub fn parsed(command: &mut clap::Command, arguments: &[OsString]) -> clap::error::Result<Arguments> {
    let mut matches = command.try_get_matches_from_mut(arguments)?;
    Arguments::from_arg_matches_mut(&mut matches)
}

/// Parses the global options alone, for usage errors in a command: an engine reads the file that --log names, not standard error.
fn global_options(arguments: &[OsString]) -> Option<Global> {
    let found = Arguments::command().ignore_errors(true).try_get_matches_from(arguments).ok()?;
    Global::from_arg_matches(&found).ok()
}

/// Returns runc's words for an unknown command and for an option without its value: engines find out by them whether an
/// option exists.
fn in_words_of_runc(error: &clap::Error) -> Option<String> {
    let text = |kind: ContextKind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        _ => None,
    };
    match error.kind() {
        ErrorKind::InvalidSubcommand => Some(format!("No help topic for '{}'", text(ContextKind::InvalidSubcommand)?)),
        ErrorKind::InvalidValue if text(ContextKind::InvalidValue) == Some("") => {
            let option = text(ContextKind::InvalidArg)?.split(' ').next()?;
            Some(format!("flag needs an argument: {option}"))
        }
        _ => None,
    }
}

/// Returns the first paragraph of a usage error as one line.
pub fn sentence(error: &clap::Error) -> String {
    if let Some(sentence) = in_words_of_runc(error) {
        return sentence;
    }
    let text = error.to_string();
    let lines = text.trim_start_matches("error: ").lines().take_while(|line| !line.trim().is_empty());
    lines.map(str::trim).collect::<Vec<_>>().join(" ")
}
