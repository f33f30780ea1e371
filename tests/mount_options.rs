//! Each mount option has its effect, or is refused.

mod common;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use berth::{Code, Stage};
use common::*;
use serde_json::{Value, json};

fn tmpfs(destination: &str, options: &[&str]) -> Value {
    json!({ "destination": destination, "type": "tmpfs", "source": "tmpfs", "options": options })
}

/// Returns the options of a mount on /mnt as mountinfo shows them.
fn shown(mount: Value) -> Vec<String> {
    let test = TestRuntime::new();
    let mut config = shell(TABLE);
    push_mount(&mut config, mount);
    let found = mounted(&test.stdout_of(&config), "/mnt");
    found.options.into_iter().chain(found.super_options).collect()
}

/// Returns whether an option sets an attribute of a whole tree of mounts. On a bind mount that needs mount_setattr.
fn is_recursive(option: &str) -> bool {
    option.starts_with('r') && !["ro", "rw", "relatime"].contains(&option)
}

/// An option, its opposite, and how mountinfo shows the option.
const ATTRIBUTES: [(&str, &str, &str); 6] = [
    ("ro", "rw", "ro"),
    ("nosuid", "suid", "nosuid"),
    ("nodev", "dev", "nodev"),
    ("noexec", "exec", "noexec"),
    ("nodiratime", "diratime", "nodiratime"),
    ("nosymfollow", "symfollow", "nosymfollow"),
];

#[test]
fn each_attribute_is_set_and_cleared_on_new_mounts_and_on_bound_ones() {
    let test = TestRuntime::new();
    let dir = test.make_dir("dir");
    let single_only = lacks(MOUNT_SETATTR);
    for (option, opposite, expected) in ATTRIBUTES {
        for prefix in ["", "r"] {
            let (on, off) = (format!("{prefix}{option}"), format!("{prefix}{opposite}"));
            let mounts = |options: &[&str]| {
                let bound = bind(&dir, "/mnt", &[&["rbind"], options].concat());
                let bound = (!single_only || !is_recursive(&on)).then_some(bound);
                [tmpfs("/mnt", options)].into_iter().chain(bound)
            };
            for mount in mounts(&[&on]) {
                let found = shown(mount.clone());
                assert!(found.iter().any(|shown| shown == expected), "{mount}: {found:?}");
            }
            for mount in mounts(&[&on, &off]) {
                let found = shown(mount.clone());
                // mountinfo shows "rw" of a tmpfs twice: for the mount and for the filesystem.
                assert!(!found.iter().any(|shown| shown == expected), "{mount}: {found:?}");
            }
        }
    }
}

#[test]
fn each_setting_of_access_times_is_set() {
    let test = TestRuntime::new();
    let dir = test.make_dir("dir");
    let atime = |found: &[String]| -> Option<&'static str> {
        ["noatime", "relatime"].into_iter().find(|name| found.iter().any(|shown| shown == name))
    };
    let single_only = lacks(MOUNT_SETATTR);
    // The opposite of an option leaves the flag of a bind mount as its source has it; systemd's /tmp, for example, has
    // "strictatime".
    let source = atime(&shown(bind(&dir, "/mnt", &["rbind"])));
    for (options, expected) in [
        (vec!["noatime"], Some("noatime")),
        (vec!["relatime"], Some("relatime")),
        (vec!["strictatime"], None),
        (vec!["atime"], Some("relatime")),
        (vec!["noatime", "relatime"], Some("noatime")),
        (vec!["strictatime", "noatime"], None),
        (vec!["strictatime", "nostrictatime"], Some("relatime")),
        (vec!["noatime", "norelatime"], Some("noatime")),
        (vec!["rnoatime"], Some("noatime")),
        (vec!["rstrictatime"], None),
        (vec!["rrelatime"], Some("relatime")),
        (vec!["noatime", "rstrictatime"], None),
    ] {
        assert_eq!(atime(&shown(tmpfs("/mnt", &options))), expected, "{options:?}");
        if single_only && options.iter().any(|name| is_recursive(name)) {
            continue;
        }
        let takes_back = ["nostrictatime", "atime"].iter().any(|name| options.contains(name));
        let expected = if takes_back { source } else { expected };
        let bound: Vec<&str> = ["rbind"].iter().chain(&options).copied().collect();
        assert_eq!(atime(&shown(bind(&dir, "/mnt", &bound))), expected, "{bound:?}");
    }
}

/// docs/mounts.md has this table, and compares it with runc, crun and mount(8).
#[test]
fn a_bind_mount_keeps_the_flags_of_its_source_except_the_given_ones() {
    let test = TestRuntime::new();
    let mut config = shell(TABLE);
    let mut expected = Vec::new();
    let single_only = lacks(MOUNT_SETATTR);
    for (index, (source, options, shown)) in FLAGS.iter().enumerate() {
        if single_only && options.split(',').any(is_recursive) {
            continue;
        }
        let dir = test.make_dir(&format!("source{index}"));
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", source, "tmpfs"]).arg(&dir).status().unwrap();
        assert!(mounted.success());
        let options: Vec<&str> =
            ["bind"].into_iter().chain(options.split(',').filter(|name| !name.is_empty())).collect();
        push_mount(&mut config, bind(&dir, &format!("/dev/shm/{index}"), &options));
        expected.push((format!("/dev/shm/{index}"), dir, options, *shown));
    }
    let result = test.run(&config, &piped()).map(|container| {
        let text = read_all(&container.init_process().unwrap());
        container.delete(berth::Force::Kill).unwrap();
        text
    });
    for (_, source, _, _) in &expected {
        assert!(Command::new("umount").arg(source).status().unwrap().success());
    }
    let table = result.unwrap();
    for (point, _, options, shown) in expected {
        assert_eq!(mounted(&table, &point).options.join(","), shown, "{options:?}");
    }
}

/// The flags of the source, the options, and the flags of the resulting mount.
const FLAGS: [(&str, &str, &str); 35] = [
    ("nosuid,nodev,noexec", "", "rw,nosuid,nodev,noexec,relatime"),
    ("nosuid,nodev,noexec", "ro", "ro,nosuid,nodev,noexec,relatime"),
    ("nosuid,nodev,noexec", "suid", "rw,nodev,noexec,relatime"),
    ("nosuid,nodev,noexec", "ro,dev", "ro,nosuid,noexec,relatime"),
    ("nosuid,nodev,noexec", "rw", "rw,nosuid,nodev,noexec,relatime"),
    ("nosuid,nodev,noexec", "exec,dev,suid", "rw,relatime"),
    ("ro", "", "ro,relatime"),
    ("ro", "rw", "rw,relatime"),
    ("ro", "nosuid", "ro,nosuid,relatime"),
    ("ro", "nosuid,rw", "rw,nosuid,relatime"),
    ("noatime", "", "rw,noatime"),
    ("noatime", "ro", "ro,noatime"),
    ("noatime", "relatime", "rw,relatime"),
    ("noatime", "atime", "rw,noatime"),
    ("noatime", "strictatime", "rw"),
    ("noatime", "norelatime", "rw,noatime"),
    ("noatime", "nodiratime", "rw,noatime,nodiratime"),
    ("noatime,nodiratime", "diratime", "rw,noatime,nodiratime"),
    ("strictatime", "", "rw"),
    ("strictatime", "ro", "ro"),
    ("strictatime", "relatime", "rw,relatime"),
    ("strictatime", "noatime", "rw,noatime"),
    ("strictatime", "nodiratime", "rw,nodiratime"),
    ("strictatime", "atime", "rw"),
    ("strictatime", "nostrictatime", "rw"),
    ("relatime", "noatime,atime", "rw,relatime"),
    ("relatime", "noatime,relatime", "rw,noatime"),
    ("relatime", "strictatime,noatime", "rw"),
    ("relatime", "nodiratime,diratime", "rw,relatime"),
    ("rw", "ro,rw", "rw,relatime"),
    ("rw", "rw,ro", "ro,relatime"),
    ("nosymfollow", "ro", "ro,relatime,nosymfollow"),
    ("nosuid,ro", "defaults", "ro,nosuid,relatime"),
    ("nosuid", "rro", "ro,nosuid,relatime"),
    ("nosuid", "rsuid", "rw,relatime"),
];

/// fsconfig(2) takes up to 255 bytes of one option, mount(2) up to a page of all options.
#[test]
fn options_may_be_longer_than_255_bytes() {
    let test = TestRuntime::new();
    let lower: Vec<String> = (0..8)
        .map(|index| {
            let dir = test.make_dir(&format!("a-rather-long-name-of-a-lower-directory-{index}"));
            fs::write(dir.join(format!("f{index}")), format!("{index}")).unwrap();
            dir.display().to_string()
        })
        .collect();
    let overlay = |options: &[&str]| {
        let lower = format!("lowerdir={}", lower.join(":"));
        let options: Vec<&str> = [lower.as_str()].into_iter().chain(options.iter().copied()).collect();
        json!({ "destination": "/mnt", "type": "overlay", "source": "overlay", "options": options })
    };
    let script = format!("cat /mnt/f0 /mnt/f7; echo; {TABLE}");
    let mut config = shell(&script);
    push_mount(&mut config, overlay(&["ro", "nosuid", "noatime", "lazytime"]));
    let text = test.stdout_of(&config);
    assert!(text.starts_with("07\n"), "{text}");
    let found = mounted(&text, "/mnt");
    assert_eq!((found.kind.as_str(), found.options.join(",").as_str()), ("overlay", "ro,nosuid,noatime"));
    if !lacks(OVERLAY_IN_USER_NAMESPACES) {
        with_user_namespace(&mut config);
        assert!(test.stdout_of(&config).starts_with("07\n"));
    }

    let mut config = shell(&script);
    push_mount(&mut config, overlay(&[&format!("context={}", "x".repeat(4000))]));
    let error = test.create(&config, &quiet()).unwrap_err();
    assert_eq!(error.errno, Some(nix::errno::Errno::E2BIG), "{error}");
    assert!(error.message.contains("mounting overlay on /mnt"), "{error}");
    assert!(test.runtime.ids().unwrap().is_empty());
}

#[test]
fn a_tmpfs_has_the_mode_of_the_directory_that_it_covers() {
    let test = TestRuntime::new();
    let script = "stat -L -c %a:%u /home/own /dev/shm/new /var/lib/link /mnt /opt/ro";
    let mut config = shell(script);
    for destination in ["/home/own", "/dev/shm/new", "/var/lib/link"] {
        push_mount(&mut config, tmpfs(destination, &["nosuid"]));
    }
    push_mount(&mut config, tmpfs("/mnt", &["mode=711"]));
    push_mount(&mut config, tmpfs("/opt/ro", &["ro"]));
    let prepare = |bundle: &Path| {
        let root = bundle.join("rootfs");
        for (name, mode) in [("home/own", 0o700), ("srv/target", 0o2750), ("opt/ro", 0o555)] {
            fs::create_dir_all(root.join(name)).unwrap();
            fs::set_permissions(root.join(name), fs::Permissions::from_mode(mode)).unwrap();
            std::os::unix::fs::chown(root.join(name), Some(7), Some(7)).unwrap();
            fs::set_permissions(root.join(name), fs::Permissions::from_mode(mode)).unwrap();
        }
        fs::create_dir_all(root.join("var/lib")).unwrap();
        symlink("/srv/target", root.join("var/lib/link")).unwrap();
    };
    for in_user_namespace in [false, true] {
        if in_user_namespace {
            with_user_namespace(&mut config);
        }
        let bundle = test.bundle(&unique("b"), &config);
        prepare(&bundle);
        let text = in_bundle(&test, &bundle).unwrap();
        assert_eq!(text, "700:0\n1777:0\n2750:0\n711:0\n555:0\n", "user namespace: {in_user_namespace}");
    }
}

#[test]
fn options_of_every_filesystem_reach_it() {
    for option in ["sync", "dirsync", "lazytime", "mand"] {
        let found = shown(tmpfs("/mnt", &[option]));
        // Linux 5.15 removed mandatory locks and ignores the option.
        assert!(found.iter().any(|shown| shown == option) || option == "mand", "{option}: {found:?}");
    }
    for (on, off) in [("sync", "async"), ("lazytime", "nolazytime"), ("mand", "nomand")] {
        assert!(!shown(tmpfs("/mnt", &[on, off])).iter().any(|shown| shown == on), "{on}");
    }
    for option in ["defaults", "silent", "loud"] {
        assert_eq!(shown(tmpfs("/mnt", &[option])), shown(tmpfs("/mnt", &[])), "{option}");
    }
}

/// The kernel does not show this flag, so the test traces system calls: there is one mount(2), and it keeps the other
/// flags.
#[test]
fn changes_of_inodes_are_counted_where_that_is_asked_for() {
    let test = TestRuntime::new();
    for (option, asked) in [("iversion", 1), ("noiversion", 0)] {
        let mut config = shell(TABLE);
        push_mount(&mut config, tmpfs("/mnt", &["nosuid", "noatime", "lazytime", "ro", option]));
        let (bundle, trace) = (test.bundle(&unique("b"), &config), test.path(option));
        let mut strace = Command::new("strace");
        strace.args(["-f", "-e", "trace=mount", "-o"]).arg(&trace).arg(env!("CARGO_BIN_EXE_berth"));
        strace.arg("--root").arg(test.path("state")).args(["run", "--bundle"]).arg(&bundle).arg(unique("c"));
        let output = strace.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let found = mounted(&String::from_utf8(output.stdout).unwrap(), "/mnt");
        for (name, list) in [("ro", &found.options), ("nosuid", &found.options), ("noatime", &found.options)] {
            assert!(list.iter().any(|shown| shown == name), "{name}: {list:?}");
        }
        assert!(found.super_options.iter().any(|shown| shown == "lazytime"), "{:?}", found.super_options);
        let calls = fs::read_to_string(&trace).unwrap();
        let calls: Vec<&str> = calls.lines().filter(|line| line.contains("MS_I_VERSION")).collect();
        assert!(calls.len() == asked && calls.iter().all(|call| call.ends_with("= 0")), "{calls:?}");
    }
}

#[test]
fn a_later_entry_changes_a_filesystem_that_is_mounted() {
    let test = TestRuntime::new();
    let mut config = shell("df -k /mnt | tail -1 | tr -s ' ' | cut -d' ' -f2; cat /proc/self/mountinfo");
    push_mount(&mut config, tmpfs("/mnt", &["size=1m"]));
    push_mount(&mut config, json!({ "destination": "/mnt", "options": ["remount", "size=2m", "nosuid", "lazytime"] }));
    let text = test.stdout_of(&config);
    assert!(text.starts_with("2048\n"), "{text}");
    let found = mounted(&text, "/mnt");
    assert!(found.options.contains(&"nosuid".into()) && found.super_options.contains(&"lazytime".into()), "{found:?}");
}

#[test]
fn a_change_that_the_filesystem_refuses_is_reported_with_its_message() {
    let test = TestRuntime::new();
    let mut config = shell("true");
    push_mount(&mut config, tmpfs("/mnt", &[]));
    push_mount(&mut config, json!({ "destination": "/mnt", "type": "tmpfs", "options": ["remount", "size=huge"] }));
    let error = test.create(&config, &quiet()).unwrap_err();
    assert!(error.message.starts_with("changing the filesystem mounted on /mnt: ") && error.message.contains("size"));
    assert_eq!(error.detail["json_path"], "mounts[8]", "{error}");
}

#[test]
fn a_failed_mount_is_reported_with_its_entry() {
    let test = TestRuntime::new();
    for (entry, mount) in [
        (7, json!({ "destination": "/etc/passwd/x", "type": "tmpfs" })),
        (7, json!({ "destination": "/etc/passwd", "type": "bind", "source": "/tmp", "options": ["bind"] })),
        (7, json!({ "destination": "/nowhere", "options": ["remount", "ro"] })),
    ] {
        let mut config = shell("true");
        push_mount(&mut config, mount);
        push_mount(&mut config, tmpfs("/tmp", &[]));
        let error = test.create(&config, &quiet()).unwrap_err();
        assert_eq!((error.code, error.stage), (Code::System, Stage::Init));
        assert!(error.message.contains(&format!("(mounts[{entry}], step ")), "{error}");
        assert_eq!(error.detail["json_path"], format!("mounts[{entry}]"));
        assert!(test.runtime.ids().unwrap().is_empty());
    }
}

/// Creates a bundle whose image has files in /of-its-own.
fn with_data(test: &TestRuntime, config: &Value, name: &str) -> std::path::PathBuf {
    let bundle = test.bundle(name, config);
    let data = bundle.join("rootfs/of-its-own");
    fs::create_dir_all(data.join("sub/deep")).unwrap();
    fs::write(data.join("sub/deep/file"), "of the image").unwrap();
    fs::set_permissions(data.join("sub/deep/file"), fs::Permissions::from_mode(0o644)).unwrap();
    std::os::unix::fs::chown(data.join("sub/deep/file"), Some(7), Some(8)).unwrap();
    symlink("sub/deep/file", data.join("link")).unwrap();
    fs::set_permissions(&data, fs::Permissions::from_mode(0o2755)).unwrap();
    std::os::unix::fs::chown(&data, Some(0), Some(9)).unwrap();
    bundle
}

#[test]
fn tmpcopyup_copies_the_image_and_does_not_change_it() {
    let test = TestRuntime::new();
    let script = "cat /of-its-own/link; stat -c ' %a:%u:%g' /of-its-own/sub/deep/file /of-its-own; echo new >/of-its-own/sub/new";
    for (name, options, top) in [
        ("plain", vec!["tmpcopyup"], "2755:0:9"),
        ("own-mode", vec!["tmpcopyup", "mode=1777"], "1777:0:0"),
        ("sized", vec!["tmpcopyup", "size=1m", "nosuid"], "2755:0:9"),
    ] {
        let mut config = shell(script);
        push_mount(&mut config, tmpfs("/of-its-own", &options));
        let bundle = with_data(&test, &config, name);
        let text = in_bundle(&test, &bundle).unwrap();
        assert_eq!(text, format!("of the image 644:7:8\n {top}\n"), "{name}");
        assert!(!bundle.join("rootfs/of-its-own/sub/new").exists(), "{name}");
    }
}

#[test]
fn tmpcopyup_may_be_read_only_afterwards() {
    let test = TestRuntime::new();
    let mut config = shell("cat /of-its-own/link; touch /of-its-own/x 2>&1");
    push_mount(&mut config, tmpfs("/of-its-own", &["tmpcopyup", "ro"]));
    let text = in_bundle(&test, &with_data(&test, &config, "b")).unwrap();
    assert!(text.starts_with("of the image") && text.contains("Read-only file system"), "{text}");
}

#[test]
fn tmpcopyup_in_a_user_namespace() {
    let test = TestRuntime::new();
    let mut config = shell("cat /of-its-own/file; stat -c ' %u' /of-its-own/file");
    push_mount(&mut config, tmpfs("/of-its-own", &["tmpcopyup"]));
    with_user_namespace(&mut config);
    let bundle = test.bundle("b", &config);
    fs::create_dir(bundle.join("rootfs/of-its-own")).unwrap();
    fs::write(bundle.join("rootfs/of-its-own/file"), "mine").unwrap();
    std::os::unix::fs::chown(bundle.join("rootfs/of-its-own"), Some(ID_BASE), Some(ID_BASE)).unwrap();
    std::os::unix::fs::chown(bundle.join("rootfs/of-its-own/file"), Some(ID_BASE + 5), Some(ID_BASE)).unwrap();
    assert_eq!(in_bundle(&test, &bundle).unwrap(), "mine 5\n");
}

#[test]
fn tmpcopyup_of_more_than_there_is_room_for_is_an_error() {
    let test = TestRuntime::new();
    let mut config = shell("true");
    push_mount(&mut config, tmpfs("/of-its-own", &["tmpcopyup", "size=64k"]));
    let bundle = with_data(&test, &config, "b");
    // A sparse file: it takes no disk space, but a copy would take a terabyte.
    fs::File::create(bundle.join("rootfs/of-its-own/hole")).unwrap().set_len(1 << 40).unwrap();
    let error = in_bundle(&test, &bundle).unwrap_err();
    assert_eq!(error.errno, Some(nix::errno::Errno::ENOSPC));
    assert!(
        error.message.starts_with("mounting tmpfs on /of-its-own with a copy of the directory's content"),
        "{error}"
    );
    assert!(test.runtime.ids().unwrap().is_empty());
}

#[test]
fn tmpcopyup_does_not_leave_the_image_by_its_symlinks() {
    let test = TestRuntime::new();
    let outside = test.make_dir("outside");
    fs::write(outside.join("secret"), "secret").unwrap();
    let mut config = shell("ls -lR /of-its-own /out 2>&1; cat /of-its-own/out/secret /out/secret 2>&1");
    push_mount(&mut config, tmpfs("/of-its-own", &["tmpcopyup"]));
    let bundle = test.bundle("b", &config);
    fs::create_dir(bundle.join("rootfs/of-its-own")).unwrap();
    symlink(&outside, bundle.join("rootfs/of-its-own/out")).unwrap();
    let text = in_bundle(&test, &bundle).unwrap();
    assert!(text.contains("out -> ") && !text.contains("secret\n-") && text.contains("No such file"), "{text}");
    // The destination may be a symlink that leads out of the root filesystem: it is resolved within it.
    let bundle = test.bundle("b2", &config);
    symlink(&outside, bundle.join("rootfs/of-its-own")).unwrap();
    let text = in_bundle(&test, &bundle).unwrap_or_else(|error| error.message);
    assert!(!text.contains("-rw-r--r--    1 0        0                6"), "{text}");
    assert_eq!(fs::metadata(outside.join("secret")).unwrap().size(), 6);
}

/// Creates a runtime with the root option `no_pivot`: containers change into their roots with chroot(2).
fn without_pivot() -> TestRuntime {
    TestRuntime::with(|settings| settings.root_options.no_pivot = true)
}

#[test]
fn without_pivot_root_the_container_is_as_with_it() {
    let before = fs::read_to_string("/proc/self/mountinfo").unwrap();
    for propagation in ["", "rshared", "rslave", "private"] {
        let test = without_pivot();
        let mut config = shell("ls -d /bin /proc/self; cat /proc/self/mountinfo; sleep 1000");
        config["linux"]["rootfsPropagation"] = json!(propagation);
        let container = test.run(&config, &quiet()).unwrap_or_else(|error| panic!("{propagation}: {error}"));
        // A program that joins the mount namespace sees the container's root as its root.
        assert_eq!(exec_shell(&container, "ls -d /bin/busybox; pwd"), "/bin/busybox\n/\n");
        let text = exec_shell(&container, "cat /proc/self/mountinfo");
        let root = mounted(&text, "/");
        assert_eq!(root.optional.contains("shared:"), propagation == "rshared", "{root:?}");
        assert!(mounted(&text, "/proc/sys").options.contains(&"ro".into()), "{text}");
        assert_eq!(exec_shell(&container, "wc -c </proc/keys").trim(), "0");
        container.delete(berth::Force::Kill).unwrap();
    }
    // Others may mount at the same time; the host's own mounts and those that name this test's root filesystem count.
    let own = |line: &&str| ["/", "/proc", "/sys", "/dev"].contains(&line.split(' ').nth(4).unwrap());
    let ours = |text: &str| {
        let lines = text.lines().filter(|line| own(line) || line.contains(rootfs().to_str().unwrap()));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(ours(&fs::read_to_string("/proc/self/mountinfo").unwrap()), ours(&before), "the host keeps its mounts");
    assert!(Path::new("/proc/self/status").exists() && Path::new("/sys/kernel").exists());
}

/// As above on a host whose mounts are shared, as systemd makes them.
#[test]
fn without_pivot_root_a_host_with_shared_mounts_keeps_them() {
    const TEST: &str = "without_pivot_root_the_container_is_as_with_it";
    let script = "mount --make-rshared / && findmnt -rno TARGET | sort >$0 && \"$1\" --exact $2 && \
                  findmnt -rno TARGET | sort | diff $0 -";
    let folder = tempfile::Builder::new().prefix("berth-shared").tempdir().unwrap();
    let mut command = std::process::Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "sh", "-c", script]);
    let output =
        command.arg(folder.path().join("before")).arg(std::env::current_exe().unwrap()).arg(TEST).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

#[test]
fn without_pivot_root_the_hosts_procfs_and_sysfs_are_gone_from_the_namespace() {
    let test = without_pivot();
    let mut config = shell("sleep 1000");
    set_capabilities(&mut config, &["CAP_SYS_ADMIN"]);
    let container = test.run(&config, &quiet()).unwrap();
    // Unmounting the root shows the mounts that it covered.
    exec_shell(&container, "umount -l /");
    let table = in_namespace_of(container.init_process().unwrap().pid());
    let whole = |kind: &str| table.lines().filter(|line| line.contains(&format!(" - {kind} "))).count();
    assert!(table.lines().count() > 1, "the host's mounts: {table}");
    assert_eq!((whole("proc"), whole("sysfs")), (0, 0), "{table}");
}

/// Returns mountinfo as seen by a process that enters the mount namespace of `pid`.
fn in_namespace_of(pid: i32) -> String {
    let proc = fs::File::open("/proc").unwrap();
    let namespace = fs::File::open(format!("/proc/{pid}/ns/mnt")).unwrap();
    let look = || {
        nix::sched::unshare(nix::sched::CloneFlags::CLONE_FS).unwrap();
        nix::sched::setns(&namespace, nix::sched::CloneFlags::CLONE_NEWNS).unwrap();
        let flags = nix::fcntl::OFlag::O_CLOEXEC;
        let mode = nix::sys::stat::Mode::empty();
        let file = nix::fcntl::openat(&proc, "thread-self/mountinfo", flags, mode).unwrap();
        std::io::read_to_string(fs::File::from(file)).unwrap()
    };
    std::thread::scope(|scope| scope.spawn(look).join().unwrap())
}

#[test]
fn without_pivot_root_in_a_user_namespace() {
    let test = without_pivot();
    let mut config = shell("id -u; cat /proc/1/comm");
    with_user_namespace(&mut config);
    let (text, status) = test.output(&config);
    assert_eq!(status, berth::ExitStatus::Exited(0), "{text}");
    assert!(text.starts_with("0\n"), "{text}");
}
