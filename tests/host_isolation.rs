//! Rule 1: the library does not control the caller process. The caller forks, has its own signal handlers, limits and
//! masks, and none of them may change.

mod common;

use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};

use berth::spec::Config;
use berth::{Code, Container, ExitStatus, Force, ProcessOptions, Runtime, Settings, Status, Stdio};
use common::myself::{assert_same, descriptors, myself, own_mount_namespace};
use common::*;
use serde_json::json;

fn main() {
    runner::main(
        &[
            ("a_caller_with_threads_children_and_handlers_stays_unchanged", || quiet_caller("storm", "caught")),
            ("a_caller_that_ignores_sigchld", || quiet_caller("storm", "ignored")),
            ("a_caller_with_all_signals_blocked", || quiet_caller("storm", "blocked")),
            ("a_caller_without_standard_streams", || quiet_caller("closed", "")),
            ("a_caller_with_few_descriptors_left", || quiet_caller("few", "")),
            ("a_caller_whose_forked_children_stay", || quiet_caller("forker", "")),
            ("a_thread_may_end_as_soon_as_create_returns", || quiet_caller("brief", "")),
            ("executed_processes_without_a_handle_are_reaped", || quiet_caller("forgotten", "")),
            ("containers_that_nobody_waits_for_are_reaped_by_later_creates", || quiet_caller("unheard", "")),
            ("the_network_namespace_helper_is_invisible_to_the_caller", || quiet_caller("unseen", "")),
            ("the_id_mapping_helper_does_not_stay", || quiet_caller("mapped", "")),
        ],
        &[
            ("storm", storm),
            ("closed", closed),
            ("few", few),
            ("forker", forker),
            ("brief", brief),
            ("forgotten", forgotten),
            ("unheard", unheard),
            ("unseen", unseen),
            ("mapped", mapped),
            ("descriptors", inherited_descriptors),
        ],
    );
}

/// Runs a caller that must print nothing and leave nothing behind.
fn quiet_caller(name: &str, variant: &str) {
    rootfs();
    let dir = tempfile::Builder::new().prefix("berth-test-").tempdir().unwrap();
    let root = dir.path().join("state");
    let id = unique(name);
    let text = runner::run(&mut runner::caller(name, &[root.to_str().unwrap(), &id, variant]));
    assert_eq!(text, "", "a caller has printed");
    leftovers::no_orphan_stays();
    leftovers::nothing_stays(&id, &root);
}

fn runtime(args: &[String]) -> Runtime {
    let settings = Settings {
        root: args[0].as_str().into(),
        setup_timeout: std::time::Duration::from_secs(30),
        ..Settings::default()
    };
    Runtime::new(settings).unwrap()
}

fn config(script: &str) -> Config {
    Config::from_json(&shell(script).to_string(), Some(rootfs())).unwrap()
}

fn exec(container: &Container, script: &str, options: &ProcessOptions) -> berth::Result<berth::Process> {
    let process =
        json!({ "cwd": "/", "args": ["sh", "-c", script], "env": ["PATH=/bin"], "user": { "uid": 0, "gid": 0 } });
    container.exec(&serde_json::from_value(process).unwrap(), options)
}

/// Returns whether the kernel still reports the exit status after somebody else has reaped the process (Linux 6.15,
/// PIDFD_GET_INFO).
fn kernel_remembers() -> bool {
    let release = nix::sys::utsname::uname().unwrap().release().to_string_lossy().into_owned();
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|number| number.parse::<u32>().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) >= (6, 15)
}

fn check_status(status: berth::Result<ExitStatus>, expected: ExitStatus) {
    match status {
        Ok(status) => assert_eq!(status, expected),
        Err(error) => assert!(error.code == Code::StatusUnknown && !kernel_remembers(), "{error}"),
    }
}

/// Runs a container from create to delete, with one exec.
fn life_cycle(runtime: &Runtime, id: &str) {
    let container = Container::create(runtime, id, &config("read x; exit 7"), &piped_in()).unwrap();
    container.start().unwrap();
    check_status(exec(&container, "exit 9", &quiet()).unwrap().wait(LONG), ExitStatus::Exited(9));
    drop(container.init_process().unwrap().take_stdio());
    check_status(container.wait(LONG), ExitStatus::Exited(7));
    container.delete(Force::No).unwrap();
}

fn piped_in() -> ProcessOptions {
    ProcessOptions { stdio: [Stdio::Pipe, Stdio::Null, Stdio::Null], ..ProcessOptions::default() }
}

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

/// Forks a child that executes this program as the caller "descriptors", which checks what it inherited.
fn fork_and_look(program: &std::ffi::CString) -> i32 {
    let argv = [program.as_ptr(), c"--caller".as_ptr(), c"descriptors".as_ptr(), std::ptr::null()];
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
fn inherited_descriptors(_: &[String]) {
    let found = descriptors();
    let more: Vec<_> = found.iter().filter(|(fd, _)| **fd > 2).collect();
    std::process::exit(if more.is_empty() { 11 } else { 12 });
}

fn storm(args: &[String]) {
    own_mount_namespace();
    // Descriptors that this process inherited, and handlers that glibc installs for the first thread, would spoil the
    // comparison.
    // SAFETY: nothing has a descriptor yet.
    unsafe { libc::close_range(3, u32::MAX, 0) };
    std::thread::spawn(|| {}).join().unwrap();
    let runtime = runtime(args);
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
    let program =
        std::ffi::CString::new(std::env::current_exe().unwrap().into_os_string().into_encoded_bytes()).unwrap();
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
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while own.iter().any(|pid| taken(pid).is_none()) {
        assert!(std::time::Instant::now() < deadline, "a child's status is missing");
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
        assert!(std::time::Instant::now() < deadline, "{:?}", leftovers::children());
    }
    let mut after = myself();
    // The kernel may list a joined thread a moment longer.
    while after.threads != before.threads && std::time::Instant::now() < deadline {
        after = myself();
    }
    assert_same(&after, &before);
}

/// With descriptors 0, 1 and 2 closed, the library's own descriptors get these numbers.
fn closed(args: &[String]) {
    let errors = std::fs::File::from(nix::unistd::dup(std::io::stderr()).unwrap());
    let hook_errors = errors.try_clone().unwrap();
    std::panic::set_hook(Box::new(move |info| {
        use std::io::Write;
        let _ = writeln!(&hook_errors, "{info}");
    }));
    (0..3).for_each(|fd| {
        // SAFETY: this process uses the standard streams no more.
        unsafe { libc::close(fd) };
    });
    let runtime = runtime(args);
    for round in 0..3 {
        let container = Container::run(
            &runtime,
            &format!("{}-{round}", args[1]),
            &config("echo out; echo err >&2; sleep 1000"),
            &piped(),
        )
        .unwrap();
        assert_eq!(container.status().unwrap(), Status::Running);
        let process = exec(&container, "ls /proc/self/fd; cat", &piped()).unwrap();
        assert_eq!(read_all(&process).split_whitespace().collect::<Vec<_>>(), ["0", "1", "2", "3"]);
        check_status(process.wait(LONG), ExitStatus::Exited(0));
        let refused =
            exec(&container, "true", &ProcessOptions { stdio: [Stdio::Fd(999), Stdio::Null, Stdio::Null], ..quiet() });
        assert_eq!(refused.unwrap_err().code, Code::InvalidArgument);
        container.signal(libc::SIGKILL, berth::Recipients::Init).unwrap();
        assert_eq!(read_all(&container.init_process().unwrap()), "out\nerr\n");
        container.wait(LONG).unwrap();
        container.delete(Force::No).unwrap();
    }
    drop(errors);
}

/// Makes every call with 0 to 39 free descriptors: it succeeds, or it fails and leaves nothing behind.
fn few(args: &[String]) {
    own_mount_namespace();
    let runtime = runtime(args);
    life_cycle(&runtime, &format!("{}-first", args[1]));
    let before = myself();
    let highest = *before.descriptors.keys().last().unwrap() as u64;
    for fd in 0..=highest {
        // Fill the unused numbers below the highest descriptor.
        if !before.descriptors.contains_key(&(fd as i32)) {
            // SAFETY: the number is free, so nobody's descriptor is closed.
            unsafe { libc::dup2(2, fd as i32) };
        }
    }
    let full = descriptors();
    let limit = |free: u64| {
        let limit = libc::rlimit { rlim_cur: highest + 1 + free, rlim_max: 4096 };
        // SAFETY: `limit` is the struct that the call reads.
        assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) }, 0);
    };
    let with = |free: u64, act: &mut dyn FnMut() -> berth::Result<()>| {
        limit(free);
        let result = act();
        limit(1000);
        if let Err(error) = &result {
            assert!([Some(nix::errno::Errno::EMFILE), None].contains(&error.errno), "{free} free: {error}");
            assert!(error.message.contains("too many open files") || error.code == Code::Hook, "{free} free: {error}");
            assert!(!error.detail.contains_key("cleanup"), "{free} free: {error} {:?}", error.detail);
        }
        result.is_ok()
    };
    let mut good = 0;
    for free in 0..40 {
        let id = format!("{}-{free}", args[1]);
        let created = with(free, &mut || {
            let container = Container::create(&runtime, &id, &config("sleep 1000"), &quiet())?;
            drop(container);
            Ok(())
        });
        if !created {
            assert_eq!(runtime.load(&id).unwrap_err().code, Code::NotFound, "{free}");
            leftovers::nothing_stays(&id, runtime.root());
        }
        if !created {
            assert_eq!((descriptors(), leftovers::children()), (full.clone(), vec![]), "{free} free: create");
            continue;
        }
        // The library keeps one pidfd to reap init, even after the handle is dropped.
        assert_eq!(descriptors().len(), full.len() + 1, "{free} free: create");
        let container = runtime.load(&id).unwrap();
        let held = descriptors();
        let started = with(free, &mut || container.start());
        if !started {
            container.start().unwrap_or_else(|error| panic!("{free} free: start again: {error}"));
        }
        let executed = with(free, &mut || exec(&container, "exit 3", &quiet()).map(drop));
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
        while container.status().is_ok() && (leftovers::children().len() > 1 || descriptors().len() > held.len() + 1) {
            assert!(std::time::Instant::now() < deadline, "{free} free: exec: {:?}", descriptors());
        }
        let deleted = with(free, &mut || container.delete(Force::Kill));
        if !deleted {
            container.delete(Force::Kill).unwrap();
        }
        good += usize::from(started && executed && deleted);
        drop(container);
        assert_eq!((descriptors(), leftovers::children()), (full.clone(), vec![]), "{free} free: delete");
    }
    assert!(good > 5, "{good}");
}

/// Children that the caller forks without exec keep copies of the descriptors that the library has open at that moment.
fn forker(args: &[String]) {
    let runtime = runtime(args);
    let stop = Arc::new(AtomicBool::new(false));
    let (reader, writer) = nix::unistd::pipe().unwrap();
    let forking = std::thread::spawn({
        let (stop, end, other) = (stop.clone(), reader.as_raw_fd(), writer.as_raw_fd());
        move || {
            let mut children = Vec::new();
            while !stop.load(Ordering::SeqCst) {
                if children.len() == 400 {
                    std::thread::sleep(std::time::Duration::from_millis(1));
                    continue;
                }
                // SAFETY: the child waits until its parent closes the pipe.
                match unsafe { libc::fork() } {
                    // SAFETY: only what is safe after fork(2) is called, and the process ends there.
                    0 => unsafe {
                        libc::close(other);
                        libc::read(end, (&mut 0u8) as *mut u8 as *mut libc::c_void, 1);
                        libc::_exit(0)
                    },
                    pid => children.push(pid),
                }
            }
            children
        }
    });
    for round in 0..4 {
        let container =
            Container::run(&runtime, &format!("{}-{round}", args[1]), &config("sleep 1000"), &quiet()).unwrap();
        for _ in 0..12 {
            check_status(exec(&container, "exit 9", &quiet()).unwrap().wait(LONG), ExitStatus::Exited(9));
        }
        container.delete(Force::Kill).unwrap();
    }
    stop.store(true, Ordering::SeqCst);
    let children = forking.join().unwrap();
    drop(writer);
    assert!(!children.is_empty());
    for pid in children {
        // SAFETY: no status is asked for.
        assert_eq!(unsafe { libc::waitpid(pid, std::ptr::null_mut(), 0) }, pid);
    }
}

/// The exit of the thread that spawned init must not look to init like the exit of the caller.
fn brief(args: &[String]) {
    let runtime = runtime(args);
    for round in 0..60 {
        let (maker, id) = (runtime.clone(), format!("{}-{round}", args[1]));
        let container =
            std::thread::spawn(move || Container::create(&maker, &id, &config("exit 7"), &quiet()).unwrap())
                .join()
                .unwrap();
        assert_eq!(container.status().unwrap(), Status::Created, "round {round}");
        container.start().unwrap();
        check_status(container.wait(LONG), ExitStatus::Exited(7));
        container.delete(Force::No).unwrap();
    }
}

/// The library must reap executed processes whose handles were dropped: init cannot exit while a zombie is left in its
/// pid namespace.
fn forgotten(args: &[String]) {
    let runtime = runtime(args);
    for (round, how) in ["delete", "wait", "status"].iter().enumerate() {
        let container =
            Container::run(&runtime, &format!("{}-{round}", args[1]), &config("sleep 1000"), &quiet()).unwrap();
        drop(exec(&container, "sleep 1000", &quiet()).unwrap());
        drop(exec(&container, "exit 3", &quiet()).unwrap());
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
        if *how != "delete" {
            container.signal(libc::SIGKILL, berth::Recipients::Init).unwrap();
        }
        if *how == "wait" {
            let status = container.wait(LONG).unwrap();
            assert_eq!(status, ExitStatus::Signaled { signal: libc::SIGKILL, core_dumped: false });
        }
        while *how == "status" && container.status().unwrap() != Status::Stopped {
            assert!(std::time::Instant::now() < deadline);
        }
        container.delete(if *how == "delete" { Force::Kill } else { Force::No }).unwrap();
        drop(container);
        assert_eq!(leftovers::children(), Vec::<i32>::new(), "{how}");
        assert!(std::time::Instant::now() < deadline);
    }
    let container = Container::run(&runtime, &args[1], &config("sleep 1000"), &quiet()).unwrap();
    let status = exec(&container, "kill -40 $$", &quiet()).unwrap().wait(LONG).unwrap();
    assert_eq!(status, ExitStatus::Signaled { signal: 40, core_dumped: false });
    container.delete(Force::Kill).unwrap();
}

/// Each create checks only a few of the processes that wait to be reaped; after enough calls all are reaped.
fn unheard(args: &[String]) {
    let runtime = runtime(args);
    let ids: Vec<String> = (0..20).map(|round| format!("{}-{round}", args[1])).collect();
    for id in &ids {
        let container = Container::run(&runtime, id, &config("exit 0"), &quiet()).unwrap();
        let pidfd = container.pidfd().unwrap();
        drop(container);
        let mut polled = libc::pollfd { fd: pidfd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: `polled` is one entry.
        assert_eq!(unsafe { libc::poll(&mut polled, 1, 60_000) }, 1, "it ends");
    }
    for round in 0..ids.len() {
        life_cycle(&runtime, &format!("{}-later-{round}", args[1]));
    }
    assert_eq!(leftovers::children(), Vec::<i32>::new());
    for id in &ids {
        runtime.load(id).unwrap().delete(Force::No).unwrap();
    }
}

/// For id mappings the library needs a user namespace, which only a process can create.
fn mapped(args: &[String]) {
    own_mount_namespace();
    let runtime = runtime(args);
    life_cycle(&runtime, &format!("{}-first", args[1]));
    let before = myself();
    let map = |first: u32| serde_json::json!([{ "containerID": 0, "hostID": first, "size": 10 }]);
    let mut good = shell("true");
    push_mount(&mut good, serde_json::json!({ "destination": "/mnt", "type": "tmpfs" }));
    for first in [1000, 2000, 3000] {
        let mut mount = bind(&rootfs().join("bin"), &format!("/mnt/{first}"), &["bind", "idmap"]);
        (mount["uidMappings"], mount["gidMappings"]) = (map(first), map(first));
        push_mount(&mut good, mount);
    }
    let mut bad = good.clone();
    push_mount(&mut bad, serde_json::json!({ "destination": "/etc/passwd/x", "type": "tmpfs" }));
    for (number, config) in [&good, &bad, &good].into_iter().enumerate() {
        let config = Config::from_json(&config.to_string(), Some(rootfs())).unwrap();
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

/// The library's helper process exits during create: the caller gets no SIGCHLD for it and no zombie.
fn unseen(args: &[String]) {
    let mut ended = nix::sys::signal::SigSet::empty();
    ended.add(nix::sys::signal::SIGCHLD);
    ended.thread_block().unwrap();
    let runtime = runtime(args);
    for round in 0..16 {
        let id = format!("{}-{round}", args[1]);
        let container = Container::create(&runtime, &id, &config("sleep 1000"), &quiet()).unwrap();
        // SAFETY: `pending` is valid for writing, and waitpid takes no status.
        let (pending, waited) = unsafe {
            let mut pending = std::mem::zeroed();
            assert_eq!(libc::sigpending(&mut pending), 0);
            let told = libc::sigismember(&pending, libc::SIGCHLD) == 1;
            (told, libc::waitpid(-1, std::ptr::null_mut(), libc::WNOHANG | libc::__WCLONE))
        };
        assert!(!pending, "a signal of a child's end");
        assert_eq!((waited, nix::errno::Errno::last()), (-1, nix::errno::Errno::ECHILD), "a process to wait for");
        assert_eq!(leftovers::children(), [container.init_process().unwrap().pid()]);
        container.delete(Force::Kill).unwrap();
        // This SIGCHLD is init's.
        ended.wait().unwrap();
    }
}
