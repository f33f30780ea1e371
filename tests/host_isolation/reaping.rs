//! The processes that the library starts are reaped by it, whichever thread or handle is gone.

use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use berth::{Container, ExitStatus, Force, Status};

use crate::common::*;
use crate::support::{check_status, life_cycle};

/// The exit of the thread that spawned init must not look to init like the exit of the caller.
pub fn short_thread(args: &[String]) {
    let runtime = runtime_of(args);
    for round in 0..60 {
        let (maker, id) = (runtime.clone(), format!("{}-{round}", args[1]));
        let container =
            std::thread::spawn(move || Container::create(&maker, &id, &shell_config("exit 7"), &quiet()).unwrap())
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
pub fn dropped_handles(args: &[String]) {
    let runtime = runtime_of(args);
    for (round, how) in ["delete", "wait", "status"].iter().enumerate() {
        let container =
            Container::run(&runtime, &format!("{}-{round}", args[1]), &shell_config("sleep 1000"), &quiet()).unwrap();
        drop(exec_script(&container, "sleep 1000", &quiet()).unwrap());
        drop(exec_script(&container, "exit 3", &quiet()).unwrap());
        let deadline = Instant::now() + Duration::from_secs(60);
        if *how != "delete" {
            container.signal(libc::SIGKILL, berth::Recipients::Init).unwrap();
        }
        if *how == "wait" {
            let status = container.wait(LONG).unwrap();
            assert_eq!(status, ExitStatus::Signaled { signal: libc::SIGKILL, core_dumped: false });
        }
        while *how == "status" && container.status().unwrap() != Status::Stopped {
            assert!(Instant::now() < deadline);
        }
        container.delete(if *how == "delete" { Force::Kill } else { Force::No }).unwrap();
        drop(container);
        assert_eq!(leftovers::children(), Vec::<i32>::new(), "{how}");
        assert!(Instant::now() < deadline);
    }
    let container = Container::run(&runtime, &args[1], &shell_config("sleep 1000"), &quiet()).unwrap();
    let status = exec_script(&container, "kill -40 $$", &quiet()).unwrap().wait(LONG).unwrap();
    assert_eq!(status, ExitStatus::Signaled { signal: 40, core_dumped: false });
    container.delete(Force::Kill).unwrap();
}

/// Each create checks only a few of the processes that wait to be reaped; after enough calls all are reaped.
pub fn unwaited_containers(args: &[String]) {
    let runtime = runtime_of(args);
    let ids: Vec<String> = (0..20).map(|round| format!("{}-{round}", args[1])).collect();
    for id in &ids {
        let container = Container::run(&runtime, id, &shell_config("exit 0"), &quiet()).unwrap();
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

/// The library's helper process exits during create: the caller gets no SIGCHLD for it and no zombie.
pub fn network_helper(args: &[String]) {
    let mut ended = nix::sys::signal::SigSet::empty();
    ended.add(nix::sys::signal::SIGCHLD);
    ended.thread_block().unwrap();
    let runtime = runtime_of(args);
    for round in 0..16 {
        let id = format!("{}-{round}", args[1]);
        let container = Container::create(&runtime, &id, &shell_config("sleep 1000"), &quiet()).unwrap();
        // SAFETY: `pending` is valid for writing, and waitpid takes no status.
        let (pending, waited) = unsafe {
            let mut pending = std::mem::zeroed();
            assert_eq!(libc::sigpending(&mut pending), 0);
            let is_pending = libc::sigismember(&pending, libc::SIGCHLD) == 1;
            (is_pending, libc::waitpid(-1, std::ptr::null_mut(), libc::WNOHANG | libc::__WCLONE))
        };
        assert!(!pending, "a signal of a child's end");
        assert_eq!((waited, nix::errno::Errno::last()), (-1, nix::errno::Errno::ECHILD), "a process to wait for");
        assert_eq!(leftovers::children(), [container.init_process().unwrap().pid()]);
        container.delete(Force::Kill).unwrap();
        // This SIGCHLD is init's.
        ended.wait().unwrap();
    }
}
