//! Compares plans as text: the steps of the default configuration, and the changes that fields cause.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use berth_init::fields::{Slot, Words};
use berth_init::steps::read_next;
use serde_json::json;

use super::{
    Create, Plan, Program, ProgramPlace, Step, clone_mounts, create, detach_mount, netlink_socket, program, step,
};
use crate::cgroup::Layout;
use crate::security::labels::Module;
use crate::spec::Config;

fn plan_of(json: &str) -> Plan {
    plan_for(json, Path::new("/rootfs"))
}

fn plan_for(json: &str, rootfs: &Path) -> Plan {
    let config = Config::from_json(json, Some(rootfs)).unwrap();
    let layout = Layout { paths: [(String::new(), "/sys/fs/cgroup/berth-a".into())].into(), ..Layout::default() };
    create(&Create {
        config: &config,
        rootfs,
        layout: &layout,
        into_cgroup: true,
        attached_by_host: false,
        resctrl: None,
        networks: false,
        parent_death_signal: 0,
        keyring: true,
        find_program: false,
        plain_newlines: false,
        root: super::RootOptions::default(),
        device_dir: Path::new("/state/devices"),
    })
    .unwrap()
}

fn words(plan: &Plan) -> String {
    plan.steps.iter().map(|step| step.describe() + "\n").collect()
}

/// Returns the plan of the default configuration with one JSON pointer changed.
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
fn the_default_configuration_needs_one_process_and_a_network_that_is_made_beside_it() {
    let plan = plan_of(&Config::default_json());
    let flags = libc::CLONE_NEWNS | libc::CLONE_NEWPID | libc::CLONE_NEWIPC | libc::CLONE_NEWUTS;
    assert_eq!(plan.clone_flags, flags as u64);
    assert!(!plan.forks());
}

#[test]
fn a_network_that_is_made_beside_is_entered_before_anything_can_depend_on_it() {
    let entered = |plan: &Plan| position(plan, "creating a network namespace");
    let plan = plan_of(&Config::default_json());
    assert!(position(&plan, "mounting mqueue") < entered(&plan));
    assert_eq!(position(&plan, "bringing up the loopback interface"), entered(&plan) + 1);
    assert_eq!(position(&plan, "mounting sysfs"), entered(&plan) + 2);
    // The source may be a file in the mounting process's /proc/net.
    let bind = r#"[{"destination": "/net", "source": "/proc/net", "type": "bind", "options": ["bind"]}]"#;
    let plan = changed("/mounts", bind);
    assert!(entered(&plan) < position(&plan, "opening the mounts at /proc/net"));
    let plan = changed("/mounts", "[]");
    assert!(entered(&plan) < position(&plan, "creating the device /dev/null"), "without any mount, too");
}

#[test]
fn in_a_user_namespace_the_hosts_trees_are_opened_while_still_outside() {
    let mut config: serde_json::Value = serde_json::from_str(&Config::default_json()).unwrap();
    config["linux"]["namespaces"].as_array_mut().unwrap().push(serde_json::json!({ "type": "user" }));
    let map = serde_json::json!([{ "containerID": 0, "hostID": 100000, "size": 65536 }]);
    config["linux"]["uidMappings"] = map.clone();
    config["linux"]["gidMappings"] = map;
    let plan = plan_of(&config.to_string());
    let fork = position(&plan, "forking into the new namespaces: user");
    let last_open = plan.steps.iter().rposition(|step| matches!(step, Step::OpenTree { .. })).unwrap();
    assert!(last_open < fork);
    assert_eq!(position(&plan, "becoming root of the user namespace"), fork + 2);
    assert!(!plan.steps.iter().any(|step| matches!(step, Step::MakeNode { .. })), "device nodes cannot be made there");
    assert_eq!(plan.clone_flags, 0);
}

/// A source beneath the root filesystem is resolved from its root, and only after earlier mounts if one of them
/// provides it.
#[test]
fn a_source_that_an_earlier_mount_brings_is_opened_after_it() {
    let dir = tempfile::Builder::new().prefix("berth-plan-").tempdir().unwrap();
    let rootfs = dir.path().canonicalize().unwrap();
    std::fs::create_dir_all(rootfs.join("a")).unwrap();
    std::fs::create_dir(rootfs.join("b")).unwrap();
    std::os::unix::fs::symlink("/a", rootfs.join("link")).unwrap();
    let mut config: serde_json::Value = serde_json::from_str(&Config::default_json()).unwrap();
    config["linux"]["namespaces"].as_array_mut().unwrap().push(json!({ "type": "user" }));
    let map = json!([{ "containerID": 0, "hostID": 100000, "size": 65536 }]);
    config["linux"]["uidMappings"] = map.clone();
    config["linux"]["gidMappings"] = map;
    let bind =
        |source: &Path, destination: &str| json!({ "type": "bind", "source": source, "destination": destination });
    config["mounts"] = json!([
        bind(Path::new("/etc"), "/a"),
        bind(&rootfs.join("a/hosts"), "/hosts"),
        bind(&rootfs.join("link"), "/again"),
        bind(&rootfs.join("b"), "/c"),
    ]);
    let plan = plan_for(&config.to_string(), &rootfs);
    let fork = position(&plan, "forking into the new namespaces: user");
    let opened = |path: &str| position(&plan, &format!("opening the mounts at {path} "));
    let attached = position(&plan, "bind mounting /etc on /a");
    assert!(opened("/etc") < fork && opened("/b") < fork, "with the caller's privileges");
    assert!(fork < attached && attached < opened("/a/hosts") && attached < opened("/link"), "{}", words(&plan));
}

#[test]
fn privileges_are_dropped_last_and_in_the_order_that_allows_it() {
    let plan = plan_of(&Config::default_json());
    let order = [
        "moving into the root filesystem with pivot_root",
        "reporting to the caller",
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
    assert!(position(&plan, "creating the symlink /dev/ptmx") < closed);
    let Step::Mount { attributes, .. } = &plan.steps[position(&plan, "mounting tmpfs on /dev")] else { panic!() };
    assert_eq!(attributes & libc::MOUNT_ATTR_RDONLY, 0);
}

#[test]
fn a_readonly_tmpfs_is_closed_after_the_mounts_in_it() {
    let mounts = |second: &str| {
        format!(
            r#"[{{"destination": "/a", "type": "tmpfs", "source": "t", "options": ["ro"]}},
                {{"destination": "{second}", "type": "tmpfs", "source": "t"}}]"#
        )
    };
    let plan = changed("/mounts", &mounts("/a/b"));
    assert!(position(&plan, "mounting tmpfs on /a/b") < position(&plan, "changing the options of the mount /a"));
    // It cannot be addressed below a mount that covers it.
    assert!(!words(&changed("/mounts", &mounts("/a"))).contains("changing the options of the mount /a\n"));
    let mut json: serde_json::Value = serde_json::from_str(&Config::default_json()).unwrap();
    json["mounts"] = serde_json::from_str(&mounts("/ab")).unwrap();
    json["process"]["cwd"] = json!("/a/work");
    json["hooks"] = json!({ "createRuntime": [{ "path": "/bin/true" }] });
    let plan = plan_of(&json.to_string());
    let closed = position(&plan, "changing the options of the mount /a");
    assert!(position(&plan, "creating the directory /a/work") < closed);
    assert!(position(&plan, "waiting for the caller to run hooks") < closed);
}

#[test]
fn hooks_that_run_before_pivot_root_are_waited_for_there() {
    let plan = changed("/hooks", r#"{"createRuntime": [{"path": "/bin/true"}]}"#);
    assert!(
        position(&plan, "waiting for the caller to run hooks")
            < position(&plan, "moving into the root filesystem with pivot_root")
    );
    let without = changed("/hooks", r#"{"poststart": [{"path": "/bin/true"}]}"#);
    assert!(!words(&without).contains("hooks"));
}

#[test]
fn explain_lists_each_step_with_its_objects() {
    let plan = plan_of(&Config::default_json());
    let explained = plan.explain();
    let steps = explained["steps"].as_array().unwrap();
    assert_eq!(steps.len(), plan.steps.len());
    let shm = steps.iter().find(|step| step["target"] == "/dev/shm").unwrap();
    assert_eq!(shm["op"], "Mount");
    assert_eq!(shm["attributes"], serde_json::json!(["nosuid", "nodev", "noexec"]));
    assert_eq!(shm["options"], serde_json::json!(["mode=1777", "size=65536k"]));
}

/// Returns the plan of the default configuration with several JSON pointers changed.
fn with(changes: &[(&str, serde_json::Value)]) -> Plan {
    let mut config: serde_json::Value = serde_json::from_str(&Config::default_json()).unwrap();
    for (pointer, value) in changes {
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        match config.pointer_mut(parent).unwrap() {
            serde_json::Value::Array(list) => list.push(value.clone()),
            object => object[name] = value.clone(),
        }
    }
    plan_of(&config.to_string())
}

#[test]
fn the_callers_actions_are_described() {
    let plan = with(&[
        ("/process/oomScoreAdj", json!(100)),
        ("/process/rlimits", json!([{ "type": "RLIMIT_NOFILE", "soft": 10, "hard": 20 }])),
        ("/process/scheduler", json!({ "policy": "SCHED_FIFO", "priority": 7, "flags": ["SCHED_FLAG_RESET_ON_FORK"] })),
        ("/process/ioPriority", json!({ "class": "IOPRIO_CLASS_BE", "priority": 3 })),
    ]);
    let outside = plan.explain()["outside"].clone();
    let texts: Vec<&str> = outside.as_array().unwrap().iter().map(|act| act["text"].as_str().unwrap()).collect();
    assert_eq!(
        texts,
        [
            "setting the OOM score adjustment 100",
            "raising the hard limit of RLIMIT_NOFILE to 20, if it is lower",
            "setting the scheduler SCHED_FIFO, priority 7, flags 1",
            "setting the I/O priority IOPRIO_CLASS_BE 3",
        ]
    );
}

#[test]
fn home_personality_and_memory_policy_come_after_the_start() {
    let plan = with(&[
        ("/process/env", json!([])),
        ("/linux/personality", json!({ "domain": "LINUX32" })),
        ("/linux/memoryPolicy", json!({ "mode": "MPOL_BIND", "nodes": "0-1", "flags": ["MPOL_F_STATIC_NODES"] })),
    ]);
    let start = position(&plan, "waiting at exec.fifo");
    for words in [
        "looking up the home directory of uid 0",
        "setting the personality LINUX32",
        "setting the memory policy MPOL_BIND MPOL_F_STATIC_NODES on nodes 0-1",
    ] {
        let at = position(&plan, words);
        assert!(start < at && at < position(&plan, "limiting the bounding set"), "{words}");
    }
    let with_home = with(&[("/process/env", json!(["HOME=/x"]))]);
    assert!(!words(&with_home).contains("looking up the home"));
}

#[test]
fn an_entry_of_mounts_is_named_by_its_steps() {
    let map = json!([{ "containerID": 0, "hostID": 1000, "size": 10 }]);
    let plan = with(&[
        (
            "/mounts/-",
            json!({
                "destination": "/a", "type": "bind", "source": "/src", "options": ["rbind", "ridmap", "rslave"],
                "uidMappings": map, "gidMappings": map,
            }),
        ),
        ("/mounts/-", json!({ "destination": "/b", "type": "tmpfs", "options": ["tmpcopyup", "ro"] })),
        ("/mounts/-", json!({ "destination": "/b", "options": ["remount", "size=1m"] })),
    ]);
    let steps = plan.explain()["steps"].clone();
    let of = |entry: usize| -> Vec<String> {
        let path = format!("mounts[{entry}]");
        let own = steps.as_array().unwrap().iter().filter(|step| step["json_path"] == path.as_str());
        own.map(|step| step["text"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(
        of(7),
        [
            "opening the mounts at /src of the host",
            "setting the id mapping of the mounts at /src",
            "bind mounting /src on /a",
            "making the mount /a recursively slave",
        ]
    );
    assert_eq!(
        of(8),
        ["mounting tmpfs on /b with a copy of the directory's content", "changing the options of the mount /b"]
    );
    assert_eq!(of(9), ["changing the filesystem mounted on /b", "changing the options of the mount /b"]);
    assert_eq!(plan.user_namespaces.len(), 1);
    let made = plan.explain()["user_namespaces"][0]["text"].clone();
    assert_eq!(made, "creating a user namespace with the uids 0 1000 10 and the gids 0 1000 10");
}

/// Returns the operations that init reads from the bytes of a plan.
fn read_by_init(plan: &Plan) -> Vec<String> {
    let decoded = super::encode::tests::decoded(&plan.steps, &[-1; 16], &[]);
    let mut words = Words::new(decoded);
    let mut next = |_| format!("{:?}", read_next(&mut words).unwrap());
    (0..decoded.header().step_count).map(&mut next).collect()
}

#[test]
fn init_reads_each_step_as_it_was_packed() {
    let map = json!([{ "containerID": 0, "hostID": 100_000, "size": 10 }]);
    let full = with(&[
        ("/hostname", json!("a")),
        ("/domainname", json!("b")),
        ("/hooks", json!({ "createRuntime": [{ "path": "/bin/true" }] })),
        ("/process/env", json!([])),
        ("/process/user/additionalGids", json!([1, 2, 3])),
        ("/process/noNewPrivileges", json!(false)),
        ("/linux/sysctl", json!({ "net.ipv4.ip_forward": "1" })),
        ("/linux/personality", json!({ "domain": "LINUX32" })),
        ("/linux/memoryPolicy", json!({ "mode": "MPOL_BIND", "nodes": "0-70" })),
        ("/linux/seccomp", json!({ "defaultAction": "SCMP_ACT_ALLOW" })),
        ("/linux/rootfsPropagation", json!("shared")),
        (
            "/mounts/-",
            json!({ "destination": "/a", "type": "bind", "source": "/", "options": ["rbind", "ro", "rslave"] }),
        ),
        ("/mounts/-", json!({ "destination": "/b", "type": "tmpfs", "options": ["tmpcopyup", "ro", "iversion"] })),
        ("/mounts/-", json!({ "destination": "/b", "options": ["remount", "size=1m", "lazytime"] })),
    ]);
    let user = with(&[
        ("/linux/namespaces/-", json!({ "type": "user" })),
        ("/linux/namespaces/-", json!({ "type": "time" })),
        ("/linux/uidMappings", map.clone()),
        ("/linux/gidMappings", map),
        ("/linux/timeOffsets", json!({ "boottime": { "secs": 1 } })),
    ]);
    let args = ["x".to_owned()];
    let place = ProgramPlace::Container { namespaces: libc::CLONE_NEWNS as u64, foreign_cgroup_namespace: false };
    let program = program(&Program { file: "/bin/x", args: &args, env: &[], place });
    // What only some hosts, or joining a container, needs.
    let (tree, path, entry) = (Slot(2), PathBuf::from("/a"), Some(1));
    let others = Plan {
        steps: vec![
            Step::CpuAffinity("0,65".into()),
            Step::OpenRoot("/".into()),
            Step::AttachSharedRoot { base: Slot(3), slot: tree, path: path.clone() },
            Step::OpenInnerTree {
                rootfs: "/rootfs".into(),
                path: path.clone(),
                recursive: true,
                own_propagation: true,
                slot: tree,
                mounted: true,
                entry,
            },
            Step::CheckProcfs { tree, path: path.clone(), entry },
            Step::IdMap { recursive: true, tree, namespace: Slot(3), path: path.clone(), entry },
            Step::HideHost(vec![path, "/b".into()]),
            Step::MoveRoot,
            Step::Chroot,
            Step::OwnStreams(1000),
            Step::Label { module: Module::AppArmor, label: "unconfined".into() },
            Step::FindProgram { name: "sh".into(), search: "/bin:/usr/bin".into() },
        ],
        ..Plan::default()
    };
    let (clone, detach) = (clone_mounts("/rootfs".as_ref(), true), detach_mount("/rootfs".as_ref(), 7, true));
    let mut missing: BTreeSet<&str> = step::NAMES.iter().copied().collect();
    for plan in [plan_of(&Config::default_json()), full, user, program, netlink_socket(0), clone, detach, others] {
        let planned: Vec<String> =
            plan.steps.iter().map(|step| step.explain()["op"].as_str().unwrap().to_owned()).collect();
        assert_eq!(read_by_init(&plan), planned);
        missing.retain(|name| !planned.iter().any(|planned| planned == name));
    }
    assert!(missing.is_empty(), "steps without a test: {missing:?}");
}
