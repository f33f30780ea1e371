//! Files that processes have open and that have no name any more: CRIU creates them with a name at a restore ("ghost
//! files") and removes the name again. On a bind mount of the configuration that happens in a directory of the host.
//!
//! So the images are checked first: a device node or a set-id file must not appear there, not even for a moment, that the
//! container could not have made. And what CRIU did not remove is removed after a failed restore.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{CString, OsStr};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nix::fcntl::{OFlag, OpenHow, ResolveFlag, open, openat2};
use nix::sys::stat::{Mode, major, minor};
use nix::unistd::{UnlinkatFlags, unlinkat};

use super::ImageDir;
use super::image::{first, messages, mismatch};
use super::image_dir::names;
use crate::cgroup::device_rules::{self, Access, Kind};
use crate::error::{Context, Result};
use crate::plan::{Plan, Step};
use crate::spec::Config;
use crate::spec::capabilities::{self, Sets};
use crate::spec::mount_attributes::MOUNT_ATTR_RDONLY;

const MAX_GHOSTS: usize = 100_000;
const MAX_FILES: usize = 2_000_000;
/// More than the header and the entry of a ghost file, which its content follows.
const START: u64 = 4096;

/// Fields of ghost_file_entry.
const MODE: u32 = 3;
const DEVICE: u32 = 6;

/// Checks that the container could have made the ghost files in the images.
pub fn check_ghosts(images: &ImageDir, config: &Config) -> Result<()> {
    let names = images.images("ghost-file-")?;
    if names.len() > MAX_GHOSTS {
        return Err(mismatch(format!("there are {} ghost files", names.len())));
    }
    let spec = config.spec();
    let may_make =
        spec.process().as_ref().is_some_and(|process| Sets::of(process).bounding & capabilities::bit("CAP_MKNOD") != 0);
    let resources = spec.linux().as_ref().and_then(|linux| linux.resources().as_ref());
    let rules = device_rules::complete(resources.and_then(|resources| resources.devices().as_deref()))?;
    for name in names {
        let bytes = images.read_start(&name, START)?;
        let ghost = first(&name, &bytes)?;
        let (mode, device) = (ghost.number(MODE) as u32, ghost.number(DEVICE));
        let kind = match mode & libc::S_IFMT {
            libc::S_IFBLK => Some(Kind::Block),
            libc::S_IFCHR => Some(Kind::Char),
            _ => None,
        };
        if let Some(kind) = kind {
            let (major, minor) = (major(device) as u32, minor(device) as u32);
            if !may_make || !device_rules::allows(&rules, kind, major, minor, Access::MKNOD) {
                return Err(mismatch(format!(
                    "{name} is the device {major}:{minor}, which the container may not make"
                )));
            }
        }
        if mode & libc::S_IFMT == libc::S_IFREG && mode & (libc::S_ISUID | libc::S_ISGID) != 0 {
            return Err(mismatch(format!("{name} has the mode {:04o}, with set-id bits", mode & 0o7777)));
        }
    }
    Ok(())
}

/// The directories of the host in which CRIU gives ghost files a name.
#[derive(Default)]
pub struct GhostPlaces(BTreeMap<(PathBuf, PathBuf), Place>);

#[derive(Default)]
struct Place {
    /// The names of the files before they were removed.
    files: BTreeSet<Vec<u8>>,
    /// What was in the directory before the restore. None: it could not be opened, and nothing in it is removed.
    before: Option<BTreeSet<CString>>,
}

impl GhostPlaces {
    /// Finds the places from the images, and remembers what is in them.
    pub fn of(images: &ImageDir, plan: &Plan, rootfs: &Path) -> Result<GhostPlaces> {
        let mut places = GhostPlaces::default();
        for path in ghost_paths(images)? {
            let path = Path::new("/").join(OsStr::from_bytes(path.strip_prefix(b"/").unwrap_or(&path)));
            let (Some(parent), Some(file)) = (path.parent(), path.file_name()) else { continue };
            let Some(place) = on_host(plan, rootfs, parent) else { continue };
            places.0.entry(place).or_default().files.insert(file.as_bytes().to_vec());
        }
        for ((base, rest), place) in &mut places.0 {
            if let Some(directory) = open_beneath(base, rest) {
                let list = || format!("listing {}", base.join(&*rest).display());
                place.before = Some(names(&directory).context(list)?.into_iter().collect());
            }
        }
        Ok(places)
    }

    /// Removes the names that have appeared since: those of the files, also with what CRIU appends ("x.cr.1.ghost",
    /// "x.cr_link"). Others are not CRIU's.
    pub fn clear(&self) {
        for ((base, rest), place) in &self.0 {
            let Some(before) = &place.before else { continue };
            let Some(directory) = open_beneath(base, rest) else { continue };
            for name in names(&directory).unwrap_or_default() {
                if before.contains(&name) || !place.made_by_criu(name.to_bytes()) {
                    continue;
                }
                for flag in [UnlinkatFlags::NoRemoveDir, UnlinkatFlags::RemoveDir] {
                    // A ghost may be a directory; what is in it is not CRIU's.
                    if unlinkat(&directory, name.as_c_str(), flag).is_ok() {
                        break;
                    }
                }
            }
        }
    }
}

impl Place {
    fn made_by_criu(&self, name: &[u8]) -> bool {
        let of_file = |file: &Vec<u8>| {
            let rest = name.strip_prefix(file.as_slice())?;
            Some(rest.is_empty() || rest.starts_with(b".cr.") || rest.starts_with(b".cr_link"))
        };
        self.files.iter().any(|file| of_file(file) == Some(true)) || name.starts_with(b"ghost.cr_link")
    }
}

/// Returns the paths in the container of the files that CRIU restores as ghosts.
fn ghost_paths(images: &ImageDir) -> Result<BTreeSet<Vec<u8>>> {
    const REMAPS: &str = "remap-fpath.img";
    const FILES: &str = "files.img";
    let present = images.images("")?;
    if ![REMAPS, FILES].iter().all(|name| present.iter().any(|other| other == name)) {
        return Ok(BTreeSet::new());
    }
    let (remaps, files) = (images.read_image(REMAPS)?, images.read_image(FILES)?);
    let remapped: BTreeSet<u64> = messages(REMAPS, &remaps, MAX_GHOSTS)?.iter().map(|remap| remap.number(1)).collect();
    let mut paths = BTreeSet::new();
    for file in messages(FILES, &files, MAX_FILES)? {
        // Field 3 of file_entry is a reg_file_entry, whose fields 1 and 6 are its number and path.
        let Some(regular) = file.message(3) else { continue };
        if remapped.contains(&regular.number(1)) {
            paths.insert(regular.bytes(6).to_vec());
        }
    }
    Ok(paths)
}

/// Returns a directory of the host and the path beneath it at which a path of the container is; None if it is on a
/// filesystem of the container's own.
fn on_host(plan: &Plan, rootfs: &Path, path: &Path) -> Option<(PathBuf, PathBuf)> {
    let place = |step: &Step| match step {
        Step::Mount { target, .. } => Some((path.strip_prefix(target).ok()?.to_owned(), None)),
        Step::Attach { target, source, attributes, .. } => {
            // CRIU can make nothing in what is read-only.
            let writable = (attributes.set | attributes.tree_set) & MOUNT_ATTR_RDONLY == 0;
            Some((path.strip_prefix(target).ok()?.to_owned(), writable.then(|| source.clone())))
        }
        _ => None,
    };
    match plan.steps.iter().rev().find_map(place) {
        Some((rest, source)) => source.map(|source| (source, rest)),
        None => Some((rootfs.to_owned(), path.strip_prefix("/").ok()?.to_owned())),
    }
}

fn open_beneath(base: &Path, rest: &Path) -> Option<OwnedFd> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let base = open(base, flags, Mode::empty()).ok()?;
    let rest = if rest == Path::new("") { Path::new(".") } else { rest };
    let resolve = ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_SYMLINKS;
    openat2(&base, rest, OpenHow::new().flags(flags).resolve(resolve)).ok()
}
