//! `berth exec`

use std::os::fd::AsFd;
use std::path::PathBuf;
use std::time::Duration;

use berth::{Container, Paused, Process, ProcessOptions, Settings, Stdio, spec};
use clap::Args;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::args::Global;
use crate::create::check_terminal;
use crate::failure::Failure;
use crate::session::{self, Session};
use crate::streams::{Descriptors, PidFile, send_pidfd};
use crate::{Outcome, host, terminal};

#[derive(Args)]
pub struct Exec {
    /// Path of a file with an OCI "process" object; other options override it
    #[arg(short, long, value_name = "FILE")]
    process: Option<PathBuf>,
    /// Allocate a terminal for the process
    #[arg(short, long)]
    tty: bool,
    /// Return as soon as the program is running
    #[arg(short, long)]
    detach: bool,
    /// Write the pid of the process to this file
    #[arg(long, value_name = "FILE")]
    pid_file: Option<PathBuf>,
    /// Set the working directory in the container
    #[arg(long, value_name = "DIR")]
    cwd: Option<String>,
    /// Set an environment variable
    #[arg(short, long, value_name = "NAME=VALUE")]
    env: Vec<String>,
    /// Set the user id and, optionally, the group id
    #[arg(short, long, value_name = "UID[:GID]")]
    user: Option<String>,
    /// Add an additional group id
    #[arg(short = 'g', long, value_name = "GID", value_delimiter = ',')]
    additional_gids: Vec<u32>,
    /// Add a capability, like CAP_NET_ADMIN
    #[arg(short, long, value_name = "CAPABILITY")]
    cap: Vec<String>,
    /// Set no_new_privs for the process
    #[arg(long)]
    no_new_privs: bool,
    /// Set the AppArmor profile of the process
    #[arg(long, value_name = "PROFILE")]
    apparmor: Option<String>,
    /// Set the SELinux label of the process
    #[arg(long, value_name = "LABEL")]
    process_label: Option<String>,
    /// Send the terminal's master to this unix socket
    #[arg(long, value_name = "PATH")]
    console_socket: Option<PathBuf>,
    /// Send a pidfd of the process to this unix socket
    #[arg(long, value_name = "PATH")]
    pidfd_socket: Option<PathBuf>,
    /// If the container is paused, wait until it is resumed
    #[arg(long)]
    ignore_paused: bool,
    /// Run the process in an existing cgroup below the container's
    #[arg(long, value_name = "[CONTROLLER:]PATH")]
    cgroup: Vec<String>,
    #[command(flatten)]
    pub descriptors: Descriptors,
    /// Container id
    #[arg(value_name = "ID")]
    id: String,
    /// The program and its arguments
    #[arg(value_name = "COMMAND", trailing_var_arg = true)]
    command: Vec<String>,
}

/// The time that a process may wait for its container to be resumed.
const RESUME_TIMEOUT: Duration = Duration::from_secs(7 * 24 * 3600);

impl Exec {
    pub fn run(self, global: &Global) -> Outcome {
        if self.process.is_none() && self.command.is_empty() {
            let failure = Failure::new("exec args cannot be empty");
            return Err(failure.remedy("name the program after the container's id, or give --process"));
        }
        let container = self.container(global)?;
        let specified = self.specification(&container)?;
        let process = spec::parse_process(&specified.to_string()).map_err(|error| self.of_file(error.into()))?;
        let has_terminal = process.terminal().unwrap_or(false);
        check_terminal(has_terminal, self.detach, self.console_socket.is_some())?;
        if self.detach {
            let process = container.exec(&process, &self.options(Default::default())?)?;
            self.announce(&process)?.keep();
            return Ok(0);
        }
        let session = Session::begin(has_terminal)?;
        let process = container.exec(&process, &self.options(session.stdio())?)?;
        let attached = session.attach(&process)?;
        self.announce(&process)?.keep();
        Ok(session::code(attached.wait(&process)?))
    }

    fn container(&self, global: &Global) -> Result<Container, Failure> {
        if !self.ignore_paused {
            return host::container(global, &self.id);
        }
        host::container_with(Settings { setup_timeout: RESUME_TIMEOUT, ..host::settings(global)? }, &self.id)
    }

    fn options(&self, stdio: [Stdio; 3]) -> Result<ProcessOptions, Failure> {
        Ok(ProcessOptions {
            stdio,
            extra_fds: self.descriptors.numbers(),
            console_socket: self.console_socket.as_deref().map(host::absolute).transpose()?,
            plain_newlines: self.console_socket.is_none(),
            paused: if self.ignore_paused { Paused::Wait } else { Paused::Refuse },
            cgroups: self.cgroup.clone(),
            ..ProcessOptions::default()
        })
    }

    /// Reports the process (pid file, pidfd socket). Kills it if that fails.
    fn announce(&self, process: &Process) -> Result<PidFile, Failure> {
        let report = || {
            if let Some(socket) = &self.pidfd_socket {
                send_pidfd(socket, process.pidfd().as_fd())?;
            }
            PidFile::write(self.pid_file.as_deref(), process.pid())
        };
        report().inspect_err(|_| {
            // It has ended already.
            let _ = process.signal(libc::SIGKILL);
        })
    }

    /// Returns the process from the file, or the container's own process with another command, with the options applied.
    fn specification(&self, container: &Container) -> Result<Value, Failure> {
        let mut process = match &self.process {
            Some(file) => {
                let text = std::fs::read_to_string(file)
                    .map_err(|error| Failure::io(&error, format!("reading {}", file.display())))?;
                serde_json::from_str(&text)
                    .map_err(|error| Failure::new(format!("{} is not valid JSON: {error}", file.display())))?
            }
            None => own_process(container)?,
        };
        if !process.is_object() {
            return Err(self.of_file(Failure::new("the process is not a JSON object")));
        }
        if !self.command.is_empty() {
            process["args"] = json!(self.command);
        }
        if self.tty {
            process["terminal"] = json!(true);
        }
        if process["terminal"] == true
            && !self.detach
            && let Some((height, width)) = terminal::find().as_ref().and_then(terminal::size)
        {
            process["consoleSize"] = json!({ "height": height, "width": width });
        }
        if let Some(cwd) = &self.cwd {
            process["cwd"] = json!(cwd);
        }
        extend(&mut process["env"], self.env.iter().cloned().chain(self.descriptors.environment()));
        self.change_user(&mut process["user"])?;
        self.add_capabilities(&mut process["capabilities"]);
        if self.no_new_privs {
            process["noNewPrivileges"] = json!(true);
        }
        if let Some(profile) = &self.apparmor {
            process["apparmorProfile"] = json!(profile);
        }
        if let Some(label) = &self.process_label {
            process["selinuxLabel"] = json!(label);
        }
        without_nulls(&mut process);
        Ok(process)
    }

    /// Names the file in a failure about its content.
    fn of_file(&self, mut failure: Failure) -> Failure {
        if let Some(file) = &self.process {
            failure.message.insert_str(0, &format!("{}: ", file.display()));
        }
        failure
    }

    fn change_user(&self, user: &mut Value) -> Result<(), Failure> {
        if let Some(given) = &self.user {
            let (uid, gid) = given.split_once(':').map_or((given.as_str(), None), |(uid, gid)| (uid, Some(gid)));
            let number = |text: &str| {
                text.parse::<u32>().map_err(|_| {
                    Failure::new(format!("--user {given:?}: {text:?} is not a number"))
                        .remedy("user names of the image are not looked up; give numbers, as UID or UID:GID")
                })
            };
            user["uid"] = json!(number(uid)?);
            if let Some(gid) = gid {
                user["gid"] = json!(number(gid)?);
            }
        }
        extend(&mut user["additionalGids"], self.additional_gids.iter().copied());
        without_nulls(user);
        Ok(())
    }

    fn add_capabilities(&self, sets: &mut Value) {
        if self.cap.is_empty() {
            return;
        }
        let has = |sets: &Value, set: &str, cap: &str| {
            sets[set].as_array().is_some_and(|set| set.iter().any(|has| has == cap))
        };
        for set in ["bounding", "effective", "permitted", "ambient"] {
            // Ambient capabilities must be inheritable, too, which the container's configuration decides.
            let wanted = |cap: &&String| !has(sets, set, cap) && (set != "ambient" || has(sets, "inheritable", cap));
            let new: Vec<String> = self.cap.iter().filter(wanted).cloned().collect();
            extend(&mut sets[set], new);
        }
        without_nulls(sets);
    }
}

/// The part of a container's configuration that exec reads.
#[derive(Deserialize)]
struct Own {
    #[serde(default)]
    process: Value,
}

fn own_process(container: &Container) -> Result<Value, Failure> {
    let config = container.config_json()?;
    let Own { mut process } = serde_json::from_str(&config).map_err(|error| Failure::new(error.to_string()))?;
    if let Some(process) = process.as_object_mut() {
        // The size belongs to another terminal.
        process.shift_remove("terminal");
        process.shift_remove("consoleSize");
    }
    Ok(process)
}

fn extend<T: Into<Value>>(list: &mut Value, more: impl IntoIterator<Item = T>) {
    let more: Vec<Value> = more.into_iter().map(Into::into).collect();
    match list {
        Value::Array(list) => list.extend(more),
        _ if more.is_empty() => {}
        _ => *list = more.into(),
    }
}

/// Removes members that indexing has created as null.
fn without_nulls(object: &mut Value) {
    if let Some(object) = object.as_object_mut() {
        object.retain(|_, value| !value.is_null());
    }
}
