//! Callers whose descriptors are unusual: the standard streams are closed, few are left, forked children hold copies.

use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use berth::{Code, Container, ExitStatus, Force, ProcessOptions, Status, Stdio};

use crate::common::myself::{descriptors, myself, own_mount_namespace};
use crate::common::*;
use crate::support::{check_status, life_cycle};

/// With descriptors 0, 1 and 2 closed, the library's own descriptors get these numbers.
pub fn no_standard_streams(args: &[String]) {
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
    let runtime = runtime_of(args);
    for round in 0..3 {
        let container = Container::run(
            &runtime,
            &format!("{}-{round}", args[1]),
            &shell_config("echo out; echo err >&2; sleep 1000"),
            &piped(),
        )
        .unwrap();
        assert_eq!(container.status().unwrap(), Status::Running);
        let process = exec_script(&container, "ls /proc/self/fd; cat", &piped()).unwrap();
        assert_eq!(read_all(&process).split_whitespace().collect::<Vec<_>>(), ["0", "1", "2", "3"]);
        check_status(process.wait(LONG), ExitStatus::Exited(0));
        let refused = exec_script(
            &container,
            "true",
            &ProcessOptions { stdio: [Stdio::Fd(999), Stdio::Null, Stdio::Null], ..quiet() },
        );
        assert_eq!(refused.unwrap_err().code, Code::InvalidArgument);
        container.signal(libc::SIGKILL, berth::Recipients::Init).unwrap();
        assert_eq!(read_all(&container.init_process().unwrap()), "out\nerr\n");
        container.wait(LONG).unwrap();
        container.delete(Force::No).unwrap();
    }
    drop(errors);
}

/// Makes every call with 0 to 39 free descriptors: it succeeds, or it fails and leaves nothing behind.
pub fn few_descriptors(args: &[String]) {
    own_mount_namespace();
    let runtime = runtime_of(args);
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
            let container = Container::create(&runtime, &id, &shell_config("sleep 1000"), &quiet())?;
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
        let executed = with(free, &mut || exec_script(&container, "exit 3", &quiet()).map(drop));
        let deadline = Instant::now() + Duration::from_secs(60);
        while container.status().is_ok() && (leftovers::children().len() > 1 || descriptors().len() > held.len() + 1) {
            assert!(Instant::now() < deadline, "{free} free: exec: {:?}", descriptors());
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
pub fn forked_children(args: &[String]) {
    let runtime = runtime_of(args);
    let stop = Arc::new(AtomicBool::new(false));
    let (reader, writer) = nix::unistd::pipe().unwrap();
    let forking = std::thread::spawn({
        let (stop, end, other) = (stop.clone(), reader.as_raw_fd(), writer.as_raw_fd());
        move || {
            let mut children = Vec::new();
            while !stop.load(Ordering::SeqCst) {
                if children.len() == 400 {
                    std::thread::sleep(Duration::from_millis(1));
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
            Container::run(&runtime, &format!("{}-{round}", args[1]), &shell_config("sleep 1000"), &quiet()).unwrap();
        for _ in 0..12 {
            check_status(exec_script(&container, "exit 9", &quiet()).unwrap().wait(LONG), ExitStatus::Exited(9));
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
