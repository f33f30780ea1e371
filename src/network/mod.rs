//! Sets up containers' networks: veth pairs, routes and devices moved in from the host; and reads their counters. Uses
//! rtnetlink(7) alone: no program and no thread.
//!
//! The calling thread stays in its own network namespace. Requests to the container's namespace go through a socket
//! that a short-lived berth-init has opened there (`namespace`).
//!
//! Before an object is created, the container's record (`Journal`) gets its name and the means to recognise it: the
//! host's end of a pair is the container's if it has the hardware address that was chosen for it. So a link that has
//! the same name by chance, or took the name after a crash, is left alone.

pub(crate) mod address;
mod counters;
mod device;
mod filter;
pub(crate) mod link;
mod namespace;
pub(crate) mod netlink;
mod veth;

use std::fs::File;
use std::net::IpAddr;
use std::os::fd::{AsFd, OwnedFd};

use serde::{Deserialize, Serialize};

use crate::deadline::Deadline;
use crate::error::{Error, Result};
use crate::fault;
use crate::spec::namespaces::Namespaces;
pub use crate::spec::networks::Mac;
use crate::spec::networks::{Networks, Prefix, Via, interface_name};
use crate::spec::oci::LinuxNamespaceType;
use crate::spec::{Config, net_devices};
use address::Route;
pub use counters::{Interface, of_host};
pub(crate) use counters::{inside, of_pairs};
pub(crate) use device::DeviceRecord;
pub(crate) use filter::unlock;
pub use link::Counters;
pub(crate) use namespace::{Pin, of_process};
use netlink::Socket;
pub(crate) use veth::{PairRecord, adopt, attach, detach};

/// A container's links, as recorded before any of them is created.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Journal {
    pub pairs: Vec<PairRecord>,
    pub devices: Vec<DeviceRecord>,
}

impl Journal {
    /// Fails if one of the names cannot be an interface's: then somebody has changed the record.
    pub(crate) fn check(&self) -> Result<()> {
        let pairs = self.pairs.iter().flat_map(|pair| [&pair.name, &pair.host_name]);
        let mut names = pairs.chain(self.devices.iter().flat_map(|device| [&device.name, &device.host_name]));
        names.try_for_each(|name| interface_name(name, "the record").map(drop))
    }
}

/// Checks that the host has the bridges and devices that a configuration names, and that names are free. Changes
/// nothing. `restoring`: devices that a dumped container has left in a joined namespace need not be on the host.
pub(crate) fn check(config: &Config, restoring: bool) -> Result<()> {
    let devices = net_devices::list(config.spec());
    if config.networks().veths.is_empty() && devices.is_empty() {
        return Ok(());
    }
    let mut host = Socket::host()?;
    config.networks().veths.iter().try_for_each(|veth| veth::check(&mut host, veth))?;
    let joined = Namespaces::of(config.spec()).is_joined(LinuxNamespaceType::Network);
    if restoring && joined {
        return Ok(());
    }
    devices.iter().try_for_each(|device| device::find_movable(&mut host, device).map(drop))
}

/// Returns whether the caller has links or routes to set up in the container's network namespace.
pub(crate) fn plan_needed(config: &Config) -> bool {
    *config.networks() != Networks::default() || !net_devices::list(config.spec()).is_empty()
}

/// Chooses all names, and reads the state of the devices to be moved. `joined` is the network namespace, if it exists
/// already. Returns None if there is nothing to set up.
///
/// `restoring`: a device that a dumped container has left in a joined namespace stays there unchanged.
pub(crate) fn plan(
    config: &Config,
    joined: Option<&File>,
    restoring: bool,
    deadline: Deadline,
) -> Result<Option<Journal>> {
    if !plan_needed(config) {
        return Ok(None);
    }
    let (networks, mut devices) = (config.networks(), net_devices::list(config.spec()));
    let taken = match joined {
        Some(joined) => names(&mut namespace::socket(joined.as_fd(), deadline)?)?,
        None => Vec::new(),
    };
    let reserved: Vec<String> = networks.veths.iter().filter_map(|veth| veth.name.clone()).collect();
    let mut host = Socket::host()?;
    if restoring {
        let mut moved = Vec::new();
        for device in devices {
            if !taken.contains(&device.name) || link::find_link(&mut host, &device.host_name)?.is_some() {
                moved.push(device);
            }
        }
        devices = moved;
    }
    let devices = device::plan(&mut host, &devices, &taken, &reserved)?;
    let pairs = veth::plan(&mut host, &networks.veths, &devices, &taken)?;
    Ok(Some(Journal { pairs, devices }))
}

fn names(socket: &mut Socket) -> Result<Vec<String>> {
    Ok(link::links(socket)?.into_iter().map(|link| link.name).collect())
}

/// Creates the links and routes of the journal in the network namespace of `pid`, a process that waits meanwhile. The
/// journal, already in the container's record, gets the values that are known only now.
pub(crate) fn set_up(
    config: &Config,
    journal: Option<&mut Journal>,
    namespace: impl FnOnce() -> Result<OwnedFd>,
    pin: &Pin,
    deadline: Deadline,
) -> Result<()> {
    let open = |journal| NetworkSetup::open(config.networks(), journal, namespace()?, pin, deadline);
    let mut work = journal.map(open).transpose()?;
    if let Some(work) = &mut work {
        work.pin_namespace()?;
    }
    fault::point("create.pinned");
    if let Some(work) = &mut work {
        work.make_pairs()?;
    }
    fault::point("create.linked");
    if let Some(work) = &mut work {
        work.move_devices()?;
    }
    fault::point("create.moved");
    if let Some(work) = &mut work {
        work.configure()?;
    }
    fault::point("create.networks");
    Ok(())
}

/// Sets up the new and empty network namespace of `pid` for a restore: brings loopback up and moves devices in, as a
/// create does. The images contain neither.
pub(crate) fn set_up_empty(journal: Option<&mut Journal>, pid: i32, pin: &Pin, deadline: Deadline) -> Result<()> {
    let (networks, mut none) = (Networks::default(), Journal::default());
    let mut work = NetworkSetup::open(&networks, journal.unwrap_or(&mut none), of_process(pid)?, pin, deadline)?;
    let loopback = existing(&mut work.inside, "lo")?;
    link::set_up(&mut work.inside, &loopback, true)?;
    work.pin_namespace()?;
    work.move_devices()
}

/// The sockets on both sides of a network during its setup.
struct NetworkSetup<'a> {
    networks: &'a Networks,
    journal: &'a mut Journal,
    pin: &'a Pin,
    namespace: OwnedFd,
    host: Socket,
    inside: Socket,
}

impl NetworkSetup<'_> {
    fn open<'a>(
        networks: &'a Networks,
        journal: &'a mut Journal,
        namespace: OwnedFd,
        pin: &'a Pin,
        deadline: Deadline,
    ) -> Result<NetworkSetup<'a>> {
        let inside = namespace::socket(namespace.as_fd(), deadline)?;
        Ok(NetworkSetup { networks, journal, pin, namespace, host: Socket::host()?, inside })
    }

    fn pin_namespace(&mut self) -> Result<()> {
        if self.journal.devices.is_empty() { Ok(()) } else { self.pin.create(self.namespace.as_fd()) }
    }

    fn make_pairs(&mut self) -> Result<()> {
        for (veth, record) in self.networks.veths.iter().zip(&self.journal.pairs) {
            veth::make(&mut self.host, veth, record, self.namespace.as_fd())?;
        }
        Ok(())
    }

    fn move_devices(&mut self) -> Result<()> {
        for record in &mut self.journal.devices {
            device::move_in(&mut self.host, &mut self.inside, record, self.namespace.as_fd())?;
        }
        Ok(())
    }

    fn configure(&mut self) -> Result<()> {
        if self.networks.loopback {
            let loopback = existing(&mut self.inside, "lo")?;
            link::set_up(&mut self.inside, &loopback, true)?;
        }
        for (veth, record) in self.networks.veths.iter().zip(&self.journal.pairs) {
            veth::configure(&mut self.inside, veth, record)?;
        }
        self.add_routes()
    }

    /// Adds the document's routes, default routes last: their gateways may be reachable through the other routes only.
    fn add_routes(&mut self) -> Result<()> {
        for (index, route) in self.networks.routes.iter().enumerate() {
            let name = match &route.out {
                Via::Veth(place) => self.journal.pairs.get(*place).map_or(String::new(), |pair| pair.name.clone()),
                Via::Named(name) => name.clone(),
            };
            let added = self.add_route(&name, route.destination, route.source, route.gateway);
            added.map_err(|error| error.context(format!("routes[{index}]")))?;
        }
        let names: Vec<String> = self.journal.pairs.iter().map(|pair| pair.name.clone()).collect();
        for (veth, name) in self.networks.veths.iter().zip(&names) {
            for gateway in veth.gateways() {
                let added = self.add_route(name, Prefix::everywhere(gateway), None, Some(gateway));
                added.map_err(|error| error.context(format!("networks[{}]", veth.index)))?;
            }
        }
        Ok(())
    }

    fn add_route(
        &mut self,
        name: &str,
        destination: Prefix,
        source: Option<IpAddr>,
        gateway: Option<IpAddr>,
    ) -> Result<()> {
        let index = existing(&mut self.inside, name)?.index;
        address::add_route(&mut self.inside, &Route { destination, source, gateway, index, name })
    }
}

fn existing(socket: &mut Socket, name: &str) -> Result<link::Link> {
    let gone = || Error::system(nix::errno::Errno::ENODEV, format!("looking for the interface {name}"));
    link::find_link(socket, name)?.ok_or_else(gone)
}

/// Removes the pairs and moves the devices back, as far as they exist. The container's processes have exited before.
pub(crate) fn take_down(journal: Option<&Journal>, pin: &Pin, deadline: Deadline) -> Result<()> {
    let devices = journal.map(|journal| journal.devices.as_slice()).unwrap_or_default();
    if !devices.is_empty() {
        return_devices(devices, pin, deadline)?;
    }
    fault::point("delete.returned");
    let pairs = journal.map(|journal| journal.pairs.as_slice()).unwrap_or_default();
    if !pairs.is_empty() {
        let mut host = Socket::host()?;
        pairs.iter().try_for_each(|record| veth::remove(&mut host, record))?;
    }
    // Unpin even if a damaged record does not tell which devices are there: the kernel moves hardware back to the
    // initial namespace.
    pin.release()?;
    fault::point("delete.networks");
    Ok(())
}

/// Moves the devices back, if the namespace is pinned: until the container is created, and if the caller asked for it,
/// until it is deleted. Otherwise the devices stay in the namespace.
fn return_devices(devices: &[DeviceRecord], pin: &Pin, deadline: Deadline) -> Result<()> {
    let Some(namespace) = pin.open()? else { return Ok(()) };
    let mut host = Socket::host()?;
    let mut inside = namespace::socket(namespace.as_fd(), deadline)?;
    devices.iter().try_for_each(|record| device::move_back(&mut host, &mut inside, record))?;
    devices.iter().try_for_each(|record| device::restore(&mut host, record))
}
