//! The kinds of fields of steps, and how init reads them from a plan.
//!
//! Each field is one or more 64-bit words; strings and arrays are stored elsewhere in the plan, and the word is their
//! offset. `src/plan/field.rs` defines the planner's type of each kind, how it is packed, and how it is described.

use super::plan::{Path, Plan};
use super::sys::{EPROTO, Result, Str};

/// A kind of field.
pub trait Field {
    /// The type that the step's run function receives.
    type View;
    /// The format of its words, for the hash of the layout.
    const LAYOUT: &str;

    /// Reads the words of one field.
    fn read(words: &mut Words) -> Result<Self::View>;
}

/// The words of a plan's steps, in sequence.
pub struct Words {
    plan: Plan,
    at: u32,
}

impl Words {
    /// Returns the words from the first step on.
    pub fn new(plan: Plan) -> Words {
        Words { plan, at: plan.header().steps }
    }

    /// Returns the next word.
    #[expect(clippy::should_implement_trait)] // there is no end to tell: a plan says how many steps it has
    #[inline(never)] // as below: called for every field
    pub fn next(&mut self) -> Result<u64> {
        let word = self.plan.word(self.at)?;
        self.at += 8;
        Ok(word)
    }

    #[inline(never)]
    fn offset(&mut self) -> Result<u32> {
        u32::try_from(self.next()?).map_err(|_| EPROTO)
    }

    #[inline(never)]
    fn text(&mut self) -> Result<Path> {
        let offset = self.offset()?;
        self.plan.text_mut(offset)
    }
}

/// An entry of init's table of descriptors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot(
    /// Its index in the table.
    pub usize,
);

/// The word that means "no slot".
pub const NO_SLOT: u64 = u64::MAX;

/// Mount attributes (MOUNT_ATTR_…) to set and to clear, on one mount and on each mount of its tree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    /// Set on the mount itself.
    pub set: u64,
    /// Cleared on the mount itself.
    pub clear: u64,
    /// Set on the mount and all below it.
    pub tree_set: u64,
    /// Cleared on the mount and all below it.
    pub tree_clear: u64,
}

/// A point at which init waits for the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Barrier {
    /// Until the caller has set init's cgroups, id maps, limits and networks.
    Attached,
    /// Until the caller has run the hooks that precede pivot_root.
    Hooks,
}

/// What is copied from the target into a new tmpfs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CopyUp {
    /// Nothing is copied.
    #[default]
    No,
    /// The content is copied.
    Content,
    /// The content, and the owner and mode of the target itself.
    ContentAndOwner,
}

/// A path in the container.
#[derive(Clone, Copy)]
pub struct Place {
    /// The mount that the path is relative to; `None` for the root filesystem.
    pub base: Option<Slot>,
    /// Whether symlinks in the path are refused.
    pub strict: bool,
    /// The path, relative to `base`.
    pub path: Path,
}

/// The place where a mount is attached.
#[derive(Clone, Copy)]
pub struct MountTarget {
    /// The path of the mount point.
    pub place: Place,
    /// The slot that keeps the mount open, for paths below it.
    pub kept: Option<Slot>,
}

/// The number of a device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Device {
    /// The number of the driver.
    pub major: u32,
    /// The number of the device among those of the driver.
    pub minor: u32,
}

impl core::fmt::Display for Device {
    fn fmt(&self, out: &mut core::fmt::Formatter) -> core::fmt::Result {
        write!(out, "{}:{}", self.major, self.minor)
    }
}

/// An array of 32-bit numbers.
#[derive(Clone, Copy)]
pub struct Numbers {
    /// The first number.
    pub start: *const u32,
    /// The count of numbers.
    pub count: usize,
}

/// An array of strings.
#[derive(Clone, Copy)]
pub struct Strings {
    plan: Plan,
    array: u32,
}

impl Strings {
    /// Returns the string at `index`, or `None` after the last one.
    pub fn get(&self, index: usize) -> Result<Option<Str>> {
        self.plan.array_text(self.array, index)
    }
}

/// A seccomp filter: instructions (struct sock_filter) and flags.
pub struct FilterView {
    /// Two numbers for each instruction.
    pub instructions: Numbers,
    /// SECCOMP_FILTER_FLAG_…
    pub flags: u64,
    /// Whether the kernel returns a listener.
    pub notifies: bool,
}

/// The environment entry for HOME, with space for a path and the NUL.
pub struct HomeBuffer {
    /// The user whose home directory is looked up.
    pub uid: u32,
    /// The entry, which already begins with "HOME=".
    pub room: &'static mut [u8],
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ty => $view:ty, $layout:literal, $words:ident => $read:expr;)*) => {
        $(impl Field for $kind {
            type View = $view;
            const LAYOUT: &str = $layout;

            fn read($words: &mut Words) -> Result<$view> {
                $read
            }
        })*
    };
}

/// Kinds without a value type of the same name, neither in init nor in the planner.
macro_rules! markers {
    ($($(#[$doc:meta])* $name:ident)*) => { $($(#[$doc])* pub enum $name {})* };
}

markers! {
    /// A string.
    Text
    /// A path of the host, or relative to the process's root.
    HostPath
    /// Paths of the host.
    HostPaths
    /// A path in the container, in which no symlink is followed below the mount points of the kernel's own filesystems.
    Target
    /// A `Target` that another mount covers from now on; if that is a procfs, it is kept open.
    BindTarget
    /// A `Target` for a new filesystem, which is kept open if it is one of the kernel's own mount points.
    NewMountTarget
    /// A path in the container whose symlinks are followed, within the root filesystem.
    ImagePath
    /// The directory in the container in which something is created.
    Parent
    /// Strings, for execve(2).
    Texts
    /// Strings for the environment of execve(2), with HOME if a `Home` step completes it.
    Environment
    /// Keys and values for fsconfig(2).
    MountOptions
    /// MOUNT_ATTR_…
    MountAttributes
    /// CLONE_NEW…
    Namespaces
    /// CLONE_NEW… flags of a fork; namespaces that were joined are not included.
    ForkNamespaces
    /// The text for /proc/self/timens_offsets.
    TimeOffsets
    /// MS_SHARED and so on.
    PropagationFlags
    /// The permissions and the file type of a node.
    NodeMode
    /// A file below /proc/sys.
    SysctlPath
    /// Whether a terminal is also the console.
    Console
    /// A number, or RLIM_INFINITY.
    Limit
    /// A set of capabilities: bit N stands for capability N.
    CapabilitySet
    /// Supplementary groups.
    Groups
    /// A seccomp filter.
    Filter
    /// True for AppArmor, which has its own files since Linux 5.8; false for SELinux.
    LabelModule
    /// A set of CPUs.
    Processors
    /// A set of NUMA nodes.
    Nodes
    /// The uid whose home directory is looked up.
    HomeOwner
    /// The name of a program.
    Program
    /// The entry of `mounts` that a step belongs to. Only the planner knows it.
    EntryOfMounts
}

kinds! {
    u64 => u64, "number", words => words.next();
    u32 => u32, "number", words => number(words);
    u16 => u16, "number", words => u16::try_from(words.next()?).map_err(|_| EPROTO);
    i32 => i32, "number", words => number(words).map(|number| number as i32);
    bool => bool, "0 1", words => flag(words);

    Slot => Slot, "slot", words => Ok(Slot(words.offset()? as usize));
    Option<Slot> => Option<Slot>, "slot or all ones", words => optional_slot(words);
    Attributes => Attributes, "set clear tree_set tree_clear", words => Ok(Attributes {
        set: words.next()?, clear: words.next()?, tree_set: words.next()?, tree_clear: words.next()?,
    });
    Barrier => Barrier, "Attached Hooks", words => Ok(if flag(words)? { Barrier::Hooks } else { Barrier::Attached });
    CopyUp => CopyUp, "No Content ContentAndOwner", words => match words.next()? {
        0 => Ok(CopyUp::No),
        1 => Ok(CopyUp::Content),
        2 => Ok(CopyUp::ContentAndOwner),
        _ => Err(EPROTO),
    };

    Text => Str, "text", words => words.text().map(Path::as_str);
    Option<Text> => Option<Str>, "text or 0", words => match words.offset()? {
        0 => Ok(None),
        offset => words.plan.text(offset).map(Some),
    };
    HostPath => Path, "text", words => words.text();
    SysctlPath => Str, "text", words => words.text().map(Path::as_str);
    TimeOffsets => Str, "text", words => words.text().map(Path::as_str);
    Program => Str, "text", words => words.text().map(Path::as_str);

    Target => Place, "strict base text", words => place(words);
    BindTarget => MountTarget, "strict base text kept", words => mount_target(words);
    ImagePath => Place, "strict base text", words => place(words);
    Parent => Place, "strict base text", words => place(words);
    NewMountTarget => MountTarget, "strict base text kept", words => mount_target(words);

    HostPaths => Strings, "texts 0", words => Ok(Strings { plan: words.plan, array: words.offset()? });
    MountOptions => Strings, "(key value)s 0", words => Ok(Strings { plan: words.plan, array: words.offset()? });
    Texts => *const *const u8, "texts 0", words => pointers(words);
    Environment => *const *const u8, "texts 0", words => pointers(words);

    Namespaces => u64, "number", words => words.next();
    ForkNamespaces => u64, "number", words => words.next();
    MountAttributes => u64, "number", words => words.next();
    PropagationFlags => u64, "number", words => words.next();
    Limit => u64, "number", words => words.next();
    CapabilitySet => u64, "number", words => words.next();
    NodeMode => u32, "number", words => number(words);
    Device => Device, "major minor", words => Ok(Device { major: number(words)?, minor: number(words)? });
    Console => bool, "0 1", words => flag(words);
    LabelModule => bool, "0 1", words => flag(words);

    Groups => Numbers, "start count", words => numbers(words, 1);
    Processors => Numbers, "start count", words => numbers(words, 1);
    Nodes => Numbers, "start count", words => numbers(words, 1);
    Filter => FilterView, "start count flags notifies", words => Ok(FilterView {
        instructions: numbers(words, 2)?, flags: words.next()?, notifies: flag(words)?,
    });
    HomeOwner => HomeBuffer, "uid start len", words => {
        let (uid, start, len) = (number(words)?, words.offset()?, words.offset()?);
        Ok(HomeBuffer { uid, room: words.plan.bytes_mut(start, len as usize)? })
    };
}

fn number(words: &mut Words) -> Result<u32> {
    words.offset()
}

#[inline(never)]
fn flag(words: &mut Words) -> Result<bool> {
    match words.next()? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(EPROTO),
    }
}

#[inline(never)]
fn optional_slot(words: &mut Words) -> Result<Option<Slot>> {
    match words.next()? {
        NO_SLOT => Ok(None),
        slot => Ok(Some(Slot(slot as usize))),
    }
}

#[inline(never)]
fn place(words: &mut Words) -> Result<Place> {
    Ok(Place { strict: flag(words)?, base: optional_slot(words)?, path: words.text()? })
}

fn mount_target(words: &mut Words) -> Result<MountTarget> {
    Ok(MountTarget { place: place(words)?, kept: optional_slot(words)? })
}

/// Reads an array whose elements have `size` numbers each.
#[inline(never)]
fn numbers(words: &mut Words, size: usize) -> Result<Numbers> {
    let (start, count) = (words.offset()?, words.offset()? as usize);
    Ok(Numbers { start: words.plan.u32_array(start, size * count)?, count })
}

fn pointers(words: &mut Words) -> Result<*const *const u8> {
    let array = words.offset()?;
    words.plan.pointers(array)
}
