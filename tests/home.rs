//! If the environment does not set HOME, it comes from the container's /etc/passwd, which the image controls.

mod common;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use berth::spec::Config;
use berth::{Container, Force};
use common::*;
use serde_json::{Value, json};

/// Returns HOME as a process sees it; `make` creates the image's /etc/passwd.
fn home_in(make: impl FnOnce(&Path), change: impl FnOnce(&mut Value)) -> String {
    let test = TestRuntime::new();
    let mut config = shell("");
    config["process"]["args"] = json!(["/bin/env"]);
    config["process"]["env"] = json!(["A=1"]);
    change(&mut config);
    let bundle = test.bundle("b", &config);
    let passwd = bundle.join("rootfs/etc/passwd");
    let _ = fs::remove_file(&passwd);
    make(&passwd);
    let config = Config::from_bundle(&bundle).unwrap();
    let container = Container::run(&test.runtime, &unique("home"), &config, &piped()).unwrap();
    let text = read_all(&container.init_process().unwrap());
    container.wait(LONG).unwrap();
    container.delete(Force::No).unwrap();
    text.strip_prefix("A=1\nHOME=")
        .and_then(|text| text.strip_suffix('\n'))
        .unwrap_or_else(|| panic!("{text}"))
        .to_owned()
}

fn same(_: &mut Value) {}

fn as_user(config: &mut Value) {
    config["process"]["user"] = json!({ "uid": 1000, "gid": 1000 });
}

const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\n# me\nme:x:1000:1000::/home/me:/bin/sh";

fn write(passwd: &Path) {
    fs::write(passwd, PASSWD).unwrap();
}

#[test]
fn each_user_has_the_home_of_its_entry() {
    assert_eq!(home_in(write, same), "/root");
    assert_eq!(home_in(write, as_user), "/home/me");
    assert_eq!(home_in(write, |config| config["process"]["user"]["uid"] = json!(7)), "/", "without an entry");
    let in_namespace = |config: &mut Value| {
        as_user(config);
        with_user_namespace(config);
    };
    assert_eq!(home_in(write, in_namespace), "/home/me");
}

#[test]
fn a_given_home_stays() {
    let test = TestRuntime::new();
    let mut config = shell("");
    config["process"]["args"] = json!(["/bin/env"]);
    config["process"]["env"] = json!(["HOME=/mine"]);
    assert_eq!(test.stdout_of(&config), "HOME=/mine\n");
}

#[test]
fn an_executed_process_has_a_home_too() {
    let test = TestRuntime::new();
    let container = test.run(&shell("sleep 1000"), &quiet()).unwrap();
    assert_eq!(exec_shell(&container, "echo $HOME"), "/root\n");
}

#[test]
fn a_file_that_only_root_may_read_is_read() {
    let private = |passwd: &Path| {
        write(passwd);
        fs::set_permissions(passwd, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    };
    assert_eq!(home_in(private, as_user), "/home/me");
}

#[test]
fn a_symlink_is_followed_within_the_image_only() {
    let inside = |passwd: &Path| {
        write(&passwd.with_file_name("passwd.real"));
        symlink("/etc/passwd.real", passwd).unwrap();
    };
    assert_eq!(home_in(inside, as_user), "/home/me");
    // The symlink leads to a file that exists on the host but not in the image.
    let file = tempfile::Builder::new().prefix("berth-test-passwd").tempfile().unwrap();
    write(file.path());
    let up = Path::new("../../../../../../..").join(file.path().strip_prefix("/").unwrap());
    assert_eq!(home_in(|passwd| symlink(&up, passwd).unwrap(), as_user), "/");
    assert_eq!(home_in(|passwd| symlink("/proc/self/fd/0", passwd).unwrap(), as_user), "/");
}

#[test]
fn an_image_cannot_make_the_start_wait_or_fail() {
    let fifo = |passwd: &Path| nix::unistd::mkfifo(passwd, nix::sys::stat::Mode::from_bits_truncate(0o666)).unwrap();
    assert_eq!(home_in(fifo, as_user), "/", "a FIFO without a writer");
    assert_eq!(home_in(|passwd| fs::create_dir(passwd).unwrap(), as_user), "/", "a directory");
    assert_eq!(home_in(|passwd| symlink("passwd", passwd).unwrap(), as_user), "/", "a loop");
    assert_eq!(home_in(|_| {}, as_user), "/", "no file");
    let endless = |passwd: &Path| {
        let file = fs::File::create(passwd).unwrap();
        file.set_len(1 << 40).unwrap();
    };
    assert_eq!(home_in(endless, as_user), "/", "a terabyte of zeros");
    let device = |passwd: &Path| {
        let mode = nix::sys::stat::Mode::from_bits_truncate(0o666);
        nix::sys::stat::mknod(passwd, nix::sys::stat::SFlag::S_IFCHR, mode, nix::sys::stat::makedev(1, 5)).unwrap();
    };
    assert_eq!(home_in(device, as_user), "/", "/dev/zero");
    let long = |passwd: &Path| fs::write(passwd, format!("x:x:1000:1000::/{}:", "y".repeat(5000))).unwrap();
    assert_eq!(home_in(long, as_user), "/", "no path can be that long");
}
