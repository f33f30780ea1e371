//! The executor: runs the plan step by step. If a step fails, init reports the step and the errno, and exits.

mod caller;
mod filesystem;
mod namespaces;
mod pivot_root;
mod process;
mod seccomp;

use super::fields::{Place, Slot, Words};
use super::plan::Plan;
use super::report::Report;
use super::steps;
use super::sys::*;
use super::tree::Top;
use super::wire::*;
use super::{Refused, named};

/// The action of a step.
pub trait Run {
    fn run(self, init: &mut Init) -> Result<()>;
}

pub struct Init {
    plan: Plan,
    report: Report,
    slots: &'static mut [i32],
    /// The PR_SET_PDEATHSIG signal for the container's program.
    parent_death_signal: usize,
    entered_working_directory: bool,
    /// Whether the signals have been reset for the program, except SIGPIPE.
    own_signals: bool,
    /// Whether everything that precedes execve is done.
    ready_to_execute: bool,
    /// Whether trees become slaves only after they are mounted; see [`super::mounts::cut_off`].
    cut_off_later: bool,
}

impl Init {
    pub fn new(plan: Plan) -> Result<Init> {
        let slots = plan.slots()?;
        if slots.len() < SLOT_FREE {
            return Err(EPROTO);
        }
        let report = Report::new(slots[SLOT_CONTROL]);
        Ok(Init {
            plan,
            report,
            slots,
            parent_death_signal: 0,
            entered_working_directory: false,
            own_signals: false,
            ready_to_execute: false,
            cut_off_later: false,
        })
    }

    /// Runs all steps. Never returns: the last step is exec, and otherwise the process exits.
    pub fn run(mut self) -> ! {
        let mut words = Words::new(self.plan);
        for index in 0..self.plan.header().step_count {
            self.report.step = index;
            if let Err(errno) = steps::run_next(&mut words, &mut self) {
                self.report.failed(errno);
                exit(EXIT_FAILED);
            }
        }
        exit(EXIT_FAILED)
    }

    fn slot(&self, slot: Slot) -> Result<i32> {
        match self.slots.get(slot.0) {
            Some(&fd) if fd >= 0 => Ok(fd),
            _ => Err(EPROTO),
        }
    }

    fn fill(&mut self, slot: Slot, fd: i32) -> Result<()> {
        *self.slots.get_mut(slot.0).ok_or(EPROTO)? = fd;
        Ok(())
    }

    fn root(&self) -> i32 {
        self.slots[SLOT_ROOT]
    }

    /// Returns the host's procfs.
    fn proc(&self) -> i32 {
        self.slots[SLOT_PROC]
    }

    /// Returns the directory that a path in the container is relative to.
    fn top(&self, place: &Place) -> Result<Top> {
        let fd = match place.base {
            None => self.root(),
            Some(slot) => self.slot(slot)?,
        };
        Ok(Top { fd, strict: place.strict })
    }
}

/// Returns the control socket, whose number changes while descriptors are arranged.
pub fn control(plan: Plan) -> Option<i32> {
    plan.slots().ok()?.get(SLOT_CONTROL).copied()
}

fn prctl(option: u32, value: usize) -> Result<()> {
    super::sys::prctl(option, value, 0).map(|_| ())
}

/// Arranges the descriptors: closes those that the caller left open, moves 0, 1, 2 and the extra ones into place, and
/// moves all slots above them with close-on-exec.
pub fn arrange_descriptors(plan: Plan) -> core::result::Result<(), Refused> {
    let tables = || Ok((plan.keep()?, plan.low()?, plan.slots()?));
    let (keep, low, slots) = named("reading the plan", tables())?;
    let mut next = 0;
    for &fd in keep.iter() {
        if fd > next {
            named("close_range", close_range(next as u32, fd as u32 - 1))?;
        }
        next = fd + 1;
    }
    named("close_range", close_range(next as u32, u32::MAX))?;

    let first_free = low.len() as i32;
    for fd in low.iter_mut().filter(|fd| **fd >= 0) {
        *fd = named("fcntl(F_DUPFD_CLOEXEC)", dup_from(*fd, first_free))?;
    }
    for fd in slots.iter_mut().filter(|fd| **fd >= 0) {
        *fd = named("fcntl(F_DUPFD_CLOEXEC)", dup_from(*fd, first_free))?;
    }
    for &fd in keep.iter() {
        close(fd);
    }
    for (index, &fd) in low.iter().enumerate().filter(|(_, fd)| **fd >= 0) {
        named("dup3", dup_onto(fd, index as i32))?;
        close(fd);
    }
    Ok(())
}
