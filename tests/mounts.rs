//! Mounts and the root filesystem.

mod common;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use berth::spec::Config;
use berth::{Code, Container, Force, Stage};
use common::*;
use serde_json::json;

#[test]
fn a_root_that_has_a_proc_filesystem_already_gets_its_own() {
    let test = TestRuntime::new();
    let config = Config::from_json(&shell("exec cat /proc/1/comm").to_string(), Some("/".as_ref())).unwrap();
    let container = Container::create(&test.runtime, &unique("mounts"), &config, &piped()).unwrap();
    container.start().unwrap();
    assert_eq!(read_all(&container.init_process().unwrap()), "cat\n");
    container.delete(Force::Kill).unwrap();
}

#[test]
fn the_default_mounts_are_there_with_their_options() {
    let test = TestRuntime::new();
    let table = test.stdout_of(&shell(TABLE));
    let check = |point: &str, kind: &str, options: &[&str], super_options: &[&str]| {
        let found = mounted(&table, point);
        assert_eq!(found.kind, kind, "{point}");
        for option in options {
            assert!(found.options.iter().any(|have| have == option), "{option} of {point}: {found:?}");
        }
        for option in super_options {
            assert!(found.super_options.iter().any(|have| have == option), "{option} of {point}: {found:?}");
        }
    };
    check("/proc", "proc", &["rw"], &[]);
    check("/dev", "tmpfs", &["rw", "nosuid"], &["mode=755", "size=65536k"]);
    check("/dev/pts", "devpts", &["nosuid", "noexec"], &["gid=5", "mode=620", "ptmxmode=666"]);
    check("/dev/shm", "tmpfs", &["nosuid", "noexec", "nodev"], &["size=65536k"]);
    check("/dev/mqueue", "mqueue", &["nosuid", "noexec", "nodev"], &[]);
    check("/sys", "sysfs", &["nosuid", "noexec", "nodev", "ro"], &[]);
    assert!(!mounted(&table, "/dev").options.contains(&"relatime".into()), "strictatime");
    assert!(["tmpfs", "cgroup2"].contains(&mounted(&table, "/sys/fs/cgroup").kind.as_str()));
    assert!(mounted(&table, "/sys/fs/cgroup").options.contains(&"ro".into()));
    assert!(mounted(&table, "/").options.contains(&"ro".into()));
}

#[test]
fn nothing_of_the_host_is_left_in_the_mount_table() {
    let test = TestRuntime::new();
    let table = test.stdout_of(&shell(TABLE));
    let known = ["/", "/proc", "/dev", "/sys"];
    for line in table.lines() {
        let point = line.split(' ').nth(4).unwrap();
        assert!(known.iter().any(|top| point == *top || point.starts_with(&format!("{top}/"))), "{line}");
    }
}

#[test]
fn nothing_of_the_container_is_seen_in_the_hosts_mount_table() {
    let test = TestRuntime::new();
    let before = fs::read_to_string("/proc/self/mountinfo").unwrap();
    for propagation in ["", "private", "rslave", "shared", "rshared", "slave", "rprivate", "unbindable"] {
        let mut config = shell("sleep 1000");
        config["linux"]["rootfsPropagation"] = json!(propagation);
        let container = test.run(&config, &quiet()).unwrap_or_else(|error| panic!("{propagation}: {error}"));
        let during = fs::read_to_string("/proc/self/mountinfo").unwrap();
        // Other tests may mount at the same time; only mounts below this test's directories count.
        let ours = |text: &str| text.lines().filter(|line| line.contains(rootfs().to_str().unwrap())).count();
        assert_eq!(ours(&during), ours(&before), "{propagation}");
        container.delete(berth::Force::Kill).unwrap();
    }
}

#[test]
fn a_directory_is_bound_and_written_through() {
    let test = TestRuntime::new();
    let shared = test.make_dir("shared");
    fs::write(shared.join("in"), "from the host").unwrap();
    let mut config = shell("cat /mnt/in; echo from inside >/mnt/out");
    push_mount(&mut config, bind(&shared, "/mnt", &["bind"]));
    assert_eq!(test.stdout_of(&config), "from the host");
    assert_eq!(fs::read_to_string(shared.join("out")).unwrap(), "from inside\n");
}

#[test]
fn a_read_only_bind_cannot_be_written_and_the_source_still_can() {
    let test = TestRuntime::new();
    let shared = test.make_dir("shared");
    let mut config = shell("touch /mnt/x 2>&1; cat /proc/self/mountinfo");
    push_mount(&mut config, bind(&shared, "/mnt", &["rbind", "ro", "nosuid", "nodev", "noexec", "noatime"]));
    let text = test.stdout_of(&config);
    assert!(text.contains("Read-only file system"), "{text}");
    let options = mounted(&text, "/mnt").options;
    assert_eq!(options, ["ro", "nosuid", "nodev", "noexec", "noatime"]);
    fs::write(shared.join("x"), "").unwrap();
}

#[test]
fn a_file_is_bound_on_a_file_whose_target_is_made() {
    let test = TestRuntime::new();
    let file = test.make_dir("files").join("file");
    fs::write(&file, "content").unwrap();
    let mut config = shell("cat /opt/deep/er/file; cat /etc/hosts; stat -c %F /opt/deep/er");
    push_mount(&mut config, bind(&file, "/opt/deep/er/file", &["bind", "ro"]));
    push_mount(&mut config, bind(&file, "/etc/hosts", &["bind"]));
    let bundle = test.bundle("b", &config);
    assert_eq!(in_bundle(&test, &bundle).unwrap(), "contentcontentdirectory\n");
    assert_eq!(fs::read_to_string(bundle.join("rootfs/opt/deep/er/file")).unwrap(), "", "only the target was made");
}

#[test]
fn rbind_takes_the_mounts_below_and_bind_does_not() {
    let test = TestRuntime::new();
    let options: [(&[&str], &str); 4] = [
        (&["rbind"], "tmpfs\n"),
        (&["bind"], "none\n"),
        (&["bind", "rbind"], "tmpfs\n"),
        (&["rbind", "bind"], "tmpfs\n"),
    ];
    for (options, expected) in options {
        let mut config = shell("grep -q ' /mnt/shm ' /proc/self/mountinfo && echo tmpfs || echo none");
        push_mount(&mut config, bind(Path::new("/dev"), "/mnt", options));
        let table = fs::read_to_string("/proc/self/mountinfo").unwrap();
        if table.lines().any(|line| line.split(' ').nth(4) == Some("/dev/shm")) {
            assert_eq!(test.stdout_of(&config), expected, "{options:?}");
        }
    }
}

#[test]
fn recursive_attributes_reach_the_mounts_below() {
    let test = TestRuntime::new();
    let mut config = shell(TABLE);
    push_mount(&mut config, bind(Path::new("/dev"), "/mnt", &["rbind", "rro", "rnoexec"]));
    let table = test.stdout_of(&config);
    for line in table.lines().filter(|line| line.split(' ').nth(4).unwrap().starts_with("/mnt")) {
        let options = line.split(' ').nth(5).unwrap();
        assert!(options.starts_with("ro,") && options.contains("noexec"), "{line}");
    }
}

#[test]
fn a_relative_source_is_relative_to_the_bundle() {
    let test = TestRuntime::new();
    let mut config = shell("cat /mnt/file");
    push_mount(&mut config, bind(Path::new("data"), "/mnt", &["bind"]));
    let bundle = test.bundle("b", &config);
    fs::create_dir(bundle.join("data")).unwrap();
    fs::write(bundle.join("data/file"), "beside").unwrap();
    assert_eq!(in_bundle(&test, &bundle).unwrap(), "beside");
}

#[test]
fn a_missing_source_is_refused_before_anything_is_made() {
    let test = TestRuntime::new();
    let mut config = shell("true");
    push_mount(&mut config, bind(Path::new("/nothing/here"), "/mnt", &["bind"]));
    let error = test.create(&config, &quiet()).unwrap_err();
    assert_eq!(error.code, Code::ConfigInvalid);
    assert!(error.message.contains("/nothing/here") && error.message.contains("mounts["), "{error}");
    assert!(test.runtime.ids().unwrap().is_empty());
}

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

/// Mounts are made in the order of their entries.
#[test]
fn a_bind_source_may_be_what_an_earlier_entry_mounts() {
    let test = TestRuntime::new();
    let source = test.make_dir("source");
    fs::write(source.join("f"), "here").unwrap();
    fs::create_dir_all(source.join("deep/er")).unwrap();
    for in_user_namespace in [false, true] {
        let mut config =
            shell("cat /final /again/f /tree/deep/er/g; grep -c ' /own tmpfs\\| /own .* tmpfs ' /proc/self/mountinfo");
        writable(&mut config);
        if in_user_namespace {
            with_user_namespace(&mut config);
        }
        let bundle = test.bundle(&unique("b"), &config);
        let root = bundle.join("rootfs");
        fs::create_dir_all(root.join("image")).unwrap();
        fs::write(root.join("image/g"), "image").unwrap();
        fs::create_dir(root.join("a")).unwrap();
        symlink("a", root.join("link")).unwrap();
        push_mount(&mut config, bind(&source, "/a", &["rbind"]));
        push_mount(&mut config, bind(&root.join("image"), "/a/deep/er", &["bind"]));
        push_mount(&mut config, bind(&root.join("a/f"), "/final", &["bind"]));
        push_mount(&mut config, bind(&root.join("link"), "/again", &["bind", "ro"]));
        push_mount(&mut config, bind(&root.join("a"), "/tree", &["rbind"]));
        push_mount(&mut config, json!({ "destination": "/b", "type": "tmpfs", "source": "tmpfs" }));
        push_mount(&mut config, bind(Path::new("rootfs/b"), "/own", &["bind"]));
        test.write_config(&bundle, &config);
        if in_user_namespace {
            let owner = format!("{ID_BASE}:{ID_BASE}");
            assert!(std::process::Command::new("chown").args(["-Rh", &owner]).arg(&root).status().unwrap().success());
        }
        let text = in_bundle(&test, &bundle).unwrap_or_else(|error| panic!("{in_user_namespace}: {error}"));
        assert_eq!(text, "herehereimage1\n", "user namespace: {in_user_namespace}");
    }
}

#[test]
fn a_bind_source_in_the_image_cannot_lead_out_of_it() {
    let test = TestRuntime::new();
    let outside = test.make_dir("outside");
    fs::write(outside.join("secret"), "secret").unwrap();
    let mut config = shell("true");
    let bundle = test.bundle("b", &config);
    symlink(&outside, bundle.join("rootfs/image-link")).unwrap();
    symlink("/proc", bundle.join("rootfs/p")).unwrap();
    push_mount(&mut config, bind(&bundle.join("rootfs/image-link"), "/final", &["bind"]));
    test.write_config(&bundle, &config);
    let error = in_bundle(&test, &bundle).unwrap_err();
    assert_eq!(error.errno, Some(nix::errno::Errno::ENOENT), "{error}");
    assert!(
        error.message.contains("/image-link of the root filesystem") && error.message.contains("mounts["),
        "{error}"
    );
    config["mounts"].as_array_mut().unwrap().pop();
    push_mount(&mut config, bind(&bundle.join("rootfs/p"), "/final", &["rbind"]));
    test.write_config(&bundle, &config);
    let error = in_bundle(&test, &bundle).unwrap_err();
    assert_eq!(error.errno, Some(nix::errno::Errno::ELOOP), "{error}");
    assert!(test.runtime.ids().unwrap().is_empty());
}

/// A mount on the host with shared propagation, however the host's root propagates.
struct Shared(std::path::PathBuf);

impl Shared {
    fn new(test: &TestRuntime) -> Shared {
        let path = test.make_dir("shared");
        for arguments in [vec!["-t", "tmpfs", "tmpfs"], vec!["--make-shared"]] {
            let mount = std::process::Command::new("mount").args(arguments).arg(&path).status().unwrap();
            assert!(mount.success());
        }
        fs::create_dir(path.join("in")).unwrap();
        Shared(path)
    }

    fn mounts(&self) -> usize {
        let table = fs::read_to_string("/proc/self/mountinfo").unwrap();
        table.lines().filter(|line| line.contains(&format!("{}/in ", self.0.display()))).count()
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg("-R").arg(&self.0).status();
    }
}

#[test]
fn mounts_made_in_a_shared_bind_reach_the_host_where_root_and_mount_say_so() {
    for no_pivot in [false, true] {
        for (root, option, expected) in [
            ("rshared", "rshared", 1),
            ("shared", "shared", 1),
            ("shared", "rslave", 0),
            ("rslave", "rshared", 0),
            ("", "rshared", 0),
        ] {
            let test = TestRuntime::with(|settings| settings.root_options.no_pivot = no_pivot);
            let shared = Shared::new(&test);
            let mut config = shell("mount -t tmpfs x /mnt/in && echo seen >/mnt/in/f; echo done");
            config["linux"]["rootfsPropagation"] = json!(root);
            set_capabilities(&mut config, &["CAP_SYS_ADMIN"]);
            push_mount(&mut config, bind(&shared.0, "/mnt", &["rbind", option]));
            assert_eq!(test.stdout_of(&config), "done\n");
            assert_eq!(shared.mounts(), expected, "{root}, {option}, without pivot: {no_pivot}");
            assert_eq!(shared.0.join("in/f").exists(), expected == 1, "{root}, {option}");
        }
    }
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

#[test]
fn masked_paths_are_empty() {
    let test = TestRuntime::new();
    // Not every kernel has all of them.
    let script = "for f in /proc/kcore /proc/keys /proc/timer_list /etc/passwd; do cat $f 2>/dev/null | wc -c; done; \
                  for d in /proc/scsi /proc/acpi /sys/firmware /home; do ls -A $d 2>/dev/null | wc -l; done; \
                  touch /home/x 2>/dev/null; echo $?";
    let mut config = shell(script);
    let masked = config["linux"]["maskedPaths"].as_array_mut().unwrap();
    masked.extend([json!("/etc/passwd"), json!("/home"), json!("/not/there")]);
    let text = test.stdout_of(&config);
    assert_eq!(text.lines().collect::<Vec<_>>(), ["0", "0", "0", "0", "0", "0", "0", "0", "1"]);
}

#[test]
fn a_mask_of_a_file_is_the_real_null_device() {
    let test = TestRuntime::new();
    let mut config = shell("stat -c %F:%t:%T /etc/passwd; echo x >/etc/passwd; cat /etc/passwd");
    config["linux"]["maskedPaths"].as_array_mut().unwrap().push(json!("/etc/passwd"));
    let bundle = test.bundle("b", &config);
    // The image's own /dev/null must not be used.
    fs::write(bundle.join("rootfs/dev/null"), "a trap").unwrap();
    assert_eq!(in_bundle(&test, &bundle).unwrap(), "character special file:1:3\n");
}

#[test]
fn read_only_paths_cannot_be_written() {
    let test = TestRuntime::new();
    let script = "for f in /proc/sys/kernel/domainname /proc/sys/kernel/msgmax /proc/irq/default_smp_affinity /opt/x; do \
                  (echo x >$f) 2>&1 | grep -o 'Read-only file system'; done; cat /proc/sys/kernel/ostype";
    let mut config = shell(script);
    set_capabilities(&mut config, &["CAP_SYS_ADMIN", "CAP_DAC_OVERRIDE"]);
    writable(&mut config);
    config["linux"]["readonlyPaths"].as_array_mut().unwrap().extend([json!("/opt"), json!("/not/there")]);
    let text = test.stdout_of(&config);
    assert_eq!(text, "Read-only file system\n".repeat(4) + "Linux\n");
}

#[test]
fn a_read_only_root_is_read_only_and_a_writable_one_is_not() {
    let test = TestRuntime::new();
    let script = "touch /x 2>&1 | grep -o 'Read-only file system'; touch /dev/shm/y && echo shm";
    let mut config = shell(script);
    let bundle = test.bundle("b", &config);
    assert_eq!(in_bundle(&test, &bundle).unwrap(), "Read-only file system\nshm\n");
    writable(&mut config);
    test.write_config(&bundle, &config);
    assert_eq!(in_bundle(&test, &bundle).unwrap(), "shm\n");
    assert!(bundle.join("rootfs/x").exists());
    fs::write(bundle.join("rootfs/host"), "the host's is writable as before").unwrap();
}

#[test]
fn a_read_only_dev_is_filled_first() {
    let test = TestRuntime::new();
    let mut config = shell(
        "touch /dev/x 2>&1 | grep -o 'Read-only file system'; echo x >/dev/null && ls /dev/zero; touch /dev/shm/y && echo shm",
    );
    mount_on(&mut config, "/dev")["options"].as_array_mut().unwrap().push(json!("ro"));
    assert_eq!(test.stdout_of(&config), "Read-only file system\n/dev/zero\nshm\n");
}

fn cgroup_files() -> &'static str {
    "find /sys/fs/cgroup -name cgroup.procs | sort | head -3; \
     for f in $(find /sys/fs/cgroup -name cgroup.procs); do (echo 0 >$f) 2>&1 | grep -c 'Read-only file system'; done | sort -u"
}

#[test]
fn the_cgroup_mount_shows_the_containers_part_and_is_read_only() {
    let test = TestRuntime::new();
    let text = test.stdout_of(&shell(cgroup_files()));
    assert!(text.starts_with("/sys/fs/cgroup/") && text.ends_with("\n1\n"), "{text}");
    let deeper = test.stdout_of(&shell("find /sys/fs/cgroup -mindepth 3 | head -3"));
    assert_eq!(deeper, "", "only one cgroup of each hierarchy is seen");
}

#[test]
fn without_a_cgroup_namespace_the_cgroup_mount_is_always_read_only() {
    let test = TestRuntime::new();
    let mut config = shell(cgroup_files());
    without_namespace(&mut config, "cgroup");
    mount_on(&mut config, "/sys/fs/cgroup")["options"] = json!(["nosuid", "noexec", "nodev", "rw"]);
    set_capabilities(&mut config, &["CAP_SYS_ADMIN", "CAP_DAC_OVERRIDE"]);
    let text = test.stdout_of(&config);
    assert!(text.starts_with("/sys/fs/cgroup/") && text.ends_with("\n1\n"), "{text}");
    let deeper = test.stdout_of(&{
        let mut config = shell("find /sys/fs/cgroup -mindepth 3 | head -3");
        without_namespace(&mut config, "cgroup");
        config
    });
    assert_eq!(deeper, "", "only the container's own cgroup is seen");
}

#[test]
fn a_writable_cgroup_mount_in_a_cgroup_namespace_can_be_used() {
    let test = TestRuntime::new();
    let mut config = shell(
        "set -e; for h in /sys/fs/cgroup/*/ /sys/fs/cgroup/; do [ -e $h/cgroup.procs ] || continue; mkdir $h/sub; rmdir $h/sub; echo made; done",
    );
    mount_on(&mut config, "/sys/fs/cgroup")["options"] = json!(["nosuid", "noexec", "nodev"]);
    let text = test.stdout_of(&config);
    assert!(text.starts_with("made\n"), "{text}");
}

/// The specification's "Cgroup ownership": without it no process of a user namespace could write to the cgroup mount.
#[test]
fn a_writable_cgroup_v2_mount_belongs_to_the_containers_user() {
    if !Path::new("/sys/fs/cgroup/cgroup.controllers").exists() {
        return; // v1 has no safe delegation
    }
    let test = TestRuntime::new();
    let work = "cd /sys/fs/cgroup; stat -c %u . cgroup.procs cgroup.max.depth; mkdir sub && echo 0 >sub/cgroup.procs; \
                grep ^0:: /proc/self/cgroup; (echo 5 >cgroup.max.depth) 2>&1 | sed 's/.*: //'";
    let mut config = shell(work);
    with_user_namespace(&mut config);
    mount_on(&mut config, "/sys/fs/cgroup")["options"] = json!(["nosuid", "noexec", "nodev"]);
    assert_eq!(test.stdout_of(&config), "0\n0\n65534\n0::/sub\nPermission denied\n");
    // The cgroup belongs to the process's user.
    config["process"]["user"] = json!({ "uid": 5, "gid": 5 });
    assert_eq!(test.stdout_of(&config), "5\n5\n65534\n0::/sub\nPermission denied\n");
    config["process"]["args"][2] = json!("cd /sys/fs/cgroup; stat -c %u . cgroup.procs");
    mount_on(&mut config, "/sys/fs/cgroup")["options"] = json!(["nosuid", "noexec", "nodev", "ro"]);
    assert_eq!(test.stdout_of(&config), "65534\n65534\n");
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
