//! Hostile images: whatever lies at the container's mount points, no file outside the root filesystem changes, and
//! masked paths stay masked.

mod common;

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use berth::spec::Config;
use berth::{Container, Error, ExitStatus, Force};
use common::*;
use serde_json::{Value, json};

/// A root filesystem that a test can modify: busybox, and no mount points.
struct Image {
    test: TestRuntime,
    root: PathBuf,
}

impl Image {
    fn new() -> Image {
        let test = TestRuntime::new();
        let root = test.dir.path().join("image");
        std::fs::create_dir(&root).unwrap();
        std::fs::create_dir(root.join("bin")).unwrap();
        std::fs::copy(rootfs().join("bin/busybox"), root.join("bin/busybox")).unwrap();
        for applet in ["sh", "cat", "ls", "true", "test", "grep", "head"] {
            symlink("busybox", root.join("bin").join(applet)).unwrap();
        }
        Image { test, root }
    }

    /// Replaces a path of the image by a symlink.
    fn link(self, path: &str, target: &str) -> Image {
        symlink(target, self.root.join(path)).unwrap();
        self
    }

    fn directory(self, path: &str) -> Image {
        std::fs::create_dir_all(self.root.join(path)).unwrap();
        self
    }

    /// Returns a configuration with a writable root, so that the runtime creates missing mount points as usual.
    fn config(&self, script: &str) -> Value {
        let mut config = shell(script);
        config["root"]["readonly"] = json!(false);
        config
    }

    fn create(&self, config: &Value) -> Result<Container, Error> {
        let config = Config::from_json(&config.to_string(), Some(&self.root)).unwrap();
        Container::create(&self.test.runtime, &unique("image"), &config, &piped())
    }

    /// Runs a container until it stops.
    fn output(&self, config: &Value) -> Result<(String, ExitStatus), Error> {
        let container = self.create(config)?;
        container.start()?;
        let text = read_all(&container.init_process()?);
        let status = container.wait(LONG)?;
        container.delete(Force::No)?;
        Ok((text, status))
    }
}

fn push_bind(config: &mut Value, source: &Path, destination: &str) {
    let mount = json!({ "destination": destination, "type": "bind", "source": source, "options": ["bind"] });
    config["mounts"].as_array_mut().unwrap().push(mount);
}

#[test]
fn proc_does_not_follow_a_symlink_away_from_its_masks() {
    for (proc, dev) in [("/dev/p", "/a"), ("/a", ""), ("a", ""), ("../../a", ""), ("/", "")] {
        let image = Image::new().directory("dev").directory("a").link("proc", proc);
        if !dev.is_empty() {
            symlink(dev, image.root.join("dev/p")).unwrap();
        }
        let error = image.create(&image.config("true")).unwrap_err();
        assert!(error.message.starts_with("mounting proc on /proc: "), "{proc}: {error}");
        assert_eq!(error.errno, Some(nix::errno::Errno::ELOOP), "{proc}: {error}");
        assert!(image.test.runtime.ids().unwrap().is_empty());
    }
}

#[test]
fn sys_and_dev_do_not_follow_symlinks_either() {
    for name in ["sys", "dev"] {
        let image = Image::new().directory("a").link(name, "/a");
        let error = image.create(&image.config("true")).unwrap_err();
        assert!(error.message.contains(&format!(" on /{name}: ")), "{error}");
        assert_eq!(std::fs::read_dir(image.root.join("a")).unwrap().count(), 0);
    }
}

#[test]
fn a_volume_is_not_taken_for_dev() {
    let image = Image::new().link("dev", "/vol").directory("vol");
    let volume = image.test.dir.path().join("volume");
    std::fs::create_dir(&volume).unwrap();
    std::fs::write(volume.join("stdin"), "precious").unwrap();
    let mut config = image.config("true");
    // The image has /dev; the configuration does not mount one.
    config["mounts"] = json!([]);
    push_bind(&mut config, &volume, "/vol");
    image.create(&config).unwrap_err();
    assert_eq!(std::fs::read_to_string(volume.join("stdin")).unwrap(), "precious");
    assert_eq!(std::fs::read_dir(&volume).unwrap().count(), 1);
}

#[test]
fn a_volume_does_not_reach_proc_through_a_symlink() {
    let image = Image::new().link("data", "/proc");
    let volume = image.test.dir.path().join("volume");
    std::fs::create_dir(&volume).unwrap();
    let mut config = image.config("true");
    push_bind(&mut config, &volume, "/data");
    let error = image.create(&config).unwrap_err();
    assert!(error.message.contains("on /data: "), "{error}");
}

#[test]
fn masks_do_not_depend_on_the_image() {
    let image = Image::new().directory("dev").directory("proc").directory("sys");
    let script =
        "for f in /proc/keys /proc/timer_list; do test -e $f || continue; head -c1 $f | grep -q . && echo $f; done;
                  (echo x >/proc/sys/kernel/core_pattern) 2>/dev/null && echo writable; true";
    let (text, status) = image.output(&image.config(script)).unwrap();
    assert_eq!((text.as_str(), status), ("", ExitStatus::Exited(0)));
}

#[test]
fn targets_of_every_kind_never_change_anything_outside() {
    let outside = ["/", "/..", "../../../..", "/proc/self/root", "/proc/1/root", "nowhere", "loop"];
    for target in outside {
        let image = Image::new().directory("dev").directory("proc").directory("sys").link("loop", "loop");
        symlink(format!("{target}/berth-escape"), image.root.join("t")).unwrap();
        let volume = image.test.dir.path().join("volume");
        std::fs::create_dir(&volume).unwrap();
        let mut config = image.config("true");
        push_bind(&mut config, &volume, "/t/deep");
        let _ = image.output(&config);
        assert!(!Path::new("/berth-escape").exists(), "{target}");
        assert!(!image.test.dir.path().join("berth-escape").exists(), "{target}");
    }
}

#[test]
fn a_console_that_is_a_symlink_is_refused() {
    let image = Image::new().directory("dev/pts").directory("proc").directory("sys").link("dev/console", "/victim");
    let mut config = image.config("true");
    config["process"]["terminal"] = json!(true);
    // The image's own /dev, with a devpts in it.
    config["mounts"].as_array_mut().unwrap().retain(|mount| mount["destination"] != "/dev");
    let config = Config::from_json(&config.to_string(), Some(&image.root)).unwrap();
    let options = berth::ProcessOptions::default();
    let error = Container::create(&image.test.runtime, &unique("image"), &config, &options).unwrap_err();
    assert!(error.message.starts_with("opening a terminal"), "{error}");
    assert!(!image.root.join("victim").exists());
}

#[test]
fn a_root_below_a_closed_directory_serves_a_user_namespace() {
    let image = Image::new().directory("dev").directory("proc").directory("sys");
    let closed = image.root.parent().unwrap();
    std::fs::set_permissions(closed, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    let mut config = image.config("echo inside; ls /bin | grep -c busybox");
    with_user_namespace(&mut config);
    config["root"]["readonly"] = json!(true);
    let (text, status) = image.output(&config).unwrap();
    assert_eq!((text.as_str(), status), ("inside\n1\n", ExitStatus::Exited(0)));
}
