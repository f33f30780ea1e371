//! Sets up veth pairs: one end in the container, the other on the host, usually as a port of a bridge.

use std::os::fd::BorrowedFd;

use nix::errno::Errno;
use serde::{Deserialize, Serialize};

use super::link::{self, Link, find_link};
use super::netlink::Socket;
use super::{DeviceRecord, Journal, address, existing};
use crate::error::{Error, Result};
use crate::spec::networks::Mac;
use crate::spec::networks::{Veth, free_name};
use crate::sys::random::random;

/// A veth pair in the container's record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PairRecord {
    pub name: String,
    pub host_name: String,
    /// Random and unique: distinguishes the pair's end from other links of the same name.
    pub host_mac: Mac,
    pub bridge: Option<String>,
    pub hairpin: bool,
}

fn path(veth: &Veth, field: &str) -> String {
    format!("networks[{}].{field}", veth.index)
}

pub fn check(host: &mut Socket, veth: &Veth) -> Result<()> {
    if let Some(bridge) = &veth.bridge {
        bridge_link(host, veth, bridge)?;
    }
    match &veth.host_name {
        Some(name) if find_link(host, name)?.is_some() => Err(name_in_use(veth, name)),
        _ => Ok(()),
    }
}

fn name_in_use(veth: &Veth, name: &str) -> Error {
    let problem = format!("the host has an interface {name:?} already; expected a free name");
    Error::config(&path(veth, "hostInterfaceName"), problem).with_errno(Errno::EEXIST)
}

fn bridge_link(host: &mut Socket, veth: &Veth, name: &str) -> Result<Link> {
    let path = path(veth, "bridge");
    match find_link(host, name)? {
        Some(link) if link.is_bridge() => Ok(link),
        Some(_) => Err(Error::config(&path, format!("{name:?} is not a bridge; expected the name of one"))),
        None => {
            let problem = format!("the host has no interface {name:?}; expected the name of a bridge");
            Err(Error::config(&path, problem).with_errno(Errno::ENODEV))
        }
    }
}

/// Chooses the names and addresses of the pairs. `taken` are the names in a joined namespace.
pub fn plan(host: &mut Socket, veths: &[Veth], devices: &[DeviceRecord], taken: &[String]) -> Result<Vec<PairRecord>> {
    let mut records: Vec<PairRecord> = Vec::new();
    for veth in veths {
        let in_use = |name: &str| {
            taken.iter().any(|other| other == name)
                || devices.iter().any(|device| device.name == name)
                || veths.iter().any(|other| other.name.as_deref() == Some(name))
                || records.iter().any(|record| record.name == name)
        };
        let name = match &veth.name {
            Some(name) if taken.contains(name) => {
                let problem = format!("the joined network namespace has an interface {name:?}; expected a free name");
                return Err(Error::config(&path(veth, "name"), problem).with_errno(Errno::EEXIST));
            }
            Some(name) => name.clone(),
            None => free_name(in_use),
        };
        let host_name = match &veth.host_name {
            Some(name) => name.clone(),
            None => free_host_name(host)?,
        };
        let (host_mac, bridge) = (random_mac()?, veth.bridge.clone());
        records.push(PairRecord { name, host_name, host_mac, bridge, hairpin: veth.hairpin });
    }
    Ok(records)
}

/// Returns a name that no interface of the host has: 50 random bits after a prefix.
pub fn free_host_name(host: &mut Socket) -> Result<String> {
    const DIGITS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    loop {
        let bytes: [u8; 10] = random()?;
        let name = bytes.iter().fold(String::from("berth"), |mut name, byte| {
            name.push(char::from(DIGITS[usize::from(byte & 31)]));
            name
        });
        if find_link(host, &name)?.is_none() {
            return Ok(name);
        }
    }
}

/// Returns a random, locally administered hardware address, higher than others: a bridge takes the lowest address of
/// its ports as its own, and must not change it when containers are created and deleted.
fn random_mac() -> Result<Mac> {
    let [a, b, c, d, e] = random()?;
    Ok(Mac([0xfe, a, b, c, d, e]))
}

pub fn make(host: &mut Socket, veth: &Veth, record: &PairRecord, namespace: BorrowedFd) -> Result<()> {
    let bridge = veth.bridge.as_deref().map(|name| bridge_link(host, veth, name)).transpose()?;
    // By default the links take the MTU of their bridge: a port with a smaller MTU would lower the bridge's.
    let mtu = veth.mtu.or(bridge.as_ref().map(|bridge| bridge.mtu));
    let made = link::make_pair(
        host,
        &link::Pair {
            host_name: &record.host_name,
            host_mac: record.host_mac,
            bridge: bridge.as_ref().map(|bridge| bridge.index),
            name: &record.name,
            mac: veth.mac,
            namespace,
            mtu,
            queue_length: veth.queue_length,
        },
    );
    made.map_err(|netlink_error| match netlink_error.errno {
        Errno::EEXIST if veth.host_name.is_some() && matches!(find_link(host, &record.host_name), Ok(Some(_))) => {
            name_in_use(veth, &record.host_name)
        }
        _ => netlink_error.into_error(format!(
            "networks[{}]: creating the veth pair {} and {}",
            veth.index, record.host_name, record.name
        )),
    })?;
    if record.hairpin {
        let link = existing(host, &record.host_name)?;
        link::set_hairpin(host, &link)?;
    }
    Ok(())
}

/// Configures the container's end.
pub fn configure(inside: &mut Socket, veth: &Veth, record: &PairRecord) -> Result<()> {
    let mut configure = || {
        let link = existing(inside, &record.name)?;
        link::set_up(inside, &link, true)?;
        veth.addresses().try_for_each(|own| address::add(inside, link.index, &record.name, &own.into()))
    };
    configure().map_err(|error| error.context(format!("networks[{}]", veth.index)))
}

/// Returns the host's end, if it exists and has the recorded hardware address.
pub fn host_end(host: &mut Socket, record: &PairRecord) -> Result<Option<Link>> {
    let found = find_link(host, &record.host_name)?;
    Ok(found.filter(|link| link.is_veth() && link.mac == Some(record.host_mac)))
}

/// Removes the host's end, and with it the container's.
pub fn remove(host: &mut Socket, record: &PairRecord) -> Result<()> {
    match host_end(host, record)? {
        Some(link) => link::delete(host, &link),
        None => Ok(()),
    }
}

fn required(host: &mut Socket, record: &PairRecord) -> Result<Link> {
    let gone = || Error::system(Errno::ENODEV, format!("looking for the container's interface {}", record.host_name));
    host_end(host, record)?.ok_or_else(gone)
}

/// Removes the host's ends from their bridges, so that no packet reaches or leaves the container.
pub(crate) fn detach(journal: &Journal) -> Result<()> {
    let mut host = Socket::host()?;
    for record in journal.pairs.iter().filter(|record| record.bridge.is_some()) {
        let link = required(&mut host, record)?;
        link::set_bridge(&mut host, &link, 0)?;
    }
    Ok(())
}

/// Adds the host's ends to their bridges again.
pub(crate) fn attach(journal: &Journal) -> Result<()> {
    let mut host = Socket::host()?;
    for record in &journal.pairs {
        let link = required(&mut host, record)?;
        attach_to_bridge(&mut host, record, &link)?;
    }
    Ok(())
}

fn attach_to_bridge(host: &mut Socket, record: &PairRecord, link: &Link) -> Result<()> {
    let Some(bridge) = &record.bridge else { return Ok(()) };
    let bridge = existing(host, bridge)?;
    if link.controller != Some(bridge.index) {
        link::set_bridge(host, link, bridge.index)?;
    }
    if record.hairpin { link::set_hairpin(host, link) } else { Ok(()) }
}

/// Takes over pairs that CRIU has created again under their old names: sets the recorded hardware addresses of the
/// host's ends, and adds them to their bridges.
pub(crate) fn adopt(journal: &Journal) -> Result<()> {
    let mut host = Socket::host()?;
    for record in &journal.pairs {
        let link = existing(&mut host, &record.host_name)?;
        if !link.is_veth() {
            return Err(Error::system(
                Errno::ENODEV,
                format!("the restored interface {} is not a veth device", record.host_name),
            ));
        }
        link::set_mac(&mut host, &link, record.host_mac)?;
        link::set_up(&mut host, &link, true)?;
        attach_to_bridge(&mut host, record, &link)?;
    }
    Ok(())
}
