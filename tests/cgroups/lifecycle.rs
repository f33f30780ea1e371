//! Planning, creating, attaching to and removing cgroups.

use std::collections::BTreeMap;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use berth::Code;
use berth::cgroup::{self, Layout};

use crate::support::{Group, eventually, soon, unique};

#[test]
fn a_plan_makes_nothing_and_creation_makes_exactly_the_plan() {
    let path = format!("/{}/inner", unique());
    let layout = cgroup::plan(Some(Path::new(&path)), "unused").unwrap();
    assert!(layout.made.iter().all(|path| !path.exists()));
    let Some(mut group) = Group::at(&path) else { return };
    assert_eq!(group.layout, layout);
    assert!(layout.made.iter().all(|path| path.is_dir()));
    let pid = group.run("exec sleep 100");
    let places = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    let hierarchies = layout.paths.keys();
    for name in hierarchies {
        let line = places.lines().find(|line| line.split(':').nth(1).unwrap().split(',').any(|one| one == name));
        assert!(line.unwrap().ends_with(&path), "{name} in {places}");
    }
    group.cgroup.kill_all(soon()).unwrap();
    group.cgroup.remove(soon()).unwrap();
    assert!(group.is_gone());
    group.cgroup.remove(soon()).expect("removing twice is fine");
    assert!(group.pids().is_empty());
    assert!(!group.cgroup.is_frozen().unwrap());
}

#[test]
fn a_layout_survives_its_record() {
    let layout = cgroup::plan(None, "web").unwrap();
    assert!(layout.paths.values().all(|path| path.ends_with("berth-web")));
    let text = serde_json::to_string(&layout).unwrap();
    assert_eq!(serde_json::from_str::<Layout>(&text).unwrap(), layout);
}

#[test]
fn parent_directories_in_a_path_end_at_its_root() {
    let layout = cgroup::plan(Some(Path::new("/a/../../b/../berth-c")), "x").unwrap();
    assert!(layout.paths.values().all(|path| path.ends_with("berth-c") && !path.ends_with("b/berth-c")), "{layout:?}");
    let error = cgroup::plan(Some(Path::new("/a/../..")), "x").unwrap_err();
    assert_eq!(error.code, Code::ConfigInvalid);
    assert!(error.message.contains("linux.cgroupsPath"), "{error}");
}

#[test]
fn an_empty_cgroup_that_is_there_already_is_used_and_stays() {
    let path = format!("/{}/made-before", unique());
    let Some(group) = Group::at(&path) else { return };
    let layout = cgroup::plan(Some(Path::new(&path)), "x").unwrap();
    assert_eq!((&layout.made, layout.kept.len()), (&Vec::new(), group.layout.made.len() - parents(&group)));
    let cgroup = cgroup::open(&layout).unwrap();
    cgroup.create().unwrap();
    for leaf in &layout.kept {
        std::fs::create_dir(leaf.join("below")).unwrap();
    }
    cgroup.remove(soon()).unwrap();
    assert!(layout.kept.iter().all(|leaf| leaf.is_dir() && !leaf.join("below").exists()));
    // The cgroup exists in one hierarchy only, as after a crash.
    let one = layout.kept[0].clone();
    for leaf in &layout.kept[1..] {
        std::fs::remove_dir(leaf).unwrap();
    }
    let layout = cgroup::plan(Some(Path::new(&path)), "x").unwrap();
    assert_eq!(layout.kept, std::slice::from_ref(&one));
    let cgroup = cgroup::open(&layout).unwrap();
    cgroup.create().unwrap();
    cgroup.remove(soon()).unwrap();
    assert!(one.is_dir() && layout.paths.values().all(|leaf| *leaf == one || !leaf.exists()));
}

/// Directories that were made above the leaves.
fn parents(group: &Group) -> usize {
    group.layout.made.iter().filter(|made| !group.layout.paths.values().any(|leaf| leaf == *made)).count()
}

#[test]
fn a_frozen_cgroup_that_is_there_already_is_refused() {
    let path = format!("/{}", unique());
    let Some(group) = Group::at(&path) else { return };
    group.cgroup.freeze(soon()).unwrap();
    let error = cgroup::plan(Some(Path::new(&path)), "x").unwrap_err();
    assert!(error.message.contains("exists already and is frozen"), "{error}");
    group.cgroup.thaw(soon()).unwrap();
}

#[test]
fn a_cgroup_with_processes_is_refused_and_left_as_it_is() {
    let path = format!("/{}", unique());
    let Some(mut group) = Group::at(&path) else { return };
    let again = group.layout.clone();
    let pid = group.run("exec sleep 100");
    let error = cgroup::plan(Some(Path::new(&path)), "x").unwrap_err();
    assert!(error.message.contains("exists already and has processes in it"), "{error}");
    assert!(error.message.contains(&pid.to_string()), "{error}");
    // A cgroup that was created between plan and create is refused, too.
    let error = cgroup::open(&again).unwrap().create().unwrap_err();
    assert_eq!(error.errno, Some(nix::errno::Errno::EEXIST));
    assert!(again.paths.values().all(|leaf| leaf.is_dir()));
}

#[test]
fn a_failed_creation_removes_what_it_created() {
    let path = format!("/{}", unique());
    let layout = cgroup::plan(Some(Path::new(&path)), "x").unwrap();
    // The cgroup exists already in the last hierarchy.
    let Some(taken) = layout.paths.values().next_back() else { return };
    std::fs::create_dir(taken).unwrap();
    cgroup::open(&layout).unwrap().create().unwrap_err();
    let left: Vec<_> = layout.paths.values().filter(|leaf| leaf.exists()).collect();
    assert_eq!(left, [taken]);
    std::fs::remove_dir(taken).unwrap();
}

#[test]
fn a_parent_in_use_stays() {
    let parent = unique();
    let Some(first) = Group::at(&format!("/{parent}/first")) else { return };
    let second = Group::at(&format!("/{parent}/second")).unwrap();
    first.cgroup.remove(soon()).unwrap();
    assert!(first.layout.paths.values().all(|leaf| !leaf.exists() && leaf.parent().unwrap().exists()));
    drop(second);
    first.cgroup.remove(soon()).unwrap();
    assert!(first.is_gone());
}

#[test]
fn creating_and_removing_below_one_parent_at_once_works() {
    let parent = unique();
    if Group::new().is_none() {
        return;
    }
    std::thread::scope(|scope| {
        for number in 0..6 {
            let parent = &parent;
            scope.spawn(move || {
                for _ in 0..20 {
                    let group = Group::at(&format!("/{parent}/{number}")).unwrap();
                    assert!(group.layout.paths.values().all(|leaf| leaf.is_dir()));
                }
            });
        }
    });
    // The last group may have found the parent in use by another group.
    let rest = cgroup::plan(Some(Path::new(&format!("/{parent}/none"))), "unused").unwrap();
    for leaf in rest.paths.values() {
        let _ = std::fs::remove_dir(leaf.parent().unwrap());
    }
}

#[test]
fn a_half_made_layout_is_removed() {
    let Some(group) = Group::at(&format!("/{}/x", unique())) else { return };
    let some = group.layout.made.iter().rev().step_by(2).filter(|path| std::fs::remove_dir(path).is_ok()).count();
    assert!(some > 0);
    group.cgroup.remove(soon()).unwrap();
    assert!(group.is_gone());
}

#[test]
fn zombies_do_not_keep_a_cgroup() {
    let Some(mut group) = Group::new() else { return };
    for _ in 0..5 {
        group.run("kill -9 $$");
    }
    // These children are not reaped before the group is dropped.
    eventually("all have died", || group.pids().is_empty());
    group.cgroup.remove(soon()).unwrap();
    assert!(group.is_gone());
}

#[test]
fn a_busy_cgroup_is_not_removed_and_the_error_names_who_is_in_it() {
    let Some(mut group) = Group::new() else { return };
    let pid = group.run("exec sleep 100");
    let error = group.cgroup.remove(Instant::now() + Duration::from_millis(20)).unwrap_err();
    assert!(error.message.contains(&format!("still has pid {pid}")), "{error}");
    assert_eq!(error.errno, Some(nix::errno::Errno::EBUSY));
}

#[test]
fn cgroups_that_were_made_inside_are_removed_too() {
    let Some(group) = Group::new() else { return };
    for leaf in group.layout.paths.values() {
        std::fs::create_dir_all(leaf.join("a/b/c")).unwrap();
        std::fs::create_dir_all(leaf.join("a/d")).unwrap();
    }
    group.cgroup.remove(soon()).unwrap();
    assert!(group.is_gone());
}

#[test]
fn cgroups_nested_deeper_than_a_path_can_say_are_listed_and_removed() {
    let Some(group) = Group::new() else { return };
    let leaf = group.layout.paths.get("").or_else(|| group.layout.paths.get("freezer")).unwrap();
    let name = "n".repeat(100);
    let mut here = OwnedFd::from(std::fs::File::open(leaf).unwrap());
    for _ in 0..60 {
        nix::sys::stat::mkdirat(&here, name.as_str(), nix::sys::stat::Mode::S_IRWXU).unwrap();
        let flags = nix::fcntl::OFlag::O_DIRECTORY | nix::fcntl::OFlag::O_CLOEXEC;
        here = nix::fcntl::openat(&here, name.as_str(), flags, nix::sys::stat::Mode::empty()).unwrap();
    }
    let mut child = std::process::Command::new("sleep").arg("100").spawn().unwrap();
    let pid = child.id() as i32;
    let flags = nix::fcntl::OFlag::O_WRONLY | nix::fcntl::OFlag::O_CLOEXEC;
    let procs = nix::fcntl::openat(&here, "cgroup.procs", flags, nix::sys::stat::Mode::empty()).unwrap();
    nix::unistd::write(&procs, pid.to_string().as_bytes()).unwrap();
    assert_eq!(group.pids(), [pid]);
    group.cgroup.kill_all(soon()).unwrap();
    child.wait().unwrap();
    group.cgroup.remove(soon()).unwrap();
    assert!(group.is_gone());
}

#[test]
fn a_symlink_in_a_path_is_not_followed() {
    let Some(group) = Group::new() else { return };
    let folder = tempfile::tempdir().unwrap();
    let link = folder.path().canonicalize().unwrap().join("link");
    let (name, leaf) = group.layout.paths.first_key_value().unwrap();
    std::os::unix::fs::symlink(leaf.parent().unwrap(), &link).unwrap();
    let through =
        |last: &Path| Layout { paths: BTreeMap::from([(name.clone(), link.join(last))]), ..Layout::default() };
    let new = PathBuf::from(unique());
    let error = cgroup::open(&through(&new)).unwrap().create().unwrap_err();
    assert_eq!(error.errno, Some(nix::errno::Errno::ELOOP), "{error}");
    assert!(!leaf.with_file_name(&new).exists());
    let existing = Path::new(leaf.file_name().unwrap());
    assert!(cgroup::open(&through(existing)).unwrap().remove(soon()).is_err());
    assert!(leaf.is_dir());
}

#[test]
fn a_directory_outside_of_the_cgroup_filesystem_is_not_touched() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().canonicalize().unwrap();
    std::fs::create_dir_all(root.join("leaf/inner")).unwrap();
    for name in ["", "memory"] {
        let paths = BTreeMap::from([(name.to_owned(), root.join("leaf"))]);
        let handle = cgroup::open(&Layout { paths, made: vec![root.join("leaf/inner")], ..Layout::default() }).unwrap();
        assert!(handle.create().is_err());
        assert!(handle.remove(soon()).is_err());
        assert!(handle.attach(std::process::id() as i32).is_err());
    }
    assert!(root.join("leaf/inner").is_dir());
}

#[test]
fn pids_are_listed_from_all_levels_in_order() {
    let Some(mut group) = Group::new() else { return };
    let mut expected: Vec<i32> = (0..4).map(|_| group.run("sleep 100 & wait")).collect();
    eventually("each has its sleep", || group.pids().len() == 8);
    for leaf in group.layout.paths.values() {
        std::fs::create_dir(leaf.join("below")).unwrap();
        if leaf.join("cpuset.cpus").exists() && group.is_v1("cpuset") {
            for file in ["cpuset.cpus", "cpuset.mems"] {
                std::fs::write(leaf.join("below").join(file), std::fs::read(leaf.join(file)).unwrap()).unwrap();
            }
        }
        std::fs::write(leaf.join("below/cgroup.procs"), expected[2].to_string()).unwrap();
    }
    let pids = group.pids();
    expected.sort_unstable();
    assert!(pids.is_sorted() && pids.len() == 8 && expected.iter().all(|pid| pids.contains(pid)), "{pids:?}");
}

#[test]
fn invalid_pids_are_not_attached() {
    let Some(group) = Group::new() else { return };
    for pid in [0, -1] {
        assert_eq!(group.cgroup.attach(pid).unwrap_err().code, Code::InvalidArgument);
    }
    let error = group.cgroup.attach(i32::MAX).unwrap_err();
    assert_eq!(error.errno, Some(nix::errno::Errno::ESRCH), "{error}");
}

#[test]
fn a_process_can_be_spawned_into_the_tree() {
    let Some(group) = Group::new() else { return };
    let Some(dir) = group.cgroup.spawn_dir().unwrap() else {
        eprintln!("SKIPPED: the host has no v2 tree");
        return;
    };
    let pid = clone_into(&dir);
    assert_eq!(group.pids(), [pid]);
    // SAFETY: fcntl with an integer argument.
    assert_ne!(unsafe { libc::fcntl(dir.as_raw_fd(), libc::F_GETFD) } & libc::FD_CLOEXEC, 0);
    if group.cgroup.attach_needed() {
        group.cgroup.attach(pid).unwrap();
    }
    group.cgroup.kill_all(soon()).unwrap();
    let status = nix::sys::wait::waitpid(nix::unistd::Pid::from_raw(pid), None).unwrap();
    assert!(matches!(status, nix::sys::wait::WaitStatus::Signaled(_, nix::sys::signal::SIGKILL, _)));
}

/// Clones a child directly into the cgroup (CLONE_INTO_CGROUP) that waits until it is killed.
fn clone_into(dir: &OwnedFd) -> i32 {
    const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;
    // struct clone_args: flags … exit_signal … cgroup.
    let mut arguments = [0u64; 11];
    arguments[0] = CLONE_INTO_CGROUP;
    arguments[4] = libc::SIGCHLD as u64;
    arguments[10] = dir.as_raw_fd() as u64;
    // SAFETY: the kernel reads the array; the child has its own copy of the memory and makes one system call.
    unsafe {
        let pid = libc::syscall(libc::SYS_clone3, arguments.as_ptr(), size_of_val(&arguments)) as i32;
        if pid == 0 {
            loop {
                libc::pause();
            }
        }
        assert!(pid > 0);
        pid
    }
}
