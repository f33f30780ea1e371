//! Moves network devices of the host into a container, and back when the container ends.

use std::os::fd::BorrowedFd;

use nix::errno::Errno;
use serde::{Deserialize, Serialize};

use super::address::{self, Address};
use super::link::{self, Link, find_link};
use super::netlink::Socket;
use super::{existing, namespace, veth};
use crate::error::{Error, Result};
use crate::spec::net_devices::NetDevice;
use crate::spec::networks::Mac;

/// A device in the container's record: its state on the host before it was moved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DeviceRecord {
    pub host_name: String,
    pub name: String,
    pub kind: Option<String>,
    pub mac: Option<Mac>,
    pub up: bool,
    pub addresses: Vec<Address>,
    /// Its interface index in the container, once it has been moved.
    #[serde(default)]
    pub index: Option<u32>,
}

/// Returns the device; an error if it cannot be moved.
pub fn find_movable(host: &mut Socket, device: &NetDevice) -> Result<Link> {
    let name = &device.host_name;
    match find_link(host, name)? {
        Some(link) if link.loopback || link.is_bridge() => {
            let problem =
                format!("{name:?} is local to its network namespace and cannot be moved; expected another device");
            Err(Error::config(&device.path(), problem).with_errno(Errno::EINVAL))
        }
        Some(link) => Ok(link),
        None => {
            let problem = format!("the host has no interface {name:?}; expected the name of one");
            Err(Error::config(&device.path(), problem).with_errno(Errno::ENODEV))
        }
    }
}

/// Chooses the names that devices get in the container. `taken` are the names in a joined namespace, `reserved` the
/// names that other links will get.
pub fn plan(
    host: &mut Socket,
    devices: &[NetDevice],
    taken: &[String],
    reserved: &[String],
) -> Result<Vec<DeviceRecord>> {
    let mut records: Vec<DeviceRecord> = Vec::new();
    for device in devices {
        let free = |name: &str| {
            !taken.iter().chain(reserved).any(|other| other == name)
                && !devices.iter().any(|other| other.name == name)
                && !records.iter().any(|other| other.name == name)
        };
        // The kernel would choose the same name, but only after the record has been written.
        let numbered = device
            .template()
            .and_then(|first| (0u32..).map(|number| format!("{first}{number}")).find(|name| free(name)));
        if taken.contains(&device.name) {
            let problem =
                format!("the joined network namespace has an interface {:?}; expected a free name", device.name);
            return Err(Error::config(&format!("{}.name", device.path()), problem).with_errno(Errno::EEXIST));
        }
        let link = find_movable(host, device)?;
        records.push(DeviceRecord {
            host_name: device.host_name.clone(),
            name: numbered.unwrap_or_else(|| device.name.clone()),
            addresses: address::addresses(host, link.index)?,
            kind: link.kind,
            mac: link.mac,
            up: link.up,
            index: None,
        });
    }
    Ok(records)
}

/// Moves a device into the container. The move removes its addresses and brings it down, so both are set again.
pub fn move_in(host: &mut Socket, inside: &mut Socket, record: &mut DeviceRecord, namespace: BorrowedFd) -> Result<()> {
    let link = existing(host, &record.host_name)?;
    link::move_link(host, &link, namespace, &record.name).map_err(|netlink_error| {
        netlink_error
            .into_error(format!("moving the device {} into the container as {}", record.host_name, record.name))
    })?;
    let link = existing(inside, &record.name)?;
    record.index = Some(link.index);
    link::set_up(inside, &link, true)?;
    let mut global = record.addresses.iter().filter(|address| address.is_global());
    global.try_for_each(|address| address::add(inside, link.index, &record.name, address))
}

/// Finds the device among the links of the container's namespace, by its index, which the container cannot change. Its
/// kind must match too, so that the container cannot pass off a device it has created as the hardware.
fn find_moved<'a>(links: &'a [Link], record: &DeviceRecord) -> Option<&'a Link> {
    let same = |link: &&Link| !link.loopback && link.kind == record.kind;
    match record.index {
        Some(index) => links.iter().find(|link| link.index == index).filter(same),
        // The creating process was killed before it recorded the index: nobody else has run in that namespace.
        None => links.iter().filter(same).find(|link| link.name == record.name),
    }
}

/// Moves a device from the container's namespace back into the host's, if it is there.
pub fn move_back(host: &mut Socket, inside: &mut Socket, record: &DeviceRecord) -> Result<()> {
    let links = link::links(inside)?;
    let Some(link) = find_moved(&links, record) else { return Ok(()) };
    if let Some(mac) = record.mac.filter(|mac| link.mac != Some(*mac)) {
        link::set_up(inside, link, false)?;
        link::set_mac(inside, link, mac)?;
    }
    let mut name = record.host_name.clone();
    if find_link(host, &name)?.is_some() {
        name = veth::free_host_name(host)?;
        log::warn!("the host has another interface {:?} now: the device is moved back as {name:?}", record.host_name);
    }
    let home = namespace::own()?;
    link::move_link(inside, link, std::os::fd::AsFd::as_fd(&home), &name)
        .map_err(|netlink_error| netlink_error.into_error(format!("moving the device {} back as {name}", link.name)))
}

/// Restores the state of a device that is on the host again. Has no effect on one that was never moved.
pub fn restore(host: &mut Socket, record: &DeviceRecord) -> Result<()> {
    let Some(link) = find_link(host, &record.host_name)?.filter(|link| link.mac == record.mac) else {
        log::warn!("the device {} was not moved back", record.host_name);
        return Ok(());
    };
    if record.up && !link.up {
        link::set_up(host, &link, true)?;
    }
    record.addresses.iter().try_for_each(|address| address::add(host, link.index, &record.host_name, address))
}
