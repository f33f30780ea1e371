//! Makes a restored root filesystem read-only again: CRIU before version 4.2 ignores the flags of the root's mount.

use std::os::fd::AsRawFd;

use nix::fcntl::OFlag;

use super::verify::gone;
use crate::deadline::Deadline;
use crate::error::Result;
use crate::plan::{self, Descriptor, Plan, Step};
use crate::spawn::{self, Launch};
use crate::sys::procfs;

/// `pid`: a process of the container, which is stopped.
pub fn restore(plan: &Plan, pid: i32, deadline: Deadline) -> Result<()> {
    if !plan.steps.iter().any(|step| matches!(step, Step::RootReadonly)) {
        return Ok(());
    }
    let namespace = procfs::open_optional(&format!("{pid}/ns/mnt"), OFlag::O_RDONLY)?.ok_or_else(|| gone(pid))?;
    let helper = plan::root_readonly();
    let open = |descriptor: &Descriptor| match descriptor {
        Descriptor::Joined(0) => namespace.as_raw_fd(),
        _ => -1,
    };
    let launch = Launch { low: &[], open: &open, cgroup: None, proc: procfs::root()?, network: None };
    spawn::start(&helper, launch)?.reached(deadline)
}
