//! The steps of a plan with their names, before they become bytes; and each in words.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use berth_init::wire;
use serde_json::{Map, Value, json};

use crate::security::labels::Module;
use crate::security::seccomp::Filter;

/// What a descriptor slot holds when init begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Descriptor {
    /// Filled by an earlier step of the plan.
    ByInit,
    /// The exec.fifo of the state directory.
    ExecFifo,
    /// The container's cgroup on the v2 tree.
    Cgroup,
    /// A namespace to join: its place in `Namespaces::joined`.
    Joined(usize),
    /// Where a network namespace comes from that the host is making meanwhile.
    NetworkNamespace,
    /// The pidfd of the container's init, whose namespaces are joined.
    ContainerInit,
    /// Its cgroup namespace.
    ContainerCgroupNamespace,
    /// Its root directory.
    ContainerRoot,
    /// A user namespace with mappings that something is mapped by: its place in `Plan::user_namespaces`.
    UserNamespace(usize),
}

/// Index into the plan's slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot(pub usize);

/// Where init waits for the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Barrier {
    /// Until its cgroups, id maps, limits and networks are set from outside.
    Attached,
    /// Until the hooks that run before pivot_root have run.
    Hooks,
}

/// Attributes (MOUNT_ATTR_…) to set and to clear: of one mount, and of each mount of its tree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    pub set: u64,
    pub clear: u64,
    pub tree_set: u64,
    pub tree_clear: u64,
}

/// The entry of `mounts` that a step is for.
pub type Entry = Option<usize>;

/// Device major and minor.
pub type Device = (u32, u32);

/// Whether what the target has is copied into a new tmpfs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CopyUp {
    #[default]
    No,
    Content,
    /// And the target's own owner and mode.
    ContentAndOwner,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    WaitHost(Barrier),
    Ready,
    ExecFifo(Slot),

    SetNs {
        slot: Slot,
        flags: u64,
        what: String,
    },
    Unshare(u64),
    Fork {
        flags: u64,
        cgroup: Option<Slot>,
        /// A host without privileges may write its maps.
        open: bool,
    },
    TimeNamespace {
        offsets: String,
    },
    BecomeRoot,
    /// Comes through this slot, if the host has one under way.
    NetworkNamespace(Slot),
    Loopback,
    /// Of this protocol.
    NetlinkSocket(i32),

    Propagation {
        path: PathBuf,
        flags: u64,
    },
    OpenTree {
        path: PathBuf,
        recursive: bool,
        own_propagation: bool,
        slot: Slot,
        entry: Entry,
    },
    /// Maps the owners of files in a tree that was opened.
    IdMap {
        path: PathBuf,
        recursive: bool,
        tree: Slot,
        namespace: Slot,
        entry: Entry,
    },
    AttachRoot {
        slot: Slot,
        path: PathBuf,
    },
    OpenRoot(PathBuf),
    /// The root filesystem is what this slot holds.
    TakeRoot(Slot),
    Mount {
        kind: String,
        source: Option<String>,
        target: PathBuf,
        attributes: u64,
        options: Vec<(String, Option<String>)>,
        copy_up: CopyUp,
        id_map: Option<Slot>,
        entry: Entry,
    },
    Attach {
        slot: Slot,
        source: PathBuf,
        target: PathBuf,
        attributes: Attributes,
        entry: Entry,
    },
    MountPropagation {
        target: PathBuf,
        flags: u64,
        entry: Entry,
    },
    Remount {
        target: PathBuf,
        attributes: Attributes,
        entry: Entry,
    },
    /// A filesystem counts the changes of its inodes from now on.
    CountVersions {
        target: PathBuf,
        flags: u64,
        entry: Entry,
    },
    /// Options of a filesystem that is mounted.
    Reconfigure {
        target: PathBuf,
        options: Vec<(String, Option<String>)>,
        entry: Entry,
    },
    Mask(PathBuf),
    ReadonlyPath(PathBuf),

    MakeNode {
        parent: PathBuf,
        name: String,
        mode: u32,
        device: Device,
        uid: u32,
        gid: u32,
    },
    Symlink {
        parent: PathBuf,
        name: String,
        target: String,
    },
    MakeDirectory(PathBuf),

    Pivot {
        cut_propagation: u64,
    },
    Chroot,
    RootReadonly,
    /// Mounts of the caller's namespace.
    HideHost(Vec<PathBuf>),
    MoveRoot,

    Sysctl {
        path: String,
        value: String,
    },
    Hostname(String),
    Domainname(String),

    Session,
    OwnNull,
    Keyring,
    Terminal {
        rows: u16,
        columns: u16,
        uid: u32,
        console: bool,
    },
    Rlimit {
        resource: u32,
        name: String,
        soft: u64,
        hard: u64,
    },
    Bounding(u64),
    User {
        uid: u32,
        gid: u32,
        groups: Vec<u32>,
    },
    Capabilities {
        effective: u64,
        permitted: u64,
        inheritable: u64,
        ambient: u64,
    },
    NoNewPrivileges,
    Seccomp {
        filter: Arc<Filter>,
        /// CAP_SYS_ADMIN is what permits it, not no_new_privs.
        privileged: bool,
    },
    /// The label that the program will have.
    Label {
        module: Module,
        label: String,
    },
    Umask(u32),
    WorkingDirectory {
        path: PathBuf,
        attempt: bool,
    },
    ParentDeathSignal(i32),
    /// A list like "0-3,8".
    CpuAffinity(String),
    Personality {
        persona: u64,
        name: String,
    },
    MemoryPolicy {
        mode: u64,
        name: String,
        nodes: String,
    },
    /// HOME of the environment, for this uid.
    Home(u32),
    /// Whether there is a program that `Exec` will find.
    FindProgram {
        name: String,
        search: String,
    },
    /// `file` is executed if given; otherwise `args[0]`, searched in `search` if it has no slash.
    Exec {
        file: Option<String>,
        args: Vec<String>,
        env: Vec<String>,
        search: String,
    },
}

impl Step {
    /// The act and its object, as the beginning of a sentence: "mounting tmpfs on /dev/shm".
    pub fn describe(&self) -> String {
        let show = |path: &Path| path.display().to_string();
        match self {
            Step::WaitHost(Barrier::Attached) => "waiting for the host to set cgroups, id maps and networks".into(),
            Step::WaitHost(Barrier::Hooks) => "waiting for the host to run hooks".into(),
            Step::Ready => "telling the host that the container is created".into(),
            Step::ExecFifo(_) => "waiting at exec.fifo to be started".into(),
            Step::SetNs { what, .. } => format!("joining {what}"),
            Step::Unshare(flags) => format!("making new namespaces: {}", namespace_names(*flags)),
            Step::Fork { flags: 0, .. } => "going on in the joined namespaces".into(),
            Step::Fork { flags, .. } => format!("going on in new namespaces: {}", namespace_names(*flags)),
            Step::TimeNamespace { offsets } if offsets.is_empty() => "entering a new time namespace".into(),
            Step::TimeNamespace { offsets } => {
                format!("entering a new time namespace with the offsets {}", offsets.trim_end().replace('\n', ", "))
            }
            Step::BecomeRoot => "becoming root of the user namespace".into(),
            Step::NetworkNamespace(_) => "making a network namespace".into(),
            Step::Loopback => "bringing up the loopback interface".into(),
            Step::NetlinkSocket(_) => "opening a netlink socket in the network namespace".into(),
            Step::Propagation { path, flags } => {
                format!("making {} {}", show(path), propagation_name(*flags))
            }
            Step::OpenTree { path, .. } => format!("opening the mounts at {} of the host", show(path)),
            Step::AttachRoot { path, .. } => format!("mounting the root filesystem {}", show(path)),
            Step::IdMap { path, .. } => format!("mapping the owners in the mounts at {}", show(path)),
            Step::TakeRoot(_) => "taking the container's root filesystem".into(),
            Step::OpenRoot(path) => format!("opening the root filesystem {}", show(path)),
            Step::Mount { kind, target, copy_up: CopyUp::No, .. } => format!("mounting {kind} on {}", show(target)),
            Step::Mount { kind, target, .. } => {
                format!("mounting {kind} on {} with a copy of what is there", show(target))
            }
            Step::Attach { source, target, .. } => format!("bind mounting {} on {}", show(source), show(target)),
            Step::MountPropagation { target, flags, .. } => {
                format!("making the mount {} {}", show(target), propagation_name(*flags))
            }
            Step::Remount { target, .. } => format!("changing the options of the mount {}", show(target)),
            Step::CountVersions { target, .. } => {
                format!("having the filesystem on {} count changes of inodes (iversion)", show(target))
            }
            Step::Reconfigure { target, .. } => format!("changing the filesystem mounted on {}", show(target)),
            Step::Mask(path) => format!("masking {}", show(path)),
            Step::ReadonlyPath(path) => format!("making {} read-only", show(path)),
            Step::MakeNode { parent, name, device, .. } => {
                format!("making the device {} ({}:{})", show(&parent.join(name)), device.0, device.1)
            }
            Step::Symlink { parent, name, target } => {
                format!("making the symlink {} to {target}", show(&parent.join(name)))
            }
            Step::MakeDirectory(path) => format!("making the directory {}", show(path)),
            Step::Pivot { .. } => "moving into the root filesystem".into(),
            Step::Chroot => "changing root into the root filesystem".into(),
            Step::RootReadonly => "making the root filesystem read-only".into(),
            Step::HideHost(paths) => {
                let paths: Vec<String> = paths.iter().map(|path| show(path)).collect();
                format!("taking mounts of the host away: {}", paths.join(", "))
            }
            Step::MoveRoot => "moving the root filesystem onto / and changing root into it".into(),
            Step::Sysctl { path, value } => format!("setting sysctl {path} to {value:?}"),
            Step::Hostname(name) => format!("setting the host name {name:?}"),
            Step::Domainname(name) => format!("setting the domain name {name:?}"),
            Step::Session => "making a new session".into(),
            Step::OwnNull => "taking the container's null device for the host's".into(),
            Step::Keyring => "making a session keyring".into(),
            Step::Terminal { console: true, .. } => "opening a terminal in /dev/pts and /dev/console".into(),
            Step::Terminal { .. } => "opening a terminal in /dev/pts".into(),
            Step::Rlimit { name, soft, hard, .. } => {
                format!("setting {name} to {} (hard {})", limit_text(*soft), limit_text(*hard))
            }
            Step::Bounding(_) => "limiting the bounding set of capabilities".into(),
            Step::User { uid, gid, groups } if groups.is_empty() => format!("becoming uid {uid}, gid {gid}"),
            Step::User { uid, gid, groups } => format!("becoming uid {uid}, gid {gid}, groups {groups:?}"),
            Step::Capabilities { .. } => "setting capabilities".into(),
            Step::NoNewPrivileges => "setting no_new_privs".into(),
            Step::Seccomp { filter, .. } => {
                format!("loading the seccomp filter of {} instructions", filter.program.len())
            }
            Step::Label { module: Module::AppArmor, label } => format!("setting the AppArmor profile {label:?}"),
            Step::Label { module: Module::Selinux, label } => format!("setting the SELinux label {label:?}"),
            Step::Umask(mask) => format!("setting the umask {mask:04o}"),
            Step::WorkingDirectory { path, .. } => format!("entering the working directory {}", show(path)),
            Step::ParentDeathSignal(signal) => format!("setting the parent death signal {signal}"),
            Step::CpuAffinity(list) => format!("keeping to the processors {list}"),
            Step::Personality { name, .. } => format!("taking the personality {name}"),
            Step::MemoryPolicy { name, nodes, .. } if nodes.is_empty() => format!("setting the memory policy {name}"),
            Step::MemoryPolicy { name, nodes, .. } => format!("setting the memory policy {name} of the nodes {nodes}"),
            Step::Home(uid) => format!("looking for the home of uid {uid} in the container's /etc/passwd"),
            Step::FindProgram { name, .. } => format!("finding {name:?}"),
            Step::Exec { file: Some(file), .. } => format!("executing {file:?}"),
            Step::Exec { args, .. } => format!("executing {:?}", args.first().map_or("", String::as_str)),
        }
    }

    /// The step with what it touches, for `berth_config_explain_json`.
    pub fn explain(&self) -> Value {
        let mut fields = Map::new();
        fields.insert("op".into(), format!("{:?}", self.op()).into());
        fields.insert("text".into(), self.describe().into());
        let mut put = |key: &str, value: Value| fields.insert(key.into(), value);
        match self {
            Step::Mount { kind, source, target, attributes, options, .. } => {
                put("type", json!(kind));
                put("source", json!(source));
                put("target", json!(target));
                put("attributes", json!(attribute_names(*attributes)));
                put("options", options.iter().map(|(key, value)| option_text(key, value)).collect());
            }
            Step::Attach { source, target, attributes, .. } => {
                put("source", json!(source));
                put("target", json!(target));
                put("attributes", json!(attribute_names(attributes.set | attributes.tree_set)));
            }
            Step::Remount { target, attributes, .. } => {
                put("target", json!(target));
                put("attributes", json!(attribute_names(attributes.set | attributes.tree_set)));
            }
            Step::Reconfigure { target, options, .. } => {
                put("target", json!(target));
                put("options", options.iter().map(|(key, value)| option_text(key, value)).collect());
            }
            Step::MakeNode { mode, uid, gid, .. } => {
                put("mode", json!(format!("{:04o}", mode & 0o7777)));
                put("uid", json!(uid));
                put("gid", json!(gid));
            }
            Step::Bounding(set) => {
                put("bounding", json!(capability_names(*set)));
            }
            Step::Capabilities { effective, permitted, inheritable, ambient } => {
                put("effective", json!(capability_names(*effective)));
                put("permitted", json!(capability_names(*permitted)));
                put("inheritable", json!(capability_names(*inheritable)));
                put("ambient", json!(capability_names(*ambient)));
            }
            Step::Label { module, label } => {
                put("module", json!(module.name()));
                put("label", json!(label));
            }
            Step::Seccomp { filter, privileged } => {
                put("instructions", json!(filter.program.len()));
                put("flags", json!(filter.flag_names()));
                put("notifies", json!(filter.notifies));
                put("unknown", json!(filter.unknown));
                put("privileged", json!(privileged));
            }
            Step::FindProgram { name, search } => {
                put("args", json!([name]));
                put("path", json!(search));
            }
            Step::Exec { args, env, search, .. } => {
                put("args", json!(args));
                put("env", json!(env));
                put("path", json!(search));
            }
            _ => {}
        }
        if let Some(path) = self.json_path() {
            fields.insert("json_path".into(), path.into());
        }
        Value::Object(fields)
    }

    /// The entry of the configuration that asks for the step, where that is not plain from its words.
    pub fn json_path(&self) -> Option<String> {
        let (Step::OpenTree { entry, .. }
        | Step::IdMap { entry, .. }
        | Step::Mount { entry, .. }
        | Step::Attach { entry, .. }
        | Step::MountPropagation { entry, .. }
        | Step::Remount { entry, .. }
        | Step::CountVersions { entry, .. }
        | Step::Reconfigure { entry, .. }) = self
        else {
            return None;
        };
        entry.map(|index| format!("mounts[{index}]"))
    }

    pub fn op(&self) -> wire::Op {
        use wire::Op;
        match self {
            Step::WaitHost(_) => Op::WaitHost,
            Step::Ready => Op::Ready,
            Step::ExecFifo(_) => Op::ExecFifo,
            Step::SetNs { .. } => Op::SetNs,
            Step::Unshare(_) => Op::Unshare,
            Step::Fork { .. } => Op::Fork,
            Step::TimeNamespace { .. } => Op::TimeNamespace,
            Step::BecomeRoot => Op::BecomeRoot,
            Step::NetworkNamespace(_) => Op::NetworkNamespace,
            Step::Loopback => Op::Loopback,
            Step::NetlinkSocket(_) => Op::NetlinkSocket,
            Step::Propagation { .. } => Op::Propagation,
            Step::OpenTree { .. } => Op::OpenTree,
            Step::AttachRoot { .. } => Op::AttachRoot,
            Step::OpenRoot(_) => Op::OpenRoot,
            Step::TakeRoot(_) => Op::TakeRoot,
            Step::Mount { .. } => Op::Mount,
            Step::Attach { .. } => Op::Attach,
            Step::MountPropagation { .. } | Step::CountVersions { .. } => Op::MountFlags,
            Step::Remount { .. } => Op::Remount,
            Step::IdMap { .. } => Op::IdMap,
            Step::Reconfigure { .. } => Op::Reconfigure,
            Step::HideHost(_) => Op::HideHost,
            Step::MoveRoot => Op::MoveRoot,
            Step::Mask(_) => Op::Mask,
            Step::ReadonlyPath(_) => Op::ReadonlyPath,
            Step::MakeNode { .. } => Op::MakeNode,
            Step::Symlink { .. } => Op::Symlink,
            Step::MakeDirectory(_) => Op::MakeDirectory,
            Step::Pivot { .. } => Op::Pivot,
            Step::Chroot => Op::Chroot,
            Step::RootReadonly => Op::RootReadonly,
            Step::Sysctl { .. } => Op::Sysctl,
            Step::Hostname(_) => Op::Hostname,
            Step::Domainname(_) => Op::Domainname,
            Step::Session => Op::Session,
            Step::OwnNull => Op::OwnNull,
            Step::Keyring => Op::Keyring,
            Step::Terminal { .. } => Op::Terminal,
            Step::Rlimit { .. } => Op::Rlimit,
            Step::Bounding(_) => Op::Bounding,
            Step::User { .. } => Op::User,
            Step::Capabilities { .. } => Op::Capabilities,
            Step::NoNewPrivileges => Op::NoNewPrivileges,
            Step::Seccomp { .. } => Op::Seccomp,
            Step::Label { .. } => Op::Label,
            Step::Umask(_) => Op::Umask,
            Step::WorkingDirectory { .. } => Op::WorkingDirectory,
            Step::ParentDeathSignal(_) => Op::ParentDeathSignal,
            Step::CpuAffinity(_) => Op::CpuAffinity,
            Step::Personality { .. } => Op::Personality,
            Step::MemoryPolicy { .. } => Op::MemoryPolicy,
            Step::Home(_) => Op::Home,
            Step::FindProgram { .. } => Op::FindProgram,
            Step::Exec { .. } => Op::Exec,
        }
    }
}

fn option_text(key: &str, value: &Option<String>) -> String {
    match value {
        Some(value) => format!("{key}={value}"),
        None => key.to_owned(),
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
