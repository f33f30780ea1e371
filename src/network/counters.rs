//! What links have carried.

use std::os::fd::BorrowedFd;

use super::Journal;
use super::link::{self, Counters, Link, find_link};
use super::netlink::Socket;
use super::{namespace, veth};
use crate::deadline::Deadline;
use crate::error::Result;
use crate::spec::networks::Mac;

/// An interface and its counters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Its name in its network namespace.
    pub name: String,
    /// Whether it is set up (IFF_UP).
    pub up: bool,
    /// Its hardware address; None for one that is not of Ethernet.
    pub mac: Option<Mac>,
    /// The largest packet that it carries, in bytes.
    pub mtu: u32,
    /// What it has carried.
    pub counters: Counters,
}

impl From<Link> for Interface {
    fn from(link: Link) -> Interface {
        let Link { name, up, mac, mtu, counters, .. } = link;
        Interface { name, up, mac, mtu, counters }
    }
}

impl Counters {
    /// As the other end of a pair sees it.
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

/// Interfaces of the calling thread's namespace, by name. One that does not exist is left out.
pub fn of_host(names: &[&str]) -> Result<Vec<Interface>> {
    let mut host = Socket::host()?;
    let mut found = Vec::new();
    for name in names {
        found.extend(find_link(&mut host, name)?.map(Interface::from));
    }
    Ok(found)
}

/// The host's ends of a container's pairs; None for one that is gone.
pub(crate) fn of_pairs(journal: &Journal) -> Result<Vec<Option<Interface>>> {
    let mut host = Socket::host()?;
    journal.pairs.iter().map(|record| Ok(veth::ours(&mut host, record)?.map(Interface::from))).collect()
}

/// Every interface of a network namespace.
pub(crate) fn inside(namespace: BorrowedFd, deadline: Deadline) -> Result<Vec<Interface>> {
    let mut socket = namespace::socket(namespace, deadline)?;
    Ok(link::links(&mut socket)?.into_iter().map(Interface::from).collect())
}
