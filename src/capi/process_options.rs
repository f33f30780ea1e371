//! Options for starting a process.

use std::ffi::c_char;

use super::args;
use super::boundary::infallible;
use super::sized::{self, Grows};
use crate::error::{Error, Result};
use crate::process::{Keyring, MissingProgram, Paused, ProcessOptions, Stdio};

/// The kind of a standard stream.
#[repr(i32)]
pub enum berth_stdio {
    /// The caller's own stream. The default.
    Inherit = 0,
    /// /dev/null.
    Null = 1,
    /// The caller's descriptor `fd`.
    Fd = 2,
    /// A new pipe; berth_process_take_stdio returns its other end.
    Pipe = 3,
}

/// One standard stream: a BERTH_STDIO_... constant, and for BERTH_STDIO_FD the descriptor (else 0).
///
/// As with runc, the user of the process becomes the owner of the pipe, file or socket, so that the program can open
/// /dev/stdout. Devices keep their owner, and so does whatever the caller may not change.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct berth_stream {
    pub kind: i32,
    pub fd: i32,
}

/// Options for starting a process, in addition to its OCI specification. Initialise with berth_process_options_init, or
/// with zeros and the size.
///
/// process.terminal in the specification decides whether the process has a terminal. If it has, its streams are the
/// terminal, and `stdio` must be left at its default.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct berth_process_options {
    /// sizeof(berth_process_options).
    pub size: usize,
    /// Standard input, output and error, by their descriptor's number: 0, 1, 2.
    pub stdio: [berth_stream; 3],
    /// `extra_fd_count` descriptors of the caller, which become the process's descriptors 3, 4 and so on. NULL if there
    /// are none.
    pub extra_fds: *const i32,
    pub extra_fd_count: usize,
    /// Path of a unix socket to which the terminal's master is sent (SCM_RIGHTS, unix(7)), as runc's --console-socket.
    /// NULL: berth_process_terminal returns the master.
    pub console_socket: *const c_char,
    /// Signal that the process receives when the thread that started it ends (PR_SET_PDEATHSIG(2const): the thread, not
    /// the program). 0: none.
    pub parent_death_signal: i32,
    /// BERTH_PROCESS_... flags.
    pub flags: u32,
    /// For berth_container_exec: `cgroup_count` cgroups below the container's own that the process joins. Each is
    /// "path", for all hierarchies, or "controller[,controller]:path", for the named ones. They must exist; ".." is
    /// refused. NULL: the container's own cgroup.
    pub cgroups: *const *const c_char,
    pub cgroup_count: usize,
}

/// For berth_process_options.flags, at create: the container's processes keep the session keyring (keyrings(7)) of the
/// process that starts them, instead of a new one.
pub const BERTH_PROCESS_INHERIT_KEYRING: u32 = 1;

/// For berth_process_options.flags, with berth_container_exec: if the container is paused, wait until it is resumed.
/// Fails with BERTH_E_TIMEOUT after the setup timeout.
pub const BERTH_PROCESS_WAIT_WHILE_PAUSED: u32 = 2;

/// For berth_process_options.flags, at create: fail (BERTH_E_SYSTEM with ENOENT) if the program does not exist, as runc
/// does, or with EISDIR if it is a directory. Without it only berth_container_start fails: until then hooks may provide
/// the program.
pub const BERTH_PROCESS_FIND_PROGRAM: u32 = 4;

/// For berth_process_options.flags, with process.terminal: newlines in the program's output stay as they are, because
/// ONLCR (termios(3)) is cleared, as runc does for a session in the foreground. The terminal on which the output is
/// shown must then have ONLCR itself.
pub const BERTH_PROCESS_PLAIN_NEWLINES: u32 = 8;

// SAFETY: repr(C), begins with its size; pointers and numbers that leave no gap.
unsafe impl Grows for berth_process_options {
    const NAME: &'static str = "berth_process_options";
    const FIRST: usize = 64;
}

const _: () = assert!(size_of::<berth_process_options>() == 80, "members are only added, at the end");

/// Initialise options with the defaults: zeros, and the size. `size` is sizeof(berth_process_options); nothing beyond
/// it is written. NULL is ignored.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn berth_process_options_init(options: *mut berth_process_options, size: usize) {
    // SAFETY: berth.h requires NULL or room for `size` bytes.
    infallible((), || unsafe { sized::init(options, size) });
}

/// Converts the options; NULL is the default.
///
/// # Safety
///
/// `options` is NULL, or points to options as berth.h describes them: with their size, and with arrays and strings that
/// are not changed during the call.
pub unsafe fn read(options: *const berth_process_options) -> Result<ProcessOptions> {
    // SAFETY: the same contract.
    let options = unsafe { sized::read(options) }?;
    // SAFETY: an array of `extra_fd_count` numbers by the contract.
    let extra_fds: Vec<i32> = unsafe { args::elements(options.extra_fds, options.extra_fd_count, "extra_fds") }?;
    // Most likely the result of an open(2) that has failed.
    if let Some(index) = extra_fds.iter().position(|fd| *fd == -1) {
        return Err(Error::invalid_argument(format!("extra_fds[{index}] is -1, which is not an open descriptor"))
            .with_errno(nix::errno::Errno::EBADF));
    }
    // SAFETY: NULL or a string by the contract.
    let console_socket = unsafe { args::optional_path(options.console_socket, "console_socket") }?;
    // SAFETY: an array of `cgroup_count` strings by the contract.
    let cgroups = unsafe { args::texts(options.cgroups, options.cgroup_count, "cgroups") }?;
    const KNOWN: u32 = BERTH_PROCESS_INHERIT_KEYRING
        | BERTH_PROCESS_WAIT_WHILE_PAUSED
        | BERTH_PROCESS_FIND_PROGRAM
        | BERTH_PROCESS_PLAIN_NEWLINES;
    let flags = args::flags(options.flags, KNOWN)?;
    let has = |flag: u32| flags & flag != 0;
    let [stdin, stdout, stderr] = options.stdio;
    Ok(ProcessOptions {
        stdio: [stream(stdin, 0)?, stream(stdout, 1)?, stream(stderr, 2)?],
        extra_fds,
        console_socket: console_socket.map(ToOwned::to_owned),
        plain_newlines: has(BERTH_PROCESS_PLAIN_NEWLINES),
        parent_death_signal: options.parent_death_signal,
        keyring: if has(BERTH_PROCESS_INHERIT_KEYRING) { Keyring::Inherit } else { Keyring::New },
        paused: if has(BERTH_PROCESS_WAIT_WHILE_PAUSED) { Paused::Wait } else { Paused::Refuse },
        missing_program: if has(BERTH_PROCESS_FIND_PROGRAM) {
            MissingProgram::AtCreate
        } else {
            MissingProgram::AtStart
        },
        cgroups,
    })
}

fn stream(given: berth_stream, index: usize) -> Result<Stdio> {
    const INHERIT: i32 = berth_stdio::Inherit as i32;
    const NULL: i32 = berth_stdio::Null as i32;
    const FD: i32 = berth_stdio::Fd as i32;
    const PIPE: i32 = berth_stdio::Pipe as i32;
    match (given.kind, given.fd) {
        (FD, fd) => Ok(Stdio::Fd(fd)),
        (INHERIT, 0 | -1) => Ok(Stdio::Inherit),
        (NULL, 0 | -1) => Ok(Stdio::Null),
        (PIPE, 0 | -1) => Ok(Stdio::Pipe),
        (INHERIT | NULL | PIPE, fd) => Err(Error::invalid_argument(format!(
            "stdio[{index}].fd is {fd}, but stdio[{index}].kind is not BERTH_STDIO_FD"
        ))),
        (kind, _) => {
            Err(Error::invalid_argument(format!("stdio[{index}].kind is {kind}; expected a BERTH_STDIO_... constant")))
        }
    }
}
