//! Create: sets up a container, from a configuration to an init that waits for start.

use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use nix::errno::Errno;

use super::plan_inputs;
use super::shared_root::RootMounts;
use super::status::Status;
use super::{Container, id_maps, oom_kill, preflight, prepare, shared_root};
use crate::cgroup::{self, Cgroup};
use crate::console_socket::send_terminal;
use crate::error::{Code, Context, Error, Result};
use crate::fault;
use crate::hooks::Place;
use crate::network;
use crate::plan::{self, Barrier, CallerAction, Descriptor, IdMaps, Plan};
use crate::process::{Owner, Paused, Process, ProcessOptions, Streams};
use crate::runtime::Runtime;
use crate::security::seccomp;
use crate::spawn::{self, HandleNeeds as Needs, InitChannel, InitHandles, Launch, NewNetwork, RootOf, Spawned};
use crate::spec::hooks::{self, Kind};
use crate::spec::namespaces::{self, Namespaces};
use crate::spec::oci::LinuxNamespaceType;
use crate::spec::{Config, intel_rdt, oci};
use crate::state::{self, Init, Phase, PlanInputs, RECORD_VERSION, Record, check_id};
use crate::sys::{
    children,
    flock::{Lock, LockKind},
    identity::Identity,
    nsfs, procfs,
};

/// The progress of a create, for undoing it.
#[derive(Default)]
pub(super) struct CreatedParts {
    pub cgroups: bool,
    /// Whether hooks may have run.
    pub by_hooks: bool,
}

/// The objects that are prepared before anything of the container exists.
struct Prepared {
    rootfs: PathBuf,
    /// The namespaces to join, in the order of the plan.
    joined: Vec<File>,
    network: Option<NewNetwork>,
}

/// The inputs of the setup of a spawned init, and the records that it changes.
struct Setup<'a> {
    plan: &'a Plan,
    config: &'a Config,
    cgroup: &'a dyn Cgroup,
    record: &'a mut Record,
    made: &'a mut CreatedParts,
}

/// The number of descriptors that undoing a create needs at once.
pub const SPARE_DESCRIPTORS: usize = 16;

impl Container {
    /// Creates a container: setup is complete, and its init waits for [`Container::start`]. After an error nothing is
    /// left.
    pub fn create(runtime: &Runtime, id: &str, config: &Config, options: &ProcessOptions) -> Result<Container> {
        check_id(id)?;
        config.validate()?;
        preflight::check_root(config, runtime.inner.settings.root_options)?;
        if let Some(filter) = seccomp::filter(config.spec())? {
            filter.report();
        }
        config.report();
        options.check(config.has_terminal())?;
        refuse_exec_options(options)?;
        let network = begin_network(config);
        let joined = open_joined(config)?;
        id_maps::check_joined(config, &joined, runtime.inner.settings.setup_timeout)?;
        let rootfs = plan_inputs::rootfs(config)?;

        children::reap_some();
        let (container, lock) = Container::make(runtime, id)?;
        fault::point("create.directory");
        // The handle is new, so the cell is empty.
        let _ = container.config.set(config.clone());
        // Reserve descriptors until create has succeeded or is undone, so that undoing works in a caller at its limit
        // of descriptors, too.
        let spare = container.directory.spare(SPARE_DESCRIPTORS);
        let mut made = CreatedParts::default();
        let result =
            spare.and_then(|_spare| container.set_up(config, options, Prepared { rootfs, joined, network }, &mut made));
        if let Err(error) = result {
            return Err(container.undo(error, &made));
        }
        drop(lock);
        Ok(container)
    }

    /// Creates and locks the empty directory of a new container.
    pub(super) fn make(runtime: &Runtime, id: &str) -> Result<(Container, Lock)> {
        let deadline = runtime.inner.lock_deadline();
        let _creating = runtime.inner.root.lock(LockKind::Shared, deadline)?;
        loop {
            let directory = match runtime.inner.root.make(id) {
                // As below, before it was opened.
                Err(error) if error.code == Code::NotFound && !deadline.passed() => continue,
                other => other?,
            };
            let container = Container::new(id, &runtime.inner, directory);
            match container.directory.lock(deadline) {
                // Between mkdir and open, another process may have removed the directory and created it again. The
                // directory belongs to the process that has locked it while it is empty.
                Ok(lock) => match container.directory.is_empty() {
                    Ok(true) => return Ok((container, lock)),
                    Ok(false) => return Err(state::in_use(id)),
                    Err(error) => return Err(container.take_back_directory(error)),
                },
                // A forced delete has removed the empty directory, taking its creator for killed. Create it again.
                Err(error) if error.code == Code::NotFound && !deadline.passed() => {}
                Err(error) => return Err(container.take_back_directory(error)),
            }
        }
    }

    /// Removes the directory that create has just made. An error of that is added to the first error as a detail.
    fn take_back_directory(&self, error: Error) -> Error {
        match self.directory.remove() {
            Ok(()) => error,
            Err(second) => error.detail("cleanup", second.message),
        }
    }

    /// Undoes a failed create. An error of undoing is added to the first error as a detail.
    pub(super) fn undo(&self, error: Error, made: &CreatedParts) -> Error {
        *self.lock_init() = None;
        let removed = match self.directory.read() {
            Ok(Some(record)) if made.cgroups => self.tear_down(&record).and_then(|()| {
                // The poststop hooks remove what the prestart and createRuntime hooks have set up.
                if made.by_hooks {
                    self.run_poststop_hooks(&record);
                }
                self.directory.remove()
            }),
            // The record stays, so that delete finds what it names.
            Err(error) if made.cgroups => Err(error),
            Ok(Some(record)) => self.unmount_root(&record).and_then(|()| self.directory.remove()),
            _ => self.directory.remove(),
        };
        match removed {
            Ok(()) => error,
            Err(second) => error.detail("cleanup", second.message),
        }
    }

    fn set_up(
        &self,
        config: &Config,
        options: &ProcessOptions,
        Prepared { rootfs, joined, mut network }: Prepared,
        made: &mut CreatedParts,
    ) -> Result<()> {
        let mut record = self.first_record(config, options, &joined, rootfs, false)?;
        let root = shared_root::clone(config, &joined, &record.inputs.rootfs, self.runtime.setup_deadline())?;
        record.root_mount = root.as_ref().map(|root| root.mount.clone());
        self.directory.write_config(config.json())?;
        self.directory.write(&record)?;
        self.refuse_shared_cgroup(&record)?;
        fault::point("create.recorded");

        let cgroup = cgroup::open(&record.inputs.cgroup)?;
        cgroup.create()?;
        made.cgroups = !cgroup.created_on_attach();
        fault::point("create.cgroups");
        let fifo = self.directory.make_fifo()?;
        fault::point("create.fifo");

        let cgroup_dir = cgroup.spawn_dir()?;
        let plan = record.plan(config)?;
        self.directory.make_devices(&plan.caller_nodes)?;
        let mut streams = Streams::open(options, config.has_terminal())?;
        if !plan.user_namespaces.is_empty() {
            // User namespaces are created by processes, too, and a limit may leave room for only one process at a time.
            network.iter_mut().for_each(|network| network.finish(self.runtime.setup_deadline()));
        }
        let user_namespaces = self.user_namespaces(&plan)?;
        let user_namespaces = &user_namespaces;
        let (cgroup_dir, root) = (cgroup_dir.as_ref(), root.as_ref());
        let sources = SlotDescriptors { fifo: &fifo, cgroup: cgroup_dir, joined: &joined, root, user_namespaces };
        let channel = launch(&plan, &sources, &streams.low, network)?;
        // In the words of runc's debug log, which scripts look for.
        log::debug!("nsexec container setup: berth-init is started");
        fault::point("create.spawned");
        record.external_descriptors = prepare::external_descriptors(&streams.low);
        made.by_hooks = plan.waits_for(Barrier::Hooks);
        // Also explains a kill during the commit: init may complete setup before the memory limit that it exceeds
        // applies.
        let killed = |error| oom_kill::explain_oom_kill(error, cgroup.as_ref(), config);
        let setup = Setup { plan: &plan, config, cgroup: cgroup.as_ref(), record: &mut record, made };
        let channel = self.drive_setup(channel, setup).map_err(killed)?;
        let in_user_namespace = Namespaces::of(config.spec()).has(LinuxNamespaceType::User);
        let owner = prepare::owner(channel.pid(), in_user_namespace, config.spec().process().as_ref())?;
        streams.give(owner, in_user_namespace)?;
        fault::point("create.ready");
        let init =
            self.commit(channel, &mut record, options, std::mem::take(&mut streams.caller_ends)).map_err(killed)?;
        children::keep(self.directory.path(), init.end());
        *self.lock_init() = Some(init);
        fault::point("create.saved");
        Ok(())
    }

    /// Returns the first record of a container. It names everything that delete may have to remove, before any of it
    /// exists.
    pub(super) fn first_record(
        &self,
        config: &Config,
        options: &ProcessOptions,
        joined: &[File],
        rootfs: PathBuf,
        restoring: bool,
    ) -> Result<Record> {
        let rootless = self.runtime.is_rootless()?;
        let inputs = PlanInputs::decide(&self.runtime.settings, rootless, &self.id, config, rootfs, options)?;
        let namespaces = Namespaces::of(config.spec());
        let network = namespaces.joined.iter().position(|joined| joined.kind == LinuxNamespaceType::Network);
        let network = network.and_then(|place| joined.get(place));
        let joined = namespaces.joined.iter().fold(0, |flags, joined| flags | namespaces::flag(joined.kind));
        Ok(Record {
            version: RECORD_VERSION,
            id: self.id.clone(),
            phase: Phase::Creating,
            owner: Identity::own()?,
            bundle: config.bundle().map(ToOwned::to_owned),
            created: humantime::format_rfc3339_nanos(SystemTime::now()).to_string(),
            init: None,
            inputs,
            namespaces: namespaces.new_flags | joined,
            external_descriptors: Vec::new(),
            checkpoint: None,
            root_mount: None,
            network: network::plan(config, network, restoring, self.runtime.setup_deadline())?,
        })
    }

    /// Refuses an existing cgroup that belongs to another container: that container may be stopped, and its delete
    /// would kill this one. Call this after the record is written: if two creates find the same cgroup at the same
    /// time, at least one of them then sees the other's record.
    pub(super) fn refuse_shared_cgroup(&self, record: &Record) -> Result<()> {
        if record.inputs.cgroup.kept.is_empty() {
            return Ok(());
        }
        let leaves = record.inputs.cgroup.leaves();
        for id in self.runtime.root.ids()?.into_iter().filter(|id| *id != self.id) {
            let other = self.runtime.directory(&id).and_then(|directory| directory.read());
            // A damaged record, or one deleted meanwhile, does not prevent others from being created.
            let Some(other) = other.ok().flatten().filter(|other| !other.inputs.cgroup.absent) else { continue };
            if let Some(leaf) = other.inputs.cgroup.leaves().into_iter().find(|leaf| leaves.contains(leaf)) {
                let problem = format!("cgroup {} exists already and belongs to container {id:?}", leaf.display());
                return Err(Error::new(Code::System, problem).with_errno(Errno::EEXIST));
            }
        }
        Ok(())
    }

    /// Sets the limits and the device rules. In a user namespace, a rootless container does without device rules that
    /// the caller may not set, because no device nodes can be created there (user_namespaces(7)).
    fn limit(&self, cgroup: &dyn Cgroup, spec: &oci::Spec) -> Result<()> {
        let has_own = Namespaces::of(spec).has(LinuxNamespaceType::User);
        if self.runtime.is_rootless()? && (has_own || procfs::in_user_namespace()?) {
            cgroup::apply_permitted(cgroup, &resources(spec))
        } else {
            cgroup.apply(&resources(spec))
        }
    }

    /// Makes the container's user the owner of the container's cgroup, if the container has it read-write.
    pub(super) fn delegate(&self, config: &Config, cgroup: &dyn Cgroup, pid: i32) -> Result<()> {
        if !plan::delegates_cgroup(config) {
            return Ok(());
        }
        let in_user_namespace = Namespaces::of(config.spec()).has(LinuxNamespaceType::User);
        match prepare::owner(pid, in_user_namespace, config.spec().process().as_ref())? {
            Some(Owner { uid, .. }) if uid != nix::unistd::geteuid().as_raw() => cgroup.delegate_to(uid),
            _ => Ok(()),
        }
    }

    /// Performs the caller's part of setup, from the spawned init until init reports that it is ready.
    fn drive_setup<'p>(&self, mut init: InitChannel<'p>, setup: Setup) -> Result<InitChannel<'p>> {
        let Setup { plan, config, cgroup, record, made } = setup;
        let deadline = self.runtime.setup_deadline();
        if plan.forks() {
            init.adopt(deadline)?;
        }
        if cgroup.created_on_attach() {
            cgroup.create_with(init.pid(), &resources(config.spec()))?;
            made.cgroups = true;
        }
        log::debug!("child process in init(): process {} is the container's init", init.pid());
        self.limit(cgroup, config.spec())?;
        fault::point("create.limits");
        self.make_resctrl(config, record)?;
        fault::point("create.resctrl");
        // Read while setup runs, so that it does not delay create. If init has exited already, its next message gives
        // the reason.
        record.init = identify(init.pid()).ok();
        if cgroup.attach_needed() || (cgroup.has_spawn_dir() && plan.forks_outside_cgroup()) {
            cgroup.attach(init.pid())?;
        }
        let (late, early): (Vec<_>, Vec<_>) = plan.caller_actions.iter().cloned().partition(CallerAction::comes_last);
        prepare::apply_caller_actions(init.pid(), &early)?;
        if let Some(maps) = IdMaps::of(config.spec()) {
            id_maps::write(init.pid(), &maps, self.runtime.settings.setup_timeout)?;
        }
        self.delegate(config, cgroup, init.pid())?;
        let namespace = || network::of_process(init.pid());
        network::set_up(config, record.network.as_mut(), namespace, &self.network_pin(), deadline)?;
        if plan.forks() || plan.waits_for(Barrier::Attached) {
            init.go()?;
        }
        fault::point("create.attached");
        if plan.waits_for(Barrier::Hooks) {
            init.reached(deadline)?;
            self.run_creation_hooks(config, record)?;
            init.go()?;
        }
        fault::point("create.hooks");
        if plan.has_listener() {
            self.send_seccomp_listener(&mut init, config, record, Status::Creating)?;
        }
        self.prepare_commit(record)?;
        // A new deadline: the time that hooks take does not count as init's.
        init.ready(self.runtime.setup_deadline())?;
        prepare::apply_caller_actions(init.pid(), &late)?;
        log::debug!("init: closing the pipe to signal completion: the setup is complete");
        Ok(init)
    }

    /// Creates the container's resctrl groups, and records which of them delete must keep.
    pub(super) fn make_resctrl(&self, config: &Config, record: &mut Record) -> Result<()> {
        let Some((group, rdt)) = record.inputs.resctrl.as_mut().zip(intel_rdt::of(config.spec())) else {
            return Ok(());
        };
        let made = group.make(&intel_rdt::writes(rdt), self.runtime.lock_deadline());
        self.directory.write(record)?;
        made
    }

    /// Creates the user namespaces that map the owners of files in mounts.
    fn user_namespaces(&self, plan: &Plan) -> Result<Vec<OwnedFd>> {
        let timeout = self.runtime.settings.setup_timeout;
        plan.user_namespaces.iter().map(|maps| id_maps::user_namespace(maps, timeout)).collect()
    }

    fn run_creation_hooks(&self, config: &Config, record: &Record) -> Result<()> {
        // "creating" is step 2 of the lifecycle in the OCI runtime specification (runtime.md), and these are steps 3 to 5.
        let created = Status::Created;
        self.run_host_hooks(Kind::Prestart, config, record, created)?;
        self.run_host_hooks(Kind::CreateRuntime, config, record, created)?;
        if hooks::list(config.spec(), Kind::CreateContainer).is_empty() {
            return Ok(());
        }
        let needs = Needs {
            cgroup_namespace: record.namespaces & libc::CLONE_NEWCGROUP as u64 != 0,
            root: Some(RootOf::WorkingDirectory),
        };
        let Some(opened) =
            record.init.as_ref().map(|init| InitHandles::open(&init.identity, needs)).transpose()?.flatten()
        else {
            return Ok(()); // gone: the next word to it says why
        };
        let inside = Place::Container {
            namespaces: record.namespaces,
            foreign_cgroup_namespace: Namespaces::of(config.spec()).has_foreign_cgroup(),
            init: &opened,
        };
        self.run_hooks(Kind::CreateContainer, config, record, created, &inside)
    }

    /// Writes the final record to a temporary file, which `commit` renames.
    fn prepare_commit(&self, record: &mut Record) -> Result<()> {
        if record.init.is_some() {
            record.mark_created();
            self.directory.prepare(record)?;
        }
        Ok(())
    }

    /// Saves the record and lets init wait for start. From then on the container does not depend on the calling
    /// process.
    fn commit(
        &self,
        init: InitChannel,
        record: &mut Record,
        options: &ProcessOptions,
        stdio: [Option<OwnedFd>; 3],
    ) -> Result<Process> {
        if record.init.is_none() {
            record.init = Some(identify(init.pid())?);
            self.prepare_commit(record)?;
        }
        let terminal = match (&options.console_socket, init.terminal()) {
            (Some(socket), Some(master)) => {
                send_terminal(socket, master)?;
                false
            }
            _ => true,
        };
        self.directory.commit()?;
        self.leave_devices(record)?;
        fault::point("create.committed");
        init.go()?;
        let Spawned { child, terminal: master } = init.finish();
        let process = Process::init(child.into(), self.directory.path(), stdio);
        Ok(process.with_terminal(master.filter(|_| terminal)))
    }
}

fn refuse_exec_options(options: &ProcessOptions) -> Result<()> {
    if options.paused != Paused::Refuse || !options.cgroups.is_empty() {
        return Err(Error::invalid_argument("waiting for a resume and sub-cgroups are supported by exec only"));
    }
    Ok(())
}

pub fn process_of(config: &Config) -> Result<&oci::Process> {
    let missing = || Error::config("process", "is missing; expected the container's process");
    config.spec().process().as_ref().ok_or_else(missing)
}

pub fn cgroups_path(config: &Config) -> Option<&Path> {
    config
        .spec()
        .linux()
        .as_ref()
        .and_then(|linux| linux.cgroups_path().as_deref())
        .filter(|path| !path.as_os_str().is_empty())
}

pub fn resources(spec: &oci::Spec) -> oci::LinuxResources {
    spec.linux().as_ref().and_then(|linux| linux.resources().clone()).unwrap_or_default()
}

/// Starts to create the network namespace in parallel, if the plan allows that. create calls this first, because it
/// takes longest.
fn begin_network(config: &Config) -> Option<NewNetwork> {
    if !plan::prepares_network(config.spec(), network::plan_needed(config)) {
        return None;
    }
    NewNetwork::begin().inspect_err(|error| log::debug!("{error}")).ok()
}

/// Opens the namespaces to join, in the order of the plan, before anything is created. Their types have been validated.
pub fn open_joined(config: &Config) -> Result<Vec<File>> {
    let joined = Namespaces::of(config.spec()).joined;
    joined
        .iter()
        .map(|joined| nsfs::open(&joined.path).context(|| format!("opening {}", joined.path.display())))
        .collect()
}

/// The descriptors for the plan's slots.
struct SlotDescriptors<'a> {
    fifo: &'a OwnedFd,
    cgroup: Option<&'a OwnedFd>,
    joined: &'a [File],
    root: Option<&'a RootMounts>,
    user_namespaces: &'a [OwnedFd],
}

fn launch<'p>(
    plan: &'p Plan,
    sources: &SlotDescriptors,
    low: &[RawFd],
    network: Option<NewNetwork>,
) -> Result<InitChannel<'p>> {
    let open = |descriptor: &Descriptor| match descriptor {
        Descriptor::ExecFifo => sources.fifo.as_raw_fd(),
        Descriptor::Cgroup => sources.cgroup.map_or(-1, |fd| fd.as_raw_fd()),
        Descriptor::Joined(index) => sources.joined.get(*index).map_or(-1, |file| file.as_raw_fd()),
        Descriptor::RootBase => sources.root.map_or(-1, |root| root.base.as_raw_fd()),
        Descriptor::RootTree => sources.root.map_or(-1, |root| root.tree.as_raw_fd()),
        Descriptor::UserNamespace(index) => sources.user_namespaces.get(*index).map_or(-1, |fd| fd.as_raw_fd()),
        _ => -1,
    };
    // If init forks, its child joins the cgroup in a step of the plan.
    let cgroup = sources.cgroup.filter(|_| !plan.forks()).map(|fd| fd.as_fd());
    spawn::start(plan, Launch { low, open: &open, cgroup, proc: procfs::root()?, network })
}

fn identify(pid: i32) -> Result<Init> {
    // Not read from /proc/<pid>/exe: the caller continues a moment before execve has replaced the image there.
    let image = spawn::init_image()?;
    Ok(Init { identity: Identity::of(pid)?, image })
}
