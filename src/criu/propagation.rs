//! Restores the propagation of external mounts.
//!
//! The images record the peer group of each mount. If the group's master is outside of the container, CRIU takes the
//! propagation from the source of one mount of that filesystem for the whole group: this works only if the sources of
//! all of them lie on one mount, as they did at the dump, and that mount propagates. The configuration may differ (data
//! on a disk of its own, a host whose mounts are private). Then CRIU gets a table of mounts without such masters, and
//! this module makes each mount a slave of its own source.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::ops::Range;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, open, openat, openat2};
use nix::sys::stat::Mode;
use prost::encoding::{WireType, decode_key, decode_varint};

use super::{ExternalSource, ImageDir};
use crate::error::{Context, Result};
use crate::sys::{mountinfo, procfs};

/// Magic numbers of CRIU's images and of the table of mounts.
pub const MAGIC: [u8; 8] = [0x19, 0x43, 0x56, 0x54, 0x28, 0x39, 0x56, 0x55];
const MAX_BYTES: u64 = 64 << 20;

/// The field numbers of CRIU's mnt_entry that are needed here.
mod field {
    pub const DEVICE: u32 = 3;
    pub const POINT: u32 = 7;
    pub const SHARED: u32 = 10;
    pub const MASTER: u32 = 11;
    pub const NAME: u32 = 18;
}

/// An entry of a table of mounts.
#[derive(Debug, Default)]
pub struct Entry {
    device: u64,
    pub point: Vec<u8>,
    shared: u64,
    master: u64,
    /// The position of the master's number in the table.
    pub master_at: Range<usize>,
    /// The name of an external mount.
    pub name: Vec<u8>,
}

/// The changes to the images' tables of mounts.
#[derive(Debug, Default)]
pub struct Propagation {
    /// The replaced tables, by the name of the image.
    pub tables: Vec<(String, Vec<u8>)>,
    /// The mounts that must get their source's propagation: path in the container, and source.
    follow: Vec<(PathBuf, PathBuf)>,
}

impl Propagation {
    /// Computes the changes from the images and the configured sources of the external mounts. A malformed table is
    /// left to CRIU, which reports it.
    pub fn of(images: &ImageDir, sources: &[ExternalSource], root: &Path) -> Result<Propagation> {
        let mut tables = Vec::new();
        for name in images.names()? {
            let Some(name) = name.to_str().ok().filter(|name| name.starts_with("mountpoints-")) else { continue };
            if let Some(bytes) = read(images, name)
                && let Some(entries) = entries(&bytes)
            {
                tables.push((name.to_owned(), bytes, entries));
            }
        }
        let sources: BTreeMap<&Path, &Path> =
            sources.iter().map(|external| (external.name.as_path(), external.source.as_path())).collect();
        let source = |entry: &Entry| match text(&entry.name) {
            name if !name.as_os_str().is_empty() => sources.get(name).copied(),
            _ if entry.point == b"/" => Some(root),
            _ => None,
        };
        let host = Mounts::of("self")?;
        let all: Vec<&Entry> = tables.iter().flat_map(|(_, _, entries)| entries).collect();
        let inside: BTreeSet<u64> = all.iter().map(|entry| entry.shared).collect();
        // The host's mounts that hold the external mounts of a filesystem, and those of each group of mounts.
        let (mut named, mut grouped) = (BTreeMap::new(), BTreeMap::new());
        for entry in &all {
            if let Some(place) = source(entry).and_then(|source| host.holding(source)) {
                if !entry.name.is_empty() {
                    named.entry(entry.device).or_insert_with(BTreeSet::new).insert(place);
                }
                let group = (entry.device, entry.shared, entry.master);
                grouped.entry(group).or_insert_with(BTreeSet::new).insert(place);
            }
        }
        let fits = |entry: &Entry| {
            let of_group = grouped.get(&(entry.device, entry.shared, entry.master));
            let places: BTreeSet<(u64, bool)> =
                named.get(&entry.device).into_iter().chain(of_group).flatten().copied().collect();
            places.is_empty() || places.len() == 1 && places.iter().all(|(_, propagates)| *propagates)
        };
        let unfit: BTreeSet<(u64, u64)> = all
            .iter()
            .filter(|entry| entry.master != 0 && !inside.contains(&entry.master) && !fits(entry))
            .map(|entry| (entry.shared, entry.master))
            .collect();
        let mut found = Propagation::default();
        for (name, mut bytes, entries) in tables {
            let mut changed = false;
            for entry in entries.iter().filter(|entry| unfit.contains(&(entry.shared, entry.master))) {
                zero(&mut bytes[entry.master_at.clone()]);
                changed = true;
                if let Some(source) = source(entry).filter(|_| entry.shared == 0) {
                    found.follow.push((text(&entry.point).to_owned(), source.to_owned()));
                }
            }
            if changed {
                found.tables.push((name, bytes));
            }
        }
        Ok(found)
    }

    /// Gives each mount that has lost its master the propagation of its source, in CRIU's mount namespace. Called when
    /// CRIU has created the mounts.
    pub fn follow(&self, criu: i32, init: i32) -> Result<()> {
        if self.follow.is_empty() {
            return Ok(());
        }
        let mounts = Mounts::of(&criu.to_string())?;
        let (here, there) = (root_of(criu)?, root_of(init)?);
        for (target, source) in &self.follow {
            let doing = || format!("setting the propagation of {} to that of {}", target.display(), source.display());
            let opened = beneath(&here, source).context(doing)?;
            let Some((point, true)) = mounts.0.get(&mountinfo::id_of(&opened)?) else { continue };
            let (from, to) = (beneath(&here, point).context(doing)?, beneath(&there, target).context(doing)?);
            set_group(&from, &to).context(doing)?;
        }
        Ok(())
    }
}

fn text(bytes: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(bytes))
}

/// Reads a table. None if it cannot be read, which CRIU reports.
fn read(images: &ImageDir, name: &str) -> Option<Vec<u8>> {
    let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    let file = File::from(openat(&images.fd, name, flags, Mode::empty()).ok()?);
    let mut bytes = Vec::new();
    file.take(MAX_BYTES).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

/// Parses a table: the magic numbers, then entries, each after its length.
pub fn entries(bytes: &[u8]) -> Option<Vec<Entry>> {
    let mut found = Vec::new();
    let mut at = MAGIC.len();
    if bytes.get(..at)? != MAGIC {
        return None;
    }
    while at < bytes.len() {
        let start = at + 4;
        let length = u32::from_le_bytes(bytes.get(at..start)?.try_into().ok()?) as usize;
        at = start.checked_add(length)?;
        found.push(entry(bytes, start..at)?);
    }
    Some(found)
}

fn entry(bytes: &[u8], place: Range<usize>) -> Option<Entry> {
    let mut entry = Entry::default();
    let mut rest = bytes.get(place.clone())?;
    while !rest.is_empty() {
        let (number, kind) = decode_key(&mut rest).ok()?;
        match kind {
            WireType::Varint => {
                let start = place.end - rest.len();
                let value = decode_varint(&mut rest).ok()?;
                match number {
                    field::DEVICE => entry.device = value,
                    field::SHARED => entry.shared = value,
                    field::MASTER => (entry.master, entry.master_at) = (value, start..place.end - rest.len()),
                    _ => {}
                }
            }
            WireType::LengthDelimited => {
                let length = usize::try_from(decode_varint(&mut rest).ok()?).ok()?;
                let value = rest.get(..length)?;
                rest = &rest[length..];
                match number {
                    field::POINT => entry.point = value.to_owned(),
                    field::NAME => entry.name = value.to_owned(),
                    _ => {}
                }
            }
            WireType::ThirtyTwoBit => rest = rest.get(4..)?,
            WireType::SixtyFourBit => rest = rest.get(8..)?,
            _ => return None,
        }
    }
    Some(entry)
}

/// Overwrites a varint with 0 in the same number of bytes, so that no other field moves.
fn zero(varint: &mut [u8]) {
    varint.fill(0x80);
    if let Some(last) = varint.last_mut() {
        *last = 0;
    }
}

/// The mounts of a process's namespace by their ids: mount point, and whether the mount propagates.
struct Mounts(BTreeMap<u64, (PathBuf, bool)>);

impl Mounts {
    fn of(process: &str) -> Result<Mounts> {
        let table = mountinfo::read(process)?;
        let mount = |mount: mountinfo::Mount| (mount.id, (mount.point.to_path_buf(), mount.propagates()));
        Ok(Mounts(mountinfo::parse(&table).map(mount).collect()))
    }

    /// Returns the mount of the caller's namespace on which a path lies, and whether it propagates. None if the path
    /// does not exist, which CRIU reports.
    fn holding(&self, path: &Path) -> Option<(u64, bool)> {
        let opened = open(path, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty()).ok()?;
        let id = mountinfo::id_of(&opened).ok()?;
        Some((id, self.0.get(&id)?.1))
    }
}

fn root_of(pid: i32) -> Result<OwnedFd> {
    procfs::open(&format!("{pid}/root"), OFlag::O_PATH | OFlag::O_DIRECTORY)
}

fn beneath(root: &OwnedFd, path: &Path) -> nix::Result<OwnedFd> {
    let resolve = ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS;
    openat2(root, path, OpenHow::new().flags(OFlag::O_PATH | OFlag::O_CLOEXEC).resolve(resolve))
}

/// Gives a private mount the propagation of another mount of its filesystem (MOVE_MOUNT_SET_GROUP of move_mount(2)): it
/// becomes a peer or a slave. The mounts may be in different namespaces.
fn set_group(from: &OwnedFd, to: &OwnedFd) -> nix::Result<()> {
    const MOVE_MOUNT_SET_GROUP: u32 = 0x100;
    let flags = libc::MOVE_MOUNT_F_EMPTY_PATH | libc::MOVE_MOUNT_T_EMPTY_PATH | MOVE_MOUNT_SET_GROUP;
    let (from, to, empty) = (from.as_raw_fd(), to.as_raw_fd(), c"".as_ptr());
    // SAFETY: both paths are static empty strings.
    let result = unsafe { libc::syscall(libc::SYS_move_mount, from, empty, to, empty, flags) };
    Errno::result(result).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn varint(number: u32, value: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        prost::encoding::uint64::encode(number, &value, &mut bytes);
        bytes
    }

    fn table(entries: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        for entry in entries {
            bytes.extend(u32::try_from(entry.len()).unwrap().to_le_bytes());
            bytes.extend(entry);
        }
        bytes
    }

    fn mount(point: &str, shared: u64, master: u64) -> Vec<u8> {
        let mut bytes = varint(field::DEVICE, 39);
        prost::encoding::bytes::encode(field::POINT, &point.as_bytes().to_vec(), &mut bytes);
        [bytes, varint(field::SHARED, shared), varint(field::MASTER, master)].concat()
    }

    #[test]
    fn a_master_is_found_and_becomes_none_in_its_place() {
        let mut bytes = table(&[mount("/", 0, 300), mount("/data", 7, 5)]);
        let length = bytes.len();
        let found = entries(&bytes).unwrap();
        assert_eq!((found[0].point.as_slice(), found[0].master, found[0].shared), (b"/".as_slice(), 300, 0));
        assert_eq!((found[1].master, found[1].shared, found[1].device), (5, 7, 39));
        zero(&mut bytes[found[0].master_at.clone()]);
        let again = entries(&bytes).unwrap();
        assert_eq!((again[0].master, again[1].master, bytes.len()), (0, 5, length));
    }

    #[test]
    fn a_file_that_is_not_a_table_is_detected() {
        let bytes = table(&[mount("/", 0, 300)]);
        assert!(entries(b"").is_none() && entries(b"other bytes than these").is_none());
        assert!(
            (1..bytes.len()).filter(|length| *length != MAGIC.len()).all(|length| entries(&bytes[..length]).is_none())
        );
        assert!(entries(&[&MAGIC[..], &[255; 40]].concat()).is_none());
    }
}
