//! Descriptors that lead out of the container: pipes, terminals, host files.

use std::io::{Read, Write};
use std::os::fd::AsRawFd;

use berth::{Code, Container, ProcessOptions, Stdio};
use serde_json::json;

use crate::common::*;
use crate::support::*;

fn pipes() -> ProcessOptions {
    ProcessOptions { stdio: [Stdio::Pipe; 3], ..ProcessOptions::default() }
}

/// Writes a line to the container's standard input and reads its answer.
fn answer(container: &Container, streams: &mut [Option<std::fs::File>; 3], line: &str) -> String {
    let [Some(stdin), Some(stdout), _] = streams else { panic!("no pipes") };
    writeln!(stdin, "{line}").unwrap();
    let mut text = String::new();
    let mut byte = [0];
    while !text.ends_with('\n') {
        assert_eq!(stdout.read(&mut byte).unwrap(), 1, "{:?}", container.status());
        text.push(byte[0] as char);
    }
    text
}

fn streams(container: &Container) -> [Option<std::fs::File>; 3] {
    container.init_process().unwrap().take_stdio().map(|fd| fd.map(std::fs::File::from))
}

#[test]
fn pipes_become_new_ones_again_and_again() {
    let test = test_runtime();
    let config = shell("n=0; while read line; do n=$((n+1)); echo $n $line; done");
    let mut container = test.run(&config, &pipes()).unwrap();
    let mut ends = streams(&container);
    assert_eq!(answer(&container, &mut ends, "a"), "1 a\n");
    for round in 2..=4 {
        let images = test.images(&format!("images-{round}"));
        checkpoint(&container, &into(&images));
        end(container);
        container = test.restore(&config, &from_with(&images, pipes())).unwrap();
        ends = streams(&container);
        assert_eq!(answer(&container, &mut ends, "b"), format!("{round} b\n"));
    }
    // The program exits at the end of its input.
    ends[0] = None;
    assert_eq!(container.wait(LONG).unwrap(), berth::ExitStatus::Exited(0));
    end(container);
}

#[test]
fn a_stream_that_was_no_pipe_cannot_be_led_elsewhere() {
    let test = test_runtime();
    let config = shell("sleep 1000");
    let container = test.run(&config, &quiet()).unwrap();
    let images = test.images("images");
    checkpoint(&container, &into(&images));
    end(container);
    let error = test.restore(&config, &from_with(&images, pipes())).unwrap_err();
    assert_eq!(error.code, Code::InvalidArgument);
    assert!(error.message.starts_with("stdin of the dumped container was \"/dev/null\", not a pipe"), "{error}");
    let extra = ProcessOptions { extra_fds: vec![0], ..quiet() };
    let error = test.restore(&config, &from_with(&images, extra)).unwrap_err();
    assert!(error.message.contains("extra_fds cannot be given to a restored process"), "{error}");
    assert_eq!(test.runtime.ids().unwrap(), Vec::<String>::new());
}

/// The error names the descriptor and the path, and the container keeps running.
#[test]
fn a_file_of_the_hosts_cannot_be_dumped_and_is_named() {
    let test = test_runtime();
    let data = test.data();
    let log = std::fs::File::create(test.path("the log")).unwrap();
    let stdio = [Stdio::Null, Stdio::Fd(log.as_raw_fd()), Stdio::Null];
    let container = test.run(&counter(&data), &ProcessOptions { stdio, ..ProcessOptions::default() }).unwrap();
    counts_on(&data);
    let error = container.checkpoint(&into(&test.images("images"))).unwrap_err();
    assert_eq!((error.code, error.stage), (Code::Criu, berth::Stage::Criu));
    let expected = format!("descriptor 1 refers to {}, which is on no mount", test.path("the log").display());
    assert!(error.message.contains(&expected), "{error}");
    assert!(error.detail["log"].as_str().unwrap().contains("Can't lookup mount"), "{:?}", error.detail);
    assert!(!test.images("images").exists(), "what was made for the images is gone");
    counts_on(&data);
    end(container);
}

#[test]
fn a_terminal_goes_along() {
    let test = test_runtime();
    let mut config = shell("stty -echo; n=0; while read line; do n=$((n+1)); echo $n $line; done");
    config["process"]["terminal"] = json!(true);
    let container = test.run(&config, &ProcessOptions::default()).unwrap();
    let talk = |container: &Container, line: &str, expected: &str| {
        let mut master = std::fs::File::from(container.init_process().unwrap().terminal().unwrap().unwrap());
        writeln!(master, "{line}").unwrap();
        let (mut text, mut byte) = (String::new(), [0]);
        while !text.contains(expected) {
            assert_eq!(master.read(&mut byte).unwrap(), 1);
            text.push(byte[0] as char);
        }
    };
    talk(&container, "a", "1 a");
    let images = test.images("images");
    checkpoint(&container, &into(&images));
    end(container);
    let restored = test.restore(&config, &RestoreWithTerminal::options(&images)).unwrap();
    talk(&restored, "b", "2 b");
    restored.init_process().unwrap().resize_terminal(33, 44).unwrap();
    end(restored);
}

struct RestoreWithTerminal;

impl RestoreWithTerminal {
    fn options(images: &std::path::Path) -> berth::criu::RestoreOptions {
        from_with(images, ProcessOptions::default())
    }
}

#[test]
fn a_terminal_goes_to_the_console_socket() {
    use std::os::unix::net::UnixListener;
    let test = test_runtime();
    let mut config = shell("while :; do sleep 1; done");
    config["process"]["terminal"] = json!(true);
    let container = test.run(&config, &ProcessOptions::default()).unwrap();
    let images = test.images("images");
    checkpoint(&container, &into(&images));
    end(container);
    let socket = test.path("console");
    let listener = UnixListener::bind(&socket).unwrap();
    let options = ProcessOptions { console_socket: Some(socket), ..ProcessOptions::default() };
    let restored = test.restore(&config, &from_with(&images, options)).unwrap();
    let (mut stream, _) = listener.accept().unwrap();
    let mut name = [0; 64];
    assert_eq!(stream.read(&mut name).unwrap(), "/dev/ptmx".len());
    assert!(restored.init_process().unwrap().terminal().unwrap().is_none());
    end(restored);
}

/// With and without the option `shell_job`.
#[test]
fn a_terminal_of_the_callers_cannot_be_dumped_and_is_named() {
    let test = test_runtime();
    let data = test.data();
    let terminal = nix::pty::openpty(None, None).unwrap();
    let stdio = [Stdio::Null, Stdio::Fd(terminal.slave.as_raw_fd()), Stdio::Null];
    let container = test.run(&counter(&data), &ProcessOptions { stdio, ..ProcessOptions::default() }).unwrap();
    counts_on(&data);
    let place = std::fs::read_link(proc_of(&container, "fd/1")).unwrap();
    for shell_job in [false, true] {
        let options = berth::criu::CheckpointOptions { shell_job, ..into(&test.images("images")) };
        let error = container.checkpoint(&options).unwrap_err();
        assert_eq!(error.code, Code::Unsupported, "{error}");
        assert!(error.message.contains("descriptor 1 of container"), "{error}");
        assert!(error.message.contains(&format!("refers to {}, a terminal of the host", place.display())), "{error}");
        assert!(!test.images("images").exists());
        counts_on(&data);
    }
    end(container);
}

/// `shell_job` has no effect if the session belongs to the container.
#[test]
fn a_container_with_its_own_session_is_dumped_as_a_shell_job_too() {
    let test = test_runtime();
    let data = test.data();
    let config = counter(&data);
    let images = test.images("images");
    test.dumped(&config, &data, &berth::criu::CheckpointOptions { shell_job: true, ..into(&images) });
    let options = berth::criu::RestoreOptions { shell_job: true, ..from(&images) };
    let restored = test.restore(&config, &options).unwrap_or_else(|error| panic!("{error}\n{}", log_tail(&error)));
    counts_on(&data);
    end(restored);
}
