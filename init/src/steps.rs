//! Every step of a plan, defined once.
//!
//! A definition has a name, the fields that the plan carries, then, after a semicolon, what only the planner knows (for words),
//! what `berth_config_explain_json` shows, and the words of the step, in which fields have their names:
//!
//! ```text
//! Name { field: Kind, …; note: Kind, … } shows(key = field, …) => "doing something with {field}";
//! ```
//!
//! `steps!(macro)` hands all of them to a macro. Here these are made from it: the number of each step ([`Op`]), a struct with
//! its fields as init reads them, the call of its run function ([`Run`]), and the hash of it all ([`LAYOUT`]). The library
//! makes the planner's `Step` from it, which packs and describes itself (`src/plan/step.rs`). What a kind of field is, is in
//! `fields.rs` for init and in `src/plan/field.rs` for the planner.
//!
//! A new step takes its definition, an `impl Run`, and a planner that plans it.

use super::fields::*;
use super::layout::{layout, with};
use super::run::{Init, Run};
use super::sys::{EPROTO, Result};
use super::wire::{self, Header, Message};

/// Calls a macro with the definitions of all steps.
#[macro_export]
macro_rules! steps {
    ($generate:ident) => { $generate! {

        // Conversation with the caller.

        /// Waits for the caller's word. Before the hooks it tells the caller that it is there.
        WaitHost(barrier: Barrier)
            => "waiting for the host to {barrier}";
        /// Sends `Ready`, waits for the caller to commit, and closes the control socket.
        Ready
            => "telling the host that the container is created";
        /// Opens exec.fifo for writing (this blocks until somebody starts the container), tells the starter so, and reports
        /// to it from here on.
        ExecFifo(fifo: Slot)
            => "waiting at exec.fifo to be started";

        // Namespaces.

        /// setns(2)
        SetNs { slot: Slot, flags: u64; what: Text }
            => "joining {what}";
        /// unshare(2)
        Unshare(flags: Namespaces)
            => "making new namespaces: {flags}";
        /// Forks a sibling (CLONE_PARENT) in new namespaces and in a cgroup. The first process tells the caller the new one's
        /// pid and ends; the new one waits for the caller's word. `open`: it is dumpable until then, so that its user's other
        /// processes may write its maps.
        Fork { flags: ForkNamespaces, cgroup: Option<Slot>, open: bool }
            => "forking into the {flags}";
        /// Enters a new time namespace with these offsets, in the form of /proc/self/timens_offsets.
        TimeNamespace { offsets: TimeOffsets }
            => "entering a new time namespace{offsets}";
        /// Becomes uid 0 and gid 0 of the user namespace, without groups where that is allowed.
        BecomeRoot
            => "becoming root of the user namespace";
        /// Enters the network namespace that comes through this socket, and where none comes a new one.
        NetworkNamespace(socket: Slot)
            => "making a network namespace";
        /// Brings up the loopback interface of the network namespace.
        Loopback
            => "bringing up the loopback interface";
        /// Opens a netlink socket of this protocol (netlink(7)) in the network namespace and gives it to the caller.
        NetlinkSocket(protocol: i32)
            => "opening a netlink socket in the network namespace";

        // Mounts.

        /// Sets the propagation of a mount of the host's table, before the root is attached.
        Propagation { path: HostPath, flags: PropagationFlags }
            => "making {path} {flags}";
        /// Clones the mounts at a path of the host into a slot. `own_propagation` cuts the clone off from the host's peer
        /// groups; `nofollow` clones a symlink itself.
        OpenTree {
            path: HostPath, recursive: bool, nofollow: bool, own_propagation: bool, slot: Slot; entry: EntryOfMounts
        }
            => "opening the mounts at {path} of the host";
        /// The same of a path beneath the root filesystem, which is this directory of the host until it is attached. `mounted`:
        /// an earlier mount of the container brings what is there.
        OpenInnerTree {
            rootfs: HostPath, path: HostPath, recursive: bool, own_propagation: bool, slot: Slot;
            mounted: bool, entry: EntryOfMounts
        }
            => "opening the mounts at {path} of the root filesystem";
        /// Fails unless the tree that was opened is this device (`kind`: S_IFCHR or S_IFBLK). `own`: the caller has made it for
        /// the container, and it is a device even where the host's mount says nodev.
        CheckDevice { tree: Slot, kind: u32, device: Device, own: bool; path: HostPath }
            => "checking that {path} is the device {device}";
        /// Fails unless the tree that was opened is a whole procfs.
        CheckProcfs { tree: Slot; path: HostPath, entry: EntryOfMounts }
            => "checking that {path} is a procfs";
        /// Maps the owners of files in an unattached tree by a user namespace.
        IdMap { recursive: bool, tree: Slot, namespace: Slot; path: HostPath, entry: EntryOfMounts }
            => "mapping the owners in the mounts at {path}";
        /// Attaches a tree at its own path (a host path) and makes it the root filesystem.
        AttachRoot { slot: Slot, path: HostPath }
            => "mounting the root filesystem {path}";
        /// Opens a directory as the root filesystem without mounting it.
        OpenRoot(path: HostPath)
            => "opening the root filesystem {path}";
        /// Takes the directory in a slot as the root filesystem.
        TakeRoot(slot: Slot)
            => "taking the container's root filesystem";
        /// Mounts a new filesystem, with the owners of its files mapped by a user namespace if there is one.
        Mount {
            kind: Text, source: Option<Text>, target: NewMountTarget, attributes: MountAttributes, options: MountOptions,
            copy_up: CopyUp, id_map: Option<Slot>; entry: EntryOfMounts
        } shows(type = kind, source = source, target = target, attributes = attributes, options = options)
            => "mounting {kind} on {target}{copy_up}";
        /// Attaches a tree that was opened. `nofollow`: onto a symlink itself.
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
        /// Lets a filesystem count the changes of its inodes from now on, by the flags of mount(2).
        CountVersions { target: Target, flags: u64; entry: EntryOfMounts }
            => "having the filesystem on {target} count changes of inodes (iversion)";
        /// Gives the filesystem that is mounted somewhere other options.
        Reconfigure { target: Target, options: MountOptions; entry: EntryOfMounts }
            shows(target = target, options = options)
            => "changing the filesystem mounted on {target}";
        /// Hides a path: /dev/null over a file, an empty read-only tmpfs over a directory. A missing path is fine.
        Mask(path: ImagePath)
            => "masking {path}";
        /// Makes a path read-only with all below it. A missing path is fine.
        ReadonlyPath(path: ImagePath)
            => "making {path} read-only";

        // What lies in the root filesystem.

        /// Makes a device node.
        MakeNode { parent: Parent, name: Text, mode: NodeMode, device: Device, uid: u32, gid: u32 }
            shows(mode = mode, uid = uid, gid = gid)
            => "making the device {parent}{name} ({device})";
        /// Makes a symlink.
        Symlink { parent: Parent, name: Text, target: Text }
            => "making the symlink {parent}{name} to {target}";
        /// Makes a directory with its parents.
        MakeDirectory(path: ImagePath)
            => "making the directory {path}";

        /// Moves into the root filesystem and drops the old one.
        Pivot { cut_propagation: u64 }
            => "moving into the root filesystem";
        /// chroot(2) into the root filesystem (joined mount namespaces).
        Chroot
            => "changing root into the root filesystem";
        /// Makes the root filesystem read-only.
        RootReadonly
            => "making the root filesystem read-only";
        /// Takes mounts of the host's table away; where that is forbidden, an empty filesystem covers them.
        HideHost(paths: HostPaths)
            => "taking mounts of the host away: {paths}";
        /// Moves the root filesystem onto "/" and changes root into it, where pivot_root(2) cannot be (a root on the initial
        /// RAM filesystem).
        MoveRoot
            => "moving the root filesystem onto / and changing root into it";

        // The kernel's settings.

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
            => "making a new session";
        /// Lets standard descriptors that are the host's null device be the container's.
        OwnNull
            => "taking the container's null device for the host's";
        /// Makes a session keyring of its own.
        Keyring
            => "making a session keyring";
        /// Opens a new terminal of the container's devpts as descriptors 0, 1 and 2; its master goes to the caller. `console`
        /// puts it on the file of this name in `dev`, too. Without rows and columns it has no size.
        Terminal { multiplexer: Target, dev: Target, rows: u16, columns: u16, uid: u32, console: Console }
            => "opening a terminal in /dev/pts{console}";
        /// setrlimit(2)
        Rlimit { resource: u32, soft: Limit, hard: Limit; name: Text }
            => "setting {name} to {soft} (hard {hard})";
        /// Drops from the bounding set what is not in this one.
        Bounding(bounding: CapabilitySet) shows(bounding = bounding)
            => "limiting the bounding set of capabilities";
        /// Changes uid, gid and groups and keeps the permitted capabilities.
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
        /// Loads a filter of system calls. `privileged`: no_new_privs is not set, so it takes CAP_SYS_ADMIN. Where the kernel
        /// returns a listener, the caller gets it, and its word is waited for.
        Seccomp { filter: Filter, privileged: bool } shows(filter = filter, privileged = privileged)
            => "loading the seccomp filter of {filter} instructions";
        /// Sets the label that the next program gets; it must read back.
        Label { module: LabelModule, label: Text } shows(module = module, label = label)
            => "setting the {module} {label:?}";
        /// umask(2)
        Umask(mask: u32)
            => "setting the umask {mask:04o}";
        /// chdir(2), which must end up inside the root filesystem. A refused permission is no error of an `attempt`: the step
        /// comes again.
        WorkingDirectory { path: HostPath, attempt: bool }
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
        /// Completes HOME of the environment with the home directory that /etc/passwd gives this uid, or "/".
        Home(uid: HomeOwner)
            => "looking for the home of uid {uid} in the container's /etc/passwd";
        /// Fails if there is no program that `Exec` would find.
        FindProgram { name: Program, search: Text } shows(args = name, path = search)
            => "finding {name:?}";
        /// execve(2) of `file`, if given; otherwise of the first argument, looked for in `search`, the value of PATH, if it has
        /// no slash.
        Exec { args: Texts, env: Environment, search: Text, file: Option<Text> }
            shows(args = args, env = env, path = search)
            => "executing {:?}", file.or(args.first().map(String::as_str)).unwrap_or_default();
    } };
}

macro_rules! views {
    ($(
        $(#[$doc:meta])*
        $name:ident
            $(( $only:ident: $only_kind:ty ))?
            $({ $($field:ident: $kind:ty),* $(; $($note:ident: $note_kind:ty),*)? })?
            $(shows($($key:ident = $shown:ident),*))?
            => $words:literal $(, $argument:expr)?;
    )*) => {
        /// The number of each step: its place among the definitions.
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
                /// Its number in a plan.
                pub const NUMBER: u64 = Op::$name as u64;

                /// The step behind its number.
                #[allow(unused_variables)] // of a step without fields
                pub fn read(words: &mut Words) -> Result<$name> {
                    Ok($name {
                        $($only: <$only_kind as Field>::read(words)?,)?
                        $($($field: <$kind as Field>::read(words)?,)*)?
                    })
                }
            }
        )*

        /// Reads the next step without running it: so tests know that it can be read.
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

/// Changes with the definitions and with all else that lies in a plan or is told by init. An init of another build is known
/// by it.
pub const LAYOUT: u64 = {
    let steps = with(with(steps!(layout), Header::LAYOUT), Message::LAYOUT);
    with(with(with(steps, wire::SLOTS), wire::SIZES), wire::MESSAGES)
};
