//! Namespaces: new ones, joined ones, and the host's where the configuration lists none.

mod common;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use berth::{Code, Container, ExitStatus, Force, Status};
use common::*;
use serde_json::{Value, json};

/// Returns the namespaces of a process on the host, such as "net:[4026531833]".
fn of_process(pid: &str) -> Vec<String> {
    let link = |file: &str| fs::read_link(format!("/proc/{pid}/ns/{file}")).unwrap().display().to_string();
    NAMESPACES.iter().map(|(_, file)| link(file)).collect()
}

fn own() -> Vec<String> {
    of_process("self")
}

fn of_container(container: &Container) -> Vec<String> {
    of_process(&container.init_process().unwrap().pid().to_string())
}

fn path_of(container: &Container, file: &str) -> String {
    proc_of(container, &format!("ns/{file}")).display().to_string()
}

#[test]
fn each_listed_namespace_is_new_and_no_other() {
    let test = TestRuntime::new();
    let container = test.run(&shell("sleep 1000"), &quiet()).unwrap();
    let (inside, outside) = (of_container(&container), own());
    for (index, (kind, _)) in NAMESPACES.iter().enumerate() {
        let listed = !["time", "user"].contains(kind);
        assert_eq!(inside[index] != outside[index], listed, "{kind}");
    }
}

#[test]
fn every_kind_may_be_new_at_once() {
    let test = TestRuntime::new();
    let mut config = shell("sleep 1000");
    with_user_namespace(&mut config);
    with_namespace(&mut config, "time");
    let container = test.run(&config, &quiet()).unwrap();
    let (inside, outside) = (of_container(&container), own());
    for (index, (kind, _)) in NAMESPACES.iter().enumerate() {
        assert_ne!(inside[index], outside[index], "{kind}");
    }
}

/// As with crun. The record of the container has the mappings, because another caller who loads it may have other ids.
#[test]
fn a_user_namespace_without_mappings_maps_root_to_the_caller() {
    let test = TestRuntime::new();
    for mappings in [Value::Null, json!([])] {
        let mut config = shell("sleep 1000");
        with_namespace(&mut config, "user");
        mount_on(&mut config, "/dev/pts")["options"] = json!(["newinstance", "ptmxmode=0666"]);
        config["linux"]["uidMappings"] = mappings.clone();
        config["linux"]["gidMappings"] = mappings;
        let container = test.run(&config, &quiet()).unwrap();
        let said = exec_shell(&container, "id -u; tr -s ' ' </proc/self/uid_map; tr -s ' ' </proc/self/gid_map");
        assert_eq!(said, "0\n 0 0 1\n 0 0 1\n");
        let record: Value = serde_json::from_str(&container.config_json().unwrap()).unwrap();
        assert_eq!(record["linux"]["uidMappings"], json!([{ "containerID": 0, "hostID": 0, "size": 1 }]));
    }
}

#[test]
fn namespaces_that_are_not_listed_are_the_hosts() {
    let test = TestRuntime::new();
    for (index, (kind, _)) in NAMESPACES.iter().enumerate() {
        if ["mount", "time", "user"].contains(kind) {
            continue;
        }
        let mut config = shell("sleep 1000");
        without_namespace(&mut config, kind);
        if *kind == "uts" {
            config["hostname"] = json!("");
        }
        let container = test.run(&config, &quiet()).unwrap_or_else(|error| panic!("without {kind}: {error}"));
        let (inside, outside) = (of_container(&container), own());
        assert_eq!(inside[index], outside[index], "{kind}");
        container.delete(Force::Kill).unwrap();
    }
}

#[test]
fn a_namespace_of_another_container_is_joined() {
    let test = TestRuntime::new();
    let mut config = shell("sleep 1000");
    with_namespace(&mut config, "time");
    let first = test.run(&config, &quiet()).unwrap();
    for kind in ["ipc", "uts", "network", "pid", "cgroup", "time"] {
        let (index, file) = position(kind);
        let mut config = shell("sleep 1000");
        config["hostname"] = json!("");
        join_namespace(&mut config, kind, &path_of(&first, file));
        let second = test.run(&config, &quiet()).unwrap_or_else(|error| panic!("joining {kind}: {error}"));
        let (first, inside) = (of_container(&first), of_container(&second));
        for (other, (name, _)) in
            NAMESPACES.iter().enumerate().filter(|(_, (name, _))| !["time", "user"].contains(name))
        {
            assert_eq!(inside[other] == first[other], other == index, "{name} when {kind} is joined");
        }
        assert_eq!(inside[index], first[index], "{kind}");
        second.delete(Force::Kill).unwrap();
    }
}

fn position(kind: &str) -> (usize, &'static str) {
    let index = NAMESPACES.iter().position(|(name, _)| *name == kind).unwrap();
    (index, NAMESPACES[index].1)
}

#[test]
fn all_namespaces_of_another_container_are_joined_at_once() {
    let test = TestRuntime::new();
    let mut config = shell("sleep 1000");
    with_namespace(&mut config, "time");
    let first = test.run(&config, &quiet()).unwrap();
    let mut config = shell("hostname; ls /proc | grep -c '^[0-9]'; sleep 1000");
    config["hostname"] = json!("");
    for kind in ["ipc", "uts", "network", "pid", "cgroup", "time"] {
        join_namespace(&mut config, kind, &path_of(&first, position(kind).1));
    }
    let second = test.run(&config, &quiet()).unwrap();
    let (first, inside) = (of_container(&first), of_container(&second));
    for kind in ["ipc", "uts", "network", "pid", "cgroup", "time"] {
        assert_eq!(inside[position(kind).0], first[position(kind).0], "{kind}");
    }
    second.delete(Force::Kill).unwrap();
}

#[test]
fn a_joined_pid_namespace_shows_the_other_containers_processes() {
    let test = TestRuntime::new();
    let first = test.run(&shell("exec sleep 4242"), &quiet()).unwrap();
    let mut config = shell("cat /proc/1/cmdline | tr '\\0' ' '; echo $$");
    join_namespace(&mut config, "pid", &path_of(&first, "pid"));
    let text = test.stdout_of(&config);
    let (command, pid) = text.split_once(" \n").unwrap_or_else(|| text.rsplit_once(' ').unwrap());
    assert_eq!(command, "sleep 4242");
    assert_ne!(pid.trim(), "1");
    assert_eq!(first.status().unwrap(), Status::Running);
}

#[test]
fn a_user_namespace_of_another_container_is_joined() {
    let test = TestRuntime::new();
    let mut config = shell("sleep 1000");
    with_user_namespace(&mut config);
    let first = test.run(&config, &quiet()).unwrap();
    let mut config = shell("cat /proc/self/uid_map; id -u; echo x > /dev/null; sleep 1000");
    join_namespace(&mut config, "user", &path_of(&first, "user"));
    let second = test.run(&config, &quiet()).unwrap();
    let (user, net) = (position("user").0, position("network").0);
    assert_eq!(of_container(&second)[user], of_container(&first)[user]);
    assert_ne!(of_container(&second)[net], of_container(&first)[net]);
    assert_eq!(exec_shell(&second, "id -u; cut -c1-40 /proc/self/uid_map | tr -s ' '"), "0\n 0 100000 65536\n");
    let owner = fs::metadata(proc_of(&second, "")).unwrap();
    assert_eq!((owner.uid(), owner.gid()), (ID_BASE, ID_BASE));
}

#[test]
fn user_and_other_namespaces_of_another_container_are_joined_at_once() {
    let test = TestRuntime::new();
    let mut config = shell("sleep 1000");
    with_user_namespace(&mut config);
    let first = test.run(&config, &quiet()).unwrap();
    let mut config = shell("sleep 1000");
    config["hostname"] = json!("");
    for kind in ["user", "ipc", "uts", "network", "pid", "cgroup"] {
        join_namespace(&mut config, kind, &path_of(&first, position(kind).1));
    }
    let second = test.run(&config, &quiet()).unwrap();
    let (first, inside) = (of_container(&first), of_container(&second));
    for kind in ["user", "ipc", "uts", "network", "pid", "cgroup"] {
        assert_eq!(inside[position(kind).0], first[position(kind).0], "{kind}");
    }
}

#[test]
fn a_path_of_the_wrong_type_is_refused_before_anything_is_made() {
    let test = TestRuntime::new();
    for (kind, path) in [
        ("network", "/proc/self/ns/uts"),
        ("uts", "/proc/self/ns/pid"),
        ("ipc", "/etc/passwd"),
        ("pid", "/nothing/here"),
        ("user", "/dev/zero"),
        ("cgroup", "/proc"),
    ] {
        let mut config = shell("true");
        config["hostname"] = json!("");
        join_namespace(&mut config, kind, path);
        let error = test.create(&config, &quiet()).unwrap_err();
        assert_eq!(error.code, Code::ConfigInvalid, "{kind}: {error}");
        assert!(error.message.contains(path), "{error}");
        assert!(test.runtime.ids().unwrap().is_empty());
    }
}

#[test]
fn ids_of_a_user_namespace_are_mapped_as_configured() {
    let test = TestRuntime::new();
    let mut config = shell("cat /proc/self/uid_map /proc/self/gid_map; cat /proc/self/setgroups");
    with_user_namespace(&mut config);
    config["linux"]["uidMappings"] = json!([
        { "containerID": 0, "hostID": 200000, "size": 1000 },
        { "containerID": 1000, "hostID": 300000, "size": 5 },
    ]);
    config["linux"]["gidMappings"] = json!([{ "containerID": 0, "hostID": 400000, "size": 10 }]);
    let text = test.stdout_of(&config);
    let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
    let expected: [&[&str]; 4] =
        [&["0", "200000", "1000"], &["1000", "300000", "5"], &["0", "400000", "10"], &["allow"]];
    assert_eq!(lines, expected);
}

#[test]
fn init_is_root_inside_a_user_namespace_and_nobody_outside() {
    let test = TestRuntime::new();
    let shared = test.make_dir("shared");
    fs::set_permissions(&shared, fs::Permissions::from_mode(0o777)).unwrap();
    let mut config =
        shell("id -u; id -g; id -G; touch /mnt/made; chown 7:8 /mnt/made; stat -c %u:%g /mnt/made /etc/passwd");
    with_user_namespace(&mut config);
    set_capabilities(&mut config, &["CAP_CHOWN"]);
    push_mount(&mut config, json!({ "destination": "/mnt", "type": "bind", "source": shared, "options": ["bind"] }));
    assert_eq!(test.stdout_of(&config), "0\n0\n0\n7:8\n65534:65534\n");
    let made = fs::metadata(shared.join("made")).unwrap();
    assert_eq!((made.uid(), made.gid()), (ID_BASE + 7, ID_BASE + 8));
}

#[test]
fn a_user_namespace_has_usable_devices() {
    let test = TestRuntime::new();
    let script = "echo x > /dev/null; head -c 4 /dev/zero | xxd -p; head -c 8 /dev/urandom | wc -c; \
                  stat -c '%n %t:%T' /dev/null /dev/zero /dev/full /dev/random /dev/urandom /dev/tty; \
                  echo x > /dev/full";
    let mut config = shell(script);
    with_user_namespace(&mut config);
    let (text, status) = test.output(&config);
    assert_eq!(status, ExitStatus::Exited(1), "{text}");
    let expected =
        "00000000\n8\n/dev/null 1:3\n/dev/zero 1:5\n/dev/full 1:7\n/dev/random 1:8\n/dev/urandom 1:9\n/dev/tty 5:0\n";
    assert!(text.starts_with(expected), "{text}");
}

#[test]
fn exec_enters_a_user_namespace() {
    let test = TestRuntime::new();
    let mut config = shell("sleep 1000");
    with_user_namespace(&mut config);
    let container = test.run(&config, &quiet()).unwrap();
    let text = exec_shell(
        &container,
        "id -u; id -G; readlink /proc/self/ns/user; readlink /proc/1/ns/user; echo x > /dev/null",
    );
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[..2], ["0", "0"]);
    assert_eq!(lines[2], lines[3]);
    assert_ne!(lines[2], own()[position("user").0]);
    let mut other = shell_process("id -u; id -g; id -G");
    other["user"] = json!({ "uid": 12, "gid": 13, "additionalGids": [14] });
    assert_eq!(exec_output(&container, &other).0, "12\n13\n13 14\n");
}

#[test]
fn exec_enters_a_user_namespace_whose_program_is_not_started() {
    let test = TestRuntime::new();
    let mut config = shell("true");
    with_user_namespace(&mut config);
    let container = test.create(&config, &quiet()).unwrap();
    assert_eq!(exec_shell(&container, "id -u; cut -d: -f3 /proc/self/cgroup | sort -u"), "0\n/\n");
    let namespaces = exec_shell(&container, "readlink /proc/self/ns/user; readlink /proc/self/ns/cgroup");
    let inside = of_container(&container);
    assert_eq!(namespaces, format!("{}\n{}\n", inside[position("user").0], inside[position("cgroup").0]));
}

#[test]
fn a_user_namespace_with_a_user_of_its_own() {
    let test = TestRuntime::new();
    let mut config = shell("id -u; id -g; id -G; grep Cap /proc/self/status | cut -f2 | sort -u");
    with_user_namespace(&mut config);
    config["process"]["user"] = json!({ "uid": 1000, "gid": 1001, "additionalGids": [5, 6] });
    set_capabilities(&mut config, &[]);
    assert_eq!(test.stdout_of(&config), "1000\n1001\n1001 5 6\n0000000000000000\n");
}

fn uptime(text: &str) -> f64 {
    text.split(' ').next().unwrap().parse().unwrap()
}

#[test]
fn a_time_namespace_has_its_offsets() {
    let test = TestRuntime::new();
    let mut config = shell("cat /proc/uptime; cat /proc/self/timens_offsets; sleep 1000");
    with_namespace(&mut config, "time");
    config["linux"]["timeOffsets"] =
        json!({ "boottime": { "secs": 1_000_000, "nanosecs": 5 }, "monotonic": { "secs": 2_000_000 } });
    config["process"]["args"][2] = json!("sleep 1000");
    let container = test.run(&config, &quiet()).unwrap();
    let inside = uptime(&exec_shell(&container, "cat /proc/uptime"));
    let outside = uptime(&fs::read_to_string("/proc/uptime").unwrap());
    assert!((inside - outside - 1_000_000.0).abs() < 60.0, "{inside} and {outside}");
    let offsets = exec_shell(&container, "tr -s ' ' </proc/1/timens_offsets");
    assert_eq!(
        offsets.split_whitespace().collect::<Vec<_>>(),
        ["monotonic", "2000000", "0", "boottime", "1000000", "5"]
    );
}

#[test]
fn time_offsets_hold_for_the_first_process_too() {
    let test = TestRuntime::new();
    let mut config = shell("cat /proc/uptime");
    with_namespace(&mut config, "time");
    config["linux"]["timeOffsets"] = json!({ "boottime": { "secs": 1_000_000 } });
    let inside = uptime(&test.stdout_of(&config));
    let outside = uptime(&fs::read_to_string("/proc/uptime").unwrap());
    assert!((inside - outside - 1_000_000.0).abs() < 60.0, "{inside} and {outside}");
}

#[test]
fn a_time_namespace_inside_a_user_namespace() {
    let test = TestRuntime::new();
    let mut config = shell("cat /proc/uptime");
    with_user_namespace(&mut config);
    with_namespace(&mut config, "time");
    config["linux"]["timeOffsets"] = json!({ "boottime": { "secs": 1_000_000 } });
    let inside = uptime(&test.stdout_of(&config));
    assert!(inside > 1_000_000.0);
}

#[test]
fn a_cgroup_namespace_shows_its_own_top() {
    let test = TestRuntime::new();
    let container = test.run(&shell("sleep 1000"), &quiet()).unwrap();
    // In hierarchies that the host has not mounted, the container has no cgroup of its own.
    let state: Value = serde_json::from_str(&container.state_json().unwrap()).unwrap();
    for script in ["cat /proc/self/cgroup", "cat /proc/1/cgroup"] {
        for line in exec_shell(&container, script).lines() {
            let mut fields = line.splitn(3, ':').skip(1);
            let (names, place) = (fields.next().unwrap(), fields.next().unwrap());
            let mounted = names.split(',').any(|name| state["cgroupPaths"].get(name).is_some());
            assert!(place == "/" || !mounted, "{line}");
        }
    }
}

#[test]
fn without_a_cgroup_namespace_the_place_is_the_hosts() {
    let test = TestRuntime::new();
    let mut config = shell("cat /proc/self/cgroup");
    without_namespace(&mut config, "cgroup");
    config["linux"]["cgroupsPath"] = json!(format!("/{}", unique("place")));
    let text = test.stdout_of(&config);
    let place = config["linux"]["cgroupsPath"].as_str().unwrap();
    assert!(text.lines().any(|line| line.ends_with(place)), "{text}");
}

#[test]
fn pids_begin_at_one_and_the_network_is_empty() {
    let test = TestRuntime::new();
    let text = test.stdout_of(&shell("echo $$; ls /sys/class/net; ls /proc | grep -c '^[0-9][0-9]*$'"));
    assert!(text.starts_with("1\nlo\n"), "{text}");
    assert!(Path::new("/proc/1").exists());
}
