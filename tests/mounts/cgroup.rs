//! The mount of the cgroup filesystem.

use std::path::Path;

use serde_json::json;

use crate::common::*;

fn cgroup_files() -> &'static str {
    "find /sys/fs/cgroup -name cgroup.procs | sort | head -3; \
     for f in $(find /sys/fs/cgroup -name cgroup.procs); do (echo 0 >$f) 2>&1 | grep -c 'Read-only file system'; done | sort -u"
}

#[test]
fn the_cgroup_mount_shows_the_containers_part_and_is_read_only() {
    let test = TestRuntime::new();
    let text = test.stdout_of(&shell(cgroup_files()));
    assert!(text.starts_with("/sys/fs/cgroup/") && text.ends_with("\n1\n"), "{text}");
    let deeper = test.stdout_of(&shell("find /sys/fs/cgroup -mindepth 3 | head -3"));
    assert_eq!(deeper, "", "only one cgroup of each hierarchy is seen");
}

#[test]
fn without_a_cgroup_namespace_the_cgroup_mount_is_always_read_only() {
    let test = TestRuntime::new();
    let mut config = shell(cgroup_files());
    without_namespace(&mut config, "cgroup");
    mount_on(&mut config, "/sys/fs/cgroup")["options"] = json!(["nosuid", "noexec", "nodev", "rw"]);
    set_capabilities(&mut config, &["CAP_SYS_ADMIN", "CAP_DAC_OVERRIDE"]);
    let text = test.stdout_of(&config);
    assert!(text.starts_with("/sys/fs/cgroup/") && text.ends_with("\n1\n"), "{text}");
    let deeper = test.stdout_of(&{
        let mut config = shell("find /sys/fs/cgroup -mindepth 3 | head -3");
        without_namespace(&mut config, "cgroup");
        config
    });
    assert_eq!(deeper, "", "only the container's own cgroup is seen");
}

#[test]
fn a_writable_cgroup_mount_in_a_cgroup_namespace_can_be_used() {
    let test = TestRuntime::new();
    let mut config = shell(
        "set -e; for h in /sys/fs/cgroup/*/ /sys/fs/cgroup/; do [ -e $h/cgroup.procs ] || continue; mkdir $h/sub; rmdir $h/sub; echo made; done",
    );
    mount_on(&mut config, "/sys/fs/cgroup")["options"] = json!(["nosuid", "noexec", "nodev"]);
    let text = test.stdout_of(&config);
    assert!(text.starts_with("made\n"), "{text}");
}

/// The specification's "Cgroup ownership": without it no process of a user namespace could write to the cgroup mount.
#[test]
fn a_writable_cgroup_v2_mount_belongs_to_the_containers_user() {
    if !Path::new("/sys/fs/cgroup/cgroup.controllers").exists() {
        return; // v1 has no safe delegation
    }
    let test = TestRuntime::new();
    let work = "cd /sys/fs/cgroup; stat -c %u . cgroup.procs cgroup.max.depth; mkdir sub && echo 0 >sub/cgroup.procs; \
                grep ^0:: /proc/self/cgroup; (echo 5 >cgroup.max.depth) 2>&1 | sed 's/.*: //'";
    let mut config = shell(work);
    with_user_namespace(&mut config);
    mount_on(&mut config, "/sys/fs/cgroup")["options"] = json!(["nosuid", "noexec", "nodev"]);
    assert_eq!(test.stdout_of(&config), "0\n0\n65534\n0::/sub\nPermission denied\n");
    // The cgroup belongs to the process's user.
    config["process"]["user"] = json!({ "uid": 5, "gid": 5 });
    assert_eq!(test.stdout_of(&config), "5\n5\n65534\n0::/sub\nPermission denied\n");
    config["process"]["args"][2] = json!("cd /sys/fs/cgroup; stat -c %u . cgroup.procs");
    mount_on(&mut config, "/sys/fs/cgroup")["options"] = json!(["nosuid", "noexec", "nodev", "ro"]);
    assert_eq!(test.stdout_of(&config), "65534\n65534\n");
}
