//! Runs the scenarios of ../list in its order through the crate, with the helpers of the integration tests.

mod checkpoint;
#[path = "../../common/mod.rs"]
mod common;
mod errors;
mod facts;
mod lifecycle;
mod running;
mod streams;

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::process::ExitCode;
use std::sync::Mutex;

use berth::{Code, Container, Error, ExitStatus, Process};
use common::*;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

type Scenario = (&'static str, fn(&TestRuntime));

/// The panic payload that skips a scenario; names what the machine lacks.
struct Skip(String);

fn skip(why: &str) -> ! {
    panic_any(Skip(why.into()))
}

/// Checks that the call fails with this code and message part.
#[track_caller]
fn fails<T>(code: Code, part: &str, result: berth::Result<T>) -> Error {
    let Err(error) = result else { panic!("no error, where {code:?} was expected") };
    assert_eq!(error.code, code, "{error}");
    assert!(error.message.contains(part) && !error.message.contains('\n'), "{error}");
    error
}

fn execute(container: &Container, script: &str) -> Process {
    container.exec(&parsed(&shell_process(script)), &quiet()).unwrap()
}

/// Things that exit and can be waited for.
trait Ends {
    fn end(&self) -> ExitStatus;
}

impl Ends for Container {
    fn end(&self) -> ExitStatus {
        self.wait(LONG).unwrap()
    }
}

impl Ends for Process {
    fn end(&self) -> ExitStatus {
        self.wait(LONG).unwrap()
    }
}

const KILLED: ExitStatus = ExitStatus::Signaled { signal: libc::SIGKILL, core_dumped: false };

fn text_of(fd: Option<OwnedFd>) -> String {
    let mut text = String::new();
    File::from(fd.unwrap()).read_to_string(&mut text).unwrap();
    text
}

fn is_readable(fd: impl AsFd, timeout: PollTimeout) -> bool {
    poll(&mut [PollFd::new(fd.as_fd(), PollFlags::POLLIN)], timeout).unwrap() == 1
}

fn long() -> PollTimeout {
    PollTimeout::try_from(LONG as i32).unwrap()
}

/// Reads until the text appears.
fn read_until(mut master: &File, text: &str) {
    let mut seen = Vec::new();
    while !String::from_utf8_lossy(&seen).contains(text) {
        let mut part = [0; 512];
        let count = if is_readable(master, long()) { master.read(&mut part).unwrap() } else { 0 };
        assert!(count > 0, "{text:?} is not in {:?}", String::from_utf8_lossy(&seen));
        seen.extend(&part[..count]);
    }
}

fn write(mut to: &File, text: &str) {
    to.write_all(text.as_bytes()).unwrap();
}

fn is_cloexec(fd: &impl AsFd) -> bool {
    use nix::fcntl::{FcntlArg, FdFlag, fcntl};
    FdFlag::from_bits_truncate(fcntl(fd, FcntlArg::F_GETFD).unwrap()).contains(FdFlag::FD_CLOEXEC)
}

fn main() -> ExitCode {
    static WHERE: Mutex<String> = Mutex::new(String::new());
    std::panic::set_hook(Box::new(|info| {
        *WHERE.lock().unwrap() = info.location().map_or(String::new(), ToString::to_string);
    }));
    let mut good = true;
    for (name, scenario) in
        [lifecycle::ALL, streams::ALL, running::ALL, facts::ALL, checkpoint::ALL, errors::ALL].concat()
    {
        let Err(why) = catch_unwind(AssertUnwindSafe(|| scenario(&TestRuntime::new()))) else {
            println!("ok {name}");
            continue;
        };
        if let Some(Skip(why)) = why.downcast_ref() {
            println!("skip {name}: {why}");
            continue;
        }
        good = false;
        let what = why.downcast_ref::<String>().map(String::as_str).or(why.downcast_ref::<&str>().copied());
        println!("not ok {name}: {}: {}", WHERE.lock().unwrap(), what.unwrap_or_default().replace('\n', " "));
    }
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
