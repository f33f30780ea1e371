//! Start: lets the init that waits at exec.fifo execute the container's program.

use std::os::fd::{AsFd, OwnedFd};

use berth_init::wire::{self, MESSAGE_LEN, Message};
use nix::errno::Errno;
use nix::poll::PollFlags;

use super::create::process_of;
use super::delete::Force;
use super::exec::JoinTarget;
use super::{Container, Status, status};
use crate::cgroup::Cgroup;
use crate::deadline::Deadline;
use crate::error::{Code, Context, Error, Result, Stage, reason as reason_of};
use crate::fault;
use crate::hooks::Place;
use crate::plan;
use crate::process::ProcessOptions;
use crate::runtime::Runtime;
use crate::security::seccomp;
use crate::spawn;
use crate::spec::Config;
use crate::spec::hooks::Kind;
use crate::state::{Init, Record};
use crate::sys::exit_status::ExitStatus;

impl Container {
    /// Starts a created container and returns when its program runs. If the program cannot be executed, the error gives
    /// the reason, even if another process has created the container, and the container is stopped. If a startContainer
    /// or poststart hook fails, the container is deleted, and its poststop hooks run.
    pub fn start(&self) -> Result<()> {
        let lock = self.directory.lock(self.runtime.lock_deadline())?;
        let record = self.record()?;
        let cgroup = self.cgroup(&record)?;
        match self.status_of(&record, cgroup.as_ref())? {
            Status::Created => {}
            status @ Status::Running => return Err(self.wrong_state(Code::AlreadyRunning, status, "created")),
            status @ Status::Paused => return Err(self.wrong_state(Code::Paused, status, "created")),
            status => return Err(self.explain_end(self.wrong_state(Code::NotRunning, status, "created"))),
        }
        let config = self.config(&record)?;
        process_of(config)?;
        // The OCI runtime specification, lifecycle steps 7 and 9: if a hook fails, the runtime MUST stop the container
        // and continue with step 12, which destroys it, and step 13, the poststop hooks.
        self.run_start_hooks(config, &record, cgroup.as_ref())
            .map_err(|error| after_removal(error, self.delete_locked(Force::Kill)))?;
        fault::point("start.hooks");
        self.release(config, &record, cgroup.as_ref())?;
        self.directory.remove_fifo()?;
        fault::point("start.running");
        drop(lock);
        self.run_host_hooks(Kind::Poststart, config, &record, Status::Running)
            .map_err(|error| after_removal(error, self.delete(Force::Kill)))
    }

    /// Creates and starts a container. After an error nothing is left.
    pub fn run(runtime: &Runtime, id: &str, config: &Config, options: &ProcessOptions) -> Result<Container> {
        process_of(config)?;
        let container = Container::create(runtime, id, config, options)?;
        match container.start() {
            Ok(()) => Ok(container),
            Err(error) => Err(after_removal(error, container.delete(Force::Kill))),
        }
    }

    /// Adds to an error why init has ended by itself before any start, if that is known: it exits with the errno if it
    /// cannot open exec.fifo, to which it reports from then on.
    fn explain_end(&self, error: Error) -> Error {
        if !self.directory.is_fifo_unused() {
            return error;
        }
        // It has ended: its status says so.
        let (reason, errno) = match self.wait(200) {
            Ok(ExitStatus::Exited(wire::EXIT_FAILED)) => ("the process that created it ended".to_owned(), None),
            Ok(ExitStatus::Exited(number)) if number > 0 => {
                let errno = Errno::from_raw(number);
                (format!("openat of exec.fifo: {}", reason_of(errno)), Some(errno))
            }
            _ => return error,
        };
        let message = format!("{}; its init exited before that: {reason}", error.message);
        let explained = Error { message, errno, ..error }.with_stage(Stage::Init);
        explained.detail("cause", reason)
    }

    fn run_start_hooks(&self, config: &Config, record: &Record, cgroup: &dyn Cgroup) -> Result<()> {
        let plan = |hook: &crate::spec::oci::Hook| self.hook_plan(config, record, hook);
        let target = JoinTarget { record, config, status: Status::Created };
        let run = |plan: &plan::Plan, low: &[i32]| self.join(plan, &target, cgroup, low).map(|joined| joined.child);
        let place = Place::AsProcess { plan: &plan, run: &run };
        self.run_hooks(Kind::StartContainer, config, record, Status::Created, &place)
    }

    /// Releases init by opening the fifo, and waits until it has executed the program. init writes a message when it is
    /// released and, if it fails, another one; it closes its end when the program is executed.
    fn release(&self, config: &Config, record: &Record, cgroup: &dyn Cgroup) -> Result<()> {
        let running = || self.wrong_state(Code::AlreadyRunning, Status::Running, "created");
        // Before the fifo is opened, because a short program may have exited immediately afterwards.
        let init = self.init_process()?;
        let fifo = self.directory.open_fifo()?.ok_or_else(running)?;
        fault::point("start.opened");
        // Another start may have released init and been killed before it removed the fifo. If init has already executed
        // the program, its message is in the fifo or was read by the other start, so do not wait for it. If init
        // executes the program later, its end of the fifo closes then, which ends the wait.
        let word = if status::waits_for_start(record)? {
            read_message(&fifo, Some(init.pidfd()), self.runtime.setup_deadline())?
        } else {
            // An error: there is no message.
            read_message(&fifo, None, Deadline::after_ms(0)).unwrap_or(None)
        };
        match word {
            Some(message) if message.kind == wire::RELEASED => {}
            // Init was killed when it had opened the fifo, before it wrote a message.
            _ if self.status_of(record, cgroup)? == Status::Stopped => {
                return Err(self.wrong_state(Code::NotRunning, Status::Stopped, "created"));
            }
            // init closes its end without a message only if it could not write one; then it waits for the next start.
            None if status::waits_for_start(record)? => {
                let message = "the container's init could not answer through exec.fifo, and waits to be started";
                return Err(Error::new(Code::System, message).with_stage(Stage::Init));
            }
            // Another start has opened the fifo, too, and received the message.
            _ => return Err(running()),
        }
        fault::point("start.released");
        let deadline = self.runtime.setup_deadline();
        match read_message(&fifo, None, deadline)? {
            None => match &record.init {
                Some(Init { image, .. }) if seccomp::profile(config.spec()).is_some() => {
                    spawn::check_executed(init.pid(), *image, init.pidfd(), deadline)
                }
                _ => Ok(()),
            },
            Some(message) => Err(self.failure(config, record, &message)),
        }
    }

    /// Returns the error of a failed step. The plan is made again to find the step's name, because the process that
    /// calls start may not have created the container.
    fn failure(&self, config: &Config, record: &Record, message: &Message) -> Error {
        // init exits after its message; the error is that message, whether or not the exit is seen.
        let _ = self.wait(self.runtime.settings.setup_timeout.as_millis() as i64);
        match record.plan(config) {
            Ok(plan) => spawn::failure(&plan, message),
            Err(_) => Error::system(Errno::from_raw(message.value), "starting the container's program")
                .with_stage(Stage::Init),
        }
    }
}

/// Returns the error of a start after which the container was deleted. A failed removal is added to it as a detail.
fn after_removal(error: Error, removed: Result<()>) -> Error {
    match removed {
        Err(second) if second.code != Code::NotFound => error.detail("cleanup", second.message),
        // Not found: it is deleted already, by the failed start itself or by another caller.
        _ => error,
    }
}

/// Reads a message of init, or returns `None` if init's end is closed. With a pidfd, the exit of the process is an
/// error.
fn read_message(fifo: &OwnedFd, pidfd: Option<std::os::fd::BorrowedFd>, deadline: Deadline) -> Result<Option<Message>> {
    loop {
        let watched = pidfd.unwrap_or(fifo.as_fd());
        let events = [(fifo.as_fd(), PollFlags::POLLIN), (watched, PollFlags::POLLIN)];
        let ready = deadline.poll(events).context(reading)?;
        match read_fifo(fifo, !ready[0].is_empty(), !ready[1].is_empty())? {
            FifoRead::Message(message) => return Ok(Some(*message)),
            FifoRead::Closed => return Ok(None),
            FifoRead::Nothing if deadline.passed() => {
                let message = "the container's init did not answer through exec.fifo in time";
                return Err(Error::new(Code::Timeout, message).with_stage(Stage::Init));
            }
            FifoRead::Nothing => {}
        }
    }
}

fn reading() -> &'static str {
    "reading exec.fifo"
}

enum FifoRead {
    Message(Box<Message>),
    Closed,
    Nothing,
}

/// Reads the fifo according to poll(2)'s results for the fifo and for the process.
fn read_fifo(fifo: &OwnedFd, readable: bool, ended: bool) -> Result<FifoRead> {
    // poll checks one descriptor after the other. If a short program is released and exits between the two checks, the
    // fifo has a message that poll has not reported.
    let readable = readable || ended && Deadline::after_ms(0).readable(fifo.as_fd()).context(reading)?;
    if !readable {
        return if ended {
            Err(Error::new(Code::NotRunning, "the container's init ended before it was started")
                .with_stage(Stage::Init))
        } else {
            Ok(FifoRead::Nothing)
        };
    }
    let mut bytes = [0u8; MESSAGE_LEN];
    match nix::unistd::read(fifo, &mut bytes) {
        Err(Errno::EINTR | Errno::EAGAIN) => Ok(FifoRead::Nothing),
        Ok(0) => Ok(FifoRead::Closed),
        other => spawn::parse(&bytes[..other.context(reading)?]).map(|message| FifoRead::Message(Box::new(message))),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_message_between_the_two_checks_of_poll_is_read() {
        let (reader, mut writer) = std::io::pipe().unwrap();
        let fifo = OwnedFd::from(reader);
        assert!(matches!(read_fifo(&fifo, false, false), Ok(FifoRead::Nothing)));
        // poll has found the fifo empty; then init has written and exited; then poll has found the exit.
        writer.write_all(&[0; MESSAGE_LEN]).unwrap();
        assert!(matches!(read_fifo(&fifo, false, true), Ok(FifoRead::Message(_))));
        // An init that exits without a message was not released.
        assert_eq!(read_fifo(&fifo, false, true).err().map(|error| error.code), Some(Code::NotRunning));
        drop(writer);
        assert!(matches!(read_fifo(&fifo, true, false), Ok(FifoRead::Closed)));
    }
}
