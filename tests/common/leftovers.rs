//! Checks that a test left no processes, cgroups, mounts or files behind.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Lists the direct children of this process, zombies included (proc_pid_stat(5)).
pub fn children() -> Vec<i32> {
    children_of(std::process::id() as i32)
}

pub fn children_of(parent: i32) -> Vec<i32> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else { continue };
        let Ok(stat) = std::fs::read_to_string(entry.path().join("stat")) else { continue };
        let fields = stat.rsplit_once(") ").map(|(_, rest)| rest.split(' ').collect::<Vec<_>>()).unwrap_or_default();
        if fields.get(1).and_then(|field| field.parse().ok()) == Some(parent) {
            found.push(pid);
        }
    }
    found
}

/// Waits until this process has no children and the reaper above it (see `runner`) has no orphans.
pub fn no_orphan_stays() {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let own = std::process::id() as i32;
        let mut left = children_of(std::os::unix::process::parent_id() as i32);
        left.retain(|pid| *pid != own);
        left.extend(children());
        if left.is_empty() {
            return;
        }
        if Instant::now() > deadline {
            let described: Vec<String> = left.iter().map(|pid| describe(*pid)).collect();
            for pid in &left {
                // SAFETY: no memory is involved.
                unsafe { libc::kill(*pid, libc::SIGKILL) };
            }
            panic!("processes are left: {described:?}");
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn describe(pid: i32) -> String {
    let read = |name: &str| std::fs::read_to_string(format!("/proc/{pid}/{name}")).unwrap_or_default();
    let state: String = read("status").lines().filter(|line| line.starts_with("State")).collect();
    format!("{pid} {} {state} {} {}", read("comm").trim(), read("wchan"), read("cmdline").replace('\0', " "))
}

/// Lists the top-level cgroups, in all hierarchies, whose path contains `part`.
pub fn cgroups(part: &str) -> Vec<PathBuf> {
    let mountinfo = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    let of_cgroups = mountinfo.lines().filter(|line| line.contains(" - cgroup"));
    let points = of_cgroups.filter_map(|line| line.split(' ').nth(4)).map(PathBuf::from);
    let below = points.filter_map(|point| std::fs::read_dir(point).ok()).flatten().flatten();
    below.map(|entry| entry.path()).filter(|path| path.to_string_lossy().contains(part)).collect()
}

/// Cleans up after failed tests: kills the processes in cgroups whose path contains `part`, and removes these cgroups.
pub fn sweep(part: &str) {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let left = cgroups(part);
        for dir in &left {
            let _ = std::fs::write(dir.join("freezer.state"), "THAWED");
            let pids = std::fs::read_to_string(dir.join("cgroup.procs")).unwrap_or_default();
            for pid in pids.lines().filter_map(|line| line.parse().ok()) {
                // SAFETY: no memory is involved.
                unsafe { libc::kill(pid, libc::SIGKILL) };
            }
            let _ = std::fs::remove_dir(dir);
        }
        if left.is_empty() || Instant::now() > deadline {
            return;
        }
        // Orphans among the killed processes were reparented to this one, so it must reap them.
        // SAFETY: no status is asked for.
        while unsafe { libc::waitpid(-1, std::ptr::null_mut(), libc::WNOHANG) } > 0 {}
        std::thread::sleep(Duration::from_millis(10));
    }
}

pub fn mounts(part: &str) -> Vec<String> {
    let mountinfo = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    mountinfo.lines().filter(|line| line.contains(part)).map(str::to_owned).collect()
}

pub fn files(dir: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(dir).map(|entries| entries.flatten().map(|entry| entry.path()).collect()).unwrap_or_default()
}

/// Asserts that containers whose ids contain `id` left no cgroups, mounts or files below the state root `root`.
pub fn nothing_stays(id: &str, root: &Path) {
    assert_eq!(cgroups(id), Vec::<PathBuf>::new(), "cgroups are left");
    assert_eq!(files(root), Vec::<PathBuf>::new(), "files are left");
    assert_eq!(mounts(root.parent().unwrap().to_str().unwrap()), Vec::<String>::new(), "mounts are left");
    assert_eq!(mounts(super::rootfs().to_str().unwrap()), Vec::<String>::new(), "mounts are left");
}
