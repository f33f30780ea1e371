//! `main` for test programs with `harness = false`. It runs the tests one after the other; a test can run this same
//! program again as a separate caller process, which it may kill, limit or filter.

use std::os::fd::OwnedFd;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

pub type Test = (&'static str, fn());
pub type Caller = (&'static str, fn(&[String]));

/// Runs the caller that the arguments name, or else the tests that match the filters in the arguments.
pub fn main(tests: &[Test], callers: &[Caller]) {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let Some("--caller") = args.first().map(String::as_str) {
        let caller =
            callers.iter().find(|caller| Some(caller.0) == args.get(1).map(String::as_str)).expect("a caller's name");
        return (caller.1)(&args[2..]);
    }
    if args.iter().any(|arg| arg == "--list") {
        tests.iter().for_each(|test| println!("{}: test", test.0));
        return;
    }
    if args.first().map(String::as_str) != Some("--tests") {
        std::process::exit(reaper(&args));
    }
    let args = &args[1..];
    let filters: Vec<&String> = args.iter().filter(|arg| !arg.starts_with('-')).collect();
    let mut failed = Vec::new();
    let mut passed = 0;
    for (name, test) in tests {
        if !filters.is_empty() && !filters.iter().any(|filter| name.contains(filter.as_str())) {
            continue;
        }
        let began = Instant::now();
        let ok = std::panic::catch_unwind(test).is_ok();
        println!("test {name} ... {} ({:.1} s)", if ok { "ok" } else { "FAILED" }, began.elapsed().as_secs_f64());
        if ok { passed += 1 } else { failed.push(*name) }
    }
    // The same format as Rust's test harness, so that scripts can sum the results.
    let result = if failed.is_empty() { "ok" } else { "FAILED" };
    println!("\ntest result: {result}. {passed} passed; {} failed; {failed:?}", failed.len());
    std::process::exit(i32::from(!failed.is_empty()));
}

/// Runs the tests in a child process and reaps the orphans of killed callers (PR_SET_CHILD_SUBREAPER), because PID 1 of
/// the machine may be slow to reap them.
fn reaper(args: &[String]) -> i32 {
    // SAFETY: the call takes no pointers.
    assert_eq!(unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) }, 0);
    let mut tests = Command::new(std::env::current_exe().unwrap());
    let tests = tests.arg("--tests").args(args).spawn().unwrap().id() as i32;
    loop {
        let mut status = 0;
        // SAFETY: `status` is room for one.
        let pid = unsafe { libc::waitpid(-1, &mut status, libc::__WALL) };
        if pid == tests || pid < 0 {
            super::leftovers::sweep(&format!("-{tests}-"));
            return if libc::WIFEXITED(status) { libc::WEXITSTATUS(status) } else { 1 };
        }
    }
}

/// A running caller process. Killed and reaped on drop.
pub struct Running(pub Child);

pub fn caller(name: &str, args: &[&str]) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.arg("--caller").arg(name).args(args);
    command
}

pub fn start(command: &mut Command) -> Running {
    Running(command.spawn().unwrap())
}

impl Running {
    /// Waits until the process exits; panics after [`LONG`](super::LONG).
    pub fn end(&mut self) -> ExitStatus {
        let deadline = Instant::now() + Duration::from_millis(super::LONG as u64);
        loop {
            match self.0.try_wait().unwrap() {
                Some(status) => return status,
                None if Instant::now() > deadline => panic!("the caller process hangs: {}", stacks(self.0.id())),
                None => std::thread::sleep(Duration::from_millis(2)),
            }
        }
    }

    pub fn kill(&mut self) -> ExitStatus {
        let _ = self.0.kill();
        self.0.wait().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Runs a caller that must exit with 0, and returns its output.
pub fn run(command: &mut Command) -> String {
    use std::io::Read;
    let (mut reader, writer) = std::io::pipe().unwrap();
    command.stdin(Stdio::null()).stdout(writer.try_clone().unwrap()).stderr(OwnedFd::from(writer));
    let mut running = start(command);
    // Drop the command's copies of the pipe's write end, or the reader never sees end of file.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let text = std::thread::spawn(move || {
        let mut text = String::new();
        let _ = reader.read_to_string(&mut text);
        text
    });
    let status = running.end();
    let text = text.join().unwrap();
    assert!(status.success(), "{status}: {text}");
    text
}

/// Describes in which system call each thread of a process is, for the message about one that hangs.
fn stacks(pid: u32) -> String {
    let Ok(tasks) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return String::new() };
    let one = |task: std::fs::DirEntry| {
        let read = |name: &str| std::fs::read_to_string(task.path().join(name)).unwrap_or_default().trim().to_owned();
        format!("{} in {} ({})", read("comm"), read("wchan"), read("syscall"))
    };
    tasks.flatten().map(one).collect::<Vec<_>>().join("; ")
}
