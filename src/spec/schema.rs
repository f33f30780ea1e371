//! The table of OCI runtime specification 1.3 (Linux): every field, with its type, and whether this version implements
//! it. `shape` refuses documents that do not fit.

use super::seccomp;
use super::shape::{I64, Kind, TEXTS, U32, U64, never, optional, refused, required};

const OTHER_PLATFORM: &str = "belongs to another platform, and libberth runs Linux containers; leave it out";

pub(super) const CONFIG: Kind = Kind::Object(&[
    required("ociVersion", Kind::Text),
    optional("root", Kind::Object(&[required("path", Kind::Text), optional("readonly", Kind::Bool)])),
    optional("mounts", Kind::List(&MOUNT)),
    optional("process", PROCESS),
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
    optional("uidMappings", ID_MAPPINGS),
    optional("gidMappings", ID_MAPPINGS),
]);

pub(super) const PROCESS: Kind = Kind::Object(&[
    optional("terminal", Kind::Bool),
    optional("consoleSize", Kind::Object(&[optional("height", U64), optional("width", U64)])),
    optional("user", USER),
    required("args", TEXTS),
    never("commandLine", "is for Windows; on Linux the command is process.args"),
    optional("env", TEXTS),
    required("cwd", Kind::Text),
    optional("capabilities", CAPABILITIES),
    optional("rlimits", Kind::List(&RLIMIT)),
    optional("noNewPrivileges", Kind::Bool),
    optional("oomScoreAdj", Kind::Int(-1000, 1000)),
    optional("apparmorProfile", Kind::Text),
    optional("selinuxLabel", Kind::Text),
    optional("scheduler", SCHEDULER),
    optional("ioPriority", IO_PRIORITY),
    optional("execCPUAffinity", Kind::Object(&[optional("initial", Kind::Text), optional("final", Kind::Text)])),
]);

const SCHEDULER: Kind = Kind::Object(&[
    required("policy", Kind::OneOf("a policy of sched(7)", &super::scheduling::POLICIES)),
    optional("nice", Kind::Int(-20, 19)),
    optional("priority", Kind::Int(0, 99)),
    optional("flags", Kind::List(&Kind::OneOf("a flag of sched_setattr(2)", &super::scheduling::FLAGS))),
    optional("runtime", DURATION),
    optional("deadline", DURATION),
    optional("period", DURATION),
]);

/// Nanoseconds; the kernel requires the highest bit to be 0.
const DURATION: Kind = Kind::Int(0, i64::MAX as i128);

const IO_PRIORITY: Kind = Kind::Object(&[
    required("class", Kind::OneOf("a class of ioprio_set(2)", &super::scheduling::IO_CLASSES)),
    optional("priority", Kind::Int(0, 7)),
]);

// The kernel takes the last id (−1) as "do not change", so no user has it.
const ID: Kind = Kind::Int(0, u32::MAX as i128 - 1);

const USER: Kind = Kind::Object(&[
    optional("uid", ID),
    optional("gid", ID),
    optional("umask", U32),
    optional("additionalGids", Kind::List(&ID)),
    never("username", "is for Windows; on Linux the user is given by process.user.uid and gid"),
]);

/// Names of capabilities. Unknown ones are a warning: [`super::capabilities`].
const CAPABILITIES: Kind = Kind::Object(&[
    optional("bounding", TEXTS),
    optional("effective", TEXTS),
    optional("inheritable", TEXTS),
    optional("permitted", TEXTS),
    optional("ambient", TEXTS),
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
    optional("seccomp", SECCOMP),
    optional("mountLabel", Kind::Text),
    optional("intelRdt", INTEL_RDT),
    optional("memoryPolicy", MEMORY_POLICY),
    optional("personality", PERSONALITY),
]);

const INTEL_RDT: Kind = Kind::Object(&[
    optional("closID", Kind::Text),
    optional("schemata", TEXTS),
    optional("l3CacheSchema", Kind::Text),
    optional("memBwSchema", Kind::Text),
    optional("enableMonitoring", Kind::Bool),
    // From specification 1.2.
    optional("enableCMT", Kind::Bool),
    optional("enableMBM", Kind::Bool),
]);

/// The fields of `linux.intelRdt` that can be changed on a running container.
pub(super) const INTEL_RDT_CHANGE: Kind = Kind::Object(&[
    refused("closID", FIXED_AT_CREATE),
    optional("schemata", TEXTS),
    optional("l3CacheSchema", Kind::Text),
    optional("memBwSchema", Kind::Text),
    refused("enableMonitoring", FIXED_AT_CREATE),
    refused("enableCMT", FIXED_AT_CREATE),
    refused("enableMBM", FIXED_AT_CREATE),
]);

const FIXED_AT_CREATE: &str = "is decided when the container is created; leave it out";

const MEMORY_POLICY: Kind = Kind::Object(&[
    required("mode", Kind::OneOf("a mode of set_mempolicy(2)", &super::memory_policy::MODES)),
    optional("nodes", Kind::Text),
    optional("flags", Kind::List(&Kind::OneOf("a flag of set_mempolicy(2)", &super::memory_policy::FLAGS))),
]);

const PERSONALITY: Kind =
    Kind::Object(&[required("domain", Kind::OneOf("a domain", &["LINUX", "LINUX32"])), optional("flags", TEXTS)]);

const SECCOMP: Kind = Kind::Object(&[
    required("defaultAction", SECCOMP_ACTION),
    optional("defaultErrnoRet", ERRNO),
    optional("architectures", Kind::List(&Kind::OneOf("an architecture", &seccomp::ARCHITECTURES))),
    optional("flags", Kind::List(&Kind::OneOf("a flag of seccomp(2)", &seccomp::FLAGS))),
    optional("listenerPath", Kind::Text),
    optional("listenerMetadata", Kind::Text),
    optional("syscalls", Kind::List(&SECCOMP_RULE)),
]);

const SECCOMP_ACTION: Kind = Kind::OneOf("an action", &seccomp::ACTIONS);

/// Below the kernel's MAX_ERRNO; libseccomp takes no higher ones.
const ERRNO: Kind = Kind::Int(0, 4094);

const SECCOMP_RULE: Kind = Kind::Object(&[
    required("names", TEXTS),
    required("action", SECCOMP_ACTION),
    optional("errnoRet", ERRNO),
    optional(
        "args",
        Kind::List(&Kind::Object(&[
            // A system call has six arguments.
            required("index", Kind::Int(0, 5)),
            required("value", U64),
            optional("valueTwo", U64),
            required("op", Kind::OneOf("an operator", &seccomp::OPERATORS)),
        ])),
    ),
]);

const NAMESPACE: Kind = Kind::Object(&[
    required("type", Kind::OneOf("a namespace type", &super::namespaces::NAMES)),
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

/// The fields of `linux.resources`, also in a document that changes limits later.
pub(super) const RESOURCES: Kind = Kind::Object(&[
    optional("devices", Kind::List(&DEVICE_RULE)),
    optional("memory", MEMORY),
    optional("cpu", CPU),
    optional("pids", Kind::Object(&[optional("limit", I64)])),
    optional("blockIO", BLOCK_IO),
    optional(
        "hugepageLimits",
        Kind::List(&Kind::Object(&[
            required("pageSize", Kind::Text),
            required("limit", Kind::Int(-1, u64::MAX as i128)),
        ])),
    ),
    optional("network", NETWORK),
    optional("rdma", Kind::Map(&Kind::Object(&[optional("hcaHandles", U32), optional("hcaObjects", U32)]))),
    optional("unified", Kind::Map(&Kind::Text)),
]);

/// Bytes, or -1 for no limit.
const LIMIT: Kind = Kind::Int(-1, i64::MAX as i128);

const MEMORY: Kind = Kind::Object(&[
    optional("limit", I64),
    optional("reservation", I64),
    optional("swap", I64),
    optional("kernel", LIMIT),
    optional("kernelTCP", LIMIT),
    optional("swappiness", Kind::Int(0, 100)),
    optional("disableOOMKiller", Kind::Bool),
    optional("useHierarchy", Kind::Bool),
    optional("checkBeforeUpdate", Kind::Bool),
]);

const CPU: Kind = Kind::Object(&[
    optional("shares", U64),
    optional("quota", I64),
    optional("burst", U64),
    optional("period", U64),
    optional("realtimeRuntime", I64),
    optional("realtimePeriod", U64),
    optional("cpus", Kind::Text),
    optional("mems", Kind::Text),
    optional("idle", I64),
]);

const NETWORK: Kind = Kind::Object(&[
    optional("classID", U32),
    optional("priorities", Kind::List(&Kind::Object(&[required("name", Kind::Text), required("priority", U32)]))),
]);

/// A weight; 0 means that none is given.
const WEIGHT: Kind = Kind::Int(0, u16::MAX as i128);

const THROTTLES: Kind =
    Kind::List(&Kind::Object(&[required("major", I64), required("minor", I64), required("rate", U64)]));

const BLOCK_IO: Kind = Kind::Object(&[
    optional("weight", WEIGHT),
    optional("leafWeight", WEIGHT),
    optional(
        "weightDevice",
        Kind::List(&Kind::Object(&[
            required("major", I64),
            required("minor", I64),
            optional("weight", WEIGHT),
            optional("leafWeight", WEIGHT),
        ])),
    ),
    optional("throttleReadBpsDevice", THROTTLES),
    optional("throttleWriteBpsDevice", THROTTLES),
    optional("throttleReadIOPSDevice", THROTTLES),
    optional("throttleWriteIOPSDevice", THROTTLES),
]);
