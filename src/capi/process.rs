//! A process of a container: its init, or an exec'd one.

use std::mem::MaybeUninit;

use super::args;
use super::boundary::{call, infallible};
use super::error::berth_error;
use crate::error::Context;
use crate::process::Process;
use crate::sys::exit_status::ExitStatus;

/// A process of a container. Release with berth_process_free.
pub struct berth_process(pub(super) Process);

/// How a process ended.
#[repr(i32)]
pub enum berth_exit {
    /// It exited: `code` is its exit status.
    Exited = 1,
    /// A signal killed it: `signal` is its number.
    Signaled = 2,
}

/// How a process ended, as in wait(2).
#[repr(C)]
#[derive(Clone, Copy)]
pub struct berth_exit_status {
    /// A BERTH_EXIT_... constant.
    pub kind: i32,
    /// The exit status, 0 to 255; else 0.
    pub code: i32,
    /// The signal that ended it; else 0.
    pub signal: i32,
    /// 1 if it left a core dump; else 0.
    pub core_dumped: i32,
}

impl From<ExitStatus> for berth_exit_status {
    fn from(status: ExitStatus) -> berth_exit_status {
        match status {
            ExitStatus::Exited(code) => {
                berth_exit_status { kind: berth_exit::Exited as i32, code, signal: 0, core_dumped: 0 }
            }
            ExitStatus::Signaled { signal, core_dumped } => berth_exit_status {
                kind: berth_exit::Signaled as i32,
                code: 0,
                signal,
                core_dumped: core_dumped.into(),
            },
        }
    }
}

/// Return the process's id in the caller's pid namespace. After the process has ended and was waited for, the number
/// may be reused; a pidfd is not affected.
#[unsafe(no_mangle)]
pub extern "C" fn berth_process_pid(
    process: Option<&berth_process>,
    pid: Option<&mut MaybeUninit<i32>>,
    error: Option<&mut MaybeUninit<*mut berth_error>>,
) -> i32 {
    call(error, || {
        let slot = args::out(pid, "pid")?;
        slot.write(args::handle(process, "process")?.0.pid());
        Ok(())
    })
}

/// Return a pidfd of the process (pidfd_open(2)), for the caller's poll(2) or epoll(7): it becomes readable when the
/// process has ended. The caller closes `fd`. Read the status with berth_process_wait, not with waitid(2).
#[unsafe(no_mangle)]
pub extern "C" fn berth_process_pidfd(
    process: Option<&berth_process>,
    fd: Option<&mut MaybeUninit<i32>>,
    error: Option<&mut MaybeUninit<*mut berth_error>>,
) -> i32 {
    call(error, || {
        let slot = args::out_fd(fd, "fd")?;
        let pidfd = args::handle(process, "process")?.0.pidfd();
        slot.write(args::into_raw(Some(pidfd.try_clone_to_owned().context(|| "duplicating the pidfd")?)));
        Ok(())
    })
}

/// Wait until the process has ended and return how. May be called repeatedly, and by several threads at once.
///
/// `status` is optional. Blocks up to `timeout_ms` without holding a lock, so every other call works in the meantime.
///
/// Waits only for this process, never for another child of the caller; a SIGCHLD handler is neither needed nor
/// affected. If the caller's own waitpid(-1) has consumed the status, or the process is another process's child, the
/// kernel is asked for it (PIDFD_GET_INFO, Linux 6.15).
///
/// Errors: BERTH_E_TIMEOUT if it has not ended yet; BERTH_E_STATUS_UNKNOWN if it has ended and its status is not
/// available.
#[unsafe(no_mangle)]
pub extern "C" fn berth_process_wait(
    process: Option<&berth_process>,
    timeout_ms: i64,
    status: Option<&mut MaybeUninit<berth_exit_status>>,
    error: Option<&mut MaybeUninit<*mut berth_error>>,
) -> i32 {
    call(error, || {
        let ended = args::handle(process, "process")?.0.wait(timeout_ms)?;
        status.map(|slot| slot.write(ended.into()));
        Ok(())
    })
}

/// Send a signal to the process (pidfd_send_signal(2)); 0 only checks whether it exists. Never signals another process
/// that has got the same id.
///
/// Errors: BERTH_E_NOT_RUNNING if the process has ended, BERTH_E_INVALID_ARGUMENT if there is no such signal.
#[unsafe(no_mangle)]
pub extern "C" fn berth_process_signal(
    process: Option<&berth_process>,
    signal: i32,
    error: Option<&mut MaybeUninit<*mut berth_error>>,
) -> i32 {
    call(error, || args::handle(process, "process")?.0.signal(signal))
}

/// Take the caller's ends of the pipes of BERTH_STDIO_PIPE: fds[0] writes to the process's standard input, fds[1] and
/// fds[2] read its output and error; -1 where there is none. Each end is returned once, for the caller to close; a
/// second call returns -1. Ends that are not taken are closed with the last handle of the process.
///
/// The ends are blocking; writing to a process that has closed its input raises SIGPIPE (pipe(7)).
///
/// cbindgen:ptrs-as-arrays=[[fds; 3]]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn berth_process_take_stdio(
    process: Option<&berth_process>,
    fds: *mut i32,
    error: Option<&mut MaybeUninit<*mut berth_error>>,
) -> i32 {
    call(error, || {
        // SAFETY: berth.h requires NULL or an array of three, which is the caller's own.
        let slots = unsafe { args::out_fds(fds, "fds") }?;
        slots.write(args::handle(process, "process")?.0.take_stdio().map(args::into_raw));
        Ok(())
    })
}

/// Return the master of the process's terminal (pty(7)), to read and write; -1 if the process has none, if it was sent
/// to a console socket, or if this handle did not start the process. The caller closes `fd`; each call returns a new
/// one.
#[unsafe(no_mangle)]
pub extern "C" fn berth_process_terminal(
    process: Option<&berth_process>,
    fd: Option<&mut MaybeUninit<i32>>,
    error: Option<&mut MaybeUninit<*mut berth_error>>,
) -> i32 {
    call(error, || {
        let slot = args::out_fd(fd, "fd")?;
        slot.write(args::into_raw(args::handle(process, "process")?.0.terminal()?));
        Ok(())
    })
}

/// Set the size of the process's terminal, in characters; its foreground processes receive SIGWINCH
/// (TIOCSWINSZ(2const)).
///
/// Errors: BERTH_E_INVALID_ARGUMENT if this handle has no terminal (see berth_process_terminal). The receiver of a
/// console socket resizes the terminal itself.
#[unsafe(no_mangle)]
pub extern "C" fn berth_process_resize_terminal(
    process: Option<&berth_process>,
    rows: u16,
    columns: u16,
    error: Option<&mut MaybeUninit<*mut berth_error>>,
) -> i32 {
    call(error, || args::handle(process, "process")?.0.resize_terminal(rows, columns))
}

/// Release a process handle, and the pipes and the terminal that were not taken. The process keeps running. A process
/// that was not waited for stays a zombie of the caller until a later call on its container, or the caller's end. NULL
/// is ignored.
#[unsafe(no_mangle)]
pub extern "C" fn berth_process_free(process: Option<Box<berth_process>>) {
    infallible((), || drop(process));
}
