//! Runs a command with all processes that it starts under ptrace(2), counts their system calls, and makes one of them fail
//! or kills the process that makes it.
//!
//! A process is followed as long as it executes `berth` or berth-init: when it executes another program (a hook, CRIU, the
//! container's program), or when the command has ended, it is let go.

use std::collections::HashMap;
use std::ffi::CString;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

/// A place in the calls of a command: the `ordinal`-th call of the `process`-th process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub process: usize,
    pub ordinal: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    Fails(i32),
    Killed,
}

#[derive(Clone, Copy, Debug)]
pub struct Call {
    pub place: Place,
    pub number: i64,
    pub args: [u64; 6],
}

/// A command to be traced.
pub struct Traced<'a> {
    pub command: &'a [String],
    pub environment: &'a [String],
    /// A process of an earlier command that is traced, too: one that waits to be started.
    pub also: Option<i32>,
    pub output: &'a Path,
    pub longest: Duration,
}

/// What has become of the command.
#[derive(Debug)]
pub struct Outcome {
    /// As waitpid(2) says it.
    pub status: i32,
    pub calls: Vec<Call>,
    pub hit: Option<Call>,
    pub hung: bool,
}

#[derive(Default)]
struct Tracee {
    index: usize,
    ordinal: usize,
    fails: Option<i32>,
}

struct Tracer {
    main: i32,
    tracees: HashMap<i32, Tracee>,
    processes: usize,
    /// Whether the loader has finished, and the command's own code runs.
    began: bool,
    fault: Option<(Call, Fault)>,
    calls: Vec<Call>,
    hit: Option<Call>,
    /// Whether the fault has happened, so that there is nothing more to trace.
    happened: bool,
}

const OPTIONS: i32 = libc::PTRACE_O_TRACESYSGOOD
    | libc::PTRACE_O_TRACECLONE
    | libc::PTRACE_O_TRACEFORK
    | libc::PTRACE_O_TRACEVFORK
    | libc::PTRACE_O_TRACEEXEC
    | libc::PTRACE_O_EXITKILL;

/// Makes a ptrace(2) request that takes numbers. A tracee may have been killed meanwhile, so failures are no news.
fn request(what: libc::c_uint, pid: i32, data: usize) -> bool {
    // SAFETY: the requests that come here take no pointers.
    unsafe { libc::ptrace(what, pid, 0usize, data) == 0 }
}

fn event_message(pid: i32) -> i32 {
    let mut message: libc::c_ulong = 0;
    // SAFETY: the kernel writes one long.
    unsafe { libc::ptrace(libc::PTRACE_GETEVENTMSG, pid, 0usize, &raw mut message) };
    message as i32
}

fn registers(pid: i32) -> Option<libc::user_regs_struct> {
    // SAFETY: the struct has numbers only, and the kernel writes it.
    unsafe {
        let mut registers: libc::user_regs_struct = std::mem::zeroed();
        (libc::ptrace(libc::PTRACE_GETREGS, pid, 0usize, &raw mut registers) == 0).then_some(registers)
    }
}

fn set_registers(pid: i32, registers: &libc::user_regs_struct) {
    // SAFETY: the kernel reads the struct.
    unsafe { libc::ptrace(libc::PTRACE_SETREGS, pid, 0usize, std::ptr::from_ref(registers)) };
}

/// Returns whether the process is at the entry of a system call, not at its exit.
fn enters(pid: i32) -> bool {
    // SAFETY: the struct has numbers only, and the kernel writes it.
    unsafe {
        let mut info: libc::ptrace_syscall_info = std::mem::zeroed();
        let size = size_of::<libc::ptrace_syscall_info>();
        libc::ptrace(libc::PTRACE_GET_SYSCALL_INFO, pid, size, &raw mut info) > 0
            && info.op == libc::PTRACE_SYSCALL_INFO_ENTRY
    }
}

/// Returns whether the process executes `berth` or berth-init.
fn is_ours(pid: i32) -> bool {
    let program = std::fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
    program == Path::new(env!("CARGO_BIN_EXE_berth")) || program.to_string_lossy().contains("berth-init")
}

fn is_traced(pid: i32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    status.lines().any(|line| line.strip_prefix("TracerPid:").is_some_and(|tracer| tracer.trim() != "0"))
}

impl Traced<'_> {
    /// Runs the command until it ends, with at most one fault: at this call or, since the calls before it may be more than
    /// when it was counted, at the next one like it.
    pub fn run(&self, fault: Option<(Call, Fault)>) -> Outcome {
        let mut tracer = Tracer {
            main: 0,
            tracees: HashMap::new(),
            processes: 1,
            began: false,
            fault,
            calls: Vec::new(),
            hit: None,
            happened: false,
        };
        if let Some(pid) = self.also {
            tracer.attach(pid);
        }
        tracer.main = self.start();
        let status = tracer.follow(Instant::now() + self.longest);
        tracer.let_go();
        Outcome { status: status.unwrap_or(0), calls: tracer.calls, hit: tracer.hit, hung: status.is_none() }
    }

    /// Forks a process that executes the command when it is traced.
    fn start(&self) -> i32 {
        let strings = |texts: &[String]| -> Vec<CString> {
            texts.iter().map(|text| CString::new(text.as_bytes()).unwrap()).collect()
        };
        let (args, environment) = (strings(self.command), strings(self.environment));
        let pointers = |texts: &[CString]| -> Vec<*const libc::c_char> {
            texts.iter().map(|text| text.as_ptr()).chain([std::ptr::null()]).collect()
        };
        let (argv, envp) = (pointers(&args), pointers(&environment));
        let output = OwnedFd::from(std::fs::File::create(self.output).unwrap());
        let input = OwnedFd::from(std::fs::File::open("/dev/null").unwrap());
        let (ready, go) = std::io::pipe().unwrap();
        // SAFETY: this process has one thread, and the child makes only system calls on what was prepared.
        let pid = unsafe { libc::fork() };
        assert!(pid >= 0);
        if pid == 0 {
            // SAFETY: the descriptors are open, the arrays end with NULL, the byte is room for one.
            unsafe {
                let mut byte = 0u8;
                libc::dup2(input.as_raw_fd(), 0);
                libc::dup2(output.as_raw_fd(), 1);
                libc::dup2(output.as_raw_fd(), 2);
                libc::read(ready.as_raw_fd(), (&raw mut byte).cast(), 1);
                libc::execve(argv[0], argv.as_ptr(), envp.as_ptr());
                libc::_exit(127);
            }
        }
        assert!(request(libc::PTRACE_SEIZE, pid, OPTIONS as usize), "{}", std::io::Error::last_os_error());
        std::io::Write::write_all(&mut &go, b"g").unwrap();
        pid
    }
}

impl Tracer {
    fn attach(&mut self, pid: i32) {
        assert!(request(libc::PTRACE_SEIZE, pid, OPTIONS as usize), "{}", std::io::Error::last_os_error());
        self.register(pid);
        request(libc::PTRACE_INTERRUPT, pid, 0);
    }

    fn register(&mut self, pid: i32) {
        if pid == self.main {
            return;
        }
        self.tracees.entry(pid).or_insert_with(|| {
            self.processes += 1;
            Tracee { index: self.processes - 1, ..Tracee::default() }
        });
    }

    /// Returns the command's status; none if it has to be killed because it does not end.
    fn follow(&mut self, deadline: Instant) -> Option<i32> {
        self.tracees.insert(self.main, Tracee::default());
        let mut hung = false;
        loop {
            let Some((pid, status)) = wait_for_any() else {
                if Instant::now() > deadline {
                    hung = true;
                    // SAFETY: no memory is involved.
                    unsafe { libc::kill(self.main, libc::SIGKILL) };
                }
                continue;
            };
            if libc::WIFSTOPPED(status) {
                self.stopped(pid, status);
            } else {
                self.tracees.remove(&pid);
                if pid == self.main {
                    return (!hung).then_some(status);
                }
            }
        }
    }

    fn stopped(&mut self, pid: i32, status: i32) {
        let (signal, event) = (libc::WSTOPSIG(status), status >> 16);
        self.register(pid);
        match event {
            libc::PTRACE_EVENT_CLONE | libc::PTRACE_EVENT_FORK | libc::PTRACE_EVENT_VFORK => {
                self.register(event_message(pid));
            }
            libc::PTRACE_EVENT_EXEC if !is_ours(pid) => {
                self.tracees.remove(&pid);
                request(libc::PTRACE_DETACH, pid, 0);
                return;
            }
            libc::PTRACE_EVENT_STOP if signal != libc::SIGTRAP => {
                request(libc::PTRACE_LISTEN, pid, 0);
                return;
            }
            0 if signal == libc::SIGTRAP | 0x80 => self.calls(pid),
            0 => return self.go_on(pid, signal),
            _ => {}
        }
        self.go_on(pid, 0);
    }

    /// Lets a stopped process continue, and goes when the fault has happened.
    fn go_on(&mut self, pid: i32, signal: i32) {
        let how = if self.happened { libc::PTRACE_DETACH } else { libc::PTRACE_SYSCALL };
        if self.happened {
            self.tracees.remove(&pid);
        }
        request(how, pid, signal as usize);
    }

    /// Handles the entry or exit of a system call.
    fn calls(&mut self, pid: i32) {
        let Some(mut registers) = registers(pid) else { return };
        let tracee = self.tracees.get_mut(&pid).expect("registered");
        if !enters(pid) {
            if let Some(errno) = tracee.fails.take() {
                registers.rax = (-i64::from(errno)) as u64;
                set_registers(pid, &registers);
                self.happened = true;
            }
            return;
        }
        let number = registers.orig_rax as i64;
        if pid == self.main && !self.began {
            // The loader's calls come before: `berth` begins with the signals.
            self.began = number == libc::SYS_rt_sigaction;
            return;
        }
        tracee.ordinal += 1;
        let place = Place { process: tracee.index, ordinal: tracee.ordinal };
        let args = [registers.rdi, registers.rsi, registers.rdx, registers.r10, registers.r8, registers.r9];
        let call = Call { place, number, args };
        self.calls.push(call);
        let is_it =
            |at: &Call| at.number == number && at.place.process == place.process && at.place.ordinal <= place.ordinal;
        let Some((_, fault)) = self.fault.filter(|(at, _)| !self.happened && self.hit.is_none() && is_it(at)) else {
            return;
        };
        self.hit = Some(call);
        match fault {
            // SAFETY: no memory is involved.
            Fault::Killed => unsafe {
                libc::kill(pid, libc::SIGKILL);
                self.happened = true;
            },
            Fault::Fails(errno) => {
                tracee.fails = Some(errno);
                registers.orig_rax = u64::MAX;
                set_registers(pid, &registers);
            }
        }
    }

    /// Detaches from what the command leaves running.
    fn let_go(&mut self) {
        for pid in self.tracees.keys() {
            request(libc::PTRACE_INTERRUPT, *pid, 0);
        }
        while !self.tracees.is_empty() {
            let Some((pid, status)) = wait_for_any() else {
                // A child may stop, and be let go, before its parent's event registers it once more.
                self.tracees.retain(|pid, _| is_traced(*pid));
                continue;
            };
            let known = self.tracees.contains_key(&pid);
            if !libc::WIFSTOPPED(status) {
                self.tracees.remove(&pid);
                continue;
            }
            let (signal, event) = (libc::WSTOPSIG(status), status >> 16);
            if matches!(event, libc::PTRACE_EVENT_CLONE | libc::PTRACE_EVENT_FORK | libc::PTRACE_EVENT_VFORK) {
                let child = event_message(pid);
                self.register(child);
            }
            if let Some(errno) = self.tracees.remove(&pid).and_then(|tracee| tracee.fails)
                && let Some(mut registers) = registers(pid)
            {
                registers.rax = (-i64::from(errno)) as u64;
                set_registers(pid, &registers);
            }
            let pending = if event == 0 && signal != libc::SIGTRAP | 0x80 && known { signal } else { 0 };
            request(libc::PTRACE_DETACH, pid, pending as usize);
        }
    }
}

/// Waits for a child or tracee; none if a timer's signal comes first.
fn wait_for_any() -> Option<(i32, i32)> {
    let mut status = 0;
    // SAFETY: the kernel writes one status.
    let pid = unsafe { libc::waitpid(-1, &raw mut status, libc::__WALL) };
    (pid > 0).then_some((pid, status))
}

/// Interrupts waiting every second.
pub fn tick() {
    extern "C" fn nothing(_: libc::c_int) {}
    // SAFETY: the handler does nothing, and the structs live as long as the calls.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = nothing as extern "C" fn(libc::c_int) as usize;
        libc::sigaction(libc::SIGALRM, &raw const action, std::ptr::null_mut());
        let second = libc::timeval { tv_sec: 1, tv_usec: 0 };
        let timer = libc::itimerval { it_interval: second, it_value: second };
        libc::setitimer(libc::ITIMER_REAL, &raw const timer, std::ptr::null_mut());
    }
}
