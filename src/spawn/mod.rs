//! Creates processes: the init image, clone3, and the channel to init during setup.

mod clone;
mod image;
mod init_channel;
mod init_handles;
mod network;
mod seccomp_diagnosis;
mod vfork_env;

use std::fs::File;
use std::io::Write;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};

use berth_init::wire::{SLOT_CONTROL, SLOT_FREE, SLOT_PROC};
use nix::sys::memfd::{MFdFlags, memfd_create};

pub use clone::Child;
pub use image::identity as init_image;
pub use init_channel::{InitChannel, SIGNAL, Spawned, failure, parse, start};
pub use init_handles::{InitHandles, Needs as HandleNeeds, RootOf};
pub use network::NewNetwork;
pub use seccomp_diagnosis::check_executed;

use crate::error::{Context, Result};
use crate::plan::Descriptor;

/// The arguments of a spawn beside its plan. The caller keeps the descriptors.
pub struct Launch<'a> {
    /// The descriptors that become 0, 1, 2 and, after them, the extra descriptors.
    pub low: &'a [RawFd],
    /// Returns the descriptor for a slot, or -1 for slots that init fills.
    pub open: &'a dyn Fn(&Descriptor) -> RawFd,
    pub cgroup: Option<BorrowedFd<'a>>,
    pub proc: BorrowedFd<'a>,
    /// The network namespace for a `NetworkNamespace` step.
    pub network: Option<NewNetwork>,
}

fn fixed_slots(control: RawFd, proc: BorrowedFd) -> [RawFd; SLOT_FREE] {
    let mut slots = [-1; SLOT_FREE];
    slots[SLOT_CONTROL] = control;
    slots[SLOT_PROC] = proc.as_raw_fd();
    slots
}

fn plan_file(bytes: &[u8]) -> Result<OwnedFd> {
    let fd = memfd_create(c"berth-plan", MFdFlags::MFD_CLOEXEC).context(|| "creating a memory file for the plan")?;
    let mut file = File::from(fd);
    file.write_all(bytes).context(|| "writing the plan")?;
    Ok(file.into())
}
