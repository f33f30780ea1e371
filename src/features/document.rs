//! The features document of the OCI runtime specification (features.md): what configurations may contain.
//!
//! It is generated from the tables that configurations are checked with, so the two agree.

use serde_json::{Value, json};

use crate::spec::{self, capabilities, hooks, memory_policy, mount_options, namespaces, seccomp};

/// Returns the features document of the OCI runtime specification (features.md), as JSON text.
pub fn json() -> String {
    let (oldest, newest) = spec::VERSIONS;
    let document = json!({
        "ociVersionMin": oldest,
        "ociVersionMax": newest,
        "hooks": hooks::Kind::ALL.map(hooks::Kind::name),
        "mountOptions": mount_options::names(),
        "linux": linux(),
        // A name that ends with a dot is a prefix. These annotations are used only if the runtime's settings allow
        // them.
        "potentiallyUnsafeConfigAnnotations": ["org.systemd.property."],
    });
    document.to_string()
}

fn linux() -> Value {
    let enabled = |field: &str| json!({ "enabled": spec::implements(field) });
    // SCMP_ARCH_NATIVE, libseccomp's name for the host's architecture, is accepted, too, but the specification does not
    // list it.
    let architectures: Vec<&str> =
        seccomp::ARCHITECTURES.into_iter().filter(|name| *name != "SCMP_ARCH_NATIVE").collect();
    json!({
        "namespaces": namespaces::NAMES,
        "capabilities": capabilities::NAMES[..],
        "cgroup": { "v1": true, "v2": true, "systemd": true, "systemdUser": false, "rdma": true },
        "seccomp": {
            "enabled": spec::implements("linux.seccomp"),
            "actions": seccomp::ACTIONS,
            "operators": seccomp::OPERATORS,
            "archs": architectures,
            "knownFlags": seccomp::FLAGS,
            "supportedFlags": seccomp::FLAGS,
        },
        "apparmor": enabled("process.apparmorProfile"),
        "selinux": enabled("process.selinuxLabel"),
        "intelRdt": {
            "enabled": spec::implements("linux.intelRdt"),
            "schemata": spec::implements("linux.intelRdt.schemata"),
            "monitoring": spec::implements("linux.intelRdt.enableMonitoring"),
        },
        "memoryPolicy": { "modes": memory_policy::MODES, "flags": memory_policy::FLAGS },
        "mountExtensions": { "idmap": enabled("mounts.uidMappings") },
        "netDevices": enabled("linux.netDevices"),
    })
}
