//! The table of OCI runtime specification 1.3 (Linux): every field it knows, with its type, and
//! whether this version implements it. `shape` refuses what is not as the table says.

use super::capabilities;
use super::shape::{Field, I64, Kind, TEXTS, U32, U64, later, later_even_empty, never, optional, required};

const OTHER_PLATFORM: &str = "belongs to another platform, and libberth runs Linux containers; leave it out";

pub(super) const CONFIG: Kind = Kind::Object(&[
    required("ociVersion", Kind::Text),
    optional("root", Kind::Object(&[required("path", Kind::Text), optional("readonly", Kind::Bool)])),
    optional("mounts", Kind::List(&MOUNT)),
    required("process", PROCESS),
    optional("hostname", Kind::Text),
    optional("domainname", Kind::Text),
    optional("hooks", HOOKS),
    optional("annotations", Kind::Map(&Kind::Text)),
    required("linux", LINUX),
    never("solaris", OTHER_PLATFORM),
    never("windows", OTHER_PLATFORM),
    never("vm", OTHER_PLATFORM),
    never("zos", OTHER_PLATFORM),
    never("freebsd", OTHER_PLATFORM),
]);

const MOUNT: Kind = Kind::Object(&[
    required("destination", Kind::Text),
    optional("type", Kind::Text),
    optional("source", Kind::Text),
    optional("options", TEXTS),
    later("uidMappings"),
    later("gidMappings"),
]);

pub(super) const PROCESS: Kind = Kind::Object(&[
    optional("terminal", Kind::Bool),
    optional(
        "consoleSize",
        Kind::Object(&[
            // The kernel keeps a terminal's size in two 16-bit numbers.
            required("height", Kind::Int(0, u16::MAX as i128)),
            required("width", Kind::Int(0, u16::MAX as i128)),
        ]),
    ),
    required("user", USER),
    required("args", TEXTS),
    never("commandLine", "is for Windows; on Linux the command is process.args"),
    optional("env", TEXTS),
    required("cwd", Kind::Text),
    optional("capabilities", CAPABILITIES),
    optional("rlimits", Kind::List(&RLIMIT)),
    optional("noNewPrivileges", Kind::Bool),
    optional("oomScoreAdj", Kind::Int(-1000, 1000)),
    later("apparmorProfile"),
    later("selinuxLabel"),
    later("scheduler"),
    later("ioPriority"),
    later("execCPUAffinity"),
]);

// The kernel takes the last id (−1) for "leave it as it is", so it is nobody's.
const ID: Kind = Kind::Int(0, u32::MAX as i128 - 1);

const USER: Kind = Kind::Object(&[
    required("uid", ID),
    required("gid", ID),
    optional("umask", Kind::Int(0, 0o777)),
    optional("additionalGids", Kind::List(&ID)),
    never("username", "is for Windows; on Linux the user is given by process.user.uid and gid"),
]);

const CAPABILITY_SET: Kind = Kind::List(&Kind::OneOf(
    "the name of a capability in full, as in capabilities(7), like CAP_NET_ADMIN",
    &capabilities::NAMES,
));

const CAPABILITIES: Kind = Kind::Object(&[
    optional("bounding", CAPABILITY_SET),
    optional("effective", CAPABILITY_SET),
    optional("inheritable", CAPABILITY_SET),
    optional("permitted", CAPABILITY_SET),
    optional("ambient", CAPABILITY_SET),
]);

const RLIMIT: Kind = Kind::Object(&[
    required("type", Kind::OneOf("one of the resources of getrlimit(2)", &super::rlimits::NAMES)),
    required("soft", U64),
    required("hard", U64),
]);

const HOOK_LIST: Kind = Kind::List(&Kind::Object(&[
    required("path", Kind::Text),
    optional("args", TEXTS),
    optional("env", TEXTS),
    optional("timeout", I64),
]));

const HOOKS: Kind = Kind::Object(&[
    optional("prestart", HOOK_LIST),
    optional("createRuntime", HOOK_LIST),
    optional("createContainer", HOOK_LIST),
    optional("startContainer", HOOK_LIST),
    optional("poststart", HOOK_LIST),
    optional("poststop", HOOK_LIST),
]);

const ID_MAPPINGS: Kind =
    Kind::List(&Kind::Object(&[required("containerID", U32), required("hostID", U32), required("size", U32)]));

const LINUX: Kind = Kind::Object(&[
    optional("uidMappings", ID_MAPPINGS),
    optional("gidMappings", ID_MAPPINGS),
    optional("sysctl", Kind::Map(&Kind::Text)),
    optional("resources", RESOURCES),
    optional("cgroupsPath", Kind::Text),
    optional("namespaces", Kind::List(&NAMESPACE)),
    optional("devices", Kind::List(&DEVICE)),
    optional("rootfsPropagation", Kind::OneOf("a propagation", &super::mount_options::PROPAGATIONS)),
    optional("maskedPaths", TEXTS),
    optional("readonlyPaths", TEXTS),
    optional("timeOffsets", Kind::Map(&TIME_OFFSET)),
    optional("netDevices", Kind::Map(&Kind::Object(&[optional("name", Kind::Text)]))),
    later("seccomp"),
    later("mountLabel"),
    later_even_empty("intelRdt"),
    later("memoryPolicy"),
    later("personality"),
]);

const NAMESPACE: Kind = Kind::Object(&[
    required(
        "type",
        Kind::OneOf("a namespace type", &["pid", "network", "mount", "ipc", "uts", "user", "cgroup", "time"]),
    ),
    optional("path", Kind::Text),
]);

const DEVICE: Kind = Kind::Object(&[
    required("type", Kind::OneOf("a device type", &["c", "b", "u", "p"])),
    required("path", Kind::Text),
    optional("major", I64),
    optional("minor", I64),
    optional("fileMode", U32),
    optional("uid", ID),
    optional("gid", ID),
]);

const TIME_OFFSET: Kind = Kind::Object(&[optional("secs", I64), optional("nanosecs", Kind::Int(0, 999_999_999))]);

const DEVICE_RULE: Kind = Kind::Object(&[
    required("allow", Kind::Bool),
    optional("type", Kind::OneOf("a device rule's type", &["a", "b", "c"])),
    optional("major", I64),
    optional("minor", I64),
    optional("access", Kind::Text),
]);

/// Also the document of a later change of limits.
pub(super) const RESOURCES: Kind = Kind::Object(&[
    optional("devices", Kind::List(&DEVICE_RULE)),
    optional("memory", MEMORY),
    optional("cpu", CPU),
    optional("pids", Kind::Object(&[required("limit", I64)])),
    optional("blockIO", Kind::Object(&BLOCK_IO)),
    later("hugepageLimits"),
    optional("network", Kind::Object(&[later("classID"), later("priorities")])),
    later("rdma"),
    later("unified"),
]);

const MEMORY: Kind = Kind::Object(&[
    optional("limit", I64),
    optional("reservation", I64),
    optional("swap", I64),
    later("kernel"),
    later("kernelTCP"),
    later("swappiness"),
    later("disableOOMKiller"),
    later("useHierarchy"),
    later("checkBeforeUpdate"),
]);

const CPU: Kind = Kind::Object(&[
    optional("shares", U64),
    optional("quota", I64),
    optional("burst", U64),
    optional("period", U64),
    later("realtimeRuntime"),
    later("realtimePeriod"),
    optional("cpus", Kind::Text),
    optional("mems", Kind::Text),
    optional("idle", I64),
]);

// Field by field, so that an object with nothing in it passes and the path names the member.
const BLOCK_IO: [Field; 7] = [
    later("weight"),
    later("leafWeight"),
    later("weightDevice"),
    later("throttleReadBpsDevice"),
    later("throttleWriteBpsDevice"),
    later("throttleReadIOPSDevice"),
    later("throttleWriteIOPSDevice"),
];
