//! Reads the packet and byte counters of network interfaces.

use std::os::fd::BorrowedFd;

use super::Journal;
use super::link::{self, Counters, Link, find_link};
use super::netlink::Socket;
use super::{namespace, veth};
use crate::deadline::Deadline;
use crate::error::Result;
use crate::spec::networks::Mac;

/// A network interface and its counters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Its name in its network namespace.
    pub name: String,
    /// Whether the interface is up (IFF_UP).
    pub up: bool,
    /// Its hardware address; None if it is not an Ethernet interface.
    pub mac: Option<Mac>,
    /// Its MTU: the largest packet that it carries, in bytes.
    pub mtu: u32,
    /// Its counters.
    pub counters: Counters,
}

impl From<Link> for Interface {
    fn from(link: Link) -> Interface {
        let Link { name, up, mac, mtu, counters, .. } = link;
        Interface { name, up, mac, mtu, counters }
    }
}

impl Counters {
    /// Swaps received and sent: the counters as the other end of a veth pair sees them.
    pub(crate) fn seen_from_the_other_end(self) -> Counters {
        Counters {
            received_packets: self.sent_packets,
            sent_packets: self.received_packets,
            received_bytes: self.sent_bytes,
            sent_bytes: self.received_bytes,
            received_errors: self.sent_errors,
            sent_errors: self.received_errors,
            received_dropped: self.sent_dropped,
            sent_dropped: self.received_dropped,
        }
    }
}

/// Returns the interfaces with these names, in the calling thread's network namespace. Names that do not exist are left
/// out.
pub fn of_host(names: &[&str]) -> Result<Vec<Interface>> {
    let mut host = Socket::host()?;
    let mut found = Vec::new();
    for name in names {
        found.extend(find_link(&mut host, name)?.map(Interface::from));
    }
    Ok(found)
}

/// Returns the host's ends of a container's veth pairs; None for one that no longer exists.
pub(crate) fn of_pairs(journal: &Journal) -> Result<Vec<Option<Interface>>> {
    let mut host = Socket::host()?;
    journal.pairs.iter().map(|record| Ok(veth::host_end(&mut host, record)?.map(Interface::from))).collect()
}

/// Returns all interfaces of a network namespace.
pub(crate) fn inside(namespace: BorrowedFd, deadline: Deadline) -> Result<Vec<Interface>> {
    let mut socket = namespace::socket(namespace, deadline)?;
    Ok(link::links(&mut socket)?.into_iter().map(Interface::from).collect())
}
