//! Spawns long-lived children: clone3(CLONE_VM | CLONE_VFORK) and execveat of the init image.
//!
//! The child shares the caller's memory until it executes, so no page table is copied and a caller with 50 GB spawns as
//! fast as a small one. Until then it may only make system calls with prepared arguments: no allocation, no lock, no
//! libc. Meanwhile the calling thread is suspended with all signals blocked, so that no handler of the caller can run
//! in the child; the other threads continue.

use std::ffi::CString;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::sync::Arc;

use berth_init::arch;
use berth_init::sys::{CLONE_ARGS, CLONE_CLEAR_SIGHAND, CLONE_INTO_CGROUP, CLONE_PIDFD, CloneArgs};
use nix::errno::Errno;

use super::image;
use super::vfork_env::{BlockedSignals, Stack};
use crate::error::{Error, Result};
use crate::sys::children::{self, ChildExit};

/// The new process, and its pidfd.
pub struct Child {
    pub pid: i32,
    pub pidfd: OwnedFd,
}

impl From<Child> for Arc<ChildExit> {
    fn from(child: Child) -> Arc<ChildExit> {
        Arc::new(ChildExit::new(child.pid, child.pidfd))
    }
}

/// The child's arguments, in the parent's memory.
struct ChildArgs {
    image: RawFd,
    keep: *const RawFd,
    keep_count: usize,
    argv: [*const libc::c_char; 4],
    envp: [*const libc::c_char; 1],
    /// The errno of a failure between clone and exec; 0 without one.
    errno: i32,
    /// Whether the call that failed was one before exec, that leaves a descriptor open.
    failed_to_keep: bool,
}

/// Starts berth-init with the plan in the file `plan`; it reports failures to `control`, its end of the control socket.
/// The descriptors `inherited` stay open in it.
pub fn spawn(
    plan: BorrowedFd,
    control: BorrowedFd,
    inherited: &[RawFd],
    flags: u64,
    cgroup: Option<BorrowedFd>,
) -> Result<Child> {
    let image = image::image()?;
    let [plan_number, control_number] =
        [plan, control].map(|fd| CString::new(fd.as_raw_fd().to_string()).unwrap_or_default());
    let keep: Vec<RawFd> = inherited.iter().copied().chain([plan.as_raw_fd()]).collect();
    let stack = Stack::new();
    let mut child_args = ChildArgs {
        image: image.as_raw_fd(),
        keep: keep.as_ptr(),
        keep_count: keep.len(),
        argv: [c"berth-init".as_ptr(), plan_number.as_ptr(), control_number.as_ptr(), std::ptr::null()],
        envp: [std::ptr::null()],
        errno: 0,
        failed_to_keep: false,
    };
    let mut pidfd: RawFd = -1;
    let mut args = CloneArgs {
        flags: flags | (libc::CLONE_VM | libc::CLONE_VFORK) as u64 | CLONE_PIDFD | CLONE_CLEAR_SIGHAND,
        pidfd: &raw mut pidfd as u64,
        exit_signal: libc::SIGCHLD as u64,
        stack: stack.start() as u64,
        stack_size: Stack::SIZE as u64,
        ..CLONE_ARGS
    };
    if let Some(cgroup) = cgroup {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = cgroup.as_raw_fd() as u64;
    }

    let blocked = BlockedSignals::new()?;
    // SAFETY: the stack is large enough for `child`, which never returns, accesses only `child_args` and the memory it
    // points to, and has exited or executed when clone3 returns here (CLONE_VFORK).
    let result = unsafe {
        arch::clone3_call(&raw const args as *const u8, size_of::<CloneArgs>(), child, &raw mut child_args as *mut u8)
    };
    drop(blocked);
    if result < 0 {
        return Err(Error::system(Errno::from_raw(-result as i32), "starting berth-init with clone3"));
    }
    // SAFETY: CLONE_PIDFD stored a new descriptor there that nobody else owns.
    let child = Child { pid: result as i32, pidfd: unsafe { OwnedFd::from_raw_fd(pidfd) } };
    // SAFETY: the child wrote them through the pointer above; volatile, because the compiler does not know of that.
    let (errno, failed_to_keep) = unsafe {
        ((&raw const child_args.errno).read_volatile(), (&raw const child_args.failed_to_keep).read_volatile())
    };
    if errno != 0 {
        children::reap_ending(child.into());
        let doing =
            if failed_to_keep { "leaving a descriptor open for berth-init with fcntl" } else { "executing berth-init" };
        return Err(Error::system(Errno::from_raw(errno), doing));
    }
    Ok(child)
}

/// Runs in the child between clone and exec, in the caller's memory.
extern "C" fn child(child_args: *mut u8) -> ! {
    let child_args = child_args as *mut ChildArgs;
    // SAFETY: the parent is suspended, and its memory is as `spawn` left it. Makes system calls only.
    unsafe {
        let mut index = 0;
        while index < (*child_args).keep_count {
            // Clear close-on-exec, in the child's own descriptor table only.
            let fd = *(*child_args).keep.add(index) as usize;
            let result = arch::syscall6(libc::SYS_fcntl as usize, fd, libc::F_SETFD as usize, 0, 0, 0, 0);
            if result < 0 {
                (&raw mut (*child_args).failed_to_keep).write_volatile(true);
                give_up(child_args, result);
            }
            index += 1;
        }
        let result = arch::syscall6(
            libc::SYS_execveat as usize,
            (*child_args).image as usize,
            c"".as_ptr() as usize,
            (&raw const (*child_args).argv) as usize,
            (&raw const (*child_args).envp) as usize,
            libc::AT_EMPTY_PATH as usize,
            0,
        );
        give_up(child_args, result);
    }
}

/// Stores the errno of a system call's result, and exits.
///
/// # Safety
///
/// Only for `child`, which has a valid pointer.
unsafe fn give_up(child_args: *mut ChildArgs, result: isize) -> ! {
    // SAFETY: as in `child`.
    unsafe {
        (&raw mut (*child_args).errno).write_volatile(-result as i32);
        loop {
            arch::syscall6(libc::SYS_exit as usize, 127, 0, 0, 0, 0, 0);
        }
    }
}
