//! Exec: starts a further process in a running container, with its own specification.

use std::os::fd::{AsRawFd, RawFd};

use nix::errno::Errno;

use super::create::process_of;
use super::oom_kill;
use super::plan_inputs::Joining;
use super::prepare;
use super::{Container, Status};
use crate::cgroup::{self, Cgroup};
use crate::console_socket::send_terminal;
use crate::error::{Code, Error, Result};
use crate::fault;
use crate::plan::{Descriptor, Plan, Step};
use crate::process::{Paused, Process, ProcessOptions, Streams};
use crate::security::labels;
use crate::spawn::{self, HandleNeeds as Needs, InitHandles, Launch, RootOf, Spawned};
use crate::spec::{Config, capabilities, number_list, oci};
use crate::state::Record;
use crate::sys::{children, procfs};

/// The container that a process joins.
pub(super) struct JoinTarget<'a> {
    pub record: &'a Record,
    pub config: &'a Config,
    pub status: Status,
}

impl Container {
    /// Executes a process in the container's namespaces and cgroups and returns when its program runs. If `process`
    /// omits capabilities, rlimits, no_new_privileges, labels, scheduling or the OOM score, those of the container's
    /// own process apply.
    ///
    /// The container must be running or created, or paused if the options allow that. exec holds no lock: it finds the
    /// namespaces through init's pidfd, and fails if the container is deleted meanwhile.
    pub fn exec(&self, process: &oci::Process, options: &ProcessOptions) -> Result<Process> {
        let terminal = process.terminal().unwrap_or(false);
        options.check(terminal)?;
        let record = self.record()?;
        let cgroup = self.cgroup(&record)?;
        let mut status = self.status_of(&record, cgroup.as_ref())?;
        if status == Status::Paused && options.paused == Paused::Refuse {
            // Another call may have frozen the container for a moment, to signal all its processes. It holds the lock,
            // so wait for the lock and read the status again.
            let _lock = self.directory.lock(self.runtime.lock_deadline())?;
            status = self.status_of(&record, cgroup.as_ref())?;
        }
        match status {
            Status::Running | Status::Created => {}
            Status::Paused if options.paused == Paused::Wait => {}
            status @ Status::Paused => return Err(self.wrong_state(Code::Paused, status, "running")),
            status => return Err(self.wrong_state(Code::NotRunning, status, "running")),
        }
        let config = self.config(&record)?;
        labels::check_host(process, "")?;
        // Without a process in the configuration there is nothing to complete it with.
        let own = config.spec().process().clone().unwrap_or_default();
        let process = &completed(process, &own);
        let cgroup = if options.cgroups.is_empty() {
            cgroup
        } else {
            cgroup::open(&record.inputs.cgroup.below(&options.cgroups)?)?
        };
        let joining = Joining {
            process,
            namespaces: record.namespaces,
            parent_death_signal: options.parent_death_signal,
            plain_newlines: options.plain_newlines,
        };
        let plan = record.inputs.join_plan(config, &joining)?;
        report_affinity(&plan);
        let mut streams = Streams::open(options, terminal)?;
        let leader = record.init.as_ref().map_or(0, |init| init.identity.pid);
        let in_user_namespace = record.namespaces & libc::CLONE_NEWUSER as u64 != 0;
        streams.give(prepare::owner(leader, in_user_namespace, Some(process))?, in_user_namespace)?;
        if !in_user_namespace {
            capabilities::report_withheld(process);
        }
        let target = JoinTarget { record: &record, config, status };
        let join = |cgroup: &dyn Cgroup| self.join(&plan, &target, cgroup, &streams.low);
        let joined = join(cgroup.as_ref()).or_else(|error| match cgroup_of_init(&record, options, &error)? {
            Some(cgroup) => join(cgroup.as_ref()),
            None => Err(error),
        });
        let Spawned { child, terminal } = joined
            .map_err(|error| oom_kill::explain_oom_kill(error, cgroup.as_ref(), config))
            .map_err(|error| self.unless_ended(error))?;
        let stdio = std::mem::take(&mut streams.caller_ends);
        let process = Process::new(child.pid, child.pidfd, stdio);
        children::keep(self.directory.path(), process.end());
        match (&options.console_socket, terminal) {
            (Some(socket), Some(terminal)) => {
                send_terminal(socket, &terminal).inspect_err(|_| process.kill_and_reap())?;
                Ok(process)
            }
            (_, terminal) => Ok(process.with_terminal(terminal)),
        }
    }

    /// Plans a startContainer hook. Its program is in the image, so it runs with the privileges of the container's
    /// process.
    pub(super) fn hook_plan(&self, config: &Config, record: &Record, hook: &oci::Hook) -> Result<Plan> {
        let mut process = process_of(config).cloned().unwrap_or_default();
        process.set_terminal(None);
        let env = hook.env().clone();
        // Without an environment of its own a hook gets that of the container's process, as runc and crun have it.
        let inherits = env.is_none();
        if !inherits {
            process.set_env(env);
        }
        process.set_exec_cpu_affinity(None);
        let joining = Joining {
            process: &process,
            namespaces: record.namespaces,
            parent_death_signal: libc::SIGKILL,
            plain_newlines: false,
        };
        let mut plan = record.inputs.join_plan(config, &joining)?;
        // An environment of its own contains only the variables of its entry.
        plan.steps.retain(|step| inherits || !matches!(step, Step::Home(_)));
        if let Some(Step::Exec { file, args, .. }) = plan.steps.last_mut() {
            let path = hook.path().to_string_lossy().into_owned();
            *args = hook.args().clone().unwrap_or_else(|| vec![path.clone()]);
            *file = Some(path);
        }
        Ok(plan)
    }

    /// Starts a plan that joins the container, and returns the process once its program is executed.
    pub(super) fn join(&self, plan: &Plan, target: &JoinTarget, cgroup: &dyn Cgroup, low: &[RawFd]) -> Result<Spawned> {
        let JoinTarget { record, config, status } = *target;
        let ended = || self.wrong_state(Code::NotRunning, Status::Stopped, "running");
        let init = record.init.as_ref().ok_or_else(ended)?;
        let needs = Needs {
            cgroup_namespace: plan.descriptors.contains(&Descriptor::ContainerCgroupNamespace),
            root: plan.descriptors.contains(&Descriptor::ContainerRoot).then_some(RootOf::Root),
        };
        let inside = InitHandles::open(&init.identity, needs)?.ok_or_else(ended)?;
        let cgroup_dir = cgroup.spawn_dir()?;
        let open = |descriptor: &Descriptor| match descriptor {
            Descriptor::Cgroup => cgroup_dir.as_ref().map_or(-1, |fd| fd.as_raw_fd()),
            other => inside.find(other),
        };
        let deadline = self.runtime.setup_deadline();
        let mut child =
            spawn::start(plan, Launch { low, open: &open, cgroup: None, proc: procfs::root()?, network: None })?;
        // The stages of a process in the words of runc's debug log, which scripts look for.
        log::debug!("nsexec container setup: berth-init is started");
        fault::point("exec.spawned");
        child.adopt(deadline)?;
        log::debug!("child process in init(): process {} is in the container's namespaces", child.pid());
        fault::point("exec.adopted");
        if cgroup.attach_needed() || (cgroup.has_spawn_dir() && plan.forks_outside_cgroup()) {
            cgroup.attach(child.pid())?;
        }
        prepare::apply_caller_actions(child.pid(), &plan.caller_actions)?;
        fault::point("exec.attached");
        child.go()?;
        if plan.has_listener() {
            self.send_seccomp_listener(&mut child, config, record, status)?;
        }
        log::debug!("setns_init: about to exec");
        child.executed(deadline)?;
        fault::point("exec.executed");
        Ok(child.finish())
    }
}

/// Logs the CPU affinity that the process gets, in the words of runc's log, which scripts look for.
fn report_affinity(plan: &Plan) {
    for step in &plan.steps {
        if let Step::CpuAffinity(list) = step {
            log::debug!("nsexec: affinity: {}", number_list::hexadecimal(list));
        }
    }
}

/// Returns the cgroup that init is in, if `error` says that the container's own cgroup cannot have processes. On v2, a
/// cgroup that distributes controllers to its children has no processes (cgroups(7), "No internal processes"). An init
/// that creates cgroups below the container's, as systemd does, has moved into one of them, and the process joins it
/// there.
fn cgroup_of_init(record: &Record, options: &ProcessOptions, error: &Error) -> Result<Option<Box<dyn Cgroup>>> {
    // EOPNOTSUPP is the error of cgroups that accept only threads.
    let occupied = matches!(error.errno, Some(Errno::EBUSY | Errno::EOPNOTSUPP));
    let Some(init) = record.init.as_ref().filter(|_| occupied && options.cgroups.is_empty()) else { return Ok(None) };
    record.inputs.cgroup.where_init_is(init.identity.pid)?.map(|layout| cgroup::open(&layout)).transpose()
}

/// Returns `process` with the omitted restrictions and privileges of the container's process, never the caller's.
fn completed(process: &oci::Process, container: &oci::Process) -> oci::Process {
    let mut process = process.clone();
    if process.capabilities().is_none() {
        process.set_capabilities(container.capabilities().clone());
    }
    if process.rlimits().as_ref().is_none_or(Vec::is_empty) {
        process.set_rlimits(container.rlimits().clone());
    }
    if process.apparmor_profile().as_ref().is_none_or(String::is_empty) {
        process.set_apparmor_profile(container.apparmor_profile().clone());
    }
    if process.selinux_label().as_ref().is_none_or(String::is_empty) {
        process.set_selinux_label(container.selinux_label().clone());
    }
    if process.no_new_privileges().is_none() {
        process.set_no_new_privileges(container.no_new_privileges());
    }
    if process.scheduler().is_none() {
        process.set_scheduler(container.scheduler().clone());
    }
    if process.io_priority().is_none() {
        process.set_io_priority(*container.io_priority());
    }
    if process.exec_cpu_affinity().is_none() {
        process.set_exec_cpu_affinity(container.exec_cpu_affinity().clone());
    }
    if process.oom_score_adj().is_none() {
        process.set_oom_score_adj(container.oom_score_adj());
    }
    process
}
