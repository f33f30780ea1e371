//! `berth run`

use std::os::fd::AsFd;
use std::thread;

use berth::{Container, Force, Process};
use clap::Args;

use crate::args::Global;
use crate::create::{self, Creation};
use crate::failure::Failure;
use crate::notify::{NotifyDir, Socket};
use crate::session::{self, Session};
use crate::{Outcome, host, notify};

#[derive(Args)]
pub struct Run {
    #[command(flatten)]
    pub create: Creation,
    /// Return as soon as the program is running
    #[arg(short, long)]
    detach: bool,
    /// Do not delete the container after it has ended
    #[arg(long)]
    keep: bool,
    /// Do not reap the container's orphans
    #[arg(long)]
    no_subreaper: bool,
}

impl Run {
    pub fn run(self, global: &Global) -> Outcome {
        let notify_dir = self.create.notify_dir(global)?;
        let config = self.create.config(notify_dir.as_ref())?;
        self.create.check_terminal(&config, self.detach)?;
        if self.detach {
            let (container, pid_file) = self.create.create(global, &config, Default::default(), notify_dir.as_ref())?;
            let started = start(&container, notify_dir).map_err(|failure| create::delete_after(&container, failure));
            let socket = started?;
            pid_file.keep();
            if let Some(socket) = socket {
                let init = container.init_process()?;
                socket.forward(init.pidfd(), Some(init.pid()));
            }
            return Ok(0);
        }
        if !self.no_subreaper {
            session::become_subreaper()?;
        }
        let session = Session::begin(config.has_terminal())?;
        let (container, pid_file) = self.create.create(global, &config, session.stdio(), notify_dir.as_ref())?;
        let followed = container.init_process().map_err(Into::into).and_then(|init| {
            let attached = session.attach(&init)?;
            if let Some(socket) = start(&container, notify_dir)? {
                forward(socket, &init)?;
            }
            pid_file.keep();
            attached.wait(&init)
        });
        let is_kept = |failure: &Failure| failure.lost_output && self.keep;
        let ended = followed
            .map_err(|failure| if is_kept(&failure) { failure } else { create::delete_after(&container, failure) })?;
        if !self.keep {
            remove(&container);
        }
        notify::forget(&host::settings(global)?.root, &self.create.id);
        Ok(session::code(ended))
    }
}

/// Starts the container. Returns the socket at which it reports that it is ready.
fn start(container: &Container, notify_dir: Option<NotifyDir>) -> Result<Option<Socket>, Failure> {
    let socket = notify_dir.map(NotifyDir::bind).transpose()?;
    container.start()?;
    Ok(socket)
}

/// Forwards the notification in a thread. The service manager keeps watching this process, so no main pid is sent.
fn forward(socket: Socket, init: &Process) -> Result<(), Failure> {
    let pidfd = init.pidfd().try_clone_to_owned();
    let pidfd = pidfd.map_err(|error| Failure::io(&error, "duplicating the pidfd of init"))?;
    thread::spawn(move || socket.forward(pidfd.as_fd(), None));
    Ok(())
}

/// Deletes the container. Only logs a failure, because the program's exit status matters more.
fn remove(container: &Container) {
    if let Err(error) = container.delete(Force::Kill)
        && error.code != berth::Code::NotFound
    {
        log::warn!("removing the container: {error}");
    }
}
