//! Removes CRIU's network lock: the nftables tables whose names begin with "CRIU", in the container's network
//! namespace. CRIU drops the packets of connections with them during a dump; if it is killed they stay, and the
//! container has no network.

use std::os::fd::{AsFd, BorrowedFd};

use netlink_packet_core::{NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST};
use netlink_sys::protocols::NETLINK_NETFILTER;
use nix::errno::Errno;

use super::namespace;
use super::netlink::{NetlinkResultExt, Socket, find, text};
use crate::deadline::Deadline;
use crate::error::Result;

// From linux/netfilter/nfnetlink.h and nf_tables.h.
const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;
const SUBSYSTEM: u16 = 10;
const GET_TABLE: u16 = SUBSYSTEM << 8 | 1;
const DELETE_TABLE: u16 = SUBSYSTEM << 8 | 2;
const TABLE_NAME: u16 = 1;
const FAMILY_INET: u8 = 1;

/// Removes the tables that a killed CRIU has left in the network namespace of `pid`.
pub fn unlock(pid: i32, deadline: Deadline) -> Result<()> {
    let namespace = namespace::of_process(pid)?;
    remove_tables(namespace.as_fd(), deadline)
}

fn remove_tables(namespace: BorrowedFd, deadline: Deadline) -> Result<()> {
    let mut socket = match namespace::socket_of(namespace, NETLINK_NETFILTER, deadline) {
        // A kernel without netfilter has no tables.
        Err(error) if error.errno == Some(Errno::EPROTONOSUPPORT) => return Ok(()),
        other => other?,
    };
    for name in tables(&mut socket)? {
        remove(&mut socket, &name).context(|| format!("removing CRIU's packet filter {name:?}"))?;
    }
    Ok(())
}

fn tables(socket: &mut Socket) -> Result<Vec<String>> {
    let number = socket.next();
    let request = message(GET_TABLE, NLM_F_REQUEST | NLM_F_DUMP, number, FAMILY_INET, 0, &[]);
    let found = match socket.answers_to(&request) {
        // A kernel without nftables has no tables either.
        Err(netlink_error) if matches!(netlink_error.errno, Errno::EINVAL | Errno::EOPNOTSUPP) => return Ok(Vec::new()),
        other => other.context(|| "listing packet filters")?,
    };
    // Each answer begins with the header of nfnetlink.
    let names = found.iter().filter_map(|table| Some(text(find(table.get(4..)?, TABLE_NAME)?)));
    Ok(names.filter(|name| name.starts_with("CRIU")).collect())
}

fn remove(socket: &mut Socket, name: &str) -> std::result::Result<(), super::netlink::NetlinkError> {
    let mut attribute = ((4 + name.len() + 1) as u16).to_ne_bytes().to_vec();
    attribute.extend(TABLE_NAME.to_ne_bytes());
    attribute.extend(name.as_bytes());
    attribute.push(0);
    attribute.resize(attribute.len().next_multiple_of(4), 0);
    let number = socket.next();
    let batch = [
        message(BATCH_BEGIN, NLM_F_REQUEST, 0, 0, SUBSYSTEM, &[]),
        message(DELETE_TABLE, NLM_F_REQUEST | NLM_F_ACK, number, FAMILY_INET, 0, &attribute),
        message(BATCH_END, NLM_F_REQUEST, 0, 0, SUBSYSTEM, &[]),
    ];
    socket.answers_to(&batch.concat()).map(drop)
}

/// Encodes a message of nfnetlink: the header of netlink, the family, version 0, and the subsystem in network byte
/// order.
fn message(kind: u16, flags: u16, number: u32, family: u8, subsystem: u16, attributes: &[u8]) -> Vec<u8> {
    let mut bytes = ((20 + attributes.len()) as u32).to_ne_bytes().to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(flags.to_ne_bytes());
    bytes.extend(number.to_ne_bytes());
    bytes.extend([0; 4]);
    bytes.extend([family, 0]);
    bytes.extend(subsystem.to_be_bytes());
    bytes.extend(attributes);
    bytes
}
