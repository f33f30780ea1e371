//! `berth kill`

use berth::{Container, Recipients};
use clap::Args;
use serde_json::Value;

use crate::args::Global;
use crate::{Outcome, host, signals};

#[derive(Args)]
pub struct Kill {
    /// Send the signal to all processes of the container
    #[arg(short, long)]
    all: bool,
    /// Treat ID as a regular expression and signal all matching containers
    #[arg(short, long)]
    regex: bool,
    /// Container id
    #[arg(value_name = "ID")]
    id: String,
    /// Signal name, with or without "SIG", or number
    #[arg(value_name = "SIGNAL", default_value = "TERM")]
    signal: String,
}

impl Kill {
    pub fn run(self, global: &Global) -> Outcome {
        // As runc does: an empty name is the same as none.
        let signal = signals::parse(if self.signal.is_empty() { "TERM" } else { &self.signal })?;
        let to = if self.all { Recipients::All } else { Recipients::Init };
        if !self.regex {
            return Ok(kill(&host::container(global, &self.id)?, signal, to)?);
        }
        if let Some(runtime) = host::existing(global)? {
            for id in host::matching(&runtime, &self.id)? {
                kill(&runtime.load(&id)?, signal, to)?;
            }
        }
        Ok(0)
    }
}

fn kill(container: &Container, signal: i32, to: Recipients) -> berth::Result<u8> {
    // As runc does: without a pid namespace of their own the other processes outlive init.
    let to = if signal == libc::SIGKILL && !has_own_pids(container) { Recipients::All } else { to };
    container.signal(signal, to).map(|()| 0)
}

fn has_own_pids(container: &Container) -> bool {
    // Sending the signal reports a container that cannot be read.
    let Ok(json) = container.config_json() else { return true };
    let config: Value = serde_json::from_str(&json).unwrap_or_default();
    let namespaces = config["linux"]["namespaces"].as_array();
    let is_own = |namespace: &Value| namespace["type"] == "pid" && namespace["path"].as_str().unwrap_or("").is_empty();
    namespaces.is_some_and(|namespaces| namespaces.iter().any(is_own))
}
