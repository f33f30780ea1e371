//! Steps that assemble the root filesystem.

use super::super::fields::MountTarget;
use super::super::mounts::{self, Mounter};
use super::super::steps::*;
use super::super::{nodes, tree};
use super::*;

impl Init {
    fn mounter(&mut self, place: &Place) -> Result<Mounter<'_>> {
        Ok(Mounter {
            proc: self.proc(),
            top: self.top(place)?,
            top_is_root: place.base.is_none(),
            report: &mut self.report,
        })
    }

    fn keep_tree(&mut self, slot: Slot, tree: i32, recursive: bool, own_propagation: bool) -> Result<()> {
        self.fill(slot, tree)?;
        if own_propagation && !mounts::cut_off(tree, recursive)? {
            self.cut_off_later = true;
        }
        Ok(())
    }

    /// Makes a mounted tree a slave of the host's mounts, if that was not possible before it was mounted.
    fn cut_off(&self, tree: i32) -> Result<()> {
        if self.cut_off_later { mounts::cut_off_mounted(self.proc(), tree) } else { Ok(()) }
    }
}

impl Run for Propagation {
    fn run(self, _: &mut Init) -> Result<()> {
        mount_flags(self.path.as_str(), self.flags)
    }
}

impl Run for OpenTree {
    fn run(self, init: &mut Init) -> Result<()> {
        let tree = mounts::open_host_tree(self.path.as_str(), self.recursive, self.nofollow)?;
        init.keep_tree(self.slot, tree, self.recursive, self.own_propagation)
    }
}

impl Run for OpenInnerTree {
    fn run(self, init: &mut Init) -> Result<()> {
        let path = self.path.as_str();
        let tree = if init.root() >= 0 {
            mounts::open_tree_beneath(init.root(), path, self.recursive)?
        } else {
            let directory = openat(AT_FDCWD, self.rootfs.as_str(), O_PATH | O_DIRECTORY, 0)?;
            let tree = mounts::open_tree_beneath(directory, path, self.recursive);
            close(directory);
            tree?
        };
        init.keep_tree(self.slot, tree, self.recursive, self.own_propagation)
    }
}

impl Run for CheckDevice {
    fn run(self, init: &mut Init) -> Result<()> {
        mounts::check_device(init.slot(self.tree)?, &self)
    }
}

impl Run for CheckProcfs {
    fn run(self, init: &mut Init) -> Result<()> {
        mounts::check_procfs(init.slot(self.tree)?)
    }
}

impl Run for IdMap {
    fn run(self, init: &mut Init) -> Result<()> {
        map_owners(init.slot(self.tree)?, self.recursive, init.slot(self.namespace)?)
    }
}

impl Run for AttachRoot {
    fn run(self, init: &mut Init) -> Result<()> {
        let tree = init.slot(self.slot)?;
        mounts::attach_at_nearest(tree, self.path)?;
        init.cut_off(tree)?;
        init.fill(self.slot, -1)?;
        init.fill(Slot(SLOT_ROOT), tree)
    }
}

impl Run for AttachSharedRoot {
    fn run(self, init: &mut Init) -> Result<()> {
        let (base, tree) = (init.slot(self.base)?, init.slot(self.slot)?);
        attach_at(base, self.path.as_str())?;
        mounts::make_private(init.proc(), base)?;
        attach(tree, base)?;
        init.fill(self.slot, -1)?;
        init.fill(Slot(SLOT_ROOT), tree)?;
        mounts::make_private(init.proc(), tree)
    }
}

impl Run for DetachMount {
    fn run(self, init: &mut Init) -> Result<()> {
        mounts::detach(init.proc(), self.path.as_str(), self.id)
    }
}

impl Run for OpenRoot {
    fn run(self, init: &mut Init) -> Result<()> {
        let root = openat(AT_FDCWD, self.path.as_str(), O_PATH | O_DIRECTORY, 0)?;
        init.fill(Slot(SLOT_ROOT), root)
    }
}

impl Run for TakeRoot {
    fn run(self, init: &mut Init) -> Result<()> {
        let root = init.slot(self.slot)?;
        init.fill(Slot(SLOT_ROOT), root)
    }
}

impl Run for Mount {
    fn run(self, init: &mut Init) -> Result<()> {
        let id_map = self.id_map.map(|slot| init.slot(slot)).transpose()?;
        let MountTarget { place, kept } = self.target;
        let mount = init.mounter(&place)?.mount(&self, place.path, id_map)?;
        match kept {
            Some(slot) => init.fill(slot, mount),
            None => {
                close(mount);
                Ok(())
            }
        }
    }
}

impl Run for Attach {
    fn run(self, init: &mut Init) -> Result<()> {
        let tree = init.slot(self.slot)?;
        let MountTarget { place, kept } = self.target;
        init.mounter(&place)?.attach(tree, place.path, self.nofollow, self.attributes)?;
        init.cut_off(tree)?;
        init.fill(self.slot, -1)?;
        match kept {
            Some(slot) => init.fill(slot, tree),
            None => {
                close(tree);
                Ok(())
            }
        }
    }
}

impl Run for MountPropagation {
    fn run(self, init: &mut Init) -> Result<()> {
        init.mounter(&self.target)?.flags(self.target.path, self.flags)
    }
}

impl Run for Remount {
    fn run(self, init: &mut Init) -> Result<()> {
        init.mounter(&self.target)?.remount(self.target.path, self.attributes)
    }
}

impl Run for CountVersions {
    fn run(self, init: &mut Init) -> Result<()> {
        init.mounter(&self.target)?.flags(self.target.path, self.flags)
    }
}

impl Run for Reconfigure {
    fn run(self, init: &mut Init) -> Result<()> {
        init.mounter(&self.target)?.reconfigure(self.target.path, self.options)
    }
}

impl Run for Mask {
    fn run(self, init: &mut Init) -> Result<()> {
        let mut empty = init.slots[SLOT_MASK];
        init.mounter(&self.path)?.mask(self.path.path, &mut empty)?;
        init.fill(Slot(SLOT_MASK), empty)
    }
}

impl Run for ReadonlyPath {
    fn run(self, init: &mut Init) -> Result<()> {
        init.mounter(&self.path)?.readonly(self.path.path)
    }
}

impl Run for MakeNode {
    fn run(self, init: &mut Init) -> Result<()> {
        let node = nodes::Node { mode: self.mode, device: self.device, uid: self.uid, gid: self.gid };
        nodes::make_node(init.proc(), init.top(&self.parent)?, self.parent.path, self.name, node)
    }
}

impl Run for Symlink {
    fn run(self, init: &mut Init) -> Result<()> {
        let make = |parent| tree::make_symlink(parent, self.name, self.target);
        tree::in_directory(init.top(&self.parent)?, self.parent.path, make)
    }
}

impl Run for MakeDirectory {
    fn run(self, init: &mut Init) -> Result<()> {
        tree::make_directory(init.top(&self.path)?, self.path.path).map(close)
    }
}
