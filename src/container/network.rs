//! The networks of an existing container: counters, and their bridges during a checkpoint.

use std::os::fd::AsFd;

use nix::errno::Errno;
use serde_json::{Map, Value, json};

use super::{Container, Record};
use crate::error::{Code, Error, Result};
use crate::network::{self, Counters, Interface, Journal, PairRecord, Pin};
use crate::sys::pidfd;

/// The names of a veth pair's ends and bridge, which a checkpoint needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VethNames {
    /// The interface in the container.
    pub name: String,
    /// The interface on the host.
    pub host_name: String,
    /// The bridge that the host's interface is attached to, if any.
    pub bridge: Option<String>,
}

impl Container {
    pub(super) fn network_pin(&self) -> Pin {
        Pin::new(self.directory.network_namespace())
    }

    /// Releases the network namespace that is kept for the container's devices, unless the settings return devices to
    /// the host. As the specification requires, the kernel then treats the devices as usual when the namespace ends: it
    /// destroys virtual ones.
    pub(super) fn leave_devices(&self, record: &Record) -> Result<()> {
        let has_devices = record.network.as_ref().is_some_and(|journal| !journal.devices.is_empty());
        if has_devices && !self.runtime.settings.return_devices { self.network_pin().release() } else { Ok(()) }
    }

    fn journal(&self) -> Result<Journal> {
        Ok(self.record()?.network.unwrap_or_default())
    }

    /// Returns the container's veth pairs.
    pub fn veth_pairs(&self) -> Result<Vec<VethNames>> {
        let names = |PairRecord { name, host_name, bridge, .. }| VethNames { name, host_name, bridge };
        Ok(self.journal()?.pairs.into_iter().map(names).collect())
    }

    /// Detaches the host's ends of the veth pairs from their bridges. Connections stall until
    /// [`Container::attach_networks`].
    pub fn detach_networks(&self) -> Result<()> {
        network::detach(&self.journal()?)
    }

    /// Attaches the host's ends of the veth pairs to their bridges again.
    pub fn attach_networks(&self) -> Result<()> {
        network::attach(&self.journal()?)
    }

    /// Makes the recorded veth pairs the container's, as if create had created them. For use after a restore that has
    /// created them again under the same names.
    pub fn adopt_networks(&self) -> Result<()> {
        network::adopt(&self.journal()?)
    }

    /// Returns every interface in the container's network namespace.
    pub fn interfaces(&self) -> Result<Vec<Interface>> {
        let ended = || Error::new(Code::NotRunning, format!("container {:?} no longer has an init process", self.id));
        let init = self.record()?.init.ok_or_else(ended)?;
        let pidfd = init.identity.open()?.ok_or_else(ended)?;
        let namespace = network::of_process(init.identity.pid).map_err(|error| match error.errno {
            Some(Errno::ENOENT | Errno::ESRCH) => ended(),
            _ => error,
        })?;
        // The namespace was opened by init's pid. If init still exists now, the pid was not reused, and the namespace
        // is init's.
        pidfd::send_signal(&pidfd, 0).map_err(|_| ended())?;
        network::inside(namespace.as_fd(), self.runtime.setup_deadline())
    }

    /// Returns the veth pairs with their counters as the container sees them, and all interfaces in the container if
    /// `inside` is set, as JSON.
    pub fn interfaces_json(&self, inside: bool) -> Result<String> {
        let journal = self.journal()?;
        let mut networks = Vec::new();
        for (record, link) in journal.pairs.iter().zip(network::of_pairs(&journal)?) {
            let Some(link) = link else { continue };
            let mut fields = Map::new();
            fields.insert("name".into(), json!(record.name));
            fields.insert("hostInterfaceName".into(), json!(record.host_name));
            if let Some(bridge) = &record.bridge {
                fields.insert("bridge".into(), json!(bridge));
            }
            put_counters(&mut fields, link.counters.seen_from_the_other_end());
            networks.push(Value::Object(fields));
        }
        let mut document = json!({ "networks": networks });
        if inside {
            document["interfaces"] = self.interfaces()?.into_iter().map(interface_json).collect();
        }
        Ok(document.to_string())
    }
}

fn interface_json(interface: Interface) -> Value {
    let mut fields = Map::new();
    fields.insert("name".into(), json!(interface.name));
    fields.insert("up".into(), json!(interface.up));
    fields.insert("mtu".into(), json!(interface.mtu));
    if let Some(mac) = interface.mac {
        fields.insert("macAddress".into(), json!(mac.to_string()));
    }
    put_counters(&mut fields, interface.counters);
    Value::Object(fields)
}

fn put_counters(fields: &mut Map<String, Value>, counters: Counters) {
    let members = [
        ("receivedBytes", counters.received_bytes),
        ("receivedPackets", counters.received_packets),
        ("receivedErrors", counters.received_errors),
        ("receivedDropped", counters.received_dropped),
        ("sentBytes", counters.sent_bytes),
        ("sentPackets", counters.sent_packets),
        ("sentErrors", counters.sent_errors),
        ("sentDropped", counters.sent_dropped),
    ];
    fields.extend(members.map(|(name, number)| (name.to_owned(), json!(number))));
}
