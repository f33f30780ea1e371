//! Attacks by processes: capabilities, descriptors and terminals.

use std::io::Read;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use berth::spec::Config;
use berth::{Container, Force, ProcessOptions, Stdio};
use serde_json::json;

use crate::common::*;

/// Checks the capability sets after execve(2), for root and for another user, with run and exec.
#[test]
fn the_five_sets_are_exact_in_run_and_exec() {
    let test = TestRuntime::new();
    let sets = |status: &str| {
        ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"]
            .map(|key| u64::from_str_radix(status_line(status, key), 16).unwrap())
    };
    let (chown, kill, raw) = (1u64, 1 << 5, 1 << 13);
    let names = json!({
        "bounding": ["CAP_CHOWN", "CAP_KILL", "CAP_NET_RAW"],
        "permitted": ["CAP_CHOWN", "CAP_KILL"], "effective": ["CAP_CHOWN"],
        "inheritable": ["CAP_KILL"], "ambient": ["CAP_KILL"],
    });
    for (uid, expected) in [
        // capabilities(7): P' = (I & F) | (F & B) | A, and with no_new_privs nothing that was not permitted before.
        (0, [kill, chown | kill, chown | kill, chown | kill | raw, kill]),
        (1000, [kill, kill, kill, chown | kill | raw, kill]),
    ] {
        let mut config = shell("exec cat /proc/self/status");
        config["process"]["user"] = json!({ "uid": uid, "gid": uid });
        config["process"]["capabilities"] = names.clone();
        let run = sets(&test.stdout_of(&config));
        let sleeper = test.run(&shell("exec sleep 1000"), &quiet()).unwrap();
        let mut process = shell_process("exec cat /proc/self/status");
        process["user"] = json!({ "uid": uid, "gid": uid });
        process["capabilities"] = names.clone();
        assert_eq!(sets(&exec_output(&sleeper, &process).0), run, "{uid}");
        assert_eq!(run[..4], expected[..4], "{uid}");
        if uid != 0 {
            assert_eq!(run[4], expected[4]);
        }
        // CVE-2022-24769: the inheritable set is empty unless the configuration sets it.
        assert_eq!(sets(&exec_shell(&sleeper, "exec cat /proc/self/status"))[0], 0);
    }
}

/// CVE-2016-9962, CVE-2024-21626: root in the container must not find a descriptor of the host in an init or exec
/// process before its execve(2).
#[test]
fn a_sibling_finds_no_descriptor_of_the_host_in_init() {
    let test = TestRuntime::new();
    let leaked = std::fs::File::open("/etc").unwrap();
    // SAFETY: no pointers.
    unsafe { libc::fcntl(leaked.as_raw_fd(), libc::F_SETFD, 0) };
    for user_namespace in [false, true] {
        let socket = test.path(&unique("agent"));
        let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        let mut config = shell("exec sleep 1000");
        // All of init's capabilities except CAP_SYS_PTRACE.
        config["process"]["capabilities"] = json!(null);
        if user_namespace {
            with_user_namespace(&mut config);
        }
        config["linux"]["seccomp"] = json!({
            "defaultAction": "SCMP_ACT_ALLOW", "listenerPath": socket,
            "syscalls": [{ "names": ["execve"], "action": "SCMP_ACT_NOTIFY" }],
        });
        std::thread::scope(|scope| {
            // Accept the listeners but answer no notification, so that the inspected process waits in execve(2).
            let agent = scope.spawn(|| {
                let mut held = Vec::new();
                for _ in 0..3 {
                    let stream = listener.accept().unwrap().0;
                    held.push(take_listener(&stream));
                }
                held
            });
            let container = test.create(&config, &quiet()).unwrap();
            // Waits in execve(2) until the notification is answered, which happens after the inspection.
            let starter = test.runtime.load(container.id()).unwrap();
            let init = container.init_process().unwrap().pid();
            scope.spawn(move || drop(starter.start()));
            eventually("init waits in execve", || {
                let syscall = std::fs::read_to_string(format!("/proc/{init}/syscall")).unwrap_or_default();
                syscall.starts_with(&format!("{} ", libc::SYS_execve))
            });
            let found = look_into(init, user_namespace);
            container.signal(libc::SIGKILL, berth::Recipients::All).unwrap();
            for _ in 1..3 {
                let _ = std::os::unix::net::UnixStream::connect(&socket);
            }
            drop(agent.join().unwrap());
            assert_eq!(found, "", "user namespace: {user_namespace}");
        });
    }
}

fn take_listener(stream: &std::os::unix::net::UnixStream) -> Option<OwnedFd> {
    use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};
    let mut bytes = [0u8; 4096];
    let mut control = nix::cmsg_space!([i32; 4]);
    let mut parts = [std::io::IoSliceMut::new(&mut bytes)];
    let got = recvmsg::<()>(stream.as_raw_fd(), &mut parts, Some(&mut control), MsgFlags::MSG_CMSG_CLOEXEC).ok()?;
    got.cmsgs().ok()?.find_map(|message| match message {
        // SAFETY: the descriptor was received just now, and nobody else has it.
        ControlMessageOwned::ScmRights(fds) => fds.first().map(|fd| unsafe { OwnedFd::from_raw_fd(*fd) }),
        _ => None,
    })
}

/// Returns the targets of the cwd, root, exe and descriptor links of `pid` that a process with the same ids and user
/// namespace but without capabilities can read.
fn look_into(pid: i32, user_namespace: bool) -> String {
    let looking = format!(
        "cd /proc/{pid} && for f in cwd root exe $(ls fd | sed s,^,fd/,); do readlink $f && cat $f/version; done"
    );
    let mut command = std::process::Command::new("nsenter");
    if user_namespace {
        command.args(["--user", &format!("--target={pid}"), "--setuid=0", "--setgid=0"]);
    }
    command.args(["setpriv", "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs", "sh", "-c", &looking]);
    let output = command.output().unwrap();
    let refused = String::from_utf8_lossy(&output.stderr).into_owned();
    // Make sure that the shell ran: readlink prints nothing where access is denied, and cat prints why.
    assert!(output.status.code().is_some_and(|code| code < 126), "{refused}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// CVE-2016-10124: a process types on the terminal of the user that started it (TIOCSTI).
#[test]
fn nothing_can_be_typed_on_the_callers_terminal() {
    let mut ends = (-1, -1);
    // SAFETY: a new pair of descriptors.
    unsafe {
        let (name, termios, size) = (std::ptr::null_mut(), std::ptr::null(), std::ptr::null());
        assert_eq!(libc::openpty(&mut ends.0, &mut ends.1, name, termios, size), 0);
    }
    // SAFETY: the descriptor was created just now.
    let (master, terminal) = unsafe { (OwnedFd::from_raw_fd(ends.0), OwnedFd::from_raw_fd(ends.1)) };
    let mut caller = std::process::Command::new(std::env::current_exe().unwrap());
    caller.args(["--ignored", "--exact", "processes::caller_with_a_terminal", "--nocapture"]);
    caller
        .stdin(terminal.try_clone().unwrap())
        .stdout(terminal.try_clone().unwrap())
        .stderr(terminal.try_clone().unwrap());
    // SAFETY: only system calls.
    unsafe {
        std::os::unix::process::CommandExt::pre_exec(&mut caller, || {
            libc::setsid();
            libc::ioctl(0, libc::TIOCSCTTY, 0);
            Ok(())
        });
    }
    let mut child = caller.spawn().unwrap();
    drop((caller, terminal));
    let mut text = String::new();
    let _ = std::fs::File::from(master).read_to_string(&mut text); // EIO at its end
    assert!(child.wait().unwrap().success(), "{text}");
    assert!(text.contains("tried: [") && !text.contains("tried: [0"), "{text}");
}

#[test]
#[ignore = "the caller that another test starts"]
fn caller_with_a_terminal() {
    let test = TestRuntime::new();
    let script = "import fcntl, termios\n\
        def tried(request, value):\n\
        \x20 try: return fcntl.ioctl(0, request, value) and 0\n\
        \x20 except OSError as error: return error.errno\n\
        print('tried:', [tried(termios.TIOCSTI, b'x'), tried(termios.TIOCSCTTY, 0), tried(termios.TIOCSTI, b'x')])";
    let mut config = shell("");
    config["process"]["args"] = json!(["/usr/bin/python3", "-Ic", script]);
    config["root"]["readonly"] = json!(false);
    for directory in ["/usr", "/lib", "/lib64"] {
        push_mount(
            &mut config,
            json!({ "destination": directory, "type": "bind", "source": directory, "options": ["rbind", "ro"] }),
        );
    }
    let image = test.make_dir("image");
    let config = Config::from_json(&config.to_string(), Some(&image)).unwrap();
    let options = ProcessOptions { stdio: [Stdio::Inherit; 3], ..ProcessOptions::default() };
    let container = Container::run(&test.runtime, &unique("tty"), &config, &options).unwrap();
    container.wait(LONG).unwrap();
    container.delete(Force::No).unwrap();
    let mut waiting = 0i32;
    // SAFETY: FIONREAD writes an int.
    unsafe { libc::ioctl(0, libc::FIONREAD, &mut waiting) };
    assert_eq!(waiting, 0, "somebody has typed");
}

/// CVE-2020-15257: abstract sockets are not files, and every process in the same network namespace can connect to them.
#[test]
fn no_socket_of_the_runtime_is_reached_from_the_hosts_network_namespace() {
    let test = TestRuntime::new();
    let bundle = test.make_dir("bundle");
    let mut config = shell("sleep 1000");
    config["root"]["path"] = json!(rootfs());
    config["linux"]["namespaces"].as_array_mut().unwrap().retain(|namespace| namespace["type"] != "network");
    config["mounts"].as_array_mut().unwrap().retain(|mount| mount["destination"] != "/sys");
    std::fs::write(bundle.join("config.json"), config.to_string()).unwrap();
    let id = unique("sockets");
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_berth"));
    let root = test.path("state");
    command.arg("--root").arg(&root).args(["run", "--bundle", bundle.to_str().unwrap(), &id]);
    let null = std::process::Stdio::null;
    let mut berth = command.stdin(null()).stdout(null()).stderr(null()).spawn().unwrap();
    let running =
        || test.runtime.load(&id).is_ok_and(|found| found.status().is_ok_and(|s| s == berth::Status::Running));
    eventually("the container runs", running);
    let container = test.runtime.load(&id).unwrap();
    let sockets = exec_shell(&container, "exec cat /proc/net/unix");
    let abstract_ones: Vec<&str> = sockets
        .lines()
        .filter(|line| line.rsplit(' ').next().is_some_and(|path| path.starts_with('@')))
        .filter_map(|line| line.split_whitespace().nth(6))
        .collect();
    for process in [berth.id(), std::process::id(), container.init_process().unwrap().pid() as u32] {
        for entry in std::fs::read_dir(format!("/proc/{process}/fd")).unwrap().flatten() {
            let target = std::fs::read_link(entry.path()).unwrap_or_default().to_string_lossy().into_owned();
            let number = target.trim_start_matches("socket:[").trim_end_matches(']');
            assert!(!abstract_ones.contains(&number), "{target} of process {process} has an abstract address");
        }
    }
    container.delete(Force::Kill).unwrap();
    berth.wait().unwrap();
}
