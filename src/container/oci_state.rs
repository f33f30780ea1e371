//! The state as JSON: the OCI state, and for callers also the fields that libcontainer adds.

use serde_json::{Map, Value, json};

use super::{Container, Record, Status};
use crate::error::{Code, Error, Result};
use crate::security::seccomp;
use crate::spec::Config;
use crate::spec::namespaces;
use crate::spec::oci::LinuxNamespaceType as Kind;
use crate::sys::procfs;

/// Returns the JSON that hooks get on standard input: the state of the OCI runtime specification without additional
/// fields. Hooks that run inside the container get the pid that init has there.
pub fn for_hooks(config: &Config, record: &Record, status: Status, inside: bool) -> Result<String> {
    let mut state = oci(config, record, status);
    if inside
        && let Some(init) = &record.init
        && let Some(pid) = innermost_pid(init.identity.pid)?
    {
        state.insert("pid".into(), json!(pid));
    }
    text(&Value::Object(state))
}

/// Returns the pid of a process in its own pid namespace, or `None` if the process no longer exists.
fn innermost_pid(pid: i32) -> Result<Option<i32>> {
    let status = procfs::read_optional(&format!("{pid}/status"))?.unwrap_or_default();
    let pids = procfs::status_field(&status, "NSpid");
    Ok(pids.and_then(|pids| pids.split_whitespace().last()?.parse().ok()))
}

/// Returns the JSON that the supervisor of a seccomp filter gets with the listener: the container process state of the
/// OCI runtime specification.
pub fn for_supervisor(config: &Config, record: &Record, status: Status, pid: i32) -> Result<String> {
    let mut state = Map::new();
    state.insert("ociVersion".into(), json!(config.spec().version()));
    state.insert("fds".into(), json!(["seccompFd"]));
    state.insert("pid".into(), json!(pid));
    let metadata = seccomp::profile(config.spec()).and_then(|profile| profile.listener_metadata().as_ref());
    if let Some(metadata) = metadata {
        state.insert("metadata".into(), json!(metadata));
    }
    state.insert("state".into(), Value::Object(oci(config, record, status)));
    text(&Value::Object(state))
}

fn oci(config: &Config, record: &Record, status: Status) -> Map<String, Value> {
    let mut state = Map::new();
    state.insert("ociVersion".into(), json!(config.spec().version()));
    state.insert("id".into(), json!(record.id));
    state.insert("status".into(), json!(status.name()));
    let pid = record.init.as_ref().filter(|_| status != Status::Stopped).map_or(0, |init| init.identity.pid);
    state.insert("pid".into(), json!(pid));
    state.insert("bundle".into(), json!(record.bundle.as_deref().unwrap_or(&record.inputs.rootfs).to_string_lossy()));
    if let Some(annotations) = config.spec().annotations().as_ref().filter(|annotations| !annotations.is_empty()) {
        let sorted: std::collections::BTreeMap<_, _> = annotations.iter().collect();
        state.insert("annotations".into(), json!(sorted));
    }
    state
}

/// Returns the state of a container of which only the id is known.
pub fn placeholder(id: &str, status: &str) -> Value {
    json!({ "ociVersion": "", "id": id, "status": status, "pid": 0, "bundle": "" })
}

fn text(value: &Value) -> Result<String> {
    serde_json::to_string(value).map_err(|error| Error::new(Code::Internal, error.to_string()))
}

impl Container {
    /// Returns the OCI state with the additional fields `rootfs`, `created`, `initProcessStartTime`, `cgroupPaths`,
    /// `namespacePaths` and `externalDescriptors`.
    pub fn state_json(&self) -> Result<String> {
        let (record, status) = self.observe()?;
        let Some(record) = record else { return text(&placeholder(&self.id, status.name())) };
        let config = self.config(&record)?;
        let mut state = oci(config, &record, status);
        state.insert("rootfs".into(), json!(record.inputs.rootfs.to_string_lossy()));
        state.insert("created".into(), json!(record.created));
        if let Some(init) = record.init.as_ref().filter(|_| status != Status::Stopped) {
            state.insert("initProcessStartTime".into(), json!(init.identity.start_time));
            state.insert("namespacePaths".into(), namespace_paths(init.identity.pid));
        }
        state.insert("cgroupPaths".into(), json!(record.inputs.cgroup.own_paths()));
        state.insert("externalDescriptors".into(), json!(record.external_descriptors));
        text(&Value::Object(state))
    }
}

fn namespace_paths(pid: i32) -> Value {
    let kinds = [
        (Kind::Cgroup, "cgroup"),
        (Kind::Ipc, "ipc"),
        (Kind::Mount, "mnt"),
        (Kind::Network, "net"),
        (Kind::Pid, "pid"),
        (Kind::Time, "time"),
        (Kind::User, "user"),
        (Kind::Uts, "uts"),
    ];
    let paths = kinds.map(|(kind, file)| (namespaces::name(kind).to_owned(), json!(format!("/proc/{pid}/ns/{file}"))));
    Value::Object(paths.into_iter().collect())
}
