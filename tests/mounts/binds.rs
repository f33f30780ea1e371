//! Bind mounts: sources, attributes, propagation to the host.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use berth::Code;
use serde_json::json;

use crate::common::*;

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
    if lacks(MOUNT_SETATTR) {
        return;
    }
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
