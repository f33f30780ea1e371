//! New filesystems, propagation, and mounts on mounts.

use std::fs;

use berth::{Code, Stage};
use serde_json::json;

use crate::common::*;

#[test]
fn a_tmpfs_has_its_size_and_mode() {
    let test = TestRuntime::new();
    let mut config =
        shell("stat -c %a:%u:%g /mnt; df -k /mnt | tail -1 | tr -s ' ' | cut -d' ' -f2; cat /proc/self/mountinfo");
    let options = ["size=1m", "mode=1711", "uid=5", "gid=6", "noexec", "nr_inodes=100"];
    push_mount(&mut config, json!({ "destination": "/mnt", "type": "tmpfs", "source": "tmpfs", "options": options }));
    let text = test.stdout_of(&config);
    assert!(text.starts_with("1711:5:6\n1024\n"), "{text}");
    let found = mounted(&text, "/mnt");
    assert!(found.options.contains(&"noexec".into()) && !found.options.contains(&"nosuid".into()));
    assert!(found.super_options.contains(&"nr_inodes=100".into()), "{found:?}");
}

#[test]
fn a_wrong_tmpfs_option_is_reported_with_the_kernels_message() {
    let test = TestRuntime::new();
    for (option, words) in [("size=huge", "size"), ("no_such_option=1", "no_such_option")] {
        let mut config = shell("true");
        push_mount(&mut config, json!({ "destination": "/mnt", "type": "tmpfs", "options": [option] }));
        let error = test.create(&config, &quiet()).unwrap_err();
        assert_eq!(
            (error.code, error.stage, error.errno),
            (Code::System, Stage::Init, Some(nix::errno::Errno::EINVAL))
        );
        assert!(error.message.contains("mounting tmpfs on /mnt") && error.message.contains(words), "{error}");
        assert!(error.detail["kernel"].as_str().unwrap().contains(words), "{:?}", error.detail);
        assert!(test.runtime.ids().unwrap().is_empty());
    }
}

#[test]
fn a_filesystem_type_that_the_kernel_does_not_know_is_named() {
    let test = TestRuntime::new();
    let mut config = shell("true");
    push_mount(&mut config, json!({ "destination": "/mnt", "type": "nosuchfs", "source": "x" }));
    let error = test.create(&config, &quiet()).unwrap_err();
    assert!(error.message.contains("mounting nosuchfs on /mnt"), "{error}");
}

#[test]
fn propagation_of_a_mount_is_as_configured() {
    let test = TestRuntime::new();
    let shared = test.make_dir("shared");
    for (options, expected) in [
        (vec!["bind", "private"], vec![]),
        (vec!["bind", "rshared"], vec!["shared:"]),
        (vec!["rbind", "slave", "shared"], vec!["shared:"]),
        (vec!["bind", "unbindable"], vec!["unbindable"]),
    ] {
        let mut config = shell(TABLE);
        push_mount(&mut config, bind(&shared, "/mnt", &options));
        let found = mounted(&test.stdout_of(&config), "/mnt");
        for word in &expected {
            assert!(found.optional.contains(word), "{options:?}: {found:?}");
        }
        assert!(!expected.is_empty() || found.optional.is_empty(), "{options:?}: {found:?}");
    }
}

#[test]
fn propagation_of_the_root_is_as_configured() {
    let test = TestRuntime::new();
    for (name, expected) in [
        ("private", ""),
        ("rprivate", ""),
        ("shared", "shared:"),
        ("rshared", "shared:"),
        ("unbindable", "unbindable"),
        ("runbindable", "unbindable"),
    ] {
        let mut config = shell(TABLE);
        config["linux"]["rootfsPropagation"] = json!(name);
        let found = mounted(&test.stdout_of(&config), "/");
        let fits = if expected.is_empty() { found.optional.is_empty() } else { found.optional.contains(expected) };
        assert!(fits, "{name}: {found:?}");
    }
    for name in ["slave", "rslave", ""] {
        let mut config = shell(TABLE);
        config["linux"]["rootfsPropagation"] = json!(name);
        let found = mounted(&test.stdout_of(&config), "/");
        assert!(!found.optional.contains("shared:"), "{name}: {found:?}");
    }
}

#[test]
fn a_mount_may_cover_another() {
    let test = TestRuntime::new();
    let mut config = shell("ls /mnt; grep -c ' /mnt ' /proc/self/mountinfo");
    let (first, second) = (test.make_dir("first"), test.make_dir("second"));
    fs::write(second.join("second"), "").unwrap();
    push_mount(&mut config, bind(&first, "/mnt", &["bind"]));
    push_mount(&mut config, bind(&second, "/mnt", &["bind"]));
    assert_eq!(test.stdout_of(&config), "second\n2\n");
}

#[test]
fn a_remount_changes_the_options_of_a_mount() {
    let test = TestRuntime::new();
    let mut config = shell("touch /mnt/x 2>&1 | grep -o 'Read-only file system'");
    let dir = test.make_dir("dir");
    push_mount(&mut config, bind(&dir, "/mnt", &["bind"]));
    push_mount(&mut config, bind(&dir, "/mnt", &["bind", "remount", "ro"]));
    assert_eq!(test.stdout_of(&config), "Read-only file system\n");
}

/// They belong to the filesystem of the source. The kernel ignores them in a remount of a bind mount, too.
#[test]
fn a_remount_of_a_bind_mount_ignores_options_of_the_filesystem() {
    let test = TestRuntime::new();
    let dir = test.make_dir("dir");
    let of_the_host = || {
        let found = std::process::Command::new("findmnt").args(["-n", "-o", "FS-OPTIONS", "-T"]).arg(&dir).output();
        String::from_utf8(found.unwrap().stdout).unwrap()
    };
    let before = of_the_host();
    assert!(!before.is_empty());
    for option in ["sync", "dirsync", "mand", "lazytime", "silent", "iversion"] {
        let mut config = shell("touch /mnt/x 2>&1 | grep -o 'Read-only file system'");
        push_mount(&mut config, bind(&dir, "/mnt", &["bind"]));
        push_mount(&mut config, bind(&dir, "/mnt", &["bind", "remount", "ro", option]));
        assert_eq!(test.stdout_of(&config), "Read-only file system\n", "{option}");
        assert_eq!(of_the_host(), before, "{option}");
    }
}
