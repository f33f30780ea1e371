//! Scenarios of standard streams and terminals.

use std::io::IoSliceMut;
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::unix::net::UnixListener;

use berth::{ExitStatus, ProcessOptions, Stdio};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};
use serde_json::{Value, json};

use super::*;

pub const ALL: &[Scenario] = &[
    ("stdio-pipes", stdio_pipes),
    ("stdio-null", stdio_null),
    ("stdio-descriptors", stdio_descriptors),
    ("terminal", terminal),
    ("terminal-newlines", terminal_newlines),
    ("console-socket", console_socket),
    ("console-resize", console_resize),
];

fn stdio_pipes(test: &TestRuntime) {
    let options = ProcessOptions { stdio: [Stdio::Pipe; 3], ..ProcessOptions::default() };
    let container = test.run(&shell("read line; echo got $line; echo failed >&2"), &options).unwrap();
    let init = container.init_process().unwrap();
    let stdio = init.take_stdio();
    assert!(stdio.iter().all(|end| is_cloexec(end.as_ref().unwrap())));
    assert!(init.take_stdio().iter().all(Option::is_none));
    let [input, output, errors] = stdio;
    write(&File::from(input.unwrap()), "word\n");
    assert_eq!(text_of(output), "got word\n");
    assert_eq!(text_of(errors), "failed\n");
    assert_eq!(container.end(), ExitStatus::Exited(0));
}

fn stdio_null(test: &TestRuntime) {
    let container = test.run(&shell("echo lost; echo lost >&2; read line || exit 4"), &quiet()).unwrap();
    assert!(container.init_process().unwrap().take_stdio().iter().all(Option::is_none));
    assert_eq!(container.end(), ExitStatus::Exited(4));
}

fn pipe() -> (OwnedFd, OwnedFd) {
    nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC).unwrap()
}

fn stdio_descriptors(test: &TestRuntime) {
    let ((input, our_input), (our_output, output), (our_extra, extra)) = (pipe(), pipe(), pipe());
    let options = ProcessOptions {
        stdio: [Stdio::Fd(input.as_raw_fd()), Stdio::Fd(output.as_raw_fd()), Stdio::Null],
        extra_fds: vec![extra.as_raw_fd()],
        ..ProcessOptions::default()
    };
    let container = test.run(&shell("cat; echo extra >&3"), &options).unwrap();
    drop((input, output, extra));
    write(&File::from(our_input), "through\n");
    assert_eq!(text_of(Some(our_output)), "through\n");
    assert_eq!(text_of(Some(our_extra)), "extra\n");
    assert_eq!(container.end(), ExitStatus::Exited(0));
}

fn on_terminal(script: &str) -> Value {
    let mut config = shell(script);
    config["process"]["terminal"] = json!(true);
    config
}

fn terminal(test: &TestRuntime) {
    let config = on_terminal("tty; read line; echo got $line; exit 6");
    let container = test.run(&config, &ProcessOptions::default()).unwrap();
    let master = File::from(container.init_process().unwrap().terminal().unwrap().unwrap());
    assert!(is_cloexec(&master));
    read_until(&master, "/dev/pts/0");
    write(&master, "word\n");
    read_until(&master, "got word");
    assert_eq!(container.end(), ExitStatus::Exited(6));
}

fn terminal_newlines(test: &TestRuntime) {
    for (plain_newlines, shown) in [(false, "one\r\ntwo\r\n"), (true, "one\ntwo\n")] {
        let options = ProcessOptions { plain_newlines, ..ProcessOptions::default() };
        let container = test.run(&on_terminal("echo one; echo two; read line"), &options).unwrap();
        let master = File::from(container.init_process().unwrap().terminal().unwrap().unwrap());
        read_until(&master, shown);
    }
}

fn receive_descriptor(listener: &UnixListener) -> File {
    let (connection, _) = listener.accept().unwrap();
    let mut name = [0; 64];
    let mut space = nix::cmsg_space!([i32; 1]);
    let mut parts = [IoSliceMut::new(&mut name)];
    let flags = MsgFlags::MSG_CMSG_CLOEXEC;
    let message = recvmsg::<()>(connection.as_raw_fd(), &mut parts, Some(&mut space), flags).unwrap();
    let rights = message.cmsgs().unwrap().find_map(|control| match control {
        ControlMessageOwned::ScmRights(fds) => Some(fds),
        _ => None,
    });
    // SAFETY: the descriptor was received just now, and nobody else has it.
    unsafe { File::from_raw_fd(rights.unwrap()[0]) }
}

fn console_socket(test: &TestRuntime) {
    let path = test.path("console");
    let listener = UnixListener::bind(&path).unwrap();
    let options = ProcessOptions { console_socket: Some(path), ..ProcessOptions::default() };
    let container = test.run(&on_terminal("echo ready; sleep 1000"), &options).unwrap();
    read_until(&receive_descriptor(&listener), "ready");
    assert!(container.init_process().unwrap().terminal().unwrap().is_none());
}

fn console_resize(test: &TestRuntime) {
    let config = on_terminal("echo ready; read line; stty size");
    let container = test.run(&config, &ProcessOptions::default()).unwrap();
    let init = container.init_process().unwrap();
    let master = File::from(init.terminal().unwrap().unwrap());
    read_until(&master, "ready");
    init.resize_terminal(24, 80).unwrap();
    write(&master, "\n");
    read_until(&master, "24 80");
}
