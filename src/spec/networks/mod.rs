//! Checks the networks of a container and their routes: a document beside `config.json`, which has no field for them.
//!
//! The document has the content of libcontainer's `configs.Network` and `configs.Route`. This module checks everything
//! that does not depend on the host.

mod routes;
mod text;

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::Deserialize;

use super::namespaces::Namespaces;
use super::oci;
use super::oci::LinuxNamespaceType as Kind;
use super::shape::{Kind as Shape, optional, required};
use crate::error::{Error, Result};

pub(crate) use text::interface_name;
pub use text::{Mac, Prefix};

pub const TYPES: [&str; 2] = ["loopback", "veth"];

// The kernel's bounds of a veth's MTU (ETH_MIN_MTU, ETH_MAX_MTU); the queue length is an int.
const MTU: Shape = Shape::Int(68, 65_535);
const QUEUE: Shape = Shape::Int(1, i32::MAX as i128);
/// The most entries of a list: each is compared with the others.
const MAX_ENTRIES: usize = 1024;

const NETWORK: Shape = Shape::Object(&[
    required("type", Shape::OneOf("a network type", &TYPES)),
    optional("name", Shape::Text),
    optional("hostInterfaceName", Shape::Text),
    optional("bridge", Shape::Text),
    optional("hairpinMode", Shape::Bool),
    optional("macAddress", Shape::Text),
    optional("address", Shape::Text),
    optional("gateway", Shape::Text),
    optional("ipv6Address", Shape::Text),
    optional("ipv6Gateway", Shape::Text),
    optional("mtu", MTU),
    optional("txQueueLength", QUEUE),
]);

const ROUTE: Shape = Shape::Object(&[
    required("destination", Shape::Text),
    optional("source", Shape::Text),
    optional("gateway", Shape::Text),
    optional("interfaceName", Shape::Text),
]);

const DOCUMENT: Shape =
    Shape::Object(&[optional("networks", Shape::List(&NETWORK)), optional("routes", Shape::List(&ROUTE))]);

/// A checked document of networks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Networks {
    pub veths: Vec<Veth>,
    /// Whether to bring up the loopback interface of a joined namespace; that of a new one always is.
    pub loopback: bool,
    pub routes: Vec<Route>,
}

/// A veth pair, one end in the container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Veth {
    /// Its index in `networks`, for errors.
    pub index: usize,
    /// Its name in the container. None: the first free of eth0, eth1 …
    pub name: Option<String>,
    pub host_name: Option<String>,
    pub bridge: Option<String>,
    pub hairpin: bool,
    pub mac: Option<Mac>,
    pub address: Option<Prefix>,
    pub gateway: Option<Ipv4Addr>,
    pub ipv6_address: Option<Prefix>,
    pub ipv6_gateway: Option<Ipv6Addr>,
    pub mtu: Option<u32>,
    pub queue_length: Option<u32>,
}

impl Veth {
    pub fn addresses(&self) -> impl Iterator<Item = &Prefix> {
        self.address.iter().chain(&self.ipv6_address)
    }

    pub fn gateways(&self) -> impl Iterator<Item = IpAddr> {
        self.gateway.map(IpAddr::V4).into_iter().chain(self.ipv6_gateway.map(IpAddr::V6))
    }
}

/// The interface of a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Via {
    /// The veth at this index of `Networks::veths`.
    Veth(usize),
    /// An interface of this name: the loopback interface or a moved device.
    Named(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    pub destination: Prefix,
    pub source: Option<IpAddr>,
    pub gateway: Option<IpAddr>,
    pub out: Via,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawNetwork {
    r#type: String,
    name: Option<String>,
    host_interface_name: Option<String>,
    bridge: Option<String>,
    hairpin_mode: Option<bool>,
    mac_address: Option<String>,
    address: Option<String>,
    gateway: Option<String>,
    ipv6_address: Option<String>,
    ipv6_gateway: Option<String>,
    mtu: Option<u32>,
    tx_queue_length: Option<u32>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawRoute {
    destination: String,
    source: Option<String>,
    gateway: Option<String>,
    interface_name: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RawDocument {
    networks: Vec<RawNetwork>,
    routes: Vec<RawRoute>,
}

/// Reads the document for a container of this configuration.
pub(super) fn read(json: &str, spec: &oci::Spec) -> Result<Networks> {
    let value = super::document::fit_closed(json, "the networks", &DOCUMENT)?;
    let raw: RawDocument = super::document::typed(&value)?;
    let namespaces = Namespaces::of(spec);
    let first = if raw.networks.is_empty() { "routes" } else { "networks" };
    let asks = !raw.networks.is_empty() || !raw.routes.is_empty();
    if asks && !namespaces.has(Kind::Network) {
        return Err(Error::config(
            first,
            "would change the host's network; expected an entry of type \"network\" in linux.namespaces",
        ));
    }
    for (name, count) in [("networks", raw.networks.len()), ("routes", raw.routes.len())] {
        if count > MAX_ENTRIES {
            return Err(Error::config(name, format!("has {count} entries; expected at most {MAX_ENTRIES}")));
        }
    }
    let mut found = Networks::default();
    for (index, network) in raw.networks.iter().enumerate() {
        match network.r#type.as_str() {
            "loopback" => {
                check_loopback(network, index)?;
                found.loopback = true;
            }
            _ => found.veths.push(veth(network, index)?),
        }
    }
    let devices = device_names(spec);
    check_names(&found.veths, &devices)?;
    if namespaces.is_new(Kind::Network) {
        name_unnamed(&mut found.veths, &devices);
    }
    found.routes = routes::read(&raw.routes, &found.veths, &devices)?;
    Ok(found)
}

fn at(index: usize, field: &str) -> String {
    format!("networks[{index}].{field}")
}

fn check_loopback(network: &RawNetwork, index: usize) -> Result<()> {
    if let Some(name) = network.name.as_deref().filter(|name| *name != "lo") {
        let problem = format!("{name:?} is not the loopback interface; expected \"lo\", or leave it out");
        return Err(Error::config(&at(index, "name"), problem));
    }
    let given = [
        ("hostInterfaceName", network.host_interface_name.is_some()),
        ("bridge", network.bridge.is_some()),
        ("hairpinMode", network.hairpin_mode == Some(true)),
        ("macAddress", network.mac_address.is_some()),
        ("address", network.address.is_some()),
        ("gateway", network.gateway.is_some()),
        ("ipv6Address", network.ipv6_address.is_some()),
        ("ipv6Gateway", network.ipv6_gateway.is_some()),
        ("mtu", network.mtu.is_some()),
        ("txQueueLength", network.tx_queue_length.is_some()),
    ];
    match given.iter().find(|(_, given)| *given) {
        Some((field, _)) => {
            Err(Error::config(&at(index, field), "is not for a network of type \"loopback\"; leave it out"))
        }
        None => Ok(()),
    }
}

fn veth(raw: &RawNetwork, index: usize) -> Result<Veth> {
    let name = |field: &str, name: &Option<String>| {
        name.as_deref().map(|name| interface_name(name, &at(index, field))).transpose()
    };
    let veth = Veth {
        index,
        name: name("name", &raw.name)?,
        host_name: name("hostInterfaceName", &raw.host_interface_name)?,
        bridge: name("bridge", &raw.bridge)?,
        hairpin: raw.hairpin_mode.unwrap_or(false),
        mac: raw.mac_address.as_deref().map(|mac| text::mac(mac, &at(index, "macAddress"))).transpose()?,
        address: raw.address.as_deref().map(|text| text::host_address4(text, &at(index, "address"))).transpose()?,
        gateway: raw.gateway.as_deref().map(|text| text::ipv4(text, &at(index, "gateway"))).transpose()?,
        ipv6_address: raw
            .ipv6_address
            .as_deref()
            .map(|text| text::host_address6(text, &at(index, "ipv6Address")))
            .transpose()?,
        ipv6_gateway: raw
            .ipv6_gateway
            .as_deref()
            .map(|text| text::ipv6(text, &at(index, "ipv6Gateway")))
            .transpose()?,
        mtu: raw.mtu,
        queue_length: raw.tx_queue_length,
    };
    if veth.name.as_deref() == Some("lo") {
        return Err(Error::config(&at(index, "name"), "\"lo\" is the loopback interface's; expected another name"));
    }
    if veth.hairpin && veth.bridge.is_none() {
        return Err(Error::config(&at(index, "hairpinMode"), "is a setting of a bridge's port; expected bridge, too"));
    }
    // IPV6_MIN_MTU: with a smaller MTU the kernel disables IPv6.
    if let Some(mtu) = veth.mtu.filter(|mtu| veth.ipv6_address.is_some() && *mtu < 1280) {
        return Err(Error::config(&at(index, "mtu"), format!("{mtu} is too low for IPv6; expected at least 1280")));
    }
    check_gateway(&veth, "gateway", "address", veth.gateway.map(IpAddr::V4), veth.address.as_ref())?;
    check_gateway(&veth, "ipv6Gateway", "ipv6Address", veth.ipv6_gateway.map(IpAddr::V6), veth.ipv6_address.as_ref())?;
    Ok(veth)
}

fn check_gateway(
    veth: &Veth,
    field: &str,
    address_field: &str,
    gateway: Option<IpAddr>,
    own: Option<&Prefix>,
) -> Result<()> {
    let Some(gateway) = gateway else { return Ok(()) };
    let path = at(veth.index, field);
    let Some(own) = own else {
        return Err(Error::config(&path, format!("needs an address of its family; expected {address_field}, too")));
    };
    if gateway == own.address {
        return Err(Error::config(&path, format!("{gateway} is the container's own address; expected another one")));
    }
    if !own.contains(gateway) && !text::is_link_local(gateway) {
        let problem = format!("{gateway} cannot be reached; expected an address in {}", own.network());
        return Err(Error::config(&path, problem));
    }
    Ok(())
}

/// Returns the names that `linux.netDevices` gives to devices in the container.
fn device_names(spec: &oci::Spec) -> Vec<String> {
    super::net_devices::list(spec).into_iter().map(|device| device.name).collect()
}

fn check_names(veths: &[Veth], devices: &[String]) -> Result<()> {
    for (place, veth) in veths.iter().enumerate() {
        if let Some(name) = &veth.name {
            let path = at(veth.index, "name");
            if let Some(other) = veths[..place].iter().find(|other| other.name.as_ref() == Some(name)) {
                let problem = format!("{name:?} is the name of networks[{}]; expected another one", other.index);
                return Err(Error::config(&path, problem));
            }
            if devices.contains(name) {
                let problem = format!("{name:?} is the name of a device in linux.netDevices; expected another one");
                return Err(Error::config(&path, problem));
            }
        }
        let same = |other: &&Veth| veth.host_name.is_some() && other.host_name == veth.host_name;
        if let Some(other) = veths[..place].iter().find(same) {
            return Err(Error::config(
                &at(veth.index, "hostInterfaceName"),
                format!("is the same as that of networks[{}]; expected another one", other.index),
            ));
        }
    }
    Ok(())
}

/// Chooses names for the veths that have none.
fn name_unnamed(veths: &mut [Veth], devices: &[String]) {
    let given = veths.iter().filter_map(|veth| veth.name.as_ref()).chain(devices);
    let taken: HashSet<String> = given.cloned().collect();
    let mut free = (0u32..).map(|number| format!("eth{number}")).filter(|name| !taken.contains(name));
    for veth in veths.iter_mut().filter(|veth| veth.name.is_none()) {
        veth.name = free.next();
    }
}

/// Returns the first free name of eth0, eth1 …
pub fn free_name(taken: impl Fn(&str) -> bool) -> String {
    (0u32..).map(|number| format!("eth{number}")).find(|name| !taken(name)).unwrap_or_default()
}
