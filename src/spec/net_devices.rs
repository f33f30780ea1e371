//! `linux.netDevices`: devices of the host that become the container's (OCI runtime specification 1.3).

use super::namespaces::Namespaces;
use super::networks::interface_name;
use super::oci::{self, LinuxNamespaceType};
use super::shape;
use crate::error::{Error, Result};

/// A device to be moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetDevice {
    pub host_name: String,
    /// In the container; see [`NetDevice::template`].
    pub name: String,
}

impl NetDevice {
    /// The first part of a name that ends with "%d", which stands for the first number that is free.
    pub fn template(&self) -> Option<&str> {
        self.name.strip_suffix(NUMBER)
    }

    /// For errors.
    pub fn path(&self) -> String {
        shape::join(AT, &self.host_name)
    }
}

const AT: &str = "linux.netDevices";

const NUMBER: &str = "%d";

/// In the order of their names, so that what happens does not depend on chance.
pub fn list(spec: &oci::Spec) -> Vec<NetDevice> {
    let devices = spec.linux().as_ref().and_then(|linux| linux.net_devices().as_ref());
    let mut list: Vec<NetDevice> = devices
        .into_iter()
        .flatten()
        .map(|(host_name, device)| {
            let name = device.name().as_ref().filter(|name| !name.is_empty()).unwrap_or(host_name);
            NetDevice { host_name: host_name.clone(), name: name.clone() }
        })
        .collect();
    list.sort_by(|a, b| a.host_name.cmp(&b.host_name));
    list
}

pub(super) fn check(spec: &oci::Spec, namespaces: &Namespaces) -> Result<()> {
    let devices = list(spec);
    if !devices.is_empty() && !namespaces.has(LinuxNamespaceType::Network) {
        return Err(Error::config(
            AT,
            "has nowhere to move devices to; expected an entry of type \"network\" in linux.namespaces",
        ));
    }
    for (place, device) in devices.iter().enumerate() {
        let path = device.path();
        interface_name(&device.host_name, &path)?;
        let name_path = format!("{path}.name");
        match device.template() {
            // With the shortest number in its place.
            Some(first) => interface_name(&format!("{first}0"), &name_path)?,
            None => interface_name(&device.name, &name_path)?,
        };
        if device.host_name == "lo" || device.name == "lo" {
            return Err(Error::config(
                &path,
                "the loopback interface cannot be moved or replaced; expected another one",
            ));
        }
        let same = |other: &&NetDevice| other.name == device.name && device.template().is_none();
        if let Some(other) = devices[..place].iter().find(same) {
            let problem = format!("{:?} is the name of {}; expected another one", device.name, other.path());
            return Err(Error::config(&name_path, problem));
        }
    }
    Ok(())
}
