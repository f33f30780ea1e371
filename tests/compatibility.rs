//! What runc and crun both run, and engines write.

mod common;

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use berth::spec::Config;
use berth::{Code, Container, ExitStatus, Force, Recipients, cgroup};
use common::*;
use serde_json::{Value, json};

fn namespace_of(container: &Container, file: &str) -> String {
    proc_of(container, &format!("ns/{file}")).display().to_string()
}

fn plain(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// podman always sets this one, and containerd a similar one, in a network namespace that they have made.
#[test]
fn a_kernel_parameter_is_set_in_a_namespace_that_is_joined() {
    let test = TestRuntime::new();
    let first = test.run(&shell("sleep 1000"), &quiet()).unwrap();
    let mut config =
        shell("cat /proc/sys/net/ipv4/ping_group_range /proc/sys/kernel/shm_rmid_forced /proc/sys/kernel/domainname");
    config["hostname"] = json!("");
    config["linux"]["sysctl"] = json!({
        "net.ipv4.ping_group_range": "0 7", "kernel.shm_rmid_forced": "1", "kernel.domainname": "example.org",
    });
    for (kind, file) in [("network", "net"), ("ipc", "ipc"), ("uts", "uts")] {
        join_namespace(&mut config, kind, &namespace_of(&first, file));
    }
    assert_eq!(plain(&test.stdout_of(&config)), "0 7 1 example.org");
    assert_eq!(plain(&exec_shell(&first, "cat /proc/sys/net/ipv4/ping_group_range")), "0 7");
}

/// No process in the user namespace has the right to join it, and no mount of cgroups in it is possible there.
#[test]
fn a_cgroup_namespace_of_the_host_is_joined_with_a_new_user_namespace() {
    let test = TestRuntime::new();
    let first = test.run(&shell("sleep 1000"), &quiet()).unwrap();
    let theirs = namespace_of(&first, "cgroup");
    let inside = fs::read_link(&theirs).unwrap().display().to_string();
    let script = "readlink /proc/self/ns/cgroup; cat /proc/self/cgroup";
    let mut config = shell(&format!("{{ {script}; }} >/tmp/seen; exec sleep 1000"));
    with_user_namespace(&mut config);
    join_namespace(&mut config, "cgroup", &theirs);
    push_mount(&mut config, json!({ "destination": "/tmp", "type": "tmpfs", "source": "tmpfs" }));
    config["hooks"] = json!({ "createContainer": [{ "path": "/bin/true" }] });
    let container = test.run(&config, &quiet()).unwrap();
    eventually("the program has looked", || !exec_shell(&container, "cat /tmp/seen 2>/dev/null").is_empty());
    let seen = exec_shell(&container, "cat /tmp/seen");
    assert_eq!(seen.lines().next(), Some(inside.as_str()));
    // An executed process is in the same namespaces and cgroups.
    assert_eq!(exec_shell(&container, script), seen);
    assert_eq!(container.pids().unwrap().len(), 1, "the container's cgroup has its process");
    // The container's own cgroup, read-only.
    assert_eq!(exec_shell(&container, "mkdir /sys/fs/cgroup/x 2>&1 | grep -c 'Read-only file system'"), "1\n");
}

#[test]
fn mappings_beside_a_joined_user_namespace_are_those_that_it_has() {
    let test = TestRuntime::new();
    let mut config = shell("sleep 1000");
    with_user_namespace(&mut config);
    let first = test.run(&config, &quiet()).unwrap();
    let mut config = shell("cat /proc/self/uid_map /proc/self/gid_map");
    join_namespace(&mut config, "user", &namespace_of(&first, "user"));
    let half = ID_COUNT / 2;
    // The same in two pieces.
    let map = json!([{ "containerID": half, "hostID": ID_BASE + half, "size": half },
        { "containerID": 0, "hostID": ID_BASE, "size": half }]);
    config["linux"]["uidMappings"] = map.clone();
    config["linux"]["gidMappings"] = map;
    let line = format!("0 {ID_BASE} {ID_COUNT}");
    assert_eq!(plain(&test.stdout_of(&config)), format!("{line} {line}"));
    config["linux"]["gidMappings"][0]["hostID"] = json!(ID_BASE);
    config["linux"]["gidMappings"][1]["hostID"] = json!(ID_BASE + half);
    let error = test.create(&config, &quiet()).unwrap_err();
    assert_eq!(error.code, Code::ConfigInvalid, "{error}");
    assert!(error.message.starts_with("linux.gidMappings: ") && error.message.contains(&line), "{error}");
    assert!(test.runtime.ids().unwrap().len() == 1);
}

/// A pod's user namespace with a network that the engine has made outside of it. sysfs belongs to the owner of the network, so
/// the host's is bound.
#[test]
fn a_namespace_that_another_user_namespace_owns_is_joined() {
    let test = TestRuntime::new();
    let mut config = shell("sleep 1000");
    with_user_namespace(&mut config);
    let pod = test.run(&config, &quiet()).unwrap();
    let owner = test.run(&shell("sleep 1000"), &quiet()).unwrap();
    let mut config =
        shell("readlink /proc/self/ns/net /proc/self/ns/uts; test -d /sys/class/net/lo && echo sys; sleep 1000");
    config["hostname"] = json!("");
    join_namespace(&mut config, "user", &namespace_of(&pod, "user"));
    join_namespace(&mut config, "network", &namespace_of(&owner, "net"));
    join_namespace(&mut config, "uts", &namespace_of(&owner, "uts"));
    let container = test.run(&config, &quiet()).unwrap_or_else(|error| panic!("{error}"));
    for file in ["net", "uts"] {
        let link = |container| fs::read_link(proc_of(container, &format!("ns/{file}"))).unwrap();
        assert_eq!(link(&container), link(&owner));
    }
    assert_eq!(exec_shell(&container, "test -d /sys/class/net/lo && grep -c ' / /sys ' /proc/self/mountinfo"), "1\n");
    assert!(!exec_shell(&container, "touch /sys/x 2>&1; true").is_empty(), "read-only, as it was asked for");
    container.delete(Force::Kill).unwrap();
    // One that the user namespace owns shows its own sysfs.
    let mut config = shell("grep ' / /sys ' /proc/self/mountinfo");
    config["hostname"] = json!("");
    join_namespace(&mut config, "user", &namespace_of(&pod, "user"));
    join_namespace(&mut config, "network", &namespace_of(&pod, "net"));
    assert!(test.stdout_of(&config).contains("- sysfs sysfs"));
}

#[test]
fn sysfs_without_a_network_namespace_is_the_hosts() {
    let test = TestRuntime::new();
    let mut config = shell("cat /sys/class/net/lo/address; ls /sys/devices >/dev/null && echo seen");
    with_user_namespace(&mut config);
    without_namespace(&mut config, "network");
    assert_eq!(plain(&test.stdout_of(&config)), "00:00:00:00:00:00 seen");
}

/// `--pid=host`, as podman and nerdctl write it.
#[test]
fn a_procfs_is_bound_on_proc_and_masked() {
    let test = TestRuntime::new();
    for user in [false, true] {
        let own = std::process::id();
        let mut config = shell(&format!(
            "test -d /proc/{own} && cat /proc/keys /proc/timer_list; echo 1 >/proc/sys/kernel/core_uses_pid || echo fine"
        ));
        if user {
            with_user_namespace(&mut config);
        }
        without_namespace(&mut config, "pid");
        *mount_on(&mut config, "/proc") = json!({ "destination": "/proc", "type": "bind", "source": "/proc",
            "options": ["rbind", "rprivate", "nosuid", "noexec", "nodev"] });
        let (text, status) = test.output(&config);
        assert_eq!(status, ExitStatus::Exited(0), "{text}");
        assert!(text.starts_with("fine\n") && text.contains("Read-only"), "masked and read-only: {text}");
        assert_eq!(text.lines().count(), 2, "{text}");
    }
}

#[test]
fn a_readonly_dev_has_a_terminal_too() {
    let test = TestRuntime::new();
    let mut config = shell("test -t 0 && test -c /dev/console && ! touch /dev/x 2>/dev/null && exit 7");
    config["process"]["terminal"] = json!(true);
    let options = mount_on(&mut config, "/dev")["options"].as_array_mut().unwrap();
    options.push(json!("ro"));
    let container = test.run(&config, &berth::ProcessOptions::default()).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(container.wait(LONG).unwrap(), ExitStatus::Exited(7));
}

/// In a user namespace mknod(2) is not permitted; the requested device is provided anyway.
#[test]
fn a_device_in_a_user_namespace_is_the_one_that_was_asked_for() {
    let test = TestRuntime::new();
    let mut config = shell("sleep 1000");
    with_user_namespace(&mut config);
    config["linux"]["devices"] = json!([
        { "path": "/dev/mine", "type": "c", "major": 1, "minor": 3, "fileMode": 0o644, "uid": 5, "gid": 6 },
        { "path": "/dev/one", "type": "b", "major": 7, "minor": 99 },
    ]);
    let container = test.run(&config, &quiet()).unwrap_or_else(|error| panic!("{error}"));
    let text = exec_shell(&container, "stat -c '%t:%T %a %u %g %F' /dev/mine /dev/one; : </dev/mine && echo open");
    let expected = ["1:3 644 5 6 character special file", "7:63 666 0 0 block special file", "open"];
    assert_eq!(text.lines().collect::<Vec<_>>(), expected);
    let devices = test.dir.path().join("state").join(container.id()).join("devices");
    assert_eq!(fs::read_dir(&devices).unwrap().count(), 2);
    container.delete(Force::Kill).unwrap();
    assert!(!devices.exists());
}

/// config.md, "capabilities": a warning for what cannot be mapped, and no failure for what cannot be granted.
#[test]
fn capabilities_that_cannot_be_had_are_not_granted() {
    let test = TestRuntime::new();
    let mut config = shell("grep Cap /proc/self/status; sleep 1000");
    config["process"]["capabilities"] = json!({
        "bounding": ["CAP_KILL", "CAP_FUTURE_THING", "cap_chown", "NET_RAW"], "permitted": ["CAP_KILL"],
        "effective": ["CAP_KILL", "CAP_CHOWN"], "inheritable": [], "ambient": ["CAP_KILL"],
    });
    let kill = "0000000000000020";
    let none = "0000000000000000";
    let expected = format!("CapInh: {none} CapPrm: {kill} CapEff: {kill} CapBnd: {kill} CapAmb: {none}");
    let container = test.run(&config, &quiet()).unwrap();
    let mut process = shell_process("grep Cap /proc/self/status");
    process["capabilities"] = config["process"]["capabilities"].clone();
    let (text, status) = exec_output(&container, &process);
    assert_eq!((plain(&text), status), (expected.clone(), ExitStatus::Exited(0)));
    assert_eq!(plain(&exec_shell(&container, "grep Cap /proc/self/status")), expected);
}

/// The cgroup of an orchestrator, or one left by a crash.
#[test]
fn an_empty_cgroup_that_is_there_is_used_and_left() {
    let test = TestRuntime::new();
    let path = format!("/berth-{}/premade", unique("compat"));
    let layout = cgroup::plan(Some(Path::new(&path)), "x").unwrap();
    let leaves: Vec<PathBuf> = layout.paths.values().cloned().collect();
    leaves.iter().for_each(|leaf| fs::create_dir_all(leaf).unwrap());
    let mut config = shell("sleep 1000");
    config["linux"]["cgroupsPath"] = json!(path);
    let has_pids = leaves.iter().find(|leaf| leaf.join("pids.max").exists());
    if has_pids.is_some() {
        config["linux"]["resources"]["pids"] = json!({ "limit": 77 });
    }
    let container = test.run(&config, &quiet()).unwrap_or_else(|error| panic!("{error}"));
    if let Some(leaf) = has_pids {
        assert_eq!(fs::read_to_string(leaf.join("pids.max")).unwrap().trim(), "77");
    }
    let procs = leaves.iter().map(|leaf| fs::read_to_string(leaf.join("cgroup.procs")).unwrap());
    assert!(procs.into_iter().all(|procs| !procs.is_empty()));
    let error = test.create(&config, &quiet()).unwrap_err();
    assert!(error.message.contains("exists already and has processes in it"), "{error}");
    // Stopped, it is still that container's, whose deletion would kill another.
    container.signal(libc::SIGKILL, Recipients::Init).unwrap();
    container.wait(LONG).unwrap();
    let error = test.create(&config, &quiet()).unwrap_err();
    assert!(error.message.contains(&format!("belongs to container {:?}", container.id())), "{error}");
    container.delete(Force::No).unwrap();
    assert!(leaves.iter().all(|leaf| leaf.is_dir()), "left as it was found");
    test.run(&config, &quiet()).unwrap().delete(Force::Kill).unwrap();
    for leaf in &leaves {
        let _ = fs::remove_dir(leaf);
        let _ = fs::remove_dir(leaf.parent().unwrap());
    }
    assert!(leaves.iter().all(|leaf| !leaf.exists()));
}

/// crun's options, and podman's `no-dereference`.
#[test]
fn symlinks_are_copied_or_mounted_themselves() {
    let test = TestRuntime::new();
    let source = test.dir.path().join("link");
    std::os::unix::fs::symlink("/etc/nothing", &source).unwrap();
    let root = test.dir.path().join("rootfs");
    assert!(std::process::Command::new("cp").arg("-a").args([rootfs(), &root]).status().unwrap().success());
    std::os::unix::fs::symlink("/etc/passwd", root.join("opt-link")).unwrap();
    let mut config =
        shell("for link in /copied /mounted /opt-link; do readlink $link; done; test -e /etc/passwd && echo whole");
    for (target, option) in [("/copied", "copy-symlink"), ("/mounted", "src-nofollow"), ("/opt-link", "src-nofollow")] {
        push_mount(
            &mut config,
            json!({ "destination": target, "type": "bind", "source": source,
            "options": ["bind", option, "dest-nofollow"] }),
        );
    }
    let config = Config::from_json(&config.to_string(), Some(&root)).unwrap();
    let container =
        Container::run(&test.runtime, &unique("links"), &config, &piped()).unwrap_or_else(|e| panic!("{e}"));
    let text = read_all(&container.init_process().unwrap());
    assert_eq!(plain(&text), "/etc/nothing /etc/nothing /etc/nothing whole");
    container.wait(LONG).unwrap();
    container.delete(Force::No).unwrap();
    assert_eq!(fs::read_link(root.join("opt-link")).unwrap(), Path::new("/etc/passwd"), "mounted on, not changed");
}

#[test]
fn a_bundle_may_have_any_bytes_in_its_path() {
    let test = TestRuntime::new();
    let bundle = test.dir.path().join(OsString::from_vec(b"lat\xe9in".to_vec()));
    fs::create_dir(&bundle).unwrap();
    fs::create_dir(bundle.join("data")).unwrap();
    fs::write(bundle.join("data/f"), "here").unwrap();
    let copied = std::process::Command::new("cp").arg("-a").args([rootfs(), &bundle.join("rootfs")]).status().unwrap();
    assert!(copied.success());
    let mut config = shell("sleep 1000");
    config["root"] = json!({ "path": "rootfs" });
    push_mount(&mut config, json!({ "destination": "/mnt", "type": "bind", "source": "data" }));
    fs::write(bundle.join("config.json"), config.to_string()).unwrap();
    let config = Config::from_bundle(&bundle).unwrap();
    let id = unique("bytes");
    let container = Container::run(&test.runtime, &id, &config, &quiet()).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(exec_shell(&container, "cat /mnt/f"), "here");
    let state: Value = serde_json::from_str(&container.state_json().unwrap()).unwrap();
    assert!(state["bundle"].as_str().unwrap().ends_with("lat\u{fffd}in"), "JSON has text only: {state}");
    drop(container);
    let again = test.runtime.load(&id).unwrap();
    assert_eq!(exec_shell(&again, "cat /mnt/f"), "here");
    assert!(berth::explain(&config).is_ok());
    again.delete(Force::Kill).unwrap();
}
