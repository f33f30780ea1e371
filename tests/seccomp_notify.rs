//! Filters with SCMP_ACT_NOTIFY: the supervisor receives the listener and the container process state, for create and
//! for exec.

mod common;

use std::io::{IoSliceMut, Read};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::thread::JoinHandle;
use std::time::Duration;

use berth::{Code, Container, ExitStatus, Force, Runtime, Settings, Stage};
use common::*;
use nix::errno::Errno;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};
use serde_json::{Value, json};

/// Adds a rule: the supervisor at `socket` decides the system calls `names`.
fn asks(config: &mut Value, names: &[&str], socket: &std::path::Path) {
    config["linux"]["seccomp"] = json!({
        "defaultAction": "SCMP_ACT_ALLOW",
        "listenerPath": socket,
        "listenerMetadata": "for the supervisor",
        "syscalls": [{ "names": names, "action": "SCMP_ACT_NOTIFY" }],
    });
}

struct Supervisor {
    path: PathBuf,
    listener: UnixListener,
}

/// struct seccomp_notif of linux/seccomp.h.
#[repr(C)]
#[derive(Default)]
struct Asked {
    id: u64,
    pid: u32,
    flags: u32,
    number: i32,
    architecture: u32,
    instruction: u64,
    args: [u64; 6],
}

#[repr(C)]
struct Answer {
    id: u64,
    value: i64,
    error: i32,
    flags: u32,
}

impl Supervisor {
    fn new(test: &TestRuntime) -> Supervisor {
        let path = test.path(&unique("agent"));
        Supervisor { listener: UnixListener::bind(&path).unwrap(), path }
    }

    /// Accepts one connection, and returns everything sent over it and the descriptors of the first message.
    fn accept(&self) -> (Value, Vec<OwnedFd>) {
        let (mut stream, _) = self.listener.accept().unwrap();
        let mut bytes = vec![0u8; 1 << 16];
        let (count, fds) = receive(&stream, &mut bytes);
        bytes.truncate(count);
        stream.read_to_end(&mut bytes).unwrap();
        (serde_json::from_slice(&bytes).unwrap(), fds)
    }

    /// Accepts one connection, and answers every notification with this errno (0: continue the call) until no process
    /// has the filter any more. Returns the numbers of the system calls.
    fn answers(self, errno: i32) -> JoinHandle<(Value, Vec<i32>)> {
        std::thread::spawn(move || {
            let (state, fds) = self.accept();
            assert_eq!(fds.len(), 1);
            let mut asked = Vec::new();
            while let Some(question) = next(&fds[0]) {
                asked.push(question.number);
                let answer = Answer { id: question.id, value: 0, error: -errno, flags: u32::from(errno == 0) };
                // SAFETY: SECCOMP_IOCTL_NOTIF_SEND with a struct seccomp_notif_resp.
                unsafe { libc::ioctl(fds[0].as_raw_fd(), 0xc018_2101, &answer) };
            }
            (state, asked)
        })
    }
}

fn receive(stream: &UnixStream, bytes: &mut [u8]) -> (usize, Vec<OwnedFd>) {
    let mut control = nix::cmsg_space!([RawFd; 8]);
    let mut parts = [IoSliceMut::new(bytes)];
    let got = recvmsg::<()>(stream.as_raw_fd(), &mut parts, Some(&mut control), MsgFlags::MSG_CMSG_CLOEXEC).unwrap();
    let fds = got.cmsgs().unwrap().flat_map(|message| match message {
        ControlMessageOwned::ScmRights(fds) => fds,
        _ => Vec::new(),
    });
    // SAFETY: the descriptor was received just now, and nobody else has it.
    let fds = fds.map(|fd| unsafe { OwnedFd::from_raw_fd(fd) }).collect();
    (got.bytes, fds)
}

/// Returns the next notification; None if no process has the filter any more.
fn next(listener: &OwnedFd) -> Option<Asked> {
    loop {
        let mut poll = libc::pollfd { fd: listener.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: one pollfd.
        assert!(unsafe { libc::poll(&mut poll, 1, LONG as i32) } > 0, "no question and no end");
        if poll.revents & libc::POLLIN == 0 {
            return None;
        }
        let mut asked = Asked::default();
        // SAFETY: SECCOMP_IOCTL_NOTIF_RECV with a zeroed struct seccomp_notif.
        match unsafe { libc::ioctl(listener.as_raw_fd(), 0xc050_2100, &mut asked) } {
            0 => return Some(asked),
            _ => assert!(matches!(Errno::last(), Errno::ENOENT | Errno::EINTR), "{}", Errno::last()),
        }
    }
}

#[test]
fn the_supervisor_decides_and_gets_the_container_state() {
    let test = TestRuntime::new();
    for (no_new_privileges, uid, user_namespace) in
        [(true, 0, false), (false, 0, false), (true, 1000, false), (false, 1000, false), (true, 0, true)]
    {
        let supervisor = Supervisor::new(&test);
        let mut config = shell("mkdir /dev/shm/x; echo $?; echo $(grep -E '^(Seccomp:|CapEff)' /proc/self/status)");
        config["process"]["noNewPrivileges"] = json!(no_new_privileges);
        config["process"]["user"] = json!({ "uid": uid, "gid": uid });
        config["annotations"] = json!({ "who": "me" });
        if user_namespace {
            with_user_namespace(&mut config);
        }
        asks(&mut config, &["mkdir"], &supervisor.path);
        let answers = supervisor.answers(libc::ENOTUNIQ);
        let id = unique("notify");
        let container = Container::create(&test.runtime, &id, &test.config(&config), &piped()).unwrap();
        let pid = container.init_process().unwrap().pid();
        container.start().unwrap();
        let text = read_all(&container.init_process().unwrap());
        assert!(text.contains("Name not unique on network"), "{text}");
        let capabilities = if uid == 0 { "0000000020000420" } else { "0000000000000000" };
        assert!(text.contains(&format!("1\nCapEff: {capabilities} Seccomp: 2\n")), "{text}");
        container.wait(LONG).unwrap();
        container.delete(Force::No).unwrap();
        let (state, asked) = answers.join().unwrap();
        assert_eq!(asked, [libc::SYS_mkdir as i32]);
        let expected = json!({
            "ociVersion": config["ociVersion"],
            "fds": ["seccompFd"],
            "pid": pid,
            "metadata": "for the supervisor",
            "state": {
                "ociVersion": config["ociVersion"],
                "id": id,
                "status": "creating",
                "pid": pid,
                "bundle": rootfs(),
                "annotations": { "who": "me" },
            },
        });
        assert_eq!(state, expected);
    }
}

#[test]
fn executed_processes_have_a_connection_of_their_own() {
    let test = TestRuntime::new();
    let supervisor = Supervisor::new(&test);
    let mut config = shell("exec sleep 1000");
    asks(&mut config, &["mkdir"], &supervisor.path);
    let first = std::thread::spawn(move || {
        let first = supervisor.accept();
        (supervisor, first)
    });
    let container = test.run(&config, &quiet()).unwrap();
    let (supervisor, (state, _listener)) = first.join().unwrap();
    let init = container.init_process().unwrap().pid();
    assert_eq!(state["pid"], init);
    let answers = supervisor.answers(0);
    let process = container.exec(&parsed(&shell_process("mkdir /dev/shm/y && echo made")), &piped()).unwrap();
    assert_eq!(read_all(&process), "made\n");
    assert_eq!(process.wait(LONG).unwrap(), ExitStatus::Exited(0));
    let (state, asked) = answers.join().unwrap();
    assert_eq!((&state["pid"], &state["state"]["pid"]), (&json!(process.pid()), &json!(init)));
    assert_eq!(state["state"]["status"], "running");
    assert_eq!(asked, [libc::SYS_mkdir as i32]);
}

/// System calls of init between loading the filter and execve(2) wait for the supervisor too, which has the listener by
/// then.
#[test]
fn the_supervisor_may_decide_also_what_init_calls() {
    let test = TestRuntime::new();
    for no_new_privileges in [true, false] {
        let supervisor = Supervisor::new(&test);
        let mut config = shell("exit 4");
        config["process"]["noNewPrivileges"] = json!(no_new_privileges);
        asks(&mut config, &["execve", "openat", "close", "prctl", "capset", "rt_sigaction", "write"], &supervisor.path);
        let answers = supervisor.answers(0);
        let (text, status) = test.output(&config);
        assert_eq!((text.as_str(), status), ("", ExitStatus::Exited(4)));
        let (_, asked) = answers.join().unwrap();
        assert!(asked.contains(&(libc::SYS_execve as i32)), "{asked:?}");
    }
}

/// init blocks signals during setup. It restores the program's mask before it loads the filter, which could refuse that
/// call.
#[test]
fn no_filter_leaves_signals_blocked() {
    let test = TestRuntime::new();
    let supervisor = Supervisor::new(&test);
    let mut config = shell("");
    config["process"]["args"] = json!(["grep", "-E", "Sig(Blk|Ign)", "/proc/self/status"]);
    asks(&mut config, &["mkdir"], &supervisor.path);
    let refused = json!({ "names": ["rt_sigprocmask"], "action": "SCMP_ACT_ERRNO" });
    config["linux"]["seccomp"]["syscalls"].as_array_mut().unwrap().push(refused);
    let answers = supervisor.answers(0);
    let (text, status) = test.output(&config);
    assert_eq!(
        (text.as_str(), status),
        ("SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n", ExitStatus::Exited(0))
    );
    answers.join().unwrap();
}

/// Creates a runtime with a setup timeout of one second.
fn impatient() -> TestRuntime {
    let mut test = TestRuntime::new();
    let root = test.dir.path().join("state");
    test.runtime =
        Runtime::new(Settings { root, setup_timeout: Duration::from_secs(1), ..Settings::default() }).unwrap();
    test
}

#[test]
fn a_supervisor_that_cannot_be_reached_is_an_error_and_nothing_stays() {
    let test = impatient();
    let gone = Supervisor::new(&test);
    let nobody = gone.path.clone();
    drop(gone);
    let file = test.path("a-file");
    std::fs::write(&file, "").unwrap();
    for (path, errno) in
        [(test.path("no/such/socket"), Errno::ENOENT), (nobody, Errno::ECONNREFUSED), (file, Errno::ECONNREFUSED)]
    {
        let mut config = shell("exit 0");
        asks(&mut config, &["mkdir"], &path);
        let error = test.run(&config, &quiet()).unwrap_err();
        assert_eq!((error.code, error.stage, error.errno), (Code::System, Stage::Host, Some(errno)), "{error}");
        assert!(error.message.contains(path.to_str().unwrap()) && error.message.contains("listenerPath"), "{error}");
        assert!(test.runtime.ids().unwrap().is_empty());
    }
}

#[test]
fn a_supervisor_that_does_not_accept_is_a_timeout() {
    let test = impatient();
    let supervisor = Supervisor::new(&test);
    // A full backlog: std sets a backlog of 128, and the kernel may accept one connection more.
    // SAFETY: a listening socket may get a shorter backlog.
    unsafe { libc::listen(supervisor.listener.as_raw_fd(), 0) };
    let _waiting = UnixStream::connect(&supervisor.path).unwrap();
    let mut config = shell("exit 0");
    asks(&mut config, &["mkdir"], &supervisor.path);
    let error = test.run(&config, &quiet()).unwrap_err();
    assert_eq!(error.code, Code::Timeout, "{error}");
    assert!(test.runtime.ids().unwrap().is_empty());
}

#[test]
fn a_long_state_arrives_whole_at_a_slow_supervisor() {
    let test = TestRuntime::new();
    let supervisor = Supervisor::new(&test);
    let mut config = shell("exit 0");
    let long = "x".repeat(2 << 20);
    config["annotations"] = json!({ "long": long });
    asks(&mut config, &["mkdir"], &supervisor.path);
    let answers = supervisor.answers(0);
    let (_, status) = test.output(&config);
    assert_eq!(status, ExitStatus::Exited(0));
    let (state, _) = answers.join().unwrap();
    assert_eq!(state["state"]["annotations"]["long"].as_str().map(str::len), Some(long.len()));
}

#[test]
fn an_exec_whose_supervisor_is_gone_runs_nothing() {
    let test = TestRuntime::new();
    let supervisor = Supervisor::new(&test);
    let mut config = shell("exec sleep 1000");
    asks(&mut config, &["mkdir"], &supervisor.path);
    let first = std::thread::spawn(move || supervisor.accept());
    let container = test.run(&config, &quiet()).unwrap();
    first.join().unwrap();
    let error = container.exec(&parsed(&shell_process("touch /dev/shm/ran")), &quiet()).unwrap_err();
    assert_eq!(error.errno, Some(Errno::ECONNREFUSED), "{error}");
    assert!(!proc_of(&container, "root/dev/shm/ran").exists());
    // System calls that wait for an answer of the closed listener fail with ENOSYS; the container keeps running.
    assert_eq!(container.status().unwrap(), berth::Status::Running);
}

#[test]
fn a_path_without_a_rule_that_asks_is_ignored() {
    let test = TestRuntime::new();
    let mut config = shell("exit 5");
    asks(&mut config, &["mkdir"], &test.path("nobody"));
    config["linux"]["seccomp"]["syscalls"][0]["action"] = json!("SCMP_ACT_LOG");
    assert_eq!(test.output(&config).1, ExitStatus::Exited(5));
    // The same if the rule names only a system call that this kernel does not know.
    asks(&mut config, &["call_of_2031"], &test.path("nobody"));
    assert_eq!(test.output(&config).1, ExitStatus::Exited(5));
}
