//! Transitions of the status, ids, other handles and other processes.

mod common;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use berth::{Code, Container, ExitStatus, Force, Recipients, Runtime, Settings, Status};
use common::*;
use nix::errno::Errno;
use serde_json::{Value, json};

/// Returns the result of each operation on a container.
fn answers(container: &Container) -> [Option<Code>; 5] {
    let code = |result: berth::Result<()>| result.err().map(|error| error.code);
    let exec = || container.exec(&parsed(&shell_process("true")), &quiet()).map(|process| drop(process.wait(LONG)));
    [
        code(container.delete(Force::No)),
        code(container.resume()),
        code(exec()),
        code(container.signal(0, Recipients::Init)),
        code(container.start()),
    ]
}

#[test]
fn a_created_container_refuses_what_needs_another_state() {
    let test = TestRuntime::new();
    let container = test.create(&shell("sleep 1000"), &quiet()).unwrap();
    assert_eq!(answers(&container), [Some(Code::NotStopped), Some(Code::NotPaused), None, None, None]);
    assert_eq!(container.status().unwrap(), Status::Running);
}

#[test]
fn a_running_container_refuses_what_needs_another_state() {
    let test = TestRuntime::new();
    let container = test.run(&shell("sleep 1000"), &quiet()).unwrap();
    let expected = [Some(Code::NotStopped), Some(Code::NotPaused), None, None, Some(Code::AlreadyRunning)];
    assert_eq!(answers(&container), expected);
    assert_eq!(container.wait(0).unwrap_err().code, Code::Timeout);
}

#[test]
fn a_paused_container_refuses_what_needs_another_state() {
    let test = TestRuntime::new();
    let container = test.run(&shell("sleep 1000"), &quiet()).unwrap();
    container.pause().unwrap();
    assert_eq!(container.pause().unwrap_err().code, Code::Paused);
    assert_eq!(container.delete(Force::No).unwrap_err().code, Code::NotStopped);
    assert_eq!(container.start().unwrap_err().code, Code::Paused);
    container.resume().unwrap();
    assert_eq!(container.status().unwrap(), Status::Running);
}

#[test]
fn a_created_container_can_be_paused_and_then_started() {
    let test = TestRuntime::new();
    let container = test.create(&shell("exit 3"), &quiet()).unwrap();
    container.pause().unwrap();
    assert_eq!(container.status().unwrap(), Status::Paused);
    assert_eq!(container.start().unwrap_err().code, Code::Paused);
    container.resume().unwrap();
    assert_eq!(container.status().unwrap(), Status::Created);
    container.start().unwrap();
    assert_eq!(container.wait(LONG).unwrap(), ExitStatus::Exited(3));
}

#[test]
fn a_stopped_container_refuses_all_but_delete() {
    let test = TestRuntime::new();
    let container = test.run(&shell("true"), &quiet()).unwrap();
    container.wait(LONG).unwrap();
    assert_eq!(container.status().unwrap(), Status::Stopped);
    assert_eq!(container.pause().unwrap_err().code, Code::NotRunning);
    assert_eq!(container.resume().unwrap_err().code, Code::NotPaused);
    assert_eq!(container.start().unwrap_err().code, Code::NotRunning);
    assert_eq!(container.signal(9, Recipients::Init).unwrap_err().code, Code::NotRunning);
    assert_eq!(
        container.exec(&parsed(&shell_process("true")), &quiet()).map(|_| ()).unwrap_err().code,
        Code::NotRunning
    );
    assert!(container.pids().unwrap().is_empty());
    container.delete(Force::No).unwrap();
}

/// The freezer interrupts the system call with which init waits, and the kernel repeats it afterwards. Then it is refused.
#[test]
fn a_start_says_why_init_could_not_open_the_fifo() {
    let test = TestRuntime::new();
    let mut config = shell("true");
    with_user_namespace(&mut config);
    let container = test.create(&config, &quiet()).unwrap();
    let fifo = test.runtime.root().join(container.id()).join("exec.fifo");
    container.pause().unwrap();
    fs::set_permissions(fifo, Permissions::from_mode(0o600)).unwrap();
    container.resume().unwrap();
    assert_eq!(container.wait(LONG).unwrap(), ExitStatus::Exited(libc::EACCES));
    let error = container.start().unwrap_err();
    assert_eq!((error.code, error.errno), (Code::NotRunning, Some(Errno::EACCES)));
    assert!(error.message.contains("openat of exec.fifo: permission denied"), "{error}");
    container.delete(Force::No).unwrap();
    // The status of a program is none of init's.
    let container = test.run(&shell("exit 13"), &quiet()).unwrap();
    container.wait(LONG).unwrap();
    assert_eq!(container.start().unwrap_err().errno, None);
}

/// A creator that was killed releases the lock before its process has disappeared.
#[test]
fn a_container_whose_creator_is_exiting_can_be_deleted() {
    let test = TestRuntime::new();
    let container = test.create(&shell("sleep 1000"), &quiet()).unwrap();
    let path = test.runtime.root().join(container.id()).join("state.json");
    let mut record: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    record["phase"] = json!("creating");
    fs::write(&path, record.to_string()).unwrap();
    // The record's owner is this process, which holds no lock.
    assert_eq!(container.status().unwrap(), Status::Creating);
    container.delete(Force::No).unwrap();
    assert!(test.runtime.ids().unwrap().is_empty());
}

#[test]
fn a_deleted_container_is_not_found() {
    let test = TestRuntime::new();
    let container = test.run(&shell("true"), &quiet()).unwrap();
    container.wait(LONG).unwrap();
    let id = container.id().to_owned();
    container.delete(Force::No).unwrap();
    let code = |result: berth::Result<()>| result.unwrap_err().code;
    for (verb, result) in [
        ("delete", container.delete(Force::No)),
        ("force", container.delete(Force::Kill)),
        ("start", container.start()),
        ("pause", container.pause()),
        ("resume", container.resume()),
        ("status", container.status().map(drop)),
        ("state", container.state_json().map(drop)),
        ("config", container.config_json().map(drop)),
        ("pids", container.pids().map(drop)),
        ("stats", container.stats().map(drop)),
        ("load", test.runtime.load(&id).map(drop)),
    ] {
        assert_eq!(code(result), Code::NotFound, "{verb}");
    }
    assert_eq!(container.wait(0).unwrap(), ExitStatus::Exited(0), "the handle knows how it ended");
}

#[test]
fn an_id_in_use_is_refused_and_free_again_after_delete() {
    let test = TestRuntime::new();
    let id = unique("id");
    let create = || Container::create(&test.runtime, &id, &test.config(&shell("sleep 1000")), &quiet());
    let first = create().unwrap();
    assert_eq!(create().unwrap_err().code, Code::IdInUse);
    assert_eq!(first.status().unwrap(), Status::Created, "the first is untouched");
    first.delete(Force::Kill).unwrap();
    create().unwrap().delete(Force::Kill).unwrap();
}

#[test]
fn ids_that_cannot_be_names_are_refused() {
    let test = TestRuntime::new();
    let config = test.config(&shell("true"));
    for id in ["", ".", "..", "a/b", "../../x", "-a", "a b", "a\nb", &"x".repeat(300)] {
        assert_eq!(
            Container::create(&test.runtime, id, &config, &quiet()).unwrap_err().code,
            Code::IdInvalid,
            "{id:?}"
        );
        assert_eq!(test.runtime.load(id).unwrap_err().code, Code::IdInvalid, "{id:?}");
    }
    assert_eq!(test.runtime.load("nothing").unwrap_err().code, Code::NotFound);
    assert!(test.runtime.ids().unwrap().is_empty());
}

#[test]
fn containers_are_listed_and_loaded_by_another_runtime() {
    let test = TestRuntime::new();
    let first = test.create(&shell("true"), &quiet()).unwrap();
    let second = test.run(&shell("sleep 1000"), &quiet()).unwrap();
    let settings = Settings { root: test.runtime.root().to_owned(), ..Settings::default() };
    let other = Runtime::new(settings).unwrap();
    let mut ids = vec![first.id().to_owned(), second.id().to_owned()];
    ids.sort();
    assert_eq!(other.ids().unwrap(), ids);
    assert_eq!(other.list().unwrap().iter().map(|container| container.id().to_owned()).collect::<Vec<_>>(), ids);
    let loaded = other.load(second.id()).unwrap();
    assert_eq!(loaded.init_process().unwrap().pid(), second.init_process().unwrap().pid());
    loaded.signal(libc::SIGKILL, Recipients::Init).unwrap();
    let killed = ExitStatus::Signaled { signal: libc::SIGKILL, core_dumped: false };
    assert_eq!(loaded.wait(LONG).unwrap(), killed);
    loaded.delete(Force::No).unwrap();
    assert_eq!(second.status().unwrap_err().code, Code::NotFound);
    other.load(first.id()).unwrap().start().unwrap();
    assert_eq!(first.wait(LONG).unwrap(), ExitStatus::Exited(0));
}

/// Runs one of the tests below in another process, which gets the container's id from its environment.
fn in_another_process(test: &str, container: &Container, runtime: &Runtime) -> String {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--ignored", "--nocapture"])
        .env("TEST_ROOT", runtime.root())
        .env("TEST_ID", container.id())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text} {}", String::from_utf8_lossy(&output.stderr));
    text
}

fn given() -> Container {
    let root = std::env::var_os("TEST_ROOT").expect("run by in_another_process").into();
    let runtime = Runtime::new(Settings { root, ..Settings::default() }).unwrap();
    runtime.load(&std::env::var("TEST_ID").unwrap()).unwrap()
}

#[test]
#[ignore = "run by another test, as another process"]
fn other_process_uses_a_running_container() {
    let container = given();
    assert_eq!(container.status().unwrap(), Status::Running);
    assert_eq!(exec_shell(&container, "echo from outside"), "from outside\n");
    container.pause().unwrap();
    assert_eq!(container.status().unwrap(), Status::Paused);
    assert_eq!(container.wait(0).unwrap_err().code, Code::Timeout);
}

#[test]
fn another_process_uses_a_running_container() {
    let test = TestRuntime::new();
    let container = test.run(&shell("sleep 1000"), &quiet()).unwrap();
    in_another_process("other_process_uses_a_running_container", &container, &test.runtime);
    assert_eq!(container.status().unwrap(), Status::Paused);
    container.resume().unwrap();
}

#[test]
#[ignore = "run by another test, as another process"]
fn other_process_starts() {
    let container = given();
    assert_eq!(container.status().unwrap(), Status::Created);
    match container.start() {
        Ok(()) => println!("started"),
        Err(error) => println!("refused: {error}"),
    }
}

#[test]
fn another_process_starts_and_learns_of_failure() {
    let test = TestRuntime::new();
    let container = test.create(&shell("exit 4"), &quiet()).unwrap();
    let text = in_another_process("other_process_starts", &container, &test.runtime);
    assert!(text.contains("started"), "{text}");
    assert_eq!(container.wait(LONG).unwrap(), ExitStatus::Exited(4));

    let mut config = shell("");
    config["process"]["args"] = json!(["/bin/nothing-here"]);
    let container = test.create(&config, &quiet()).unwrap();
    let text = in_another_process("other_process_starts", &container, &test.runtime);
    assert!(text.contains("executing \"/bin/nothing-here\": no such file"), "{text}");
    assert_eq!(container.status().unwrap(), Status::Stopped);
}

#[test]
#[ignore = "run by another test, as another process"]
fn other_process_waits_and_deletes() {
    let container = given();
    match container.wait(LONG) {
        Ok(status) => assert_eq!(status, ExitStatus::Exited(6)),
        Err(error) => assert_eq!(error.code, Code::StatusUnknown, "{error}"),
    }
    eventually("the end", || container.status().unwrap() == Status::Stopped);
    container.delete(Force::No).unwrap();
}

#[test]
fn another_process_waits_and_deletes() {
    let test = TestRuntime::new();
    let container = test.run(&shell("sleep 0.3; exit 6"), &quiet()).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| assert_eq!(container.wait(LONG).unwrap(), ExitStatus::Exited(6)));
        in_another_process("other_process_waits_and_deletes", &container, &test.runtime);
    });
    assert!(test.runtime.ids().unwrap().is_empty());
}

#[test]
fn the_state_has_all_its_fields() {
    let test = TestRuntime::new();
    let config = shell("sleep 1000");
    let container = test.create(&config, &piped()).unwrap();
    let read = || -> Value { serde_json::from_str(&container.state_json().unwrap()).unwrap() };
    let state = read();
    let pid = container.init_process().unwrap().pid();
    assert_eq!(state["ociVersion"], config["ociVersion"]);
    assert_eq!(state["id"], container.id());
    assert_eq!(state["status"], "created");
    assert_eq!(state["pid"], pid);
    assert!(state["bundle"].is_string());
    assert_eq!(state["rootfs"], json!(rootfs().canonicalize().unwrap()));
    let created = state["created"].as_str().unwrap();
    assert!(created.starts_with("20") && created.ends_with('Z'), "{created}");
    assert!(state["initProcessStartTime"].as_u64().unwrap() > 0);
    assert_eq!(state["namespacePaths"]["network"], format!("/proc/{pid}/ns/net"));
    for path in state["cgroupPaths"].as_object().unwrap().values() {
        assert!(std::path::Path::new(path.as_str().unwrap()).is_dir(), "{path}");
    }
    let descriptors: Vec<&str> =
        state["externalDescriptors"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
    assert!(descriptors[0] == "/dev/null" && descriptors[1].starts_with("pipe:["), "{descriptors:?}");
    for (act, status) in [
        (Container::start as fn(&Container) -> _, "running"),
        (Container::pause, "paused"),
        (Container::resume, "running"),
    ] {
        act(&container).unwrap();
        assert_eq!(read()["status"], status);
    }
    container.signal(libc::SIGKILL, Recipients::All).unwrap();
    container.wait(LONG).unwrap();
    assert_eq!((&read()["status"], &read()["pid"]), (&json!("stopped"), &json!(0)));
}

#[test]
fn the_configuration_is_given_back_as_it_was() {
    let test = TestRuntime::new();
    let text = serde_json::to_string_pretty(&shell("true")).unwrap() + "\n\n";
    let config = berth::spec::Config::from_json(&text, Some(rootfs())).unwrap();
    let container = Container::create(&test.runtime, &unique("c"), &config, &quiet()).unwrap();
    assert_eq!(container.config_json().unwrap(), text);
    assert_eq!(test.runtime.load(container.id()).unwrap().config_json().unwrap(), text);
}

#[test]
fn exactly_one_of_concurrent_starts_succeeds() {
    let test = TestRuntime::new();
    for _ in 0..8 {
        let container = test.create(&shell("sleep 1000"), &quiet()).unwrap();
        let results: Vec<_> = std::thread::scope(|scope| {
            let starts: Vec<_> = (0..4)
                .map(|_| scope.spawn(|| test.runtime.load(container.id()).unwrap().start().map_err(|error| error.code)))
                .collect();
            starts.into_iter().map(|start| start.join().unwrap()).collect()
        });
        assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1, "{results:?}");
        assert!(results.iter().all(|result| matches!(result, Ok(()) | Err(Code::AlreadyRunning))), "{results:?}");
        container.delete(Force::Kill).unwrap();
    }
}

#[test]
fn exactly_one_of_concurrent_creates_succeeds() {
    let test = TestRuntime::new();
    let id = unique("race");
    let results: Vec<_> = std::thread::scope(|scope| {
        let create = || Container::create(&test.runtime, &id, &test.config(&shell("sleep 1000")), &quiet());
        let creates: Vec<_> = (0..4).map(|_| scope.spawn(move || create().map_err(|error| error.code))).collect();
        creates.into_iter().map(|create| create.join().unwrap()).collect()
    });
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
    assert!(results.iter().all(|result| matches!(result, Ok(_) | Err(Code::IdInUse))));
    test.runtime.load(&id).unwrap().delete(Force::Kill).unwrap();
}

#[test]
fn exactly_one_of_concurrent_deletes_succeeds() {
    let test = TestRuntime::new();
    let container = test.run(&shell("sleep 1000"), &quiet()).unwrap();
    let results: Vec<_> = std::thread::scope(|scope| {
        let deletes: Vec<_> =
            (0..4).map(|_| scope.spawn(|| container.delete(Force::Kill).map_err(|error| error.code))).collect();
        deletes.into_iter().map(|delete| delete.join().unwrap()).collect()
    });
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1, "{results:?}");
    assert!(results.iter().all(|result| matches!(result, Ok(()) | Err(Code::NotFound))), "{results:?}");
}

#[test]
fn an_init_that_is_killed_from_outside_is_stopped() {
    let test = TestRuntime::new();
    for start in [false, true] {
        let container = test.create(&shell("sleep 1000"), &quiet()).unwrap();
        if start {
            container.start().unwrap();
        }
        let pid = nix::unistd::Pid::from_raw(container.init_process().unwrap().pid());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).unwrap();
        eventually("the end", || container.status().unwrap() == Status::Stopped);
        let killed = ExitStatus::Signaled { signal: libc::SIGKILL, core_dumped: false };
        assert_eq!(container.wait(LONG).unwrap(), killed);
        assert!(container.start().is_err());
        container.delete(Force::No).unwrap();
    }
}

#[test]
fn a_wait_with_a_timeout_ends_in_time_and_may_be_repeated() {
    let test = TestRuntime::new();
    let container = test.run(&shell("sleep 1000"), &quiet()).unwrap();
    let begin = std::time::Instant::now();
    assert_eq!(container.wait(100).unwrap_err().code, Code::Timeout);
    assert!(begin.elapsed().as_millis() >= 100);
    std::thread::scope(|scope| {
        let waits: Vec<_> = (0..4).map(|_| scope.spawn(|| container.wait(-1).unwrap())).collect();
        container.signal(libc::SIGKILL, Recipients::Init).unwrap();
        for wait in waits {
            assert!(matches!(wait.join().unwrap(), ExitStatus::Signaled { signal: 9, .. }));
        }
    });
}

#[test]
fn the_pidfd_polls_readable_at_the_end() {
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    let test = TestRuntime::new();
    let container = test.create(&shell("exit 8"), &quiet()).unwrap();
    let pidfd = container.pidfd().unwrap();
    let mut fds = [PollFd::new(std::os::fd::AsFd::as_fd(&pidfd), PollFlags::POLLIN)];
    assert_eq!(poll(&mut fds, PollTimeout::ZERO).unwrap(), 0);
    container.start().unwrap();
    assert_eq!(poll(&mut fds, PollTimeout::from(60_000u16)).unwrap(), 1);
    assert_eq!(container.wait(0).unwrap(), ExitStatus::Exited(8));
}

#[test]
fn a_cgroup_has_one_container() {
    let test = TestRuntime::new();
    let mut config = shell("sleep 1000");
    config["linux"]["cgroupsPath"] = json!(format!("/berth-{}", unique("shared")));
    let first = test.run(&config, &quiet()).unwrap();
    let refused = |what: &str| {
        let error = test.create(&config, &quiet()).unwrap_err();
        assert!(error.message.contains("exists already"), "{what}: {error}");
    };
    refused("running");
    first.signal(libc::SIGKILL, berth::Recipients::Init).unwrap();
    first.wait(LONG).unwrap();
    refused("stopped");
    // The failed creates did not remove the first container's cgroup.
    assert_eq!(first.pids().unwrap(), Vec::<i32>::new());
    first.delete(Force::No).unwrap();
    test.run(&config, &quiet()).unwrap().delete(Force::Kill).unwrap();
}
