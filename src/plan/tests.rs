//! Plans as readable text: what the default configuration does, and what changes with it.

use std::path::Path;

use super::{Create, Plan, Step, create};
use crate::cgroup::Layout;
use crate::spec::Config;

fn plan_of(json: &str) -> Plan {
    let config = Config::from_json(json, Some(Path::new("/rootfs"))).unwrap();
    let layout = Layout { paths: [(String::new(), "/sys/fs/cgroup/berth-a".into())].into(), ..Layout::default() };
    create(&Create {
        config: &config,
        rootfs: "/rootfs".into(),
        layout: &layout,
        into_cgroup: true,
        attached_by_host: false,
        networks: false,
        parent_death_signal: 0,
        keyring: true,
        find_program: false,
        root: super::RootOptions::default(),
    })
    .unwrap()
}

fn words(plan: &Plan) -> String {
    plan.steps.iter().map(|step| step.describe() + "\n").collect()
}

/// The default configuration, changed at one JSON pointer.
fn changed(pointer: &str, value: &str) -> Plan {
    let mut config: serde_json::Value = serde_json::from_str(&Config::default_json()).unwrap();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    config.pointer_mut(parent).unwrap()[name] = serde_json::from_str(value).unwrap();
    plan_of(&config.to_string())
}

fn position(plan: &Plan, words: &str) -> usize {
    let found = plan.steps.iter().position(|step| step.describe().starts_with(words));
    found.unwrap_or_else(|| panic!("no step {words:?} in:\n{}", self::words(plan)))
}

#[test]
fn the_plan_of_the_default_configuration() {
    assert_eq!(words(&plan_of(&Config::default_json())), include_str!("default-plan.txt"));
}

#[test]
fn the_default_configuration_needs_one_process_and_all_namespaces_at_once() {
    let plan = plan_of(&Config::default_json());
    let flags = libc::CLONE_NEWNS | libc::CLONE_NEWPID | libc::CLONE_NEWIPC | libc::CLONE_NEWUTS | libc::CLONE_NEWNET;
    assert_eq!(plan.clone_flags, flags as u64);
    assert!(!plan.forks());
}

#[test]
fn in_a_user_namespace_the_hosts_trees_are_opened_while_still_outside() {
    let mut config: serde_json::Value = serde_json::from_str(&Config::default_json()).unwrap();
    config["linux"]["namespaces"].as_array_mut().unwrap().push(serde_json::json!({ "type": "user" }));
    let map = serde_json::json!([{ "containerID": 0, "hostID": 100000, "size": 65536 }]);
    config["linux"]["uidMappings"] = map.clone();
    config["linux"]["gidMappings"] = map;
    let plan = plan_of(&config.to_string());
    let fork = position(&plan, "going on in new namespaces: user");
    let last_open = plan.steps.iter().rposition(|step| matches!(step, Step::OpenTree { .. })).unwrap();
    assert!(last_open < fork);
    assert_eq!(position(&plan, "becoming root of the user namespace"), fork + 2);
    assert!(!plan.steps.iter().any(|step| matches!(step, Step::MakeNode { .. })), "device nodes cannot be made there");
    assert_eq!(plan.clone_flags, 0);
}

#[test]
fn privileges_are_dropped_last_and_in_the_order_that_allows_it() {
    let plan = plan_of(&Config::default_json());
    let order = [
        "moving into the root filesystem",
        "telling the host",
        "waiting at exec.fifo",
        "limiting the bounding set",
        "becoming uid",
        "setting capabilities",
        "setting no_new_privs",
        "executing",
    ];
    let places: Vec<usize> = order.iter().map(|words| position(&plan, words)).collect();
    assert!(places.is_sorted(), "{places:?}");
}

#[test]
fn a_readonly_dev_is_filled_before_it_is_closed() {
    let plan = changed("/mounts/1/options", r#"["nosuid", "ro"]"#);
    let closed = position(&plan, "changing the options of the mount /dev");
    assert!(position(&plan, "making the symlink /dev/ptmx") < closed);
    let Step::Mount { attributes, .. } = &plan.steps[position(&plan, "mounting tmpfs on /dev")] else { panic!() };
    assert_eq!(attributes & libc::MOUNT_ATTR_RDONLY, 0);
}

#[test]
fn hooks_that_run_before_pivot_root_are_waited_for_there() {
    let plan = changed("/hooks", r#"{"createRuntime": [{"path": "/bin/true"}]}"#);
    assert!(position(&plan, "waiting for the host to run hooks") < position(&plan, "moving into the root filesystem"));
    let without = changed("/hooks", r#"{"poststart": [{"path": "/bin/true"}]}"#);
    assert!(!words(&without).contains("hooks"));
}

#[test]
fn explaining_tells_each_step_with_what_it_touches() {
    let plan = plan_of(&Config::default_json());
    let explained = plan.explain();
    let steps = explained["steps"].as_array().unwrap();
    assert_eq!(steps.len(), plan.steps.len());
    let shm = steps.iter().find(|step| step["target"] == "/dev/shm").unwrap();
    assert_eq!(shm["op"], "Mount");
    assert_eq!(shm["attributes"], serde_json::json!(["nosuid", "nodev", "noexec"]));
    assert_eq!(shm["options"], serde_json::json!(["mode=1777", "size=65536k"]));
}
