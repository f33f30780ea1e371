//! Traffic through the links, and its counters.

use std::io::{Read, Write};
use std::net::TcpListener;

use berth::{ExitStatus, Force};
use serde_json::json;

use crate::common::*;
use crate::support::*;

const MEGABYTE: u64 = 1 << 20;

#[test]
fn two_containers_reach_each_other() {
    bridged();
    let test = TestRuntime::new();
    let first = test.connect(&sleeper(), vec![veth(2)]).unwrap();
    let second = test.connect(&sleeper(), vec![veth(3)]).unwrap();
    for (port, address) in [(7000, "10.77.0.2"), (7001, "fd77::2")] {
        exec_shell(&second, &format!("ping -c 1 -W 60 {address}"));
        let server = listen(&first, &format!("nc -l -p {port} -e md5sum"), port);
        let data = "/dev/shm/data";
        let script = format!("head -c {MEGABYTE} /dev/urandom >{data}; nc {address} {port} <{data}; md5sum <{data}");
        let sums = exec_shell(&second, &script);
        let (theirs, ours) = sums.split_at(sums.len() / 2);
        assert_eq!(theirs, ours, "by {address}");
        assert_eq!(server.wait(LONG).unwrap(), ExitStatus::Exited(0));
    }
    exec_shell(&first, "ping -c 1 -W 60 10.77.0.3 && ping -c 1 -W 60 fd77::3");
}

#[test]
fn counters_grow_by_what_was_sent() {
    bridged();
    let test = TestRuntime::new();
    let first = test.connect(&sleeper(), vec![veth(2)]).unwrap();
    let second = test.connect(&sleeper(), vec![veth(3)]).unwrap();
    let before = (counter(&first, "eth0", "receivedBytes"), counter(&second, "eth0", "sentBytes"));
    listen(&first, "nc -l -p 7000 -e /bin/wc -c", 7000);
    let counted = exec_shell(&second, &format!("head -c {MEGABYTE} /dev/zero | nc 10.77.0.2 7000"));
    assert_eq!(counted, format!("{MEGABYTE}\n"));
    for grown in [counter(&first, "eth0", "receivedBytes") - before.0, counter(&second, "eth0", "sentBytes") - before.1]
    {
        assert!((MEGABYTE..MEGABYTE + MEGABYTE / 5).contains(&grown), "{grown}");
    }
    // The counters of the host's end agree, from the container's point of view. The kernel may send packets of its own
    // in between.
    eventually("the same count at both ends", || {
        let all = interfaces(&second);
        let inside = all["interfaces"].as_array().unwrap().iter().find(|link| link["name"] == "eth0").unwrap();
        ["receivedBytes", "sentBytes", "receivedPackets", "sentPackets"]
            .iter()
            .all(|name| inside[name] == all["networks"][0][name])
    });
    assert_eq!(counter(&second, "lo", "sentBytes"), 0);
    let without: serde_json::Value = serde_json::from_str(&second.interfaces_json(false).unwrap()).unwrap();
    assert_eq!(without["networks"][0]["name"], "eth0");
    assert_eq!(without["networks"][0]["bridge"], BRIDGE);
    assert!(without.get("interfaces").is_none());

    let name = second.veth_pairs().unwrap().remove(0).host_name;
    let named = berth::network::of_host(&[&name, "missing", "lo"]).unwrap();
    assert_eq!(named.iter().map(|link| link.name.as_str()).collect::<Vec<_>>(), [name.as_str(), "lo"]);
    assert!(named[0].counters.received_bytes >= MEGABYTE);
    second.delete(Force::Kill).unwrap();
    assert_eq!(berth::network::of_host(&[&name]).unwrap(), []);
}

#[test]
fn the_mtu_is_respected() {
    bridged();
    let test = TestRuntime::new();
    let container = test.connect(&sleeper(), vec![with(veth(2), "mtu", json!(1400))]).unwrap();
    exec_shell(&container, "ping -c 1 -W 60 10.77.0.1"); // the neighbours know each other from here on
    let before = counter(&container, "eth0", "sentPackets");
    exec_shell(&container, "ping -c 1 -W 60 -s 4000 10.77.0.1");
    let sent = counter(&container, "eth0", "sentPackets") - before;
    assert!((3..6).contains(&sent), "4008 bytes go in three packets of 1400, not in {sent}");
}

#[test]
fn a_server_of_the_host_is_reached_through_the_gateway() {
    bridged();
    // An address outside the container's network.
    ip("addr add 10.99.0.1/32 dev lo");
    ip("addr add fd99::1/128 dev lo nodad");
    let test = TestRuntime::new();
    let container = test.connect(&sleeper(), vec![veth(2)]).unwrap();
    for address in ["10.99.0.1", "fd99::1"] {
        let server = TcpListener::bind((address, 0)).unwrap();
        let port = server.local_addr().unwrap().port();
        let answering = std::thread::spawn(move || {
            let (mut client, from) = server.accept().unwrap();
            client.write_all(b"hello\n").unwrap();
            client.shutdown(std::net::Shutdown::Write).unwrap();
            let mut rest = Vec::new();
            client.read_to_end(&mut rest).unwrap();
            from.ip().to_string()
        });
        assert_eq!(exec_shell(&container, &format!("nc {address} {port} </dev/null")), "hello\n");
        assert!(["10.77.0.2", "fd77::2"].contains(&answering.join().unwrap().as_str()));
    }
}

#[test]
fn a_detached_container_is_not_reached() {
    bridged();
    let test = TestRuntime::new();
    let container = test.connect(&sleeper(), vec![veth(2)]).unwrap();
    exec_shell(&container, "ping -c 1 -W 60 10.77.0.1");
    container.detach_networks().unwrap();
    let (text, status) = exec_output(&container, &shell_process("ping -c 1 -W 1 10.77.0.1"));
    assert_eq!(status, ExitStatus::Exited(1), "{text}");
    container.attach_networks().unwrap();
    exec_shell(&container, "ping -c 1 -W 60 10.77.0.1");
}

#[test]
fn counters_of_a_stopped_container_are_gone() {
    bridged();
    let test = TestRuntime::new();
    let container = test.connect(&network_shell("exit 0"), vec![veth(2)]).unwrap();
    container.wait(LONG).unwrap();
    let process = container.init_process().unwrap();
    assert_eq!(process.wait(LONG).unwrap(), ExitStatus::Exited(0));
    assert_eq!(container.interfaces_json(true).unwrap_err().code, berth::Code::NotRunning);
    eventually("the end of the namespace", || container.interfaces_json(false).unwrap() == r#"{"networks":[]}"#);
}
