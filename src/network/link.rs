//! Finds, creates, changes and removes links, in the network namespace of a socket.

use std::os::fd::{AsRawFd, BorrowedFd};

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::RouteNetlinkMessage as Message;
use netlink_packet_route::link::{
    InfoBridgePort, InfoData, InfoKind, InfoPortData, InfoPortKind, InfoVeth, LinkAttribute, LinkFlags, LinkInfo,
    LinkMessage,
};
use nix::errno::Errno;

use super::netlink::{NetlinkResultExt, Socket, each, find, text, u32_at, u64_at};
use crate::error::Result;
use crate::spec::networks::Mac;

/// Counters of a link, from its own point of view (rtnetlink(7), IFLA_STATS64).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Packets received.
    pub received_packets: u64,
    /// Packets sent.
    pub sent_packets: u64,
    /// Bytes received.
    pub received_bytes: u64,
    /// Bytes sent.
    pub sent_bytes: u64,
    /// Packets received damaged.
    pub received_errors: u64,
    /// Packets that could not be sent.
    pub sent_errors: u64,
    /// Packets received and dropped, for lack of memory or because no protocol wanted them.
    pub received_dropped: u64,
    /// Packets that were dropped before they were sent.
    pub sent_dropped: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Link {
    pub index: u32,
    pub name: String,
    pub up: bool,
    pub loopback: bool,
    pub mac: Option<Mac>,
    pub mtu: u32,
    /// "veth", "bridge" and so on; None for hardware.
    pub kind: Option<String>,
    /// The index of the bridge that the link is a port of.
    pub controller: Option<u32>,
    pub counters: Counters,
}

// From linux/if_link.h.
const IFLA_ADDRESS: u16 = 1;
const IFLA_IFNAME: u16 = 3;
const IFLA_MTU: u16 = 4;
const IFLA_MASTER: u16 = 10;
const IFLA_LINKINFO: u16 = 18;
const IFLA_STATS64: u16 = 23;
const IFLA_INFO_KIND: u16 = 1;
/// The size of struct ifinfomsg.
const HEADER: usize = 16;

impl Link {
    pub fn parse(message: &[u8]) -> Link {
        let flags = u32_at(message, 8);
        let mut link = Link {
            index: u32_at(message, 4),
            up: flags & libc::IFF_UP as u32 != 0,
            loopback: flags & libc::IFF_LOOPBACK as u32 != 0,
            ..Link::default()
        };
        for (kind, value) in each(message.get(HEADER..).unwrap_or_default()) {
            match kind {
                IFLA_ADDRESS => link.mac = value.try_into().ok().map(Mac),
                IFLA_IFNAME => link.name = text(value),
                IFLA_MTU => link.mtu = u32_at(value, 0),
                IFLA_MASTER => link.controller = Some(u32_at(value, 0)),
                IFLA_LINKINFO => link.kind = find(value, IFLA_INFO_KIND).map(text),
                IFLA_STATS64 => {
                    let number = |index: usize| u64_at(value, index * 8);
                    link.counters = Counters {
                        received_packets: number(0),
                        sent_packets: number(1),
                        received_bytes: number(2),
                        sent_bytes: number(3),
                        received_errors: number(4),
                        sent_errors: number(5),
                        received_dropped: number(6),
                        sent_dropped: number(7),
                    };
                }
                _ => {}
            }
        }
        link
    }

    pub fn is_bridge(&self) -> bool {
        self.kind.as_deref() == Some("bridge")
    }

    pub fn is_veth(&self) -> bool {
        self.kind.as_deref() == Some("veth")
    }
}

/// Returns the link of this name, if it exists.
pub fn find_link(socket: &mut Socket, name: &str) -> Result<Option<Link>> {
    let mut request = LinkMessage::default();
    request.attributes.push(LinkAttribute::IfName(name.to_owned()));
    match socket.get(Message::GetLink(request)) {
        Ok(message) => Ok(Some(Link::parse(&message))),
        Err(netlink_error) if netlink_error.errno == Errno::ENODEV => Ok(None),
        Err(netlink_error) => Err(netlink_error.into_error(format!("looking for the interface {name}"))),
    }
}

pub fn links(socket: &mut Socket) -> Result<Vec<Link>> {
    let answers = socket.dump(Message::GetLink(LinkMessage::default())).context(|| "listing the interfaces")?;
    Ok(answers.iter().map(|message| Link::parse(message)).collect())
}

/// A veth pair to create, with one end in this namespace and one in another.
pub struct Pair<'a> {
    pub host_name: &'a str,
    pub host_mac: Mac,
    pub bridge: Option<u32>,
    pub name: &'a str,
    pub mac: Option<Mac>,
    pub namespace: BorrowedFd<'a>,
    pub mtu: Option<u32>,
    pub queue_length: Option<u32>,
}

/// Creates the pair: the host's end up and a port of its bridge, the other end down.
pub fn make_pair(socket: &mut Socket, pair: &Pair) -> std::result::Result<(), super::netlink::NetlinkError> {
    let common = || {
        let mtu = pair.mtu.map(LinkAttribute::Mtu);
        mtu.into_iter().chain(pair.queue_length.map(LinkAttribute::TxQueueLen))
    };
    let mut inside = LinkMessage::default();
    inside.attributes.push(LinkAttribute::IfName(pair.name.to_owned()));
    inside.attributes.push(LinkAttribute::NetNsFd(pair.namespace.as_raw_fd()));
    inside.attributes.extend(pair.mac.map(|mac| LinkAttribute::Address(mac.0.to_vec())));
    inside.attributes.extend(common());

    let mut host = LinkMessage::default();
    host.header.flags = LinkFlags::Up;
    host.header.change_mask = LinkFlags::Up;
    host.attributes.push(LinkAttribute::IfName(pair.host_name.to_owned()));
    host.attributes.push(LinkAttribute::Address(pair.host_mac.0.to_vec()));
    host.attributes.extend(common());
    host.attributes.extend(pair.bridge.map(LinkAttribute::Controller));
    host.attributes.push(LinkAttribute::LinkInfo(vec![
        LinkInfo::Kind(InfoKind::Veth),
        LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(inside))),
    ]));
    socket.change(Message::NewLink(host), NLM_F_CREATE | NLM_F_EXCL)
}

fn of_index(index: u32) -> LinkMessage {
    let mut message = LinkMessage::default();
    message.header.index = index;
    message
}

pub fn set_up(socket: &mut Socket, link: &Link, up: bool) -> Result<()> {
    let mut message = of_index(link.index);
    message.header.flags = if up { LinkFlags::Up } else { LinkFlags::empty() };
    message.header.change_mask = LinkFlags::Up;
    let state = if up { "up" } else { "down" };
    socket.change(Message::SetLink(message), 0).context(|| format!("bringing the interface {} {state}", link.name))
}

pub fn set_mac(socket: &mut Socket, link: &Link, mac: Mac) -> Result<()> {
    let mut message = of_index(link.index);
    message.attributes.push(LinkAttribute::Address(mac.0.to_vec()));
    socket
        .change(Message::SetLink(message), 0)
        .context(|| format!("setting the hardware address of the interface {} to {mac}", link.name))
}

/// Makes the link a port of the bridge of this index; index 0 removes it from its bridge.
pub fn set_bridge(socket: &mut Socket, link: &Link, bridge: u32) -> Result<()> {
    let mut message = of_index(link.index);
    message.attributes.push(LinkAttribute::Controller(bridge));
    let act = if bridge == 0 { "removing the interface from its bridge" } else { "adding the interface to a bridge" };
    socket.change(Message::SetLink(message), 0).context(|| format!("{act}: {}", link.name))
}

/// Lets the bridge send frames back through the port that they arrived at.
pub fn set_hairpin(socket: &mut Socket, link: &Link) -> Result<()> {
    let mut message = of_index(link.index);
    message.attributes.push(LinkAttribute::LinkInfo(vec![
        LinkInfo::PortKind(InfoPortKind::Bridge),
        LinkInfo::PortData(InfoPortData::BridgePort(vec![InfoBridgePort::HairpinMode(true)])),
    ]));
    socket.change(Message::NewLink(message), 0).context(|| format!("setting hairpin mode on {}", link.name))
}

/// Removes a link; success if it no longer exists.
pub fn delete(socket: &mut Socket, link: &Link) -> Result<()> {
    match socket.change(Message::DelLink(of_index(link.index)), 0) {
        Err(netlink_error) if netlink_error.errno != Errno::ENODEV => {
            Err(netlink_error.into_error(format!("removing the interface {}", link.name)))
        }
        _ => Ok(()),
    }
}

/// Moves a link into another network namespace, and renames it to this name.
pub fn move_link(
    socket: &mut Socket,
    link: &Link,
    namespace: BorrowedFd,
    name: &str,
) -> std::result::Result<(), super::netlink::NetlinkError> {
    let mut message = of_index(link.index);
    message.attributes.push(LinkAttribute::NetNsFd(namespace.as_raw_fd()));
    message.attributes.push(LinkAttribute::IfName(name.to_owned()));
    socket.change(Message::SetLink(message), 0)
}
