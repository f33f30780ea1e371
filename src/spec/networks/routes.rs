//! Checks routes: each goes through a known interface, and no two have the same destination.

use std::net::IpAddr;

use super::{Prefix, RawRoute, Route, Veth, Via, at, text};
use crate::error::{Error, Result};

const DESTINATION: &str = "a network, like 10.1.0.0/16 or fd01::/48";

/// A destination that has a route already, and the source of that route.
struct KnownDestination {
    destination: Prefix,
    by: String,
    /// The index of the veth through which it is reached without a gateway.
    direct: Option<usize>,
}

pub fn read(raw: &[RawRoute], veths: &[Veth], devices: &[String]) -> Result<Vec<Route>> {
    let mut taken = of_veths(veths)?;
    let mut routes = Vec::new();
    for (index, route) in raw.iter().enumerate() {
        let route = one(route, index, veths, devices, &taken)?;
        take(
            &mut taken,
            &format!("routes[{index}].destination"),
            KnownDestination {
                destination: route.destination,
                by: format!("routes[{index}]"),
                direct: match (&route.out, route.gateway) {
                    (Via::Veth(place), None) => Some(*place),
                    _ => None,
                },
            },
        )?;
        routes.push(route);
    }
    Ok(routes)
}

fn take(taken: &mut Vec<KnownDestination>, path: &str, new: KnownDestination) -> Result<()> {
    if let Some(other) = taken.iter().find(|other| other.destination == new.destination) {
        let problem = format!("{} is reached through {} already; expected one route to it", new.destination, other.by);
        return Err(Error::config(path, problem));
    }
    taken.push(new);
    Ok(())
}

/// Returns the destinations of the routes that come from addresses and gateways of the veths.
fn of_veths(veths: &[Veth]) -> Result<Vec<KnownDestination>> {
    let mut taken = Vec::new();
    for (place, veth) in veths.iter().enumerate() {
        let by = || format!("networks[{}]", veth.index);
        for own in veth.addresses() {
            let path = at(veth.index, if own.address.is_ipv4() { "address" } else { "ipv6Address" });
            take(&mut taken, &path, KnownDestination { destination: own.network(), by: by(), direct: Some(place) })?;
        }
        for gateway in veth.gateways() {
            let path = at(veth.index, if gateway.is_ipv4() { "gateway" } else { "ipv6Gateway" });
            take(
                &mut taken,
                &path,
                KnownDestination { destination: Prefix::everywhere(gateway), by: by(), direct: None },
            )?;
        }
    }
    Ok(taken)
}

fn one(raw: &RawRoute, index: usize, veths: &[Veth], devices: &[String], taken: &[KnownDestination]) -> Result<Route> {
    let at = |field: &str| format!("routes[{index}].{field}");
    let destination = text::prefix(&raw.destination, &at("destination"), DESTINATION)?;
    if destination != destination.network() {
        let problem = format!("{destination} has bits beyond its prefix; expected {}", destination.network());
        return Err(Error::config(&at("destination"), problem));
    }
    if destination.address.is_multicast() {
        return Err(Error::config(&at("destination"), format!("{destination} is multicast; expected {DESTINATION}")));
    }
    let other_end = |field: &str, given: &Option<String>| -> Result<Option<IpAddr>> {
        let Some(given) = given else { return Ok(None) };
        let family = if destination.address.is_ipv4() { "an IPv4 address" } else { "an IPv6 address" };
        let address = text::address(given, &at(field), family)?;
        if address.is_ipv4() != destination.address.is_ipv4() {
            let problem = format!("{address} is not of the family of {destination}; expected {family}");
            return Err(Error::config(&at(field), problem));
        }
        Ok(Some(address))
    };
    let source = other_end("source", &raw.source)?;
    let gateway = other_end("gateway", &raw.gateway)?;
    let out = out(raw, &at("interfaceName"), gateway, veths, devices, taken)?;
    check_reach(&out, gateway, &at("gateway"), veths, taken)?;
    check_source(&out, source, &at("source"), veths)?;
    Ok(Route { destination, source, gateway, out })
}

/// Returns the interface of a route: the one it names, or the one through which its gateway is reached.
fn out(
    raw: &RawRoute,
    path: &str,
    gateway: Option<IpAddr>,
    veths: &[Veth],
    devices: &[String],
    taken: &[KnownDestination],
) -> Result<Via> {
    if let Some(name) = &raw.interface_name {
        if let Some(place) = veths.iter().position(|veth| veth.name.as_ref() == Some(name)) {
            return Ok(Via::Veth(place));
        }
        if name == "lo" || devices.contains(name) {
            return Ok(Via::Named(name.clone()));
        }
        let problem = format!("{name:?} is none of the container's interfaces; expected the name of one");
        return Err(Error::config(path, problem));
    }
    let Some(gateway) = gateway else {
        return Err(Error::config(path, "is missing; expected it, or a gateway in one of the networks"));
    };
    let direct = taken.iter().filter(|taken| taken.destination.contains(gateway)).find_map(|taken| taken.direct);
    direct.map(Via::Veth).ok_or_else(|| {
        Error::config(path, format!("is missing, and the gateway {gateway} is in none of the networks; expected it"))
    })
}

/// Checks that a gateway is reached without another gateway. Not for moved devices: their addresses are not in the
/// document.
fn check_reach(
    out: &Via,
    gateway: Option<IpAddr>,
    path: &str,
    veths: &[Veth],
    taken: &[KnownDestination],
) -> Result<()> {
    let (Via::Veth(place), Some(gateway)) = (out, gateway) else { return Ok(()) };
    let reached = taken.iter().any(|taken| taken.direct == Some(*place) && taken.destination.contains(gateway));
    if reached || text::is_link_local(gateway) {
        return Ok(());
    }
    let problem = format!(
        "{gateway} cannot be reached by networks[{}]; expected an address in its network, or an earlier route to it",
        veths[*place].index
    );
    Err(Error::config(path, problem))
}

fn check_source(out: &Via, source: Option<IpAddr>, path: &str, veths: &[Veth]) -> Result<()> {
    let (Via::Veth(_), Some(source)) = (out, source) else { return Ok(()) };
    if veths.iter().any(|veth| veth.addresses().any(|own| own.address == source)) {
        return Ok(());
    }
    Err(Error::config(path, format!("{source} is none of the container's addresses; expected one of them")))
}
