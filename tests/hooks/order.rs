//! When hooks run, in which namespaces, and with which state.

use berth::spec::Config;
use berth::{Container, ExitStatus, Force};
use serde_json::{Value, json};

use crate::common::*;
use crate::support::*;

#[test]
fn all_kinds_run_in_order_and_get_the_state() {
    let test = TestRuntime::new();
    let (program, log) = recorder(&test);
    let mut config = shell("sleep 1000");
    for kind in ["prestart", "createRuntime", "createContainer", "poststart", "poststop"] {
        add(&mut config, kind, hook(&program, &["recorder", kind]));
        add(&mut config, kind, hook(&program, &["recorder", &format!("{kind}-2")]));
    }
    config["annotations"] = json!({ "com.example.key": "value" });
    let shared = test.make_dir("shared");
    let mount = json!({ "destination": "/mnt", "type": "bind", "source": shared, "options": ["bind"] });
    push_mount(&mut config, mount);
    let inside = json!({ "path": "/bin/sh", "args": ["sh", "-c", "cat >/mnt/state"] });
    add(&mut config, "startContainer", inside);

    let container = test.create(&config, &quiet()).unwrap();
    let pid = container.init_process().unwrap().pid();
    let names = |from: usize| entries(&log)[from..].iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    let created =
        ["prestart", "prestart-2", "createRuntime", "createRuntime-2", "createContainer", "createContainer-2"];
    assert_eq!(names(0), created);
    assert!(!shared.join("state").exists());
    container.start().unwrap();
    assert_eq!(names(6), ["poststart", "poststart-2"]);
    container.delete(Force::Kill).unwrap();
    assert_eq!(names(8), ["poststop", "poststop-2"]);

    let states =
        ["created", "created", "created", "created", "created", "created", "running", "running", "stopped", "stopped"];
    for ((name, state), status) in entries(&log).iter().zip(states) {
        assert_eq!(state["status"], status, "{name}");
        let expected = match name.as_str() {
            _ if status == "stopped" => 0,
            // These hooks run in the container's pid namespace, where init is PID 1.
            "createContainer" | "createContainer-2" => 1,
            _ => pid,
        };
        assert_eq!(state["pid"], expected, "{name}");
        assert_eq!(state["id"], container.id(), "{name}");
        assert_eq!(state["ociVersion"], config["ociVersion"], "{name}");
        assert_eq!(state["annotations"], config["annotations"], "{name}");
        assert!(state["bundle"].is_string(), "{name}");
    }
    let inside: Value = serde_json::from_str(&std::fs::read_to_string(shared.join("state")).unwrap()).unwrap();
    assert_eq!((&inside["status"], &inside["pid"]), (&json!("created"), &json!(1)));
}

/// The bundle may be gone when the container is deleted: the poststop hooks run nevertheless.
#[test]
fn poststop_hooks_run_without_the_bundle() {
    let test = TestRuntime::new();
    let (program, log) = recorder(&test);
    let mut config = shell("true");
    add(&mut config, "poststop", hook(&program, &["recorder", "after"]));
    let bundle = test.bundle("gone", &config);
    let config = Config::from_bundle(&bundle).unwrap();
    let container = Container::run(&test.runtime, &unique("h"), &config, &quiet()).unwrap();
    container.wait(LONG).unwrap();
    std::fs::remove_dir_all(&bundle).unwrap();
    container.delete(Force::No).unwrap();
    assert_eq!(entries(&log).len(), 1);
}

#[test]
fn create_container_hooks_run_in_the_containers_namespaces_before_pivot() {
    let test = TestRuntime::new();
    for user_namespace in [false, true] {
        let out = test.make_dir(&format!("out-{user_namespace}"));
        std::fs::set_permissions(&out, std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
        let mut config = shell("true");
        if user_namespace {
            with_user_namespace(&mut config);
        }
        let text = format!(
            "for n in mnt net uts ipc user; do readlink /proc/self/ns/$n; done >{0}/ns; id -u >{0}/uid; grep -c {1} /proc/self/mountinfo >{0}/mounts",
            out.display(),
            rootfs().display(),
        );
        let program = test.path("inside");
        script(&program, &text);
        std::fs::set_permissions(test.dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        add(&mut config, "createContainer", json!({ "path": program, "env": ["PATH=/usr/bin:/bin"] }));
        let container = test.create(&config, &quiet()).unwrap();
        let link =
            |name: &str| std::fs::read_link(proc_of(&container, &format!("ns/{name}"))).unwrap().display().to_string();
        let expected = ["mnt", "net", "uts", "ipc", "user"].map(link).join("\n") + "\n";
        assert_eq!(std::fs::read_to_string(out.join("ns")).unwrap(), expected);
        assert_eq!(std::fs::read_to_string(out.join("uid")).unwrap(), "0\n", "user namespace: {user_namespace}");
        assert_ne!(
            std::fs::read_to_string(out.join("mounts")).unwrap(),
            "0\n",
            "the root is mounted, and not yet entered"
        );
        container.delete(Force::Kill).unwrap();
    }
}

#[test]
fn start_container_hooks_run_inside_with_the_containers_privileges() {
    let test = TestRuntime::new();
    let shared = test.make_dir("shared");
    std::fs::set_permissions(&shared, std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    let mut config = shell("sleep 1000");
    config["process"]["user"] = json!({ "uid": 1000, "gid": 1000 });
    push_mount(&mut config, json!({ "destination": "/mnt", "type": "bind", "source": shared, "options": ["bind"] }));
    let text = "{ id -u; grep Cap /proc/self/status | cut -f2 | tr '\\n' ' '; cat /proc/1/comm; \
                tr '\\0' '\\n' </proc/$$/environ; cat /proc/self/cgroup | sort -u; } >/mnt/out";
    let hook = json!({ "path": "/bin/sh", "args": ["sh", "-c", text], "env": ["ONLY=1"] });
    add(&mut config, "startContainer", hook);
    let container = test.run(&config, &quiet()).unwrap();
    let out = std::fs::read_to_string(shared.join("out")).unwrap();
    let caps = "0000000000000000 0000000000000000 0000000000000000 0000000020000420 0000000000000000 ";
    assert!(out.starts_with(&format!("1000\n{caps}berth-init\nONLY=1\n")), "{out}");
    container.delete(Force::Kill).unwrap();
}

#[test]
fn start_container_hooks_run_in_a_user_namespace() {
    let test = TestRuntime::new();
    let shared = test.make_dir("shared");
    std::fs::set_permissions(&shared, std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    let mut config = shell("cat /mnt/out");
    with_user_namespace(&mut config);
    push_mount(&mut config, json!({ "destination": "/mnt", "type": "bind", "source": shared, "options": ["bind"] }));
    let hook = json!({ "path": "/bin/sh", "args": ["sh", "-c", "id -u >/mnt/out"] });
    add(&mut config, "startContainer", hook);
    assert_eq!(test.stdout_of(&config), "0\n");
}

#[test]
fn poststop_hooks_run_when_processes_and_cgroups_are_gone() {
    let test = TestRuntime::new();
    let (program, out) = (test.path("hook"), test.path("out"));
    let cgroup = unique("poststop");
    let text = format!("find /sys/fs/cgroup -maxdepth 3 -name {cgroup} | wc -l >{}", out.display());
    script(&program, &text);
    let mut config = shell("true");
    config["linux"]["cgroupsPath"] = json!(format!("/{cgroup}"));
    add(&mut config, "poststop", json!({ "path": program, "env": ["PATH=/usr/bin:/bin"] }));
    let container = test.run(&config, &quiet()).unwrap();
    container.wait(LONG).unwrap();
    container.delete(Force::No).unwrap();
    assert_eq!(std::fs::read_to_string(&out).unwrap().trim(), "0");
}

#[test]
fn a_hook_need_not_read_the_state() {
    let test = TestRuntime::new();
    let mut config = shell("exit 5");
    // Far more than the capacity of a pipe.
    config["annotations"] = json!({ "long": "x".repeat(1 << 20) });
    add(&mut config, "createRuntime", json!({ "path": "/bin/true" }));
    let container = test.run(&config, &quiet()).unwrap();
    assert_eq!(container.wait(LONG).unwrap(), ExitStatus::Exited(5));
}

#[test]
fn a_hook_may_ask_about_its_own_container() {
    // The lock of the state directory is held while hooks run; queries work without the lock.
    let test = TestRuntime::new();
    let program = test.path("hook");
    let state = test.dir.path().join("state");
    script(&program, &format!("cat {}/*/state.json >{}", state.display(), test.path("seen").display()));
    let mut config = shell("true");
    add(&mut config, "createRuntime", json!({ "path": program, "env": ["PATH=/bin"] }));
    test.create(&config, &quiet()).unwrap();
    assert!(std::fs::read_to_string(test.path("seen")).unwrap().contains("creating"));
}
