//! The planner's side of each kind of field (`init/src/fields.rs`): its type, how it is packed into a plan, how it
//! appears in the words of a step, and how `explain` shows it.

use std::path::{Display, Path, PathBuf};
use std::sync::Arc;

use berth_init::fields::*;
use serde_json::{Map, Value, json};

use super::encode::{Links, Packer};
use super::step::Entry;
use crate::security::labels::Module;
use crate::security::seccomp;
use crate::spec::mount_options::FilesystemOption;
use crate::spec::number_list;

pub trait FieldValue {
    /// The planner's type.
    type Value;
    /// The form in which the field appears in a sentence.
    type Words<'a>;

    fn words(value: &Self::Value) -> Self::Words<'_>;

    /// Returns the entry of `mounts`, if the field holds one.
    fn entry(_: &Self::Value) -> Entry {
        None
    }
}

/// A field that is part of the plan.
pub trait Pack: FieldValue {
    fn pack(value: &Self::Value, packer: &mut Packer);
}

/// A field that `explain` can show.
pub trait Explain: FieldValue {
    fn json(value: &Self::Value) -> Value;

    fn explain(value: &Self::Value, key: &str, out: &mut Map<String, Value>) {
        out.insert(key.to_owned(), Self::json(value));
    }
}

/// A reference to the value of a field of a known kind.
pub struct FieldRef<'a, K: FieldValue>(pub &'a K::Value);

macro_rules! values {
    ($($($kind:ty),+: $value:ty => <$lifetime:lifetime> $words:ty, $given:ident => $as_words:expr;)*) => {
        $($(impl FieldValue for $kind {
            type Value = $value;
            type Words<$lifetime> = $words;

            fn words($given: &$value) -> Self::Words<'_> {
                $as_words
            }
        })+)*
    };
}

values! {
    u64, MountAttributes, CapabilitySet: u64 => <'a> u64, value => *value;
    u32, NodeMode, HomeOwner: u32 => <'a> u32, value => *value;
    u16: u16 => <'a> u16, value => *value;
    i32: i32 => <'a> i32, value => *value;
    bool: bool => <'a> bool, value => *value;
    Slot: Slot => <'a> usize, slot => slot.0;
    Option<Slot>: Option<Slot> => <'a> Option<usize>, slot => slot.map(|slot| slot.0);
    Attributes: Attributes => <'a> u64, attributes => attributes.set;
    Barrier: Barrier => <'a> &'static str, barrier => match barrier {
        Barrier::Attached => "set up cgroups, id mappings and networks",
        Barrier::Hooks => "run hooks",
    };
    CopyUp: CopyUp => <'a> &'static str, copy_up => match copy_up {
        CopyUp::No => "",
        CopyUp::Content | CopyUp::ContentAndOwner => " with a copy of the directory's content",
    };

    Text, SysctlPath, Program, Processors: String => <'a> &'a str, text => text;
    Option<Text>: Option<String> => <'a> Option<&'a str>, text => text.as_deref();
    HostPath, Target, BindTarget, NewMountTarget, ImagePath: PathBuf => <'a> Display<'a>, path => path.display();
    // The device's name follows.
    Parent: PathBuf => <'a> String, path => path.join("").display().to_string();
    HostPaths: Vec<PathBuf> => <'a> String, paths => {
        paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
    };
    Texts, Environment: Vec<String> => <'a> &'a [String], texts => texts;
    MountOptions: Vec<FilesystemOption> => <'a> usize, options => options.len();

    Namespaces: u64 => <'a> String, flags => namespace_names(*flags);
    ForkNamespaces: u64 => <'a> String, flags => match flags {
        0 => "joined namespaces".to_owned(),
        flags => format!("new namespaces: {}", namespace_names(*flags)),
    };
    TimeOffsets: String => <'a> String, offsets => match offsets.trim_end() {
        "" => String::new(),
        lines => format!(" with the offsets {}", lines.replace('\n', ", ")),
    };
    PropagationFlags: u64 => <'a> String, flags => propagation_name(*flags);
    Device: Device => <'a> Device, device => *device;
    Console: bool => <'a> &'static str, console => if *console { " and /dev/console" } else { "" };
    Limit: u64 => <'a> String, limit => limit_text(*limit);
    Groups: Vec<u32> => <'a> String, groups => match groups.as_slice() {
        [] => String::new(),
        groups => format!(", groups {groups:?}"),
    };
    Filter: Arc<seccomp::Filter> => <'a> usize, filter => filter.program.len();
    LabelModule: Module => <'a> &'static str, module => match module {
        Module::AppArmor => "AppArmor profile",
        Module::Selinux => "SELinux label",
    };
    Nodes: String => <'a> String, nodes => if nodes.is_empty() { String::new() } else { format!(" on nodes {nodes}") };
}

impl FieldValue for EntryOfMounts {
    type Value = Entry;
    type Words<'a> = Option<usize>;

    fn words(entry: &Entry) -> Option<usize> {
        *entry
    }

    fn entry(entry: &Entry) -> Entry {
        *entry
    }
}

macro_rules! packed {
    ($($($kind:ty),+: ($value:ident, $packer:ident) => $pack:expr;)*) => {
        $($(impl Pack for $kind {
            fn pack($value: &Self::Value, $packer: &mut Packer) {
                $pack
            }
        })+)*
    };
}

packed! {
    u64, MountAttributes, CapabilitySet, Namespaces, ForkNamespaces, PropagationFlags, Limit:
        (value, packer) => packer.word(*value);
    u32, NodeMode, u16, bool, Console: (value, packer) => packer.word(u64::from(*value));
    // Pack the bits: sign extension would make a negative value larger than 32 bits.
    i32: (value, packer) => packer.word(u64::from(*value as u32));
    Slot: (slot, packer) => packer.word(slot.0 as u64);
    Option<Slot>: (slot, packer) => packer.word(slot.map_or(NO_SLOT, |slot| slot.0 as u64));
    Attributes: (attributes, packer) => {
        packer.word(attributes.set);
        packer.word(attributes.clear);
        packer.word(attributes.tree_set);
        packer.word(attributes.tree_clear);
    };
    Barrier: (barrier, packer) => packer.word(u64::from(*barrier == Barrier::Hooks));
    CopyUp: (copy_up, packer) => packer.word(match copy_up {
        CopyUp::No => 0,
        CopyUp::Content => 1,
        CopyUp::ContentAndOwner => 2,
    });

    Text, TimeOffsets, Program: (text, packer) => packer.text(text);
    Option<Text>: (text, packer) => match text {
        Some(text) => packer.text(text),
        None => packer.word(0),
    };
    HostPath: (path, packer) => packer.text(path);
    SysctlPath: (path, packer) => packer.text(Path::new("sys").join(path));
    Target: (path, packer) => packer.place(path, Links::Refused);
    Parent: (path, packer) => packer.place(path, Links::Refused);
    ImagePath: (path, packer) => packer.place(path, Links::Followed);
    BindTarget: (path, packer) => {
        packer.cover(path);
        packer.place(path, Links::Refused);
        packer.keep_bound(path);
    };
    NewMountTarget: (path, packer) => {
        packer.cover(path);
        packer.place(path, Links::Refused);
        packer.keep(path);
    };

    HostPaths: (paths, packer) => packer.texts(paths);
    Texts: (texts, packer) => packer.texts(texts);
    Environment: (texts, packer) => packer.environment(texts);
    MountOptions: (options, packer) => packer.options(options);

    Device: (device, packer) => {
        packer.word(device.major.into());
        packer.word(device.minor.into());
    };
    LabelModule: (module, packer) => packer.word(u64::from(*module == Module::AppArmor));
    Groups: (groups, packer) => packer.numbers(groups);
    Processors, Nodes: (list, packer) => packer.numbers(&number_list::mask(list));
    Filter: (filter, packer) => {
        packer.instructions(filter.program.iter().map(|instruction| instruction.bytes()));
        packer.word(filter.flags.into());
        packer.word(filter.notifies.into());
    };
    HomeOwner: (uid, packer) => {
        packer.word(u64::from(*uid));
        packer.home_room();
    };
}

macro_rules! explained {
    ($($($kind:ty),+: $value:ident => $json:expr;)*) => {
        $($(impl Explain for $kind {
            fn json($value: &Self::Value) -> Value {
                json!($json)
            }
        })+)*
    };
}

explained! {
    // Paths of the host may contain any bytes.
    HostPath: path => path.to_string_lossy();
    u32, bool, Text, Option<Text>, Target, BindTarget, NewMountTarget, Texts, Environment: value => value;
    MountAttributes: attributes => attribute_names(*attributes);
    Attributes: attributes => attribute_names(attributes.set | attributes.tree_set);
    MountOptions: options => options.iter().map(FilesystemOption::to_string).collect::<Vec<_>>();
    NodeMode: mode => format!("{:04o}", mode & 0o7777);
    CapabilitySet: set => capability_names(*set);
    LabelModule: module => module.name();
    // Show them as the list that the process gets.
    Program: name => [name];
}

impl Explain for Filter {
    fn json(filter: &Self::Value) -> Value {
        filter.program.len().into()
    }

    /// Shows several keys: the parts of the filter.
    fn explain(filter: &Self::Value, _: &str, out: &mut Map<String, Value>) {
        out.insert("instructions".into(), Self::json(filter));
        out.insert("flags".into(), json!(filter.flag_names()));
        out.insert("notifies".into(), json!(filter.notifies));
        out.insert("unknown".into(), json!(filter.unknown));
    }
}

pub(super) fn limit_text(value: u64) -> String {
    if value == libc::RLIM_INFINITY { "unlimited".into() } else { value.to_string() }
}

fn named(value: u64, names: &[(u64, &'static str)]) -> Vec<&'static str> {
    names.iter().filter(|(bit, _)| value & bit != 0).map(|(_, name)| *name).collect()
}

fn namespace_names(flags: u64) -> String {
    let names = [
        (libc::CLONE_NEWUSER, "user"),
        (libc::CLONE_NEWNS, "mount"),
        (libc::CLONE_NEWPID, "pid"),
        (libc::CLONE_NEWNET, "network"),
        (libc::CLONE_NEWIPC, "ipc"),
        (libc::CLONE_NEWUTS, "uts"),
        (libc::CLONE_NEWCGROUP, "cgroup"),
        (libc::CLONE_NEWTIME, "time"),
    ]
    .map(|(flag, name)| (flag as u64, name));
    named(flags, &names).join(", ")
}

fn propagation_name(flags: u64) -> String {
    let names = [
        (libc::MS_SHARED, "shared"),
        (libc::MS_SLAVE, "slave"),
        (libc::MS_PRIVATE, "private"),
        (libc::MS_UNBINDABLE, "unbindable"),
    ];
    let recursive = if flags & libc::MS_REC != 0 { "recursively " } else { "" };
    format!("{recursive}{}", named(flags, &names).join(", "))
}

fn attribute_names(attributes: u64) -> Vec<&'static str> {
    let mut found = named(
        attributes,
        &[
            (libc::MOUNT_ATTR_RDONLY, "ro"),
            (libc::MOUNT_ATTR_NOSUID, "nosuid"),
            (libc::MOUNT_ATTR_NODEV, "nodev"),
            (libc::MOUNT_ATTR_NOEXEC, "noexec"),
            (libc::MOUNT_ATTR_NODIRATIME, "nodiratime"),
            (libc::MOUNT_ATTR_NOSYMFOLLOW, "nosymfollow"),
        ],
    );
    match attributes & libc::MOUNT_ATTR__ATIME {
        libc::MOUNT_ATTR_NOATIME => found.push("noatime"),
        libc::MOUNT_ATTR_STRICTATIME => found.push("strictatime"),
        _ => {}
    }
    found
}

fn capability_names(set: u64) -> Vec<String> {
    let name = |number: u8| crate::spec::capabilities::name(number).map_or(format!("{number}"), str::to_owned);
    (0..64).filter(|number| set & (1 << number) != 0).map(name).collect()
}
