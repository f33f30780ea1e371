//! `berth run`

use berth::{Container, Force};
use clap::Args;

use crate::Outcome;
use crate::args::Global;
use crate::create::{self, Creation};
use crate::session::{self, Session};

#[derive(Args)]
pub struct Run {
    #[command(flatten)]
    pub create: Creation,
    /// Return as soon as the program runs
    #[arg(short, long)]
    detach: bool,
    /// Leave the container there when it has ended
    #[arg(long)]
    keep: bool,
    /// Leave the container's orphans to the system
    #[arg(long)]
    no_subreaper: bool,
}

impl Run {
    pub fn run(self, global: &Global) -> Outcome {
        let config = self.create.config()?;
        self.create.check_terminal(&config, self.detach)?;
        if self.detach {
            let (container, pid_file) = self.create.create(global, &config, Default::default())?;
            container.start().map_err(|error| create::take_back(&container, error.into()))?;
            pid_file.keep();
            return Ok(0);
        }
        if !self.no_subreaper {
            session::become_subreaper()?;
        }
        let session = Session::begin(create::has_terminal(&config))?;
        let (container, pid_file) = self.create.create(global, &config, session.stdio())?;
        let followed = container.init_process().map_err(Into::into).and_then(|init| {
            let attached = session.attach(&init)?;
            container.start()?;
            pid_file.keep();
            attached.follow(&init)
        });
        let ended = followed.map_err(|failure| create::take_back(&container, failure))?;
        if !self.keep {
            remove(&container);
        }
        Ok(session::code(ended))
    }
}

/// How the program has ended is worth more than what is in the way of removing what it has left.
fn remove(container: &Container) {
    if let Err(error) = container.delete(Force::Kill)
        && error.code != berth::Code::NotFound
    {
        log::warn!("removing the container: {error}");
    }
}
