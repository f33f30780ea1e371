//! Networks: veth pairs, routes, devices of the host that are moved in, and what they have carried. All of it by
//! rtnetlink(7), without a program and without a thread.
//!
//! The calling thread stays in its own network namespace. What must be done inside the container's is done through a
//! socket that a short-lived berth-init has opened in there ([`namespace`]).
//!
//! Before anything is made its name is in the container's record ([`Journal`]), and how to know it again: a host's end of a
//! pair is ours if it has the hardware address that was chosen for it, so what has the same name by chance, or took it
//! after a crash, is left alone.

mod address;
mod counters;
mod device;
mod link;
mod namespace;
mod netlink;
mod veth;

use std::fs::File;
use std::os::fd::AsFd;

use serde::{Deserialize, Serialize};

use crate::deadline::Deadline;
use crate::error::{Error, Result};
use crate::fault;
use crate::spec::networks::{Networks, Out, Prefix};
use crate::spec::{Config, net_devices};
use address::Route;
pub use counters::{Interface, of_host};
pub(crate) use counters::{inside, of_pairs};
pub(crate) use device::DeviceRecord;
pub use link::{Counters, Mac};
pub(crate) use namespace::{Pin, of_process};
use netlink::Socket;
pub(crate) use veth::{PairRecord, adopt, attach, detach};

/// What a container has of links, as its record says before there is any.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Journal {
    pub pairs: Vec<PairRecord>,
    pub devices: Vec<DeviceRecord>,
}

/// Asks the host for what a configuration names: bridges, free names, devices. Changes nothing.
pub(crate) fn check(config: &Config) -> Result<()> {
    let devices = net_devices::list(config.spec());
    if config.networks().veths.is_empty() && devices.is_empty() {
        return Ok(());
    }
    let mut host = Socket::host()?;
    config.networks().veths.iter().try_for_each(|veth| veth::check(&mut host, veth))?;
    devices.iter().try_for_each(|device| device::look(&mut host, device).map(drop))
}

/// Whether the host has anything to do in the container's network namespace.
pub(crate) fn plan_needed(config: &Config) -> bool {
    *config.networks() != Networks::default() || !net_devices::list(config.spec()).is_empty()
}

/// Chooses all names, and looks at what will be moved. `joined` is the network namespace, if it exists already. None if
/// there is nothing to do.
pub(crate) fn plan(config: &Config, joined: Option<&File>, deadline: Deadline) -> Result<Option<Journal>> {
    if !plan_needed(config) {
        return Ok(None);
    }
    let (networks, devices) = (config.networks(), net_devices::list(config.spec()));
    let taken = match joined {
        Some(joined) => names(&mut namespace::socket(joined.as_fd(), deadline)?)?,
        None => Vec::new(),
    };
    let mut host = Socket::host()?;
    Ok(Some(Journal {
        devices: device::plan(&mut host, &devices, &taken)?,
        pairs: veth::plan(&mut host, &networks.veths, &devices, &taken)?,
    }))
}

fn names(socket: &mut Socket) -> Result<Vec<String>> {
    Ok(link::links(socket)?.into_iter().map(|link| link.name).collect())
}

/// Makes everything, in the network namespace of `pid`, whose process waits meanwhile.
pub(crate) fn set_up(
    config: &Config,
    journal: Option<&Journal>,
    pid: i32,
    pin: &Pin,
    deadline: Deadline,
) -> Result<()> {
    let Some(journal) = journal else {
        // Every life passes every point.
        for name in ["create.pinned", "create.linked", "create.moved", "create.networks"] {
            fault::point(name);
        }
        return Ok(());
    };
    let networks = config.networks();
    let namespace = of_process(pid)?;
    let mut host = Socket::host()?;
    let mut inside = namespace::socket(namespace.as_fd(), deadline)?;
    if !journal.devices.is_empty() {
        pin.hold(namespace.as_fd())?;
    }
    fault::point("create.pinned");
    for (veth, record) in networks.veths.iter().zip(&journal.pairs) {
        veth::make(&mut host, veth, record, namespace.as_fd())?;
    }
    fault::point("create.linked");
    for record in &journal.devices {
        device::move_in(&mut host, &mut inside, record, namespace.as_fd())?;
    }
    fault::point("create.moved");
    if networks.loopback {
        let loopback = existing(&mut inside, "lo")?;
        link::set_up(&mut inside, &loopback, true)?;
    }
    for (veth, record) in networks.veths.iter().zip(&journal.pairs) {
        veth::configure(&mut inside, veth, record)?;
    }
    add_routes(&mut inside, config, journal)?;
    fault::point("create.networks");
    Ok(())
}

fn existing(socket: &mut Socket, name: &str) -> Result<link::Link> {
    let gone = || Error::system(nix::errno::Errno::ENODEV, format!("looking for the interface {name}"));
    link::find_link(socket, name)?.ok_or_else(gone)
}

/// The document's routes, and after them those to everywhere: their gateways may need the former.
fn add_routes(inside: &mut Socket, config: &Config, journal: &Journal) -> Result<()> {
    let networks = config.networks();
    for (index, route) in networks.routes.iter().enumerate() {
        let name = match &route.out {
            Out::Veth(place) => journal.pairs.get(*place).map_or("", |pair| pair.name.as_str()),
            Out::Named(name) => name,
        };
        let at = |error: Error| error.context(format!("routes[{index}]"));
        let link = existing(inside, name).map_err(at)?;
        let (destination, source, gateway) = (route.destination, route.source, route.gateway);
        address::add_route(inside, &Route { destination, source, gateway, index: link.index, name }).map_err(at)?;
    }
    for (veth, pair) in networks.veths.iter().zip(&journal.pairs) {
        for gateway in veth.gateways() {
            let link = existing(inside, &pair.name)?;
            let destination = Prefix::everywhere(gateway);
            let route =
                Route { destination, source: None, gateway: Some(gateway), index: link.index, name: &pair.name };
            address::add_route(inside, &route).map_err(|error| error.context(format!("networks[{}]", veth.index)))?;
        }
    }
    Ok(())
}

/// Removes the pairs and brings the devices back, as far as they are there. The container's processes are dead by now.
pub(crate) fn take_down(journal: Option<&Journal>, pin: &Pin, deadline: Deadline) -> Result<()> {
    if let Some(journal) = journal {
        let mut host = Socket::host()?;
        if !journal.devices.is_empty() {
            if let Some(namespace) = pin.open()? {
                let mut inside = namespace::socket(namespace.as_fd(), deadline)?;
                journal.devices.iter().try_for_each(|record| device::move_back(&mut host, &mut inside, record))?;
            }
            journal.devices.iter().try_for_each(|record| device::restore(&mut host, record))?;
        }
        fault::point("delete.returned");
        journal.pairs.iter().try_for_each(|record| veth::remove(&mut host, record))?;
        pin.release()?;
    } else {
        fault::point("delete.returned");
    }
    fault::point("delete.networks");
    Ok(())
}
