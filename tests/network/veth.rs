//! Veth pairs: their attributes, and that they are removed.

use berth::spec::Config;
use berth::{Container, Force, Status};
use serde_json::json;

use crate::common::*;
use crate::support::*;

#[test]
fn the_loopback_interface_of_a_new_namespace_is_up() {
    let test = TestRuntime::new();
    let text = test.stdout_of(&network_shell("ping -c 1 -W 60 127.0.0.1 && ping -c 1 -W 60 ::1 && ls /sys/class/net"));
    assert!(text.ends_with("lo\n"), "{text}");
    let mut config = network_shell("ping -c 1 -W 60 127.0.0.1");
    with_user_namespace(&mut config);
    test.stdout_of(&config);
}

#[test]
fn a_pair_is_as_it_was_asked_for() {
    bridged();
    let test = TestRuntime::new();
    let mut network = with(veth(2), "name", json!("net0"));
    network["hostInterfaceName"] = json!("berthtest");
    network["macAddress"] = json!("02:00:00:00:00:2a");
    network["mtu"] = json!(1400);
    network["txQueueLength"] = json!(77);
    network["hairpinMode"] = json!(true);
    let container = test.connect(&sleeper(), vec![network]).unwrap();

    let link = &ip_json("link show berthtest")[0];
    assert_eq!((&link["master"], &link["mtu"], &link["txqlen"]), (&json!(BRIDGE), &json!(1400), &json!(77)), "{link}");
    assert_eq!(link["linkinfo"]["info_slave_data"]["hairpin"], true, "{link}");
    assert!(link["flags"].as_array().unwrap().contains(&json!("UP")), "{link}");
    assert!(link["address"].as_str().unwrap().starts_with("fe:"), "{link}");

    let read = |file: &str| exec_shell(&container, &format!("cat /sys/class/net/net0/{file}"));
    assert_eq!(read("address"), "02:00:00:00:00:2a\n");
    assert_eq!(read("mtu"), "1400\n");
    assert_eq!(read("tx_queue_len"), "77\n");
    let addresses = exec_shell(&container, "ip addr show net0");
    assert!(addresses.contains("inet 10.77.0.2/24 brd 10.77.0.255"), "{addresses}");
    assert!(addresses.contains("inet6 fd77::2/64"), "{addresses}");
    assert!(exec_shell(&container, "ip route").contains("default via 10.77.0.1 dev net0"));
    assert!(exec_shell(&container, "ip -6 route").contains("default via fd77::1 dev net0"));

    container.delete(Force::Kill).unwrap();
    assert_eq!(links(), [BRIDGE, "lo"]);
}

#[test]
fn routes_lead_where_they_say() {
    bridged();
    let test = TestRuntime::new();
    let routes = vec![
        json!({ "destination": "169.254.1.1/32", "interfaceName": "eth1" }),
        json!({ "destination": "10.88.0.0/16", "gateway": "169.254.1.1", "interfaceName": "eth1" }),
        json!({ "destination": "10.99.0.0/16", "gateway": "10.77.0.9", "source": "10.77.0.2" }),
        json!({ "destination": "fd99::/48", "gateway": "fd77::9", "source": "fd77::2" }),
        json!({ "destination": "10.66.0.0/16", "interfaceName": "lo" }),
    ];
    let second = json!({ "type": "veth", "address": "169.254.7.2/32" });
    let container = test.route(&sleeper(), vec![veth(2), second], routes).unwrap();
    let table = exec_shell(&container, "ip route");
    for line in [
        "169.254.1.1 dev eth1",
        "10.88.0.0/16 via 169.254.1.1 dev eth1",
        "10.99.0.0/16 via 10.77.0.9 dev eth0  src 10.77.0.2",
        "10.66.0.0/16 dev lo",
    ] {
        assert!(table.contains(line), "{line} is not in {table}");
    }
    let table = exec_shell(&container, "ip -6 route");
    assert!(table.contains("fd99::/48 via fd77::9 dev eth0") && table.contains("src fd77::2"), "{table}");
}

#[test]
fn names_that_are_not_given_are_free_ones() {
    bridged();
    let test = TestRuntime::new();
    let network = || json!({ "type": "veth", "bridge": BRIDGE });
    let networks = vec![network(), with(network(), "name", json!("eth0")), network()];
    let first = test.connect(&sleeper(), networks.clone()).unwrap();
    let second = test.connect(&sleeper(), networks).unwrap();
    let mut names: Vec<String> = Vec::new();
    for container in [&first, &second] {
        let pairs = container.veth_pairs().unwrap();
        let inside: Vec<_> = pairs.iter().map(|pair| pair.name.as_str()).collect();
        assert_eq!(inside, ["eth1", "eth0", "eth2"]);
        names.extend(pairs.into_iter().map(|pair| pair.host_name));
    }
    names.extend([BRIDGE.to_owned(), "lo".to_owned()]);
    names.sort();
    assert_eq!(links(), names);
    first.delete(Force::Kill).unwrap();
    assert_eq!(links().len(), 5);
    second.delete(Force::Kill).unwrap();
    assert_eq!(links(), [BRIDGE, "lo"]);
}

#[test]
fn the_bridges_mtu_is_the_pairs_and_its_address_stays() {
    bridged();
    ip(&format!("link set {BRIDGE} mtu 9000"));
    ip(&format!("link add berthport address 02:00:00:00:00:01 mtu 9000 master {BRIDGE} type veth peer name berthpeer"));
    let test = TestRuntime::new();
    let container = test.connect(&sleeper(), vec![veth(2)]).unwrap();
    assert_eq!(exec_shell(&container, "cat /sys/class/net/eth0/mtu"), "9000\n");
    let bridge = &ip_json(&format!("link show {BRIDGE}"))[0];
    assert_eq!((&bridge["mtu"], &bridge["address"]), (&json!(9000), &json!("02:00:00:00:00:01")));
    container.delete(Force::Kill).unwrap();
}

#[test]
fn a_joined_namespace_gets_the_pair_and_loses_it_again() {
    bridged();
    let test = TestRuntime::new();
    let first = test.connect(&sleeper(), vec![veth(2)]).unwrap();
    let mut config = sleeper();
    join_namespace(&mut config, "network", &proc_of(&first, "ns/net").display().to_string());
    let second = test
        .connect(&config, vec![json!({ "type": "veth", "address": "10.78.0.2/24" }), json!({ "type": "loopback" })]);
    let second = second.unwrap();
    assert_eq!(second.veth_pairs().unwrap()[0].name, "eth1", "eth0 is the first container's");
    assert!(exec_shell(&first, "ip addr").contains("10.78.0.2/24"));
    second.delete(Force::Kill).unwrap();
    assert_eq!(exec_shell(&first, "ls /sys/class/net"), "eth0\nlo\n");

    let taken = test.connect(&config, vec![json!({ "type": "veth", "name": "eth0" })]).unwrap_err();
    assert!(taken.message.starts_with("networks[0].name: the joined network namespace has"), "{taken}");
    assert_eq!(links().len(), 3);
}

#[test]
fn a_container_in_a_user_namespace_has_networks_too() {
    bridged();
    let test = TestRuntime::new();
    let mut config = sleeper();
    with_user_namespace(&mut config);
    config["linux"]["sysctl"] = json!({ "net.ipv4.conf.eth0.forwarding": "1" });
    let container = test.connect(&config, vec![veth(2)]).unwrap();
    exec_shell(&container, "ping -c 1 -W 60 10.77.0.1 && ping -c 1 -W 60 fd77::1");
    assert_eq!(exec_shell(&container, "cat /proc/sys/net/ipv4/conf/eth0/forwarding"), "1\n");
    container.delete(Force::Kill).unwrap();
    assert_eq!(links(), [BRIDGE, "lo"]);
}

#[test]
fn a_container_that_has_ended_by_itself_leaves_no_link() {
    bridged();
    let test = TestRuntime::new();
    let container = test.connect(&network_shell("exit 0"), vec![veth(2)]).unwrap();
    container.wait(LONG).unwrap();
    container.delete(Force::No).unwrap();
    assert_eq!(links(), [BRIDGE, "lo"]);
}

#[test]
fn another_link_with_the_name_of_a_containers_link_stays() {
    bridged();
    let test = TestRuntime::new();
    let container = test.connect(&sleeper(), vec![with(veth(2), "hostInterfaceName", json!("berthtest"))]).unwrap();
    ip("link delete berthtest");
    ip("link add berthtest type veth peer name berthpeer");
    container.delete(Force::Kill).unwrap();
    assert_eq!(links(), [BRIDGE, "berthpeer", "berthtest", "lo"]);
}

#[test]
fn a_hundred_containers_are_created_and_deleted() {
    bridged();
    let test = TestRuntime::new();
    let count = if std::env::var_os("BERTH_VM").is_some() { 20 } else { 100 };
    let config = sleeper();
    let containers: Vec<Container> =
        (0..count).map(|number| test.connect(&config, vec![veth(number + 2)]).unwrap()).collect();
    assert_eq!(links().len(), count as usize + 2);
    exec_shell(&containers[0], &format!("ping -c 1 -W 60 10.77.0.{}", count + 1));
    for container in &containers {
        container.delete(Force::Kill).unwrap();
    }
    assert_eq!(links(), [BRIDGE, "lo"]);
}

#[test]
fn many_at_once_do_not_disturb_each_other() {
    bridged();
    let test = TestRuntime::new();
    std::thread::scope(|scope| {
        for thread in 0..4u32 {
            let test = &test;
            scope.spawn(move || {
                for round in 0..3 {
                    let container = test.connect(&sleeper(), vec![veth(2 + thread * 10 + round)]).unwrap();
                    assert_eq!(container.status().unwrap(), Status::Running);
                    container.delete(Force::Kill).unwrap();
                }
            });
        }
    });
    assert_eq!(links(), [BRIDGE, "lo"]);
}

#[test]
fn networks_are_taken_off_their_bridges_and_put_back() {
    bridged();
    let test = TestRuntime::new();
    let network = with(with(veth(2), "hairpinMode", json!(true)), "hostInterfaceName", json!("berthtest"));
    let container = test.connect(&sleeper(), vec![network]).unwrap();
    let master = || ip_json("link show berthtest")[0]["master"].clone();
    container.detach_networks().unwrap();
    assert_eq!(master(), json!(null));
    container.detach_networks().unwrap();
    container.attach_networks().unwrap();
    container.attach_networks().unwrap();
    assert_eq!(master(), BRIDGE);
    assert_eq!(ip_json("link show berthtest")[0]["linkinfo"]["info_slave_data"]["hairpin"], true);
    exec_shell(&container, "ping -c 1 -W 60 10.77.0.1");

    // As after a restore: the same name, but another link.
    ip("link set berthtest nomaster down address 02:00:00:00:00:99");
    assert!(container.attach_networks().unwrap_err().message.contains("berthtest"));
    container.adopt_networks().unwrap();
    assert_eq!(master(), BRIDGE);
    exec_shell(&container, "ping -c 1 -W 60 10.77.0.1");
    container.delete(Force::Kill).unwrap();
    assert_eq!(links(), [BRIDGE, "lo"]);
}

/// With the host's own services (udev), which see the links, too.
#[test]
fn in_the_hosts_own_namespace_it_is_the_same() {
    let bridge = format!("berth{}", std::process::id() % 1_000_000);
    struct Bridge<'a>(&'a str);
    impl Drop for Bridge<'_> {
        fn drop(&mut self) {
            ip(&format!("link delete {}", self.0));
        }
    }
    let test = TestRuntime::new();
    ip(&format!("link add {bridge} type bridge"));
    let _bridge = Bridge(&bridge);
    ip(&format!("link set {bridge} up"));
    let config = test.network_config(&sleeper(), &json!({ "networks": [{ "type": "veth", "bridge": bridge }] }));
    let config: Config = config.unwrap();
    let container = Container::run(&test.runtime, &unique("n"), &config, &options()).unwrap();
    let name = container.veth_pairs().unwrap().remove(0).host_name;
    assert!(links().contains(&name));
    container.delete(Force::Kill).unwrap();
    assert!(!links().contains(&name));
}
