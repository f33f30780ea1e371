//! The process that creates or deletes a container is killed at every fault point: one forced delete, or recover,
//! removes every link and returns every device.
#![cfg(feature = "fault-points")]

use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::Command;

use berth::{Container, Force, Runtime, Settings, fault};
use serde_json::json;

use crate::common::*;
use crate::support::*;

const ROOT: &str = "BERTH_TEST_NETWORK_ROOT";
const POINT: &str = "BERTH_TEST_NETWORK_POINT";
const ID: &str = "victim";

/// The process that is killed: this test, run by the next one.
#[test]
fn the_victim() {
    let (Some(root), Some(point)) = (std::env::var_os(ROOT), std::env::var(POINT).ok()) else { return };
    let runtime = Runtime::new(Settings { root: root.into(), return_devices: true, ..Settings::default() }).unwrap();
    fault::arm(&point, 1);
    let mut config = sleeper();
    config["linux"]["netDevices"] = json!({ "berthdev": { "name": "net0" } });
    let config = berth::spec::Config::from_json(&config.to_string(), Some(rootfs())).unwrap();
    let networks = json!({ "networks": [with(veth(2), "hostInterfaceName", json!("berthtest")), { "type": "veth" }] });
    let config = config.with_networks(&networks.to_string()).unwrap();
    let container = Container::run(&runtime, ID, &config, &options()).unwrap();
    container.delete(Force::Kill).unwrap();
}

/// Runs that process in the thread's network namespace.
fn killed_at(root: &PathBuf, point: &str) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "crash::the_victim", "--test-threads=1"]).env(ROOT, root).env(POINT, point);
    let output = command.output().unwrap();
    assert_eq!(output.status.signal(), Some(9), "{point}: {}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn after_a_crash_nothing_is_left_and_the_device_is_back() {
    nix::sys::prctl::set_child_subreaper(true).unwrap();
    bridged();
    ip("link add berthdev type veth peer name berthpeer");
    ip("addr add 10.5.0.1/24 dev berthdev");
    ip("link set berthdev up");
    let before = (links(), ip_json("addr show berthdev")[0]["addr_info"][0]["local"].clone());
    let test = TestRuntime::new();
    let passed =
        |point: &&&str| point.starts_with("create") || point.starts_with("delete") || point.starts_with("start");
    for (index, point) in fault::POINTS.iter().filter(passed).enumerate() {
        killed_at(&test.path("state"), point);
        if index % 2 == 0 && !["create.saved", "start.opened", "start.released", "start.running"].contains(point) {
            test.runtime.recover().unwrap();
        }
        if test.runtime.ids().unwrap() == [ID] {
            test.runtime.load(ID).unwrap().delete(Force::Kill).unwrap();
        }
        let after = (links(), ip_json("addr show berthdev")[0]["addr_info"][0]["local"].clone());
        assert_eq!(after, before, "{point}");
        assert_eq!(test.runtime.ids().unwrap(), [""; 0], "{point}");
    }
    ip("link delete berthdev");
}
