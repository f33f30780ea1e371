//! Snapshots of the test process, to check that the library leaves the caller unchanged.

use std::collections::BTreeMap;

use super::leftovers;

/// The attributes of a process that the library must not change.
pub struct ProcessSnapshot {
    pub facts: BTreeMap<String, String>,
    pub descriptors: BTreeMap<i32, String>,
    pub threads: usize,
    pub children: Vec<i32>,
}

/// Moves this process, before it has threads, into a mount namespace in which mounts of others do not appear, so that
/// snapshots can compare the whole mount table.
pub fn own_mount_namespace() {
    use nix::mount::{MsFlags, mount};
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNS).unwrap();
    let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    mount(None::<&str>, "/", None::<&str>, private, None::<&str>).unwrap();
}

pub fn myself() -> ProcessSnapshot {
    let mut facts = BTreeMap::new();
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let kept =
        ["Umask", "Uid", "Gid", "Groups", "Sig", "Shd", "Cap", "NoNewPrivs", "Seccomp:", "TracerPid", "NSpid", "PPid"];
    for line in
        status.lines().filter(|line| kept.iter().any(|kept| line.starts_with(kept)) && !line.starts_with("SigQ"))
    {
        let (key, value) = line.split_once(':').unwrap();
        facts.insert(key.into(), value.into());
    }
    for file in
        ["limits", "environ", "oom_score_adj", "cgroup", "personality", "timerslack_ns", "mountinfo", "sessionid"]
    {
        facts.insert(file.into(), std::fs::read_to_string(format!("/proc/self/{file}")).unwrap_or_default());
    }
    for link in ["cwd", "root", "exe"] {
        facts.insert(link.into(), format!("{:?}", std::fs::read_link(format!("/proc/self/{link}"))));
    }
    for entry in std::fs::read_dir("/proc/self/ns").unwrap().flatten() {
        facts.insert(format!("ns {:?}", entry.file_name()), format!("{:?}", std::fs::read_link(entry.path())));
    }
    facts.insert("variables".into(), format!("{:?}", std::env::vars_os().collect::<BTreeMap<_, _>>()));
    let mut prctls = [0i32; 2];
    // SAFETY: these calls only read attributes of this process.
    unsafe {
        facts.insert("dumpable".into(), libc::prctl(libc::PR_GET_DUMPABLE, 0, 0, 0, 0).to_string());
        libc::prctl(libc::PR_GET_CHILD_SUBREAPER, &mut prctls[0], 0, 0, 0);
        libc::prctl(libc::PR_GET_PDEATHSIG, &mut prctls[1], 0, 0, 0);
        facts.insert("nice".into(), libc::getpriority(libc::PRIO_PROCESS, 0).to_string());
        facts.insert("session".into(), format!("{} {}", libc::getsid(0), libc::getpgrp()));
    }
    facts.insert("subreaper, pdeathsig".into(), format!("{prctls:?}"));
    for signal in 1..=64 {
        // SAFETY: the call reads the current action and sets none.
        let handler = unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            libc::sigaction(signal, std::ptr::null(), &mut action);
            (action.sa_sigaction, action.sa_flags)
        };
        facts.insert(format!("signal {signal}"), format!("{handler:?}"));
    }
    let threads = std::fs::read_dir("/proc/self/task").unwrap().count();
    ProcessSnapshot { facts, descriptors: descriptors(), threads, children: leftovers::children() }
}

pub fn descriptors() -> BTreeMap<i32, String> {
    let list = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
    let numbers: Vec<i32> = list.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    // The descriptor that listed the directory is closed by now: its readlink fails and it is skipped.
    let target = |fd: &i32| Some((*fd, std::fs::read_link(format!("/proc/self/fd/{fd}")).ok()?.display().to_string()));
    numbers.iter().filter_map(target).collect()
}

pub fn assert_same(after: &ProcessSnapshot, before: &ProcessSnapshot) {
    for (name, value) in &before.facts {
        assert_eq!(after.facts.get(name), Some(value), "{name} has changed");
    }
    assert_eq!(
        (&after.descriptors, after.threads, &after.children),
        (&before.descriptors, before.threads, &before.children)
    );
}
