//! Device rules, tested by creating and opening device nodes.

use berth::cgroup::device_filter;
use berth::cgroup::device_rules::{Access, Kind, Rule};

use crate::support::{Group, json};

/// Tries to create and to read a device node; returns "yes" or the kernel's error message for each.
fn attempt(group: &mut Group, kind: char, major: u32, minor: u32) -> (String, String) {
    // Not below /tmp or /dev/shm, which may be mounted nodev.
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let node = folder.path().join("node");
    let node = node.display();
    // Outside the cgroup it works, so that a denial comes from the cgroup.
    let outside = std::process::Command::new("mknod")
        .args([&format!("{node}-outside"), &kind.to_string(), &major.to_string(), &minor.to_string()])
        .status();
    assert!(outside.unwrap().success());
    let (_, made) = group.output(&format!("LC_ALL=C mknod {node} {kind} {major} {minor} 2>&1 && echo yes"));
    let (_, opened) = group.output(&format!("LC_ALL=C dd if={node}-outside of=/dev/null count=0 2>&1 && echo yes"));
    let answer = |text: String| {
        let last = text.trim().lines().last().unwrap_or_default().to_owned();
        last.rsplit(": ").next().unwrap_or_default().to_owned()
    };
    (answer(made), answer(opened))
}

const DENIED: &str = "Operation not permitted";

#[test]
fn without_rules_only_the_needed_devices_can_be_opened() {
    let Some(mut group) = Group::new() else { return };
    assert_eq!(attempt(&mut group, 'c', 1, 11).1, "yes", "before the rules");
    group.cgroup.apply(&json("{}")).unwrap();
    assert_eq!(attempt(&mut group, 'c', 1, 3), ("yes".into(), "yes".into()));
    assert_eq!(attempt(&mut group, 'c', 1, 9), ("yes".into(), "yes".into()));
    // The default rules allow every process with CAP_MKNOD to create nodes, but not to open them.
    assert_eq!(attempt(&mut group, 'c', 1, 11), ("yes".into(), DENIED.into()));
    assert_eq!(attempt(&mut group, 'b', 8, 0), ("yes".into(), DENIED.into()));
}

#[test]
fn rules_are_followed_and_can_be_changed() {
    let Some(mut group) = Group::new() else { return };
    let kmsg = |allow: bool| {
        json(&format!(
            r#"{{"devices": [{{"allow": false, "access": "rwm"}},
        {{"allow": {allow}, "type": "c", "major": 1, "minor": 11, "access": "r"}}]}}"#
        ))
    };
    for allow in [true, false, true, true, false] {
        group.cgroup.apply(&kmsg(allow)).unwrap();
        let expected = if allow { "yes" } else { DENIED };
        assert_eq!(attempt(&mut group, 'c', 1, 11).1, expected, "{allow}");
        assert_eq!(attempt(&mut group, 'c', 1, 5).1, "yes");
    }
    group.cgroup.apply(&json(r#"{"devices": [{"allow": true, "access": "rwm"}]}"#)).unwrap();
    assert_eq!(attempt(&mut group, 'c', 1, 11).1, "yes");
    group.cgroup.apply(&kmsg(false)).unwrap();
    assert_eq!(attempt(&mut group, 'c', 1, 11).1, DENIED);
}

#[test]
fn one_device_can_be_taken_out_of_all() {
    let Some(mut group) = Group::new() else { return };
    let rules = r#"{"devices": [{"allow": true, "access": "rwm"},
        {"allow": false, "type": "c", "major": 1, "minor": 11, "access": "rw"}]}"#;
    group.cgroup.apply(&json(rules)).unwrap();
    assert_eq!(attempt(&mut group, 'c', 1, 11).1, DENIED);
    // The device does not exist, but the error is not the cgroup's EPERM.
    assert_ne!(attempt(&mut group, 'c', 1, 200).1, DENIED);
}

#[test]
fn the_program_decides_about_making_too() {
    let Some(mut group) = Group::new() else { return };
    let Some(tree) = group.layout.paths.get("").cloned() else {
        eprintln!("SKIPPED: the host has no v2 tree");
        return;
    };
    let rule = |kind, major, access| Rule { allow: true, kind: Some(kind), major: Some(major), minor: None, access };
    let rules =
        [rule(Kind::Char, 1, Access::READ), rule(Kind::Char, 1, Access::WRITE), rule(Kind::Block, 8, Access::MKNOD)];
    device_filter::apply(&tree, &rules).unwrap();
    assert_eq!(attempt(&mut group, 'c', 1, 11), (DENIED.into(), "yes".into()));
    assert_eq!(attempt(&mut group, 'b', 8, 0), ("yes".into(), DENIED.into()));
    assert_eq!(attempt(&mut group, 'b', 7, 0), (DENIED.into(), DENIED.into()));
    // dd needs /dev/null as well, which the first two rules allow.
    device_filter::apply(&tree, &rules[..1]).unwrap();
    assert_eq!(attempt(&mut group, 'c', 1, 11).1, DENIED, "opening /dev/null for writing");
}
