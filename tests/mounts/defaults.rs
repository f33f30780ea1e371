//! The mounts of the default configuration, and what container and host see of each other.

use std::fs;

use berth::spec::Config;
use berth::{Container, Force};
use serde_json::json;

use crate::common::*;

#[test]
fn a_root_that_has_a_proc_filesystem_already_gets_its_own() {
    let test = TestRuntime::new();
    let config = Config::from_json(&shell("exec cat /proc/1/comm").to_string(), Some("/".as_ref())).unwrap();
    let container = Container::create(&test.runtime, &unique("mounts"), &config, &piped()).unwrap();
    container.start().unwrap();
    assert_eq!(read_all(&container.init_process().unwrap()), "cat\n");
    container.delete(Force::Kill).unwrap();
}

#[test]
fn the_default_mounts_are_there_with_their_options() {
    let test = TestRuntime::new();
    let table = test.stdout_of(&shell(TABLE));
    let check = |point: &str, kind: &str, options: &[&str], super_options: &[&str]| {
        let found = mounted(&table, point);
        assert_eq!(found.kind, kind, "{point}");
        for option in options {
            assert!(found.options.iter().any(|have| have == option), "{option} of {point}: {found:?}");
        }
        for option in super_options {
            assert!(found.super_options.iter().any(|have| have == option), "{option} of {point}: {found:?}");
        }
    };
    check("/proc", "proc", &["rw"], &[]);
    check("/dev", "tmpfs", &["rw", "nosuid"], &["mode=755", "size=65536k"]);
    check("/dev/pts", "devpts", &["nosuid", "noexec"], &["gid=5", "mode=620", "ptmxmode=666"]);
    check("/dev/shm", "tmpfs", &["nosuid", "noexec", "nodev"], &["size=65536k"]);
    check("/dev/mqueue", "mqueue", &["nosuid", "noexec", "nodev"], &[]);
    check("/sys", "sysfs", &["nosuid", "noexec", "nodev", "ro"], &[]);
    assert!(!mounted(&table, "/dev").options.contains(&"relatime".into()), "strictatime");
    assert!(["tmpfs", "cgroup2"].contains(&mounted(&table, "/sys/fs/cgroup").kind.as_str()));
    assert!(mounted(&table, "/sys/fs/cgroup").options.contains(&"ro".into()));
    assert!(mounted(&table, "/").options.contains(&"ro".into()));
}

#[test]
fn message_queues_of_a_user_namespace_belong_to_its_root() {
    let test = TestRuntime::new();
    let mut config = shell("stat -c %u:%g:%a /dev/mqueue");
    assert_eq!(test.stdout_of(&config), "0:0:1777\n");
    with_user_namespace(&mut config);
    assert_eq!(test.stdout_of(&config), "0:0:1777\n");
}

#[test]
fn nothing_of_the_host_is_left_in_the_mount_table() {
    let test = TestRuntime::new();
    let table = test.stdout_of(&shell(TABLE));
    let known = ["/", "/proc", "/dev", "/sys"];
    for line in table.lines() {
        let point = line.split(' ').nth(4).unwrap();
        assert!(known.iter().any(|top| point == *top || point.starts_with(&format!("{top}/"))), "{line}");
    }
}

#[test]
fn nothing_of_the_container_is_seen_in_the_hosts_mount_table() {
    let test = TestRuntime::new();
    let before = fs::read_to_string("/proc/self/mountinfo").unwrap();
    for propagation in ["", "private", "rslave", "shared", "rshared", "slave", "rprivate", "unbindable"] {
        let mut config = shell("sleep 1000");
        config["linux"]["rootfsPropagation"] = json!(propagation);
        let container = test.run(&config, &quiet()).unwrap_or_else(|error| panic!("{propagation}: {error}"));
        let during = fs::read_to_string("/proc/self/mountinfo").unwrap();
        // Other tests may mount at the same time; only mounts below this test's directories count.
        let ours = |text: &str| text.lines().filter(|line| line.contains(rootfs().to_str().unwrap())).count();
        assert_eq!(ours(&during), ours(&before), "{propagation}");
        container.delete(berth::Force::Kill).unwrap();
    }
}
