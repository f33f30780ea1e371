//! Steps in which init waits for the caller or the starter, or sends them something.

use super::super::steps::*;
use super::super::{network, terminal, tree};
use super::*;
use crate::fields::Barrier;

impl Run for WaitHost {
    fn run(self, init: &mut Init) -> Result<()> {
        if self.barrier == Barrier::Hooks {
            init.report.send(REACHED, 0, None)?;
        }
        init.report.wait_for_go()
    }
}

/// Up to here the death of the caller's thread is ours. From here on the container has a state file and lives for itself.
impl Run for Ready {
    fn run(self, init: &mut Init) -> Result<()> {
        // Set before the word: the caller's thread may end as soon as it has let us go. If it is killed before, the socket
        // closes, which ends us too.
        prctl(PR_SET_PDEATHSIG, init.parent_death_signal)?;
        init.report.send(READY, 0, None)?;
        init.report.wait_for_go()?;
        close(init.report.fd);
        init.report.fd = -1;
        init.fill(Slot(SLOT_CONTROL), -1)
    }
}

/// Blocks until somebody opens the fifo to start the container. A starter that is gone before it has read our word has not
/// started anything: we wait for the next.
impl Run for ExecFifo {
    fn run(self, init: &mut Init) -> Result<()> {
        let mut buffer = [0; 32];
        let fifo = init.slot(self.fifo)?;
        // This may last for days. Whoever may look into this process finds no more than it needs for waiting.
        for (index, fd) in init.slots.iter_mut().enumerate() {
            if *fd >= 0 && index != SLOT_PROC && index != self.fifo.0 {
                close(*fd);
                *fd = -1;
            }
        }
        init.take_signals();
        loop {
            let end = openat(init.proc(), tree::self_fd(fifo, &mut buffer), O_WRONLY, 0)?;
            init.report.fd = end;
            init.report.is_fifo = true;
            match init.report.send(RELEASED, 0, None) {
                Ok(()) => return Ok(()),
                Err(_) => close(end),
            }
        }
    }
}

impl Run for NetlinkSocket {
    fn run(self, init: &mut Init) -> Result<()> {
        network::send_netlink_socket(&init.report, self.protocol)
    }
}

impl Run for Terminal {
    fn run(self, init: &mut Init) -> Result<()> {
        let (multiplexer, dev) = (init.top(&self.multiplexer)?, init.top(&self.dev)?);
        terminal::open(&init.report, multiplexer, dev, &self)
    }
}
