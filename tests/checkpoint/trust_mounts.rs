//! Tables of mounts in images that somebody has edited: a restore brings no mount that the configuration does not have.

use std::path::Path;

use serde_json::json;

use crate::common::*;
use crate::edit_images::{self, Message};
use crate::hostile::{Good, image};
use crate::support::*;

/// Fields of CRIU's mnt_entry, and numbers of its types of filesystems.
const KIND: u32 = 1;
const ID: u32 = 2;
const DEVICE: u32 = 3;
const PARENT: u32 = 4;
const FLAGS: u32 = 5;
const ROOT: u32 = 6;
const POINT: u32 = 7;
const SOURCE: u32 = 8;
const OPTIONS: u32 = 9;
const EXTERNAL: u32 = 13;
const KIND_NAME: u32 = 14;
const SUPER_FLAGS: u32 = 17;
const NAME: u32 = 18;
const PROC: u64 = 1;
const TMPFS: u64 = 5;
const FUSE: u64 = 15;
const AUTO: u64 = 16;
const OVERLAY: u64 = 17;
const AUTOFS: u64 = 18;

const READ_ONLY: u64 = 1;

fn edit_mounts(images: &Path, change: impl FnOnce(&mut Vec<Message>)) {
    edit_images::edit(&image(images, "mountpoints"), change);
}

fn on<'a>(mounts: &'a mut [Message], point: &str) -> &'a mut Message {
    mounts.iter_mut().find(|mount| mount.text(POINT) == point).unwrap_or_else(|| panic!("no mount on {point}"))
}

/// A mount of a new filesystem on /mnt.
fn new_mount(mounts: &[Message], kind: u64, source: &str, options: &str) -> Message {
    let root = mounts.iter().find(|mount| mount.text(POINT) == "/").unwrap();
    let mut mount = Message::default();
    mount.set_number(KIND, kind).set_number(ID, 9000).set_number(DEVICE, 900).set_number(PARENT, root.number(ID));
    mount.set_number(FLAGS, 0).set_text(ROOT, "/").set_text(POINT, "/mnt").set_text(SOURCE, source);
    mount.set_text(OPTIONS, options).set_number(SUPER_FLAGS, 0);
    mount
}

/// Filesystems that CRIU would find on the host are refused before it starts.
#[test]
fn filesystems_of_the_host_are_refused() {
    let good = Good::new();
    let secret = good.test.make_dir("secret");
    let overlay = format!("lowerdir={},upperdir={},workdir={}", secret.display(), secret.display(), secret.display());
    let cases = [
        ("overlay", OVERLAY, "overlay", overlay.as_str()),
        ("ext4", AUTO, "/dev/vda", ""),
        ("autofs", AUTOFS, "auto", "fd=1"),
        ("fuse", FUSE, "x", "fd=1"),
        ("unsupported", 0, "x", ""),
        ("debugfs", 11, "debugfs", ""),
        ("binfmt_misc", 4, "x", ""),
        ("proc", AUTO, "/dev/vda", ""),
    ];
    for (name, kind, source, options) in cases {
        let images = good.copy(&format!("{name}-{kind}"));
        edit_mounts(&images, |mounts| {
            let mut mount = new_mount(mounts, kind, source, options);
            mount.set_text(KIND_NAME, name);
            mounts.push(mount);
        });
        let error = good.refused(&images, name);
        assert!(error.message.contains("mountpoints-") && error.message.contains("\"/mnt\""), "{name}: {error}");
        assert!(!log_tail(&error).contains("mnt"), "{name}: CRIU has run");
    }
}

/// Bind mounts of what is not the container's.
#[test]
fn sources_of_the_host_are_refused() {
    let good = Good::new();
    type Edit<'a> = &'a dyn Fn(&mut Vec<Message>);
    let cases: [(&str, Edit); 6] = [
        ("unknown name", &|mounts| {
            on(mounts, "/data").set_text(NAME, "/etc");
        }),
        ("no name", &|mounts| {
            on(mounts, "/data").without(NAME).set_number(EXTERNAL, 1).set_text(ROOT, "/etc");
        }),
        ("plugin", &|mounts| {
            on(mounts, "/data").set_number(12, 1);
        }),
        ("climbs", &|mounts| {
            let mut mount = on(mounts, "/data").clone();
            let root = mount.text(ROOT);
            mount.without(NAME).without(EXTERNAL).set_number(ID, 9000).set_text(ROOT, &format!("{root}/../.."));
            mounts.push(mount.set_text(POINT, "/mnt").clone());
        }),
        ("above", &|mounts| {
            let mut mount = on(mounts, "/data").clone();
            mount.without(NAME).without(EXTERNAL).set_number(ID, 9000).set_text(ROOT, "/etc");
            mounts.push(mount.set_text(POINT, "/mnt").clone());
        }),
        ("beyond 32 bits", &|mounts| {
            on(mounts, "/dev/shm").set_number(KIND, (1 << 32) + OVERLAY);
        }),
    ];
    for (what, change) in cases {
        let images = good.copy(&what.replace(' ', "-"));
        edit_mounts(&images, |mounts| change(mounts));
        let error = good.refused(&images, what);
        assert!(error.message.contains("mountpoints-"), "{what}: {error}");
    }
}

#[test]
fn a_table_with_too_many_mounts_is_refused_and_names_show_no_control_characters() {
    let good = Good::new();
    let images = good.copy("many");
    edit_mounts(&images, |mounts| {
        let mount = new_mount(mounts, TMPFS, "tmpfs", "");
        mounts.resize(100_001, mount);
    });
    let error = good.refused(&images, "many");
    assert!(error.message.contains("has more than 100000 entries"), "{error}");
    let images = good.copy("names");
    edit_mounts(&images, |mounts| {
        let mut mount = new_mount(mounts, OVERLAY, "x", "");
        mounts.push(mount.set_text(POINT, "/mnt\x1b[2J\n").clone());
    });
    let error = good.refused(&images, "names");
    assert!(error.message.contains("mnt") && !error.message.contains(['\x1b', '\n']), "{error:?}");
}

/// CRIU would restore an overlay with the host's directories of the same names.
#[test]
fn a_container_with_an_overlay_of_its_own_is_not_taken_down() {
    let test = test_runtime();
    let data = test.data();
    let mut config = counter(&data);
    set_capabilities(&mut config, &["CAP_SYS_ADMIN", "CAP_KILL"]);
    let script = config["process"]["args"][2].as_str().unwrap().to_owned();
    let mounts = "mkdir /dev/shm/low && mount -t overlay x -o lowerdir=/dev/shm/low:/tmp /mnt || exit";
    config["process"]["args"][2] = json!(format!("{mounts}\n{script}"));
    let container = test.run(&config, &quiet()).unwrap();
    counts_on(&data);
    let error = container.checkpoint(&into(&test.images("images"))).unwrap_err();
    assert!(error.message.contains("would not come back as it is") && error.message.contains("overlay"), "{error}");
    counts_on(&data);
    assert!(!test.images("images").join("descriptors.json").exists());
    end(container);
}

/// What CRIU restores is compared with the configuration before it runs.
#[test]
fn mounts_with_fewer_restrictions_than_the_configuration_are_refused() {
    let test = test_runtime();
    let data = test.data();
    let volume = test.make_dir("volume");
    let mut config = counter(&data);
    push_mount(&mut config, bind(&volume, "/opt", &["bind", "ro", "nosuid", "nodev", "noexec"]));
    push_mount(&mut config, json!({ "destination": "/home", "type": "tmpfs", "source": "own", "options": ["ro"] }));
    config["linux"]["maskedPaths"] = json!(["/proc/keys", "/sys/firmware", "/etc"]);
    config["linux"]["readonlyPaths"] = json!(["/proc/sys"]);
    let images = test.images("images");
    test.dumped(&config, &data, &into(&images));
    let good = Good { test, data, config, images };
    type Edit<'a> = &'a dyn Fn(&mut Vec<Message>);
    let remove = |mounts: &mut Vec<Message>, point: &str| mounts.retain(|mount| mount.text(POINT) != point);
    let cases: [(&str, &str, Edit); 9] = [
        ("writable", "/opt", &|mounts| {
            let mount = on(mounts, "/opt");
            let flags = mount.number(FLAGS);
            assert_eq!(flags & 0xf, 0xf);
            mount.set_number(FLAGS, flags & !READ_ONLY);
        }),
        ("suid", "/opt", &|mounts| {
            let mount = on(mounts, "/opt");
            let flags = mount.number(FLAGS);
            mount.set_number(FLAGS, flags & !2);
        }),
        ("writable-tmpfs", "/home", &|mounts| {
            let mount = on(mounts, "/home");
            let flags = mount.number(FLAGS);
            mount.set_number(FLAGS, flags & !READ_ONLY).set_number(SUPER_FLAGS, 0);
        }),
        ("no-mask-of-a-file", "/proc/keys", &|mounts| remove(mounts, "/proc/keys")),
        ("no-mask-of-a-directory", "/etc", &|mounts| remove(mounts, "/etc")),
        ("writable-sys", "/proc/sys", &|mounts| remove(mounts, "/proc/sys")),
        ("no-volume", "/opt", &|mounts| remove(mounts, "/opt")),
        ("another-source", "/opt", &|mounts| {
            let name = on(mounts, "/data").text(NAME);
            on(mounts, "/opt").set_text(NAME, &name);
        }),
        ("more", "/mnt", &|mounts| {
            let mount = new_mount(mounts, PROC, "proc", "");
            mounts.push(mount);
        }),
    ];
    for (what, place, change) in cases {
        let images = good.copy(what);
        edit_mounts(&images, |mounts| change(mounts));
        let error = good.refused(&images, what);
        assert!(error.message.contains("do not fit the configuration"), "{what}: {error}");
        assert!(error.message.contains(place), "{what}: {error}");
    }
    let restored = good.test.restored(&good.config, &good.images);
    counts_on(&good.data);
    end(restored);
}
