//! Plans the last part of every process: from privileged init to the container's program.

use std::path::PathBuf;
use std::sync::Arc;

use super::{CallerAction, Plan, Step};
use crate::security::labels;
use crate::security::seccomp::Filter;
use crate::spec::{capabilities, memory_policy, oci, rlimits, scheduling};

/// The search path of POSIX systems without PATH.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const DEFAULT_UMASK: u32 = 0o022;

/// A process and its restrictions.
#[derive(Clone, Copy)]
pub struct Confined<'a> {
    pub process: &'a oci::Process,
    pub linux: Option<&'a oci::Linux>,
    pub filter: Option<&'a Arc<Filter>>,
    /// Whether the process is in a user namespace, new or joined.
    pub in_user_namespace: bool,
}

/// Adds the steps for limits, identity and exec. Their order keeps the privileges that later steps need.
pub fn push(plan: &mut Plan, confined: Confined) {
    push_surroundings(plan, confined);
    push_limits(plan, confined.process);
    push_identity(plan, confined);
    push_exec(plan, confined.process);
}

/// Adds the steps for the user's home, memory policy and personality.
pub fn push_surroundings(plan: &mut Plan, confined: Confined) {
    let Confined { process, linux, .. } = confined;
    if !process.env().iter().flatten().any(|entry| entry.starts_with("HOME=")) {
        // While init is still privileged: the file may be readable by root only.
        plan.push(Step::Home(process.user().uid()));
    }
    if let Some(policy) = linux.and_then(|linux| linux.memory_policy().as_ref()) {
        let flags = policy.flags().iter().flatten().map(|flag| format!(" {flag}"));
        plan.push(Step::MemoryPolicy {
            mode: memory_policy::mode(policy),
            name: policy.mode().to_string() + &flags.collect::<String>(),
            nodes: policy.nodes().clone().unwrap_or_default(),
        });
    }
    if let Some(personality) = linux.and_then(|linux| linux.personality().as_ref()) {
        let (persona, name) = match personality.domain() {
            // linux/personality.h
            oci::LinuxPersonalityDomain::PerLinux => (0, "LINUX"),
            oci::LinuxPersonalityDomain::PerLinux32 => (8, "LINUX32"),
        };
        plan.push(Step::Personality { persona, name: name.into() });
    }
}

pub fn push_limits(plan: &mut Plan, process: &oci::Process) {
    for limit in process.rlimits().iter().flatten() {
        let (resource, name) = (rlimits::number(limit.typ()), limit.typ().to_string());
        plan.push(Step::Rlimit { resource, name, soft: limit.soft(), hard: limit.hard() });
    }
}

/// Adds the steps from labels to capabilities and the seccomp filter. The filter is loaded as late as possible, since
/// it must allow every later step: last with no_new_privs; without it, while init still has CAP_SYS_ADMIN.
pub fn push_identity(plan: &mut Plan, confined: Confined) {
    let Confined { process, filter, in_user_namespace, .. } = confined;
    let no_new_privileges = process.no_new_privileges().unwrap_or(false);
    let load = |plan: &mut Plan| {
        if let Some(filter) = filter {
            plan.push(Step::Seccomp { filter: filter.clone(), privileged: !no_new_privileges });
        }
    };
    for (module, label) in labels::of(process) {
        plan.push(Step::Label { module, label: label.into() });
    }
    let sets = capabilities::Sets::of(process).granted(in_user_namespace);
    plan.push(Step::Bounding(sets.bounding));
    let cwd: PathBuf = process.cwd().clone();
    plan.push(Step::WorkingDirectory { path: cwd.clone(), attempt: true });
    let user = process.user();
    let groups = user.additional_gids().clone().unwrap_or_default();
    plan.push(Step::User { uid: user.uid(), gid: user.gid(), groups });
    // As umask(2) does.
    plan.push(Step::Umask(user.umask().unwrap_or(DEFAULT_UMASK) & 0o777));
    let as_user = Step::WorkingDirectory { path: cwd, attempt: false };
    let capabilities = Step::Capabilities {
        effective: sets.effective,
        permitted: sets.permitted,
        inheritable: sets.inheritable,
        ambient: sets.ambient,
    };
    if no_new_privileges {
        plan.push(capabilities);
        plan.push(as_user);
        plan.push(Step::NoNewPrivileges);
        load(plan);
    } else {
        let after_filter = filter.is_some();
        if after_filter {
            plan.push(as_user.clone());
        }
        load(plan);
        plan.push(capabilities);
        if !after_filter {
            plan.push(as_user);
        }
    }
}

pub fn push_exec(plan: &mut Plan, process: &oci::Process) {
    let env = process.env().clone().unwrap_or_default();
    let args = process.args().clone().unwrap_or_default();
    plan.push(Step::Exec { file: None, args, search: search_path(&env), env });
}

/// Adds a step that fails early if the program does not exist, as far as init can tell at that point.
pub fn push_find(plan: &mut Plan, process: &oci::Process) {
    let env = process.env().clone().unwrap_or_default();
    let Some(name) = process.args().iter().flatten().next() else { return };
    let in_place = |path: &str| process.cwd().join(path).to_string_lossy().into_owned();
    let name = if name.contains('/') { in_place(name) } else { name.clone() };
    let search: Vec<String> = search_path(&env).split(':').map(in_place).collect();
    plan.push(Step::FindProgram { name, search: search.join(":") });
}

/// Returns the value of the last PATH, as the executed program would see it, or the default.
fn search_path(env: &[String]) -> String {
    let found = env.iter().rev().find_map(|entry| entry.strip_prefix("PATH="));
    found.unwrap_or(DEFAULT_PATH).to_owned()
}

/// Adds a step that opens a terminal of the container, if the process asks for one.
pub fn push_terminal(plan: &mut Plan, process: &oci::Process, console: bool, plain_newlines: bool) {
    if !process.terminal().unwrap_or(false) {
        return;
    }
    let size = process.console_size();
    let cells = |count: u64| u16::try_from(count).unwrap_or(u16::MAX);
    plan.push(Step::Terminal {
        multiplexer: "/dev/pts/ptmx".into(),
        dev: "/dev".into(),
        rows: size.map_or(0, |size| cells(size.height())),
        columns: size.map_or(0, |size| cells(size.width())),
        uid: process.user().uid(),
        console,
        plain_newlines,
    });
}

/// Adds a step that gives the inherited streams to the user, unless they are a terminal's.
pub fn push_streams(plan: &mut Plan, process: &oci::Process) {
    if !process.terminal().unwrap_or(false) {
        plan.push(Step::OwnStreams(process.user().uid()));
    }
}

/// Adds the actions that only the caller may perform, or that it performs better.
pub fn push_outside(plan: &mut Plan, process: &oci::Process) {
    if let Some(score) = process.oom_score_adj() {
        plan.caller_actions.push(CallerAction::OomScore(score));
    }
    for limit in process.rlimits().iter().flatten() {
        let (resource, name) = (rlimits::number(limit.typ()), limit.typ().to_string());
        plan.caller_actions.push(CallerAction::HardLimit { resource, name, hard: limit.hard() });
    }
    if let Some(scheduler) = scheduling::Scheduler::of(process) {
        plan.caller_actions.push(CallerAction::Scheduler(scheduler));
    }
    if let Some(priority) = process.io_priority() {
        let name = format!("{} {}", priority.class(), priority.priority());
        plan.caller_actions.push(CallerAction::IoPriority { value: scheduling::io_priority(priority), name });
    }
}
