//! Synchronous rtnetlink(7): sends one request at a time, and reads the kernel's answer to it.
//!
//! netlink-packet-route encodes the requests. Of answers, only the needed attributes are decoded: an unknown kind of
//! link, or an attribute that a newer kernel has extended, must not prevent a container from being created.
//!
//! Processes of a container can send to the sockets in its network namespace. So a socket is connected to the kernel
//! (the kernel then refuses what others send), the sender and the sequence number of each message are checked, and
//! numbers begin at random. A container also decides how many interfaces there are, so an answer has a largest size.

use std::io::IoSliceMut;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd};
use std::time::Duration;

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload, NlasIterator,
};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_sys::SocketAddr;
use netlink_sys::protocols::NETLINK_ROUTE;
use nix::errno::Errno;
use nix::poll::PollFlags;
use nix::sys::socket::{MsgFlags, NetlinkAddr, recvmsg};

use crate::deadline::Deadline;
use crate::error::{Code, Error, Result, reason};
use crate::sys::random::random;

/// The kernel answers within the system call; this timeout only keeps a defect from blocking the caller forever.
const REPLY_TIMEOUT: Duration = Duration::from_secs(30);
/// The kernel's datagrams have at most 32 KiB unless the receiver asks for more.
const BUFFER: usize = 64 << 10;
/// The largest sum of an answer: 20,000 interfaces or more.
const MAX_ANSWER: usize = 32 << 20;
/// The port of the kernel (netlink(7)).
const KERNEL: u32 = 0;
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
        prepared.map_err(|error| Error::io(&error, "setting options of a netlink socket"))?;
        let connected = socket.connect(&SocketAddr::new(KERNEL, 0));
        connected.map_err(|error| Error::io(&error, "connecting a netlink socket to the kernel"))?;
        Ok(Socket { socket, sequence: u32::from_ne_bytes(random()?) })
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
        let deadline = Deadline::after(REPLY_TIMEOUT);
        loop {
            match self.exchange(request.clone(), NLM_F_DUMP) {
                Err(netlink_error) if netlink_error.errno == Errno::EINTR && tries > 0 && !deadline.passed() => {
                    tries -= 1;
                }
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
        // 0 is the number of messages that the kernel sends unasked, and of those that begin and end a batch.
        self.sequence = self.sequence.checked_add(1).unwrap_or(1);
        self.sequence
    }

    /// Sends a request with the sequence number last returned by [`Socket::next`], and collects the messages of its
    /// answer.
    pub fn answers_to(&mut self, bytes: &[u8]) -> std::result::Result<Vec<Vec<u8>>, NetlinkError> {
        retried(|| self.socket.send(bytes, 0))?;

        let mut answers = Answers::to(self.sequence);
        let deadline = Deadline::after(REPLY_TIMEOUT);
        let mut buffer = vec![0; BUFFER];
        loop {
            let ready = deadline.poll([(self.as_fd(), PollFlags::POLLIN)])?;
            if ready[0].is_empty() {
                return Err(Errno::ETIMEDOUT.into());
            }
            let Some((len, sender)) = self.receive(&mut buffer)? else { continue };
            // Before a socket is connected, others can send to it.
            if sender == KERNEL && answers.take(&buffer[..len])? {
                return Ok(answers.payloads);
            }
        }
    }

    /// Receives a datagram, and returns its length and the port of its sender; None if there is none any more.
    fn receive(&self, buffer: &mut [u8]) -> std::result::Result<Option<(usize, u32)>, NetlinkError> {
        let mut parts = [IoSliceMut::new(buffer)];
        match recvmsg::<NetlinkAddr>(self.socket.as_raw_fd(), &mut parts, None, MsgFlags::MSG_DONTWAIT) {
            Err(Errno::EINTR | Errno::EAGAIN) => Ok(None),
            Err(errno) => Err(errno.into()),
            Ok(received) if received.flags.contains(MsgFlags::MSG_TRUNC) => Err(Errno::EMSGSIZE.into()),
            Ok(received) => match received.address {
                Some(sender) => Ok(Some((received.bytes, sender.pid()))),
                None => Err(Errno::EPROTO.into()),
            },
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
pub struct Answers {
    sequence: u32,
    pub payloads: Vec<Vec<u8>>,
    /// How many bytes of payload may follow.
    room: usize,
    interrupted: bool,
}

impl Answers {
    pub fn to(sequence: u32) -> Answers {
        Answers { sequence, payloads: Vec::new(), room: MAX_ANSWER, interrupted: false }
    }

    /// Adds the messages of a datagram. Returns true when the answer is complete.
    pub fn take(&mut self, datagram: &[u8]) -> std::result::Result<bool, NetlinkError> {
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
                _ => self.keep(message)?,
            }
        }
        Ok(false)
    }

    fn keep(&mut self, message: &[u8]) -> std::result::Result<(), NetlinkError> {
        // A message without a payload takes memory, too.
        self.room = self.room.checked_sub(message.len() + HEADER).ok_or_else(|| NetlinkError {
            errno: Errno::EMSGSIZE,
            words: Some(format!("the kernel's answer has more than {} MiB", MAX_ANSWER >> 20)),
        })?;
        self.payloads.push(message.to_vec());
        Ok(())
    }

    fn end(&self, kind: u16, message: &[u8]) -> std::result::Result<bool, NetlinkError> {
        let code = if message.len() >= 4 { u32_at(message, 0) as i32 } else { 0 };
        if code != 0 {
            // After the errno, an error has the header of the request, then attributes.
            let attributes = if kind == TYPE_ERROR { 4 + HEADER } else { 4 };
            let words = message.get(attributes..).and_then(|bytes| find(bytes, 1)).map(text);
            return Err(NetlinkError { errno: Errno::from_raw(code.wrapping_neg()), words });
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
        Answers::to(7)
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
        assert!(answers().take(&message(TYPE_ERROR, 0, 7, &i32::MIN.to_ne_bytes())).is_err(), "no errno");
        assert_eq!(find(&[200, 0, 1, 0, 5], 1), None);
        assert_eq!(text(b"lo\0x"), "lo");
    }

    fn links() -> RouteNetlinkMessage {
        RouteNetlinkMessage::GetLink(netlink_packet_route::link::LinkMessage::default())
    }

    fn port(socket: &netlink_sys::Socket) -> SocketAddr {
        let mut address = SocketAddr::new(0, 0);
        socket.get_address(&mut address).unwrap();
        address
    }

    #[test]
    fn nobody_but_the_kernel_can_send_to_a_socket() {
        let socket = Socket::host().unwrap();
        let other = netlink_sys::Socket::new(NETLINK_ROUTE).unwrap();
        let sent = other.send_to(&message(TYPE_DONE, 0, 1, &[0; 4]), &port(&socket.socket), 0);
        assert_eq!(sent.unwrap_err().raw_os_error(), Some(libc::ECONNREFUSED));
    }

    #[test]
    fn what_others_sent_before_the_socket_was_connected_is_no_answer() {
        let mut early = netlink_sys::Socket::new(NETLINK_ROUTE).unwrap();
        let address = early.bind_auto().unwrap();
        let other = netlink_sys::Socket::new(NETLINK_ROUTE).unwrap();
        other.send_to(&message(TYPE_DONE, 0, 42, &[0; 4]), &address, 0).unwrap();
        let mut socket = Socket::prepared(early).unwrap();
        socket.sequence = 41;
        assert!(!socket.dump(links()).unwrap().is_empty());
    }

    #[test]
    fn sequence_numbers_cannot_be_guessed() {
        let mut numbers = [Socket::host().unwrap(), Socket::host().unwrap()].map(|mut socket| socket.next());
        assert_ne!(numbers[0], numbers[1]);
        assert!(numbers.iter_mut().all(|number| *number > 1000), "{numbers:?}");
        let mut last = Socket { sequence: u32::MAX, ..Socket::host().unwrap() };
        assert_eq!(last.next(), 1);
    }

    #[test]
    fn an_answer_without_an_end_is_refused() {
        let mut answers = answers();
        let datagram = message(16, 0, 7, &[0; 60 << 10]);
        let most = MAX_ANSWER / (60 << 10);
        let refused = (0..=most).find_map(|_| answers.take(&datagram).err()).unwrap();
        assert_eq!(refused.errno, Errno::EMSGSIZE);
        assert!(answers.payloads.iter().map(Vec::len).sum::<usize>() <= MAX_ANSWER);
    }

    #[test]
    fn the_kernel_is_asked_and_answers() {
        use netlink_packet_route::link::LinkMessage;
        let mut socket = Socket::host().unwrap();
        assert!(!socket.dump(links()).unwrap().is_empty());
        let none = socket.change(RouteNetlinkMessage::DelLink(LinkMessage::default()), 0);
        assert!(none.is_err());
    }
}
