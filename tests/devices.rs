//! Device nodes, and access to devices.

mod common;

use std::os::unix::fs::MetadataExt;

use berth::{Container, ExitStatus, Force};
use common::*;
use serde_json::{Value, json};

const LIST: &str = "stat -c '%n %F %t:%T %a %u:%g' ";

#[test]
fn the_default_nodes_and_links_are_there() {
    let test = TestRuntime::new();
    let names = "/dev/null /dev/zero /dev/full /dev/random /dev/urandom /dev/tty";
    let links = "for l in fd stdin stdout stderr ptmx core; do echo $l $(readlink /dev/$l); done";
    let text = test.stdout_of(&shell(&format!("{LIST} {names}; {links}; stat -L -c %t:%T /dev/ptmx; ls /dev | wc -l")));
    let node = |name: &str, number: &str| format!("/dev/{name} character special file {number} 666 0:0\n");
    let expected =
        [("null", "1:3"), ("zero", "1:5"), ("full", "1:7"), ("random", "1:8"), ("urandom", "1:9"), ("tty", "5:0")]
            .map(|(name, number)| node(name, number))
            .concat()
            + "fd /proc/self/fd\nstdin /proc/self/fd/0\nstdout /proc/self/fd/1\nstderr /proc/self/fd/2\nptmx pts/ptmx\n\
           core /proc/kcore\n5:2\n15\n";
    assert_eq!(text, expected);
}

#[test]
fn the_default_devices_work() {
    let test = TestRuntime::new();
    let script = "echo x >/dev/null; head -c 2 /dev/zero | xxd -p; head -c 8 /dev/random | wc -c; \
                  head -c 8 /dev/urandom | wc -c; head -c 1 /dev/full | xxd -p; (echo x >/dev/full) 2>&1 | grep -o 'No space'";
    assert_eq!(test.stdout_of(&shell(script)), "0000\n8\n8\n00\nNo space\n");
    let mut config = shell(script);
    config["process"]["user"] = json!({ "uid": 1000, "gid": 1000 });
    assert_eq!(test.stdout_of(&config), "0000\n8\n8\n00\nNo space\n", "for a user");
}

#[test]
fn listed_devices_have_their_number_mode_and_owner() {
    let test = TestRuntime::new();
    let mut config = shell(&format!("{LIST} /dev/fuse /dev/deep/er/loop /dev/pipe /dev/u /opt/null /dev/null"));
    writable(&mut config);
    config["linux"]["devices"] = json!([
        { "type": "c", "path": "/dev/fuse", "major": 10, "minor": 229, "fileMode": 0o640, "uid": 12, "gid": 34 },
        { "type": "b", "path": "/dev/deep/er/loop", "major": 7, "minor": 3 },
        { "type": "p", "path": "/dev/pipe", "fileMode": 0o600 },
        { "type": "u", "path": "/dev/u", "major": 1, "minor": 3, "fileMode": 0o4750 },
        { "type": "c", "path": "/opt/null", "major": 1, "minor": 3, "fileMode": 0o444 },
        { "type": "c", "path": "/dev/null", "major": 1, "minor": 3, "fileMode": 0o600, "uid": 9 },
    ]);
    let bundle = test.bundle("b", &config);
    let config = berth::spec::Config::from_bundle(&bundle).unwrap();
    let container = Container::run(&test.runtime, &unique("d"), &config, &piped()).unwrap();
    let expected = "/dev/fuse character special file a:e5 640 12:34\n\
                    /dev/deep/er/loop block special file 7:3 666 0:0\n\
                    /dev/pipe fifo 0:0 600 0:0\n\
                    /dev/u character special file 1:3 4750 0:0\n\
                    /opt/null character special file 1:3 444 0:0\n\
                    /dev/null character special file 1:3 600 9:0\n";
    assert_eq!(read_all(&container.init_process().unwrap()), expected);
}

#[test]
fn a_listed_device_may_be_in_the_image_already_if_it_is_the_same() {
    let test = TestRuntime::new();
    let run = |name: &str, minor: u32| {
        let mut config = shell("stat -c '%t:%T %a' /opt/node");
        let device = json!({ "type": "c", "path": "/opt/node", "major": 1, "minor": minor, "fileMode": 0o640 });
        config["linux"]["devices"] = json!([device]);
        let bundle = test.bundle(name, &config);
        let node = bundle.join("rootfs/opt/node");
        let made = std::process::Command::new("mknod").arg(node).args(["c", "1", "3"]).status().unwrap();
        assert!(made.success());
        let config = berth::spec::Config::from_bundle(&bundle).unwrap();
        let container = Container::run(&test.runtime, &unique("d"), &config, &piped())?;
        Ok::<_, berth::Error>(read_all(&container.init_process().unwrap()))
    };
    assert_eq!(run("same", 3).unwrap(), "1:3 640\n");
    let error = run("other", 5).unwrap_err();
    assert!(error.message.contains("/opt/node (1:5)"), "{error}");
}

#[test]
fn in_a_user_namespace_the_hosts_devices_are_bound() {
    let test = TestRuntime::new();
    let mut config = shell(
        "stat -c '%n %t:%T' /dev/null /dev/kmsg; grep -c ' /dev/null ' /proc/self/mountinfo; echo x >/dev/null && echo works",
    );
    with_user_namespace(&mut config);
    config["linux"]["devices"] = json!([{ "type": "c", "path": "/dev/kmsg", "major": 1, "minor": 11 }]);
    assert_eq!(test.stdout_of(&config), "/dev/null 1:3\n/dev/kmsg 1:b\n1\nworks\n");
}

/// Returns the result of opening a device node that the container's process made itself, with all capabilities that
/// could help.
fn open_own_node(kind: &str, major: u32, minor: u32, devices: Value) -> String {
    let test = TestRuntime::new();
    let script = format!(
        "mknod /dev/shm/node {kind} {major} {minor} && echo made; head -c 1 /dev/shm/node >/dev/null && echo opened"
    );
    let mut config = shell(&script);
    let names = ["CAP_MKNOD", "CAP_SYS_ADMIN", "CAP_SYS_RAWIO", "CAP_SYSLOG", "CAP_DAC_OVERRIDE"];
    set_capabilities(&mut config, &names);
    mount_on(&mut config, "/dev/shm")["options"] = json!(["nosuid", "noexec", "mode=1777"]);
    config["linux"]["resources"]["devices"] = devices;
    test.output(&config).0
}

fn deny_all() -> Value {
    json!({ "allow": false, "access": "rwm" })
}

#[test]
fn a_device_that_is_not_allowed_can_be_made_but_not_opened() {
    for (kind, major, minor) in [("b", 8, 0), ("b", 7, 0), ("c", 1, 1), ("c", 1, 11), ("c", 10, 229)] {
        let text = open_own_node(kind, major, minor, json!([deny_all()]));
        assert!(
            text.starts_with("made\n") && text.contains("Operation not permitted"),
            "{kind} {major}:{minor}: {text}"
        );
        assert!(!text.contains("opened"), "{text}");
    }
}

#[test]
fn without_rules_everything_is_denied_too() {
    for rules in [json!(null), json!([])] {
        let text = open_own_node("c", 1, 11, rules);
        assert!(text.contains("Operation not permitted") && !text.contains("opened"), "{text}");
    }
}

#[test]
fn devices_that_the_rules_allow_can_be_opened() {
    // /dev/kmsg exists on every host.
    let rule = |access: &str| json!({ "allow": true, "type": "c", "major": 1, "minor": 11, "access": access });
    let text = open_own_node("c", 1, 11, json!([deny_all(), rule("rwm")]));
    assert!(!text.contains("Operation not permitted"), "{text}");
    let text = open_own_node("c", 1, 11, json!([deny_all(), rule("w")]));
    assert!(text.contains("Operation not permitted"), "writing does not allow reading: {text}");
    let text = open_own_node("c", 1, 11, json!([rule("rwm"), deny_all()]));
    assert!(text.contains("Operation not permitted"), "the last rule counts: {text}");
}

#[test]
fn rules_hold_for_executed_processes_and_in_user_namespaces() {
    let test = TestRuntime::new();
    let mut config = shell("sleep 1000");
    set_capabilities(&mut config, &["CAP_MKNOD", "CAP_SYSLOG", "CAP_DAC_OVERRIDE"]);
    mount_on(&mut config, "/dev/shm")["options"] = json!(["nosuid", "noexec", "mode=1777"]);
    let container = test.run(&config, &quiet()).unwrap();
    let script = "mknod /dev/shm/x c 1 11; cat /dev/shm/x";
    let (text, status) = exec_output(&container, &shell_process(script));
    assert_eq!(status, ExitStatus::Exited(1));
    assert!(text.contains("Operation not permitted"), "{text}");
    container.delete(Force::Kill).unwrap();

    let mut config = shell("mknod /dev/shm/x b 8 0; head -c 1 /dev/kmsg");
    with_user_namespace(&mut config);
    set_capabilities(&mut config, &["CAP_MKNOD", "CAP_SYSLOG", "CAP_DAC_OVERRIDE"]);
    config["linux"]["devices"] = json!([{ "type": "c", "path": "/dev/kmsg", "major": 1, "minor": 11 }]);
    let (text, status) = test.output(&config);
    assert_eq!((text.matches("not permitted").count(), status), (2, ExitStatus::Exited(1)), "{text}");
}

#[test]
fn the_hosts_own_nodes_are_untouched() {
    let identity = |name: &str| {
        let found = std::fs::metadata(name).unwrap();
        (found.ino(), found.mode(), found.uid(), found.gid(), found.rdev())
    };
    let before = identity("/dev/null");
    let test = TestRuntime::new();
    for user_namespace in [false, true] {
        let mut config = shell("chmod 600 /dev/null; chown 5:5 /dev/null; true");
        set_capabilities(&mut config, &["CAP_FOWNER", "CAP_CHOWN"]);
        if user_namespace {
            with_user_namespace(&mut config);
        }
        test.stdout_of(&config);
    }
    assert_eq!(identity("/dev/null"), before);
}
