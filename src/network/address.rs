//! Reads and adds addresses and routes, in the network namespace of a socket.

use std::net::{IpAddr, Ipv4Addr};

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::address::{AddressAttribute, AddressFlags, AddressHeaderFlags, AddressMessage, AddressScope};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage as Message};
use nix::errno::Errno;
use serde::{Deserialize, Serialize};

use super::netlink::{NetlinkResultExt, Socket, each, u32_at};
use crate::error::Result;
use crate::spec::networks::Prefix;

/// An address of a link, with the settings that are needed to add it again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    pub local: IpAddr,
    pub prefix: u8,
    /// The other end of a point-to-point link.
    #[serde(default)]
    pub peer: Option<IpAddr>,
    #[serde(default)]
    pub broadcast: Option<Ipv4Addr>,
    pub scope: u8,
    /// The IFA_F_… flags that are settings, not states.
    pub flags: u32,
}

// From linux/if_addr.h.
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const IFA_BROADCAST: u16 = 4;
const IFA_FLAGS: u16 = 8;
const IFA_F_PERMANENT: u32 = 0x80;
const IFA_F_NOPREFIXROUTE: u32 = 0x200;
/// The size of struct ifaddrmsg.
const HEADER: usize = 8;

/// From linux/rtnetlink.h.
const RT_SCOPE_UNIVERSE: u8 = 0;

impl Address {
    /// Returns whether the scope of the address is global. The specification wants these moved with a device; addresses
    /// of other scopes are meaningful on this host alone.
    pub fn is_global(&self) -> bool {
        self.scope == RT_SCOPE_UNIVERSE
    }
}

impl From<&Prefix> for Address {
    fn from(prefix: &Prefix) -> Address {
        let broadcast = match prefix.address {
            IpAddr::V4(address) if prefix.length < 31 => {
                Some(Ipv4Addr::from_bits(address.to_bits() | (u32::MAX >> prefix.length)))
            }
            _ => None,
        };
        Address { local: prefix.address, prefix: prefix.length, peer: None, broadcast, scope: 0, flags: 0 }
    }
}

/// Returns the addresses that were configured on a link: without those that expire, and without those that the kernel
/// adds itself.
pub fn addresses(socket: &mut Socket, index: u32) -> Result<Vec<Address>> {
    let answers = socket.dump(Message::GetAddress(AddressMessage::default())).context(|| "listing the addresses")?;
    let mine = answers.iter().filter(|message| u32_at(message, 4) == index);
    Ok(mine.filter_map(|message| parse(message)).collect())
}

pub fn parse(message: &[u8]) -> Option<Address> {
    let (mut flags, mut address, mut local, mut broadcast) = (u32::from(*message.get(2)?), None, None, None);
    for (kind, value) in each(message.get(HEADER..)?) {
        match kind {
            IFA_ADDRESS => address = ip(value),
            IFA_LOCAL => local = ip(value),
            IFA_BROADCAST => broadcast = ip(value),
            IFA_FLAGS => flags = u32_at(value, 0),
            _ => {}
        }
    }
    let local = local.or(address)?;
    if flags & IFA_F_PERMANENT == 0 || matches!(local, IpAddr::V6(address) if address.is_unicast_link_local()) {
        return None;
    }
    Some(Address {
        local,
        prefix: message[1],
        peer: address.filter(|address| *address != local),
        broadcast: broadcast.and_then(|address| if let IpAddr::V4(address) = address { Some(address) } else { None }),
        scope: message[3],
        flags: flags & IFA_F_NOPREFIXROUTE,
    })
}

fn ip(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from),
        16 => <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from),
        _ => None,
    }
}

fn family(address: IpAddr) -> AddressFamily {
    if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 }
}

/// Adds an address to a link; success if the link has it already. IPv6 addresses are usable at once, without duplicate
/// address detection: the caller is responsible for their uniqueness.
pub fn add(socket: &mut Socket, index: u32, name: &str, address: &Address) -> Result<()> {
    let mut message = AddressMessage::default();
    message.header.family = family(address.local);
    message.header.prefix_len = address.prefix;
    message.header.scope = AddressScope::from(address.scope);
    message.header.index = index;
    let mut flags = AddressFlags::from_bits_retain(address.flags);
    if address.local.is_ipv6() {
        message.header.flags = AddressHeaderFlags::Nodad;
        flags |= AddressFlags::Nodad;
    }
    message.attributes.push(AddressAttribute::Local(address.local));
    message.attributes.push(AddressAttribute::Address(address.peer.unwrap_or(address.local)));
    message.attributes.extend(address.broadcast.map(AddressAttribute::Broadcast));
    message.attributes.push(AddressAttribute::Flags(flags));
    match socket.change(Message::NewAddress(message), NLM_F_CREATE | NLM_F_EXCL) {
        Err(netlink_error) if netlink_error.errno != Errno::EEXIST => Err(netlink_error
            .into_error(format!("adding the address {}/{} to the interface {name}", address.local, address.prefix))),
        _ => Ok(()),
    }
}

/// A route of the main table.
pub struct Route<'a> {
    pub destination: Prefix,
    pub source: Option<IpAddr>,
    pub gateway: Option<IpAddr>,
    pub index: u32,
    pub name: &'a str,
}

pub fn add_route(socket: &mut Socket, route: &Route) -> Result<()> {
    let mut message = RouteMessage::default();
    message.header.address_family = family(route.destination.address);
    message.header.destination_prefix_length = route.destination.length;
    message.header.table = RouteHeader::RT_TABLE_MAIN;
    message.header.protocol = RouteProtocol::Boot;
    message.header.scope = if route.gateway.is_some() { RouteScope::Universe } else { RouteScope::Link };
    message.header.kind = RouteType::Unicast;
    if route.destination.length > 0 {
        message.attributes.push(RouteAttribute::Destination(RouteAddress::from(route.destination.address)));
    }
    message.attributes.extend(route.source.map(|source| RouteAttribute::PrefSource(RouteAddress::from(source))));
    message.attributes.extend(route.gateway.map(|gateway| RouteAttribute::Gateway(RouteAddress::from(gateway))));
    message.attributes.push(RouteAttribute::Oif(route.index));
    socket.change(Message::NewRoute(message), NLM_F_CREATE | NLM_F_EXCL).context(|| {
        let by = route.gateway.map_or(String::new(), |gateway| format!(" via {gateway}"));
        format!("adding the route to {}{by} on {}", route.destination, route.name)
    })
}
