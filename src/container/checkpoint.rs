//! Checkpoint: dumps the processes of a container into images; the container is then stopped or continues.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use nix::poll::PollFlags;

use super::{Container, Record, Status, status};
use crate::cgroup::Cgroup;
use crate::criu::message::{Kind, Options, Request};
use crate::criu::{self, CheckpointOptions, CriuLog, Externals, ImageDir, Notice, Start, Swrk};
use crate::deadline::Deadline;
use crate::error::{Code, Context, Error, Result, Stage};
use crate::fault;
use crate::network;
use crate::spec::Config;
use crate::spec::namespaces::Namespaces;
use crate::spec::oci::LinuxNamespaceType;
use crate::state::CheckpointInProgress;
use crate::sys::{exit_status::ExitStatus, identity::Identity, procfs};

impl Container {
    /// Dumps the processes of a running or paused container into images, from which [`Container::restore`] restores
    /// them. Afterwards the container is stopped, or continues if the options say so. After an error it continues as
    /// before, and the content of the image directory is not a checkpoint.
    pub fn checkpoint(&self, options: &CheckpointOptions) -> Result<()> {
        let deadline = Deadline::after(options.timeout());
        let program = criu::program(self.runtime.settings.criu.as_deref())?;
        let status_fd = options.check()?;
        criu::check_usable(&program, options.needs(), deadline)?;
        let _lock = self.directory.lock(self.runtime.lock_deadline())?;
        let mut record = self.record()?;
        self.clean_up_checkpoint(&mut record)?;
        let cgroup = self.cgroup(&record)?;
        let was_paused = match self.status_of(&record, cgroup.as_ref())? {
            Status::Running => false,
            Status::Paused if !status::waits_for_start(&record)? => true,
            status => return Err(self.wrong_state(Code::NotRunning, status, "running or paused")),
        };
        let config = self.config(&record)?;
        let namespaces = Namespaces::of(config.spec());
        criu::check_namespaces(&namespaces)?;
        options.cgroup_mode.check(&namespaces)?;
        let images = ImageDir::make(&options.images, "image directory")?;
        images.check_plain()?;
        let before = record.clone();
        let dump = Dump { container: self, options, record: &before, config, cgroup: cgroup.as_ref(), images: &images };
        let log = dump.log_name();
        let checked = dump.check_streams().and_then(|()| dump.check_members());
        let request = checked.and_then(|()| dump.request());
        let work = images.check_writable().and_then(|()| self.open_work_dir(options.work.as_deref()));
        let (request, work) = request.and_then(|request| Ok((request, work?))).inspect_err(|_| images.discard(log))?;

        record.checkpoint = Some(CheckpointInProgress { owner: Identity::own()?, was_paused });
        self.directory.write(&record).inspect_err(|_| images.discard(log))?;
        fault::point("checkpoint.recorded");
        let result = dump.run(&program, request, &work, status_fd, deadline);
        work.tidy();
        match result {
            Ok(()) => self.finish_checkpoint(options, &mut record, cgroup.as_ref()),
            Err(error) => {
                images.discard(log);
                match self.restore_previous_state(&mut record) {
                    Ok(()) => Err(error),
                    Err(second) => Err(error.detail("cleanup", second.message)),
                }
            }
        }
    }

    /// Opens CRIU's work directory: the caller's, or one in the container's state directory.
    pub(super) fn open_work_dir(&self, given: Option<&Path>) -> Result<ImageDir> {
        match given {
            Some(path) => ImageDir::make(path, "work directory"),
            None => ImageDir::make(&self.directory.path().join(criu::CRIU_WORK_DIR), "work directory"),
        }
    }

    fn finish_checkpoint(&self, options: &CheckpointOptions, record: &mut Record, cgroup: &dyn Cgroup) -> Result<()> {
        fault::point("checkpoint.dumped");
        if !options.leave_running && !options.pre_dump {
            // Only zombies remain and, on v1, killed processes that cannot die in a frozen cgroup.
            self.kill(record, cgroup)?;
        }
        record.checkpoint = None;
        self.directory.write(record)
    }

    /// Cleans up after a checkpoint whose caller was killed.
    pub(super) fn clean_up_checkpoint(&self, record: &mut Record) -> Result<()> {
        match &record.checkpoint {
            Some(checkpoint) if !checkpoint.owner.is_alive()? => self.restore_previous_state(record),
            _ => Ok(()),
        }
    }

    /// Restores the state from before the checkpoint: running or paused, with the networks attached to their bridges.
    fn restore_previous_state(&self, record: &mut Record) -> Result<()> {
        let Some(checkpoint) = record.checkpoint.take() else { return Ok(()) };
        let cgroup = self.cgroup(record)?;
        if self.status_of(record, cgroup.as_ref())? != Status::Stopped {
            self.wait_for_tracer_exit(record)?;
            match (checkpoint.was_paused, cgroup.is_frozen()?) {
                (true, false) => cgroup.freeze(self.runtime.cgroup_deadline())?,
                (false, true) => cgroup.thaw(self.runtime.cgroup_deadline())?,
                _ => {}
            }
            if let Some(init) = record.init.as_ref().filter(|_| record.namespaces & libc::CLONE_NEWNET as u64 != 0) {
                network::unlock(init.identity.pid, self.runtime.setup_deadline())?;
            }
            if let Some(journal) = &record.network {
                network::attach(journal)?;
            }
        }
        self.directory.write(record)
    }
}

/// The time that a killed CRIU may take to release the container.
const TRACER_EXIT_TIMEOUT: Duration = Duration::from_secs(10);

impl Container {
    /// Waits until no process traces init: a killed CRIU holds the container's processes, and its freezer, until it has
    /// exited.
    fn wait_for_tracer_exit(&self, record: &Record) -> Result<()> {
        let Some(init) = &record.init else { return Ok(()) };
        let deadline = Deadline::after(TRACER_EXIT_TIMEOUT);
        loop {
            let status = procfs::read_optional(&format!("{}/status", init.identity.pid))?.unwrap_or_default();
            let tracer = procfs::status_field(&status, "TracerPid");
            if matches!(tracer, None | Some("0")) {
                return Ok(());
            }
            if deadline.passed() {
                let message =
                    format!("container {:?} is still traced by process {}", self.id, tracer.unwrap_or_default());
                return Err(Error::new(Code::Timeout, message));
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

/// A dump and its inputs.
struct Dump<'a> {
    container: &'a Container,
    options: &'a CheckpointOptions,
    record: &'a Record,
    config: &'a Config,
    cgroup: &'a dyn Cgroup,
    images: &'a ImageDir,
}

impl Dump<'_> {
    fn log_name(&self) -> &'static str {
        if self.options.pre_dump { "pre-dump.log" } else { "dump.log" }
    }

    fn init(&self) -> Result<&Identity> {
        let ended = || self.container.wrong_state(Code::NotRunning, Status::Stopped, "running or paused");
        self.record.init.as_ref().map(|init| &init.identity).ok_or_else(ended)
    }

    fn request(&self) -> Result<Request> {
        let options = self.options;
        let init = self.init()?;
        let kind = if options.pre_dump { Kind::PreDump } else { Kind::Dump };
        let mut external = self.externals()?.of_running(init)?;
        let namespaces = Namespaces::of(self.config.spec());
        for joined in &namespaces.joined {
            external.extend(criu::namespace_dumped(joined)?);
        }
        let rpc = Options {
            images_dir_fd: self.images.number(),
            pid: Some(init.pid),
            leave_running: Some(options.leave_running),
            external_unix_sockets: Some(options.external_unix_sockets),
            tcp_established: Some(options.tcp_established),
            tcp_skip_in_flight: Some(options.tcp_skip_in_flight),
            shell_job: Some(options.shell_job),
            file_locks: Some(options.file_locks),
            link_remap: Some(options.link_remap),
            log_level: Some(criu::LOG_LEVEL),
            log_file: Some(self.log_name().into()),
            page_server: options.page_server.map(criu::PageServer::message),
            notify: Some(true),
            root: Some(self.record.inputs.rootfs.to_string_lossy().into_owned()),
            parent_images: self.parent()?,
            track_memory: options.tracks_memory().then_some(true),
            auto_dedup: Some(options.auto_dedup),
            cgroup_mode: Some(options.cgroup_mode.message().into()),
            cgroup_controllers: self.own_hierarchies(init)?,
            external,
            empty_namespaces: (options.empty_network && namespaces.is_new(LinuxNamespaceType::Network))
                .then_some(libc::CLONE_NEWNET as u32),
            freeze_cgroup: self.freezer(),
            lazy_pages: Some(options.lazy_pages),
            orphan_pts_master: Some(true),
            network_lock: Some(options.network_lock.message().into()),
            config_file: path_text(options.config_file.as_deref(), "config_file")?,
            ..Options::default()
        };
        Ok(Request { kind: kind.into(), options: Some(rpc), ..Request::default() })
    }

    fn externals(&self) -> Result<Externals> {
        Externals::of(&self.record.plan(self.config)?)
    }

    /// Refuses a container that a restore would refuse, while its processes are stopped: it has mounted a filesystem that
    /// CRIU would restore as something else, such as an overlay, whose directories CRIU looks up on the host; it has a
    /// set-id file open that has no name any more; or a process that exec has started has more privileges.
    fn check_restorable(&self) -> Result<()> {
        let plan = self.record.plan(self.config)?;
        let explained = criu::Explained {
            plan: &plan,
            externals: &Externals::of(&plan)?,
            may_mount: super::restore::may_mount(self.config)?,
        };
        let checked = explained
            .check(self.images)
            .and_then(|()| criu::check_ghosts(self.images, self.config))
            .and_then(|()| super::restore::verify_stopped(self.config, &plan, self.record, self.init()?.pid));
        checked.map_err(|error| {
            if error.code != Code::Criu {
                return error;
            }
            let message = error.message.replacen(
                "the images do not fit the configuration",
                "the container would not come back as it is",
                1,
            );
            Error { code: Code::Unsupported, message, ..error }
        })
    }

    /// Returns the path of the parent images in the form that CRIU needs: the target of a symlink in the image
    /// directory.
    fn parent(&self) -> Result<Option<String>> {
        let Some(parent) = &self.options.parent_images else { return Ok(None) };
        let seen = self.images.path.join(parent);
        if !seen.is_dir() {
            let message = format!("there are no parent images in {}", seen.display());
            return Err(Error::invalid_argument(message).with_errno(nix::errno::Errno::ENOENT));
        }
        path_text(Some(parent), "parent_images")
    }

    /// Returns the hierarchies in which the container has its own cgroup, as /proc/<pid>/cgroup names them. In the
    /// others, which this mount namespace may not even show, its processes are in a cgroup that is not the container's:
    /// CRIU would dump that cgroup with everything below it, and a restore would create these cgroups again and write
    /// their values.
    fn own_hierarchies(&self, init: &Identity) -> Result<Vec<String>> {
        let text = procfs::read_optional(&format!("{}/cgroup", init.pid))?.unwrap_or_default();
        let own = |line: &str| {
            let (names, place) = line.split_once(':')?.1.split_once(':')?;
            let directory = self.record.inputs.cgroup.paths.get(names.split(',').next()?)?;
            let below = |place: &Path| {
                place.parent().is_some() && directory.ends_with(place.strip_prefix("/").unwrap_or(place))
            };
            Path::new(place).ancestors().any(below).then(|| names.to_owned())
        };
        let found: Vec<String> = text.lines().filter_map(own).collect();
        if found.is_empty() {
            let message = format!("container {:?} is no longer in any of its cgroups", self.container.id);
            return Err(Error::new(Code::System, message));
        }
        Ok(found)
    }

    /// Returns the directory whose freezer CRIU uses: the container's own, so that no process escapes during the dump.
    fn freezer(&self) -> Option<String> {
        let paths = &self.record.inputs.cgroup.paths;
        let found = paths.get("freezer").or_else(|| paths.get(""));
        found.map(|path| path.to_string_lossy().into_owned())
    }

    /// Refuses a container whose standard streams are a terminal of the host. CRIU dumps such a shell job, but crashes
    /// at the restore, because the terminal is on no mount of the container.
    fn check_streams(&self) -> Result<()> {
        let process = self.config.spec().process().as_ref();
        if process.and_then(|process| process.terminal()).unwrap_or(false) {
            return Ok(());
        }
        let mut streams = self.record.external_descriptors.iter().enumerate();
        let Some((number, place)) =
            streams.find(|(_, place)| place.starts_with("/dev/pts/") || place.starts_with("/dev/tty"))
        else {
            return Ok(());
        };
        let message = format!(
            "descriptor {number} of container {:?} refers to {place}, a terminal of the host, which CRIU does not \
             restore; give the container a terminal of its own (process.terminal)",
            self.container.id
        );
        Err(Error::new(Code::Unsupported, message))
    }

    /// Refuses a container with processes that do not descend from init. CRIU dumps only init's descendants; other
    /// processes, which exec has started, would be lost without an error.
    fn check_members(&self) -> Result<()> {
        if self.options.pre_dump {
            return Ok(());
        }
        // Processes start and exit during the check: refuse only a process that a second check finds, too.
        let before = self.non_descendants()?;
        let now = if before.is_empty() { before.clone() } else { self.non_descendants()? };
        let Some(pid) = now.intersection(&before).next() else { return Ok(()) };
        let name = procfs::read_optional(&format!("{pid}/comm"))?.unwrap_or_default();
        let message = format!(
            "container {:?} has a process that does not descend from its init and would not be in the images: {pid} ({}); \
             end it before the checkpoint",
            self.container.id,
            name.trim()
        );
        Err(Error::new(Code::Unsupported, message).detail("pid", *pid))
    }

    /// Returns the processes of the container that do not descend from its init.
    fn non_descendants(&self) -> Result<BTreeSet<i32>> {
        let init = self.init()?.pid;
        let mut parents = BTreeMap::new();
        for pid in self.cgroup.pids()? {
            if let Some(stat) = procfs::stat(pid)? {
                parents.insert(pid, stat.parent);
            }
        }
        let descends = |pid: i32| {
            let mut seen = BTreeSet::new();
            let mut at = pid;
            while at != init && seen.insert(at) {
                match parents.get(&at) {
                    Some(parent) => at = *parent,
                    None => return false,
                }
            }
            at == init
        };
        Ok(parents.keys().copied().filter(|pid| !descends(*pid)).collect())
    }

    fn run(
        &self,
        program: &Path,
        mut request: Request,
        work: &ImageDir,
        mut status_fd: Option<OwnedFd>,
        deadline: Deadline,
    ) -> Result<()> {
        let log = CriuLog { directory: &work.fd, name: self.log_name() };
        log.forget();
        self.images.forget_descriptors()?;
        let context = |error: Error| {
            let what = if self.options.pre_dump { "pre-dumping" } else { "dumping" };
            let log = work.path.join(self.log_name());
            error.context(format!("{what} container {:?}", self.container.id)).detail("log_file", log.to_string_lossy())
        };
        let mut criu = Swrk::start(program, &Start::default(), deadline).map_err(context)?;
        fault::point("checkpoint.started");
        let work_dir = work.seen_by(criu.pid())?;
        if let Some(options) = request.options.as_mut() {
            options.work_dir_fd = Some(work_dir.as_raw_fd());
        }
        let notified = |notice: Notice| self.notified(&notice, &mut status_fd, deadline);
        criu.ask(&request, Some(&log), notified).map_err(context)?;
        let ended = criu.finish().map_err(context)?;
        // After a pre-dump CRIU expects a dump, and exits with an error if none follows.
        match ended {
            _ if self.options.pre_dump => self.images.restrict(criu::Owner::of(self.config)),
            ExitStatus::Exited(0) => Ok(()),
            other => {
                let message = format!("CRIU reported success and then {}", other.describe());
                Err(context(Error::new(Code::Criu, message).with_stage(Stage::Criu)))
            }
        }
    }

    /// Handles a notification of CRIU, which waits for the result. After an error CRIU undoes the dump.
    fn notified(&self, notice: &Notice, status_fd: &mut Option<OwnedFd>, deadline: Deadline) -> Result<()> {
        match (notice.script, &self.record.network) {
            ("network-lock", journal) => {
                journal.as_ref().map_or(Ok(()), network::detach)?;
                fault::point("checkpoint.locked");
                Ok(())
            }
            ("network-unlock", Some(journal)) => network::attach(journal),
            // This file makes the images a checkpoint: restore requires it.
            ("post-dump", _) if !self.options.pre_dump => {
                self.check_restorable()?;
                self.images.restrict(criu::Owner::of(self.config))?;
                self.images.write_descriptors(&self.record.external_descriptors)
            }
            ("status-ready", _) => status_fd.take().map_or(Ok(()), |fd| report_ready(&fd, deadline)),
            _ => Ok(()),
        }
    }
}

/// Writes the byte which tells that lazy pages can be requested. The reader may be gone or not read.
fn report_ready(fd: &OwnedFd, deadline: Deadline) -> Result<()> {
    let doing = || "reporting that lazy pages can be requested";
    if deadline.poll([(fd.as_fd(), PollFlags::POLLOUT)]).context(doing)?[0].is_empty() {
        let message = format!("{}: nobody reads from the status descriptor", doing());
        return Err(Error::new(Code::Timeout, message));
    }
    crate::log::write_without_sigpipe(fd, &[0]).map(drop).context(doing)
}

pub(super) fn path_text(path: Option<&Path>, name: &str) -> Result<Option<String>> {
    let text = |path: &Path| {
        let problem = || Error::invalid_argument(format!("{name} {path:?} is not UTF-8, which CRIU's protocol needs"));
        path.to_str().map(str::to_owned).ok_or_else(problem)
    };
    path.map(text).transpose()
}
