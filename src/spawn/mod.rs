//! Making processes: the init image, clone3, and the channel with init until it has become what it shall be.

mod clone;
mod image;
mod init_channel;
mod network;
mod seccomp_diagnosis;
mod vfork_env;
mod wait;

use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use berth_init::wire::{SLOT_CONTROL, SLOT_FREE, SLOT_PROC};
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::stat::Mode;
use nix::sys::statfs::fstatfs;
use once_cell::sync::OnceCell;

pub use clone::Child;
pub use image::identity as init_image;
pub use init_channel::{InitChannel, SIGNAL, Spawned, failure, parse, start};
pub use network::NewNetwork;
pub use seccomp_diagnosis::check_executed;
pub use wait::{ExitStatus, Look, look, wait, wait_with};

use crate::children;
use crate::children::ChildExit;
use crate::deadline::Deadline;
use crate::error::{Code, Context, Error, Result};
use crate::plan::Descriptor;

/// What a spawn needs beside its plan. Descriptors stay the caller's.
pub struct Launch<'a> {
    /// What becomes 0, 1, 2, and the extra descriptors after them.
    pub low: &'a [RawFd],
    /// Finds the descriptor behind a slot; -1 for those that init fills.
    pub open: &'a dyn Fn(&Descriptor) -> RawFd,
    pub cgroup: Option<BorrowedFd<'a>>,
    pub proc: BorrowedFd<'a>,
    /// What a `NetworkNamespace` step takes.
    pub network: Option<NewNetwork>,
}

fn fixed_slots(control: RawFd, proc: BorrowedFd) -> [RawFd; SLOT_FREE] {
    let mut slots = [-1; SLOT_FREE];
    slots[SLOT_CONTROL] = control;
    slots[SLOT_PROC] = proc.as_raw_fd();
    slots
}

fn plan_file(bytes: &[u8]) -> Result<OwnedFd> {
    let fd = memfd_create(c"berth-plan", MFdFlags::MFD_CLOEXEC).context(|| "making a memory file for the plan")?;
    let mut file = File::from(fd);
    file.write_all(bytes).context(|| "writing the plan")?;
    Ok(file.into())
}

/// The host's procfs, verified once per process: a root of procfs and nothing mounted in its place.
pub fn proc() -> Result<BorrowedFd<'static>> {
    static PROC: OnceCell<OwnedFd> = OnceCell::new();
    PROC.get_or_try_init(open_proc).map(|fd| fd.as_fd())
}

fn open_proc() -> Result<OwnedFd> {
    const PROC_ROOT_INO: u64 = 1;
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let fd = open("/proc", flags, Mode::empty()).context(|| "opening /proc")?;
    let kind = fstatfs(&fd).context(|| "looking at /proc")?.filesystem_type();
    let root = nix::sys::stat::fstat(&fd).context(|| "looking at /proc")?;
    if kind != nix::sys::statfs::PROC_SUPER_MAGIC || root.st_ino != PROC_ROOT_INO {
        return Err(Error::new(Code::Unsupported, "/proc is not the root of a proc filesystem"));
    }
    Ok(fd)
}

/// Ends a child that must not go on.
pub fn kill_and_reap(child: Arc<ChildExit>) {
    child.kill();
    reap(child);
}

/// Takes the status of a child that ends at once. One that the freezer holds dies when it is let go, and is reaped by
/// a later call.
fn reap(child: Arc<ChildExit>) {
    const MOMENT: Duration = Duration::from_millis(500);
    if child.wait_until(Deadline::after(MOMENT)).is_err_and(|error| error.code == Code::Timeout) {
        children::keep(Path::new(""), child);
    }
}

/// pidfd_send_signal(2): the process that the descriptor means, never another one of the same pid.
pub fn send_signal(pidfd: &OwnedFd, signal: i32) -> Result<(), Errno> {
    // SAFETY: no pointer but NULL.
    let result = unsafe {
        libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_raw_fd(), signal, std::ptr::null::<libc::siginfo_t>(), 0)
    };
    Errno::result(result).map(|_| ())
}
