//! `linux.netDevices`: devices are moved into the container and renamed, keep their addresses, and are moved back.

use berth::{Container, Force};
use serde_json::{Value, json};

use crate::common::*;
use crate::support::*;

/// Sets up a network namespace with a device; the other end has the addresses 10.5.0.9 and fd05::9.
fn with_device() {
    own_network();
    ip("link add berthdev type veth peer name berthpeer");
    ip("addr add 10.5.0.1/24 brd 10.5.0.255 dev berthdev");
    ip("addr add 10.6.0.1 peer 10.6.0.2 dev berthdev");
    ip("addr add fd05::1/64 dev berthdev nodad");
    ip("addr add 10.5.0.9/24 dev berthpeer");
    ip("addr add fd05::9/64 dev berthpeer nodad");
    ip("link set berthdev up mtu 1450");
    ip("link set berthpeer up");
}

/// A host whose devices return.
fn returning() -> TestRuntime {
    TestRuntime::with(|settings| settings.return_devices = true)
}

fn addresses() -> Value {
    let mut found = ip_json("addr show berthdev")[0]["addr_info"].clone();
    let list = found.as_array_mut().unwrap();
    list.retain(|address| address["scope"] != "link");
    list.sort_by_key(|address| address["local"].to_string());
    let shown =
        |address: &Value| json!([address["local"], address["address"], address["prefixlen"], address["broadcast"]]);
    list.iter().map(shown).collect()
}

fn moving(script: &str) -> Value {
    let mut config = network_shell(script);
    config["linux"]["netDevices"] = json!({ "berthdev": { "name": "net0" } });
    config
}

fn check_returned(test: &TestRuntime, before: &Value, links_before: &[String]) {
    assert_eq!(links(), links_before);
    assert_eq!(&addresses(), before);
    let link = &ip_json("link show berthdev")[0];
    assert!(link["flags"].as_array().unwrap().contains(&json!("UP")), "{link}");
    assert_eq!(link["mtu"], 1450);
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!mounts.contains(test.dir.path().to_str().unwrap()), "{mounts}");
}

#[test]
fn a_device_is_moved_in_and_back() {
    with_device();
    let before = (addresses(), links());
    let test = returning();
    let container = test.run(&moving("sleep 1000"), &quiet()).unwrap();
    assert_eq!(links(), ["berthpeer", "lo"]);
    let inside = exec_shell(&container, "ip addr show net0");
    for address in ["inet 10.5.0.1/24 brd 10.5.0.255", "inet 10.6.0.1 peer 10.6.0.2/32", "inet6 fd05::1/64", "mtu 1450"]
    {
        assert!(inside.contains(address), "{address} is not in {inside}");
    }
    exec_shell(&container, "ping -c 1 -W 60 10.5.0.9 && ping -c 1 -W 60 fd05::9");
    assert!(counter(&container, "net0", "sentPackets") > 0);
    container.delete(Force::Kill).unwrap();
    check_returned(&test, &before.0, &before.1);
    ip("link delete berthdev");
}

/// The specification: addresses with global scope go with the device. Others are the host's, and are there again.
#[test]
fn only_addresses_of_global_scope_go_with_it() {
    with_device();
    ip("addr add 10.7.0.1/24 scope link dev berthdev");
    ip("addr add 10.8.0.1/32 scope host dev berthdev");
    let local = || ip("addr show berthdev").matches("scope ").count();
    let before = local();
    let test = returning();
    let container = test.run(&moving("sleep 1000"), &quiet()).unwrap();
    let inside = exec_shell(&container, "ip addr show net0");
    assert!(inside.contains("inet 10.5.0.1/24"), "{inside}");
    assert!(!inside.contains("10.7.0.1") && !inside.contains("10.8.0.1"), "{inside}");
    container.delete(Force::Kill).unwrap();
    let back = ip("addr show berthdev");
    assert!(back.contains("inet 10.7.0.1/24") && back.contains("inet 10.8.0.1/32"), "{back}");
    eventually("all addresses are back", || local() == before);
    ip("link delete berthdev");
}

#[test]
fn a_device_returns_from_a_container_that_ended() {
    with_device();
    let before = (addresses(), links());
    let test = returning();
    let container = test.run(&moving("exit 0"), &quiet()).unwrap();
    container.wait(LONG).unwrap();
    // A veth device would be destroyed with the namespace; the library keeps it until the container is deleted.
    container.delete(Force::No).unwrap();
    check_returned(&test, &before.0, &before.1);
    ip("link delete berthdev");
}

#[test]
fn a_device_returns_whatever_the_container_did_to_it() {
    with_device();
    let before = (addresses(), links());
    let test = returning();
    let script = "ip addr flush dev net0; ip link set net0 down; \
        ip link set net0 name other address 02:00:00:00:00:99; ip link add net0 type bridge; exec sleep 1000";
    let mac = || ip_json("link show berthdev")[0]["address"].clone();
    let address = mac();
    let container = test.run(&moving(script), &quiet()).unwrap();
    eventually("the end of the script", || exec_shell(&container, "ls /sys/class/net") == "lo\nnet0\nother\n");
    container.delete(Force::Kill).unwrap();
    check_returned(&test, &before.0, &before.1);
    assert_eq!(mac(), address);
    ip("link delete berthdev");
}

#[test]
fn a_device_whose_name_is_taken_returns_under_another() {
    with_device();
    let test = returning();
    let container = test.run(&moving("sleep 1000"), &quiet()).unwrap();
    ip("link add berthdev type bridge");
    container.delete(Force::Kill).unwrap();
    let now = links();
    let back = now.iter().find(|name| !["berthdev", "berthpeer", "lo"].contains(&name.as_str())).unwrap();
    assert!(back.starts_with("berth") && now.len() == 4, "{now:?}");
    ip("link delete berthpeer");
}

/// In the specification's name template, "%d" becomes the first free number.
#[test]
fn a_name_may_contain_a_placeholder_for_a_number() {
    with_device();
    ip("link add berthmore type veth peer name berthrest");
    let before = links();
    let test = returning();
    let mut config = network_shell("sleep 1000");
    config["linux"]["netDevices"] = json!({ "berthdev": { "name": "net%d" }, "berthpeer": { "name": "net%d" } });
    let with_veth = test.config(&config).with_networks(r#"{"networks": [{"type": "veth", "name": "net0"}]}"#).unwrap();
    let first = Container::run(&test.runtime, &unique("d"), &with_veth, &quiet()).unwrap();
    assert_eq!(exec_shell(&first, "ls /sys/class/net"), "lo\nnet0\nnet1\nnet2\n");
    assert!(exec_shell(&first, "ip addr show net1").contains("inet 10.5.0.1/24"));
    // In a joined namespace names may be taken by devices of others.
    config["linux"]["netDevices"] = json!({ "berthmore": { "name": "net%d" } });
    join_namespace(&mut config, "network", &proc_of(&first, "ns/net").display().to_string());
    let second = test.run(&config, &quiet()).unwrap();
    assert_eq!(exec_shell(&first, "ls /sys/class/net"), "lo\nnet0\nnet1\nnet2\nnet3\n");
    second.delete(Force::Kill).unwrap();
    first.delete(Force::Kill).unwrap();
    assert_eq!(links(), before);
    ip("link delete berthdev");
    ip("link delete berthmore");
}

#[test]
fn a_joined_namespace_gives_it_back_too() {
    with_device();
    let before = (addresses(), links());
    let test = returning();
    let first = test.run(&shell("sleep 1000"), &quiet()).unwrap();
    let mut config = moving("sleep 1000");
    join_namespace(&mut config, "network", &proc_of(&first, "ns/net").display().to_string());
    let second: Container = test.run(&config, &quiet()).unwrap();
    assert_eq!(exec_shell(&first, "ls /sys/class/net"), "lo\nnet0\n");
    let taken = test.run(&config, &quiet()).unwrap_err();
    assert!(taken.message.starts_with("linux.netDevices.berthdev"), "{taken}");
    second.delete(Force::Kill).unwrap();
    check_returned(&test, &before.0, &before.1);
    assert_eq!(exec_shell(&first, "ls /sys/class/net"), "lo\n");
    ip("link delete berthdev");
}

#[test]
fn a_user_namespace_gets_it_and_loses_it() {
    with_device();
    let before = (addresses(), links());
    let test = returning();
    let mut config = moving("sleep 1000");
    with_user_namespace(&mut config);
    let container = test.run(&config, &quiet()).unwrap();
    exec_shell(&container, "ping -c 1 -W 60 10.5.0.9");
    container.delete(Force::Kill).unwrap();
    check_returned(&test, &before.0, &before.1);
    ip("link delete berthdev");
}

#[test]
fn a_damaged_record_does_not_keep_the_namespace() {
    with_device();
    let test = returning();
    let container = test.run(&moving("sleep 1000"), &quiet()).unwrap();
    let state = test.path("state").join(container.id());
    std::fs::write(state.join("state.json"), "{").unwrap();
    test.runtime.load(container.id()).unwrap_or(container).delete(Force::Kill).unwrap();
    assert!(!state.exists());
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!mounts.contains(test.dir.path().to_str().unwrap()), "{mounts}");
}

/// The specification: the runtime does not move it out of the namespace. One that lives on keeps it.
#[test]
fn a_device_stays_in_a_namespace_that_continues_to_exist() {
    with_device();
    let test = TestRuntime::new();
    let first = test.run(&shell("sleep 1000"), &quiet()).unwrap();
    let mut config = moving("sleep 1000");
    join_namespace(&mut config, "network", &proc_of(&first, "ns/net").display().to_string());
    test.run(&config, &quiet()).unwrap().delete(Force::Kill).unwrap();
    assert_eq!(exec_shell(&first, "ls /sys/class/net"), "lo\nnet0\n");
    assert!(exec_shell(&first, "ip addr show net0").contains("inet 10.5.0.1/24"));
    first.delete(Force::Kill).unwrap();
    // The last process is gone, and the kernel destroys a virtual device with its namespace.
    eventually("both ends are gone", || links() == ["lo"]);
}
