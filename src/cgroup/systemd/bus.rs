//! A D-Bus connection to systemd: over the system bus or, without one, over systemd's private socket.
//!
//! Neither of the two common D-Bus crates is suitable inside another program: one starts threads, the other opens its
//! socket without close-on-exec and can raise SIGPIPE. Only a small part of the protocol is needed here.

use std::io::IoSlice;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::Instant;

use nix::errno::Errno;
use nix::poll::PollFlags;
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, UnixAddr, connect, recv, sendmsg, socket};

use super::message::{Argument, Kind, Message, Method, call, length};
use crate::cgroup::wait::Backoff;
use crate::deadline::Deadline;
use crate::error::{Code, Context, Error, Result};

const SOCKETS: [(&str, bool); 2] = [("/run/dbus/system_bus_socket", true), ("/run/systemd/private", false)];

const HELLO: Method = Method {
    destination: "org.freedesktop.DBus",
    path: "/org/freedesktop/DBus",
    interface: "org.freedesktop.DBus",
    member: "Hello",
};

const DISCONNECTED: &str = "org.freedesktop.DBus.Error.Disconnected";

/// Whether systemd has left the bus, or the bus the caller, before the answer.
pub fn has_left(error: &Error) -> bool {
    let name = error.detail.get("dbus_error").and_then(|name| name.as_str()).unwrap_or_default();
    let left = ["NoReply", "ServiceUnknown", "NameHasNoOwner"].map(|name| format!("org.freedesktop.DBus.Error.{name}"));
    name == DISCONNECTED
        || left.iter().any(|left| left == name)
        || name.starts_with("org.freedesktop.DBus.Error.Spawn.")
        || matches!(error.errno, Some(Errno::EPIPE | Errno::ECONNRESET))
}

pub struct Bus {
    socket: OwnedFd,
    path: &'static str,
    serial: u32,
    deadline: Deadline,
    /// Signals received while waiting for a reply.
    signals: Vec<Message>,
}

impl Bus {
    pub fn connect(deadline: Instant) -> Result<Bus> {
        let is_absent = |error: &Error| matches!(error.errno, Some(Errno::ENOENT | Errno::ECONNREFUSED));
        let mut reported = None;
        for (path, is_bus) in SOCKETS {
            match Bus::open(path, is_bus, deadline) {
                Ok(bus) => return Ok(bus),
                // The error of a socket that is there says more than that of one that is not.
                Err(error) if reported.as_ref().is_none_or(is_absent) => reported = Some(error),
                Err(_) => {}
            }
        }
        let error = reported.unwrap_or_else(|| Error::new(Code::Internal, "no socket of systemd"));
        let code = if is_absent(&error) { Code::Unsupported } else { error.code };
        Err(Error { code, ..error }.context("the systemd cgroup manager needs systemd"))
    }

    fn open(path: &'static str, is_bus: bool, end: Instant) -> Result<Bus> {
        let doing = || format!("connecting to {path}");
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let socket = socket(AddressFamily::Unix, SockType::Stream, flags, None).context(doing)?;
        let address = UnixAddr::new(path).context(doing)?;
        let mut backoff = Backoff::until(end);
        loop {
            match connect(socket.as_raw_fd(), &address) {
                Ok(()) => break,
                // EAGAIN: the queue of the listening socket is full.
                Err(Errno::EAGAIN | Errno::EINTR) if backoff.pause() => {}
                Err(errno) => return Err(errno).context(doing),
            }
        }
        let deadline = Deadline::after(end.saturating_duration_since(Instant::now()));
        let mut bus = Bus { socket, path, serial: 0, deadline, signals: Vec::new() };
        bus.authenticate()?;
        if is_bus {
            bus.call(HELLO, &[])?;
            let rule = "type='signal',interface='org.freedesktop.systemd1.Manager',member='JobRemoved'";
            bus.call(Method { member: "AddMatch", ..HELLO }, &[Argument::Text(rule)])?;
        }
        Ok(bus)
    }

    /// Authenticates with the caller's uid, which the kernel passes to the peer (D-Bus specification, "EXTERNAL").
    fn authenticate(&mut self) -> Result<()> {
        let uid = nix::unistd::Uid::effective().to_string();
        let hex: String = uid.bytes().map(|byte| format!("{byte:02x}")).collect();
        self.send(format!("\0AUTH EXTERNAL {hex}\r\n").as_bytes())?;
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") && line.len() < 1024 {
            let mut byte = [0];
            self.receive(&mut byte)?;
            line.push(byte[0]);
        }
        if !line.starts_with(b"OK ") {
            let answer = String::from_utf8_lossy(&line).trim_end().to_owned();
            return Err(Error::new(Code::System, format!("{} rejected the authentication: {answer:?}", self.path)));
        }
        self.send(b"BEGIN\r\n")
    }

    fn wait(&self, events: PollFlags) -> Result<()> {
        let doing = || format!("waiting for {}", self.path);
        if self.deadline.poll([(self.socket.as_fd(), events)]).context(doing)?[0].is_empty() {
            Err(self.late())
        } else {
            Ok(())
        }
    }

    fn late(&self) -> Error {
        Error::new(Code::Timeout, format!("systemd did not answer in time ({})", self.path))
    }

    fn send(&self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            match sendmsg::<()>(self.socket.as_raw_fd(), &[IoSlice::new(bytes)], &[], MsgFlags::MSG_NOSIGNAL, None) {
                Ok(count) => bytes = &bytes[count..],
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => self.wait(PollFlags::POLLOUT)?,
                Err(errno) => return Err(errno).context(|| format!("writing to {}", self.path)),
            }
        }
        Ok(())
    }

    fn receive(&self, bytes: &mut [u8]) -> Result<()> {
        let mut filled = 0;
        while filled < bytes.len() {
            match recv(self.socket.as_raw_fd(), &mut bytes[filled..], MsgFlags::empty()) {
                Ok(0) => {
                    let error = Error::new(Code::System, format!("{} was closed by its peer", self.path));
                    return Err(error.detail("dbus_error", DISCONNECTED));
                }
                Ok(count) => filled += count,
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => self.wait(PollFlags::POLLIN)?,
                Err(errno) => return Err(errno).context(|| format!("reading from {}", self.path)),
            }
        }
        Ok(())
    }

    fn message(&self) -> Result<Message> {
        let nonsense = || Error::new(Code::System, format!("{} sent an invalid D-Bus message", self.path));
        if self.deadline.passed() {
            // Also if others' signals arrive without end.
            return Err(self.late());
        }
        let mut start = [0; 16];
        self.receive(&mut start)?;
        let mut bytes = vec![0; length(&start).ok_or_else(nonsense)?];
        bytes[..16].copy_from_slice(&start);
        self.receive(&mut bytes[16..])?;
        Message::parse(&bytes).ok_or_else(nonsense)
    }

    /// Calls a method and returns the strings of its reply.
    pub fn call(&mut self, method: Method, arguments: &[Argument]) -> Result<Vec<String>> {
        self.serial += 1;
        self.send(&call(self.serial, method, arguments))?;
        loop {
            let message = self.message()?;
            match message.kind {
                Kind::Signal => self.signals.push(message),
                Kind::Reply if message.reply_serial == self.serial => return Ok(message.texts()),
                Kind::Error if message.reply_serial == self.serial => {
                    let reason = message.texts().into_iter().next().unwrap_or_default();
                    let text = format!("systemd refused {}: {reason} ({})", method.member, message.error);
                    return Err(Error::new(Code::System, text).detail("dbus_error", message.error.as_str()));
                }
                _ => {}
            }
        }
    }

    /// Waits until systemd has finished a job, and returns its result ("done", "failed", "timeout" …).
    pub fn finished(&mut self, job: &str) -> Result<String> {
        loop {
            let message = match self.signals.pop() {
                Some(message) => message,
                None => self.message()?,
            };
            // id, job, unit, result
            let texts = message.texts();
            if message.kind == Kind::Signal && message.member == "JobRemoved" && texts.first().is_some_and(|j| j == job)
            {
                return Ok(texts.into_iter().nth(2).unwrap_or_default());
            }
        }
    }
}
