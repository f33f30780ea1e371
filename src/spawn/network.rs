//! Creates a network namespace in parallel with the rest of a create: the kernel needs a third of the total time for it
//! (0.4 of 1.3 ms), and another CPU can do that.
//!
//! Only a process that enters a new network namespace can create it, and no thread of the caller may leave its own. So
//! for half a millisecond a helper process shares the caller's memory (CLONE_VM, as between clone and exec, but without
//! suspending the caller). It makes system calls only, with prepared arguments: it creates the namespace, brings up the
//! loopback interface, sends the namespace to init and exits. It shares the caller's descriptor table (CLONE_FILES), so
//! that no copy holds descriptors open, and sends no signal when it exits, so that the caller's handlers and waitpid(2)
//! do not notice it.
//!
//! A failure of the helper is no error: init then creates a namespace itself.

use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

use berth_init::sys::{self, CLONE_ARGS, CLONE_CLEAR_SIGHAND, CLONE_NEWNET, CLONE_PIDFD, CloneArgs, Str};
use berth_init::{arch, loopback};

use super::init_channel::control_pair;
use super::vfork_env::{BlockedSignals, Stack};
use crate::deadline::Deadline;
use crate::error::{Error, Result};
use crate::sys::{exit_status, procfs};

/// A network namespace that is being created.
pub struct NewNetwork {
    /// init's end of the socket that the namespace is sent over.
    receiver: OwnedFd,
    helper: Option<NetnsHelper>,
}

/// The helper process and everything that it uses. Dropped only after the process has exited: until then the number of
/// `sender` must not be reused for another descriptor.
struct NetnsHelper {
    pidfd: OwnedFd,
    _stack: Stack,
    sender: OwnedFd,
}

/// The helper's arguments, in the caller's memory.
struct HelperArgs {
    proc: RawFd,
    sender: RawFd,
}

impl NewNetwork {
    /// Starts the helper, without waiting for it.
    pub fn begin() -> Result<NewNetwork> {
        let (receiver, sender) = control_pair()?;
        let stack = Stack::new();
        let helper_args = stack.start();
        // SAFETY: inside the stack, aligned, and far from the end that the stack is used from.
        unsafe {
            (helper_args as *mut HelperArgs)
                .write(HelperArgs { proc: procfs::root()?.as_raw_fd(), sender: sender.as_raw_fd() })
        };
        let mut pidfd: RawFd = -1;
        let args = CloneArgs {
            flags: (libc::CLONE_VM | libc::CLONE_FILES) as u64 | CLONE_PIDFD | CLONE_CLEAR_SIGHAND,
            pidfd: &raw mut pidfd as u64,
            stack: helper_args as u64,
            stack_size: Stack::SIZE as u64,
            ..CLONE_ARGS
        };
        let blocked = BlockedSignals::new()?;
        // SAFETY: the stack is large enough for `make`, which never returns and accesses only its arguments; both
        // remain until the process has exited.
        let result =
            unsafe { arch::clone3_call(&raw const args as *const u8, size_of::<CloneArgs>(), make, helper_args) };
        drop(blocked);
        if result < 0 {
            let errno = nix::errno::Errno::from_raw(-result as i32);
            return Err(Error::system(errno, "starting a process that creates a network namespace"));
        }
        exclude_current_cpu(result as libc::pid_t);
        // SAFETY: CLONE_PIDFD stored a new descriptor there that nobody else owns.
        let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
        Ok(NewNetwork { receiver, helper: Some(NetnsHelper { pidfd, _stack: stack, sender }) })
    }

    pub fn receiver(&self) -> RawFd {
        self.receiver.as_raw_fd()
    }

    /// Waits until the helper has exited. The namespace that it has sent waits in the socket for init.
    pub fn finish(&mut self, deadline: Deadline) {
        // The helper exits by itself. If it does not (a debugger has stopped it), leak the memory that it uses.
        const LONG: Duration = Duration::from_secs(10);
        let Some(helper) = self.helper.take() else { return };
        match deadline.within(LONG).readable(helper.pidfd.as_fd()) {
            Ok(true) => {
                // Reaps it; somebody else may have.
                let _ = exit_status::poll_state(&helper.pidfd);
                // If the helper was killed, init would wait for ever without this message.
                let _ = sys::send(helper.sender.as_raw_fd(), MESSAGE, None);
            }
            _ => std::mem::forget(helper),
        }
    }
}

impl Drop for NewNetwork {
    fn drop(&mut self) {
        self.finish(Deadline::NEVER);
    }
}

/// The message, with or without the namespace. init reads only the first one.
const MESSAGE: &[u8] = &[0];

/// Excludes the caller's current CPU from the helper's affinity, if there is another one: on the same CPU the helper
/// would run only when the caller waits.
fn exclude_current_cpu(pid: libc::pid_t) {
    // SAFETY: all-zero is a valid cpu_set_t; the calls get valid pointers and lengths, and `own` is below CPU_SETSIZE.
    unsafe {
        let mut processors: libc::cpu_set_t = std::mem::zeroed();
        let own = libc::sched_getcpu();
        if own < 0
            || own as usize >= libc::CPU_SETSIZE as usize
            || libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &mut processors) != 0
        {
            return;
        }
        libc::CPU_CLR(own as usize, &mut processors);
        libc::sched_setaffinity(pid, size_of::<libc::cpu_set_t>(), &processors);
    }
}

/// Runs in the helper, in the caller's memory and in parallel with it. Makes system calls only.
extern "C" fn make(helper_args: *mut u8) -> ! {
    // SAFETY: `begin` keeps the arguments until this process has exited, and nobody writes to them.
    let helper_args = unsafe { &*(helper_args as *const HelperArgs) };
    if sys::unshare(CLONE_NEWNET).is_ok() && loopback::bring_up().is_ok() {
        let namespace = sys::openat(helper_args.proc, Str::literal(c"self/ns/net"), sys::O_RDONLY, 0);
        if let Ok(namespace) = namespace {
            let sent = sys::send(helper_args.sender, MESSAGE, Some(namespace));
            sys::close(namespace);
            if sent.is_ok() {
                sys::exit(0)
            }
        }
    }
    // If this fails, too, the caller sends the message when it finds that this process has ended.
    let _ = sys::send(helper_args.sender, MESSAGE, None);
    sys::exit(1)
}
