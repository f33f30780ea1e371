//! The channel to `criu swrk`: messages of any size, notifications, descriptors that come with them, and a deadline
//! whatever CRIU does.

use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::path::Path;
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::poll::PollFlags;
use nix::sys::socket::{
    AddressFamily, ControlMessageOwned, MsgFlags, SockFlag, SockType, recvmsg, sendmsg, setsockopt, socketpair, sockopt,
};
use nix::sys::stat::Mode;
use prost::Message;

use super::message::{Kind, Request, Response};
use super::{CriuLog, Root, command, criu_log, hints};
use crate::deadline::Deadline;
use crate::error::{Code, Context, Error, Result, Stage};
use crate::program::{Output, end_group, kill_group};
use crate::spawn::{self, Child, Launch};
use crate::sys::{exit_status::ExitStatus, procfs};

/// The descriptor of CRIU's end of the socket, in CRIU.
const SOCKET: RawFd = 3;
/// The first of the other descriptors that CRIU inherits.
pub const FIRST_INHERITED: RawFd = 4;
/// How long CRIU may take to roll back after a failure of this library, or to exit after its last message.
const ROLLBACK_TIMEOUT: Duration = Duration::from_secs(30);

/// The environment that CRIU is started in.
#[derive(Default)]
pub struct Start<'a> {
    /// The root filesystem of the container to be restored.
    pub root: Option<Root>,
    /// CRIU's descriptors from [`FIRST_INHERITED`] on.
    pub inherited: &'a [RawFd],
    /// CRIU's standard input, for a shell job; /dev/null otherwise.
    pub stdin: Option<RawFd>,
    /// The v2 cgroup that CRIU is started in.
    pub cgroup: Option<BorrowedFd<'a>>,
}

/// A notification of CRIU, which waits for the answer.
pub struct Notice<'a> {
    pub script: &'a str,
    /// The pid of the restored init, in notifications of a restore.
    pub pid: Option<i32>,
    /// The master of a terminal, in the notification `orphan-pts-master`.
    pub descriptor: Option<OwnedFd>,
}

/// A running `criu swrk`. Dropping it kills and reaps the process.
pub struct Swrk {
    child: Option<Child>,
    socket: OwnedFd,
    output: Output,
    deadline: Deadline,
}

impl Swrk {
    pub fn start(program: &Path, start: &Start, deadline: Deadline) -> Result<Swrk> {
        let doing = || "creating a socket for CRIU";
        let (ours, theirs) =
            socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC).context(doing)?;
        let null =
            open("/dev/null", OFlag::O_RDWR | OFlag::O_CLOEXEC, Mode::empty()).context(|| "opening /dev/null")?;
        let (output, printed) = Output::new()?;
        let stdin = start.stdin.unwrap_or(null.as_raw_fd());
        let mut low = vec![stdin, printed.as_raw_fd(), printed.as_raw_fd(), theirs.as_raw_fd()];
        low.extend(start.inherited);

        let plan = command::plan(program, &["swrk", &SOCKET.to_string()], start.root.as_ref());
        let cgroup = start.cgroup;
        let mut starting =
            spawn::start(&plan, Launch { low: &low, open: &|_| -1, cgroup, proc: procfs::root()?, network: None })?;
        starting.executed(deadline)?;
        let child = Some(starting.finish().child);
        Ok(Swrk { child, socket: ours, output, deadline })
    }

    pub fn pid(&self) -> i32 {
        self.child.as_ref().map_or(-1, |child| child.pid)
    }

    /// Sends a request, and answers notifications until CRIU reports the result. Errors: CRIU's failed reply, its
    /// timeout or its death; or the failure of `notified`, after which CRIU was told to roll back.
    pub fn ask(
        &mut self,
        request: &Request,
        log: Option<&CriuLog>,
        mut notified: impl FnMut(Notice) -> Result<()>,
    ) -> Result<Response> {
        let said = |error: Error| explain(error, log);
        self.send(request).map_err(said)?;
        let mut refused: Option<Error> = None;
        loop {
            let (response, descriptor) = match (self.receive(), refused.take()) {
                (Ok(received), before) => {
                    refused = before;
                    received
                }
                // Return the first failure; CRIU's exit follows from it.
                (Err(_), Some(first)) => return Err(first),
                (Err(error), None) => return Err(explain(error, log)),
            };
            if response.kind() == Kind::Notify {
                let answer = match refused {
                    Some(_) => Ok(()),
                    None => self.notify(&response, descriptor, &mut notified),
                };
                let success = answer.is_ok() && refused.is_none();
                if let Err(error) = answer {
                    self.deadline = self.deadline.within(ROLLBACK_TIMEOUT);
                    refused = Some(error);
                }
                let answer = Request { kind: Kind::Notify.into(), notify_success: Some(success), ..Request::default() };
                match (self.send(&answer), refused.take()) {
                    (Ok(()), before) => refused = before,
                    // CRIU has exited, possibly because of the first failure.
                    (Err(_), Some(first)) => return Err(first),
                    (Err(error), None) => return Err(said(error)),
                }
                continue;
            }
            return match refused {
                Some(first) => Err(first),
                None => Swrk::check_response(response, request).map_err(said),
            };
        }
    }

    fn notify(
        &self,
        response: &Response,
        descriptor: Option<OwnedFd>,
        notified: &mut impl FnMut(Notice) -> Result<()>,
    ) -> Result<()> {
        let notice = response.notify.as_ref().ok_or_else(|| protocol_error("an empty notification"))?;
        let script = notice.script.as_deref().ok_or_else(|| protocol_error("a notification without a name"))?;
        log::debug!("CRIU: {script}");
        notified(Notice { script, pid: notice.pid, descriptor })
    }

    pub fn check_response(response: Response, request: &Request) -> Result<Response> {
        if !response.success {
            let mut error = failure("CRIU failed".into());
            if let Some(number) = response.errno.filter(|number| *number > 0) {
                let errno = Errno::from_raw(number);
                error = error.with_errno(errno).detail("criu_errno", number);
                error.message = format!("{} ({})", error.message, crate::error::reason(errno));
            }
            if let Some(said) = response.message.filter(|said| !said.trim().is_empty()) {
                error = error.detail("criu_message", said.trim());
            }
            return Err(error);
        }
        if response.kind() == request.kind() {
            Ok(response)
        } else {
            let (got, asked) = (response.kind().as_str_name(), request.kind().as_str_name());
            Err(protocol_error(&format!("a response of type {got} to a request of type {asked}")))
        }
    }

    /// Waits for CRIU to exit, and returns its status.
    pub fn finish(mut self) -> Result<ExitStatus> {
        // CRIU may wait for another request; the shutdown tells it that there is none.
        let _ = nix::sys::socket::shutdown(self.socket.as_raw_fd(), nix::sys::socket::Shutdown::Write);
        let deadline = self.deadline.within(ROLLBACK_TIMEOUT);
        let Some(child) = self.child.take() else { return Err(failure("CRIU has exited".into())) };
        match self.output.until_end(&child.pidfd, deadline) {
            Ok(Some(status)) => Ok(status),
            Ok(None) => {
                kill_group(child);
                Err(Error { code: Code::Timeout, ..failure("CRIU did not exit after its work, and was killed".into()) })
            }
            Err(error) => {
                kill_group(child);
                Err(error)
            }
        }
    }

    fn send(&mut self, request: &Request) -> Result<()> {
        let bytes = request.encode_to_vec();
        loop {
            let flags = MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT;
            match sendmsg::<()>(self.socket.as_raw_fd(), &[IoSlice::new(&bytes)], &[], flags, None) {
                Ok(_) => return Ok(()),
                Err(Errno::EINTR) => {}
                Err(Errno::EMSGSIZE) if self.grow_buffer(bytes.len()) => {}
                Err(Errno::EAGAIN) if !self.deadline.passed() => {
                    let ready = self.deadline.poll([(self.socket.as_fd(), PollFlags::POLLOUT)]);
                    ready.context(|| "waiting for CRIU")?;
                }
                Err(Errno::EAGAIN) => return Err(self.timed_out()),
                // CRIU has exited: its exit status tells more.
                Err(Errno::EPIPE | Errno::ECONNRESET) => return Err(self.closed()),
                Err(errno) => return Err(errno).context(|| format!("sending {} bytes to CRIU", bytes.len())),
            }
        }
    }

    /// Enlarges the socket's send buffer, which must hold a whole message. Returns false if it could not grow.
    fn grow_buffer(&self, length: usize) -> bool {
        let needed = length.saturating_mul(2).saturating_add(4096);
        let had = nix::sys::socket::getsockopt(&self.socket, sockopt::SndBuf).unwrap_or(0);
        // Either may be refused: the result below is what counts.
        let _ = setsockopt(&self.socket, sockopt::SndBufForce, &needed);
        let _ = setsockopt(&self.socket, sockopt::SndBuf, &needed);
        nix::sys::socket::getsockopt(&self.socket, sockopt::SndBuf).is_ok_and(|has| has > had)
    }

    fn receive(&mut self) -> Result<(Response, Option<OwnedFd>)> {
        let Some(child) = &self.child else { return Err(failure("CRIU has exited".into())) };
        let [readable, ended] = self.output.watch([self.socket.as_fd(), child.pidfd.as_fd()], self.deadline)?;
        // Poll checks the two descriptors one after the other: CRIU may have written and exited in between.
        let final_error = || Deadline::after_ms(0).readable(self.socket.as_fd()).context(|| "waiting for CRIU");
        let readable = readable || ended && final_error()?;
        match (readable, ended) {
            (true, _) => match receive(&self.socket)? {
                Some((bytes, descriptor)) => {
                    let parsed = Response::decode(bytes.as_slice());
                    let parsed = parsed.map_err(|error| protocol_error(&format!("{} bytes: {error}", bytes.len())))?;
                    Ok((parsed, descriptor))
                }
                None => Err(self.closed()),
            },
            (false, true) => Err(self.closed()),
            (false, false) => Err(self.timed_out()),
        }
    }

    fn timed_out(&mut self) -> Error {
        if let Some(child) = self.child.take() {
            kill_group(child);
        }
        Error { code: Code::Timeout, ..failure("CRIU did not finish in time, and was killed".into()) }
    }

    /// Returns the error for a CRIU that has closed its end without an answer.
    fn closed(&mut self) -> Error {
        const EXIT_TIMEOUT: Duration = Duration::from_secs(5);
        let Some(child) = self.child.take() else { return failure("CRIU has exited".into()) };
        if let Ok([true]) = self.output.watch([child.pidfd.as_fd()], Deadline::after(EXIT_TIMEOUT)) {
            end_group(&child);
        }
        let how = match self.output.until_end(&child.pidfd, Deadline::after(EXIT_TIMEOUT)) {
            Ok(Some(status)) => format!("CRIU {} before it answered", status.describe()),
            _ => {
                kill_group(child);
                "CRIU closed its socket before it answered, and was killed".to_owned()
            }
        };
        failure(format!("{how}{}", self.output.quoted())).detail("output", self.output.text())
    }
}

impl Drop for Swrk {
    fn drop(&mut self) {
        if let Some(child) = self.child.take() {
            kill_group(child);
        }
    }
}

/// Receives one message, and the descriptor that came with it. None: the socket is closed.
fn receive(socket: &OwnedFd) -> Result<Option<(Vec<u8>, Option<OwnedFd>)>> {
    let doing = || "receiving from CRIU";
    let length = length_of_next(socket).context(doing)?;
    let mut bytes = vec![0; length];
    let mut control = nix::cmsg_space!([RawFd; 1]);
    let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_CMSG_CLOEXEC;
    let (received, descriptor) = loop {
        let mut iov = [IoSliceMut::new(&mut bytes)];
        match recvmsg::<()>(socket.as_raw_fd(), &mut iov, Some(&mut control), flags) {
            Err(Errno::EINTR) => {}
            // CRIU has exited with messages unread.
            Err(Errno::ECONNRESET) => return Ok(None),
            Err(errno) => return Err(errno).context(doing),
            Ok(received) => {
                let first = received.cmsgs().context(doing)?.find_map(|message| match message {
                    ControlMessageOwned::ScmRights(fds) => fds.first().copied(),
                    _ => None,
                });
                break (received.bytes, first);
            }
        }
    };
    // SAFETY: SCM_RIGHTS has just delivered this descriptor, which nobody else owns.
    let descriptor = descriptor.map(|fd| unsafe { OwnedFd::from_raw_fd(fd) });
    Ok((received > 0).then_some((bytes, descriptor)))
}

/// Returns the length of the next message without receiving it (recv(2), MSG_PEEK and MSG_TRUNC).
fn length_of_next(socket: &OwnedFd) -> nix::Result<usize> {
    let flags = libc::MSG_PEEK | libc::MSG_TRUNC | libc::MSG_DONTWAIT;
    loop {
        // SAFETY: the buffer has no length, so nothing is written.
        let result = unsafe { libc::recv(socket.as_raw_fd(), std::ptr::null_mut(), 0, flags) };
        match Errno::result(result) {
            Err(Errno::EINTR) => {}
            Err(Errno::ECONNRESET) => return Ok(0),
            other => return other.map(|length| length as usize),
        }
    }
}

fn failure(message: String) -> Error {
    Error::new(Code::Criu, message).with_stage(Stage::Criu)
}

fn protocol_error(what: &str) -> Error {
    failure(format!("CRIU violated its protocol: it sent {what}"))
}

/// Adds CRIU's log to an error: its errors and a remedy to the message, its end to the detail.
fn explain(mut error: Error, log: Option<&CriuLog>) -> Error {
    let text = log.map(CriuLog::text).unwrap_or_default();
    let errors = criu_log::errors(&text);
    if !errors.is_empty() {
        error = error.append(&format!(": {}", errors.join("; ")));
    }
    if let Some(remedy) = hints::of(&errors) {
        error = error.append(&format!(" ({remedy})")).detail("advice", remedy);
    }
    if !text.is_empty() {
        error = error.detail("log", criu_log::tail(&text));
    }
    error
}
