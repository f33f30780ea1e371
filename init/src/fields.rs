//! The kinds of fields that steps have, as init reads them from a plan.
//!
//! Each field is one or more words of 64 bits; strings and arrays lie elsewhere in the plan, and the word is their offset.
//! `src/plan/field.rs` says for the same kinds what the planner has, how that is packed, and how it is put into words.

use super::plan::{Path, Plan};
use super::sys::{EPROTO, Result, Str};

/// A kind of field.
pub trait Field {
    /// What the step's run function gets.
    type View;
    /// What its words are, for the hash of the layout.
    const LAYOUT: &str;

    /// Reads the words of one field.
    fn read(words: &mut Words) -> Result<Self::View>;
}

/// The words of a plan's steps, one after the other.
pub struct Words {
    plan: Plan,
    at: u32,
}

impl Words {
    /// Begins at the first step.
    pub fn new(plan: Plan) -> Words {
        Words { plan, at: plan.header().steps }
    }

    /// The next word.
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

/// A place in the table of descriptors that init keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot(
    /// Its index in the table.
    pub usize,
);

/// In the place of a slot: none.
pub const NO_SLOT: u64 = u64::MAX;

/// Attributes (MOUNT_ATTR_…) to set and to clear: of one mount, and of each mount of its tree.
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

/// Where init waits for the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Barrier {
    /// Until its cgroups, id maps, limits and networks are set from outside.
    Attached,
    /// Until the hooks that run before pivot_root have run.
    Hooks,
}

/// Whether what the target has is copied into a new tmpfs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CopyUp {
    /// Nothing is copied.
    #[default]
    No,
    /// The content is copied.
    Content,
    /// And the target's own owner and mode.
    ContentAndOwner,
}

/// A path in the container.
#[derive(Clone, Copy)]
pub struct Place {
    /// The mount that the path begins at; none: the root filesystem.
    pub base: Option<Slot>,
    /// No symlink is followed on it.
    pub strict: bool,
    /// The path from there.
    pub path: Path,
}

/// Numbers of 32 bits.
#[derive(Clone, Copy)]
pub struct Numbers {
    /// The first of them.
    pub start: *const u32,
    /// How many there are.
    pub count: usize,
}

/// An array of strings.
#[derive(Clone, Copy)]
pub struct Strings {
    plan: Plan,
    array: u32,
}

impl Strings {
    /// None after the last one.
    pub fn get(&self, index: usize) -> Result<Option<Str>> {
        self.plan.array_text(self.array, index)
    }
}

/// Instructions of a filter (struct sock_filter).
pub struct FilterView {
    /// Two numbers for each instruction.
    pub instructions: Numbers,
    /// SECCOMP_FILTER_FLAG_…
    pub flags: u64,
    /// The kernel returns a listener.
    pub notifies: bool,
}

/// Room for HOME=, a path and its end.
pub struct HomeRoom {
    /// The user whose home is looked for.
    pub uid: u32,
    /// It begins with HOME= already.
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

/// Kinds that are named only: neither side has a type of just this meaning.
macro_rules! markers {
    ($($(#[$doc:meta])* $name:ident)*) => { $($(#[$doc])* pub enum $name {})* };
}

markers! {
    /// A string.
    Text
    /// A path of the host, or of the root that the process has.
    HostPath
    /// Several of them.
    HostPaths
    /// A path in the container, where no symlink is followed below the places of the kernel's own filesystems.
    Target
    /// The same: another mount lies there from now on; a procfs is kept open.
    BindTarget
    /// The same, of a new filesystem; one in the place of the kernel's own is kept open.
    NewMountTarget
    /// A path in the container whose symlinks are followed, inside the root filesystem.
    ImagePath
    /// The directory in the container in which something is made.
    Parent
    /// Strings, for execve(2).
    Texts
    /// The same, with HOME if a step `Home` completes it.
    Environment
    /// Keys and values for fsconfig(2).
    MountOptions
    /// MOUNT_ATTR_…
    MountAttributes
    /// CLONE_NEW…
    Namespaces
    /// The same of a fork: none for namespaces that have been joined.
    ForkNamespaces
    /// As /proc/self/timens_offsets takes them.
    TimeOffsets
    /// MS_SHARED and so on.
    PropagationFlags
    /// Mode and type of a node.
    NodeMode
    /// Major and minor.
    Device
    /// A file below /proc/sys.
    SysctlPath
    /// Whether a terminal is the console, too.
    Console
    /// A number, or RLIM_INFINITY.
    Limit
    /// Bit N is the capability N.
    CapabilitySet
    /// Supplementary groups.
    Groups
    /// A filter of system calls.
    Filter
    /// True: AppArmor, which has files of its own since Linux 5.8; otherwise SELinux.
    LabelModule
    /// A set of processors.
    Processors
    /// A set of NUMA nodes.
    Nodes
    /// The uid whose home is looked for.
    HomeOwner
    /// The name of a program.
    Program
    /// The entry of `mounts` that a step is for. Only the planner knows it.
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
    BindTarget => (Place, Option<Slot>), "strict base text kept", words => Ok((place(words)?, optional_slot(words)?));
    ImagePath => Place, "strict base text", words => place(words);
    Parent => Place, "strict base text", words => place(words);
    NewMountTarget => (Place, Option<Slot>), "strict base text kept", words => Ok((place(words)?, optional_slot(words)?));

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
    Device => (u32, u32), "major minor", words => Ok((number(words)?, number(words)?));
    Console => bool, "0 1", words => flag(words);
    LabelModule => bool, "0 1", words => flag(words);

    Groups => Numbers, "start count", words => numbers(words, 1);
    Processors => Numbers, "start count", words => numbers(words, 1);
    Nodes => Numbers, "start count", words => numbers(words, 1);
    Filter => FilterView, "start count flags notifies", words => Ok(FilterView {
        instructions: numbers(words, 2)?, flags: words.next()?, notifies: flag(words)?,
    });
    HomeOwner => HomeRoom, "uid start len", words => {
        let (uid, start, len) = (number(words)?, words.offset()?, words.offset()?);
        Ok(HomeRoom { uid, room: words.plan.bytes_mut(start, len as usize)? })
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

/// `count` elements of `size` numbers each.
#[inline(never)]
fn numbers(words: &mut Words, size: usize) -> Result<Numbers> {
    let (start, count) = (words.offset()?, words.offset()? as usize);
    Ok(Numbers { start: words.plan.u32_array(start, size * count)?, count })
}

fn pointers(words: &mut Words) -> Result<*const *const u8> {
    let array = words.offset()?;
    words.plan.pointers(array)
}
