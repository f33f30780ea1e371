//! Invalid input causes one clear error, and nothing is left.

use berth::{Code, Container};
use serde_json::{Value, json};

use crate::common::*;
use crate::support::*;

fn refused(test: &TestRuntime, config: &Value, networks: Vec<Value>, path: &str, words: &str) {
    let before = links();
    let error = test.connect(config, networks).unwrap_err();
    assert_eq!(error.code, Code::ConfigInvalid, "{error}");
    assert_eq!(error.detail["json_path"], path, "{error}");
    assert!(error.message.starts_with(path) && error.message.contains(words), "{error}");
    assert_eq!(links(), before, "{path}");
    assert_eq!(test.runtime.ids().unwrap(), [""; 0], "{path}");
}

#[test]
fn links_that_the_host_lacks_are_refused_before_anything_is_made() {
    bridged();
    ip("link add berthtaken type veth peer name berthpeer");
    let test = TestRuntime::new();
    let cases = [
        ("bridge", json!("berth9"), "the host has no interface \"berth9\""),
        ("bridge", json!("lo"), "\"lo\" is not a bridge"),
        ("bridge", json!("berthtaken"), "is not a bridge"),
        ("hostInterfaceName", json!("berthtaken"), "the host has an interface \"berthtaken\" already"),
        ("address", json!("fd77::2/64"), "is an IPv6 address; expected an IPv4 address"),
        ("ipv6Address", json!("10.77.0.2/24"), "is an IPv4 address; expected an IPv6 address"),
        ("gateway", json!("10.78.0.1"), "10.78.0.1 cannot be reached"),
    ];
    for (field, value, words) in cases {
        let path = format!("networks[1].{field}");
        refused(&test, &sleeper(), vec![json!({ "type": "loopback" }), with(veth(2), field, value)], &path, words);
    }
    let before = links();
    let route = json!({ "destination": "10.1.0.0/16", "gateway": "10.77.0.1" });
    let error = test.route(&sleeper(), vec![veth(2)], vec![route.clone(), route]).unwrap_err();
    assert!(error.message.starts_with("routes[1].destination: 10.1.0.0/16 is reached through routes[0]"), "{error}");
    assert_eq!(links(), before);
}

#[test]
fn devices_that_are_not_there_are_refused() {
    bridged();
    let test = TestRuntime::new();
    for (name, words) in [("berth9", "the host has no interface"), (BRIDGE, "cannot be moved")] {
        let mut config = sleeper();
        config["linux"]["netDevices"] = json!({ name: {} });
        refused(&test, &config, vec![], &format!("linux.netDevices.{name}"), words);
    }
}

#[test]
fn a_later_failure_leaves_no_link_either() {
    bridged();
    ip("link add berthdev type veth peer name berthpeer");
    ip("addr add 10.5.0.1/24 dev berthdev");
    let test = TestRuntime::new();
    let before = (links(), ip_json("addr show berthdev")[0]["addr_info"].clone());

    let mut config = sleeper();
    config["linux"]["netDevices"] = json!({ "berthdev": { "name": "dev0" } });
    push_mount(
        &mut config,
        json!({ "destination": "/tmp/x", "type": "tmpfs", "source": "t", "options": ["size=bad"] }),
    );
    let error = test.connect(&config, vec![veth(2)]).unwrap_err();
    assert!(error.message.contains("mounting tmpfs"), "{error}");
    let clean = || {
        assert_eq!((links(), ip_json("addr show berthdev")[0]["addr_info"].clone()), before);
        assert_eq!(test.runtime.ids().unwrap(), [""; 0]);
    };
    clean();

    let hook = test.path("hook");
    script(&hook, "exit 3");
    let mut config = sleeper();
    config["linux"]["netDevices"] = json!({ "berthdev": { "name": "dev0" } });
    config["hooks"] = json!({ "createRuntime": [{ "path": hook }] });
    assert_eq!(test.connect(&config, vec![veth(2)]).unwrap_err().code, Code::Hook);
    clean();

    // Refused by the kernel: a second interface cannot have the route of the first one.
    let mut config = sleeper();
    config["linux"]["netDevices"] = json!({ "berthdev": { "name": "dev0" } });
    let error = test
        .route(
            &config,
            vec![veth(2)],
            vec![json!({ "destination": "10.5.0.0/24", "interfaceName": "dev0", "gateway": "10.6.0.1" })],
        )
        .unwrap_err();
    assert!(error.message.starts_with("routes[0]: adding the route to 10.5.0.0/24 via 10.6.0.1 on dev0: "), "{error}");
    clean();
    ip("link delete berthdev");
}

#[test]
fn validate_and_explain_make_nothing() {
    bridged();
    let test = TestRuntime::new();
    let config = test.network_config(&sleeper(), &json!({ "networks": [veth(2)] })).unwrap();
    config.validate().unwrap();
    assert!(berth::explain(&config).unwrap().contains("bringing up the loopback interface"));
    assert_eq!(links(), [BRIDGE, "lo"]);
    let wrong = test.network_config(&sleeper(), &json!({ "networks": [with(veth(2), "bridge", json!("berth9"))] }));
    assert_eq!(wrong.unwrap().validate().unwrap_err().code, Code::ConfigInvalid);
    Container::create(&test.runtime, "twice", &config, &options()).unwrap();
    // The same configuration works for a second container: it fixes no name on the host.
    Container::create(&test.runtime, "again", &config, &options()).unwrap();
}
