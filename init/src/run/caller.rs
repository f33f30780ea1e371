//! Steps in which init waits for the caller or for the start of the container, or sends messages.

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

impl Run for TryExecFifo {
    fn run(self, init: &mut Init) -> Result<()> {
        let mut buffer = [0; 32];
        match openat(init.proc(), tree::self_fd(init.slot(self.fifo)?, &mut buffer), O_WRONLY | O_NONBLOCK, 0) {
            // Nobody has opened it for reading yet.
            Err(ENXIO) => Ok(()),
            Ok(end) => {
                close(end);
                Ok(())
            }
            Err(errno) => {
                init.report.say(&[b"openat of exec.fifo"]);
                Err(errno)
            }
        }
    }
}

/// Until this step, init dies with the caller's thread. From here on the container has a state file and is independent
/// of the caller.
impl Run for Ready {
    fn run(self, init: &mut Init) -> Result<()> {
        // Set the signal before the message: the caller's thread may exit as soon as it has let init continue. If it is
        // killed before that, the socket closes, and init exits too.
        prctl(PR_SET_PDEATHSIG, init.parent_death_signal)?;
        init.report.send(READY, 0, None)?;
        init.report.wait_for_go()?;
        close(init.report.fd);
        init.report.fd = -1;
        init.fill(Slot(SLOT_CONTROL), -1)
    }
}

/// Blocks until a process opens the fifo to start the container. If that process exits before it has read the message,
/// it has not started anything, and init waits for the next one. If the fifo cannot be opened, nobody listens: the exit
/// status is the errno, from which start makes its error.
impl Run for ExecFifo {
    fn run(self, init: &mut Init) -> Result<()> {
        let mut buffer = [0; 32];
        let fifo = init.slot(self.fifo)?;
        // The wait may last for days. Close all other descriptors, so that a process that may access init finds none
        // that the wait does not need.
        for (index, fd) in init.slots.iter_mut().enumerate() {
            if *fd >= 0 && index != SLOT_PROC && index != self.fifo.0 {
                close(*fd);
                *fd = -1;
            }
        }
        init.take_signals();
        loop {
            let end = match openat(init.proc(), tree::self_fd(fifo, &mut buffer), O_WRONLY, 0) {
                Ok(end) => end,
                Err(EINTR) => continue,
                Err(errno) => exit(errno.0),
            };
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

impl Run for SendTree {
    fn run(self, init: &mut Init) -> Result<()> {
        let tree = init.slot(self.tree)?;
        init.report.send(OPENED, 0, Some(tree))
    }
}

impl Run for Terminal {
    fn run(self, init: &mut Init) -> Result<()> {
        let (multiplexer, dev) = (init.top(&self.multiplexer)?, init.top(&self.dev)?);
        terminal::open(&init.report, multiplexer, dev, &self)
    }
}
