//! Id-mapped mounts and root filesystems.

mod common;

use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};

use berth::Code;
use common::*;
use serde_json::{Value, json};

/// Creates a directory with a file of uid 0, gid 0 and a file of uid 5, gid 6.
fn volume(test: &TestRuntime) -> PathBuf {
    let dir = test.make_dir("volume");
    for (name, uid, gid) in [("root", 0, 0), ("other", 5, 6)] {
        fs::write(dir.join(name), name).unwrap();
        chown(dir.join(name), Some(uid), Some(gid)).unwrap();
    }
    dir
}

fn maps(container: u32, host: u32, size: u32) -> Value {
    json!([{ "containerID": container, "hostID": host, "size": size }])
}

fn mapped(source: &Path, options: &[&str], uids: Value, gids: Value) -> Value {
    let mut mount = bind(source, "/mnt", options);
    mount["uidMappings"] = uids;
    mount["gidMappings"] = gids;
    mount
}

const OWNERS: &str = "stat -c %u:%g /mnt/root /mnt/other";

#[test]
fn a_mount_has_mappings_of_its_own() {
    if lacks(IDMAPPED_MOUNTS) {
        return;
    }
    let test = TestRuntime::new();
    let volume = volume(&test);
    for options in [vec!["bind", "idmap"], vec!["rbind", "ridmap"], vec!["bind"]] {
        let mut config = shell(&format!("{OWNERS}; touch /mnt/made; stat -c %u:%g /mnt/made"));
        config["process"]["user"] = json!({ "uid": 1000, "gid": 2000 });
        push_mount(&mut config, mapped(&volume, &options, maps(0, 1000, 10), maps(0, 2000, 10)));
        assert_eq!(test.stdout_of(&config), "1000:2000\n1005:2006\n1000:2000\n", "{options:?}");
        let made = fs::metadata(volume.join("made")).unwrap();
        assert_eq!((made.uid(), made.gid()), (0, 0), "{options:?}: on the disk");
        fs::remove_file(volume.join("made")).unwrap();
    }
}

#[test]
fn a_mount_has_the_mappings_of_the_user_namespace() {
    if lacks(IDMAPPED_MOUNTS) {
        return;
    }
    let test = TestRuntime::new();
    let volume = volume(&test);
    for (option, expected) in [("idmap", "0:0\n5:6\n"), ("nosuid", "65534:65534\n65534:65534\n")] {
        let mut config = shell(OWNERS);
        push_mount(&mut config, bind(&volume, "/mnt", &["bind", option]));
        with_user_namespace(&mut config);
        assert_eq!(test.stdout_of(&config), expected, "{option}");
    }
}

#[test]
fn a_mount_in_a_user_namespace_may_have_other_mappings() {
    if lacks(IDMAPPED_MOUNTS) {
        return;
    }
    let test = TestRuntime::new();
    let volume = volume(&test);
    let mut config = shell(OWNERS);
    push_mount(&mut config, mapped(&volume, &["bind", "idmap"], maps(0, ID_BASE + 7, 10), maps(0, ID_BASE + 8, 10)));
    with_user_namespace(&mut config);
    assert_eq!(test.stdout_of(&config), "7:8\n12:14\n");
}

#[test]
fn a_mount_has_the_mappings_of_a_joined_user_namespace() {
    if lacks(IDMAPPED_MOUNTS) {
        return;
    }
    let test = TestRuntime::new();
    let volume = volume(&test);
    let mut first = shell("sleep 1000");
    with_user_namespace(&mut first);
    let first = test.run(&first, &quiet()).unwrap();
    let mut config = shell(OWNERS);
    join_namespace(&mut config, "user", proc_of(&first, "ns/user").to_str().unwrap());
    push_mount(&mut config, bind(&volume, "/mnt", &["bind", "idmap"]));
    assert_eq!(test.stdout_of(&config), "0:0\n5:6\n");
}

#[test]
fn mappings_reach_the_mounts_below_only_if_that_is_asked() {
    if lacks(IDMAPPED_MOUNTS) {
        return;
    }
    let test = TestRuntime::new();
    for (option, expected) in [("ridmap", "1000\n1000\n"), ("idmap", "1000\n0\n")] {
        let tree = test.make_dir(option);
        fs::create_dir(tree.join("below")).unwrap();
        // A directory of the same filesystem, because tmpfs cannot be mapped before Linux 6.3.
        let other = test.make_dir(&format!("{option}-below"));
        let mount = || {
            nix::mount::mount(
                Some(&other),
                &tree.join("below"),
                None::<&str>,
                nix::mount::MsFlags::MS_BIND,
                None::<&str>,
            )
        };
        let mut config = shell("stat -c %u /mnt /mnt/below");
        push_mount(&mut config, mapped(&tree, &["rbind", option], maps(0, 1000, 10), maps(0, 1000, 10)));
        // In a mount namespace of this thread, which processes spawned from it inherit.
        let text = std::thread::scope(|scope| {
            scope
                .spawn(|| {
                    nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNS).unwrap();
                    let private = nix::mount::MsFlags::MS_REC | nix::mount::MsFlags::MS_PRIVATE;
                    nix::mount::mount(None::<&str>, "/", None::<&str>, private, None::<&str>).unwrap();
                    mount().unwrap();
                    test.stdout_of(&config)
                })
                .join()
                .unwrap()
        });
        assert_eq!(text, expected, "{option}");
    }
}

#[test]
fn a_filesystem_that_cannot_be_mapped_is_named() {
    if lacks(IDMAPPED_MOUNTS) {
        return;
    }
    let test = TestRuntime::new();
    let mut config = shell("true");
    push_mount(&mut config, mapped(Path::new("/sys/kernel"), &["bind", "idmap"], maps(0, 1, 1), maps(0, 1, 1)));
    let error = test.create(&config, &quiet()).unwrap_err();
    assert_eq!((error.code, error.errno), (Code::System, Some(nix::errno::Errno::EINVAL)));
    assert!(error.message.starts_with("setting the id mapping of the mounts at /sys/kernel"), "{error}");
    assert_eq!(error.detail["json_path"], "mounts[7]");
    assert!(test.runtime.ids().unwrap().is_empty());
}

/// Creates a runtime that id-maps root filesystems.
fn mapping_roots() -> TestRuntime {
    TestRuntime::with(|settings| settings.root_options.id_mapped = true)
}

#[test]
fn a_root_filesystem_of_the_hosts_root_belongs_to_the_containers() {
    if lacks(IDMAPPED_MOUNTS) {
        return;
    }
    let test = mapping_roots();
    let script = "stat -c %u /bin; touch /made && stat -c %u:%g /made; stat -c %u /dev/null";
    let mut config = shell(script);
    writable(&mut config);
    with_user_namespace(&mut config);
    let bundle = test.bundle("b", &config);
    assert_eq!(in_bundle(&test, &bundle).unwrap(), "0\n0:0\n65534\n");
    assert_eq!(fs::metadata(bundle.join("rootfs/made")).unwrap().uid(), 0, "on the disk");
}

#[test]
fn without_a_user_namespace_the_option_changes_nothing() {
    assert_eq!(mapping_roots().stdout_of(&shell("stat -c %u /bin")), "0\n");
}
