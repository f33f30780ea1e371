//! Faults of cgroups: each one causes an error that names the reason, and leaves no cgroup behind.

mod common;

use std::path::{Path, PathBuf};

use berth::{Code, Container, Force};
use common::{TestRuntime, quiet, shell, unique};
use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use serde_json::{Value, json};

fn directories(container: &Container) -> Vec<PathBuf> {
    let state: Value = serde_json::from_str(&container.state_json().unwrap()).unwrap();
    state["cgroupPaths"].as_object().unwrap().values().map(|dir| PathBuf::from(dir.as_str().unwrap())).collect()
}

/// Returns the mount point of the v2 hierarchy, if the host has one.
fn tree() -> Option<&'static Path> {
    let places = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"].map(Path::new);
    places.into_iter().find(|place| place.join("cgroup.controllers").exists())
}

/// Lists all cgroups whose path contains `name`.
fn leftovers(name: &str) -> Vec<PathBuf> {
    fn walk(dir: &Path, depth: u32, name: &str, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                if entry.file_name().to_string_lossy().contains(name) {
                    found.push(entry.path());
                } else if depth > 0 {
                    walk(&entry.path(), depth - 1, name, found);
                }
            }
        }
    }
    let mut found = Vec::new();
    walk(Path::new("/sys/fs/cgroup"), 2, name, &mut found);
    found
}

#[test]
fn a_full_hierarchy_is_an_error_and_nothing_is_left() {
    let Some(tree) = tree() else { return eprintln!("SKIPPED: the host has no v2 tree") };
    let test = TestRuntime::new();
    let parent = unique("berth-full");
    std::fs::create_dir(tree.join(&parent)).unwrap();
    std::fs::write(tree.join(&parent).join("cgroup.max.descendants"), "0").unwrap();
    let mut config = shell("true");
    config["linux"]["cgroupsPath"] = json!(format!("/{parent}/container"));
    let error = test.create(&config, &quiet()).unwrap_err();
    let rest = leftovers("container");
    let parents = leftovers(&parent);
    std::fs::remove_dir(tree.join(&parent)).unwrap();
    assert_eq!(error.errno, Some(Errno::EAGAIN), "{error}");
    assert!(error.message.contains("cgroup.max.descendants"), "{error}");
    assert!(rest.is_empty() && test.runtime.ids().unwrap().is_empty(), "{rest:?}");
    assert_eq!(parents, [tree.join(&parent)], "only the one that the test has made");
}

#[test]
fn read_only_cgroups_are_an_error_and_nothing_is_left() {
    let test = TestRuntime::new();
    let name = unique("berth-ro");
    // A thread with its own mount namespace.
    let error = std::thread::scope(|scope| {
        let attempt = scope.spawn(|| {
            unshare(CloneFlags::CLONE_NEWNS).unwrap();
            mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>).unwrap();
            let mounts = std::fs::read_to_string("/proc/thread-self/mountinfo").unwrap();
            let cgroups = mounts.lines().filter(|line| line.contains(" - cgroup"));
            for point in cgroups.filter_map(|line| line.split(' ').nth(4)) {
                let flags = MsFlags::MS_REMOUNT | MsFlags::MS_BIND | MsFlags::MS_RDONLY;
                mount(None::<&str>, point, None::<&str>, flags, None::<&str>).unwrap();
            }
            let mut config = shell("true");
            config["linux"]["cgroupsPath"] = json!(format!("/{name}"));
            test.create(&config, &quiet()).unwrap_err()
        });
        attempt.join().unwrap()
    });
    assert_eq!(error.errno, Some(Errno::EROFS), "{error}");
    assert!(error.message.contains(&name), "{error}");
    assert!(leftovers(&name).is_empty() && test.runtime.ids().unwrap().is_empty());
}

#[test]
fn a_limit_that_is_refused_leaves_nothing() {
    let test = TestRuntime::new();
    let name = unique("berth-refused");
    for resources in [
        json!({ "cpu": { "cpus": "4095" } }),
        json!({ "unified": { "cgroup.max.depth": "many" } }),
        json!({ "blockIO": { "leafWeight": 500 } }),
        json!({ "rdma": { "nothing": { "hcaHandles": 1 } } }),
    ] {
        let mut config = shell("true");
        config["linux"]["cgroupsPath"] = json!(format!("/{name}/inner"));
        config["linux"]["resources"] = resources.clone();
        let error = test.create(&config, &quiet()).unwrap_err();
        assert!(error.message.starts_with("linux.resources."), "{resources}: {error}");
        assert!(matches!(error.code, Code::System | Code::Unsupported), "{resources}: {error}");
        assert!(leftovers(&name).is_empty() && test.runtime.ids().unwrap().is_empty(), "{resources}");
    }
}

#[test]
fn cgroups_that_another_process_has_removed_are_no_error() {
    let test = TestRuntime::new();
    let container = test.run(&shell("exit 0"), &quiet()).unwrap();
    let other = test.runtime.load(container.id()).unwrap();
    container.wait(common::LONG).unwrap();
    let all = directories(&container);
    common::eventually("they can be removed", || {
        all.iter().for_each(|dir| drop(std::fs::remove_dir(dir)));
        all.iter().all(|dir| !dir.exists())
    });
    assert!(container.pids().unwrap().is_empty());
    assert_eq!(other.stats().unwrap_err().code, Code::NotRunning);
    assert_eq!(other.set("{}").unwrap_err().code, Code::NotRunning);
    container.delete(Force::No).unwrap();
    assert!(test.runtime.ids().unwrap().is_empty());
}

#[test]
fn a_cgroup_that_the_container_has_nested_in_is_paused_and_deleted_whole() {
    let test = TestRuntime::new();
    let container = test.run(&shell("i=0; while :; do i=$((i+1)); done"), &quiet()).unwrap();
    let pid = container.init_process().unwrap().pid().to_string();
    for dir in directories(&container) {
        let inner = dir.join("a/b");
        std::fs::create_dir_all(&inner).unwrap();
        for file in ["cpuset.cpus", "cpuset.mems"] {
            for level in [dir.join("a"), inner.clone()] {
                if let Ok(text) = std::fs::read(dir.join(file)).and_then(|text| std::fs::write(level.join(file), text))
                {
                    text
                }
            }
        }
        std::fs::write(inner.join("cgroup.procs"), &pid).unwrap();
    }
    container.pause().unwrap();
    let used = container.stats().unwrap().cpu_usage_ns;
    std::thread::sleep(std::time::Duration::from_millis(60));
    // The kernel may account CPU time used before the freeze a little later.
    let later = container.stats().unwrap().cpu_usage_ns;
    assert!(later < used.map(|ns| ns + 10_000_000), "{used:?} {later:?}");
    container.resume().unwrap();
    common::eventually("it continues", || container.stats().unwrap().cpu_usage_ns > used);
    container.pause().unwrap();
    let all = directories(&container);
    container.delete(Force::Kill).unwrap();
    assert!(all.iter().all(|dir| !dir.exists()));
}
