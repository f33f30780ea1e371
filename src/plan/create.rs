//! Plans a container's init, from the first namespace to the program.

use std::path::Path;

use super::join::AFTER_FORK;
use super::mount_order::MountOrder;
use super::process::{self, Confined};
use super::rootfs::RootOptions;
use super::{Barrier, CallerAction, Descriptor, Plan, Step, TreeOpener, cgroup_mount, mount_labels, rootfs};
use crate::cgroup::Layout;
use crate::error::{Code, Error, Result};
use crate::rdt::Group;
use crate::security::seccomp;
use crate::spec::mounts::MountEntry;
use crate::spec::namespaces::{self, Namespaces};
use crate::spec::oci::LinuxNamespaceType as Kind;
use crate::spec::{Config, hooks, intel_rdt, oci};
use crate::sys::procfs;

/// The inputs of a plan beside the configuration.
pub struct Create<'a> {
    pub config: &'a Config,
    /// The root filesystem without symlinks in its path.
    pub rootfs: &'a Path,
    pub layout: &'a Layout,
    /// Whether init is spawned into a cgroup of the v2 hierarchy (CLONE_INTO_CGROUP).
    pub into_cgroup: bool,
    /// Whether the caller attaches init to cgroups.
    pub attached_by_host: bool,
    /// Whether the caller creates links in the network namespace.
    pub networks: bool,
    /// The container's resctrl group.
    pub resctrl: Option<&'a Group>,
    pub parent_death_signal: i32,
    /// Whether the container gets a new session keyring.
    pub keyring: bool,
    /// Whether create fails if the program is missing.
    pub find_program: bool,
    pub root: RootOptions,
    /// Whether the terminal leaves newlines as they are.
    pub plain_newlines: bool,
    /// The directory in which the caller creates device nodes if init may not.
    pub device_dir: &'a Path,
}

/// Namespaces that are not created by the spawning clone3: a cgroup namespace shows the cgroups at the time of its
/// creation, and a time namespace needs its offsets before it has processes.
const UNSHARED_BY_INIT: u64 = (libc::CLONE_NEWCGROUP | libc::CLONE_NEWTIME) as u64;
const CLONE_NEWNET: u64 = libc::CLONE_NEWNET as u64;
const CLONE_NEWIPC: u64 = libc::CLONE_NEWIPC as u64;

/// Whether the spawned process forks, and its child becomes init.
fn is_staged(namespaces: &Namespaces) -> bool {
    namespaces.has(Kind::User) || !namespaces.joined.is_empty()
}

/// Whether a helper creates the new network namespace in parallel, and init enters it later. Not if the caller creates
/// links, which needs init in the namespace from the beginning, nor in a new user namespace, which must own the network
/// namespace.
pub fn prepares_network(spec: &oci::Spec, links: bool) -> bool {
    let namespaces = Namespaces::of(spec);
    namespaces.is_new(Kind::Network) && !is_staged(&namespaces) && !links
}

pub fn create(create: &Create) -> Result<Plan> {
    let spec = create.config.spec();
    let namespaces = Namespaces::of(spec);
    let in_user_namespace = namespaces.has(Kind::User);
    let staged = is_staged(&namespaces);
    let privileged = !in_user_namespace || is_privileged()?;
    let among_shared = namespaces::mounts_in_shared_namespace(spec);
    let open_early = in_user_namespace && privileged;
    let mut trees = TreeOpener { open_early, among_shared, ..TreeOpener::default() };
    let mut plan = Plan::default();
    push_inside(&mut plan, create, &namespaces, &mut trees, staged)?;
    if staged {
        let inside = std::mem::replace(&mut plan.steps, trees.early);
        push_joins(&mut plan, &namespaces, false, privileged);
        // From inside a cgroup namespace, no process may be spawned into a cgroup outside.
        let cgroup = create.into_cgroup && !namespaces.has_foreign_cgroup();
        let cgroup = cgroup.then(|| plan.slot(Descriptor::Cgroup));
        let open = namespaces.is_new(Kind::User) && !privileged;
        let later = if in_user_namespace { UNSHARED_BY_INIT | CLONE_NEWIPC } else { UNSHARED_BY_INIT };
        plan.push(Step::Fork { flags: namespaces.new_flags & !later, cgroup, open });
        plan.steps.extend(inside);
    } else {
        let later =
            if prepares_network(spec, create.networks) { UNSHARED_BY_INIT | CLONE_NEWNET } else { UNSHARED_BY_INIT };
        plan.clone_flags = namespaces.new_flags & !later;
    }
    mount_labels::label_mounts(&mut plan.steps, spec);
    Ok(plan)
}

/// Whether the caller has CAP_SYS_ADMIN. Without it, the host's mounts can only be cloned in the new namespaces
/// (sources that the container's root may not access are then unreachable), and id maps can be written only for a
/// dumpable process.
fn is_privileged() -> Result<bool> {
    let capability = caps::Capability::CAP_SYS_ADMIN;
    caps::has_cap(None, caps::CapSet::Effective, capability)
        .map_err(|error| Error::new(Code::System, format!("reading the caller's capabilities: {error}")))
}

/// Adds steps that join namespaces. Joining a user namespace grants privileges over the namespaces that it owns and
/// drops those over all others. A privileged caller already has them for both, so it joins the user namespace last.
fn push_joins(plan: &mut Plan, namespaces: &Namespaces, after_fork: bool, privileged: bool) {
    let mut joined: Vec<_> = namespaces.joined.iter().enumerate().collect();
    joined.sort_by_key(|(_, joined)| privileged && joined.kind == Kind::User);
    for (index, joined) in joined {
        let flags = namespaces::flag(joined.kind);
        if (flags & AFTER_FORK != 0 && !namespaces.has_foreign_cgroup()) == after_fork {
            let slot = plan.slot(Descriptor::Joined(index));
            let what = format!("the {} namespace {}", namespaces::name(joined.kind), joined.path.display());
            plan.push(Step::SetNs { slot, flags, what });
        }
    }
}

fn root_of<'a>(create: &Create<'a>, bind_devices: bool) -> rootfs::Root<'a> {
    rootfs::Root {
        options: create.root,
        config: create.config,
        rootfs: create.rootfs,
        bind_devices,
        device_dir: create.device_dir,
        order: MountOrder::of(create.config),
    }
}

/// Adds the steps of the process that becomes the container's init.
fn push_inside(
    plan: &mut Plan,
    create: &Create,
    namespaces: &Namespaces,
    trees: &mut TreeOpener,
    staged: bool,
) -> Result<()> {
    let spec = create.config.spec();
    let in_user_namespace = namespaces.has(Kind::User);
    let filter = seccomp::filter(spec)?;
    let confined = spec.process().as_ref().map(|process| Confined {
        process,
        linux: spec.linux().as_ref(),
        filter: filter.as_ref(),
        in_user_namespace,
    });
    // Only the creator can receive the listener: the process that starts the container communicates with init only
    // through exec.fifo.
    let early = confined.filter(|confined| confined.filter.is_some_and(|filter| filter.notifies));
    let mut attach = Attach {
        // After a fork init waits for the caller in any case. With a listener, init takes the user's identity before
        // the start, and the caller may then not be allowed to set limits for it.
        pending: (create.attached_by_host || create.networks || early.is_some()) && !staged,
        new_cgroup_namespace: namespaces.is_new(Kind::Cgroup),
    };
    push_joins(plan, namespaces, true, false);
    if namespaces.is_new(Kind::Time) {
        // The offsets file of a process that is not dumpable belongs to the host's root, which init is until it changes
        // its identity.
        plan.push(Step::TimeNamespace { offsets: time_offsets(spec) });
    }
    if create.keyring {
        // Before the change of identity, so that the quota of the host's root applies: that of a mapped user is small
        // (keyrings(7)).
        plan.push(Step::Keyring);
    }
    if in_user_namespace {
        plan.push(Step::BecomeRoot);
        if namespaces.is_new(Kind::Ipc) {
            // Only now: the kernel makes the directory that is mounted at /dev/mqueue for the user of this moment.
            plan.push(Step::Unshare(CLONE_NEWIPC));
        }
    }
    let mut network =
        NewNetwork { pending: namespaces.is_new(Kind::Network), prepared: prepares_network(spec, create.networks) };
    if !network.prepared {
        network.push(plan);
    }
    plan.push(Step::Session);

    // The kernel makes device nodes only in the initial user namespace, whichever the container's is.
    let root = root_of(create, in_user_namespace || procfs::in_user_namespace()?);
    root.push_top(plan, trees)?;
    for entry in create.config.mounts() {
        if cgroup_mount::is_cgroup(entry.mount) {
            attach.push(plan);
            // Only the user namespace that owns a cgroup namespace can mount it.
            let in_namespace = namespaces.has(Kind::Cgroup) && !namespaces.has_foreign_cgroup();
            cgroup_mount::push(plan, trees, create.layout, entry, in_namespace)?;
        } else {
            if !is_without_network(entry) {
                network.push(plan);
            }
            root.push_mount(plan, trees, entry);
        }
    }
    attach.push(plan);
    network.push(plan);
    root.push_devices(plan, trees)?;
    if let Some(process) = spec.process() {
        process::push_terminal(plan, process, root.owns_dev(), create.plain_newlines);
    }
    push_kernel_settings(plan, spec);

    if has_hooks_before_pivot(spec) {
        if !hooks::list(spec, hooks::Kind::CreateContainer).is_empty() {
            plan.push(Step::EnterRoot);
        }
        plan.push(Step::WaitHost(Barrier::Hooks));
    }
    root.push_masks(plan);
    root.push_bottom(plan)?;
    plan.push(Step::OwnNull);
    if let Some(process) = spec.process() {
        process::push_streams(plan, process);
    }

    if create.parent_death_signal != 0 {
        plan.push(Step::ParentDeathSignal(create.parent_death_signal));
    }
    if let Some(process) = spec.process().as_ref().filter(|_| create.find_program) {
        process::push_find(plan, process);
    }
    let fifo = plan.slot(Descriptor::ExecFifo);
    // Before a filter that notifies: the supervisor may answer only when the container is created.
    plan.push(Step::TryExecFifo(fifo));
    if let Some(confined) = early {
        process::push_surroundings(plan, confined);
        process::push_identity(plan, confined);
    }
    plan.push(Step::Ready);
    plan.push(Step::ExecFifo(fifo));
    match (early, confined) {
        (Some(Confined { process, .. }), _) => {
            process::push_limits(plan, process);
            process::push_exec(plan, process);
        }
        (None, Some(confined)) => process::push(plan, confined),
        (None, None) => {}
    }
    if let Some((group, rdt)) = create.resctrl.zip(intel_rdt::of(spec)) {
        plan.caller_actions.push(CallerAction::Resctrl { group: group.clone(), shares: intel_rdt::writes(rdt) });
    }
    if let Some(process) = spec.process() {
        process::push_outside(plan, process);
    }
    Ok(())
}

/// The point at which init must be in its cgroups and have its links, and the creation of the cgroup namespace after
/// it. It is as late as possible, because the caller does its part while init mounts.
struct Attach {
    pending: bool,
    new_cgroup_namespace: bool,
}

impl Attach {
    fn push(&mut self, plan: &mut Plan) {
        if std::mem::take(&mut self.pending) {
            plan.push(Step::WaitHost(Barrier::Attached));
        }
        if std::mem::take(&mut self.new_cgroup_namespace) {
            plan.push(Step::Unshare(libc::CLONE_NEWCGROUP as u64));
        }
    }
}

/// The network namespace that init enters. init enters it as late as possible, because a helper creates it in the
/// meantime.
struct NewNetwork {
    pending: bool,
    prepared: bool,
}

impl NewNetwork {
    fn push(&mut self, plan: &mut Plan) {
        if !std::mem::take(&mut self.pending) {
            return;
        }
        if self.prepared {
            let slot = plan.slot(Descriptor::NetworkNamespace);
            plan.push(Step::NetworkNamespace(slot));
        }
        plan.push(Step::Loopback);
    }
}

/// Whether a mount is the same in every network namespace. sysfs shows the namespace's devices, other filesystems (NFS,
/// 9p) send through it, and the source of a bind mount may be the mounting process's own /proc/net.
fn is_without_network(entry: MountEntry) -> bool {
    const LOCAL: [&str; 4] = ["proc", "tmpfs", "devpts", "mqueue"];
    !entry.is_bind() && entry.mount.typ().as_deref().is_some_and(|kind| LOCAL.contains(&kind))
}

/// Formats the offsets for /proc/self/timens_offsets (time_namespaces(7)).
fn time_offsets(spec: &oci::Spec) -> String {
    let offsets = spec.linux().as_ref().and_then(|linux| linux.time_offsets().as_ref());
    let mut lines: Vec<String> = offsets
        .into_iter()
        .flatten()
        .map(|(clock, offset)| format!("{clock} {} {}\n", offset.secs().unwrap_or(0), offset.nanosecs().unwrap_or(0)))
        .collect();
    lines.sort();
    lines.concat()
}

fn push_kernel_settings(plan: &mut Plan, spec: &oci::Spec) {
    let named = |name: &Option<String>| name.clone().filter(|name| !name.is_empty());
    if let Some(name) = named(spec.hostname()) {
        plan.push(Step::Hostname(name));
    }
    if let Some(name) = named(spec.domainname()) {
        plan.push(Step::Domainname(name));
    }
    let sysctl = spec.linux().as_ref().and_then(|linux| linux.sysctl().as_ref());
    let mut sysctl: Vec<_> = sysctl.into_iter().flatten().collect();
    sysctl.sort();
    for (key, value) in sysctl {
        let path = crate::spec::sysctl::file(key).unwrap_or_else(|| key.clone());
        plan.push(Step::Sysctl { path, value: value.clone() });
    }
}

fn has_hooks_before_pivot(spec: &oci::Spec) -> bool {
    use hooks::Kind::*;
    [Prestart, CreateRuntime, CreateContainer].into_iter().any(|kind| !hooks::list(spec, kind).is_empty())
}
