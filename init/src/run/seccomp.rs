//! The step that loads the seccomp filter, and sends its listener if it has one.

use super::super::fields::Numbers;
use super::super::process;
use super::super::steps::*;
use super::*;

/// After this step only system calls that the filter allows succeed, so everything possible is done before. Without a
/// listener to send, only dropping capabilities and execve remain.
impl Run for Seccomp {
    fn run(self, init: &mut Init) -> Result<()> {
        if self.filter.notifies {
            init.take_signals();
        } else {
            init.get_ready_to_execute()?;
        }
        if self.privileged {
            process::raise_capabilities()?;
        }
        let Numbers { start, count } = self.filter.instructions;
        let listener = load_filter(start, count, self.filter.flags)?;
        if self.filter.notifies {
            init.report.send(LISTENER_FD, 0, Some(listener))?;
            close(listener);
            init.report.wait_for_go()?;
        }
        Ok(())
    }
}
