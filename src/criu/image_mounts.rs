//! Checks the tables of mounts in images: each mount must be explained by the container's plan, or be a filesystem that
//! shows nothing of the host.
//!
//! CRIU resolves the paths in a table in the host's mount namespace: an overlay's directories, a block device. So this
//! is checked before CRIU mounts anything; and after a dump, before the container is taken down, because a container
//! may have mounted such filesystems of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path};

use super::image::{Fields, damaged, first, messages, mismatch};
use super::{Externals, ImageDir};
use crate::error::{Error, Result};
use crate::plan::{Plan, Step};
use crate::spec::mount_options::FilesystemOption;

/// The kernel's limit of mounts in a namespace (/proc/sys/fs/mount-max).
const MAX_MOUNTS: usize = 100_000;
const MAX_TABLES: usize = 1000;
/// Of all tables together, in bytes.
const MAX_LENGTH: usize = 64 << 20;

/// The field numbers of CRIU's mnt_entry.
mod field {
    pub const KIND: u32 = 1;
    pub const DEVICE: u32 = 3;
    pub const ROOT: u32 = 6;
    pub const POINT: u32 = 7;
    pub const SOURCE: u32 = 8;
    pub const OPTIONS: u32 = 9;
    pub const WITH_PLUGIN: u32 = 12;
    pub const EXTERNAL: u32 = 13;
    pub const KIND_NAME: u32 = 14;
    pub const NAME: u32 = 18;
    pub const PATHS: [u32; 3] = [ROOT, POINT, NAME];
    /// The fields that CRIU reads as 32 bits.
    pub const NUMBERS: [u32; 10] = [1, 2, 3, 4, 5, 10, 11, 12, 13, 15];
}

/// CRIU's number of the first process's mount namespace in ids-<pid>.img, and of the pid in pstree.img.
const MOUNT_NAMESPACE: u32 = 9;
const PID: u32 = 1;

/// CRIU's numbers of the types of filesystems (enum fstype). It mounts the type `AUTO` by the name in the table.
const KINDS: [(u64, &str); 20] = [
    (1, "proc"),
    (2, "sysfs"),
    (3, "devtmpfs"),
    (4, "binfmt_misc"),
    (5, "tmpfs"),
    (6, "devpts"),
    (7, "simfs"),
    (8, "pstore"),
    (9, "securityfs"),
    (10, "fusectl"),
    (11, "debugfs"),
    (12, "cgroup"),
    (13, "aufs"),
    (14, "mqueue"),
    (15, "fuse"),
    (16, "auto"),
    (17, "overlay"),
    (18, "autofs"),
    (19, "tracefs"),
    (23, "cgroup2"),
];

/// The types that a container may have mounted itself, since they show only its own namespaces and cgroups.
pub const HARMLESS: [&str; 7] = ["proc", "sysfs", "tmpfs", "devpts", "mqueue", "cgroup", "cgroup2"];

/// An entry of a table of mounts.
struct Entry<'a> {
    kind: &'a str,
    device: u64,
    root: &'a Path,
    point: &'a Path,
    source: &'a [u8],
    options: &'a [u8],
    /// The name of an external mount.
    name: &'a Path,
    /// Whether CRIU mounts something of the host: by a plugin, or an external mount without a name.
    foreign: bool,
}

impl Entry<'_> {
    fn is_external(&self) -> bool {
        self.name != Path::new("")
    }
}

/// What explains mounts.
pub struct Explained<'a> {
    pub plan: &'a Plan,
    pub externals: &'a Externals,
    /// Whether the container's processes may mount filesystems.
    pub may_mount: bool,
}

impl Explained<'_> {
    /// Checks all tables of mounts in the images.
    pub fn check(&self, images: &ImageDir) -> Result<()> {
        let names = images.images("mountpoints-")?;
        if names.len() > MAX_TABLES {
            return Err(mismatch(format!("there are {} tables of mounts", names.len())));
        }
        let mut tables = Vec::new();
        let mut left = MAX_LENGTH;
        for name in names {
            let bytes = images.read_image(&name)?;
            left = left.checked_sub(bytes.len()).ok_or_else(|| mismatch("the tables of mounts are too long"))?;
            tables.push((name, bytes));
        }
        let main = match &tables[..] {
            // CRIU reports it.
            [] => return Ok(()),
            [(only, _)] => only.clone(),
            _ => format!("mountpoints-{}.img", mount_namespace(images)?),
        };
        let mut entries = Vec::new();
        let mut room = MAX_MOUNTS;
        for (name, bytes) in &tables {
            let found = messages(name, bytes, room)?;
            room -= found.len();
            for (index, fields) in found.iter().enumerate() {
                let refused = |why: String| refused(name, index, text(fields.bytes(field::POINT)), &why);
                entries.push((name, index, entry(fields).map_err(refused)?));
            }
        }
        let is_root = |name: &str, entry: &Entry| name == main && entry.point == Path::new("/");
        // What CRIU takes from the configuration, by filesystem: other mounts of it are bind mounts of its parts.
        let mut taken: BTreeMap<u64, BTreeSet<&Path>> = BTreeMap::new();
        for (name, _, entry) in &entries {
            if entry.is_external() || is_root(name, entry) {
                taken.entry(entry.device).or_default().insert(entry.root);
            }
        }
        for (name, index, entry) in &entries {
            let whole = is_root(name, entry);
            let part = taken
                .get(&entry.device)
                .is_some_and(|roots| entry.root.ancestors().any(|directory| roots.contains(directory)));
            self.check_entry(entry, whole, part).map_err(|why| refused(name, *index, entry.point, &why))?;
        }
        Ok(())
    }

    /// Checks one entry. `whole`: it is the container's root; `part`: it is part of the root or of an external mount.
    fn check_entry(&self, entry: &Entry, whole: bool, part: bool) -> std::result::Result<(), String> {
        if entry.foreign {
            return Err("it is a mount of the host without a name of the configuration's".into());
        }
        if entry.is_external() {
            let known = self.externals.has(entry.name);
            let lacks = || format!("the configuration lacks a mount that is in the images, {:?}", entry.name);
            return known.then_some(()).ok_or_else(lacks);
        }
        let climbs = |path: &Path| path.components().any(|part| part == Component::ParentDir);
        if climbs(entry.point) || climbs(entry.root) && !entry.kind.starts_with("cgroup") {
            return Err(format!("its path {:?} leads out of the filesystem", entry.root));
        }
        if whole || part {
            return Ok(());
        }
        let harmless = HARMLESS.contains(&entry.kind);
        match self.planned(entry) {
            Some(Ok(())) => Ok(()),
            None if harmless && self.may_mount => Ok(()),
            Some(Err(why)) => Err(why),
            None => Err(format!(
                "it is a filesystem of the type {:?} that the configuration does not have, and that does not come back \
                 as what it was",
                entry.kind
            )),
        }
    }

    /// Returns whether the plan mounts such a filesystem; None if it has none of this type.
    fn planned(&self, entry: &Entry) -> Option<std::result::Result<(), String>> {
        let mut result = None;
        for step in &self.plan.steps {
            let fits = match step {
                // A masked directory is covered by a tmpfs.
                Step::Mask(_) => (entry.kind == "tmpfs").then_some(Ok(())),
                Step::Mount { kind, source, options, .. } if *kind == entry.kind => {
                    Some(if HARMLESS.contains(&entry.kind) {
                        Ok(())
                    } else {
                        same_content(entry, source.as_deref(), options)
                    })
                }
                _ => None,
            };
            match fits {
                Some(Ok(())) => return fits,
                Some(Err(_)) => result = fits,
                None => {}
            }
        }
        result
    }
}

/// Checks that a filesystem shows what the configuration's shows: the source, and all options that are paths.
fn same_content(entry: &Entry, source: Option<&str>, options: &[FilesystemOption]) -> std::result::Result<(), String> {
    if entry.kind != "overlay" {
        let same = entry.source == source.unwrap_or("none").as_bytes();
        let differs = || format!("its source is {:?} instead of {source:?}", lossy(entry.source));
        return same.then_some(()).ok_or_else(differs);
    }
    let found: BTreeSet<&[u8]> =
        entry.options.split(|byte| *byte == b',').filter(|option| option.contains(&b'/')).collect();
    let wanted = |option: &FilesystemOption| Some(format!("{}={}", option.name, option.value.as_ref()?).into_bytes());
    let wanted: Vec<Vec<u8>> = options.iter().filter_map(wanted).filter(|option| option.contains(&b'/')).collect();
    let same = found == wanted.iter().map(Vec::as_slice).collect();
    same.then_some(())
        .ok_or_else(|| format!("its directories {:?} are not those of the configuration", lossy(entry.options)))
}

fn entry<'a>(fields: &Fields<'a>) -> std::result::Result<Entry<'a>, String> {
    if let Some(number) = field::NUMBERS.into_iter().find(|number| fields.number(*number) > u32::MAX.into()) {
        return Err(format!("its field {number} is too large"));
    }
    if let Some(long) = field::PATHS.into_iter().find(|path| fields.bytes(*path).len() >= libc::PATH_MAX as usize) {
        return Err(format!("its field {long} is too long for a path"));
    }
    let number = fields.number(field::KIND);
    let kind = match KINDS.iter().find(|(kind, _)| *kind == number) {
        Some((_, "auto")) => std::str::from_utf8(fields.bytes(field::KIND_NAME)).unwrap_or("auto"),
        Some((_, name)) => name,
        None => "unsupported",
    };
    // CRIU mounts what is AUTO without knowing it.
    let kind = if number == 16 && HARMLESS.contains(&kind) { "auto" } else { kind };
    let named = !fields.bytes(field::NAME).is_empty();
    Ok(Entry {
        kind,
        device: fields.number(field::DEVICE),
        root: text(fields.bytes(field::ROOT)),
        point: text(fields.bytes(field::POINT)),
        source: fields.bytes(field::SOURCE),
        options: fields.bytes(field::OPTIONS),
        name: text(fields.bytes(field::NAME)),
        foreign: fields.number(field::WITH_PLUGIN) != 0 || fields.number(field::EXTERNAL) != 0 && !named,
    })
}

/// Returns the number of the first process's mount namespace.
fn mount_namespace(images: &ImageDir) -> Result<u64> {
    const TREE: &str = "pstree.img";
    let tree = images.read_image(TREE)?;
    let name = format!("ids-{}.img", first(TREE, &tree)?.number(PID));
    let ids = images.read_image(&name)?;
    match first(&name, &ids)?.number(MOUNT_NAMESPACE) {
        0 => Err(damaged(&name, "names no mount namespace")),
        number => Ok(number),
    }
}

fn refused(image: &str, index: usize, point: &Path, why: &str) -> Error {
    mismatch(format!("{image}, entry {}, the mount on {point:?}: {why}", index + 1))
}

fn text(bytes: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(bytes))
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
