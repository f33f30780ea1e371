//! Standard streams, further descriptors, and terminals.

mod common;

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixListener;
use std::path::Path;

use berth::{Code, ExitStatus, ProcessOptions, Stdio};
use common::*;
use nix::sys::stat::{Mode, SFlag};
use serde_json::{Value, json};

fn options(stdio: [Stdio; 3]) -> ProcessOptions {
    ProcessOptions { stdio, ..ProcessOptions::default() }
}

fn text_of(fd: OwnedFd) -> String {
    let mut text = String::new();
    File::from(fd).read_to_string(&mut text).unwrap();
    text
}

#[test]
fn each_stream_may_be_a_pipe() {
    let test = TestRuntime::new();
    let script = "read line; echo \"out $line\"; echo \"err $line\" >&2";
    let container = test.run(&shell(script), &options([Stdio::Pipe; 3])).unwrap();
    let [stdin, stdout, stderr] = container.init_process().unwrap().take_stdio();
    File::from(stdin.unwrap()).write_all(b"word\n").unwrap();
    assert_eq!(text_of(stdout.unwrap()), "out word\n");
    assert_eq!(text_of(stderr.unwrap()), "err word\n");
    assert_eq!(container.wait(LONG).unwrap(), ExitStatus::Exited(0));
    assert!(container.init_process().unwrap().take_stdio().iter().all(Option::is_none), "taken once");
}

#[test]
fn each_stream_may_be_a_descriptor_which_stays_the_callers() {
    let test = TestRuntime::new();
    let path = |name: &str| test.path(name);
    std::fs::write(path("in"), "given\n").unwrap();
    let (input, output, errors) =
        (File::open(path("in")).unwrap(), File::create(path("out")).unwrap(), File::create(path("err")).unwrap());
    let stdio = [&input, &output, &errors].map(|file| Stdio::Fd(file.as_raw_fd()));
    let container = test.run(&shell("cat; echo bad >&2"), &options(stdio)).unwrap();
    assert_eq!(container.wait(LONG).unwrap(), ExitStatus::Exited(0));
    assert_eq!(std::fs::read_to_string(path("out")).unwrap(), "given\n");
    assert_eq!(std::fs::read_to_string(path("err")).unwrap(), "bad\n");
    for file in [&input, &output, &errors] {
        file.metadata().unwrap();
        // SAFETY: no pointers.
        assert_eq!(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_GETFD) }, libc::FD_CLOEXEC);
    }
}

#[test]
fn two_streams_may_be_the_same_descriptor() {
    let test = TestRuntime::new();
    let output = File::create(test.path("out")).unwrap();
    let fd = Stdio::Fd(output.as_raw_fd());
    let container = test.run(&shell("echo one; echo two >&2"), &options([Stdio::Null, fd, fd])).unwrap();
    container.wait(LONG).unwrap();
    assert_eq!(std::fs::read_to_string(test.path("out")).unwrap(), "one\ntwo\n");
}

#[test]
fn streams_may_be_exchanged() {
    let test = TestRuntime::new();
    let files = [1, 2].map(|index| File::create(test.path(&format!("file{index}"))).unwrap());
    // Each one's number is the target number of the other.
    let numbers = files.each_ref().map(|file| file.as_raw_fd());
    let container = test.run(
        &shell("echo one >&3; echo two >&4"),
        &ProcessOptions { extra_fds: vec![numbers[1], numbers[0]], ..quiet() },
    );
    container.unwrap().wait(LONG).unwrap();
    assert_eq!(std::fs::read_to_string(test.path("file1")).unwrap(), "two\n");
    assert_eq!(std::fs::read_to_string(test.path("file2")).unwrap(), "one\n");
}

#[test]
fn null_reads_empty_and_swallows() {
    let test = TestRuntime::new();
    let script = "cat; readlink /proc/self/fd/0; echo lost >&2";
    let container = test.run(&shell(script), &options([Stdio::Null, Stdio::Pipe, Stdio::Null])).unwrap();
    let [_, stdout, _] = container.init_process().unwrap().take_stdio();
    assert_eq!(text_of(stdout.unwrap()), "/dev/null\n");
}

#[test]
fn inherited_streams_are_the_callers() {
    let test = TestRuntime::new();
    let container = test.run(&shell("exec sleep 1000"), &options([Stdio::Inherit; 3])).unwrap();
    for fd in 0..3 {
        let link = |process: &Path| std::fs::read_link(process.join(fd.to_string())).unwrap();
        assert_eq!(link(&proc_of(&container, "fd")), link(Path::new("/proc/self/fd")), "{fd}");
    }
}

#[test]
fn a_descriptor_that_is_not_open_is_refused_before_anything_is_made() {
    let test = TestRuntime::new();
    let wrong = [
        options([Stdio::Null, Stdio::Fd(9999), Stdio::Null]),
        ProcessOptions { extra_fds: vec![9999], ..quiet() },
        options([Stdio::Null, Stdio::Fd(-1), Stdio::Null]),
    ];
    for wrong in wrong {
        let error = test.create(&shell("true"), &wrong).unwrap_err();
        assert_eq!(error.code, Code::InvalidArgument, "{error}");
        assert!(test.runtime.ids().unwrap().is_empty());
    }
}

#[test]
fn extra_descriptors_become_three_and_so_on() {
    let test = TestRuntime::new();
    let files: Vec<File> = (0..6).map(|_| tempfile::tempfile().unwrap()).collect();
    let extra_fds: Vec<i32> = files.iter().map(|file| file.as_raw_fd()).rev().collect();
    let script = "for n in 3 4 5 6 7 8; do eval \"echo to $n >&$n\"; done; ls /proc/self/fd | tr '\\n' ' '";
    let container = test.run(&shell(script), &ProcessOptions { extra_fds: extra_fds.clone(), ..piped() }).unwrap();
    assert_eq!(read_all(&container.init_process().unwrap()), "0 1 2 3 4 5 6 7 8 9 ");
    for (index, mut file) in files.iter().rev().enumerate() {
        std::io::Seek::rewind(&mut file).unwrap();
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        assert_eq!(text, format!("to {}\n", index + 3));
    }
    let container = test.run(&shell("sleep 1000"), &quiet()).unwrap();
    let options = ProcessOptions { extra_fds, ..piped() };
    let process = container.exec(&parsed(&shell_process("exec ls /proc/self/fd")), &options).unwrap();
    assert_eq!(read_all(&process).split_whitespace().count(), 10);
}

/// Pipes, files and sockets belong to the program's user, as with runc, so that it can open them again.
#[test]
fn streams_that_the_caller_passes_belong_to_the_user() {
    let test = TestRuntime::new();
    let owner = |fd: &dyn AsFd| {
        let found = nix::sys::stat::fstat(fd).unwrap();
        (found.st_uid, found.st_gid)
    };
    let script = "echo out >/dev/stdout; echo err >/dev/stderr";
    for base in [0, ID_BASE] {
        let mut config = shell(script);
        config["process"]["user"] = json!({ "uid": 1000, "gid": 1000 });
        if base != 0 {
            with_user_namespace(&mut config);
        }
        let (read, write) = pipe();
        let stdio = [Stdio::Null, Stdio::Fd(write.as_raw_fd()), Stdio::Fd(write.as_raw_fd())];
        let container = test.create(&config, &options(stdio)).unwrap();
        assert_eq!(owner(&write), (base + 1000, 0), "already when it is created, and the group stays");
        container.start().unwrap();
        drop(write);
        assert_eq!(text_of(read), "out\nerr\n");

        config["process"]["args"] = json!(["/bin/sleep", "1000"]);
        let file = File::create(test.path(&format!("log{base}"))).unwrap();
        let (socket, _other) = std::os::unix::net::UnixStream::pair().unwrap();
        let terminal = nix::pty::openpty(None, None).unwrap().slave;
        let devices = [owner(&terminal), owner(&File::open("/dev/null").unwrap())];
        let stdio = [&terminal as &dyn AsRawFd, &file, &socket].map(|fd| Stdio::Fd(fd.as_raw_fd()));
        let container = test.run(&config, &options(stdio)).unwrap();
        // A file of an owner that is not mapped stays as it is.
        let changed = if base == 0 { 1000 } else { 0 };
        assert_eq!([owner(&file), owner(&socket)], [(changed, 0); 2]);
        assert_eq!([owner(&terminal), owner(&File::open("/dev/null").unwrap())], devices, "devices keep their owner");

        let directory = File::open(test.dir.path()).unwrap();
        let block = test.path(&format!("block{base}"));
        // Device 0:0 has no driver: it opens as a path only.
        nix::sys::stat::mknod(&block, SFlag::S_IFBLK, Mode::S_IRUSR, 0).unwrap();
        let block = File::options().read(true).custom_flags(libc::O_PATH).open(&block).unwrap();
        let stdio = [Stdio::Fd(directory.as_raw_fd()), Stdio::Fd(block.as_raw_fd()), Stdio::Null];
        test.run(&config, &options(stdio)).unwrap();
        assert_eq!([owner(&directory), owner(&block)], [(0, 0); 2], "so do block devices and directories");

        let (read, write) = pipe();
        let stdio = [Stdio::Null, Stdio::Fd(write.as_raw_fd()), Stdio::Fd(write.as_raw_fd())];
        let mut process = shell_process(script);
        process["user"] = json!({ "uid": 7, "gid": 7 });
        container.exec(&parsed(&process), &options(stdio)).unwrap();
        assert_eq!(owner(&write), (base + 7, 0));
        drop(write);
        assert_eq!(text_of(read), "out\nerr\n");
    }
}

fn pipe() -> (OwnedFd, OwnedFd) {
    nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC).unwrap()
}

#[test]
fn a_terminal_may_leave_newlines_as_they_are() {
    let test = TestRuntime::new();
    let shown = |process: &berth::Process| {
        let mut master = File::from(process.terminal().unwrap().unwrap());
        read_until(&mut master, "\ntwo")
    };
    let script = "echo one; echo two; sleep 1000";
    let mut process = shell_process(script);
    process["terminal"] = json!(true);
    for (plain_newlines, expected) in [(true, "one\ntwo"), (false, "one\r\ntwo")] {
        let options = ProcessOptions { plain_newlines, ..ProcessOptions::default() };
        let container = test.run(&terminal(script), &options).unwrap();
        let text = shown(&container.init_process().unwrap());
        assert!(text.starts_with(expected), "{text:?}");
        let text = shown(&container.exec(&parsed(&process), &options).unwrap());
        assert!(text.starts_with(expected), "{text:?}");
    }
}

#[test]
fn pipes_can_be_opened_again_by_another_user() {
    let test = TestRuntime::new();
    let mut config = shell("echo out >/dev/stdout; echo err >/dev/stderr");
    config["process"]["user"] = json!({ "uid": 1000, "gid": 1000 });
    assert_eq!(test.stdout_of(&config), "out\nerr\n");
    with_user_namespace(&mut config);
    assert_eq!(test.stdout_of(&config), "out\nerr\n", "in a user namespace");
    config["process"]["args"] = json!(["/bin/sleep", "1000"]);
    let container = test.run(&config, &quiet()).unwrap();
    let mut process = shell_process("echo out >/dev/stdout");
    process["user"] = json!({ "uid": 7, "gid": 7 });
    assert_eq!(exec_output(&container, &process).0, "out\n");
}

fn terminal(script: &str) -> Value {
    let mut config = shell(script);
    config["process"]["terminal"] = json!(true);
    config
}

/// Reads until the output contains `end`. A closed other side reads as EIO (pty(7)).
fn read_until(master: &mut File, end: &str) -> String {
    let mut text = String::new();
    let mut buffer = [0; 1024];
    while !text.contains(end) {
        match master.read(&mut buffer) {
            Ok(0) | Err(_) => panic!("{end:?} has not come: {text:?}"),
            Ok(len) => text += &String::from_utf8_lossy(&buffer[..len]),
        }
    }
    text
}

#[test]
fn a_terminal_works_both_ways() {
    let test = TestRuntime::new();
    let script =
        "tty; test -t 0 && test -t 1 && test -t 2 && echo all; read line; echo \"got $line\"; read line; exit 3";
    let container = test.run(&terminal(script), &ProcessOptions::default()).unwrap();
    let process = container.init_process().unwrap();
    let mut master = File::from(process.terminal().unwrap().unwrap());
    let text = read_until(&mut master, "all");
    assert!(text.contains("/dev/pts/0"), "{text}");
    master.write_all(b"word\n").unwrap();
    read_until(&mut master, "got word");
    master.write_all(b"\n").unwrap();
    assert_eq!(container.wait(LONG).unwrap(), ExitStatus::Exited(3));
}

#[test]
fn it_is_the_controlling_terminal_and_the_console() {
    let test = TestRuntime::new();
    let script = "stat -c '%t:%T' /dev/pts/0 /dev/console; echo via >/dev/tty; echo con >/dev/console; \
                  cut -d' ' -f7 /proc/self/stat; grep -c ' /dev/console ' /proc/self/mountinfo; echo end";
    let container = test.run(&terminal(script), &ProcessOptions::default()).unwrap();
    let mut master = File::from(container.init_process().unwrap().terminal().unwrap().unwrap());
    let text = read_until(&mut master, "end").replace('\r', "");
    assert_eq!(text, "88:0\n88:0\nvia\ncon\n34816\n1\nend".to_owned() + &text[text.find("end").unwrap() + 3..]);
}

#[test]
fn ctrl_c_interrupts_and_a_hangup_ends() {
    let test = TestRuntime::new();
    let script = "trap 'echo interrupted' INT; echo ready; while :; do sleep 0.05; done";
    let container = test.run(&terminal(script), &ProcessOptions::default()).unwrap();
    let process = container.init_process().unwrap();
    let mut master = File::from(process.terminal().unwrap().unwrap());
    read_until(&mut master, "ready");
    master.write_all(&[3]).unwrap();
    read_until(&mut master, "interrupted");
}

#[test]
fn the_size_is_as_configured_and_a_change_sends_sigwinch() {
    let test = TestRuntime::new();
    let mut config =
        terminal("trap 'stty size; echo changed' WINCH; stty size; echo ready; while :; do sleep 0.05; done");
    config["process"]["consoleSize"] = json!({ "height": 31, "width": 77 });
    let container = test.run(&config, &ProcessOptions::default()).unwrap();
    let process = container.init_process().unwrap();
    let mut master = File::from(process.terminal().unwrap().unwrap());
    assert!(read_until(&mut master, "ready").contains("31 77"));
    process.resize_terminal(50, 132).unwrap();
    assert!(read_until(&mut master, "changed").contains("50 132"));
}

#[test]
fn the_terminal_belongs_to_the_user() {
    let test = TestRuntime::new();
    for user_namespace in [false, true] {
        let mut config = terminal("stat -c '%u:%g %a' $(tty); echo end");
        config["process"]["user"] = json!({ "uid": 1000, "gid": 1000 });
        if user_namespace {
            with_user_namespace(&mut config);
        }
        let container = test.run(&config, &ProcessOptions::default()).unwrap();
        let mut master = File::from(container.init_process().unwrap().terminal().unwrap().unwrap());
        let text = read_until(&mut master, "end");
        assert!(text.starts_with("1000:5 620"), "{text}");
    }
}

#[test]
fn streams_beside_a_terminal_are_refused() {
    let test = TestRuntime::new();
    assert_eq!(test.create(&terminal("true"), &piped()).unwrap_err().code, Code::ConsoleExists);
    let socket = ProcessOptions { console_socket: Some("/nothing".into()), ..quiet() };
    assert_eq!(test.create(&shell("true"), &socket).unwrap_err().code, Code::InvalidArgument);
    let container = test.run(&shell("sleep 1000"), &quiet()).unwrap();
    assert_eq!(container.init_process().unwrap().resize_terminal(1, 1).unwrap_err().code, Code::InvalidArgument);
    assert!(container.init_process().unwrap().terminal().unwrap().is_none());
}

/// Receives the terminal as the other end of a console socket does.
fn receive_terminal(listener: &UnixListener) -> File {
    use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};
    let (stream, _) = listener.accept().unwrap();
    let mut bytes = [0; 64];
    let mut space = nix::cmsg_space!([i32; 1]);
    let mut iov = [std::io::IoSliceMut::new(&mut bytes)];
    let message = recvmsg::<()>(stream.as_raw_fd(), &mut iov, Some(&mut space), MsgFlags::empty()).unwrap();
    let mut fds = message.cmsgs().unwrap().filter_map(|control| match control {
        ControlMessageOwned::ScmRights(fds) => fds.first().copied(),
        _ => None,
    });
    // SAFETY: the descriptor was received just now, and nobody else has it.
    unsafe { <File as std::os::fd::FromRawFd>::from_raw_fd(fds.next().unwrap()) }
}

#[test]
fn a_console_socket_gets_the_terminal() {
    let test = TestRuntime::new();
    let path = test.path("console");
    let listener = UnixListener::bind(&path).unwrap();
    let options = ProcessOptions { console_socket: Some(path), ..ProcessOptions::default() };
    let container = test.run(&terminal("echo hello; sleep 1000"), &options).unwrap();
    read_until(&mut receive_terminal(&listener), "hello");
    assert!(container.init_process().unwrap().terminal().unwrap().is_none());
    let mut process = shell_process("echo again; sleep 1000");
    process["terminal"] = json!(true);
    container.exec(&parsed(&process), &options).unwrap();
    read_until(&mut receive_terminal(&listener), "again");
}

#[test]
fn a_console_socket_without_a_listener_undoes_create() {
    let test = TestRuntime::new();
    let options = ProcessOptions { console_socket: Some(test.path("nothing")), ..ProcessOptions::default() };
    let error = test.create(&terminal("true"), &options).unwrap_err();
    assert!(error.message.contains("console socket"), "{error}");
    assert!(test.runtime.ids().unwrap().is_empty());
}

#[test]
fn an_executed_process_has_a_terminal_of_its_own() {
    let test = TestRuntime::new();
    let container = test.run(&terminal("sleep 1000"), &ProcessOptions::default()).unwrap();
    let mut process = shell_process(
        "tty; stty size; read x; echo got $x; trap 'stty size; echo changed' WINCH; echo on; while :; do sleep 0.05; done",
    );
    process["terminal"] = json!(true);
    process["consoleSize"] = json!({ "height": 12, "width": 34 });
    let process = container.exec(&parsed(&process), &ProcessOptions::default()).unwrap();
    let mut master = File::from(process.terminal().unwrap().unwrap());
    master.write_all(b"word\n").unwrap();
    let text = read_until(&mut master, "on\r\n");
    assert!(text.contains("/dev/pts/1") && text.contains("12 34") && text.contains("got word"), "{text}");
    process.resize_terminal(5, 6).unwrap();
    assert!(read_until(&mut master, "changed").contains("5 6"));
}

#[test]
fn a_terminal_in_a_container_without_one_and_in_a_user_namespace() {
    let test = TestRuntime::new();
    let mut config = shell("sleep 1000");
    with_user_namespace(&mut config);
    let container = test.run(&config, &quiet()).unwrap();
    let mut process = shell_process("tty; echo end");
    process["terminal"] = json!(true);
    let process = container.exec(&parsed(&process), &ProcessOptions::default()).unwrap();
    let mut master = File::from(process.terminal().unwrap().unwrap());
    assert!(read_until(&mut master, "end").contains("/dev/pts/0"));
}

#[test]
fn pipes_can_be_opened_again_in_a_joined_user_namespace() {
    let test = TestRuntime::new();
    let mut config = shell("sleep 1000");
    with_user_namespace(&mut config);
    let first = test.run(&config, &quiet()).unwrap();
    let mut config = shell("echo out >/dev/stdout; echo err >/dev/stderr");
    join_namespace(&mut config, "user", &proc_of(&first, "ns/user").display().to_string());
    assert_eq!(test.stdout_of(&config), "out\nerr\n");
    config["process"]["user"] = json!({ "uid": 1000, "gid": 1000 });
    assert_eq!(test.stdout_of(&config), "out\nerr\n");
    config["process"]["args"] = json!(["/bin/sleep", "1000"]);
    let second = test.run(&config, &quiet()).unwrap();
    assert_eq!(exec_shell(&second, "echo out >/dev/stdout"), "out\n");
}

#[test]
fn a_console_socket_that_is_not_read_does_not_block_create() {
    let test = TestRuntime::new();
    let path = test.path("full");
    // The backlog of one connection fills up, because nobody accepts.
    let _listener = {
        use nix::sys::socket::*;
        let fd = socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).unwrap();
        bind(fd.as_raw_fd(), &UnixAddr::new(&path).unwrap()).unwrap();
        listen(&fd, Backlog::new(1).unwrap()).unwrap();
        fd
    };
    let connect = || {
        use nix::sys::socket::*;
        let fd = socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC, None);
        let fd = fd.unwrap();
        connect(fd.as_raw_fd(), &UnixAddr::new(&path).unwrap()).map(|()| fd)
    };
    let mut waiting = Vec::new();
    while let Ok(fd) = connect() {
        waiting.push(fd);
        assert!(waiting.len() < 100);
    }
    let options = ProcessOptions { console_socket: Some(path.clone()), ..ProcessOptions::default() };
    let error = test.create(&terminal("true"), &options).unwrap_err();
    assert!(error.message.contains("console socket"), "{error}");
    assert!(test.runtime.ids().unwrap().is_empty());
}
