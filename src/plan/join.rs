//! Plans processes beside the container's init: exec, hooks, helpers.

use std::path::Path;
use std::sync::Arc;

use super::process::{self, Confined};
use super::{Barrier, CallerAction, Descriptor, Plan, Step};
use crate::rdt::Group;
use crate::security::seccomp::Filter;
use crate::spec::oci;

/// An additional process in a running container.
pub struct Join<'a> {
    pub process: &'a oci::Process,
    pub linux: Option<&'a oci::Linux>,
    pub filter: Option<&'a Arc<Filter>>,
    /// CLONE_NEW… flags of the namespaces that differ from the host's.
    pub namespaces: u64,
    /// Whether the container's cgroup namespace belongs to another user namespace than the container's.
    pub foreign_cgroup_namespace: bool,
    /// Whether the process is spawned into a cgroup of the v2 hierarchy (CLONE_INTO_CGROUP).
    pub into_cgroup: bool,
    pub resctrl: Option<&'a Group>,
    pub parent_death_signal: i32,
    /// Whether the process gets a new session keyring.
    pub keyring: bool,
    /// Whether the process's terminal leaves newlines as they are.
    pub plain_newlines: bool,
    /// Whether the container's root differs from the root of its mount namespace, which other processes use.
    pub own_root: bool,
}

pub fn join(join: &Join) -> Plan {
    let mut plan = Plan::default();
    if join.keyring {
        // Before the change of identity, so that the quota of the host's root applies: that of a mapped user is small
        // (keyrings(7)).
        plan.push(Step::Keyring);
    }
    let affinity = join.process.exec_cpu_affinity().as_ref();
    let list = |list: Option<&Option<String>>| list.and_then(|list| list.clone()).filter(|list| !list.is_empty());
    if let Some(initial) = list(affinity.map(|affinity| affinity.initial())) {
        plan.push(Step::CpuAffinity(initial));
    }
    enter(&mut plan, join.namespaces, join.foreign_cgroup_namespace, join.into_cgroup);
    // The process is in its cgroup by now, and only that cgroup's CPUs are allowed.
    if let Some(last) = list(affinity.map(|affinity| affinity.cpu_affinity_final())) {
        plan.push(Step::CpuAffinity(last));
    }
    plan.push(Step::Session);
    if join.own_root {
        let root = plan.slot(Descriptor::ContainerRoot);
        plan.push(Step::TakeRoot(root));
        plan.push(Step::Chroot);
        plan.push(Step::WorkingDirectory { path: "/".into(), attempt: false });
    } else {
        plan.push(Step::OpenRoot("/".into()));
    }
    process::push_terminal(&mut plan, join.process, false, join.plain_newlines);
    process::push_streams(&mut plan, join.process);
    if join.parent_death_signal != 0 {
        plan.push(Step::ParentDeathSignal(join.parent_death_signal));
    }
    let Join { process, linux, filter, .. } = *join;
    let in_user_namespace = join.namespaces & libc::CLONE_NEWUSER as u64 != 0;
    process::push(&mut plan, Confined { process, linux, filter, in_user_namespace });
    plan.caller_actions
        .extend(join.resctrl.map(|group| CallerAction::Resctrl { group: group.clone(), shares: Vec::new() }));
    process::push_outside(&mut plan, process);
    plan
}

fn enter(plan: &mut Plan, namespaces: u64, foreign_cgroup_namespace: bool, into_cgroup: bool) {
    let (before, after) = (namespaces & !AFTER_FORK, namespaces & AFTER_FORK);
    let enter_cgroup_namespace = |plan: &mut Plan| {
        // Not through init's pidfd: while init is not dumpable, no process in its user namespace may access it.
        let slot = plan.slot(Descriptor::ContainerCgroupNamespace);
        plan.push(Step::SetNs { slot, flags: after, what: "the container's cgroup namespace".into() });
    };
    if foreign_cgroup_namespace {
        enter_cgroup_namespace(plan);
    }
    // No flags are an error for setns(2): all namespaces may be the host's.
    if before != 0 {
        let slot = plan.slot(Descriptor::ContainerInit);
        plan.push(Step::SetNs { slot, flags: before, what: "the container's namespaces".into() });
    }
    let cgroup = (into_cgroup && !foreign_cgroup_namespace).then(|| plan.slot(Descriptor::Cgroup));
    plan.push(Step::Fork { flags: 0, cgroup, open: false });
    if after != 0 && !foreign_cgroup_namespace {
        enter_cgroup_namespace(plan);
    }
    if namespaces & libc::CLONE_NEWUSER as u64 != 0 {
        plan.push(Step::BecomeRoot);
    }
}

/// Namespaces that are joined after the fork. If cgroup namespaces are delegation boundaries (mount option nsdelegate,
/// which systemd sets), no process inside one can move a process in from a cgroup outside. So the process joins after
/// it is in its cgroup. A cgroup namespace of another user namespace is joined before, and the caller then moves the
/// process into its cgroup.
pub(super) const AFTER_FORK: u64 = libc::CLONE_NEWCGROUP as u64;

/// Plans a helper that sends the caller a netlink socket of the network namespace in slot `Joined(0)`, and exits.
pub fn netlink_socket(protocol: i32) -> Plan {
    let mut plan = Plan::default();
    let slot = plan.slot(Descriptor::Joined(0));
    plan.push(Step::SetNs { slot, flags: libc::CLONE_NEWNET as u64, what: "the container's network namespace".into() });
    plan.push(Step::NetlinkSocket(protocol));
    plan
}

/// Plans a process that waits in the user namespace in slot `Joined(0)`, and reports when it is there.
pub fn in_user_namespace() -> Plan {
    let mut plan = Plan::default();
    let slot = plan.slot(Descriptor::Joined(0));
    plan.push(Step::SetNs { slot, flags: libc::CLONE_NEWUSER as u64, what: "the user namespace".into() });
    plan.push(Step::WaitHost(Barrier::Hooks));
    plan
}

/// Plans a process that makes the root of the mount namespace in slot `Joined(0)` read-only, and reports when it is done.
pub fn root_readonly() -> Plan {
    let mut plan = Plan::default();
    enter_mount_namespace(&mut plan);
    plan.push(Step::OpenRoot("/".into()));
    plan.push(Step::RootReadonly);
    plan.push(Step::WaitHost(Barrier::Hooks));
    plan
}

/// Adds the step that enters the mount namespace in slot `Joined(0)`.
fn enter_mount_namespace(plan: &mut Plan) {
    let slot = plan.slot(Descriptor::Joined(0));
    plan.push(Step::SetNs { slot, flags: libc::CLONE_NEWNS as u64, what: "the container's mount namespace".into() });
}

/// Plans a process that clones the mount at a path, and sends the caller first that mount alone, then with the mounts
/// below it. `joined`: of the mount namespace in slot `Joined(0)` instead of the caller's.
pub fn clone_mounts(path: &Path, joined: bool) -> Plan {
    let mut plan = Plan::default();
    if joined {
        enter_mount_namespace(&mut plan);
    }
    for recursive in [false, true] {
        let slot = plan.slot(Descriptor::ByInit);
        let (path, nofollow, own_propagation) = (path.to_owned(), false, false);
        plan.push(Step::OpenTree { path, recursive, nofollow, own_propagation, slot, entry: None });
        plan.push(Step::SendTree(slot));
    }
    plan
}

/// Plans a process that unmounts the mount with this id at a path, and reports when it is done. `joined`: in the mount
/// namespace in slot `Joined(0)` instead of the caller's.
pub fn detach_mount(path: &Path, id: u64, joined: bool) -> Plan {
    let mut plan = Plan::default();
    if joined {
        enter_mount_namespace(&mut plan);
    }
    plan.push(Step::DetachMount { path: path.to_owned(), id });
    plan.push(Step::WaitHost(Barrier::Hooks));
    plan
}

/// Plans a process that waits until it is killed, in new namespaces (CLONE_NEW… flags), which are its only purpose.
pub fn waiting(namespaces: u64) -> Plan {
    Plan { steps: vec![Step::WaitHost(Barrier::Attached)], clone_flags: namespaces, ..Plan::default() }
}

/// A program that runs on the host: a hook, or CRIU.
pub struct Program<'a> {
    pub file: &'a str,
    pub args: &'a [String],
    pub env: &'a [String],
    pub place: ProgramPlace<'a>,
}

/// Where a program of the host runs.
#[derive(Clone, Copy)]
pub enum ProgramPlace<'a> {
    /// In the caller's namespaces, and in this working directory. `None`: the caller's own.
    Host { directory: Option<&'a Path> },
    /// In namespaces of a container's init, given as CLONE_NEW… flags, and in its root filesystem as working directory.
    Container { namespaces: u64, foreign_cgroup_namespace: bool },
}

pub fn program(program: &Program) -> Plan {
    let mut plan = Plan::default();
    match program.place {
        ProgramPlace::Host { directory: None } => {}
        ProgramPlace::Host { directory: Some(path) } => {
            plan.push(Step::WorkingDirectory { path: path.to_owned(), attempt: false });
        }
        ProgramPlace::Container { namespaces, foreign_cgroup_namespace } => {
            enter(&mut plan, namespaces, foreign_cgroup_namespace, false);
            let root = plan.slot(Descriptor::ContainerRoot);
            plan.push(Step::TakeRoot(root));
            plan.push(Step::EnterRoot);
        }
    }
    plan.push(Step::Session);
    plan.push(Step::Umask(0o022));
    // The caller waits for the program; if the caller is killed, nobody else would stop the program.
    plan.push(Step::ParentDeathSignal(libc::SIGKILL));
    plan.push(Step::Exec {
        file: Some(program.file.to_owned()),
        args: if program.args.is_empty() { vec![program.file.to_owned()] } else { program.args.to_vec() },
        env: program.env.to_vec(),
        search: String::new(),
    });
    plan
}
