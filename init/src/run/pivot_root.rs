//! The steps that move into the root filesystem: pivot_root(2), or what stands in for it.

use super::super::masks;
use super::super::steps::*;
use super::*;

/// After pivot_root(".", ".") the old root is mounted on the new one (pivot_root(2)). Only its propagation to the host
/// is stopped before it is unmounted: mounts of the container may be shared with the host on purpose.
impl Run for Pivot {
    fn run(self, init: &mut Init) -> Result<()> {
        let old = openat(AT_FDCWD, SLASH, O_PATH | O_DIRECTORY, 0)?;
        fchdir(init.root())?;
        pivot_root(DOT, DOT)?;
        fchdir(old)?;
        close(old);
        if self.cut_propagation != 0 {
            mount_flags(DOT, self.cut_propagation)?;
        }
        umount(DOT, MNT_DETACH)?;
        chdir(SLASH)
    }
}

impl Run for EnterRoot {
    fn run(self, init: &mut Init) -> Result<()> {
        fchdir(init.root())
    }
}

impl Run for Chroot {
    fn run(self, init: &mut Init) -> Result<()> {
        fchdir(init.root())?;
        chroot(DOT)
    }
}

impl Run for RootReadonly {
    fn run(self, init: &mut Init) -> Result<()> {
        masks::readonly_root(init.proc(), init.root())
    }
}

impl Run for HideHost {
    fn run(self, _: &mut Init) -> Result<()> {
        let mut index = 0;
        while let Some(path) = self.paths.get(index)? {
            masks::hide_host(path)?;
            index += 1;
        }
        Ok(())
    }
}

impl Run for MoveRoot {
    fn run(self, init: &mut Init) -> Result<()> {
        fchdir(init.root())?;
        attach_at(init.root(), SLASH)?;
        chroot(DOT)?;
        chdir(SLASH)
    }
}
