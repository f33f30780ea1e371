//! Networks across checkpoint and restore: connections stay established, veth pairs are restored.

use std::path::Path;

use berth::criu::{CheckpointOptions, RestoreOptions, VethPair};
use berth::{Container, Force, Runtime, Settings};
use serde_json::{Value, json};

use crate::common::*;
use crate::links::*;
use crate::support::*;

fn established(images: &Path) -> CheckpointOptions {
    CheckpointOptions { tcp_established: true, ..into(images) }
}

fn established_back(images: &Path) -> RestoreOptions {
    RestoreOptions { tcp_established: true, ..from(images) }
}

/// A server that writes each received line to /data/received, and a client that sends it numbers.
struct Connection {
    server: Container,
    client: Container,
    server_config: berth::spec::Config,
    client_config: berth::spec::Config,
}

impl Connection {
    fn new(test: &TestRuntime, data: &Path) -> Connection {
        let documents =
            [2, 3].map(|number| json!({ "networks": [with(veth(number), "name", json!("eth0"))] }).to_string());
        // Keep nc's standard input open: at end of file nc closes the connection.
        let mut server = network_shell(
            "sleep 100000 | nc -l -p 7000 | while read line; do echo $line > /data/new; mv /data/new /data/received; done",
        );
        with_data(&mut server, data);
        let send = "n=0; while :; do n=$((n+1)); echo $n; sleep 0.02; done | nc 10.77.0.2 7000";
        let server_config = test.config(&server).with_networks(&documents[0]).unwrap();
        let client_config = test.config(&network_shell(send)).with_networks(&documents[1]).unwrap();
        let run = |config| Container::run(&test.runtime, &unique("n"), config, &quiet()).unwrap();
        let server = run(&server_config);
        eventually("the server listens", || exec_shell(&server, "cat /proc/net/tcp /proc/net/tcp6").contains(":1B58 "));
        let client = run(&client_config);
        Connection { server, client, server_config, client_config }
    }
}

fn received(data: &Path) -> u64 {
    std::fs::read_to_string(data.join("received")).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0)
}

fn receives_on(data: &Path) -> u64 {
    let before = received(data);
    eventually("the connection carries on", || received(data) > before);
    received(data)
}

#[test]
fn a_connection_stays_established_when_the_server_is_left_running() {
    bridged();
    let test = test_runtime();
    let data = test.data();
    let connection = Connection::new(&test, &data);
    receives_on(&data);
    let error = connection.server.checkpoint(&into(&test.images("refused"))).unwrap_err();
    assert!(error.message.contains("allow established TCP connections"), "{error}");
    // The refused checkpoint had taken the link off the bridge: it must be back, and the connection must work.
    receives_on(&data);
    let options = CheckpointOptions { leave_running: true, ..established(&test.images("images")) };
    checkpoint(&connection.server, &options);
    receives_on(&data);
    end(connection.client);
    end(connection.server);
}

#[test]
fn a_connection_stays_established_when_the_server_is_restored() {
    bridged();
    let test = test_runtime();
    let data = test.data();
    let connection = Connection::new(&test, &data);
    receives_on(&data);
    checkpoint(&connection.server, &established(&test.images("images")));
    connection.server.delete(Force::No).unwrap();
    let stood_at = received(&data);
    let id = unique("n");
    let options = established_back(&test.images("images"));
    let restored = Container::restore(&test.runtime, &id, &connection.server_config, &options)
        .unwrap_or_else(|error| panic!("{error}\n{}", log_tail(&error)));
    assert!(receives_on(&data) > stood_at);
    // The veth pair belongs to the restored container as if create had made it: it has counters, and is deleted with
    // the container.
    assert!(crate::links::counter(&restored, "eth0", "receivedBytes") > 0);
    let names = restored.veth_pairs().unwrap();
    assert!(links().contains(&names[0].host_name), "{:?}", links());
    assert_eq!(names[0].bridge.as_deref(), Some(BRIDGE));
    end(restored);
    end(connection.client);
    assert_eq!(links(), [BRIDGE, "lo"]);
}

#[test]
fn a_connection_stays_established_when_the_client_is_restored() {
    bridged();
    let test = test_runtime();
    let data = test.data();
    let connection = Connection::new(&test, &data);
    receives_on(&data);
    checkpoint(&connection.client, &established(&test.images("images")));
    connection.client.delete(Force::No).unwrap();
    let stood_at = received(&data);
    let id = unique("n");
    let options = established_back(&test.images("images"));
    let restored = Container::restore(&test.runtime, &id, &connection.client_config, &options)
        .unwrap_or_else(|error| panic!("{error}\n{}", log_tail(&error)));
    assert!(receives_on(&data) > stood_at);
    end(restored);
    end(connection.server);
    assert_eq!(links(), [BRIDGE, "lo"]);
}

#[test]
fn connections_are_restored_as_closed_ones_where_that_is_wanted() {
    bridged();
    let test = test_runtime();
    let data = test.data();
    let connection = Connection::new(&test, &data);
    receives_on(&data);
    let images = test.images("images");
    checkpoint(&connection.server, &established(&images));
    connection.server.delete(Force::No).unwrap();
    let options = RestoreOptions { tcp_close: true, ..from(&images) };
    let restored = Container::restore(&test.runtime, &unique("n"), &connection.server_config, &options)
        .unwrap_or_else(|error| panic!("{error}\n{}", log_tail(&error)));
    // In /proc/net/tcp state 01 is "established", and 1B58 is the port.
    let table = exec_shell(&restored, "cat /proc/net/tcp /proc/net/tcp6");
    assert!(!table.lines().any(|line| line.contains(":1B58 ") && line.contains(" 01 ")), "{table}");
    // The program sees the connection closed.
    eventually("nc has ended", || exec_shell(&restored, "pidof nc || true").trim().is_empty());
    end(restored);
    end(connection.client);
}

/// Connections in the backlog of a listener that were never accepted.
#[test]
fn connections_that_were_not_accepted_need_an_option_to_be_left_out() {
    own_network();
    let test = test_runtime();
    let data = test.data();
    checkpoint_workload(&data);
    let port = 7001;
    let mut config = shell("");
    without_namespace(&mut config, "network");
    config["process"]["args"] = json!(["/data/checkpoint_workload", "listen", port.to_string()]);
    with_data(&mut config, &data);
    let container = test.run(&config, &quiet()).unwrap();
    let result = || std::fs::read_to_string(data.join("result")).unwrap_or_default();
    eventually("it listens", || result() == "ready\n");
    let first = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    let error = container.checkpoint(&into(&test.images("refused"))).unwrap_err();
    assert!(error.message.contains("skip TCP connections in flight"), "{error}\n{}", log_tail(&error));
    assert_eq!(container.status().unwrap(), berth::Status::Running);
    let options = CheckpointOptions { tcp_skip_in_flight: true, ..into(&test.images("images")) };
    checkpoint(&container, &options);
    end(container);
    drop(first);
    let restored = test.restored(&config, &test.images("images"));
    restored.signal(libc::SIGUSR2, berth::Recipients::Init).unwrap();
    let _second = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    assert_eq!(restored.wait(LONG).unwrap(), berth::ExitStatus::Exited(0), "{}", result());
    assert_eq!(result(), "survived\n");
    end(restored);
}

fn pairs_config(test: &TestRuntime, networks: Value) -> berth::spec::Config {
    test.network_config(&sleeper(), &json!({ "networks": networks })).unwrap()
}

#[test]
fn pairs_are_restored_with_their_addresses_under_new_names_on_the_host() {
    bridged();
    let test = test_runtime();
    let networks =
        json!([with(veth(2), "name", json!("eth0")), { "type": "veth", "name": "own", "address": "10.78.0.2/24" }]);
    let config = pairs_config(&test, networks);
    let container = Container::run(&test.runtime, &unique("n"), &config, &quiet()).unwrap();
    let addresses = |container: &Container| {
        exec_shell(
            container,
            "ip -o addr | grep -v link | sed 's/ *valid.*//; s/^[0-9]*: //'; ip -o route; cat /sys/class/net/eth0/address",
        )
    };
    let before = addresses(&container);
    checkpoint(&container, &into(&test.images("images")));
    end(container);
    let restored = Container::restore(&test.runtime, &unique("n"), &config, &from(&test.images("images")))
        .unwrap_or_else(|error| panic!("{error}\n{}", log_tail(&error)));
    assert_eq!(addresses(&restored), before);
    exec_shell(&restored, "ping -c 1 -W 20 10.77.0.1 > /dev/null");
    end(restored);
    assert_eq!(links(), [BRIDGE, "lo"]);
}

/// A veth pair that the caller made, and restores under another name.
#[test]
fn further_pairs_are_restored_under_the_names_that_are_asked_for() {
    bridged();
    let test = test_runtime();
    let container = test.run(&sleeper(), &quiet()).unwrap();
    let pid = container.init_process().unwrap().pid();
    ip(&format!("link add mine0 type veth peer name inner netns {pid}"));
    checkpoint(&container, &into(&test.images("images")));
    end(container);
    eventually("the pair has gone with its container", || links() == [BRIDGE, "lo"]);
    let veth_pairs = vec![VethPair { name: "inner".into(), host_name: "mine1".into() }];
    let options = RestoreOptions { veth_pairs, ..from(&test.images("images")) };
    let restored = test.restore(&sleeper(), &options).unwrap_or_else(|error| panic!("{error}\n{}", log_tail(&error)));
    assert_eq!(links(), [BRIDGE, "lo", "mine1"]);
    assert!(exec_shell(&restored, "ls /sys/class/net").contains("inner"));
    end(restored);
}

#[test]
fn an_empty_network_namespace_has_nothing_of_the_old_one() {
    bridged();
    let test = test_runtime();
    let config = pairs_config(&test, json!([with(veth(2), "name", json!("eth0"))]));
    let container = Container::run(&test.runtime, &unique("n"), &config, &quiet()).unwrap();
    let options = CheckpointOptions { empty_network: true, ..into(&test.images("images")) };
    checkpoint(&container, &options);
    end(container);
    let options = RestoreOptions { empty_network: true, ..from(&test.images("images")) };
    let restored = test.restore(&sleeper(), &options).unwrap_or_else(|error| panic!("{error}\n{}", log_tail(&error)));
    assert_eq!(exec_shell(&restored, "ls /sys/class/net").split_whitespace().collect::<Vec<_>>(), ["lo"]);
    end(restored);
    assert_eq!(links(), [BRIDGE, "lo"]);
}

/// Images do not contain a joined network namespace: the restored container joins it again.
#[test]
fn joined_namespaces_are_joined_again() {
    own_network();
    let test = test_runtime();
    let data = test.data();
    let keeper = test.run(&sleeper(), &quiet()).unwrap();
    let mut config = crate::support::counter(&data);
    for (kind, name) in [("network", "net"), ("ipc", "ipc"), ("uts", "uts")] {
        join_namespace(&mut config, kind, proc_of(&keeper, &format!("ns/{name}")).to_str().unwrap());
    }
    config.as_object_mut().unwrap().remove("hostname");
    let namespaces = |container: &Container| {
        ["net", "ipc", "uts"].map(|name| std::fs::read_link(proc_of(container, &format!("ns/{name}"))).unwrap())
    };
    test.dumped(&config, &data, &into(&test.images("images")));
    let restored = test.restored(&config, &test.images("images"));
    counts_on(&data);
    assert_eq!(namespaces(&restored), namespaces(&keeper));
    end(restored);
    end(keeper);
}

/// Images do not contain a joined network namespace, and deleting the dumped container returned the device to the host.
#[test]
fn a_device_is_restored_in_a_joined_namespace() {
    own_network();
    let mut test = test_runtime();
    let data = test.data();
    for return_devices in [false, true] {
        ip("link add berthdev type veth peer name berthpeer");
        let settings = Settings { root: test.path("state"), criu: Some(criu()), return_devices, ..Settings::default() };
        test.runtime = Runtime::new(settings).unwrap();
        let keeper = test.run(&sleeper(), &quiet()).unwrap();
        let mut config = crate::support::counter(&data);
        join_namespace(&mut config, "network", proc_of(&keeper, "ns/net").to_str().unwrap());
        config["linux"]["netDevices"] = json!({ "berthdev": { "name": "eth5" } });
        let there = || exec_shell(&keeper, "cat /proc/net/dev").contains("eth5:");
        let images = test.images(&format!("images-{return_devices}"));
        test.dumped(&config, &data, &into(&images));
        assert_eq!(there(), !return_devices);
        let restored = test.restored(&config, &images);
        counts_on(&data);
        assert!(there());
        end(restored);
        assert_eq!(there(), !return_devices);
        end(keeper);
        if return_devices {
            ip("link delete berthdev");
        }
        eventually("the device is gone with its namespace", || links() == ["lo"]);
    }
}
