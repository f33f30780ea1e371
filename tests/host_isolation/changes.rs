//! What belongs to the caller does not change: signal handlers and masks, limits, directory, descriptors, mounts.

use std::ffi::CString;
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use berth::{Container, ExitStatus, Force};
use serde_json::json;

use crate::common::myself::{assert_same, descriptors, myself, own_mount_namespace};
use crate::common::*;
use crate::support::{check_status, life_cycle};

fn thread_mask() -> Vec<i32> {
    let mask = nix::sys::signal::SigSet::thread_get_mask().unwrap();
    mask.iter().map(|signal| signal as i32).collect()
}

/// The pids and statuses that the caller's own SIGCHLD handler has reaped, in order.
static TAKEN: [(AtomicI32, AtomicI32); 8192] = [const { (AtomicI32::new(0), AtomicI32::new(0)) }; 8192];
static TAKEN_COUNT: AtomicUsize = AtomicUsize::new(0);

extern "C" fn on_sigchld(_: i32) {
    // SAFETY: only async-signal-safe calls; errno is restored.
    unsafe {
        let errno = *libc::__errno_location();
        let mut status = 0;
        loop {
            let pid = libc::waitpid(-1, &mut status, libc::WNOHANG);
            if pid <= 0 {
                break;
            }
            let place = &TAKEN[TAKEN_COUNT.fetch_add(1, Ordering::SeqCst) % TAKEN.len()];
            place.1.store(status, Ordering::SeqCst);
            place.0.store(pid, Ordering::SeqCst);
        }
        *libc::__errno_location() = errno;
    }
}

fn set_handler(handler: libc::sighandler_t) {
    // SAFETY: a valid handler.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handler;
        action.sa_flags = libc::SA_RESTART | libc::SA_NOCLDSTOP;
        assert_eq!(libc::sigaction(libc::SIGCHLD, &action, std::ptr::null_mut()), 0);
    }
}

/// Forks a child that executes this program as the caller "inherited_descriptors", which checks what it inherited.
fn fork_and_look(program: &CString) -> i32 {
    let argv = [program.as_ptr(), c"--caller".as_ptr(), c"inherited_descriptors".as_ptr(), std::ptr::null()];
    // SAFETY: the child makes one call.
    unsafe {
        match libc::fork() {
            0 => {
                libc::execv(program.as_ptr(), argv.as_ptr());
                libc::_exit(99)
            }
            pid => pid,
        }
    }
}

/// Checks that only descriptors 0, 1 and 2 are inherited: all of the library's descriptors are close-on-exec at all
/// times.
pub fn inherited_descriptors(_: &[String]) {
    let found = descriptors();
    let more: Vec<_> = found.iter().filter(|(fd, _)| **fd > 2).collect();
    std::process::exit(if more.is_empty() { 11 } else { 12 });
}

pub fn many_threads(args: &[String]) {
    own_mount_namespace();
    // Descriptors that this process inherited, and handlers that glibc installs for the first thread, would spoil the
    // comparison.
    // SAFETY: nothing has a descriptor yet.
    unsafe { libc::close_range(3, u32::MAX, 0) };
    std::thread::spawn(|| {}).join().unwrap();
    let runtime = runtime_of(args);
    let variant = args[2].as_str();
    // SAFETY: settings of this process, before it has threads.
    unsafe {
        libc::umask(0o027);
        libc::setenv(c"BERTH_ROOT".as_ptr(), c"/nonexistent".as_ptr(), 1);
        libc::nice(1);
        let limit = libc::rlimit { rlim_cur: 4000, rlim_max: 5000 };
        libc::setrlimit(libc::RLIMIT_NOFILE, &limit);
    }
    std::env::set_current_dir("/usr").unwrap();
    match variant {
        "caught" => set_handler(on_sigchld as *const () as libc::sighandler_t),
        "ignored" => set_handler(libc::SIG_IGN),
        _ => nix::sys::signal::SigSet::all().thread_block().unwrap(),
    }
    // From here on the library has opened the descriptors that it keeps until the process exits.
    let cold = descriptors();
    life_cycle(&runtime, &format!("{}-first", args[1]));
    let new: Vec<String> =
        descriptors().into_iter().filter(|(fd, _)| !cold.contains_key(fd)).map(|new| new.1).collect();
    let mounts = format!("/proc/{}/mountinfo", std::process::id());
    // The BPF device program exists only with cgroup v2.
    let kept = ["/memfd:berth-init (deleted)", "/proc", &mounts, "anon_inode:bpf-prog"];
    assert!(
        new.len() >= 3 && kept.iter().filter(|kept| new.iter().any(|new| new == *kept)).count() == new.len(),
        "{new:?}"
    );

    let before = myself();
    let barrier = Arc::new(Barrier::new(64));
    let program = CString::new(std::env::current_exe().unwrap().into_os_string().into_encoded_bytes()).unwrap();
    let threads: Vec<_> = (0..64)
        .map(|index| {
            let (runtime, barrier, id) = (runtime.clone(), barrier.clone(), format!("{}-{index}", args[1]));
            let (program, caught) = (program.clone(), variant == "caught");
            std::thread::spawn(move || {
                let mut mask = nix::sys::signal::SigSet::thread_get_mask().unwrap();
                mask.add([nix::sys::signal::SIGUSR1, nix::sys::signal::SIGUSR2, nix::sys::signal::SIGTERM][index % 3]);
                mask.thread_set_mask().unwrap();
                let before = thread_mask();
                barrier.wait();
                let child = (index % 8 == 0).then(|| fork_and_look(&program));
                let memory: Vec<Vec<u8>> = (0..50).map(|size| vec![1; size * 1000]).collect();
                life_cycle(&runtime, &id);
                drop(memory);
                assert_eq!(thread_mask(), before);
                child.filter(|_| caught)
            })
        })
        .collect();
    let own: Vec<i32> = threads.into_iter().filter_map(|thread| thread.join().expect("a thread fails")).collect();
    // The caller's own children and their exit statuses.
    let taken = |pid: &i32| {
        TAKEN.iter().find(|entry| entry.0.load(Ordering::SeqCst) == *pid).map(|entry| entry.1.load(Ordering::SeqCst))
    };
    let deadline = Instant::now() + Duration::from_secs(60);
    while own.iter().any(|pid| taken(pid).is_none()) {
        assert!(Instant::now() < deadline, "a child's status is missing");
        std::thread::yield_now();
    }
    for pid in &own {
        assert_eq!(taken(pid).map(|status| libc::WEXITSTATUS(status)), Some(11), "a descriptor was inherited");
    }
    if variant == "blocked" {
        // Eight children of the caller are still zombies here: the library has not reaped them.
        for _ in 0..8 {
            let mut status = 0;
            // SAFETY: `status` is room for one.
            assert!(unsafe { libc::waitpid(-1, &mut status, 0) } > 0);
            assert_eq!(libc::WEXITSTATUS(status), 11);
        }
    }
    while variant == "ignored" && !leftovers::children().is_empty() {
        assert!(Instant::now() < deadline, "{:?}", leftovers::children());
    }
    let mut after = myself();
    // The kernel may list a joined thread a moment longer.
    while after.threads != before.threads && Instant::now() < deadline {
        after = myself();
    }
    assert_same(&after, &before);
}

/// For id mappings the library needs a user namespace, which only a process can create.
pub fn id_mapping_helper(args: &[String]) {
    own_mount_namespace();
    let runtime = runtime_of(args);
    life_cycle(&runtime, &format!("{}-first", args[1]));
    let before = myself();
    let map = |first: u32| json!([{ "containerID": 0, "hostID": first, "size": 10 }]);
    let mut good = shell("true");
    push_mount(&mut good, json!({ "destination": "/mnt", "type": "tmpfs" }));
    for first in [1000, 2000, 3000] {
        let mut mount = bind(&rootfs().join("bin"), &format!("/mnt/{first}"), &["bind", "idmap"]);
        (mount["uidMappings"], mount["gidMappings"]) = (map(first), map(first));
        push_mount(&mut good, mount);
    }
    let mut bad = good.clone();
    push_mount(&mut bad, json!({ "destination": "/etc/passwd/x", "type": "tmpfs" }));
    for (number, config) in [&good, &bad, &good].into_iter().enumerate() {
        let config = load_config(config);
        match Container::run(&runtime, &format!("{}-{number}", args[1]), &config, &quiet()) {
            Ok(container) => {
                check_status(container.wait(LONG), ExitStatus::Exited(0));
                container.delete(Force::No).unwrap();
            }
            Err(error) => assert!(number == 1 && error.message.contains("/etc/passwd/x"), "{error}"),
        }
        assert_same(&myself(), &before);
    }
}
