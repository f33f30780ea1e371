//! A network namespace made beside all else that a create does: it takes the kernel a third of the whole (0.4 of 1.3 ms),
//! and another processor can do that.
//!
//! Namespaces are made by whoever is to be in them, and no thread of the host may leave its own. So for half a millisecond
//! there is a process in the host's memory (CLONE_VM, as between clone and exec, but without the host standing still) that
//! makes system calls only, on what was prepared before: it makes the namespace, brings up the loopback interface, sends the
//! namespace to init and ends. It has the host's table of descriptors (CLONE_FILES), so that none of them is held open by a
//! copy, and no signal for its end, so that the host's handlers and waitpid(2) do not see it.
//!
//! Whatever goes wrong with it is no error: init makes a namespace itself when none comes.

use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

use berth_init::sys::{self, CLONE_ARGS, CLONE_CLEAR_SIGHAND, CLONE_NEWNET, CLONE_PIDFD, CloneArgs, Str};
use berth_init::{arch, loopback};

use super::init_channel::control_pair;
use super::vfork_env::{BlockedSignals, Stack};
use crate::deadline::Deadline;
use crate::error::{Error, Result};
use crate::sys::{pidfd, procfs};

/// A network namespace under way.
pub struct NewNetwork {
    /// init's end of the socket that it comes through.
    receiver: OwnedFd,
    helper: Option<NetnsHelper>,
}

/// The process that makes it, and all that it uses. Dropped when it has ended: the number of `sender` may not become another
/// descriptor's before.
struct NetnsHelper {
    pidfd: OwnedFd,
    _stack: Stack,
    sender: OwnedFd,
}

/// What it finds in the host's memory.
struct HelperArgs {
    proc: RawFd,
    sender: RawFd,
}

impl NewNetwork {
    /// Returns at once.
    pub fn begin() -> Result<NewNetwork> {
        let (receiver, sender) = control_pair()?;
        let stack = Stack::new();
        let order = stack.start();
        // SAFETY: inside the stack, aligned, and far from where it is used.
        unsafe {
            (order as *mut HelperArgs)
                .write(HelperArgs { proc: procfs::root()?.as_raw_fd(), sender: sender.as_raw_fd() })
        };
        let mut pidfd: RawFd = -1;
        let args = CloneArgs {
            flags: (libc::CLONE_VM | libc::CLONE_FILES) as u64 | CLONE_PIDFD | CLONE_CLEAR_SIGHAND,
            pidfd: &raw mut pidfd as u64,
            stack: order as u64,
            stack_size: Stack::SIZE as u64,
            ..CLONE_ARGS
        };
        let blocked = BlockedSignals::new()?;
        // SAFETY: the stack is large enough for `make`, which never returns and touches nothing but the order; both stay
        // until the process has ended.
        let result = unsafe { arch::clone3_call(&raw const args as *const u8, size_of::<CloneArgs>(), make, order) };
        drop(blocked);
        if result < 0 {
            let errno = nix::errno::Errno::from_raw(-result as i32);
            return Err(Error::system(errno, "starting a process that makes a network namespace"));
        }
        exclude_current_cpu(result as libc::pid_t);
        // SAFETY: CLONE_PIDFD put a descriptor there that nobody else owns.
        let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
        Ok(NewNetwork { receiver, helper: Some(NetnsHelper { pidfd, _stack: stack, sender }) })
    }

    pub fn receiver(&self) -> RawFd {
        self.receiver.as_raw_fd()
    }

    /// Waits until there is no process any more. What it has made waits for init in the socket.
    pub fn finish(&mut self, deadline: Deadline) {
        // It ends by itself. Should it not (a debugger has stopped it), what it stands on stays for ever.
        const LONG: Duration = Duration::from_secs(10);
        let Some(helper) = self.helper.take() else { return };
        match deadline.within(LONG).readable(helper.pidfd.as_fd()) {
            Ok(true) => {
                let _ = pidfd::look(&helper.pidfd);
                // Had it been killed, init would wait for ever.
                let _ = sys::send(helper.sender.as_raw_fd(), WORD, None);
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

/// What is sent, with the namespace or without. init hears the first word only.
const WORD: &[u8] = &[0];

/// Off the processor that the caller is on, if there is another one: there it would wait until the caller does.
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

/// In the host's memory, beside it: system calls only.
extern "C" fn make(order: *mut u8) -> ! {
    // SAFETY: `begin` keeps it until this process has ended, and nobody writes to it.
    let order = unsafe { &*(order as *const HelperArgs) };
    if sys::unshare(CLONE_NEWNET).is_ok() && loopback::bring_up().is_ok() {
        let namespace = sys::openat(order.proc, Str::literal(c"self/ns/net"), sys::O_RDONLY, 0);
        if let Ok(namespace) = namespace {
            let sent = sys::send(order.sender, WORD, Some(namespace));
            sys::close(namespace);
            if sent.is_ok() {
                sys::exit(0)
            }
        }
    }
    let _ = sys::send(order.sender, WORD, None);
    sys::exit(1)
}
