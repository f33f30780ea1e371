//! Reads `linux.netDevices`: network devices of the host to be moved into the container (OCI runtime specification
//! 1.3).

use super::namespaces::Namespaces;
use super::networks::interface_name;
use super::oci::{self, LinuxNamespaceType};
use super::shape;
use crate::error::{Error, Result};

/// A network device to be moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetDevice {
    pub host_name: String,
    /// Its name in the container; see [`NetDevice::template`].
    pub name: String,
}

impl NetDevice {
    /// Returns the part of the name before a final "%d", which the first free number replaces; None for a name without
    /// "%d".
    pub fn template(&self) -> Option<&str> {
        self.name.strip_suffix(NUMBER)
    }

    /// Returns its JSON path, for errors.
    pub fn path(&self) -> String {
        shape::join(AT, &self.host_name)
    }
}

const AT: &str = "linux.netDevices";

const NUMBER: &str = "%d";

/// Returns the devices sorted by name, because the order of the document's map is random.
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
            "has no network namespace to move devices to; expected an entry of type \"network\" in linux.namespaces",
        ));
    }
    let mut named = std::collections::HashMap::new();
    for device in &devices {
        let path = device.path();
        interface_name(&device.host_name, &path)?;
        let name_path = format!("{path}.name");
        match device.template() {
            // The name with the shortest number in place of "%d" must not be too long.
            Some(first) => interface_name(&format!("{first}0"), &name_path)?,
            None => interface_name(&device.name, &name_path)?,
        };
        if device.host_name == "lo" || device.name == "lo" {
            return Err(Error::config(
                &path,
                "the loopback interface cannot be moved or replaced; expected another one",
            ));
        }
        if device.template().is_none()
            && let Some(other) = named.insert(&device.name, device)
        {
            let problem = format!("{:?} is the name of {}; expected another one", device.name, other.path());
            return Err(Error::config(&name_path, problem));
        }
    }
    Ok(())
}
