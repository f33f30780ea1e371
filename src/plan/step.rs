//! The planner's representation of steps, generated from the definitions in `init/src/steps.rs`.

use berth_init::fields::*;
use berth_init::steps::Op;
use serde_json::{Map, Value};

use super::encode::{Packer, in_kernel_mounts};
use super::field::{Explain, FieldRef, FieldValue, Pack};

/// The content of a descriptor slot when init begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Descriptor {
    /// Filled by an earlier step of the plan.
    ByInit,
    /// The exec.fifo of the state directory.
    ExecFifo,
    /// The container's cgroup in the v2 hierarchy.
    Cgroup,
    /// A namespace to join: its index in `Namespaces::joined`.
    Joined(usize),
    /// The socket that receives the network namespace which a helper creates in parallel.
    NetworkNamespace,
    /// The pidfd of the container's init, whose namespaces are joined.
    ContainerInit,
    /// The cgroup namespace of the container's init.
    ContainerCgroupNamespace,
    /// The root directory of the container's init.
    ContainerRoot,
    /// The mount of a root filesystem, without those below it, for a mount namespace of other processes.
    RootBase,
    /// All mounts of that root filesystem.
    RootTree,
    /// A user namespace whose mappings apply to a mount: its index in `Plan::user_namespaces`.
    UserNamespace(usize),
}

/// The index of the entry of `mounts` that a step belongs to.
pub type Entry = Option<usize>;

macro_rules! planned {
    ($(
        $(#[$doc:meta])* $name:ident $(($only:ident: $only_kind:ty))?
        $({ $($field:ident: $kind:ty),* } { $($note:ident: $note_kind:ty),* })?
        [$($key:ident = $shown:ident),*] [$($words:tt)*];
    )*) => {
        #[derive(Clone, Debug, PartialEq)]
        pub enum Step { $(
            $(#[$doc])*
            $name
                $(( <$only_kind as FieldValue>::Value ))?
                $({
                    $($field: <$kind as FieldValue>::Value,)*
                    $($note: <$note_kind as FieldValue>::Value,)*
                })?,
        )* }

        #[expect(unused_variables)] // a step has fields that its words do not name
        impl Step {
            /// Returns the action and its object, as the beginning of a sentence: "mounting tmpfs on /dev/shm".
            pub fn describe(&self) -> String {
                match self { $(
                    Step::$name $(($only))? $({ $($field,)* $($note,)* })? => {
                        $(let $only = <$only_kind as FieldValue>::words($only);)?
                        $(
                            $(let $field = <$kind as FieldValue>::words($field);)*
                            $(let $note = <$note_kind as FieldValue>::words($note);)*
                        )?
                        format!($($words)*)
                    }
                )* }
            }

            fn name(&self) -> &'static str {
                match self { $(Step::$name { .. } => stringify!($name),)* }
            }

            /// Adds the step's fields.
            fn explain_fields(&self, out: &mut Map<String, Value>) {
                match self { $(
                    Step::$name $(($only))? $({ $($field,)* $($note,)* })? => {
                        $(let $only = FieldRef::<$only_kind>($only);)?
                        $(
                            $(let $field = FieldRef::<$kind>($field);)*
                            $(let $note = FieldRef::<$note_kind>($note);)*
                        )?
                        $($shown.explain(stringify!($key), out);)*
                    }
                )* }
            }

            /// Returns the entry of `mounts` that the step belongs to.
            fn entry(&self) -> Entry {
                match self { $(
                    Step::$name $(($only))? $({ $($field,)* $($note,)* })? => {
                        let found: &[Entry] = &[$($(<$note_kind as FieldValue>::entry($note)),*)?];
                        found.iter().copied().flatten().next()
                    }
                )* }
            }

            /// Packs the step's number and fields, as words.
            pub fn pack(&self, packer: &mut Packer) {
                match self { $(
                    Step::$name $(($only))? $({ $($field,)* $($note,)* })? => {
                        packer.word(Op::$name as u64);
                        $(<$only_kind as Pack>::pack($only, packer);)?
                        $($(<$kind as Pack>::pack($field, packer);)*)?
                    }
                )* }
            }
        }
    };
}

berth_init::steps!(planned);

#[cfg(test)]
macro_rules! names {
    ($($(#[$doc:meta])* $name:ident $(($($only:tt)*))? $({ $($field:tt)* } { $($note:tt)* })? [$($shows:tt)*] [$($words:tt)*];)*) => {
        /// The name of each step.
        pub const NAMES: &[&str] = &[$(stringify!($name)),*];
    };
}

#[cfg(test)]
berth_init::steps!(names);

impl Step {
    /// Returns the step and its fields, for `berth_config_explain_json`.
    pub fn explain(&self) -> Value {
        let mut fields = Map::new();
        fields.insert("op".into(), self.name().into());
        fields.insert("text".into(), self.describe().into());
        self.explain_fields(&mut fields);
        if let Some(path) = self.json_path() {
            fields.insert("json_path".into(), path.into());
        }
        Value::Object(fields)
    }

    /// Explains ELOOP for a step with a path in the container, where the kernel's message would mislead.
    pub fn refused_link(&self) -> Option<&'static str> {
        let path = match self {
            Step::Mount { target, .. }
            | Step::Attach { target, .. }
            | Step::MountPropagation { target, .. }
            | Step::Remount { target, .. }
            | Step::CountVersions { target, .. }
            | Step::Reconfigure { target, .. } => target,
            Step::OpenInnerTree { path, .. } => path,
            Step::MakeNode { parent, .. } | Step::Symlink { parent, .. } => parent,
            Step::Terminal { dev, .. } => dev,
            _ => return None,
        };
        Some(if in_kernel_mounts(path) {
            "the path has a symbolic link, which is not followed at /dev, /proc and /sys"
        } else {
            "symbolic links form a loop or lead to a proc filesystem"
        })
    }

    /// Returns the JSON path of the configuration entry that the step belongs to, if the step's words do not make it
    /// obvious.
    pub fn json_path(&self) -> Option<String> {
        self.entry().map(|index| format!("mounts[{index}]"))
    }
}

impl<K: Explain> FieldRef<'_, K> {
    fn explain(&self, key: &str, out: &mut Map<String, Value>) {
        K::explain(self.0, key, out);
    }
}
