//! Every step of a plan, defined once.
//!
//! A definition has a name, the fields in the plan, then, after a semicolon, fields that only the planner knows (for
//! the words), the fields that `berth_config_explain_json` shows, and the words of the step, which refer to fields by
//! name:
//!
//! ```text
//! Name { field: Kind, …; note: Kind, … } shows(key = field, …) => "doing something with {field}";
//! ```
//!
//! `steps!(macro)` passes all definitions to a macro. This file generates from them the number of each step ([`Op`]), a
//! struct with its fields as init reads them, the call of its run function ([`Run`]), and the hash of the layout
//! ([`LAYOUT`]). The library generates the planner's `Step`, which packs and describes itself (`src/plan/step.rs`).
//! `fields.rs` defines the kinds of fields for init, `src/plan/field.rs` for the planner.
//!
//! A new step needs a definition, an `impl Run`, and a planner that adds it to plans.

use super::fields::*;
use super::layout::{layout, with};
use super::run::{Init, Run};
use super::sys::{EPROTO, Result};
use super::wire::{self, Header, Message};

/// Calls a macro with the definitions of all steps.
#[macro_export]
macro_rules! steps {
    ($generate:ident) => { $crate::spelled_out! { $generate:

        // Communication with the caller.

        /// Waits until the caller lets init continue. At the hooks barrier it first tells the caller that it has
        /// arrived.
        WaitHost(barrier: Barrier)
            => "waiting for the caller to {barrier}";
        /// Checks that exec.fifo can be opened: once the container is created, the caller does not learn why it cannot.
        TryExecFifo(fifo: Slot)
            => "opening exec.fifo";
        /// Sends `Ready`, waits for the caller to commit, and closes the control socket.
        Ready
            => "reporting to the caller that the container is created";
        /// Opens exec.fifo for writing, which blocks until a process starts the container, tells that process so, and
        /// reports to it from here on.
        ExecFifo(fifo: Slot)
            => "waiting at exec.fifo to be started";

        // Namespaces.

        /// setns(2)
        SetNs { slot: Slot, flags: u64; what: Text }
            => "joining {what}";
        /// unshare(2)
        Unshare(flags: Namespaces)
            => "creating new namespaces: {flags}";
        /// Forks a sibling (CLONE_PARENT) in new namespaces and in a cgroup. The first process sends the caller the pid
        /// of the new one and exits; the new one waits until the caller lets it continue. `open`: it is dumpable until
        /// then, so that other processes of its user may write its id maps.
        Fork { flags: ForkNamespaces, cgroup: Option<Slot>, open: bool }
            => "forking into the {flags}";
        /// Enters a new time namespace with these offsets, in the form of /proc/self/timens_offsets.
        TimeNamespace { offsets: TimeOffsets }
            => "entering a new time namespace{offsets}";
        /// Changes to uid 0 and gid 0 of the user namespace, and drops supplementary groups if allowed.
        BecomeRoot
            => "becoming root of the user namespace";
        /// Enters the network namespace received through this socket, or a new one if none is received.
        NetworkNamespace(socket: Slot)
            => "creating a network namespace";
        /// Brings up the loopback interface of the network namespace.
        Loopback
            => "bringing up the loopback interface";
        /// Opens a netlink socket of this protocol (netlink(7)) in the network namespace and sends it to the caller.
        NetlinkSocket(protocol: i32)
            => "opening a netlink socket in the network namespace";

        // Mounts.

        /// Sets the propagation of a mount inherited from the host, before the root is attached.
        Propagation { path: HostPath, flags: PropagationFlags }
            => "making {path} {flags}";
        /// Clones the mounts at a path of the host into a slot. `own_propagation` makes the clone a slave of the host's
        /// peer groups; `nofollow` clones a symlink itself.
        OpenTree {
            path: HostPath, recursive: bool, nofollow: bool, own_propagation: bool, slot: Slot; entry: EntryOfMounts
        }
            => "opening the mounts at {path} of the host";
        /// Clones the mounts at a path beneath the root filesystem, which is the host directory `rootfs` until it is
        /// attached. `mounted`: an earlier mount of the container provides the path.
        OpenInnerTree {
            rootfs: HostPath, path: HostPath, recursive: bool, own_propagation: bool, slot: Slot;
            mounted: bool, entry: EntryOfMounts
        }
            => "opening the mounts at {path} of the root filesystem";
        /// Fails unless the opened tree is this device (`kind`: S_IFCHR or S_IFBLK). `own`: the caller has created it
        /// for the container, and it works as a device even if the host's mount has nodev.
        CheckDevice { tree: Slot, kind: u32, device: Device, own: bool; path: HostPath }
            => "checking that {path} is the device {device}";
        /// Fails unless the opened tree is a whole procfs.
        CheckProcfs { tree: Slot; path: HostPath, entry: EntryOfMounts }
            => "checking that {path} is a procfs";
        /// Maps the owners of files in an unattached tree by a user namespace.
        IdMap { recursive: bool, tree: Slot, namespace: Slot; path: HostPath, entry: EntryOfMounts }
            => "setting the id mapping of the mounts at {path}";
        /// Attaches a tree at its own path (a host path) and makes it the root filesystem.
        AttachRoot { slot: Slot, path: HostPath }
            => "mounting the root filesystem {path}";
        /// Attaches the mount in `base` at its own path in a mount namespace that other processes use, and on it the tree in
        /// `slot`, which becomes the root filesystem. Only the base propagates to other namespaces: there it has nothing on
        /// it, so its copies go when it is unmounted.
        AttachSharedRoot { base: Slot, slot: Slot, path: HostPath }
            => "mounting the root filesystem {path} in a mount namespace of other processes";
        /// Sends the caller the tree in a slot.
        SendTree(tree: Slot)
            => "sending the mounts to the caller";
        /// Unmounts the mount at a path, with all mounts on it, if it has this id (`mnt_id` in proc_pid_fdinfo(5)).
        DetachMount { path: HostPath, id: u64 }
            => "unmounting {path}";
        /// Opens a directory as the root filesystem without mounting it.
        OpenRoot(path: HostPath)
            => "opening the root filesystem {path}";
        /// Uses the directory in a slot as the root filesystem.
        TakeRoot(slot: Slot)
            => "using the container's root filesystem";
        /// Makes the root filesystem the working directory, while "/" is still the host's: for createContainer hooks.
        EnterRoot
            => "entering the root filesystem";
        /// Mounts a new filesystem, with the owners of its files mapped by a user namespace if there is one.
        Mount {
            kind: Text, source: Option<Text>, target: NewMountTarget, attributes: MountAttributes, options: MountOptions,
            copy_up: CopyUp, id_map: Option<Slot>; entry: EntryOfMounts
        } shows(type = kind, source = source, target = target, attributes = attributes, options = options)
            => "mounting {kind} on {target}{copy_up}";
        /// Attaches an opened tree. `nofollow`: onto a symlink itself.
        Attach {
            slot: Slot, target: BindTarget, nofollow: bool, attributes: Attributes; source: HostPath, entry: EntryOfMounts
        }
            shows(source = source, target = target, attributes = attributes)
            => "bind mounting {source} on {target}";
        /// Sets the propagation of one mount.
        MountPropagation { target: Target, flags: PropagationFlags; entry: EntryOfMounts }
            => "making the mount {target} {flags}";
        /// Changes the attributes of a mount.
        Remount { target: Target, attributes: Attributes; entry: EntryOfMounts }
            shows(target = target, attributes = attributes)
            => "changing the options of the mount {target}";
        /// Enables the counting of inode changes in a filesystem, by the flags of mount(2).
        CountVersions { target: Target, flags: u64; entry: EntryOfMounts }
            => "setting iversion on the filesystem at {target}";
        /// Changes the options of the filesystem that is mounted on a path.
        Reconfigure { target: Target, options: MountOptions; entry: EntryOfMounts }
            shows(target = target, options = options)
            => "changing the filesystem mounted on {target}";
        /// Hides a path: covers a file with /dev/null, a directory with an empty read-only tmpfs. A missing path is no
        /// error.
        Mask(path: ImagePath)
            => "masking {path}";
        /// Makes a path read-only, with all mounts below it. A missing path is no error.
        ReadonlyPath(path: ImagePath)
            => "making {path} read-only";

        // Files in the root filesystem.

        /// Creates a device node.
        MakeNode { parent: Parent, name: Text, mode: NodeMode, device: Device, uid: u32, gid: u32 }
            shows(mode = mode, uid = uid, gid = gid)
            => "creating the device {parent}{name} ({device})";
        /// Creates a symlink.
        Symlink { parent: Parent, name: Text, target: Text }
            => "creating the symlink {parent}{name} to {target}";
        /// Creates a directory and its parents.
        MakeDirectory(path: ImagePath)
            => "creating the directory {path}";

        /// Moves into the root filesystem with pivot_root(2) and unmounts the old one.
        Pivot { cut_propagation: u64 }
            => "moving into the root filesystem with pivot_root";
        /// chroot(2) into the root filesystem (joined mount namespaces).
        Chroot
            => "changing the root directory to the root filesystem";
        /// Makes the root filesystem read-only.
        RootReadonly
            => "making the root filesystem read-only";
        /// Unmounts mounts inherited from the host; if that is forbidden, covers them with an empty filesystem.
        HideHost(paths: HostPaths)
            => "unmounting mounts of the host: {paths}";
        /// Moves the root filesystem onto "/" and changes root into it, for roots that pivot_root(2) cannot replace
        /// (the initial RAM filesystem).
        MoveRoot
            => "moving the root filesystem onto / and changing the root directory to it";

        // Kernel settings.

        /// Writes a file below /proc/sys.
        Sysctl { path: SysctlPath, value: Text }
            => "setting sysctl {path} to {value:?}";
        /// sethostname(2)
        Hostname(name: Text)
            => "setting the host name {name:?}";
        /// setdomainname(2)
        Domainname(name: Text)
            => "setting the domain name {name:?}";

        // The process.

        /// setsid(2)
        Session
            => "creating a new session";
        /// Replaces standard descriptors that refer to the host's null device by the container's.
        OwnNull
            => "replacing the host's null device by the container's";
        /// Makes the user the owner of the standard streams, so that its program can open /dev/stdout. Devices stay as
        /// they are, and so do files whose owner may not be changed.
        OwnStreams(uid: u32)
            => "changing the owner of the standard streams to uid {uid}";
        /// Creates a new session keyring.
        Keyring
            => "creating a session keyring";
        /// Opens a new terminal in the container's devpts as descriptors 0, 1 and 2, and sends its master to the
        /// caller. `console`: the terminal is also mounted on the file of this name in `dev`. Without rows and columns
        /// the size is not set. `plain_newlines`: newlines in the output stay as they are (ONLCR is cleared).
        Terminal {
            multiplexer: Target, dev: Target, rows: u16, columns: u16, uid: u32, console: Console, plain_newlines: bool
        }
            => "opening a terminal in /dev/pts{console}";
        /// setrlimit(2)
        Rlimit { resource: u32, soft: Limit, hard: Limit; name: Text }
            => "setting {name} to {soft} (hard {hard})";
        /// Drops all other capabilities from the bounding set.
        Bounding(bounding: CapabilitySet) shows(bounding = bounding)
            => "limiting the bounding set of capabilities";
        /// Changes uid, gid and groups, and keeps the permitted capabilities.
        User { uid: u32, gid: u32, groups: Groups }
            => "becoming uid {uid}, gid {gid}{groups}";
        /// capset(2), and the ambient set.
        Capabilities {
            effective: CapabilitySet, permitted: CapabilitySet, inheritable: CapabilitySet, ambient: CapabilitySet
        } shows(effective = effective, permitted = permitted, inheritable = inheritable, ambient = ambient)
            => "setting capabilities";
        /// PR_SET_NO_NEW_PRIVS
        NoNewPrivileges
            => "setting no_new_privs";
        /// Loads a seccomp filter. `privileged`: no_new_privs is not set, so loading needs CAP_SYS_ADMIN. If the kernel
        /// returns a listener, init sends it to the caller and waits until the caller lets it continue.
        Seccomp { filter: Filter, privileged: bool } shows(filter = filter, privileged = privileged)
            => "loading the seccomp filter of {filter} instructions";
        /// Sets the label of the program to execute, and fails if it does not read back.
        Label { module: LabelModule, label: Text } shows(module = module, label = label)
            => "setting the {module} {label:?}";
        /// umask(2)
        Umask(mask: u32)
            => "setting the umask {mask:04o}";
        /// chdir(2) to a directory inside the root filesystem. With `attempt`, a refused permission is no error: a
        /// later step tries again.
        WorkingDirectory { path: HostPath, attempt: bool } shows(path = path)
            => "entering the working directory {path}";
        /// PR_SET_PDEATHSIG
        ParentDeathSignal(signal: i32)
            => "setting the parent death signal {signal}";
        /// sched_setaffinity(2)
        CpuAffinity(processors: Processors)
            => "setting CPU affinity to {processors}";
        /// personality(2)
        Personality { persona: u64; name: Text }
            => "setting the personality {name}";
        /// set_mempolicy(2)
        MemoryPolicy { mode: u64, nodes: Nodes; name: Text }
            => "setting the memory policy {name}{nodes}";
        /// Completes HOME in the environment with the home directory of this uid in /etc/passwd, or "/".
        Home(uid: HomeOwner)
            => "looking up the home directory of uid {uid} in the container's /etc/passwd";
        /// Fails if `Exec` would not find a program.
        FindProgram { name: Program, search: Text } shows(args = name, path = search)
            => "finding {name:?}";
        /// execve(2) of `file`, if given; otherwise of the first argument, which is searched in `search`, the value of
        /// PATH, if it has no slash.
        Exec { args: Texts, env: Environment, search: Text, file: Option<Text> }
            shows(args = args, env = env, path = search)
            => "executing {:?}", file.or(args.first().map(String::as_str)).unwrap_or_default();
    } };
}

/// Passes definitions to a macro with their optional parts in a fixed order, so that only this macro knows how a
/// definition is written:
///
/// ```text
/// #[doc] Name (field: Kind) or { field: Kind, … } { note: Kind, … } or nothing [key = field, …] [words];
/// ```
#[macro_export]
macro_rules! spelled_out {
    ($generate:ident: $(
        $(#[$doc:meta])*
        $name:ident
            $(( $only:ident: $only_kind:ty ))?
            $({ $($field:ident: $kind:ty),* $(; $($note:ident: $note_kind:ty),*)? })?
            $(shows($($key:ident = $shown:ident),*))?
            => $words:literal $(, $argument:expr)?;
    )*) => {
        $generate! { $(
            $(#[$doc])* $name
            $(($only: $only_kind))?
            $({ $($field: $kind),* } { $($($note: $note_kind),*)? })?
            [$($($key = $shown),*)?] [$words $(, $argument)?];
        )* }
    };
}

macro_rules! views {
    ($(
        $(#[$doc:meta])* $name:ident $(($only:ident: $only_kind:ty))?
        $({ $($field:ident: $kind:ty),* } $notes:tt)? [$($shows:tt)*] $words:tt;
    )*) => {
        /// The number of each step: its position among the definitions.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u32)]
        pub enum Op { $($(#[$doc])* $name,)* }

        $(
            $(#[$doc])*
            pub struct $name {
                $(#[doc = concat!("Of the kind `", stringify!($only_kind), "`.")] pub $only: <$only_kind as Field>::View,)?
                $($(#[doc = concat!("Of the kind `", stringify!($kind), "`.")] pub $field: <$kind as Field>::View,)*)?
            }

            impl $name {
                /// The step's number in a plan.
                pub const NUMBER: u64 = Op::$name as u64;

                /// Reads the step's fields, which follow its number.
                #[allow(unused_variables)] // of a step without fields
                pub fn read(words: &mut Words) -> Result<$name> {
                    Ok($name {
                        $($only: <$only_kind as Field>::read(words)?,)?
                        $($($field: <$kind as Field>::read(words)?,)*)?
                    })
                }
            }
        )*

        /// Reads the next step without running it, so that tests can check that it is readable.
        pub fn read_next(words: &mut Words) -> Result<Op> {
            match words.next()? {
                $($name::NUMBER => $name::read(words).map(|_| Op::$name),)*
                _ => Err(EPROTO),
            }
        }

        /// Runs the next step.
        pub fn run_next(words: &mut Words, init: &mut Init) -> Result<()> {
            match words.next()? {
                $($name::NUMBER => $name::read(words)?.run(init),)*
                _ => Err(EPROTO),
            }
        }
    };
}

steps!(views);

/// The hash of the definitions and of everything else in a plan or in init's messages. It identifies an init of another
/// build.
pub const LAYOUT: u64 = {
    let steps = with(with(steps!(layout), Header::LAYOUT), Message::LAYOUT);
    with(with(with(steps, wire::SLOTS), wire::SIZES), wire::MESSAGES)
};
