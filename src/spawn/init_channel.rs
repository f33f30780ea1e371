//! The channel to berth-init during setup: receives its messages, describes its failures, and reports its end.

use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};

use berth_init::wire::{self, MESSAGE_LEN, Message};
use nix::errno::Errno;
use nix::poll::PollFlags;
use nix::sys::socket::{
    AddressFamily, ControlMessageOwned, MsgFlags, SockFlag, SockType, recvmsg, sendmsg, socketpair,
};
use serde_json::json;

use super::clone::{self, Child};
use super::{NewNetwork, image, seccomp_diagnosis};
use crate::deadline::Deadline;
use crate::error::{Code, Context, Error, Result, Stage, reason};
use crate::plan::{Descriptor, Plan, Step};
use crate::sys::children;
use crate::sys::exit_status::{self, ExitStatus};
use crate::sys::pidfd;

/// The error detail with the signal that killed init.
pub const SIGNAL: &str = "signal";

/// A process after setup, and its terminal.
pub struct Spawned {
    pub child: Child,
    /// The master of the terminal that init has opened.
    pub terminal: Option<OwnedFd>,
}

/// A berth-init during setup. Dropping it kills and reaps the process.
pub struct InitChannel<'p> {
    plan: &'p Plan,
    child: Option<Child>,
    control: OwnedFd,
    terminal: Option<OwnedFd>,
    network: Option<NewNetwork>,
}

/// A message of init, or the end of the channel.
enum Event {
    Message { message: Box<Message>, fd: Option<OwnedFd> },
    Closed,
}

/// Creates the two ends of the control socket.
pub fn control_pair() -> Result<(OwnedFd, OwnedFd)> {
    socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)
        .context(|| "creating the control socket for berth-init")
}

impl<'p> InitChannel<'p> {
    pub fn pid(&self) -> i32 {
        self.child.as_ref().map_or(-1, |child| child.pid)
    }

    pub fn pidfd(&self) -> &OwnedFd {
        &self.child.as_ref().expect("the child is only taken by `finish`").pidfd
    }

    /// Returns the master of the terminal, once init has sent it.
    pub fn terminal(&self) -> Option<&OwnedFd> {
        self.terminal.as_ref()
    }

    /// Switches to the process that a `Fork` step creates. That process waits for [`InitChannel::go`].
    pub fn adopt(&mut self, deadline: Deadline) -> Result<()> {
        let (message, fd) = self.expect(wire::CHILD, deadline)?;
        // The first process exits after this message. Reaping it frees its descriptor.
        if let Some(first) = self.child.take() {
            children::reap_ending(first.into());
        }
        // The kernel drops a descriptor if the caller has reached its limit of descriptors. The process is a child of
        // the caller, so its pid is not reused before it is reaped.
        let pidfd = fd.map_or_else(|| pidfd::open(message.value), Ok);
        let pidfd = pidfd.context(|| format!("opening a pidfd of process {}", message.value))?;
        self.child = Some(Child { pid: message.value, pidfd });
        Ok(())
    }

    /// Lets init continue after a barrier.
    pub fn go(&self) -> Result<()> {
        let word = [wire::GO];
        loop {
            match sendmsg::<()>(self.control.as_raw_fd(), &[IoSlice::new(&word)], &[], MsgFlags::MSG_NOSIGNAL, None) {
                Err(Errno::EINTR) => {}
                Ok(_) => return Ok(()),
                // init has exited: its last message or its exit status tells why.
                Err(Errno::EPIPE | Errno::ECONNRESET | Errno::ECONNREFUSED | Errno::ENOTCONN) => {
                    return Err(self.final_error());
                }
                Err(errno) => return Err(Error::system(errno, "letting berth-init continue: sendmsg")),
            }
        }
    }

    pub fn reached(&mut self, deadline: Deadline) -> Result<()> {
        self.expect(wire::REACHED, deadline).map(|_| ())
    }

    pub fn ready(&mut self, deadline: Deadline) -> Result<()> {
        self.expect(wire::READY, deadline).map(|_| ())
    }

    /// Receives the socket of a `NetlinkSocket` step or the mounts of a `SendTree` step.
    pub fn opened(&mut self, deadline: Deadline) -> Result<OwnedFd> {
        let (_, fd) = self.expect(wire::OPENED, deadline)?;
        fd.ok_or_else(|| Error::system(Errno::EMFILE, "receiving a descriptor of berth-init"))
    }

    /// Receives the listener of the filter that a `Seccomp` step has loaded. init then waits for [`InitChannel::go`].
    pub fn listener(&mut self, deadline: Deadline) -> Result<OwnedFd> {
        let (_, fd) = self.expect(wire::LISTENER_FD, deadline)?;
        fd.ok_or_else(|| Error::system(Errno::EMFILE, "receiving the listener of the seccomp filter"))
    }

    /// Waits until execve has succeeded, which closes the pipe received with `Executing`. The control socket cannot
    /// show that: a process that the caller has forked meanwhile may hold a copy of init's end.
    pub fn executed(&mut self, deadline: Deadline) -> Result<()> {
        if let (_, Some(pipe)) = self.expect(wire::EXECUTING, deadline)? {
            if !deadline.readable(pipe.as_fd()).context(|| "waiting for berth-init")? {
                return Err(timed_out());
            }
            return match receive(&self.control, MsgFlags::MSG_DONTWAIT) {
                Ok(Event::Message { message, .. }) if message.kind == wire::FAILED => Err(failure(self.plan, &message)),
                _ => self.not_killed_by_its_filter(deadline),
            };
        }
        match self.next(deadline)? {
            Event::Closed => self.not_killed_by_its_filter(deadline),
            Event::Message { message, .. } if message.kind == wire::FAILED => Err(failure(self.plan, &message)),
            Event::Message { .. } => Err(self.protocol_error("a message after exec")),
        }
    }

    fn not_killed_by_its_filter(&self, deadline: Deadline) -> Result<()> {
        match self.plan.filter() {
            Some(_) => {
                let image = image::identity()?;
                seccomp_diagnosis::check_executed(self.pid(), image, self.pidfd().as_fd(), deadline)
            }
            None => Ok(()),
        }
    }

    /// Ends the conversation, and returns the process to the caller.
    pub fn finish(mut self) -> Spawned {
        Spawned { child: self.child.take().expect("taken only here"), terminal: self.terminal.take() }
    }

    fn expect(&mut self, kind: u32, deadline: Deadline) -> Result<(Box<Message>, Option<OwnedFd>)> {
        // init is still in setup, so use the time to clean up the helper that created its network namespace.
        if let Some(mut network) = self.network.take() {
            network.finish(deadline);
        }
        loop {
            match self.next(deadline)? {
                Event::Closed => return Err(self.ended()),
                Event::Message { message, fd } if message.kind == kind => return Ok((message, fd)),
                Event::Message { message, fd } if message.kind == wire::TERMINAL => self.terminal = fd,
                Event::Message { message, .. } if message.kind == wire::FAILED => {
                    return Err(failure(self.plan, &message));
                }
                Event::Message { .. } => return Err(self.protocol_error("an unexpected message")),
            }
        }
    }

    fn next(&self, deadline: Deadline) -> Result<Event> {
        let ready = deadline.poll([(self.control.as_fd(), PollFlags::POLLIN)]).context(|| "waiting for berth-init")?;
        if ready[0].is_empty() {
            return Err(timed_out());
        }
        receive(&self.control, MsgFlags::empty())
    }

    /// Returns the reason for init's exit: the failure it reported, or its exit status.
    fn final_error(&self) -> Error {
        while let Ok(Event::Message { message, .. }) = receive(&self.control, MsgFlags::MSG_DONTWAIT) {
            if message.kind == wire::FAILED {
                return failure(self.plan, &message);
            }
        }
        self.ended()
    }

    fn ended(&self) -> Error {
        let end = exit_status::wait(self.pidfd(), Deadline::after_ms(5_000));
        if matches!(end, Ok(ExitStatus::Signaled { signal: libc::SIGSYS, .. })) {
            return seccomp_diagnosis::killed();
        }
        if matches!(end, Ok(ExitStatus::Exited(wire::EXIT_OTHER_BUILD))) {
            return other_build();
        }
        let how = end.as_ref().map_or_else(|_| "disappeared".to_owned(), |status| status.describe());
        let error = Error::new(Code::System, format!("berth-init {how} before the end of setup"));
        let error = error.with_stage(Stage::Init);
        match end {
            Ok(ExitStatus::Signaled { signal, .. }) => error.detail(SIGNAL, signal),
            _ => error,
        }
    }

    fn protocol_error(&self, what: &str) -> Error {
        Error::new(Code::Internal, format!("berth-init sent {what}")).with_stage(Stage::Init)
    }
}

impl Drop for InitChannel<'_> {
    fn drop(&mut self) {
        if let Some(child) = self.child.take() {
            children::kill_and_reap(child.into());
        }
    }
}

/// Returns the error for an init of another build: a distribution may supply its own berth-init, and by mistake an
/// older one.
fn other_build() -> Error {
    let message = "starting berth-init: it was built from other sources than libberth and cannot read its plans: \
                   build both from the same sources, or set BERTH_INIT_BINARY to a matching berth-init";
    Error::new(Code::Unsupported, message).with_stage(Stage::Init)
}

fn timed_out() -> Error {
    Error::new(Code::Timeout, "berth-init did not finish setup in time").with_stage(Stage::Init)
}

fn receive(socket: &OwnedFd, flags: MsgFlags) -> Result<Event> {
    let mut bytes = [0u8; MESSAGE_LEN];
    let mut control = nix::cmsg_space!([RawFd; 2]);
    let (len, fd) = loop {
        let mut iov = [IoSliceMut::new(&mut bytes)];
        match recvmsg::<()>(socket.as_raw_fd(), &mut iov, Some(&mut control), flags | MsgFlags::MSG_CMSG_CLOEXEC) {
            // ECONNRESET is returned once if the peer has closed with unread messages; the peer's own last messages
            // follow.
            Err(Errno::EINTR | Errno::ECONNRESET) => {}
            Err(errno) => return Err(Error::system(errno, "receiving from berth-init")),
            Ok(received) => {
                let fds = received.cmsgs().context(|| "receiving from berth-init")?.find_map(|message| match message {
                    ControlMessageOwned::ScmRights(fds) => fds.first().copied(),
                    _ => None,
                });
                break (received.bytes, fds);
            }
        }
    };
    // SAFETY: SCM_RIGHTS has just delivered this descriptor, which nobody else owns.
    let fd = fd.map(|fd| unsafe { OwnedFd::from_raw_fd(fd) });
    match len {
        0 => Ok(Event::Closed),
        _ => parse(&bytes[..len]).map(|message| Event::Message { message: Box::new(message), fd }),
    }
}

/// Decodes a message, received over the control socket or through exec.fifo.
pub fn parse(bytes: &[u8]) -> Result<Message> {
    if bytes.len() != MESSAGE_LEN {
        let error = Error::new(Code::Internal, format!("berth-init sent a message of {} bytes", bytes.len()));
        return Err(error.with_stage(Stage::Init));
    }
    // SAFETY: the length is right, and Message is plain data that any bytes are valid for.
    Ok(unsafe { std::ptr::read_unaligned(bytes.as_ptr() as *const Message) })
}

/// Converts a `FAILED` message to an error that names the step.
pub fn failure(plan: &Plan, message: &Message) -> Error {
    let errno = Errno::from_raw(message.value);
    if message.step == wire::NO_STEP {
        let operation = kernel_words(message).unwrap_or_default();
        return Error::system(errno, format!("preparing berth-init: {operation}")).with_stage(Stage::Init);
    }
    let (index, count) = (message.step as usize, plan.steps.len());
    let act = plan.steps.get(index).map_or_else(|| "working".to_owned(), |step| step.describe());
    let place = plan.steps.get(index).and_then(|step| step.json_path());
    let position =
        place.iter().cloned().chain([format!("step {} of {count}", index + 1)]).collect::<Vec<_>>().join(", ");
    let said = kernel_words(message);
    let refused_link = || plan.steps.get(index).filter(|_| errno == Errno::ELOOP).and_then(Step::refused_link);
    let because = match (&said, refused_link()) {
        (Some(said), _) => format!("{} ({said})", reason(errno)),
        (None, Some(refused)) => refused.to_owned(),
        (None, None) => reason(errno),
    };
    let filtered = seccomp_diagnosis::seccomp_hint(plan, index, errno);
    let mut error = Error::new(Code::System, format!("{act}: {because} ({position}){filtered}"))
        .with_errno(errno)
        .with_stage(Stage::Init)
        .detail("step", index + 1)
        .detail("steps", count);
    if let Some(step) = plan.steps.get(index) {
        error = error.detail("action", step.explain());
    }
    if let Some(place) = place {
        error = error.detail("json_path", place);
    }
    if let Some(said) = said {
        error = error.detail("kernel", json!(said));
    }
    error
}

/// Extracts the kernel's messages from the log of a filesystem context, which has lines like "e tmpfs: Bad value for
/// 'size'".
fn kernel_words(message: &Message) -> Option<String> {
    let text = &message.text[..(message.text_len as usize).min(message.text.len())];
    let text = String::from_utf8_lossy(text);
    let lines: Vec<&str> = text
        .lines()
        .map(|line| line.strip_prefix("e ").unwrap_or(line).trim())
        .filter(|line| !line.is_empty())
        .collect();
    (!lines.is_empty()).then(|| lines.join("; "))
}

/// Starts berth-init with a plan, and returns the caller's end of the channel.
pub fn start<'p>(plan: &'p Plan, launch: super::Launch) -> Result<InitChannel<'p>> {
    let (ours, theirs) = control_pair()?;
    let mut network = launch.network;
    let open = |descriptor: &Descriptor| match descriptor {
        Descriptor::NetworkNamespace => network.as_ref().map_or(-1, NewNetwork::receiver),
        other => (launch.open)(other),
    };
    let encoded = plan.encode(super::fixed_slots(theirs.as_raw_fd(), launch.proc), launch.low, open)?;
    let plan_file = super::plan_file(&encoded.bytes)?;
    let spawn = || clone::spawn(plan_file.as_fd(), theirs.as_fd(), &encoded.inherited, plan.clone_flags, launch.cgroup);
    let child = match (spawn(), &mut network) {
        // The limit may permit one more process only, and the helper for the network namespace takes it.
        (Err(error), Some(network)) if error.errno == Some(Errno::EAGAIN) => {
            network.finish(Deadline::NEVER);
            spawn()?
        }
        (spawned, _) => spawned?,
    };
    Ok(InitChannel { plan, child: Some(child), control: ours, terminal: None, network })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Starts berth-init with a plan in which one word is changed, and returns the error.
    fn error_of_a_changed_plan(offset: usize) -> Error {
        let plan = crate::plan::waiting(0);
        let (control, theirs) = control_pair().unwrap();
        let fixed = super::super::fixed_slots(theirs.as_raw_fd(), crate::sys::procfs::root().unwrap());
        let mut encoded = plan.encode(fixed, &[], |_| -1).unwrap();
        encoded.bytes[offset] ^= 1;
        let file = super::super::plan_file(&encoded.bytes).unwrap();
        let child = clone::spawn(file.as_fd(), theirs.as_fd(), &encoded.inherited, 0, None).unwrap();
        drop(theirs);
        let mut channel = InitChannel { plan: &plan, child: Some(child), control, terminal: None, network: None };
        channel.ready(Deadline::after_ms(30_000)).unwrap_err()
    }

    #[test]
    fn an_init_of_another_build_is_named() {
        let error = error_of_a_changed_plan(std::mem::offset_of!(wire::Header, layout));
        assert_eq!((error.code, error.stage), (Code::Unsupported, Stage::Init));
        assert!(error.message.contains("built from other sources than libberth"), "{error}");
    }

    #[test]
    fn a_damaged_plan_is_not_taken_for_another_build() {
        let error = error_of_a_changed_plan(std::mem::offset_of!(wire::Header, magic));
        assert_eq!(error.message, "preparing berth-init: reading the plan: protocol error");
    }
}
