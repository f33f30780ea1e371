//! `berth start`

use std::path::Path;

use berth::{Code, Container};
use clap::Args;

use crate::args::Global;
use crate::notify::{self, NotifyDir};
use crate::{Outcome, host};

#[derive(Args)]
pub struct Start {
    /// Container id
    #[arg(value_name = "ID")]
    id: String,
}

impl Start {
    pub fn run(self, global: &Global) -> Outcome {
        let root = host::settings(global)?.root;
        let container = host::container(global, &self.id)?;
        let notify_dir = NotifyDir::from_environment(global, &self.id)?.filter(NotifyDir::is_made);
        let socket = notify_dir.map(NotifyDir::bind).transpose()?;
        container.start().inspect_err(|_| forget_if_deleted(&container, &root))?;
        if let Some(socket) = socket {
            let init = container.init_process()?;
            socket.forward(init.pidfd(), Some(init.pid()));
        }
        Ok(0)
    }
}

/// Removes the notification socket of a container that a failed hook has destroyed.
fn forget_if_deleted(container: &Container, root: &Path) {
    if container.status().is_err_and(|error| error.code == Code::NotFound) {
        notify::forget(root, container.id());
    }
}
