//! The features of this version, by name. A name is listed once the feature works.

mod document;

pub use document::json;

const NAMES: [&str; 40] = [
    "create",
    "start",
    "run",
    "exec",
    "load",
    "list",
    "delete",
    "recover",
    "signal",
    "pause",
    "set",
    "stats",
    "events",
    "wait",
    "pidfd",
    "hooks",
    "terminal",
    "console-socket",
    "extra-fds",
    "explain",
    "checkpoint",
    "features",
    "log",
    "seccomp",
    "apparmor",
    "selinux",
    "networks",
    "net-devices",
    "interfaces",
    "cgroup-v1",
    "cgroup-v2",
    "systemd",
    "namespace-cgroup",
    "namespace-ipc",
    "namespace-mount",
    "namespace-network",
    "namespace-pid",
    "namespace-time",
    "namespace-user",
    "namespace-uts",
];

pub fn has(name: &str) -> bool {
    NAMES.contains(&name)
}
