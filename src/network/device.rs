//! Devices of the host that become the container's, and go back when it ends.

use std::os::fd::BorrowedFd;

use nix::errno::Errno;
use serde::{Deserialize, Serialize};

use super::address::{self, Address};
use super::link::{self, Link, Mac, find_link};
use super::netlink::Socket;
use super::{existing, namespace, veth};
use crate::error::{Error, Result};
use crate::spec::net_devices::NetDevice;

/// A device as the record has it: what it was on the host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DeviceRecord {
    pub host_name: String,
    pub name: String,
    pub mac: Option<Mac>,
    pub up: bool,
    pub addresses: Vec<Address>,
}

/// The device, which must be one that can be moved.
pub fn look(host: &mut Socket, device: &NetDevice) -> Result<Link> {
    let name = &device.host_name;
    match find_link(host, name)? {
        Some(link) if link.loopback || link.is_bridge() => {
            let problem = format!("{name:?} belongs to its namespace and cannot be moved; expected another device");
            Err(Error::config(&device.path(), problem).with_errno(Errno::EINVAL))
        }
        Some(link) => Ok(link),
        None => {
            let problem = format!("the host has no interface {name:?}; expected the name of one");
            Err(Error::config(&device.path(), problem).with_errno(Errno::ENODEV))
        }
    }
}

/// `taken` are the names in a namespace that is joined.
pub fn plan(host: &mut Socket, devices: &[NetDevice], taken: &[String]) -> Result<Vec<DeviceRecord>> {
    let mut records = Vec::new();
    for device in devices {
        if taken.contains(&device.name) {
            let problem =
                format!("the joined network namespace has an interface {:?}; expected a free name", device.name);
            return Err(Error::config(&format!("{}.name", device.path()), problem).with_errno(Errno::EEXIST));
        }
        let link = look(host, device)?;
        records.push(DeviceRecord {
            host_name: device.host_name.clone(),
            name: device.name.clone(),
            mac: link.mac,
            up: link.up,
            addresses: address::addresses(host, link.index)?,
        });
    }
    Ok(records)
}

/// Moving takes a device's addresses and brings it down, so both are set again.
pub fn move_in(host: &mut Socket, inside: &mut Socket, record: &DeviceRecord, namespace: BorrowedFd) -> Result<()> {
    let link = existing(host, &record.host_name)?;
    link::move_link(host, &link, namespace, &record.name).map_err(|refusal| {
        refusal.into_error(format!("moving the device {} into the container as {}", record.host_name, record.name))
    })?;
    let link = existing(inside, &record.name)?;
    link::set_up(inside, &link, true)?;
    record.addresses.iter().try_for_each(|address| address::add(inside, link.index, &record.name, address))
}

/// Out of the container's namespace into the host's, if it is in there. The container may have renamed it, or given it
/// another hardware address, but hardly both.
pub fn move_back(host: &mut Socket, inside: &mut Socket, record: &DeviceRecord) -> Result<()> {
    let links = link::links(inside)?;
    let known = |link: &&Link| link.mac == record.mac && !link.loopback;
    let named = |link: &&Link| link.name == record.name;
    let same = links.iter().find(|link| known(link) && named(link));
    let same = same.or_else(|| links.iter().find(|link| record.mac.is_some() && known(link)));
    let Some(link) = same.or_else(|| links.iter().find(named)) else {
        return Ok(());
    };
    let mut name = record.host_name.clone();
    if find_link(host, &name)?.is_some() {
        name = veth::free_host_name(host)?;
        log::warn!("the host has another interface {:?} by now: the device returns as {name:?}", record.host_name);
    }
    let home = namespace::own()?;
    link::move_link(inside, link, std::os::fd::AsFd::as_fd(&home), &name)
        .map_err(|refusal| refusal.into_error(format!("moving the device {} back as {name}", link.name)))
}

/// Gives a device that is on the host what it had there. Right also for one that never left.
pub fn restore(host: &mut Socket, record: &DeviceRecord) -> Result<()> {
    let Some(link) = find_link(host, &record.host_name)?.filter(|link| link.mac == record.mac) else {
        log::warn!("the device {} has not returned", record.host_name);
        return Ok(());
    };
    if record.up && !link.up {
        link::set_up(host, &link, true)?;
    }
    record.addresses.iter().try_for_each(|address| address::add(host, link.index, &record.host_name, address))
}
