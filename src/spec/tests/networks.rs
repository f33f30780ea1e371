//! Networks, routes and devices: invalid documents, and the content of valid ones.

use super::{Case, all_refused, bad, base, changed, explains};
use crate::error::Code;
use crate::spec::Config;
use crate::spec::net_devices;
use crate::spec::networks::{Networks, Via};

fn config() -> Config {
    Config::from_json(&base().to_string(), None).unwrap()
}

fn read(json: &str) -> crate::error::Result<Networks> {
    config().with_networks(json).map(|config| config.networks().clone())
}

#[test]
fn a_document_that_is_wrong_is_refused_by_its_path() {
    let veth = |members: &str| format!(r#"{{"networks": [{{"type": "veth", {members}}}]}}"#);
    let cases: &[(String, &str, &str)] = &[
        ("[]".into(), "(document)", "an object"),
        (r#"{"network": []}"#.into(), "network", "is not known"),
        (r#"{"networks": [{"type": "macvlan"}]}"#.into(), "networks[0].type", "loopback, veth"),
        (r#"{"networks": [{}]}"#.into(), "networks[0].type", "is required"),
        (veth(r#""adress": "10.0.0.2/24""#), "networks[0].adress", "is not known"),
        (veth(r#""name": "a b""#), "networks[0].name", "1 to 15 bytes"),
        (veth(r#""name": "lo""#), "networks[0].name", "loopback"),
        (veth(r#""hostInterfaceName": "0123456789abcdef""#), "networks[0].hostInterfaceName", "1 to 15 bytes"),
        (veth(r#""bridge": """#), "networks[0].bridge", "1 to 15 bytes"),
        (veth(r#""hairpinMode": true"#), "networks[0].hairpinMode", "expected bridge"),
        (veth(r#""macAddress": "33:33:00:00:00:01""#), "networks[0].macAddress", "multicast"),
        (veth(r#""address": "10.0.0.2""#), "networks[0].address", "no prefix length"),
        (veth(r#""address": "fd00::2/64""#), "networks[0].address", "is an IPv6 address"),
        (veth(r#""ipv6Address": "10.0.0.2/24""#), "networks[0].ipv6Address", "is an IPv4 address"),
        (veth(r#""address": "10.0.0.2/24", "gateway": "fd00::1""#), "networks[0].gateway", "is an IPv6 address"),
        (veth(r#""address": "10.0.0.2/24", "gateway": "10.0.1.1""#), "networks[0].gateway", "10.0.0.0/24"),
        (veth(r#""address": "10.0.0.2/24", "gateway": "10.0.0.2""#), "networks[0].gateway", "own address"),
        (veth(r#""ipv6Gateway": "fd00::1""#), "networks[0].ipv6Gateway", "expected ipv6Address"),
        (veth(r#""mtu": 67"#), "networks[0].mtu", "from 68"),
        (veth(r#""mtu": 1000, "ipv6Address": "fd00::2/64""#), "networks[0].mtu", "at least 1280"),
        (veth(r#""txQueueLength": 0"#), "networks[0].txQueueLength", "from 1"),
        (r#"{"networks": [{"type": "loopback", "mtu": 1500}]}"#.into(), "networks[0].mtu", "loopback"),
        (r#"{"networks": [{"type": "loopback", "name": "eth0"}]}"#.into(), "networks[0].name", "expected \"lo\""),
        (
            r#"{"networks": [{"type": "veth", "name": "a"}, {"type": "veth", "name": "a"}]}"#.into(),
            "networks[1].name",
            "networks[0]",
        ),
        (
            r#"{"networks": [{"type": "veth", "hostInterfaceName": "a"}, {"type": "veth", "hostInterfaceName": "a"}]}"#
                .into(),
            "networks[1].hostInterfaceName",
            "networks[0]",
        ),
        (
            r#"{"networks": [{"type": "veth", "address": "10.0.0.2/24"}, {"type": "veth", "address": "10.0.0.3/24"}]}"#
                .into(),
            "networks[1].address",
            "10.0.0.0/24 is reached through networks[0]",
        ),
    ];
    let mut failures = Vec::new();
    for (json, path, words) in cases {
        let result = read(json)
            .map_or_else(|error| explains(&error, Code::ConfigInvalid, path, words), |_| Err("accepted".into()));
        failures.extend(result.err().map(|problem| format!("{json}: {problem}")));
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn routes_that_lead_nowhere_or_twice_are_refused() {
    let cases = [
        (r#"{"destination": "10.1.2.3/16"}"#, "routes[0].destination", "expected 10.1.0.0/16"),
        (r#"{"destination": "10.1.0.0"}"#, "routes[0].destination", "no prefix length"),
        (r#"{"destination": "224.0.0.0/4", "interfaceName": "eth0"}"#, "routes[0].destination", "multicast"),
        (r#"{"destination": "10.1.0.0/16"}"#, "routes[0].interfaceName", "is missing"),
        (r#"{"destination": "10.1.0.0/16", "gateway": "10.9.0.1"}"#, "routes[0].interfaceName", "is missing"),
        (r#"{"destination": "10.1.0.0/16", "interfaceName": "eth7"}"#, "routes[0].interfaceName", "none of"),
        (r#"{"destination": "10.1.0.0/16", "gateway": "fd00::1"}"#, "routes[0].gateway", "not of the family"),
        (
            r#"{"destination": "10.1.0.0/16", "gateway": "10.9.0.1", "interfaceName": "eth0"}"#,
            "routes[0].gateway",
            "cannot be reached by networks[0]",
        ),
        (
            r#"{"destination": "10.1.0.0/16", "gateway": "10.0.0.1", "source": "10.0.0.9"}"#,
            "routes[0].source",
            "none of",
        ),
        (r#"{"destination": "10.0.0.0/24", "interfaceName": "eth0"}"#, "routes[0].destination", "networks[0] already"),
        (r#"{"destination": "0.0.0.0/0", "gateway": "10.0.0.1"}"#, "routes[0].destination", "networks[0] already"),
        (
            r#"{"destination": "fd01::/48", "gateway": "fd00::1"}, {"destination": "fd01::/48", "gateway": "fd00::7"}"#,
            "routes[1].destination",
            "routes[0] already",
        ),
    ];
    for (routes, path, words) in cases {
        let json = format!(
            r#"{{"networks": [{{"type": "veth", "address": "10.0.0.2/24", "gateway": "10.0.0.1",
                "ipv6Address": "fd00::2/64"}}], "routes": [{routes}]}}"#
        );
        let error = read(&json).expect_err(routes);
        explains(&error, Code::ConfigInvalid, path, words).unwrap_or_else(|problem| panic!("{routes}: {problem}"));
    }
}

#[test]
fn networks_need_a_network_namespace() {
    let mut document = base();
    document["linux"]["namespaces"].as_array_mut().unwrap().retain(|namespace| namespace["type"] != "network");
    let config = Config::from_json(&document.to_string(), None).unwrap();
    for (json, path) in [
        (r#"{"networks": [{"type": "loopback"}]}"#, "networks"),
        (r#"{"routes": [{"destination": "::/0"}]}"#, "routes"),
    ] {
        let error = config.with_networks(json).unwrap_err();
        explains(&error, Code::ConfigInvalid, path, "linux.namespaces").unwrap();
    }
    config.with_networks("{}").unwrap();
}

#[test]
fn a_valid_document_is_parsed_as_written() {
    let networks = read(
        r#"{"networks": [{"type": "loopback"}, {"type": "veth", "name": "eth1", "bridge": "b"}, {"type": "veth",
            "address": "169.254.7.2/32", "macAddress": "02:00:00:00:00:0A", "hairpinMode": false}, {"type": "veth"}],
           "routes": [{"destination": "169.254.1.1/32", "interfaceName": "eth0"},
                      {"destination": "0.0.0.0/0", "gateway": "169.254.1.1", "source": "169.254.7.2"},
                      {"destination": "10.0.0.0/8", "interfaceName": "lo"},
                      {"destination": "10.1.0.0/16", "interfaceName": "eth1"}]}"#,
    )
    .unwrap();
    let names: Vec<_> = networks.veths.iter().map(|veth| veth.name.as_deref().unwrap()).collect();
    assert_eq!(names, ["eth1", "eth0", "eth2"]);
    assert!(networks.loopback);
    let outs: Vec<_> = networks.routes.iter().map(|route| route.out.clone()).collect();
    assert_eq!(outs, [Via::Veth(1), Via::Veth(1), Via::Named("lo".into()), Via::Veth(0)]);
    assert_eq!(networks.veths[1].mac.unwrap().to_string(), "02:00:00:00:00:0a");
    assert_eq!(networks.veths[1].index, 2);
}

#[test]
fn networks_are_replaced_as_a_whole() {
    let with = config().with_networks(r#"{"networks": [{"type": "veth"}]}"#).unwrap();
    assert_eq!(with.networks().veths.len(), 1);
    assert_eq!(with.json(), config().json());
    assert_eq!(*with.with_networks("{}").unwrap().networks(), Networks::default());
}

#[test]
fn devices_have_names_and_a_namespace_to_go_to() {
    all_refused(&[
        bad("/linux/netDevices", r#"{"eth0": {"name": "a/b"}}"#, "linux.netDevices.eth0.name", "1 to 15 bytes"),
        bad("/linux/netDevices", r#"{"a b": {}}"#, "linux.netDevices[\"a b\"]", "1 to 15 bytes"),
        bad("/linux/netDevices", r#"{"lo": {}}"#, "linux.netDevices.lo", "loopback"),
        bad("/linux/netDevices", r#"{"eth0": {"name": "lo"}}"#, "linux.netDevices.eth0", "loopback"),
        bad("/linux/netDevices", r#"{"a": {"name": "b"}, "b": {}}"#, "linux.netDevices.b.name", "linux.netDevices.a"),
        bad("/linux/netDevices", r#"{"a": {"name": "0123456789abcde%d"}}"#, "linux.netDevices.a.name", "1 to 15 bytes"),
        bad("/linux/netDevices", r#"{"a": {"name": "%dx"}}"#, "linux.netDevices.a.name", "1 to 15 bytes"),
        bad("/linux/netDevices", r#"{"a": {"name": "x%d%d"}}"#, "linux.netDevices.a.name", "1 to 15 bytes"),
        bad("/linux/netDevices", r#"{"a%d": {"name": "x"}}"#, "linux.netDevices[\"a%d\"]", "1 to 15 bytes"),
        bad("/linux/netDevices", r#"{"eth0": 1}"#, "linux.netDevices.eth0", "an object"),
        Case {
            path: "linux.netDevices",
            ..bad("/linux/netDevices", r#"{"eth0": {}}"#, "", "has no network namespace")
        }
        .with("/linux/namespaces", r#"[{"type": "mount"}]"#)
        .with("/hostname", "\"\""),
    ]);
    Config::from_json(&changed(&[("/linux/netDevices", r#"{"a": {"name": "x%d"}, "b": {"name": "x%d"}}"#)]), None)
        .unwrap();
    let json = changed(&[("/linux/netDevices", r#"{"b": {"name": ""}, "a": {"name": "x"}}"#)]);
    let config = Config::from_json(&json, None).unwrap();
    let found: Vec<_> =
        net_devices::list(config.spec()).into_iter().map(|device| (device.host_name, device.name)).collect();
    assert_eq!(found, [("a".into(), "x".into()), ("b".into(), "b".to_owned())]);
    let error = config.with_networks(r#"{"networks": [{"type": "veth", "name": "x"}]}"#).unwrap_err();
    explains(&error, Code::ConfigInvalid, "networks[0].name", "linux.netDevices").unwrap();
}
