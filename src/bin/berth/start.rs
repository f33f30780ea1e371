//! `berth start`

use clap::Args;

use crate::args::Global;
use crate::notify::Offer;
use crate::{Outcome, host};

#[derive(Args)]
pub struct Start {
    /// Container id
    #[arg(value_name = "ID")]
    id: String,
}

impl Start {
    pub fn run(self, global: &Global) -> Outcome {
        let container = host::container(global, &self.id)?;
        let offer = Offer::wanted(global, &self.id)?.filter(Offer::is_made);
        let socket = offer.map(Offer::bind).transpose()?;
        container.start()?;
        if let Some(socket) = socket {
            let init = container.init_process()?;
            socket.pass_on(init.pidfd(), Some(init.pid()));
        }
        Ok(0)
    }
}
