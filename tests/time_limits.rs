//! Who holds a call: locks of others, processes that are stopped, traced or wait for a filesystem that does not answer,
//! sockets that nobody reads. Each call ends at its deadline, and one forced delete removes what is left.
//!
//! docs/time-limits.md lists the calls, their deadlines, and the tests of the other causes.

mod common;

use std::fs::File;
use std::io::Write as _;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::{Duration, Instant};

use berth::spec::Config;
use berth::{Code, Container, Force, Manager, Recipients, Runtime, Settings};
use common::*;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use serde_json::json;

fn main() {
    runner::main(
        &[
            ("the_lock_of_a_container_that_another_process_holds", held_lock),
            ("the_lock_of_the_state_root_that_another_process_holds", held_root),
            ("an_init_that_is_stopped", || suspended_init("stop")),
            ("an_init_that_is_traced", || suspended_init("trace")),
            ("a_process_whose_directory_does_not_answer", || with_caller("silent-filesystem")),
            ("a_supervisor_that_accepts_and_does_not_read", deaf_supervisor),
            ("a_systemd_that_does_not_answer", || on_v2("silent-systemd")),
            ("a_systemd_that_sends_signals_without_end", || on_v2("talkative-systemd")),
        ],
        &[
            ("trace", trace),
            ("silent-filesystem", silent_filesystem),
            ("silent-systemd", |args| systemd(args, false)),
            ("talkative-systemd", |args| systemd(args, true)),
        ],
    );
}

/// The deadlines of these tests, and what is more than any of them on a slow machine.
const DEADLINE: Duration = Duration::from_millis(1500);
const LATE: Duration = Duration::from_secs(60);

fn with_caller(name: &str) {
    rootfs();
    print!("{}", runner::run(&mut runner::caller(name, &[])));
}

/// Runs a caller that sees only cgroup v2, as the systemd manager demands.
fn on_v2(name: &str) {
    rootfs();
    let mut command = std::process::Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("tools/v2view"));
    command.arg(std::env::current_exe().unwrap()).args(["--caller", name]);
    print!("{}", runner::run(&mut command));
}

fn impatient() -> TestRuntime {
    TestRuntime::with(set_deadlines)
}

fn set_deadlines(settings: &mut Settings) {
    settings.setup_timeout = DEADLINE;
    settings.lock_timeout = DEADLINE;
    settings.cgroup_timeout = DEADLINE;
}

/// Asserts that a call fails in time, and not before its deadline.
fn is_late<T>(what: &str, code: Code, call: impl FnOnce() -> berth::Result<T>) {
    let begin = Instant::now();
    let error = call().err().unwrap_or_else(|| panic!("{what} succeeds"));
    assert_eq!(error.code, code, "{what}: {error}");
    assert!(begin.elapsed() >= DEADLINE - Duration::from_millis(100), "{what} ends early: {error}");
    assert!(begin.elapsed() < LATE, "{what} takes {:?}", begin.elapsed());
}

fn flock(path: &Path) -> File {
    let file = File::open(path).unwrap();
    // SAFETY: no pointers.
    assert_eq!(unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX) }, 0);
    file
}

fn held_lock() {
    let test = impatient();
    let container = test.create(&shell("sleep 1000"), &quiet()).unwrap();
    let lock = flock(&test.runtime.root().join(container.id()));
    is_late("start", Code::Busy, || container.start());
    is_late("pause", Code::Busy, || container.pause());
    is_late("delete", Code::Busy, || container.delete(Force::Kill));
    drop(lock);
    container.start().unwrap();
    container.delete(Force::Kill).unwrap();
}

fn held_root() {
    let test = impatient();
    test.create(&shell("true"), &quiet()).unwrap().delete(Force::Kill).unwrap();
    let _lock = flock(test.runtime.root());
    is_late("create", Code::Busy, || test.create(&shell("true"), &quiet()));
}

/// Init, which waits for start, is stopped or traced by somebody on the host.
fn suspended_init(how: &str) {
    let test = impatient();
    let container = test.create(&shell("sleep 1000"), &quiet()).unwrap();
    let pid = container.init_process().unwrap().pid();
    let mut tracer = None;
    match how {
        "stop" => {
            // SAFETY: no pointers.
            assert_eq!(unsafe { libc::kill(pid, libc::SIGSTOP) }, 0);
            eventually("init is stopped", || state_of(pid) == 'T');
        }
        _ => {
            tracer = Some(runner::start(&mut runner::caller("trace", &[&pid.to_string()])));
            eventually("init is traced", || state_of(pid) == 't');
        }
    }
    is_late("start", Code::Timeout, || container.start());
    let begin = Instant::now();
    container.delete(Force::Kill).unwrap();
    assert!(begin.elapsed() < LATE);
    leftovers::nothing_stays(container.id(), test.runtime.root());
    drop(tracer);
}

fn state_of(pid: i32) -> char {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    stat.rsplit(") ").next().unwrap().chars().next().unwrap()
}

/// Traces a process and does nothing more. Killed by the test.
fn trace(args: &[String]) {
    let pid: libc::pid_t = args[0].parse().unwrap();
    // SAFETY: no pointers.
    unsafe {
        assert_eq!(libc::ptrace(libc::PTRACE_SEIZE, pid, 0, 0), 0, "{}", std::io::Error::last_os_error());
        assert_eq!(libc::ptrace(libc::PTRACE_INTERRUPT, pid, 0, 0), 0);
        loop {
            libc::pause();
        }
    }
}

/// Gives this process a mount namespace, in which it mounts without changing the machine.
fn own_mounts() {
    unshare(CloneFlags::CLONE_NEWNS).unwrap();
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_PRIVATE | MsFlags::MS_REC, None::<&str>).unwrap();
}

/// Unmounts a path of this process's mount namespace, with all below it, before the directory is removed.
struct Detach<'a>(&'a Path);

impl Drop for Detach<'_> {
    fn drop(&mut self) {
        nix::mount::umount2(self.0, nix::mount::MntFlags::MNT_DETACH).unwrap();
    }
}

/// A FUSE filesystem without an answering program appears in a running container, below a volume.
fn silent_filesystem(_: &[String]) {
    let Ok(device) = File::options().read(true).write(true).open("/dev/fuse") else {
        return println!("SKIPPED: no /dev/fuse");
    };
    own_mounts();
    let test = impatient();
    let volume = test.path("volume");
    std::fs::create_dir_all(volume.join("silent")).unwrap();
    mount(Some(&volume), &volume, None::<&str>, MsFlags::MS_BIND, None::<&str>).unwrap();
    let _detach = Detach(&volume);
    mount(None::<&str>, &volume, None::<&str>, MsFlags::MS_SHARED, None::<&str>).unwrap();
    let mut config = shell("sleep 1000");
    config["mounts"]
        .as_array_mut()
        .unwrap()
        .push(json!({ "destination": "/volume", "type": "bind", "source": volume, "options": ["rbind", "rslave"] }));
    let container = test.run(&config, &quiet()).unwrap();
    let options = format!("fd={},rootmode=40000,user_id=0,group_id=0", device.as_raw_fd());
    let silent = volume.join("silent");
    mount(Some("silent"), &silent, Some("fuse"), MsFlags::empty(), Some(options.as_str())).unwrap();

    let mut process = shell_process("true");
    process["cwd"] = json!("/volume/silent");
    is_late("exec in it", Code::Timeout, || container.exec(&parsed(&process), &quiet()));
    process["cwd"] = json!("/");
    process["args"] = json!(["/volume/silent/program"]);
    is_late("exec of a program there", Code::Timeout, || container.exec(&parsed(&process), &quiet()));
    // A process of the container waits for it; it can still be killed.
    let waiting = container.exec(&parsed(&shell_process("exec cat /volume/silent/file")), &quiet()).unwrap();
    container.signal(libc::SIGTERM, Recipients::Init).unwrap();
    container.status().unwrap();
    let begin = Instant::now();
    container.delete(Force::Kill).unwrap();
    waiting.wait(LONG).unwrap();
    assert!(begin.elapsed() < LATE);
    assert!(leftovers::cgroups(container.id()).is_empty());
}

/// The state that the supervisor gets is longer than what the socket holds.
fn deaf_supervisor() {
    let test = impatient();
    let socket = test.path("agent");
    let listener = UnixListener::bind(&socket).unwrap();
    let accepted = std::thread::spawn(move || listener.accept().unwrap());
    let mut config = shell("true");
    config["annotations"] = json!({ "long": "x".repeat(4 << 20) });
    config["linux"]["seccomp"] = json!({
        "defaultAction": "SCMP_ACT_ALLOW", "listenerPath": socket,
        "syscalls": [{ "names": ["mkdir"], "action": "SCMP_ACT_NOTIFY" }],
    });
    is_late("create", Code::Timeout, || test.create(&config, &quiet()));
    assert!(test.runtime.ids().unwrap().is_empty());
    drop(accepted.join().unwrap());
}

/// A systemd that accepts a connection and says nothing, or that says much and answers nothing.
fn systemd(_: &[String], talks: bool) {
    own_mounts();
    mount(Some("none"), "/run", Some("tmpfs"), MsFlags::empty(), None::<&str>).unwrap();
    std::fs::create_dir_all("/run/systemd/system").unwrap();
    std::fs::create_dir_all("/run/dbus").unwrap();
    let listener = UnixListener::bind("/run/systemd/private").unwrap();
    std::thread::spawn(move || {
        let mut kept = Vec::new();
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            if talks {
                let _ = stream.write_all(b"OK 0123456789abcdef0123456789abcdef\r\n");
                let signal = signal();
                while stream.write_all(&signal).is_ok() {}
            }
            kept.push(stream);
        }
    });
    let dir = tempfile::tempdir().unwrap();
    let mut settings = Settings { root: dir.path().join("state"), ..Settings::default() };
    set_deadlines(&mut settings);
    settings.cgroup_manager = Manager::Systemd { annotations: false };
    let runtime = Runtime::new(settings).unwrap();
    let mut config = shell("true");
    config["linux"]["cgroupsPath"] = json!(format!("system.slice:berth:{}", unique("silent")));
    let config = Config::from_json(&config.to_string(), Some(rootfs())).unwrap();
    is_late("create", Code::Timeout, || Container::create(&runtime, &unique("silent"), &config, &quiet()));
    for container in runtime.list().unwrap() {
        let begin = Instant::now();
        let _ = container.delete(Force::Kill); // this systemd does not answer it either
        assert!(begin.elapsed() < LATE);
    }
}

/// A signal of D-Bus: little endian, type 4, no body, with the members that the specification requires.
fn signal() -> Vec<u8> {
    let mut fields = Vec::new();
    for (code, kind, text) in [(1u8, b'o', "/x"), (2, b's', "x.y"), (3, b's', "Z")] {
        while !fields.len().is_multiple_of(8) {
            fields.push(0);
        }
        fields.extend([code, 1, kind, 0]);
        fields.extend((text.len() as u32).to_le_bytes());
        fields.extend(text.bytes());
        fields.push(0);
    }
    let mut message = vec![b'l', 4, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0];
    message.extend((fields.len() as u32).to_le_bytes());
    message.extend(&fields);
    while !message.len().is_multiple_of(8) {
        message.push(0);
    }
    message
}
