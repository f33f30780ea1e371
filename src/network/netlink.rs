//! Synchronous rtnetlink(7): sends one request at a time, and reads the kernel's answer to it.
//!
//! netlink-packet-route encodes the requests. Of answers, only the needed attributes are decoded: an unknown kind of
//! link, or an attribute that a newer kernel has extended, must not prevent a container from being created.

use std::os::fd::{AsFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd};
use std::time::Duration;

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload, NlasIterator,
};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_sys::protocols::NETLINK_ROUTE;
use nix::errno::Errno;
use nix::poll::PollFlags;

use crate::deadline::Deadline;
use crate::error::{Code, Error, Result, reason};

/// The kernel answers within the system call; this timeout only keeps a defect from blocking the caller forever.
const REPLY_TIMEOUT: Duration = Duration::from_secs(30);
/// The kernel's datagrams have at most 32 KiB unless the receiver asks for more.
const BUFFER: usize = 64 << 10;
const HEADER: usize = 16;
const DUMP_INTERRUPTED: u16 = 0x10;
const TYPE_ERROR: u16 = 2;
const TYPE_DONE: u16 = 3;

/// A refusal by the kernel: the errno, and the message of its extended acknowledgement if there was one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetlinkError {
    pub errno: Errno,
    pub words: Option<String>,
}

impl From<Errno> for NetlinkError {
    fn from(errno: Errno) -> NetlinkError {
        NetlinkError { errno, words: None }
    }
}

impl NetlinkError {
    /// Converts the refusal to an error. `doing` names the operation and its object.
    pub fn into_error(self, doing: impl std::fmt::Display) -> Error {
        match self.words {
            None => Error::system(self.errno, doing),
            Some(words) => Error::new(Code::System, format!("{doing}: {} ({words})", reason(self.errno)))
                .with_errno(self.errno)
                .detail("kernel", words),
        }
    }
}

/// Adds `result.context(|| …)` to answers of the kernel.
pub trait NetlinkResultExt<T> {
    fn context<D: std::fmt::Display>(self, what: impl FnOnce() -> D) -> Result<T>;
}

impl<T> NetlinkResultExt<T> for std::result::Result<T, NetlinkError> {
    fn context<D: std::fmt::Display>(self, what: impl FnOnce() -> D) -> Result<T> {
        self.map_err(|netlink_error| netlink_error.into_error(what()))
    }
}

/// A netlink socket in some network namespace.
pub struct Socket {
    socket: netlink_sys::Socket,
    sequence: u32,
}

impl Socket {
    /// Opens a route socket in the network namespace of the calling thread.
    pub fn host() -> Result<Socket> {
        let opened = netlink_sys::Socket::new(NETLINK_ROUTE);
        Socket::prepared(opened.map_err(|error| Error::io(&error, "opening a route socket"))?)
    }

    /// Wraps a socket that was opened in another namespace, and stays in that namespace.
    pub fn of(fd: OwnedFd) -> Result<Socket> {
        // SAFETY: the descriptor is owned, and its ownership is passed on.
        Socket::prepared(unsafe { netlink_sys::Socket::from_raw_fd(fd.into_raw_fd()) })
    }

    fn prepared(socket: netlink_sys::Socket) -> Result<Socket> {
        // Ask for the kernel's error messages, without a copy of the request before them.
        let prepared = socket.set_ext_ack(true).and_then(|()| socket.set_cap_ack(true));
        prepared.map_err(|error| Error::io(&error, "setting options of a route socket"))?;
        Ok(Socket { socket, sequence: 0 })
    }

    /// Sends a request that changes something, and waits for its acknowledgement.
    pub fn change(&mut self, request: RouteNetlinkMessage, flags: u16) -> std::result::Result<(), NetlinkError> {
        self.exchange(request, flags | NLM_F_ACK).map(drop)
    }

    /// Requests one object: returns what the kernel sends before the acknowledgement.
    pub fn get(&mut self, request: RouteNetlinkMessage) -> std::result::Result<Vec<u8>, NetlinkError> {
        let answers = self.exchange(request, NLM_F_ACK)?;
        answers.into_iter().next().ok_or(NetlinkError::from(Errno::EPROTO))
    }

    /// Requests all objects. A list that changed while it was read (NLM_F_DUMP_INTR) is read again, so that it shows
    /// one moment.
    pub fn dump(&mut self, request: RouteNetlinkMessage) -> std::result::Result<Vec<Vec<u8>>, NetlinkError> {
        let mut tries = 64;
        loop {
            match self.exchange(request.clone(), NLM_F_DUMP) {
                Err(netlink_error) if netlink_error.errno == Errno::EINTR && tries > 0 => tries -= 1,
                other => return other,
            }
        }
    }

    fn exchange(
        &mut self,
        request: RouteNetlinkMessage,
        flags: u16,
    ) -> std::result::Result<Vec<Vec<u8>>, NetlinkError> {
        let mut header = NetlinkHeader::default();
        header.flags = NLM_F_REQUEST | flags;
        header.sequence_number = self.next();
        let mut message = NetlinkMessage::new(header, NetlinkPayload::InnerMessage(request));
        message.finalize();
        let mut bytes = vec![0; message.buffer_len()];
        message.serialize(&mut bytes);
        self.answers_to(&bytes)
    }

    /// Returns the sequence number for the next request.
    pub fn next(&mut self) -> u32 {
        self.sequence += 1;
        self.sequence
    }

    /// Sends a request with the sequence number last returned by [`Socket::next`], and collects the messages of its
    /// answer.
    pub fn answers_to(&mut self, bytes: &[u8]) -> std::result::Result<Vec<Vec<u8>>, NetlinkError> {
        retried(|| self.socket.send(bytes, 0))?;

        let mut answers = Answers { sequence: self.sequence, payloads: Vec::new(), interrupted: false };
        let deadline = Deadline::after(REPLY_TIMEOUT);
        loop {
            let ready = deadline.poll([(self.as_fd(), PollFlags::POLLIN)])?;
            if ready[0].is_empty() {
                return Err(Errno::ETIMEDOUT.into());
            }
            let mut buffer = vec![0; BUFFER];
            let len = retried(|| self.socket.recv(&mut buffer.as_mut_slice(), libc::MSG_TRUNC))?;
            let datagram = buffer.get(..len).ok_or(NetlinkError::from(Errno::EMSGSIZE))?;
            if answers.take(datagram)? {
                return Ok(answers.payloads);
            }
        }
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn retried<T>(mut call: impl FnMut() -> std::io::Result<T>) -> nix::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO))),
            Ok(value) => return Ok(value),
        }
    }
}

/// The messages received for one request.
struct Answers {
    sequence: u32,
    payloads: Vec<Vec<u8>>,
    interrupted: bool,
}

impl Answers {
    /// Adds the messages of a datagram. Returns true when the answer is complete.
    fn take(&mut self, datagram: &[u8]) -> std::result::Result<bool, NetlinkError> {
        let mut rest = datagram;
        while rest.len() >= HEADER {
            let len = u32_at(rest, 0) as usize;
            let message = rest.get(HEADER..len).ok_or(NetlinkError::from(Errno::EPROTO))?;
            let (kind, flags, sequence) = (u16_at(rest, 4), u16_at(rest, 6), u32_at(rest, 8));
            rest = rest.get(len.next_multiple_of(4)..).unwrap_or_default();
            if sequence != self.sequence {
                continue; // the late answer to a request that was given up
            }
            self.interrupted |= flags & DUMP_INTERRUPTED != 0;
            match kind {
                TYPE_ERROR | TYPE_DONE => return self.end(kind, message),
                _ => self.payloads.push(message.to_vec()),
            }
        }
        Ok(false)
    }

    fn end(&self, kind: u16, message: &[u8]) -> std::result::Result<bool, NetlinkError> {
        let code = if message.len() >= 4 { u32_at(message, 0) as i32 } else { 0 };
        if code != 0 {
            // After the errno, an error has the header of the request, then attributes.
            let attributes = if kind == TYPE_ERROR { 4 + HEADER } else { 4 };
            let words = message.get(attributes..).and_then(|bytes| find(bytes, 1)).map(text);
            return Err(NetlinkError { errno: Errno::from_raw(-code), words });
        }
        if self.interrupted { Err(Errno::EINTR.into()) } else { Ok(true) }
    }
}

pub fn u16_at(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..at + 2).map_or(0, |bytes| u16::from_ne_bytes([bytes[0], bytes[1]]))
}

pub fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).map_or(0, |bytes| u32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
}

pub fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u32_pair(u32_at(bytes, at), u32_at(bytes, at + 4))
}

fn u32_pair(first: u32, second: u32) -> u64 {
    let mut bytes = [0; 8];
    bytes[..4].copy_from_slice(&first.to_ne_bytes());
    bytes[4..].copy_from_slice(&second.to_ne_bytes());
    u64::from_ne_bytes(bytes)
}

/// Returns the value of the first attribute of this type.
pub fn find(attributes: &[u8], kind: u16) -> Option<&[u8]> {
    each(attributes).find(|(found, _)| *found == kind).map(|(_, value)| value)
}

/// Iterates over types and values of attributes, up to the first malformed one.
pub fn each(attributes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    let sound = |attribute: std::result::Result<netlink_packet_core::NlaBuffer<_>, _>| attribute.ok();
    NlasIterator::new(attributes).map_while(sound).map(|attribute| {
        let inner: &[u8] = attribute.into_inner();
        let len = usize::from(u16_at(inner, 0));
        (u16_at(inner, 2) & 0x3fff, inner.get(4..len).unwrap_or_default())
    })
}

/// Converts a string of the kernel, without its NUL.
pub fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u16, flags: u16, sequence: u32, payload: &[u8]) -> Vec<u8> {
        let mut bytes = ((HEADER + payload.len()) as u32).to_ne_bytes().to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(flags.to_ne_bytes());
        bytes.extend(sequence.to_ne_bytes());
        bytes.extend([0; 4]);
        bytes.extend(payload);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    fn answers() -> Answers {
        Answers { sequence: 7, payloads: Vec::new(), interrupted: false }
    }

    #[test]
    fn messages_of_other_requests_are_skipped() {
        let mut answers = answers();
        let datagram = [message(16, 0, 6, b"late"), message(16, 0, 7, b"mine"), message(TYPE_DONE, 0, 7, &[0; 4])];
        assert_eq!(answers.take(&datagram.concat()), Ok(true));
        assert_eq!(answers.payloads, [b"mine"]);
    }

    #[test]
    fn a_refusal_has_the_kernels_words() {
        let mut payload = (-libc::EINVAL).to_ne_bytes().to_vec();
        payload.extend([0; HEADER]);
        payload.extend([11, 0, 1, 0]);
        payload.extend(b"no way\0\0");
        let netlink_error = answers().take(&message(TYPE_ERROR, 0, 7, &payload)).unwrap_err();
        assert_eq!(netlink_error, NetlinkError { errno: Errno::EINVAL, words: Some("no way".into()) });
        assert_eq!(netlink_error.into_error("doing it").message, "doing it: invalid argument (no way)");
    }

    #[test]
    fn a_list_that_changed_meanwhile_is_no_answer() {
        let mut answers = answers();
        assert_eq!(answers.take(&message(16, DUMP_INTERRUPTED, 7, b"")), Ok(false));
        assert_eq!(answers.take(&message(TYPE_DONE, 0, 7, &[0; 4])).unwrap_err().errno, Errno::EINTR);
    }

    #[test]
    fn invalid_input_is_refused_and_not_read_beyond_its_end() {
        assert_eq!(answers().take(&[255; 16]).unwrap_err().errno, Errno::EPROTO);
        assert_eq!(answers().take(&[0; 16]).unwrap_err().errno, Errno::EPROTO);
        assert_eq!(answers().take(&[0; 3]), Ok(false));
        assert_eq!(find(&[200, 0, 1, 0, 5], 1), None);
        assert_eq!(text(b"lo\0x"), "lo");
    }

    #[test]
    fn the_kernel_is_asked_and_answers() {
        use netlink_packet_route::link::LinkMessage;
        let mut socket = Socket::host().unwrap();
        let links = socket.dump(RouteNetlinkMessage::GetLink(LinkMessage::default())).unwrap();
        assert!(!links.is_empty());
        let none = socket.change(RouteNetlinkMessage::DelLink(LinkMessage::default()), 0);
        assert!(none.is_err());
    }
}
