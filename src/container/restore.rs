//! Restore: creates a container whose processes CRIU restores from images.
//!
//! The caller's configuration defines the container and its privileges. The images are not trusted: before the first of
//! the restored processes runs, libberth verifies that they conform to the configuration.

mod mounts;
mod notifications;
mod planned_mounts;
mod privileges;
mod read_only_root;
mod verify;

use std::collections::BTreeMap;
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::path::PathBuf;
use std::sync::Arc;

use super::checkpoint::path_text;
use super::create::{CreatedParts, open_joined, process_of, resources};
use super::{Container, id_maps, plan_inputs};
use crate::cgroup;
use crate::console_socket::send_terminal;
use crate::criu::message::{self, InheritFd, JoinNamespace, Kind, Options, Request};
use crate::criu::{
    self, CriuLog, ExternalSource, Externals, FIRST_INHERITED, GhostPlaces, ImageDir, Propagation, RestoreOptions,
    Start, Swrk,
};
use crate::deadline::Deadline;
use crate::error::{Code, Error, Result, Stage};
use crate::fault;
use crate::network;
use crate::plan::Plan;
use crate::process::{Process, ProcessOptions, Stdio, Streams};
use crate::runtime::Runtime;
use crate::spec::capabilities::{self, Sets};
use crate::spec::namespaces::Namespaces;
use crate::spec::oci::LinuxNamespaceType;
use crate::spec::{Config, oci};
use crate::state::{Init, Record, check_id};
use crate::sys::{
    children::{self, ChildExit},
    exit_status::ExitStatus,
    identity::Identity,
    pidfd, procfs,
};
pub(super) use verify::verify_stopped;

use verify::children_of;

impl Container {
    /// Restores a container from the images of a checkpoint, under an id that is not in use: its processes continue
    /// where they were. The configuration must be that of the dumped container, except for paths of the host. After an
    /// error nothing is left.
    ///
    /// Its init is a child of the calling process, as after create. prestart and createRuntime hooks run when its
    /// namespaces exist; no other hooks run, because nothing is created or started.
    pub fn restore(runtime: &Runtime, id: &str, config: &Config, options: &RestoreOptions) -> Result<Container> {
        check_id(id)?;
        config.validate_restored()?;
        let namespaces = Namespaces::of(config.spec());
        criu::check_namespaces(&namespaces)?;
        options.check_labels()?;
        let images = ImageDir::open(&options.images, "image directory")?;
        let descriptors = images.read_descriptors()?;
        images.check_regular()?;
        check_locks(&images, options)?;
        criu::check_ghosts(&images, config)?;
        if let Some(owner) = criu::Owner::of(config) {
            images.check_readable(owner)?;
        }
        options.cgroup_mode.check(&namespaces)?;
        let terminal = process_of(config)?.terminal().unwrap_or(false);
        options.process.check(terminal)?;
        check_streams(&descriptors, options, terminal)?;
        let joined = open_joined(config)?;
        id_maps::check_joined(config, &joined, runtime.inner.settings.setup_timeout)?;
        let rootfs = plan_inputs::rootfs(config)?;
        let deadline = Deadline::after(options.timeout());
        let program = criu::program(runtime.inner.settings.criu.as_deref())?;
        let needs = criu::Needs { lazy_pages: options.lazy_pages, ..criu::Needs::default() };
        criu::check_usable(&program, needs, deadline)?;

        children::reap_some();
        let (container, lock) = Container::make(runtime, id)?;
        // The handle is new, so the cell is empty.
        let _ = container.config.set(config.clone());
        let spare = container.directory.spare(super::create::SPARE_DESCRIPTORS);
        let mut work = RestoreInProgress {
            container: &container,
            config,
            options,
            namespaces,
            joined: &joined,
            images: &images,
            descriptors: &descriptors,
            terminal,
            deadline,
            made: CreatedParts::default(),
        };
        let result = spare.and_then(|_spare| work.run(&program, rootfs));
        let made = work.made;
        if let Err(error) = result {
            return Err(container.undo(error, &made));
        }
        drop(lock);
        Ok(container)
    }
}

/// Refuses images with file locks if the options do not allow them: CRIU would omit the locks without an error. CRIU
/// writes this image only if there are locks.
fn check_locks(images: &ImageDir, options: &RestoreOptions) -> Result<()> {
    if options.file_locks || !images.names()?.iter().any(|name| name.as_c_str() == c"filelocks.img") {
        return Ok(());
    }
    let message =
        format!("the images in {} have file locks, which would be lost: allow file locks", images.path.display());
    Err(Error::invalid_argument(message))
}

/// Checks the requested standard streams. Only a stream that was a pipe can be replaced; CRIU restores others from the
/// images.
fn check_streams(descriptors: &[String], options: &RestoreOptions, terminal: bool) -> Result<()> {
    for (index, stdio) in options.process.stdio.iter().enumerate().filter(|_| !terminal) {
        let was = descriptors.get(index).map(String::as_str).unwrap_or_default();
        let fits = match stdio {
            Stdio::Inherit => true,
            Stdio::Null => is_pipe(was) || was == "/dev/null",
            Stdio::Fd(_) | Stdio::Pipe => is_pipe(was),
        };
        if !fits {
            let name = ["stdin", "stdout", "stderr"][index];
            let message = format!(
                "{name} of the dumped container was {was:?}, not a pipe, and cannot be replaced; leave it at its \
                 default"
            );
            return Err(Error::invalid_argument(message));
        }
    }
    if options.process.extra_fds.is_empty() {
        Ok(())
    } else {
        Err(Error::invalid_argument(
            "extra_fds cannot be given to a restored process: its descriptors come from the images",
        ))
    }
}

fn is_pipe(descriptor: &str) -> bool {
    descriptor.starts_with("pipe:[")
}

/// Whether processes of the container may mount filesystems.
pub(super) fn may_mount(config: &Config) -> Result<bool> {
    Ok(Sets::of(process_of(config)?).bounding & capabilities::bit("CAP_SYS_ADMIN") != 0)
}

/// A restore in progress.
struct RestoreInProgress<'a> {
    container: &'a Container,
    config: &'a Config,
    options: &'a RestoreOptions,
    namespaces: Namespaces,
    joined: &'a [File],
    images: &'a ImageDir,
    descriptors: &'a [String],
    terminal: bool,
    deadline: Deadline,
    made: CreatedParts,
}

/// The new init and the terminal's master, as CRIU reports them.
#[derive(Default)]
struct RestoredInit {
    init: Option<(Identity, OwnedFd)>,
    master: Option<OwnedFd>,
}

const LOG: &str = "restore.log";

impl RestoreInProgress<'_> {
    fn run(&mut self, program: &std::path::Path, rootfs: PathBuf) -> Result<()> {
        let container = self.container;
        let mut record = container.first_record(self.config, &ProcessOptions::default(), self.joined, rootfs, true)?;
        container.directory.write_config(self.config.json())?;
        container.directory.write(&record)?;
        container.refuse_shared_cgroup(&record)?;
        fault::point("restore.recorded");
        let cgroup = cgroup::open(&record.inputs.cgroup)?;
        cgroup.create()?;
        self.made.cgroups = !cgroup.created_on_attach();
        let limits = resources(self.config.spec());
        let (pids, mut early) = (*limits.pids(), limits);
        // The pids limit is set later: CRIU and its helpers run in the cgroup for a while, and would be counted.
        early.set_pids(None);
        if !cgroup.created_on_attach() {
            cgroup.apply(&early)?;
        }
        fault::point("restore.limits");

        let work = container.open_work_dir(self.options.work.as_deref())?;
        let cgroup_dir = cgroup.spawn_dir()?;
        let plan = record.plan(self.config)?;
        container.directory.make_devices(&plan.caller_nodes)?;
        let mut streams = Streams::open(&self.options.process, self.terminal)?;
        let inherited = self.inherited(&streams)?;
        let numbers: Vec<RawFd> = inherited.iter().map(|(_, fd)| *fd).collect();
        let externals = Externals::of(&plan)?;
        criu::Explained { plan: &plan, externals: &externals, may_mount: may_mount(self.config)? }
            .check(self.images)?;
        let sources = externals.of_host()?;
        let ghosts = GhostPlaces::of(self.images, &plan, &record.inputs.rootfs)?;
        let propagation = Propagation::of(self.images, &sources, &record.inputs.rootfs)?;
        let mut root = criu::Root::of(&plan, &record.inputs.rootfs)?;
        self.replace_images(&mut root, &work, &plan, &propagation)?;
        let start = Start {
            root: Some(root),
            inherited: &numbers,
            stdin: self.options.shell_job.then(|| streams.low[0]),
            cgroup: cgroup_dir.as_ref().map(AsFd::as_fd),
        };
        let log = CriuLog { directory: &work.fd, name: LOG };
        log.forget();
        let context = |error: Error| {
            let log = work.path.join(LOG);
            let doing = format!("restoring container {:?}", container.id);
            match error.stage {
                Stage::Criu => error.context(doing).detail("log_file", log.to_string_lossy()),
                _ => error,
            }
        };
        let mut criu = Swrk::start(program, &start, self.deadline).map_err(context)?;
        fault::point("restore.started");
        let pid = criu.pid();
        if cgroup.created_on_attach() {
            cgroup.create_with(pid, &early)?;
            self.made.cgroups = true;
            cgroup.apply(&early)?;
        } else if cgroup.attach_needed() {
            cgroup.attach(pid)?;
        }
        container.make_resctrl(self.config, &mut record)?;
        if let Some(group) = &record.inputs.resctrl {
            group.join(pid)?; // and what CRIU forks
        }
        let folders = [self.images.seen_by(pid)?, work.seen_by(pid)?];
        let request = self.request(&sources, &record, &folders, &inherited, pid)?;
        let mut found = RestoredInit::default();
        let asked = criu.ask(&request, Some(&log), |notice| {
            if let ("post-restore", Some(init)) = (notice.script, notice.pid) {
                propagation.follow(pid, init)?;
            }
            self.notified(notice, &plan, &mut record, cgroup.as_ref(), &mut streams, &mut found)?;
            if let (Some(_), Some(pids)) = (&found.init, pids.as_ref().filter(|_| record.init.is_some())) {
                let mut late = oci::LinuxResources::default();
                late.set_pids(Some(*pids));
                cgroup.change(&late, &resources(self.config.spec()), &cgroup::journal::Journal::default())?;
            }
            Ok(())
        });
        let ended = asked.and_then(|_| criu.finish()).and_then(|status| match status {
            ExitStatus::Exited(0) => Ok(()),
            other => {
                let message = format!("CRIU reported success and then {}", other.describe());
                Err(Error::new(Code::Criu, message).with_stage(Stage::Criu))
            }
        });
        work.tidy();
        ended.map_err(context).inspect_err(|_| {
            keep_orphans(container, pid, &found);
            ghosts.clear();
        })?;
        fault::point("restore.restored");
        self.commit(record, found, &mut streams)
    }

    /// Has CRIU read other images than the directory has: changed tables of mounts, and the configuration's system call
    /// filter.
    fn replace_images(
        &self,
        root: &mut criu::Root,
        work: &ImageDir,
        plan: &Plan,
        propagation: &Propagation,
    ) -> Result<()> {
        let images = self.images.plain_path()?;
        let filters = criu::replaced_filters(self.images, plan.filter().map(|(_, filter)| filter))?;
        for (name, image) in propagation.tables.iter().chain(&filters) {
            let instead = work.write_instead(name, image, criu::Owner::of(self.config))?;
            root.mount_over(instead, images.join(name));
        }
        Ok(())
    }

    /// Returns the descriptors that replace objects in the images, each with the object's name there.
    fn inherited(&self, streams: &Streams) -> Result<Vec<(String, RawFd)>> {
        let mut inherited = Vec::new();
        let was_pipes = self.descriptors.iter().take(3).enumerate().filter(|(_, was)| is_pipe(was) && !self.terminal);
        for (index, was) in was_pipes {
            inherited.push((was.clone(), streams.low[index]));
        }
        for (joined, file) in self.namespaces.joined.iter().zip(self.joined) {
            if let Some((_, name)) = criu::left_out(joined) {
                inherited.push((name, file.as_raw_fd()));
            }
        }
        Ok(inherited)
    }

    fn request(
        &self,
        sources: &[ExternalSource],
        record: &Record,
        [images, work]: &[OwnedFd; 2],
        inherited: &[(String, RawFd)],
        pid: i32,
    ) -> Result<Request> {
        let options = self.options;
        let inherit_fds = inherited
            .iter()
            .enumerate()
            .map(|(place, (key, _))| InheritFd { key: key.clone(), fd: FIRST_INHERITED + place as i32 });
        let join = self.namespaces.joined.iter().filter_map(|joined| {
            criu::joined_again(joined)
                .map(|kind| JoinNamespace { kind: kind.into(), file: joined.path.to_string_lossy().into_owned() })
        });
        let veths = record.network.iter().flat_map(|journal| journal.pairs.iter());
        let veths = veths.map(|pair| message::VethPair { inside: pair.name.clone(), outside: pair.host_name.clone() });
        let more = options.veth_pairs.iter();
        let more = more.map(|pair| message::VethPair { inside: pair.name.clone(), outside: pair.host_name.clone() });
        let rpc = Options {
            images_dir_fd: images.as_raw_fd(),
            work_dir_fd: Some(work.as_raw_fd()),
            evasive_devices: Some(true),
            external_unix_sockets: Some(options.external_unix_sockets),
            tcp_established: Some(options.tcp_established),
            tcp_close: Some(options.tcp_close),
            shell_job: Some(options.shell_job),
            file_locks: Some(options.file_locks),
            log_level: Some(criu::LOG_LEVEL),
            log_file: Some(LOG.into()),
            notify: Some(true),
            root: Some(record.inputs.rootfs.to_string_lossy().into_owned()),
            auto_dedup: Some(options.auto_dedup),
            veths: if self.network_is_dumped() { veths.chain(more).collect() } else { Vec::new() },
            cgroup_roots: self.cgroup_roots(pid, &record.inputs.cgroup.paths)?,
            restore_sibling: Some(true),
            inherit_fds: inherit_fds.collect(),
            cgroup_mode: Some(options.cgroup_mode.message().into()),
            external: sources.iter().map(ExternalSource::text).collect(),
            empty_namespaces: self.has_empty_network().then_some(libc::CLONE_NEWNET as u32),
            join_namespaces: join.collect(),
            lazy_pages: Some(options.lazy_pages),
            orphan_pts_master: Some(true),
            network_lock: Some(message::NetworkLock::Nftables.into()),
            config_file: path_text(options.config_file.as_deref(), "config_file")?,
            lsm_profile: options.lsm_profile.clone(),
            lsm_mount_context: options.lsm_mount_context.clone(),
            ..Options::default()
        };
        Ok(Request { kind: Kind::Restore.into(), options: Some(rpc), ..Request::default() })
    }

    /// Returns the cgroup of each hierarchy below which CRIU restores the cgroups of the images: the container's own,
    /// which CRIU itself is in, or one below it that the options name.
    fn cgroup_roots(&self, pid: i32, paths: &BTreeMap<String, PathBuf>) -> Result<Vec<message::CgroupRoot>> {
        let given = |controller: &str| self.options.cgroup_roots.iter().find(|root| root.controller == controller);
        let text = procfs::read_optional(&format!("{pid}/cgroup"))?.unwrap_or_default();
        let mut roots = Vec::new();
        for (controller, own) in cgroup::own(&text).into_iter().filter(|(name, _)| paths.contains_key(name)) {
            let own = own.to_string_lossy().into_owned();
            let path = match given(&controller) {
                Some(root) if PathBuf::from(&root.path).starts_with(&own) => root.path.clone(),
                Some(root) => {
                    let message =
                        format!("the cgroup root {} is not below the container's own cgroup {own}", root.path);
                    return Err(Error::invalid_argument(message));
                }
                None => own,
            };
            roots.push(message::CgroupRoot { controller: Some(controller), path });
        }
        let known = |controller: &str| roots.iter().any(|root| root.controller.as_deref() == Some(controller));
        match self.options.cgroup_roots.iter().find(|root| !known(&root.controller)) {
            Some(root) => Err(Error::invalid_argument(format!(
                "there is no cgroup hierarchy {:?} for cgroup_roots",
                root.controller
            ))),
            None => Ok(roots),
        }
    }

    /// Whether the container has a new network namespace that starts empty.
    fn has_empty_network(&self) -> bool {
        self.options.empty_network && self.namespaces.is_new(LinuxNamespaceType::Network)
    }

    fn joined_network(&self) -> Option<&File> {
        let mut joined = self.namespaces.joined.iter().zip(self.joined);
        joined.find(|(joined, _)| joined.kind == LinuxNamespaceType::Network).map(|(_, file)| file)
    }

    /// Whether CRIU creates the container's links from the images.
    fn network_is_dumped(&self) -> bool {
        !self.options.empty_network && self.joined_network().is_none()
    }

    /// Sets up the network as create does, if it is not in the images.
    fn set_up_network(&self, pid: i32, record: &mut Record) -> Result<()> {
        let (pin, deadline) = (self.container.network_pin(), self.container.runtime.setup_deadline());
        let journal = record.network.as_mut();
        match self.joined_network() {
            Some(file) => {
                let duplicate = || file.try_clone().map(OwnedFd::from);
                let namespace = || duplicate().map_err(|error| Error::io(&error, "duplicating a network namespace"));
                network::set_up(self.config, journal, namespace, &pin, deadline)
            }
            None if self.has_empty_network() => network::set_up_empty(journal, pid, &pin, deadline),
            None => Ok(()),
        }
    }

    /// Returns the names of the restored standard streams: the given streams have replaced those that were pipes.
    fn streams_now(&self, streams: &Streams) -> Vec<String> {
        let given = super::prepare::external_descriptors(&streams.low);
        let now = |(was, given): (&String, String)| if is_pipe(was) && !self.terminal { given } else { was.clone() };
        self.descriptors.iter().take(3).zip(given).map(now).collect()
    }

    /// Saves the record. From then on the container does not depend on the calling process.
    fn commit(&self, mut record: Record, found: RestoredInit, streams: &mut Streams) -> Result<()> {
        let missing =
            || Error::new(Code::Criu, "CRIU did not report the process that it restored").with_stage(Stage::Criu);
        let (identity, pidfd) = found.init.ok_or_else(missing)?;
        record.mark_created();
        let master = match (&self.options.process.console_socket, found.master) {
            (Some(socket), Some(master)) => {
                send_terminal(socket, &master)?;
                None
            }
            (_, master) => master,
        };
        let container = self.container;
        let stdio = std::mem::take(&mut streams.caller_ends);
        let process = Process::init(Arc::new(ChildExit::new(identity.pid, pidfd)), container.directory.path(), stdio)
            .with_terminal(master);
        children::keep(container.directory.path(), process.end());
        container.directory.write(&record)?;
        container.leave_devices(&record)?;
        fault::point("restore.committed");
        *container.lock_init() = Some(process);
        Ok(())
    }
}

/// Returns the record of a restored init. No image is recorded for berth-init, because a restored init never waits for
/// start.
fn restored_init(pid: i32) -> Result<Init> {
    Ok(Init { identity: Identity::of(pid)?, image: (0, 0) })
}

/// Kills and keeps the restored processes after a failure, so that they are reaped: they were children of the caller
/// from the beginning, and nobody else takes their status. Before CRIU has reported init, the processes are found by
/// CRIU's session, in which they were created.
fn keep_orphans(container: &Container, criu: i32, found: &RestoredInit) {
    // Best effort after an error: what cannot be read names no process. The cgroup is emptied besides.
    let known_init = container.directory.read().ok().flatten().and_then(|record| record.init);
    let known_init = known_init.map(|init| init.identity.pid).or(found.init.as_ref().map(|(identity, _)| identity.pid));
    let ours = children_of(std::process::id() as i32).unwrap_or_default();
    let session = |pid: i32| procfs::stat(pid).ok().flatten().map(|stat| stat.session);
    for pid in ours.into_iter().filter(|pid| Some(*pid) == known_init || session(*pid) == Some(criu)) {
        if let Ok(pidfd) = pidfd::open(pid) {
            let end = std::sync::Arc::new(children::ChildExit::new(pid, pidfd));
            end.kill();
            children::keep(container.directory.path(), end);
        }
    }
}
