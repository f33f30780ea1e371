//! A plan into bytes: see `init/src/wire.rs` for the layout.

use std::ffi::OsStr;
use std::os::fd::RawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use berth_init::wire::{self, Header, MAGIC, MAX_PLAN, NO_SLOT};

use super::step::{Attributes, Barrier, CopyUp, Slot, Step};
use crate::error::{Code, Error, Result};
use crate::security::labels::Module;
use crate::spec::number_list;

/// The bytes of a plan, and the descriptors that must stay open across exec for it.
#[derive(Debug)]
pub struct Encoded {
    pub bytes: Vec<u8>,
    pub inherited: Vec<RawFd>,
}

/// `slots`: the descriptor for each slot, -1 for those that init fills. `low`: what becomes 0, 1, 2 and so on.
pub fn encode(steps: &[Step], slots: &[RawFd], low: &[RawFd]) -> Result<Encoded> {
    let mut slots = slots.to_vec();
    let mut inherited: Vec<RawFd> = slots.iter().chain(low).copied().filter(|fd| *fd >= 0).collect();
    inherited.sort_unstable();
    inherited.dedup();

    let mut block = Block::new();
    let mut anchors = Anchors::default();
    let words: Vec<wire::Step> = steps.iter().map(|step| block.step(step, &mut anchors, &mut slots)).collect();
    let table = block.place(words.iter().flat_map(step_words));
    let numbers = |numbers: &[RawFd]| numbers.iter().map(|fd| *fd as u32).collect::<Vec<_>>();
    let header = Header {
        magic: MAGIC,
        len: 0,
        steps: table,
        step_count: words.len() as u32,
        slots: block.place(numbers(&slots)),
        slot_count: slots.len() as u32,
        low: block.place(numbers(low)),
        low_count: low.len() as u32,
        keep: block.place(numbers(&inherited)),
        keep_count: inherited.len() as u32,
    };
    Ok(Encoded { bytes: block.finish(header)?, inherited })
}

/// A step as the u32 words of its C layout.
fn step_words(step: &wire::Step) -> [u32; 14] {
    let (a, s) = (step.a, step.s);
    let (low, high) = (a.map(|a| a as u32), a.map(|a| (a >> 32) as u32));
    [step.op, step.flags, low[0], high[0], low[1], high[1], low[2], high[2], low[3], high[3], s[0], s[1], s[2], s[3]]
}

/// Where the kernel's own filesystems belong.
const KERNELS: [&str; 3] = ["/dev", "/proc", "/sys"];

/// Whether symlinks on the way are followed, inside the root filesystem.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Links {
    Followed,
    /// Refused below [`KERNELS`].
    Refused,
}

/// The mounts on [`KERNELS`] that init holds open. What lies beneath is found from them: whatever the image or another
/// container does to the names in the root filesystem, devices go into the new /dev, and masks onto the new /proc.
#[derive(Default)]
struct Anchors {
    mounts: Vec<(PathBuf, u32)>,
}

impl Anchors {
    /// Another mount lies there from now on.
    fn cover(&mut self, target: &Path) {
        self.mounts.retain(|(mount, _)| !mount.starts_with(target));
    }

    /// The slot that keeps a new filesystem on `target` open, if it is one of [`KERNELS`].
    fn keep(&mut self, target: &Path, slots: &mut Vec<RawFd>) -> u64 {
        if !KERNELS.iter().any(|top| target == Path::new(top)) {
            return NO_SLOT;
        }
        slots.push(-1);
        let slot = slots.len() as u32 - 1;
        self.mounts.push((target.to_owned(), slot));
        slot as u64
    }

    /// The slot where a path begins (0: the root filesystem), and the path from there.
    fn find<'p>(&self, path: &'p Path) -> (u32, &'p Path) {
        let mut mounts = self.mounts.iter();
        mounts.find_map(|(mount, slot)| Some((*slot, below(path, mount)?))).unwrap_or((0, path))
    }
}

/// What is left of a path below a directory, with its slash; "/" of the directory itself. Paths in a plan are in their
/// shortest spelling.
fn below<'p>(path: &'p Path, directory: &Path) -> Option<&'p Path> {
    let rest = path.as_os_str().as_bytes().strip_prefix(directory.as_os_str().as_bytes())?;
    match rest.first() {
        None => Some(Path::new("/")),
        Some(b'/') => Some(Path::new(OsStr::from_bytes(rest))),
        Some(_) => None,
    }
}

struct Block {
    bytes: Vec<u8>,
    /// The entry of the environment that a `Home` step completes.
    home: Option<u32>,
}

/// What the plan of an ordinary configuration needs.
const USUAL: usize = 16 << 10;

/// Room for HOME=, a path and its end.
const HOME_ROOM: usize = 4096;

impl Block {
    fn new() -> Block {
        let mut bytes = Vec::with_capacity(USUAL);
        bytes.resize(size_of::<Header>().next_multiple_of(8), 0);
        Block { bytes, home: None }
    }

    fn align(&mut self) -> u32 {
        self.bytes.resize(self.bytes.len().next_multiple_of(8), 0);
        self.bytes.len() as u32
    }

    fn place(&mut self, words: impl IntoIterator<Item = u32>) -> u32 {
        let at = self.align();
        words.into_iter().for_each(|word| self.bytes.extend_from_slice(&word.to_ne_bytes()));
        at
    }

    fn offsets(&mut self, offsets: &[u32]) -> u32 {
        let at = self.align();
        offsets.iter().for_each(|offset| self.bytes.extend_from_slice(&(*offset as u64).to_ne_bytes()));
        at
    }

    fn text(&mut self, text: impl AsRef<OsStr>) -> u32 {
        let at = self.bytes.len() as u32;
        self.bytes.extend_from_slice(text.as_ref().as_bytes());
        self.bytes.push(0);
        at
    }

    /// A path in the container, from the mount that it begins at.
    fn inside(&mut self, step: &mut wire::Step, anchors: &Anchors, path: &Path, links: Links) -> u32 {
        let (base, rest) = anchors.find(path);
        let kernels = || KERNELS.iter().any(|top| below(path, Path::new(top)).is_some());
        let strict = links == Links::Refused && base == 0 && kernels();
        step.flags |= base << wire::BASE_SHIFT | if strict { wire::STRICT } else { 0 };
        self.text(rest)
    }

    /// Numbers as a set of bits: where it is, and its length in words.
    fn mask(&mut self, list: &str) -> (u32, u64) {
        let words = number_list::mask(list);
        (self.place(words.iter().copied()), words.len() as u64)
    }

    /// A 0-terminated array of strings, with one more that is in the block already.
    fn list(&mut self, texts: &[String], last: Option<u32>) -> u32 {
        let mut offsets: Vec<u32> = texts.iter().map(|text| self.text(text)).chain(last).collect();
        offsets.push(0);
        self.offsets(&offsets)
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
        let words = [
            header.magic,
            header.len,
            header.steps,
            header.step_count,
            header.slots,
            header.slot_count,
            header.low,
            header.low_count,
            header.keep,
            header.keep_count,
        ];
        for (index, word) in words.iter().enumerate() {
            self.bytes[index * 4..index * 4 + 4].copy_from_slice(&word.to_ne_bytes());
        }
        Ok(self.bytes)
    }

    fn step(&mut self, step: &Step, anchors: &mut Anchors, slots: &mut Vec<RawFd>) -> wire::Step {
        let mut out = wire::Step { op: step.op() as u32, ..wire::Step::default() };
        let slot = |slot: &Slot| slot.0 as u64;
        match step {
            Step::WaitHost(barrier) => out.flags = if *barrier == Barrier::Hooks { wire::ANNOUNCE } else { 0 },
            Step::Ready | Step::BecomeRoot | Step::Chroot | Step::RootReadonly | Step::MoveRoot => {}
            Step::Session | Step::OwnNull | Step::Keyring | Step::NoNewPrivileges | Step::Loopback => {}
            Step::NetlinkSocket(protocol) => out.a[0] = *protocol as u64,
            Step::ExecFifo(at) | Step::NetworkNamespace(at) => out.a[0] = slot(at),
            Step::SetNs { slot: at, flags, .. } => out.a = [slot(at), *flags, 0, 0],
            Step::Unshare(flags) => out.a[0] = *flags,
            Step::Fork { flags, cgroup, open } => {
                out.a = [*flags, cgroup.as_ref().map_or(NO_SLOT, slot), u64::from(*open), 0];
            }
            Step::TimeNamespace { offsets } => out.s[0] = self.text(offsets),
            Step::Propagation { path, flags } => {
                out.a[0] = *flags;
                out.s[0] = self.text(path);
            }
            Step::OpenTree { path, recursive, own_propagation, slot: at, .. } => {
                out.flags = if *own_propagation { wire::OWN_PROPAGATION } else { 0 };
                out.a = [slot(at), if *recursive { libc::AT_RECURSIVE as u64 } else { 0 }, 0, 0];
                out.s[0] = self.text(path);
            }
            Step::AttachRoot { slot: at, path } => {
                out.a[0] = slot(at);
                out.s[0] = self.text(path);
            }
            Step::HideHost(paths) => {
                let mut offsets: Vec<u32> = paths.iter().map(|path| self.text(path)).collect();
                offsets.push(0);
                out.s[0] = self.offsets(&offsets);
            }
            Step::OpenRoot(path) => out.s[0] = self.text(path),
            Step::TakeRoot(at) => out.a[0] = slot(at),
            Step::IdMap { recursive, tree, namespace, .. } => {
                out.flags = if *recursive { wire::WHOLE_TREE } else { 0 };
                out.a = [slot(tree), slot(namespace), 0, 0];
            }
            Step::Mount { kind, source, target, attributes, options, copy_up, id_map, .. } => {
                anchors.cover(target);
                out.a[0] = *attributes;
                out.s[0] = self.text(kind);
                out.s[1] = source.as_ref().map_or(0, |source| self.text(source));
                out.s[2] = self.inside(&mut out, anchors, target, Links::Refused);
                out.s[3] = self.options(options);
                out.a[1] = anchors.keep(target, slots);
                out.a[2] = id_map.as_ref().map_or(NO_SLOT, slot);
                out.flags |= match copy_up {
                    CopyUp::No => 0,
                    CopyUp::Content => wire::COPY_UP,
                    CopyUp::ContentAndOwner => wire::COPY_UP | wire::COPY_OWNER,
                };
            }
            Step::Attach { slot: at, target, attributes, .. } => {
                anchors.cover(target);
                out.a = attribute_words(slot(at), attributes);
                out.s[2] = self.inside(&mut out, anchors, target, Links::Refused);
            }
            Step::Reconfigure { target, options, .. } => {
                out.s[2] = self.inside(&mut out, anchors, target, Links::Refused);
                out.s[3] = self.options(options);
            }
            Step::Remount { target, attributes, .. } => {
                out.a = attribute_words(0, attributes);
                out.s[2] = self.inside(&mut out, anchors, target, Links::Refused);
            }
            Step::MountPropagation { target, flags, .. } | Step::CountVersions { target, flags, .. } => {
                out.a[0] = *flags;
                out.s[2] = self.inside(&mut out, anchors, target, Links::Refused);
            }
            Step::Mask(path) | Step::ReadonlyPath(path) | Step::MakeDirectory(path) => {
                out.s[2] = self.inside(&mut out, anchors, path, Links::Followed);
            }
            Step::MakeNode { parent, name, mode, device, uid, gid } => {
                let device = (device.0 as u64) << 32 | device.1 as u64;
                out.a = [*mode as u64, device, *uid as u64, *gid as u64];
                out.s[0] = self.inside(&mut out, anchors, parent, Links::Refused);
                out.s[1] = self.text(name);
            }
            Step::Symlink { parent, name, target } => {
                out.s[0] = self.inside(&mut out, anchors, parent, Links::Refused);
                out.s[1] = self.text(name);
                out.s[2] = self.text(target);
            }
            Step::Pivot { cut_propagation } => out.a[0] = *cut_propagation,
            Step::Sysctl { path, value } => {
                out.s = [self.text(Path::new("sys").join(path)), self.text(value), 0, 0];
            }
            Step::Hostname(name) | Step::Domainname(name) => out.s[0] = self.text(name),
            Step::Terminal { rows, columns, uid, console } => {
                out.s[0] = self.inside(&mut out, anchors, Path::new("/dev/pts/ptmx"), Links::Refused);
                out.s[1] = self.inside(&mut out, anchors, Path::new("/dev"), Links::Refused);
                out.flags |= if *console { wire::BIND_CONSOLE } else { 0 };
                out.a = [*rows as u64, *columns as u64, *uid as u64, 0];
            }
            Step::Rlimit { resource, soft, hard, .. } => out.a = [*resource as u64, *soft, *hard, 0],
            Step::Bounding(kept) => out.a[0] = *kept,
            Step::User { uid, gid, groups } => {
                out.a = [*uid as u64, *gid as u64, groups.len() as u64, 0];
                out.s[0] = self.place(groups.iter().copied());
            }
            Step::Capabilities { effective, permitted, inheritable, ambient } => {
                out.a = [*effective, *permitted, *inheritable, *ambient];
            }
            Step::Seccomp { filter, privileged } => {
                out.flags = if *privileged { wire::PRIVILEGED } else { 0 };
                out.flags |= if filter.notifies { wire::LISTENER } else { 0 };
                out.a = [filter.program.len() as u64, filter.flags as u64, 0, 0];
                out.s[0] = self.align();
                self.bytes.extend(filter.program.iter().flat_map(|instruction| instruction.bytes()));
            }
            Step::Label { module, label } => {
                out.flags = if *module == Module::AppArmor { wire::APPARMOR } else { 0 };
                let asked = if *module == Module::AppArmor { format!("exec {label}") } else { label.clone() };
                out.s = [self.text(asked), self.text(label), 0, 0];
            }
            Step::Umask(mask) => out.a[0] = *mask as u64,
            Step::WorkingDirectory { path, attempt } => {
                out.flags = if *attempt { wire::TRY } else { 0 };
                out.s[0] = self.text(path);
            }
            Step::ParentDeathSignal(signal) => out.a[0] = *signal as u64,
            Step::CpuAffinity(list) => (out.s[0], out.a[0]) = self.mask(list),
            Step::Personality { persona, .. } => out.a[0] = *persona,
            Step::MemoryPolicy { mode, nodes, .. } => {
                (out.s[0], out.a[1]) = self.mask(nodes);
                out.a[0] = *mode;
            }
            Step::Home(uid) => {
                out.a = [*uid as u64, HOME_ROOM as u64, 0, 0];
                out.s[0] = self.text("HOME=");
                self.bytes.resize(out.s[0] as usize + HOME_ROOM, 0);
                self.home = Some(out.s[0]);
            }
            Step::FindProgram { name, search } => out.s = [self.text(name), 0, self.text(search), 0],
            Step::Exec { file, args, env, search } => {
                let file = file.as_ref().map_or(0, |file| self.text(file));
                let home = self.home.take();
                out.s = [self.list(args, None), self.list(env, home), self.text(search), file];
            }
        }
        out
    }

    /// Key, value, key, value …, 0; an offset of 0 in a value's place is a flag.
    fn options(&mut self, options: &[(String, Option<String>)]) -> u32 {
        let mut offsets = Vec::new();
        for (key, value) in options {
            offsets.push(self.text(key));
            offsets.push(value.as_ref().map_or(0, |value| self.text(value)));
        }
        offsets.push(0);
        self.offsets(&offsets)
    }
}

fn attribute_words(slot: u64, attributes: &Attributes) -> [u64; 4] {
    [slot, attributes.set, attributes.clear, attributes.tree_set << 32 | attributes.tree_clear]
}

#[cfg(test)]
mod tests {
    use super::*;
    use berth_init::plan::Plan;

    /// What init reads from what the host wrote.
    fn decoded(steps: &[Step], slots: &[RawFd], low: &[RawFd]) -> Plan {
        let bytes = encode(steps, slots, low).unwrap().bytes;
        let words: Vec<u64> = bytes.chunks(8).map(|chunk| u64::from_ne_bytes(chunk.try_into().unwrap())).collect();
        let words = words.leak();
        // SAFETY: leaked and 8-byte aligned.
        unsafe { Plan::new(words.as_mut_ptr() as *mut u8, words.len() * 8).unwrap() }
    }

    #[test]
    fn init_reads_what_the_host_wrote() {
        let mount = Step::Mount {
            kind: "tmpfs".into(),
            source: None,
            target: "/dev".into(),
            attributes: libc::MOUNT_ATTR_NOSUID,
            options: vec![
                ("mode".into(), Some("755".into())),
                ("lazytime".into(), None),
                ("size".into(), Some("1".into())),
            ],
            copy_up: CopyUp::No,
            id_map: None,
            entry: None,
        };
        let plan = decoded(&[Step::Session, mount], &[7, 3, -1, -1], &[0, 1, 1]);
        assert_eq!(plan.keep().unwrap(), [0, 1, 3, 7]);
        assert_eq!(plan.low().unwrap(), [0, 1, 1]);
        assert_eq!(plan.slots().unwrap(), [7, 3, -1, -1, -1], "one more, to keep /dev open");
        let step = plan.step(1).unwrap();
        assert_eq!(step.op, wire::Op::Mount as u32);
        assert_eq!(step.a[0], libc::MOUNT_ATTR_NOSUID);
        assert_eq!(plan.text(step.s[0]).unwrap().bytes(), b"tmpfs");
        assert_eq!(step.s[1], 0);
        let option = |index| plan.array_text(step.s[3], index).unwrap().map(|text| text.bytes());
        let found: Vec<_> = (0..6).map(option).collect();
        assert_eq!(found, [Some(&b"mode"[..]), Some(b"755"), Some(b"lazytime"), None, Some(b"size"), Some(b"1")]);
        assert_eq!(option(6), None);
        assert_eq!(plan.header().step_count, 2);
        assert!(plan.step(2).is_err());
    }

    #[test]
    fn a_user_has_its_groups_as_numbers() {
        let plan = decoded(&[Step::User { uid: 1, gid: 2, groups: vec![3, u32::MAX - 1] }], &[-1; 4], &[]);
        let step = plan.step(0).unwrap();
        assert_eq!(step.a, [1, 2, 2, 0]);
        let groups = plan.u32_array(step.s[0], 2).unwrap();
        // SAFETY: `u32_array` has checked that two numbers are there.
        assert_eq!(unsafe { [*groups, *groups.add(1)] }, [3, u32::MAX - 1]);
        assert!(plan.u32_array(step.s[0], 1 << 20).is_err());
    }

    #[test]
    fn what_lies_on_a_mount_of_the_kernels_is_found_from_that_mount() {
        let mount = |target: &str| Step::Mount {
            kind: "tmpfs".into(),
            source: None,
            target: target.into(),
            attributes: 0,
            options: vec![],
            copy_up: CopyUp::No,
            id_map: None,
            entry: None,
        };
        let link = Step::Symlink { parent: "/dev".into(), name: "fd".into(), target: "/proc/self/fd".into() };
        let steps =
            [mount("/dev"), mount("/dev/shm"), link, mount("/data"), Step::Mask("/proc/keys".into()), mount("/dev")];
        let plan = decoded(&steps, &[-1; 4], &[]);
        let seen = |index: u32, text: usize| {
            let step = plan.step(index).unwrap();
            let path = plan.text(step.s[text]).unwrap().bytes();
            (step.flags >> wire::BASE_SHIFT, step.flags & wire::STRICT != 0, std::str::from_utf8(path).unwrap())
        };
        assert_eq!(seen(0, 2), (0, true, "/dev"));
        assert_eq!(plan.step(0).unwrap().a[1], 4);
        assert_eq!(seen(1, 2), (4, false, "/shm"));
        assert_eq!(seen(2, 0), (4, false, "/"));
        assert_eq!(seen(3, 2), (0, false, "/data"));
        assert_eq!(plan.step(3).unwrap().a[1], NO_SLOT);
        assert_eq!(seen(4, 2), (0, false, "/proc/keys"), "without a /proc of its own there is nothing to escape");
        assert_eq!(seen(5, 2), (0, true, "/dev"), "a second mount covers the first");
        assert_eq!(plan.slots().unwrap().len(), 6);
    }

    #[test]
    fn an_exec_step_has_its_arrays_as_pointers() {
        let exec = Step::Exec { file: None, args: vec!["a".into(), "b c".into()], env: vec![], search: "/bin".into() };
        let plan = decoded(&[exec], &[-1; 4], &[]);
        let step = plan.step(0).unwrap();
        let argv = plan.pointers(step.s[0]).unwrap();
        // SAFETY: `pointers` made it a NULL-terminated array of C strings.
        let texts = unsafe { [std::ffi::CStr::from_ptr(*argv as _), std::ffi::CStr::from_ptr(*argv.add(1) as _)] };
        assert_eq!(texts, [c"a", c"b c"]);
        // SAFETY: as above.
        assert!(unsafe { (*argv.add(2)).is_null() && (*plan.pointers(step.s[1]).unwrap()).is_null() });
    }

    #[test]
    fn a_home_has_room_in_the_environment() {
        let exec = Step::Exec { file: None, args: vec!["a".into()], env: vec!["A=1".into()], search: String::new() };
        let plan = decoded(&[Step::Home(7), exec], &[-1; 4], &[]);
        let step = plan.step(0).unwrap();
        assert_eq!(step.a[0], 7);
        let room = plan.bytes_mut(step.s[0], step.a[1] as usize).unwrap();
        room[5..7].copy_from_slice(b"/x");
        assert!(room.len() == HOME_ROOM && plan.bytes_mut(step.s[0], MAX_PLAN).is_err());
        let envp = plan.pointers(plan.step(1).unwrap().s[1]).unwrap();
        // SAFETY: `pointers` made it a NULL-terminated array of C strings.
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
        let mut words = vec![0u64; 16];
        // SAFETY: alive and aligned; refused before anything else is read.
        assert!(unsafe { Plan::new(words.as_mut_ptr() as *mut u8, 128) }.is_err());
        words[0] = MAGIC as u64 | (4096 << 32);
        // SAFETY: as above.
        assert!(unsafe { Plan::new(words.as_mut_ptr() as *mut u8, 128) }.is_err());
    }
}
