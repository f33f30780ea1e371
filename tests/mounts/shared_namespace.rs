//! Containers without a mount namespace of their own: their root filesystem is mounted in the host's or in a joined one,
//! and is unmounted at delete.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use berth::spec::Config;
use berth::{Code, Container, Force};
use serde_json::{Value, json};

use crate::common::*;

/// A configuration for the host's mount namespace, and the root filesystem of its bundle.
fn on_the_host(test: &TestRuntime, script: &str) -> (Value, PathBuf) {
    let mut config = shell(script);
    without_namespace(&mut config, "mount");
    let rootfs = test.bundle("bundle", &config).join("rootfs").canonicalize().unwrap();
    (config, rootfs)
}

fn run(test: &TestRuntime, config: &Value, rootfs: &Path) -> berth::Result<Container> {
    let config = Config::from_json(&config.to_string(), Some(rootfs)).unwrap();
    Container::run(&test.runtime, &unique("shared"), &config, &quiet())
}

/// Returns the mount points at and beneath a path in a process's mount namespace, and the optional fields of each.
fn mounts(process: &str, path: &Path) -> Vec<(String, String)> {
    let table = fs::read_to_string(format!("/proc/{process}/mountinfo")).unwrap();
    let fields = table.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    let beneath = fields.filter(|fields| Path::new(fields[4]).starts_with(path));
    let tags = |fields: &[&str]| fields[6..].iter().take_while(|field| **field != "-").copied().collect::<String>();
    beneath.map(|fields| (fields[4].to_owned(), tags(&fields))).collect()
}

fn namespace_of(process: &str) -> PathBuf {
    fs::read_link(format!("/proc/{process}/ns/mnt")).unwrap()
}

#[test]
fn in_the_hosts_namespace_mounts_go_with_the_container() {
    let test = TestRuntime::new();
    let source = test.make_dir("source");
    let (mut config, rootfs) = on_the_host(&test, "sleep 1000");
    config["mounts"].as_array_mut().unwrap().push(json!({
        "destination": "/mnt", "type": "bind", "source": source, "options": ["rbind"]
    }));
    let devices = || fs::read_dir(rootfs.join("dev")).unwrap().count();
    let before = devices();
    let container = run(&test, &config, &rootfs).unwrap();
    let pid = container.init_process().unwrap().pid().to_string();
    assert_eq!(namespace_of(&pid), namespace_of("self"));
    let there = mounts("self", &rootfs);
    assert_eq!(there[0].0, rootfs.display().to_string());
    for (point, tags) in &there {
        assert!(!tags.contains("shared:"), "{point}: {tags}");
    }
    for point in ["proc", "proc/sys", "dev", "mnt"] {
        assert!(there.iter().any(|(mounted, _)| Path::new(mounted) == rootfs.join(point)), "{point}: {there:?}");
    }
    let seen = exec_shell(&container, "ls -d /bin /proc/self/fd; touch /made 2>&1; true");
    assert_eq!(seen, "/bin\n/proc/self/fd\ntouch: /made: Read-only file system\n");
    container.delete(Force::Kill).unwrap();
    assert_eq!(mounts("self", &rootfs), []);
    assert_eq!(devices(), before);
}

#[test]
fn after_a_failed_create_no_mount_stays() {
    let test = TestRuntime::new();
    let (mut config, rootfs) = on_the_host(&test, "true");
    config["hooks"] = json!({ "createContainer": [{ "path": "/bin/false" }] });
    let error = run(&test, &config, &rootfs).unwrap_err();
    assert_eq!(error.code, Code::Hook, "{error}");
    assert_eq!(mounts("self", &rootfs), []);
    assert!(test.runtime.ids().unwrap().is_empty());
}

#[test]
fn mounts_over_the_root_filesystem_go_with_it() {
    let test = TestRuntime::new();
    let (config, rootfs) = on_the_host(&test, "sleep 1000");
    let container = run(&test, &config, &rootfs).unwrap();
    let none = None::<&str>;
    for _ in 0..2 {
        nix::mount::mount(none, &rootfs, Some("tmpfs"), nix::mount::MsFlags::empty(), none).unwrap();
    }
    container.delete(Force::Kill).unwrap();
    assert_eq!(mounts("self", &rootfs), []);
}

#[test]
fn a_mount_that_hides_the_root_filesystem_stops_a_delete() {
    let test = TestRuntime::new();
    let (config, rootfs) = on_the_host(&test, "sleep 1000");
    let container = run(&test, &config, &rootfs).unwrap();
    let (none, above) = (None::<&str>, rootfs.parent().unwrap());
    nix::mount::mount(none, above, Some("tmpfs"), nix::mount::MsFlags::empty(), none).unwrap();
    let error = container.delete(Force::Kill).unwrap_err();
    nix::mount::umount(above).unwrap();
    assert!(error.message.contains(&format!("unmounting {}: another mount covers it", rootfs.display())), "{error}");
    container.delete(Force::Kill).unwrap();
    assert_eq!(mounts("self", &rootfs), []);
}

/// Another namespace, which receives mounts from this one, keeps none of them.
#[test]
fn copies_in_other_namespaces_go_with_the_container() {
    let test = TestRuntime::new();
    let (config, rootfs) = on_the_host(&test, "sleep 1000");
    let none = None::<&str>;
    let (bind, shared) = (nix::mount::MsFlags::MS_BIND, nix::mount::MsFlags::MS_SHARED);
    let (bundle, below) = (rootfs.parent().unwrap(), rootfs.join("opt"));
    nix::mount::mount(Some(bundle), bundle, none, bind, none).unwrap();
    nix::mount::mount(none, bundle, none, shared, none).unwrap();
    nix::mount::mount(Some("none"), &below, Some("tmpfs"), nix::mount::MsFlags::empty(), none).unwrap();
    let slave = Holder::with(&["--propagation", "slave"]);
    let before = mounts(&slave.pid(), bundle);
    let container = run(&test, &config, &rootfs).unwrap();
    assert_eq!(mounts(&slave.pid(), bundle).len(), before.len() + 1);
    container.delete(Force::Kill).unwrap();
    let (here, there) = (mounts("self", bundle).len(), mounts(&slave.pid(), bundle));
    nix::mount::umount(&below).unwrap();
    nix::mount::umount(bundle).unwrap();
    assert_eq!((here, there), (2, before));
}

#[test]
fn the_root_of_the_host_is_refused() {
    let test = TestRuntime::new();
    let mut config = shell("true");
    without_namespace(&mut config, "mount");
    let error = run(&test, &config, Path::new("/")).unwrap_err();
    assert_eq!(error.code, Code::ConfigInvalid, "{error}");
    assert!(error.message.starts_with("root.path: is \"/\""), "{error}");
    assert!(test.runtime.ids().unwrap().is_empty());
}

#[test]
fn mounts_of_others_at_the_same_path_stay() {
    let test = TestRuntime::new();
    let (config, rootfs) = on_the_host(&test, "sleep 1000");
    let none = None::<&str>;
    nix::mount::mount(Some(&rootfs), &rootfs, none, nix::mount::MsFlags::MS_BIND, none).unwrap();
    let container = run(&test, &config, &rootfs).unwrap();
    container.delete(Force::Kill).unwrap();
    let left = mounts("self", &rootfs).len();
    nix::mount::umount(&rootfs).unwrap();
    assert_eq!(left, 1);
}

/// A process in a mount namespace of its own.
struct Holder(Child);

impl Holder {
    fn new() -> Holder {
        Holder::with(&[])
    }

    fn with(options: &[&str]) -> Holder {
        let child = Command::new("unshare").arg("--mount").args(options).args(["sleep", "1000"]).spawn().unwrap();
        let holder = Holder(child);
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
        while !fs::read(format!("/proc/{}/cmdline", holder.pid())).unwrap().starts_with(b"sleep") {
            assert!(std::time::Instant::now() < deadline);
            std::thread::yield_now();
        }
        holder
    }

    fn pid(&self) -> String {
        self.0.id().to_string()
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[test]
fn in_a_joined_namespace_mounts_go_with_the_container() {
    let test = TestRuntime::new();
    let holder = Holder::new();
    let (mut config, rootfs) = on_the_host(&test, "sleep 1000");
    join_namespace(&mut config, "mount", &format!("/proc/{}/ns/mnt", holder.pid()));
    let container = run(&test, &config, &rootfs).unwrap();
    let pid = container.init_process().unwrap().pid().to_string();
    assert_eq!(namespace_of(&pid), namespace_of(&holder.pid()));
    assert!(mounts(&holder.pid(), &rootfs).len() > 3);
    assert_eq!(mounts("self", &rootfs), []);
    assert_eq!(exec_shell(&container, "ls -d /bin; ls /proc/self/ns/mnt"), "/bin\n/proc/self/ns/mnt\n");
    container.delete(Force::Kill).unwrap();
    assert_eq!(mounts(&holder.pid(), &rootfs), []);
}

#[test]
fn a_container_of_a_namespace_that_has_ended_is_deleted() {
    let test = TestRuntime::new();
    let holder = Holder::new();
    let (mut config, rootfs) = on_the_host(&test, "sleep 1000");
    join_namespace(&mut config, "mount", &format!("/proc/{}/ns/mnt", holder.pid()));
    let container = run(&test, &config, &rootfs).unwrap();
    drop(holder);
    container.delete(Force::Kill).unwrap();
}

/// After unmounting a namespace's file, a plain file is left; a FIFO could block whoever opens it.
#[test]
fn a_file_that_is_no_namespace_any_more_does_not_stop_a_delete() {
    let fifo = |path: &Path| nix::unistd::mkfifo(path, nix::sys::stat::Mode::S_IRWXU).unwrap();
    for replace in [&|path: &Path| fs::write(path, "").unwrap(), &fifo as &dyn Fn(&Path)] {
        let test = TestRuntime::new();
        let holder = Holder::new();
        let pinned = test.path("pinned");
        std::os::unix::fs::symlink(format!("/proc/{}/ns/mnt", holder.pid()), &pinned).unwrap();
        let (mut config, rootfs) = on_the_host(&test, "sleep 1000");
        join_namespace(&mut config, "mount", pinned.to_str().unwrap());
        let container = run(&test, &config, &rootfs).unwrap();
        fs::remove_file(&pinned).unwrap();
        replace(&pinned);
        container.delete(Force::Kill).unwrap();
    }
}

/// No namespace is the container's own: exec has none to enter.
#[test]
fn all_namespaces_may_be_the_hosts() {
    let test = TestRuntime::new();
    let (mut config, rootfs) = on_the_host(&test, "sleep 1000");
    config["linux"]["namespaces"] = json!([]);
    config["hostname"] = json!("");
    mount_on(&mut config, "/proc")["options"] = json!(["nosuid"]);
    let container = run(&test, &config, &rootfs).unwrap();
    assert_eq!(exec_shell(&container, "ls -d /bin"), "/bin\n");
    container.delete(Force::Kill).unwrap();
    assert_eq!(mounts("self", &rootfs), []);
}
