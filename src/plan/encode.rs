//! Encodes a plan as bytes, in the format of `init/src/wire.rs`.

use std::ffi::OsStr;
use std::os::fd::RawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use berth_init::fields::NO_SLOT;
use berth_init::steps::LAYOUT;
use berth_init::wire::{Header, MAGIC, MAX_PLAN};

use super::step::Step;
use crate::error::{Code, Error, Result};
use crate::spec::mount_options::FilesystemOption;

/// The bytes of a plan, and the descriptors that it needs open across exec.
#[derive(Debug)]
pub struct Encoded {
    pub bytes: Vec<u8>,
    pub inherited: Vec<RawFd>,
}

/// Encodes `steps`. `slots` holds the descriptor of each slot, or -1 for slots that init fills; `low` holds the
/// descriptors that become 0, 1, 2 and so on, or -1 for numbers that stay closed.
pub fn encode(steps: &[Step], slots: &[RawFd], low: &[RawFd]) -> Result<Encoded> {
    let mut inherited: Vec<RawFd> = slots.iter().chain(low).copied().filter(|fd| *fd >= 0).collect();
    inherited.sort_unstable();
    inherited.dedup();

    let mut packer = Packer::new(slots);
    steps.iter().for_each(|step| step.pack(&mut packer));
    let Packer { mut block, words, slots, .. } = packer;
    let header = Header {
        magic: MAGIC,
        len: 0,
        layout: LAYOUT,
        steps: block.place(words.iter().map(|word| word.to_ne_bytes())),
        step_count: steps.len() as u32,
        slots: block.place(slots.iter().map(|fd| fd.to_ne_bytes())),
        slot_count: slots.len() as u32,
        low: block.place(low.iter().map(|fd| fd.to_ne_bytes())),
        low_count: low.len() as u32,
        keep: block.place(inherited.iter().map(|fd| fd.to_ne_bytes())),
        keep_count: inherited.len() as u32,
    };
    Ok(Encoded { bytes: block.finish(header)?, inherited })
}

/// The mount points of the kernel's own filesystems.
const KERNEL_MOUNTS: [&str; 3] = ["/dev", "/proc", "/sys"];

/// Whether a path in the container is one of [`KERNEL_MOUNTS`] or below one.
pub fn in_kernel_mounts(path: &Path) -> bool {
    KERNEL_MOUNTS.iter().any(|top| below(path, Path::new(top)).is_some())
}

/// Whether symlinks in a path are followed, within the root filesystem.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Links {
    Followed,
    /// Refused below [`KERNEL_MOUNTS`].
    Refused,
}

/// The mounts on [`KERNEL_MOUNTS`] that init holds open. Paths below are resolved from them: so devices go into the new
/// /dev and masks onto the new /proc, even if the image or another container changes names in the root filesystem.
#[derive(Default)]
struct MountAnchors {
    mounts: Vec<(PathBuf, u64)>,
}

impl MountAnchors {
    /// Returns the slot that a path is resolved from ([`NO_SLOT`]: the root filesystem), and the rest of the path.
    fn find<'p>(&self, path: &'p Path) -> (u64, &'p Path) {
        let mut mounts = self.mounts.iter();
        mounts.find_map(|(mount, slot)| Some((*slot, below(path, mount)?))).unwrap_or((NO_SLOT, path))
    }
}

/// Returns the rest of a path below a directory, with its leading slash; "/" for the directory itself. Paths in a plan
/// are normalized.
fn below<'p>(path: &'p Path, directory: &Path) -> Option<&'p Path> {
    let rest = path.as_os_str().as_bytes().strip_prefix(directory.as_os_str().as_bytes())?;
    match rest.first() {
        None => Some(Path::new("/")),
        Some(b'/') => Some(Path::new(OsStr::from_bytes(rest))),
        Some(_) => None,
    }
}

/// Packs the fields of steps: as words, or as strings and arrays whose offset is the word.
pub struct Packer {
    block: Block,
    words: Vec<u64>,
    anchors: MountAnchors,
    slots: Vec<RawFd>,
    /// The environment entry that a `Home` step completes.
    home: Option<u32>,
}

/// The size of the buffer for "HOME=", a path and the NUL.
const HOME_BUFFER: usize = 4096;

impl Packer {
    fn new(slots: &[RawFd]) -> Packer {
        Packer {
            block: Block::new(),
            words: Vec::new(),
            anchors: MountAnchors::default(),
            slots: slots.to_vec(),
            home: None,
        }
    }

    pub fn word(&mut self, word: u64) {
        self.words.push(word);
    }

    pub fn text(&mut self, text: impl AsRef<OsStr>) {
        let at = self.block.text(text);
        self.word(at.into());
    }

    /// Packs a path in the container, relative to the mount that it is resolved from.
    pub fn place(&mut self, path: &Path, links: Links) {
        let (base, rest) = self.anchors.find(path);
        let strict = links == Links::Refused && base == NO_SLOT && in_kernel_mounts(path);
        let rest = self.block.text(rest);
        self.words.extend([u64::from(strict), base, rest.into()]);
    }

    /// Records that another mount covers `target` from now on.
    pub fn cover(&mut self, target: &Path) {
        self.anchors.mounts.retain(|(mount, _)| !mount.starts_with(target));
    }

    /// Packs the slot that keeps a tree bound on `target` open: a procfs, which `CheckProcfs` has verified.
    pub fn keep_bound(&mut self, target: &Path) {
        if target == Path::new("/proc") { self.keep(target) } else { self.word(NO_SLOT) }
    }

    /// Packs the slot that keeps the new filesystem on `target` open, if it is one of [`KERNEL_MOUNTS`].
    pub fn keep(&mut self, target: &Path) {
        if !KERNEL_MOUNTS.iter().any(|top| target == Path::new(top)) {
            return self.word(NO_SLOT);
        }
        let slot = self.slots.len() as u64;
        self.slots.push(-1);
        self.anchors.mounts.push((target.to_owned(), slot));
        self.word(slot);
    }

    /// Packs an array of strings.
    pub fn texts(&mut self, texts: &[impl AsRef<OsStr>]) {
        let offsets = texts.iter().map(|text| self.block.text(text)).collect();
        self.offsets(offsets);
    }

    /// Packs the environment, with the entry that a `Home` step completes.
    pub fn environment(&mut self, texts: &[String]) {
        let home = self.home.take();
        let offsets = texts.iter().map(|text| self.block.text(text)).chain(home).collect();
        self.offsets(offsets);
    }

    /// Packs mount options as key, value, key, value …; an offset of 0 instead of a value means a flag.
    pub fn options(&mut self, options: &[FilesystemOption]) {
        let mut offsets = Vec::new();
        for FilesystemOption { name, value } in options {
            offsets.push(self.block.text(name));
            offsets.push(value.as_ref().map_or(0, |value| self.block.text(value)));
        }
        self.offsets(offsets);
    }

    /// Packs a 0-terminated array of offsets, with space for pointers.
    fn offsets(&mut self, offsets: Vec<u32>) {
        let at = self.block.place(offsets.into_iter().chain([0]).map(|offset| u64::from(offset).to_ne_bytes()));
        self.word(at.into());
    }

    /// Packs the offset and the count of numbers.
    pub fn numbers(&mut self, numbers: &[u32]) {
        let at = self.block.place(numbers.iter().map(|number| number.to_ne_bytes()));
        self.words.extend([at.into(), numbers.len() as u64]);
    }

    /// Packs the offset and the count of a filter's instructions.
    pub fn instructions(&mut self, instructions: impl ExactSizeIterator<Item = [u8; 8]>) {
        let count = instructions.len() as u64;
        let at = self.block.place(instructions);
        self.words.extend([at.into(), count]);
    }

    /// Packs the offset and the size of the environment entry to complete.
    pub fn home_room(&mut self) {
        let at = self.block.text("HOME=");
        self.block.bytes.resize(at as usize + HOME_BUFFER, 0);
        self.home = Some(at);
        self.words.extend([at.into(), HOME_BUFFER as u64]);
    }
}

struct Block {
    bytes: Vec<u8>,
}

/// The size that the plan of an ordinary configuration needs.
const TYPICAL_SIZE: usize = 16 << 10;

impl Block {
    fn new() -> Block {
        let mut bytes = Vec::with_capacity(TYPICAL_SIZE);
        bytes.resize(size_of::<Header>(), 0);
        Block { bytes }
    }

    fn align(&mut self) -> u32 {
        self.bytes.resize(self.bytes.len().next_multiple_of(8), 0);
        self.bytes.len() as u32
    }

    fn place<const SIZE: usize>(&mut self, elements: impl IntoIterator<Item = [u8; SIZE]>) -> u32 {
        let at = self.align();
        elements.into_iter().for_each(|element| self.bytes.extend_from_slice(&element));
        at
    }

    fn text(&mut self, text: impl AsRef<OsStr>) -> u32 {
        let at = self.bytes.len() as u32;
        self.bytes.extend_from_slice(text.as_ref().as_bytes());
        self.bytes.push(0);
        at
    }

    fn finish(mut self, mut header: Header) -> Result<Vec<u8>> {
        self.bytes.push(0);
        self.align();
        if self.bytes.len() > MAX_PLAN {
            let message =
                format!("the configuration needs a plan of {} bytes; the limit is {MAX_PLAN}", self.bytes.len());
            return Err(Error::new(Code::ConfigInvalid, message));
        }
        header.len = self.bytes.len() as u32;
        self.bytes[..size_of::<Header>()].copy_from_slice(&header.bytes());
        Ok(self.bytes)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use berth_init::fields::{Attributes, CopyUp, MountTarget, Numbers, Place, Slot, Words};
    use berth_init::plan::{Plan, Refusal};
    use berth_init::steps;

    use super::*;

    /// Decodes an encoded plan as init does.
    pub fn decoded(steps: &[Step], slots: &[RawFd], low: &[RawFd]) -> Plan {
        plan_of(&encode(steps, slots, low).unwrap().bytes).unwrap()
    }

    fn plan_of(bytes: &[u8]) -> std::result::Result<Plan, Refusal> {
        let words: Vec<u64> = bytes.chunks(8).map(|chunk| u64::from_ne_bytes(chunk.try_into().unwrap())).collect();
        let words = words.leak();
        // SAFETY: leaked and 8-byte aligned.
        unsafe { Plan::new(words.as_mut_ptr() as *mut u8, words.len() * 8) }
    }

    /// Reads the next step as init does.
    macro_rules! next {
        ($words:expr, $step:ident) => {{
            assert_eq!($words.next(), Ok(steps::$step::NUMBER));
            steps::$step::read($words).unwrap()
        }};
    }

    fn mount(target: &str, options: Vec<FilesystemOption>) -> Step {
        Step::Mount {
            kind: "tmpfs".into(),
            source: None,
            target: target.into(),
            attributes: libc::MOUNT_ATTR_NOSUID,
            options,
            copy_up: CopyUp::ContentAndOwner,
            id_map: Some(Slot(9)),
            entry: None,
        }
    }

    #[test]
    fn init_reads_what_the_planner_wrote() {
        let size = FilesystemOption::with_value("size", "1");
        let options = vec![FilesystemOption::with_value("mode", "755"), FilesystemOption::flag("lazytime"), size];
        let plan = decoded(&[Step::Session, mount("/dev", options), Step::Umask(0o22)], &[7, 3, -1, -1], &[0, 1, 1]);
        assert_eq!(plan.keep().unwrap(), [0, 1, 3, 7]);
        assert_eq!(plan.low().unwrap(), [0, 1, 1]);
        assert_eq!(plan.slots().unwrap(), [7, 3, -1, -1, -1], "one more, to keep /dev open");
        assert_eq!(plan.header().step_count, 3);
        let words = &mut Words::new(plan);
        next!(words, Session);
        let step = next!(words, Mount);
        assert_eq!((step.attributes, step.copy_up), (libc::MOUNT_ATTR_NOSUID, CopyUp::ContentAndOwner));
        assert_eq!((step.id_map, step.target.kept), (Some(Slot(9)), Some(Slot(4))));
        assert_eq!(step.kind.bytes(), b"tmpfs");
        assert!(step.source.is_none());
        let option = |index| step.options.get(index).unwrap().map(|text| text.bytes());
        let found: Vec<_> = (0..6).map(option).collect();
        assert_eq!(found, [Some(&b"mode"[..]), Some(b"755"), Some(b"lazytime"), None, Some(b"size"), Some(b"1")]);
        assert_eq!(option(6), None);
        assert_eq!(next!(words, Umask).mask, 0o22);
    }

    #[test]
    fn a_user_has_its_groups_as_numbers() {
        let user = Step::User { uid: 1, gid: u32::MAX, groups: vec![3, u32::MAX - 1] };
        let words = &mut Words::new(decoded(&[user], &[-1; 4], &[]));
        let step = next!(words, User);
        let Numbers { start, count } = step.groups;
        assert_eq!((step.uid, step.gid, count), (1, u32::MAX, 2));
        // SAFETY: `read` has checked that two numbers are there.
        assert_eq!(unsafe { [*start, *start.add(1)] }, [3, u32::MAX - 1]);
    }

    #[test]
    fn a_procfs_that_is_bound_is_held_open() {
        let attach = |target: &str| Step::Attach {
            slot: Slot(4),
            source: "/proc".into(),
            target: target.into(),
            nofollow: false,
            attributes: Attributes::default(),
            entry: None,
        };
        let plan = decoded(&[attach("/proc"), Step::Mask("/proc/keys".into()), attach("/mnt")], &[-1; 5], &[]);
        let words = &mut Words::new(plan);
        let MountTarget { place, kept } = next!(words, Attach).target;
        assert_eq!((place.strict, kept), (true, Some(Slot(5))));
        let masked = next!(words, Mask).path;
        assert_eq!((masked.base, masked.path.as_str().bytes()), (Some(Slot(5)), &b"/keys"[..]), "on what was bound");
        assert_eq!(next!(words, Attach).target.kept, None);
    }

    #[test]
    fn paths_below_a_kernel_mount_are_resolved_from_that_mount() {
        let mount = |target| mount(target, vec![]);
        let link = Step::Symlink { parent: "/dev".into(), name: "fd".into(), target: "/proc/self/fd".into() };
        let steps =
            [mount("/dev"), mount("/dev/shm"), link, mount("/data"), Step::Mask("/proc/keys".into()), mount("/dev")];
        let plan = decoded(&steps, &[-1; 4], &[]);
        let words = &mut Words::new(plan);
        let seen = |place: Place| (place.base, place.strict, str::from_utf8(place.path.as_str().bytes()).unwrap());
        let first = next!(words, Mount).target;
        assert_eq!(seen(first.place), (None, true, "/dev"));
        assert_eq!(first.kept, Some(Slot(4)));
        assert_eq!(seen(next!(words, Mount).target.place), (Some(Slot(4)), false, "/shm"));
        assert_eq!(seen(next!(words, Symlink).parent), (Some(Slot(4)), false, "/"));
        let data = next!(words, Mount).target;
        assert_eq!(seen(data.place), (None, false, "/data"));
        assert_eq!(data.kept, None);
        let masked = seen(next!(words, Mask).path);
        assert_eq!(masked, (None, false, "/proc/keys"), "without a /proc of its own there is nothing to escape");
        assert_eq!(seen(next!(words, Mount).target.place), (None, true, "/dev"), "a second mount covers the first");
        assert_eq!(plan.slots().unwrap().len(), 6);
    }

    #[test]
    fn an_exec_step_has_its_arrays_as_pointers() {
        let exec = Step::Exec { file: None, args: vec!["a".into(), "b c".into()], env: vec![], search: "/bin".into() };
        let words = &mut Words::new(decoded(&[exec], &[-1; 4], &[]));
        let step = next!(words, Exec);
        let argv = step.args;
        // SAFETY: `read` made it a NULL-terminated array of C strings.
        let texts = unsafe { [std::ffi::CStr::from_ptr(*argv as _), std::ffi::CStr::from_ptr(*argv.add(1) as _)] };
        assert_eq!(texts, [c"a", c"b c"]);
        // SAFETY: as above.
        assert!(unsafe { (*argv.add(2)).is_null() && (*step.env).is_null() });
        assert!(step.file.is_none() && step.search.bytes() == b"/bin");
    }

    #[test]
    fn a_home_has_room_in_the_environment() {
        let exec = Step::Exec { file: None, args: vec!["a".into()], env: vec!["A=1".into()], search: String::new() };
        let plan = decoded(&[Step::Home(7), exec], &[-1; 4], &[]);
        let words = &mut Words::new(plan);
        let home = next!(words, Home).uid;
        assert_eq!((home.uid, home.room.len()), (7, HOME_BUFFER));
        home.room[5..7].copy_from_slice(b"/x");
        let envp = next!(words, Exec).env;
        // SAFETY: `read` made it a NULL-terminated array of C strings.
        let texts = unsafe { [std::ffi::CStr::from_ptr(*envp as _), std::ffi::CStr::from_ptr(*envp.add(1) as _)] };
        assert_eq!(texts, [c"A=1", c"HOME=/x"]);
    }

    #[test]
    fn a_plan_beyond_the_limit_is_refused() {
        let exec = Step::Exec { file: None, args: vec!["x".repeat(MAX_PLAN)], env: vec![], search: String::new() };
        assert_eq!(encode(&[exec], &[], &[]).unwrap_err().code, Code::ConfigInvalid);
    }

    #[test]
    fn a_damaged_block_is_refused() {
        assert_eq!(plan_of(&[0; 128]).err(), Some(Refusal::Damaged));
        let mut bytes = encode(&[Step::Session], &[-1; 4], &[]).unwrap().bytes;
        assert!(plan_of(&bytes).is_ok());
        assert_eq!(plan_of(&bytes[..bytes.len() - 8]).err(), Some(Refusal::Damaged), "shorter than its header says");
        bytes[8] ^= 1;
        assert_eq!(plan_of(&bytes).err(), Some(Refusal::OtherBuild), "another layout");
    }
}
