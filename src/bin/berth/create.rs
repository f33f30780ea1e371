//! `berth create`, and the parts that it shares with `berth run`.

use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use berth::spec::Config;
use berth::{Code, Container, Force, Keyring, MissingProgram, ProcessOptions, Runtime, Settings, Stdio};
use clap::Args;
use serde_json::Value;

use crate::args::Global;
use crate::failure::Failure;
use crate::notify::NotifyDir;
use crate::streams::{Descriptors, PidFile, send_pidfd};
use crate::{Outcome, host};

#[derive(Args)]
pub struct Create {
    #[command(flatten)]
    pub create: Creation,
    /// Accepted for compatibility with crun; has no effect
    #[arg(long, hide = true)]
    no_subreaper: bool,
}

#[derive(Args)]
pub struct Creation {
    /// Container id
    #[arg(value_name = "ID")]
    pub id: String,
    /// Path of the bundle, a directory with config.json and a root filesystem
    #[arg(short, long, value_name = "DIR", default_value = ".", hide_default_value = true)]
    bundle: PathBuf,
    #[command(flatten)]
    pub setup: Setup,
    /// Send the terminal's master to this unix socket
    #[arg(long, value_name = "PATH")]
    console_socket: Option<PathBuf>,
    /// Send a pidfd of the container's init to this unix socket
    #[arg(long, value_name = "PATH")]
    pidfd_socket: Option<PathBuf>,
    /// Write the pid of the container's init to this file
    #[arg(long, value_name = "FILE")]
    pid_file: Option<PathBuf>,
}

// The options that affect the plan of a container; `berth explain` has them, too.
#[derive(Args)]
pub struct Setup {
    /// Use this file instead of the bundle's config.json
    #[arg(short = 'f', long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Do not use pivot_root(2), for a root filesystem on an initial ramdisk
    #[arg(long)]
    no_pivot: bool,
    /// Do not create a new session keyring for the container
    #[arg(long)]
    no_new_keyring: bool,
    #[command(flatten)]
    pub descriptors: Descriptors,
}

impl Create {
    pub fn run(self, global: &Global) -> Outcome {
        let notify_dir = self.create.notify_dir(global)?;
        let config = self.create.config(notify_dir.as_ref())?;
        self.create.check_terminal(&config, true)?;
        let (_, pid_file) = self.create.create(global, &config, Default::default(), notify_dir.as_ref())?;
        pid_file.keep();
        Ok(0)
    }
}

impl Creation {
    /// The socket through which a service manager is notified.
    pub fn notify_dir(&self, global: &Global) -> Result<Option<NotifyDir>, Failure> {
        NotifyDir::from_environment(global, &self.id)
    }

    pub fn config(&self, notify_dir: Option<&NotifyDir>) -> Result<Config, Failure> {
        self.setup.config(&self.bundle, notify_dir)
    }

    /// Checks that a terminal has a recipient.
    pub fn check_terminal(&self, config: &Config, detached: bool) -> Result<(), Failure> {
        check_terminal(config.has_terminal(), detached, self.console_socket.is_some())
    }

    /// Creates the container and reports its pid. After an error no container is left.
    pub fn create(
        &self,
        global: &Global,
        config: &Config,
        stdio: [Stdio; 3],
        notify_dir: Option<&NotifyDir>,
    ) -> Result<(Container, PidFile), Failure> {
        let options = ProcessOptions {
            stdio,
            // As runc has it: a console socket's owner sets up the terminal itself.
            plain_newlines: self.console_socket.is_none(),
            console_socket: self.console_socket.as_deref().map(host::absolute).transpose()?,
            ..self.setup.process_options()
        };
        let runtime = Runtime::new(self.setup.settings(global)?)?;
        let made = notify_dir.map(NotifyDir::make).transpose()?.unwrap_or(false);
        let created = Container::create(&runtime, &self.id, config, &options).map_err(Failure::from);
        let reported = created.and_then(|container| match self.announce(&container) {
            Ok(pid_file) => Ok((container, pid_file)),
            Err(failure) => Err(delete_after(&container, failure)),
        });
        reported.inspect_err(|_| notify_dir.filter(|_| made).into_iter().for_each(NotifyDir::remove))
    }

    fn announce(&self, container: &Container) -> Result<PidFile, Failure> {
        let init = container.init_process()?;
        if let Some(socket) = &self.pidfd_socket {
            send_pidfd(socket, init.pidfd().as_fd())?;
        }
        PidFile::write(self.pid_file.as_deref(), init.pid())
    }
}

impl Setup {
    pub fn config(&self, bundle: &Path, notify_dir: Option<&NotifyDir>) -> Result<Config, Failure> {
        let config = match &self.config {
            Some(file) => Config::from_file(bundle, &bundle.join(file))?,
            None => Config::from_bundle(bundle)?,
        };
        let more = self.descriptors.environment();
        if more.is_empty() && notify_dir.is_none() {
            return Ok(config);
        }
        let mut json: Value = serde_json::from_str(config.json()).map_err(|error| Failure::new(error.to_string()))?;
        // Without a process, the container can only be created.
        if let Some(process) = json.get_mut("process").filter(|process| process.is_object()) {
            match &mut process["env"] {
                Value::Array(env) => env.extend(more.into_iter().map(Value::from)),
                env => *env = more.into(),
            }
        }
        if let Some(notify_dir) = notify_dir {
            notify_dir.add_to(&mut json);
        }
        Ok(Config::from_record(&json.to_string(), config.bundle(), config.rootfs())?)
    }

    pub fn settings(&self, global: &Global) -> Result<Settings, Failure> {
        let mut settings = host::settings(global)?;
        settings.root_options.no_pivot = self.no_pivot;
        Ok(settings)
    }

    pub fn process_options(&self) -> ProcessOptions {
        ProcessOptions {
            extra_fds: self.descriptors.numbers(),
            keyring: if self.no_new_keyring { Keyring::Inherit } else { Keyring::New },
            missing_program: MissingProgram::AtCreate,
            ..ProcessOptions::default()
        }
    }
}

/// Deletes a container after a failure and returns the failure.
pub fn delete_after(container: &Container, failure: Failure) -> Failure {
    // A start that failed in a hook has deleted the container already.
    if let Err(error) = container.delete(Force::Kill)
        && error.code != Code::NotFound
    {
        log::warn!("removing the container: {error}");
    }
    failure
}

pub fn check_terminal(terminal: bool, detached: bool, socket: bool) -> Result<(), Failure> {
    if detached && terminal && !socket {
        return Err(Failure::new("cannot allocate tty if berth will detach without setting console socket")
            .remedy("give --console-socket, or set process.terminal to false"));
    }
    if (!detached || !terminal) && socket {
        return Err(Failure::new("cannot use console socket if berth will not detach or allocate tty"));
    }
    Ok(())
}
