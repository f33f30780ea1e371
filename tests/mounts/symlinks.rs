//! Mount targets at symlinks of the image.

use std::fs;
use std::os::unix::fs::symlink;

use serde_json::json;

use crate::common::*;

#[test]
fn a_mount_target_behind_a_symlink_of_the_image_stays_inside() {
    let test = TestRuntime::new();
    let source = test.make_dir("source");
    fs::write(source.join("mark"), "bound").unwrap();
    let outside = test.make_dir("outside");
    let targets = [
        ("absolute".to_owned(), outside.display().to_string(), outside.display().to_string()),
        ("dots".into(), format!("../../../../../../../..{}", outside.display()), outside.display().to_string()),
        ("top".into(), "/".into(), String::new()),
    ];
    for (name, link, real) in targets {
        let mut config = shell(&format!("cat {real}/sub/mark"));
        push_mount(&mut config, bind(&source, &format!("/{name}/sub"), &["bind"]));
        let bundle = test.bundle(&name, &config);
        symlink(&link, bundle.join("rootfs").join(&name)).unwrap();
        // Create the link's target inside the root filesystem; the next test covers dangling links.
        fs::create_dir_all(bundle.join("rootfs").join(real.trim_start_matches('/'))).unwrap();
        assert_eq!(in_bundle(&test, &bundle).unwrap(), "bound", "{name}");
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 0, "{name}");
    }
}

#[test]
fn a_mount_target_behind_a_dangling_symlink_makes_nothing_outside() {
    let test = TestRuntime::new();
    let source = test.make_dir("source");
    let outside = test.make_dir("outside");
    let link = outside.join("victim").display().to_string();
    let mut config = shell(&format!("cat {link}/sub/mark"));
    fs::write(source.join("mark"), "bound").unwrap();
    push_mount(&mut config, bind(&source, "/link/sub", &["bind"]));
    let bundle = test.bundle("b", &config);
    symlink(&link, bundle.join("rootfs/link")).unwrap();
    assert_eq!(in_bundle(&test, &bundle).unwrap(), "bound");
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
}

/// Images contain dangling links to files that a package or a daemon creates later.
#[test]
fn a_mount_on_a_dangling_symlink_makes_what_is_missing() {
    let test = TestRuntime::new();
    let (file, directory) = (test.make_dir("files").join("file"), test.make_dir("directory"));
    fs::write(&file, "file").unwrap();
    fs::write(directory.join("in"), "in").unwrap();
    let links = [
        ("etc/resolv.conf", "../run/systemd/resolve/stub-resolv.conf"),
        ("etc/localtime", "/usr/share/zoneinfo/Asia/X"),
        ("var/run", "/nowhere/run"),
        ("var/lock", "gone/../../../../../up/lock"),
        ("etc/chain", "chain2"),
        ("etc/chain2", "/etc/chain3/deep/er"),
        ("srv/device", "../made/device"),
    ];
    let script = "cat /etc/resolv.conf /run/systemd/resolve/stub-resolv.conf /etc/localtime /up/lock/in /etc/chain/in; echo;                   grep -c ' /nowhere/run/x ' /proc/self/mountinfo; ls -d /var/gone 2>/dev/null; \
                  grep ' /up/lock ' /proc/self/mountinfo | grep -c ro,; stat -c %F /made/device /work/dir; pwd";
    let mut config = shell(script);
    push_mount(&mut config, bind(&file, "/etc/resolv.conf", &["rbind", "ro"]));
    push_mount(&mut config, bind(&file, "/etc/localtime", &["bind"]));
    push_mount(&mut config, json!({ "destination": "/var/run/x", "type": "tmpfs", "source": "tmpfs" }));
    push_mount(&mut config, bind(&directory, "/var/lock", &["bind", "rprivate"]));
    push_mount(&mut config, bind(&directory, "/var/lock", &["bind", "remount", "ro"]));
    push_mount(&mut config, bind(&directory, "/etc/chain", &["bind"]));
    config["linux"]["devices"] = json!([{ "type": "p", "path": "/srv/device", "fileMode": 0o600 }]);
    config["process"]["cwd"] = json!("/etc/workdir");
    writable(&mut config);
    for in_user_namespace in [false, true] {
        if in_user_namespace {
            with_user_namespace(&mut config);
        }
        let bundle = test.bundle(&unique("b"), &config);
        let root = bundle.join("rootfs");
        for directory in ["etc", "var", "srv"] {
            fs::create_dir_all(root.join(directory)).unwrap();
        }
        for (link, target) in links {
            let _ = fs::remove_file(root.join(link));
            let _ = fs::remove_dir_all(root.join(link));
            symlink(target, root.join(link)).unwrap();
        }
        symlink("/work/dir", root.join("etc/workdir")).unwrap();
        if in_user_namespace {
            let owner = format!("{ID_BASE}:{ID_BASE}");
            assert!(std::process::Command::new("chown").args(["-Rh", &owner]).arg(&root).status().unwrap().success());
        }
        let text = in_bundle(&test, &bundle).unwrap_or_else(|error| panic!("{in_user_namespace}: {error}"));
        assert_eq!(text, "filefilefileinin\n1\n1\nfifo\ndirectory\n/work/dir\n", "user namespace: {in_user_namespace}");
    }
}

#[test]
fn a_file_on_a_directory_and_a_directory_on_a_file_are_refused_by_name() {
    let test = TestRuntime::new();
    let (file, directory) = (test.make_dir("files").join("file"), test.make_dir("directory"));
    fs::write(&file, "").unwrap();
    for (source, destination) in [(&file, "/mnt"), (&directory, "/bin/busybox")] {
        let mut config = shell("true");
        push_mount(&mut config, bind(source, destination, &["bind"]));
        let error = test.create(&config, &quiet()).unwrap_err();
        assert_eq!(error.errno, Some(nix::errno::Errno::ENOTDIR), "{error}");
        assert!(error.message.contains(&format!("on {destination}: not a directory")), "{error}");
    }
}

#[test]
fn a_refused_symlink_is_called_by_that_name() {
    let test = TestRuntime::new();
    let bundle = test.bundle("b", &shell("true"));
    fs::remove_dir_all(bundle.join("rootfs/sys")).unwrap();
    symlink("opt", bundle.join("rootfs/sys")).unwrap();
    let error = in_bundle(&test, &bundle).unwrap_err();
    assert!(error.message.contains("on /sys: the path has a symbolic link"), "{error}");
    assert_eq!(error.errno, Some(nix::errno::Errno::ELOOP));
}

#[test]
fn dev_proc_and_sys_that_are_symlinks_stay_inside() {
    let test = TestRuntime::new();
    let outside = test.make_dir("outside");
    for name in ["dev", "sys", "proc"] {
        let mut config = shell("true");
        config["process"]["args"] = json!(["/bin/true"]);
        let bundle = test.bundle(name, &config);
        let original = bundle.join("rootfs").join(name);
        fs::remove_dir_all(&original).unwrap();
        symlink(&outside, &original).unwrap();
        let _ = in_bundle(&test, &bundle);
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 0, "{name}");
        assert!(test.runtime.ids().unwrap().is_empty());
    }
}
