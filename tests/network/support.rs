//! A network namespace for the test's thread, with a bridge, and helpers that run `ip`.

use std::process::Command;

use berth::spec::Config;
use berth::{Container, ProcessOptions};
use nix::sched::{CloneFlags, unshare};
use serde_json::{Value, json};

use crate::common::*;

/// The name of the bridge that [`bridged`] creates in the test's own namespace.
pub const BRIDGE: &str = "berth0";

/// Moves the thread into a new network namespace, which acts as the host's. Threads and programs that it starts later
/// are in it, too.
pub fn own_network() {
    unshare(CloneFlags::CLONE_NEWNET).unwrap();
    ip("link set lo up");
}

/// Like [`own_network`], with a bridge that has 10.77.0.1/24 and fd77::1/64.
pub fn bridged() {
    own_network();
    ip(&format!("link add {BRIDGE} type bridge"));
    ip(&format!("addr add 10.77.0.1/24 dev {BRIDGE}"));
    ip(&format!("addr add fd77::1/64 dev {BRIDGE} nodad"));
    ip(&format!("link set {BRIDGE} up"));
}

pub fn ip(arguments: &str) -> String {
    let output = Command::new("ip").args(arguments.split(' ')).output().expect("ip runs (iproute2)");
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ip {arguments}: {text}");
    text
}

/// Returns the JSON output of `ip`.
pub fn ip_json(arguments: &str) -> Value {
    serde_json::from_str(&ip(&format!("-json -details {arguments}"))).unwrap()
}

/// Returns the sorted names of all links of the thread's namespace.
pub fn links() -> Vec<String> {
    let links = ip_json("link show");
    let mut names: Vec<String> =
        links.as_array().unwrap().iter().map(|link| link["ifname"].as_str().unwrap().to_owned()).collect();
    names.sort();
    names
}

/// Returns the configuration of a veth pair on the bridge with the addresses 10.77.0.`number` and fd77::`number`.
pub fn veth(number: u32) -> Value {
    json!({
        "type": "veth",
        "bridge": BRIDGE,
        "address": format!("10.77.0.{number}/24"),
        "gateway": "10.77.0.1",
        "ipv6Address": format!("fd77::{number}/64"),
        "ipv6Gateway": "fd77::1",
    })
}

pub fn with(mut network: Value, field: &str, value: Value) -> Value {
    network[field] = value;
    network
}

/// Returns the configuration of a shell that may ping.
pub fn network_shell(script: &str) -> Value {
    let mut config = shell(script);
    set_capabilities(&mut config, &["CAP_NET_RAW", "CAP_NET_ADMIN", "CAP_NET_BIND_SERVICE", "CAP_KILL"]);
    config
}

impl TestRuntime {
    pub fn network_config(&self, config: &Value, document: &Value) -> berth::Result<Config> {
        self.config(config).with_networks(&document.to_string())
    }

    /// Runs a container with these networks.
    pub fn connect(&self, config: &Value, networks: Vec<Value>) -> berth::Result<Container> {
        self.route(config, networks, vec![])
    }

    pub fn route(&self, config: &Value, networks: Vec<Value>, routes: Vec<Value>) -> berth::Result<Container> {
        let config = self.network_config(config, &json!({ "networks": networks, "routes": routes }))?;
        Container::run(&self.runtime, &unique("n"), &config, &quiet())
    }
}

/// Returns the configuration of a container that only sleeps.
pub fn sleeper() -> Value {
    network_shell("sleep 1000")
}

pub fn interfaces(container: &Container) -> Value {
    serde_json::from_str(&container.interfaces_json(true).unwrap()).unwrap()
}

/// Returns a counter of an interface as the container sees it.
pub fn counter(container: &Container, name: &str, counter: &str) -> u64 {
    let all = interfaces(container);
    let interface = all["interfaces"].as_array().unwrap().iter().find(|interface| interface["name"] == name);
    interface.unwrap_or_else(|| panic!("no {name} in {all}"))[counter].as_u64().unwrap()
}

/// Starts a listener in the container and returns once it listens, on IPv4 or IPv6.
pub fn listen(container: &Container, script: &str, port: u16) -> berth::Process {
    let process = container.exec(&parsed(&shell_process(script)), &piped()).unwrap();
    let waits = format!(":{port:04X} ");
    eventually("a listening socket", || {
        let table = exec_shell(container, "cat /proc/net/tcp /proc/net/tcp6");
        table.lines().any(|line| line.contains(&waits) && line.contains(" 0A "))
    });
    process
}

pub fn options() -> ProcessOptions {
    quiet()
}
