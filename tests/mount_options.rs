//! Each option of a mount does what it says, or is refused.

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

/// The options that the mount table shows of a mount on /mnt.
fn shown(mount: Value) -> Vec<String> {
    let host = Host::new();
    let mut config = shell(TABLE);
    push_mount(&mut config, mount);
    let found = mounted(&host.stdout_of(&config), "/mnt");
    found.options.into_iter().chain(found.super_options).collect()
}

/// Option, its opposite, and what the table shows of the first.
const ATTRIBUTES: [(&str, &str, &str); 6] = [
    ("ro", "rw", "ro"),
    ("nosuid", "suid", "nosuid"),
    ("nodev", "dev", "nodev"),
    ("noexec", "exec", "noexec"),
    ("nodiratime", "diratime", "nodiratime"),
    ("nosymfollow", "symfollow", "nosymfollow"),
];

#[test]
fn each_attribute_is_set_and_taken_back_on_new_mounts_and_on_bound_ones() {
    let host = Host::new();
    let dir = host.make_dir("dir");
    for (option, opposite, expected) in ATTRIBUTES {
        for prefix in ["", "r"] {
            let (on, off) = (format!("{prefix}{option}"), format!("{prefix}{opposite}"));
            for mount in [tmpfs("/mnt", &[&on]), bind(&dir, "/mnt", &["rbind", &on])] {
                let found = shown(mount.clone());
                assert!(found.iter().any(|shown| shown == expected), "{mount}: {found:?}");
            }
            for mount in [tmpfs("/mnt", &[&on, &off]), bind(&dir, "/mnt", &["rbind", &on, &off])] {
                let found = shown(mount.clone());
                // A tmpfs has "rw" twice: of the mount and of the filesystem.
                assert!(!found.iter().any(|shown| shown == expected), "{mount}: {found:?}");
            }
        }
    }
}

#[test]
fn each_setting_of_access_times_is_set() {
    let host = Host::new();
    let dir = host.make_dir("dir");
    let atime = |found: &[String]| -> Option<&'static str> {
        ["noatime", "relatime"].into_iter().find(|name| found.iter().any(|shown| shown == name))
    };
    // An option that is taken back leaves a bind mount as its source is: "strictatime", where /tmp is systemd's.
    let source = atime(&shown(bind(&dir, "/mnt", &["rbind"])));
    for (options, expected) in [
        (vec!["noatime"], Some("noatime")),
        (vec!["relatime"], Some("relatime")),
        (vec!["strictatime"], None),
        (vec!["atime"], Some("relatime")),
        (vec!["strictatime", "nostrictatime"], Some("relatime")),
        (vec!["noatime", "norelatime"], Some("noatime")),
        (vec!["rnoatime"], Some("noatime")),
        (vec!["rstrictatime"], None),
        (vec!["rrelatime"], Some("relatime")),
        (vec!["noatime", "rstrictatime"], None),
    ] {
        assert_eq!(atime(&shown(tmpfs("/mnt", &options))), expected, "{options:?}");
        let expected = if options.contains(&"nostrictatime") { source } else { expected };
        let bound: Vec<&str> = ["rbind"].iter().chain(&options).copied().collect();
        assert_eq!(atime(&shown(bind(&dir, "/mnt", &bound))), expected, "{bound:?}");
    }
}

#[test]
fn options_of_every_filesystem_reach_it() {
    for option in ["sync", "dirsync", "lazytime", "mand"] {
        let found = shown(tmpfs("/mnt", &[option]));
        // Linux 5.15 and newer have no mandatory locks, and say nothing of the option.
        assert!(found.iter().any(|shown| shown == option) || option == "mand", "{option}: {found:?}");
    }
    for (on, off) in [("sync", "async"), ("lazytime", "nolazytime"), ("mand", "nomand")] {
        assert!(!shown(tmpfs("/mnt", &[on, off])).iter().any(|shown| shown == on), "{on}");
    }
    for option in ["defaults", "silent", "loud"] {
        assert_eq!(shown(tmpfs("/mnt", &[option])), shown(tmpfs("/mnt", &[])), "{option}");
    }
}

/// The kernel shows it nowhere, so its calls are looked at: mount(2) is told once, and what else was set stays.
#[test]
fn changes_of_inodes_are_counted_where_that_is_asked_for() {
    let host = Host::new();
    for (option, asked) in [("iversion", 1), ("noiversion", 0)] {
        let mut config = shell(TABLE);
        push_mount(&mut config, tmpfs("/mnt", &["nosuid", "noatime", "lazytime", "ro", option]));
        let (bundle, trace) = (host.bundle(&unique("b"), &config), host.path(option));
        let mut strace = Command::new("strace");
        strace.args(["-f", "-e", "trace=mount", "-o"]).arg(&trace).arg(env!("CARGO_BIN_EXE_berth"));
        strace.arg("--root").arg(host.path("state")).args(["run", "--bundle"]).arg(&bundle).arg(unique("c"));
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
    let host = Host::new();
    let mut config = shell("df -k /mnt | tail -1 | tr -s ' ' | cut -d' ' -f2; cat /proc/self/mountinfo");
    push_mount(&mut config, tmpfs("/mnt", &["size=1m"]));
    push_mount(&mut config, json!({ "destination": "/mnt", "options": ["remount", "size=2m", "nosuid", "lazytime"] }));
    let text = host.stdout_of(&config);
    assert!(text.starts_with("2048\n"), "{text}");
    let found = mounted(&text, "/mnt");
    assert!(found.options.contains(&"nosuid".into()) && found.super_options.contains(&"lazytime".into()), "{found:?}");
}

#[test]
fn a_change_that_the_filesystem_refuses_is_told_in_its_words() {
    let host = Host::new();
    let mut config = shell("true");
    push_mount(&mut config, tmpfs("/mnt", &[]));
    push_mount(&mut config, json!({ "destination": "/mnt", "type": "tmpfs", "options": ["remount", "size=huge"] }));
    let error = host.create(&config, &quiet()).unwrap_err();
    assert!(error.message.starts_with("changing the filesystem mounted on /mnt: ") && error.message.contains("size"));
    assert_eq!(error.detail["json_path"], "mounts[8]", "{error}");
}

#[test]
fn a_failed_mount_is_told_with_its_entry() {
    let host = Host::new();
    for (entry, mount) in [
        (7, json!({ "destination": "/etc/passwd/x", "type": "tmpfs" })),
        (7, json!({ "destination": "/etc/passwd", "type": "bind", "source": "/tmp", "options": ["bind"] })),
        (7, json!({ "destination": "/nowhere", "options": ["remount", "ro"] })),
    ] {
        let mut config = shell("true");
        push_mount(&mut config, mount);
        push_mount(&mut config, tmpfs("/tmp", &[]));
        let error = host.create(&config, &quiet()).unwrap_err();
        assert_eq!((error.code, error.stage), (Code::System, Stage::Init));
        assert!(error.message.contains(&format!("(mounts[{entry}], step ")), "{error}");
        assert_eq!(error.detail["json_path"], format!("mounts[{entry}]"));
        assert!(host.runtime.ids().unwrap().is_empty());
    }
}

/// A bundle whose image has something in /of-its-own.
fn with_data(host: &Host, config: &Value, name: &str) -> std::path::PathBuf {
    let bundle = host.bundle(name, config);
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
fn tmpcopyup_has_what_the_image_has_and_leaves_that_alone() {
    let host = Host::new();
    let script = "cat /of-its-own/link; stat -c ' %a:%u:%g' /of-its-own/sub/deep/file /of-its-own; echo new >/of-its-own/sub/new";
    for (name, options, top) in [
        ("plain", vec!["tmpcopyup"], "2755:0:9"),
        ("own-mode", vec!["tmpcopyup", "mode=1777"], "1777:0:0"),
        ("sized", vec!["tmpcopyup", "size=1m", "nosuid"], "2755:0:9"),
    ] {
        let mut config = shell(script);
        push_mount(&mut config, tmpfs("/of-its-own", &options));
        let bundle = with_data(&host, &config, name);
        let text = in_bundle(&host, &bundle).unwrap();
        assert_eq!(text, format!("of the image 644:7:8\n {top}\n"), "{name}");
        assert!(!bundle.join("rootfs/of-its-own/sub/new").exists(), "{name}");
    }
}

#[test]
fn tmpcopyup_may_be_read_only_afterwards() {
    let host = Host::new();
    let mut config = shell("cat /of-its-own/link; touch /of-its-own/x 2>&1");
    push_mount(&mut config, tmpfs("/of-its-own", &["tmpcopyup", "ro"]));
    let text = in_bundle(&host, &with_data(&host, &config, "b")).unwrap();
    assert!(text.starts_with("of the image") && text.contains("Read-only file system"), "{text}");
}

#[test]
fn tmpcopyup_in_a_user_namespace() {
    let host = Host::new();
    let mut config = shell("cat /of-its-own/file; stat -c ' %u' /of-its-own/file");
    push_mount(&mut config, tmpfs("/of-its-own", &["tmpcopyup"]));
    with_user_namespace(&mut config);
    let bundle = host.bundle("b", &config);
    fs::create_dir(bundle.join("rootfs/of-its-own")).unwrap();
    fs::write(bundle.join("rootfs/of-its-own/file"), "mine").unwrap();
    std::os::unix::fs::chown(bundle.join("rootfs/of-its-own"), Some(ID_BASE), Some(ID_BASE)).unwrap();
    std::os::unix::fs::chown(bundle.join("rootfs/of-its-own/file"), Some(ID_BASE + 5), Some(ID_BASE)).unwrap();
    assert_eq!(in_bundle(&host, &bundle).unwrap(), "mine 5\n");
}

#[test]
fn tmpcopyup_of_more_than_there_is_room_for_is_an_error() {
    let host = Host::new();
    let mut config = shell("true");
    push_mount(&mut config, tmpfs("/of-its-own", &["tmpcopyup", "size=64k"]));
    let bundle = with_data(&host, &config, "b");
    // Without a block on the disk, and a terabyte to whoever reads it.
    fs::File::create(bundle.join("rootfs/of-its-own/hole")).unwrap().set_len(1 << 40).unwrap();
    let error = in_bundle(&host, &bundle).unwrap_err();
    assert_eq!(error.errno, Some(nix::errno::Errno::ENOSPC));
    assert!(error.message.starts_with("mounting tmpfs on /of-its-own with a copy of what is there"), "{error}");
    assert!(host.runtime.ids().unwrap().is_empty());
}

#[test]
fn tmpcopyup_does_not_leave_the_image_by_its_symlinks() {
    let host = Host::new();
    let outside = host.make_dir("outside");
    fs::write(outside.join("secret"), "secret").unwrap();
    let mut config = shell("ls -lR /of-its-own /out 2>&1; cat /of-its-own/out/secret /out/secret 2>&1");
    push_mount(&mut config, tmpfs("/of-its-own", &["tmpcopyup"]));
    let bundle = host.bundle("b", &config);
    fs::create_dir(bundle.join("rootfs/of-its-own")).unwrap();
    symlink(&outside, bundle.join("rootfs/of-its-own/out")).unwrap();
    let text = in_bundle(&host, &bundle).unwrap();
    assert!(text.contains("out -> ") && !text.contains("secret\n-") && text.contains("No such file"), "{text}");
    // The destination itself may be a symlink that leads out: it stays inside.
    let bundle = host.bundle("b2", &config);
    symlink(&outside, bundle.join("rootfs/of-its-own")).unwrap();
    let text = in_bundle(&host, &bundle).unwrap_or_else(|error| error.message);
    assert!(!text.contains("-rw-r--r--    1 0        0                6"), "{text}");
    assert_eq!(fs::metadata(outside.join("secret")).unwrap().size(), 6);
}

/// A host whose containers move into their roots by chroot.
fn without_pivot() -> Host {
    Host::with(|settings| settings.root_options.no_pivot = true)
}

#[test]
fn without_pivot_root_the_container_is_as_with_it() {
    let before = fs::read_to_string("/proc/self/mountinfo").unwrap();
    for propagation in ["", "rshared", "rslave", "private"] {
        let host = without_pivot();
        let mut config = shell("ls -d /bin /proc/self; cat /proc/self/mountinfo; sleep 1000");
        config["linux"]["rootfsPropagation"] = json!(propagation);
        let container = host.run(&config, &quiet()).unwrap_or_else(|error| panic!("{propagation}: {error}"));
        // What a program finds when it joins the namespace and looks at its top.
        assert_eq!(exec_shell(&container, "ls -d /bin/busybox; pwd"), "/bin/busybox\n/\n");
        let text = exec_shell(&container, "cat /proc/self/mountinfo");
        let root = mounted(&text, "/");
        assert_eq!(root.optional.contains("shared:"), propagation == "rshared", "{root:?}");
        assert!(mounted(&text, "/proc/sys").options.contains(&"ro".into()), "{text}");
        assert_eq!(exec_shell(&container, "wc -c </proc/keys").trim(), "0");
        container.delete(berth::Force::Kill).unwrap();
    }
    let ours = |text: &str| text.lines().filter(|line| !line.contains("/tmp/")).count();
    assert_eq!(ours(&fs::read_to_string("/proc/self/mountinfo").unwrap()), ours(&before), "the host keeps its mounts");
    assert!(Path::new("/proc/self/status").exists() && Path::new("/sys/kernel").exists());
}

#[test]
fn without_pivot_root_the_hosts_procfs_and_sysfs_are_gone_from_the_namespace() {
    let host = without_pivot();
    let mut config = shell("sleep 1000");
    set_capabilities(&mut config, &["CAP_SYS_ADMIN"]);
    let container = host.run(&config, &quiet()).unwrap();
    // What lies beneath the root comes out when the root is taken away.
    exec_shell(&container, "umount -l /");
    let table = in_namespace_of(container.init_process().unwrap().pid());
    let whole = |kind: &str| table.lines().filter(|line| line.contains(&format!(" - {kind} "))).count();
    assert!(table.lines().count() > 1, "the host's mounts: {table}");
    assert_eq!((whole("proc"), whole("sysfs")), (0, 0), "{table}");
}

/// The mount table as whoever enters the mount namespace of a process sees it.
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
    let host = without_pivot();
    let mut config = shell("id -u; cat /proc/1/comm");
    with_user_namespace(&mut config);
    let (text, status) = host.output(&config);
    assert_eq!(status, berth::ExitStatus::Exited(0), "{text}");
    assert!(text.starts_with("0\n"), "{text}");
}
