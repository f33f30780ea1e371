//! Errors in the `linux` object.

use super::*;

fn namespace(json: &'static str, path: &'static str, words: &'static str) -> Case {
    bad("/linux/namespaces/-", json, path, words)
}

#[test]
fn namespaces() {
    all_refused(&[
        bad("/linux/namespaces", r#"[{"type": "user"}]"#, "mounts", "needs a new mount namespace"),
        bad("/linux/namespaces", "[\"pid\"]", "linux.namespaces[0]", "expected an object"),
        namespace("{}", "linux.namespaces[6].type", "is required and missing"),
        namespace(
            r#"{"type": "mnt"}"#,
            "linux.namespaces[6].type",
            "pid, network, mount, ipc, uts, user, cgroup, time",
        ),
        namespace(r#"{"type": "net"}"#, "linux.namespaces[6].type", "\"net\" is not valid here"),
        namespace(r#"{"type": "PID"}"#, "linux.namespaces[6].type", "\"PID\" is not valid here"),
        namespace(r#"{"type": "pid"}"#, "linux.namespaces[6].type", "\"pid\" is in linux.namespaces[0] already"),
        namespace(r#"{"type": "user", "path": "ns/user"}"#, "linux.namespaces[6].path", "is not absolute"),
        namespace(r#"{"type": "user", "path": 7}"#, "linux.namespaces[6].path", "expected a string"),
        namespace(r#"{"type": "user", "path": "/x\u0000"}"#, "linux.namespaces[6].path", "NUL"),
        bad("/linux/namespaces", r#"[{"type": "user"}]"#, "linux.maskedPaths", "needs a new mount namespace")
            .with("/mounts", "[]"),
        bad("/linux/namespaces", r#"[{"type": "user"}]"#, "root.readonly", "needs a new mount namespace")
            .with("/mounts", "[]")
            .with("/linux/maskedPaths", "[]")
            .with("/linux/readonlyPaths", "[]"),
        bad("/linux/namespaces", r#"[{"type": "mount"}]"#, "hostname", "would rename the host"),
        bad("/linux/namespaces", r#"[{"type": "mount"}]"#, "domainname", "would rename the host")
            .with("/hostname", "")
            .with("/domainname", "\"d\""),
        bad("/linux/timeOffsets", r#"{"monotonic": {"secs": 1}}"#, "linux.timeOffsets", "of type \"time\""),
        time_offset(r#"{"realtime": {"secs": 1}}"#, "linux.timeOffsets.realtime", "expected monotonic or boottime"),
        time_offset(r#"{"monotonic": 5}"#, "linux.timeOffsets.monotonic", "expected an object"),
        time_offset(r#"{"boottime": {"secs": "1"}}"#, "linux.timeOffsets.boottime.secs", "\"1\" is not valid"),
        time_offset(r#"{"boottime": {"secs": 4611686019}}"#, "linux.timeOffsets.boottime.secs", "is out of range"),
        time_offset(r#"{"boottime": {"secs": -4611686019}}"#, "linux.timeOffsets.boottime.secs", "is out of range"),
        time_offset(r#"{"boottime": {"nanosecs": 1000000000}}"#, "linux.timeOffsets.boottime.nanosecs", "999999999"),
        time_offset(r#"{"boottime": {"nanosecs": -1}}"#, "linux.timeOffsets.boottime.nanosecs", "-1 is not valid"),
        bad("/linux/timeOffsets", r#"{"monotonic": {"secs": 1}}"#, "linux.timeOffsets", "a time namespace that is new")
            .with("/linux/namespaces/-", r#"{"type": "time", "path": "/proc/1/ns/time"}"#),
    ]);
}

fn time_offset(json: &'static str, path: &'static str, words: &'static str) -> Case {
    bad("/linux/timeOffsets", json, path, words).with("/linux/namespaces/-", r#"{"type": "time"}"#)
}

const ROOT_MAP: &str = r#"[{"containerID": 0, "hostID": 1000, "size": 10}]"#;

/// Returns a case with a new user namespace that has this uid map and a valid gid map.
fn uids(json: &'static str, path: &'static str, words: &'static str) -> Case {
    bad("/linux/uidMappings", json, path, words)
        .with("/linux/gidMappings", ROOT_MAP)
        .with("/linux/namespaces/-", r#"{"type": "user"}"#)
}

#[test]
fn id_mappings() {
    all_refused(&[
        uids("", "linux.uidMappings", "is missing; expected at least one mapping"),
        uids("[]", "linux.uidMappings", "is missing"),
        // Without any mappings, only root is mapped.
        bad("/process/user/uid", "10", "process.user.uid", "10 is not mapped")
            .with("/linux/namespaces/-", r#"{"type": "user"}"#),
        uids("{}", "linux.uidMappings", "expected an array of objects"),
        uids(r#"[{"hostID": 0, "size": 1}]"#, "linux.uidMappings[0].containerID", "is required and missing"),
        uids(r#"[{"containerID": 0, "size": 1}]"#, "linux.uidMappings[0].hostID", "is required and missing"),
        uids(r#"[{"containerID": 0, "hostID": 0}]"#, "linux.uidMappings[0].size", "is required and missing"),
        uids(r#"[{"containerID": 0, "hostID": 0, "size": 0}]"#, "linux.uidMappings[0].size", "0 maps nothing"),
        uids(r#"[{"containerID": -1, "hostID": 0, "size": 1}]"#, "linux.uidMappings[0].containerID", "-1 is not valid"),
        uids(r#"[{"containerID": 0, "hostID": 0, "size": 4294967296}]"#, "linux.uidMappings[0].size", "is not valid"),
        uids(
            r#"[{"containerID": 0, "hostID": 1, "size": 4294967295}]"#,
            "linux.uidMappings[0].size",
            "go beyond the last id",
        ),
        uids(
            r#"[{"containerID": 4294967295, "hostID": 0, "size": 1}]"#,
            "linux.uidMappings[0].size",
            "containerID 4294967295",
        ),
        uids(
            r#"[{"containerID": 0, "hostID": 0, "size": 10}, {"containerID": 9, "hostID": 100, "size": 1}]"#,
            "linux.uidMappings[1].containerID",
            "9 with size 1 overlaps mapping [0]",
        ),
        uids(
            r#"[{"containerID": 0, "hostID": 5, "size": 1}, {"containerID": 9, "hostID": 0, "size": 10}]"#,
            "linux.uidMappings[1].hostID",
            "overlaps mapping [0]",
        ),
        uids(r#"[{"containerID": 1, "hostID": 0, "size": 1}]"#, "linux.uidMappings", "does not map container id 0"),
        bad("/linux/gidMappings", "", "linux.gidMappings", "is missing")
            .with("/linux/uidMappings", ROOT_MAP)
            .with("/linux/namespaces/-", r#"{"type": "user"}"#),
        uids(ROOT_MAP, "process.user.uid", "10 is not mapped").with("/process/user/uid", "10"),
        uids(ROOT_MAP, "process.user.gid", "11 is not mapped").with("/process/user/gid", "11"),
        uids(ROOT_MAP, "process.user.additionalGids[1]", "12 is not mapped")
            .with("/process/user/additionalGids", "[1, 12]"),
        bad("/linux/uidMappings", ROOT_MAP, "linux.uidMappings", "has no user namespace to apply to"),
        bad("/linux/gidMappings", ROOT_MAP, "linux.gidMappings", "has no user namespace to apply to"),
        bad("/linux/uidMappings", "[]", "linux.uidMappings", "is missing beside linux.gidMappings")
            .with("/linux/gidMappings", ROOT_MAP)
            .with("/linux/namespaces/-", r#"{"type": "user", "path": "/proc/1/ns/user"}"#),
    ]);
    let many: Vec<_> = (0..341).map(|i| format!(r#"{{"containerID":{i},"hostID":{i},"size":1}}"#)).collect();
    all_refused(&[bad("/linux/uidMappings", format!("[{}]", many.join(",")), "linux.uidMappings", "at most 340")
        .with("/linux/gidMappings", ROOT_MAP)
        .with("/linux/namespaces/-", r#"{"type": "user"}"#)]);
}

fn sysctl(json: &'static str, path: &'static str, words: &'static str) -> Case {
    bad("/linux/sysctl", json, path, words)
}

#[test]
fn sysctls() {
    all_refused(&[
        sysctl("[]", "linux.sysctl", "expected an object"),
        sysctl(r#"{"net.x": 1}"#, r#"linux.sysctl["net.x"]"#, "1 is not valid here; expected a string"),
        sysctl(r#"{"net.x": "a\u0000"}"#, r#"linux.sysctl["net.x"]"#, "NUL"),
        sysctl(r#"{"": "1"}"#, r#"linux.sysctl[""]"#, "is not a kernel parameter"),
        sysctl(r#"{"net": "1"}"#, "linux.sysctl.net", "is not a kernel parameter"),
        sysctl(
            r#"{"net/../kernel/sysrq": "1"}"#,
            r#"linux.sysctl["net/../kernel/sysrq"]"#,
            "is not a kernel parameter",
        ),
        sysctl(r#"{"net.//.kernel.x": "1"}"#, r#"linux.sysctl["net.//.kernel.x"]"#, "is not a kernel parameter"),
        sysctl(r#"{"/net/x": "1"}"#, r#"linux.sysctl["/net/x"]"#, "is not a kernel parameter"),
        sysctl(r#"{"kernel.core_pattern": "|/x"}"#, r#"linux.sysctl["kernel.core_pattern"]"#, "belongs to the host"),
        sysctl(r#"{"vm.swappiness": "1"}"#, r#"linux.sysctl["vm.swappiness"]"#, "belongs to the host"),
        sysctl(r#"{"kernel.shmx": "1"}"#, r#"linux.sysctl["kernel.shmx"]"#, "belongs to the host"),
        sysctl(r#"{"fs.mqueuex.y": "1"}"#, r#"linux.sysctl["fs.mqueuex.y"]"#, "belongs to the host"),
        sysctl(r#"{"network.x": "1"}"#, r#"linux.sysctl["network.x"]"#, "belongs to the host"),
        sysctl(r#"{"kernel.hostname": "x"}"#, r#"linux.sysctl["kernel.hostname"]"#, "expected the name in hostname"),
        sysctl(
            r#"{"kernel.domainname": "x"}"#,
            r#"linux.sysctl["kernel.domainname"]"#,
            "contradicts the field domainname, \"d\"; expected the same",
        )
        .with("/domainname", "\"d\""),
        sysctl(r#"{"net.a": "1", "net/a": "2"}"#, r#"linux.sysctl["net/a"]"#, "the values differ"),
        sysctl(r#"{"net.a": "1"}"#, r#"linux.sysctl["net.a"]"#, "belongs to the network namespace")
            .with("/linux/namespaces", r#"[{"type": "mount"}, {"type": "uts"}]"#),
        sysctl(r#"{"kernel.shmmax": "1"}"#, r#"linux.sysctl["kernel.shmmax"]"#, "belongs to the ipc namespace")
            .with("/linux/namespaces", r#"[{"type": "mount"}, {"type": "uts"}]"#),
        sysctl(r#"{"fs.mqueue.msg_max": "1"}"#, r#"linux.sysctl["fs.mqueue.msg_max"]"#, "belongs to the ipc namespace")
            .with("/linux/namespaces", r#"[{"type": "mount"}, {"type": "uts"}]"#),
        sysctl(r#"{"kernel.domainname": "1"}"#, r#"linux.sysctl["kernel.domainname"]"#, "belongs to the uts namespace")
            .with("/linux/namespaces", r#"[{"type": "mount"}]"#)
            .with("/hostname", ""),
    ]);
}

fn device(json: &'static str, path: &'static str, words: &'static str) -> Case {
    bad("/linux/devices", json, path, words)
}

#[test]
fn devices_and_masks() {
    let at = "linux.devices[0].path";
    all_refused(&[
        device("{}", "linux.devices", "expected an array of objects"),
        device(r#"[{"path": "/dev/x", "major": 1, "minor": 1}]"#, "linux.devices[0].type", "is required and missing"),
        device(r#"[{"path": "/dev/x", "type": "a", "major": 1, "minor": 1}]"#, "linux.devices[0].type", "c, b, u, p"),
        device(r#"[{"type": "c", "major": 1, "minor": 1}]"#, at, "is required and missing"),
        device(r#"[{"path": "dev/x", "type": "c", "major": 1, "minor": 1}]"#, at, "is not absolute"),
        device(r#"[{"path": "/dev/../proc/x", "type": "c", "major": 1, "minor": 1}]"#, at, "is below /proc"),
        device(r#"[{"path": "/", "type": "c", "major": 1, "minor": 1}]"#, at, "is the root itself"),
        device(r#"[{"path": "/dev/", "type": "c", "major": 1, "minor": 1}]"#, at, "is the device directory"),
        device(r#"[{"path": "/proc/x", "type": "c", "major": 1, "minor": 1}]"#, at, "is below /proc"),
        device(r#"[{"path": "/sys/x", "type": "p"}]"#, at, "is below /sys"),
        device(
            r#"[{"path": "/dev/x", "type": "c", "minor": 1}]"#,
            "linux.devices[0].major",
            "nothing is not a device number",
        ),
        device(r#"[{"path": "/dev/x", "type": "b", "major": 1}]"#, "linux.devices[0].minor", "nothing is not"),
        device(r#"[{"path": "/dev/x", "type": "c", "major": -1, "minor": 1}]"#, "linux.devices[0].major", "-1 is not"),
        device(
            r#"[{"path": "/dev/x", "type": "c", "major": 4096, "minor": 1}]"#,
            "linux.devices[0].major",
            "0 to 4095",
        ),
        device(
            r#"[{"path": "/dev/x", "type": "c", "major": 1, "minor": 1048576}]"#,
            "linux.devices[0].minor",
            "1048575",
        ),
        device(r#"[{"path": "/dev/x", "type": "p", "fileMode": 65536}]"#, "linux.devices[0].fileMode", "is not a mode"),
        device(r#"[{"path": "/dev/x", "type": "p", "fileMode": 8630}]"#, "linux.devices[0].fileMode", "octal 20666"),
        device(
            r#"[{"path": "/dev/x", "type": "p", "fileMode": "0666"}]"#,
            "linux.devices[0].fileMode",
            "is not valid here",
        ),
        device(r#"[{"path": "/dev/x", "type": "p", "uid": 4294967295}]"#, "linux.devices[0].uid", "0 to 4294967294"),
        device(r#"[{"path": "/dev/x", "type": "p", "gid": -1}]"#, "linux.devices[0].gid", "-1 is not valid"),
        device(
            r#"[{"path": "/dev/x", "type": "p"}, {"path": "/dev//x", "type": "p", "uid": 1}]"#,
            "linux.devices[1].path",
            "is the path of another device, too",
        ),
        bad("/linux/maskedPaths", "\"/x\"", "linux.maskedPaths", "expected an array of strings"),
        bad("/linux/maskedPaths", "[\"x\"]", "linux.maskedPaths[0]", "is not absolute"),
        bad("/linux/maskedPaths", "[\"/x\", \"/a/..\"]", "linux.maskedPaths[1]", "is the root itself"),
        bad("/linux/maskedPaths", "[\"/\"]", "linux.maskedPaths[0]", "is the root itself"),
        bad("/linux/readonlyPaths", "[\"\"]", "linux.readonlyPaths[0]", "is not absolute"),
        bad("/linux/readonlyPaths", "[\"/x\\u0000\"]", "linux.readonlyPaths[0]", "NUL"),
        bad("/linux/rootfsPropagation", "\"public\"", "linux.rootfsPropagation", "private, rprivate, slave"),
        bad("/linux/rootfsPropagation", "1", "linux.rootfsPropagation", "1 is not valid here"),
    ]);
}

#[test]
fn cgroups() {
    let path = "linux.cgroupsPath";
    all_refused(&[
        bad("/linux/cgroupsPath", "1", path, "expected a string"),
        bad("/linux/cgroupsPath", "\"/a/..\"", path, "is the root of the tree"),
        bad("/linux/cgroupsPath", "\"..\"", path, "is the root of the tree"),
        bad("/linux/cgroupsPath", "\"/\"", path, "is the root of the tree"),
        bad("/linux/cgroupsPath", "\"./\"", path, "is the root of the tree"),
        bad("/linux/cgroupsPath", "\"/a\\nb\"", path, "control character"),
        bad("/linux/cgroupsPath", "\"/a\\u0000\"", path, "NUL"),
        bad("/linux/cgroupsPath", format!("\"/{}\"", "n".repeat(256)), path, "a name of 256 bytes"),
    ]);
}

#[test]
fn resources() {
    let memory = |json: &str, path, words| bad("/linux/resources/memory", json, path, words);
    let cpu = |json: &str, path, words| bad("/linux/resources/cpu", json, path, words);
    let rule = |json: &str, path, words| bad("/linux/resources/devices", json, path, words);
    all_refused(&[
        bad("/linux/resources", "[]", "linux.resources", "expected an object"),
        memory(r#"{"limit": -2}"#, "linux.resources.memory.limit", "-2 is not a limit; expected -1 for none"),
        memory(r#"{"limit": "1G"}"#, "linux.resources.memory.limit", "\"1G\" is not valid here"),
        memory(r#"{"limit": 9223372036854775808}"#, "linux.resources.memory.limit", "9223372036854775807"),
        memory(r#"{"reservation": -5}"#, "linux.resources.memory.reservation", "-5 is not a limit"),
        memory(r#"{"swap": -5}"#, "linux.resources.memory.swap", "-5 is not a limit"),
        memory(r#"{"swap": 5}"#, "linux.resources.memory.swap", "5 needs a memory limit"),
        memory(r#"{"limit": 10, "swap": 9}"#, "linux.resources.memory.swap", "below the memory limit 10"),
        cpu(r#"{"shares": -1}"#, "linux.resources.cpu.shares", "-1 is not valid"),
        cpu(r#"{"period": 999}"#, "linux.resources.cpu.period", "expected from 1000 to 1000000"),
        cpu(r#"{"period": 1000001}"#, "linux.resources.cpu.period", "1000001 is not a period"),
        cpu(r#"{"quota": 999}"#, "linux.resources.cpu.quota", "999 is not a quota"),
        cpu(r#"{"quota": -2}"#, "linux.resources.cpu.quota", "-2 is not a quota"),
        cpu(r#"{"quota": 5000, "burst": 5001}"#, "linux.resources.cpu.burst", "5001 is above the quota"),
        cpu(r#"{"idle": 2}"#, "linux.resources.cpu.idle", "expected 0 or 1"),
        cpu(r#"{"cpus": "a"}"#, "linux.resources.cpu.cpus", "\"a\" is not a list of numbers"),
        cpu(r#"{"cpus": "3-1"}"#, "linux.resources.cpu.cpus", "is not a list"),
        cpu(r#"{"cpus": "0,"}"#, "linux.resources.cpu.cpus", "is not a list"),
        cpu(r#"{"mems": "-1"}"#, "linux.resources.cpu.mems", "is not a list"),
        cpu(r#"{"mems": "+1"}"#, "linux.resources.cpu.mems", "is not a list"),
        bad("/linux/resources/pids", r#"{"limit": "1"}"#, "linux.resources.pids.limit", "\"1\" is not valid"),
        bad("/linux/resources/pids", r#"{"limit": 1.5}"#, "linux.resources.pids.limit", "1.5 is not valid"),
        rule(r#"[{}]"#, "linux.resources.devices[0].allow", "is required and missing"),
        rule(r#"[{"allow": 1}]"#, "linux.resources.devices[0].allow", "expected true or false"),
        rule(r#"[{"allow": true, "type": "p"}]"#, "linux.resources.devices[0].type", "a, b, c"),
        rule(r#"[{"allow": true, "access": "x"}]"#, "linux.resources.devices[0].access", "letters out of \"rwm\""),
        rule(r#"[{"allow": true, "access": "rr"}]"#, "linux.resources.devices[0].access", "\"rr\" is not an access"),
        rule(r#"[{"allow": true, "access": ""}]"#, "linux.resources.devices[0].access", "is not an access"),
        rule(r#"[{"allow": true, "major": -2}]"#, "linux.resources.devices[0].major", "or -1 for all"),
        rule(r#"[{"allow": true, "minor": 1048576}]"#, "linux.resources.devices[0].minor", "1048576 is not"),
    ]);
}

#[test]
fn further_resources() {
    let io = |json: &str, path, words| bad("/linux/resources/blockIO", json, path, words);
    let huge = |json: &str, path, words| bad("/linux/resources/hugepageLimits", json, path, words);
    let unified = |json: &str, path, words| bad("/linux/resources/unified", json, path, words);
    let network = |json: &str, path, words| bad("/linux/resources/network", json, path, words);
    all_refused(&[
        io(r#"{"weight": 9}"#, "linux.resources.blockIO.weight", "9 is not a weight; expected from 10 to 1000"),
        io(r#"{"leafWeight": 1001}"#, "linux.resources.blockIO.leafWeight", "1001 is not a weight"),
        io(r#"{"weight": 65536}"#, "linux.resources.blockIO.weight", "65536 is not valid"),
        io(r#"{"weightDevice": [{"minor": 0}]}"#, "linux.resources.blockIO.weightDevice[0].major", "is required"),
        io(
            r#"{"weightDevice": [{"major": -1, "minor": 0, "weight": 10}]}"#,
            "linux.resources.blockIO.weightDevice[0].major",
            "-1 is not a device number",
        ),
        io(
            r#"{"weightDevice": [{"major": 8, "minor": 0}]}"#,
            "linux.resources.blockIO.weightDevice[0]",
            "sets no weight; expected weight, leafWeight or both",
        ),
        io(
            r#"{"throttleReadBpsDevice": [{"major": 8, "minor": 0}]}"#,
            "linux.resources.blockIO.throttleReadBpsDevice[0].rate",
            "is required and missing",
        ),
        io(
            r#"{"throttleWriteIOPSDevice": [{"major": 8, "minor": 1048576, "rate": 1}]}"#,
            "linux.resources.blockIO.throttleWriteIOPSDevice[0].minor",
            "1048576 is not",
        ),
        huge("[{}]", "linux.resources.hugepageLimits[0].pageSize", "is required and missing"),
        huge(r#"[{"pageSize": "2MB"}]"#, "linux.resources.hugepageLimits[0].limit", "is required and missing"),
        huge(
            r#"[{"pageSize": "2M", "limit": 1}]"#,
            "linux.resources.hugepageLimits[0].pageSize",
            "\"2M\" is not a size of pages",
        ),
        huge(
            r#"[{"pageSize": "../2MB", "limit": 1}]"#,
            "linux.resources.hugepageLimits[0].pageSize",
            "is not a size of pages",
        ),
        network(r#"{"classID": -1}"#, "linux.resources.network.classID", "-1 is not valid"),
        network(
            r#"{"priorities": [{"name": "a b", "priority": 1}]}"#,
            "linux.resources.network.priorities[0].name",
            "is not the name of an interface",
        ),
        bad("/linux/resources/rdma", r#"{"mlx 5": {}}"#, "linux.resources.rdma[\"mlx 5\"]", "of an RDMA device"),
        bad("/linux/resources/rdma", r#"{"x": {"hcaHandles": -1}}"#, "linux.resources.rdma.x.hcaHandles", "-1 is not"),
        bad("/linux/resources/rdma", r#"{"x": {}}"#, "linux.resources.rdma.x", "sets no limit; expected hcaHandles"),
        huge(
            r#"[{"pageSize": "2MB", "limit": 18446744073709551616}]"#,
            "linux.resources.hugepageLimits[0].limit",
            "is not valid",
        ),
        unified(r#"{"memory.high": 1}"#, "linux.resources.unified[\"memory.high\"]", "expected a string"),
        unified(r#"{"../memory.high": "1"}"#, "linux.resources.unified[\"../memory.high\"]", "is not the name of"),
        unified(r#"{"/x.y": "1"}"#, "linux.resources.unified[\"/x.y\"]", "is not the name of a cgroup file"),
        unified(r#"{"cgroup.procs": "1"}"#, "linux.resources.unified[\"cgroup.procs\"]", "is no limit"),
        bad("/linux/resources/memory", r#"{"swappiness": 101}"#, "linux.resources.memory.swappiness", "from 0 to 100"),
        bad("/linux/resources/memory", r#"{"kernel": -2}"#, "linux.resources.memory.kernel", "-2 is not valid"),
        bad("/linux/resources/memory", r#"{"kernelTCP": "x"}"#, "linux.resources.memory.kernelTCP", "is not valid"),
        bad("/linux/resources/memory", r#"{"disableOOMKiller": 1}"#, "linux.resources.memory.disableOOMKiller", "true"),
        bad("/linux/resources/cpu", r#"{"realtimeRuntime": -2}"#, "linux.resources.cpu.realtimeRuntime", "-2 is not"),
        bad(
            "/linux/resources/cpu",
            r#"{"realtimeRuntime": 2000, "realtimePeriod": 1000}"#,
            "linux.resources.cpu.realtimeRuntime",
            "2000 is above the period (1000)",
        ),
    ]);
}

#[test]
fn intel_rdt() {
    let rdt = |json: &'static str, path: &'static str, words: &'static str| bad("/linux/intelRdt", json, path, words);
    let (name, bandwidth) = ("linux.intelRdt.closID", "linux.intelRdt.memBwSchema");
    all_refused(&[
        rdt("[]", "linux.intelRdt", "expected an object"),
        rdt(r#"{"closID": "."}"#, name, "expected the name of one directory, or \"/\""),
        rdt(r#"{"closID": ".."}"#, name, "is not a class of service"),
        rdt(r#"{"closID": "../x"}"#, name, "is not a class of service"),
        rdt(r#"{"closID": "a/b"}"#, name, "is not a class of service"),
        rdt(r#"{"closID": "//"}"#, name, "is not a class of service"),
        rdt(r#"{"closID": "a\nb"}"#, name, "is not a class of service"),
        rdt(r#"{"closID": "a\u0000"}"#, name, "NUL"),
        rdt(r#"{"closID": 1}"#, name, "expected a string"),
        bad("/linux/intelRdt", format!(r#"{{"closID": "{}"}}"#, "x".repeat(256)), name, "is not a class of service"),
        rdt(r#"{"memBwSchema": "L3:0=f"}"#, bandwidth, "expected one line like \"MB:0=50\""),
        rdt(r#"{"memBwSchema": "MB:0=50\nL3:0=f"}"#, bandwidth, "expected one line"),
        rdt(r#"{"schemata": "L3:0=f"}"#, "linux.intelRdt.schemata", "expected an array of strings"),
        rdt(r#"{"schemata": ["L3:0=f", "L2:0=f\nMB:0=9"]}"#, "linux.intelRdt.schemata[1]", "has more than one line"),
        rdt(r#"{"enableMonitoring": "yes"}"#, "linux.intelRdt.enableMonitoring", "expected true or false"),
    ]);
}

#[test]
fn memory_policies_and_personalities() {
    let policy =
        |json: &'static str, path: &'static str, words: &'static str| bad("/linux/memoryPolicy", json, path, words);
    let persona =
        |json: &'static str, path: &'static str, words: &'static str| bad("/linux/personality", json, path, words);
    let (mode, nodes, flags) = ("linux.memoryPolicy.mode", "linux.memoryPolicy.nodes", "linux.memoryPolicy.flags");
    all_refused(&[
        policy("{}", mode, "is required and missing"),
        policy(r#"{"mode": "BIND"}"#, mode, "MPOL_BIND"),
        policy(r#"{"mode": 2}"#, mode, "2 is not valid here"),
        policy(r#"{"mode": "MPOL_BIND"}"#, nodes, "is missing; expected nodes for MPOL_BIND"),
        policy(r#"{"mode": "MPOL_INTERLEAVE", "nodes": ""}"#, nodes, "is missing"),
        policy(r#"{"mode": "MPOL_WEIGHTED_INTERLEAVE"}"#, nodes, "is missing"),
        policy(r#"{"mode": "MPOL_PREFERRED_MANY"}"#, nodes, "is missing"),
        policy(r#"{"mode": "MPOL_DEFAULT", "nodes": "0"}"#, nodes, "contradicts MPOL_DEFAULT"),
        policy(r#"{"mode": "MPOL_LOCAL", "nodes": "0"}"#, nodes, "contradicts MPOL_LOCAL"),
        policy(r#"{"mode": "MPOL_BIND", "nodes": "0-"}"#, nodes, "is not a list of numbers"),
        policy(r#"{"mode": "MPOL_BIND", "nodes": "x"}"#, nodes, "is not a list of numbers"),
        policy(r#"{"mode": "MPOL_BIND", "nodes": "1024"}"#, nodes, "1024 is out of range"),
        policy(r#"{"mode": "MPOL_BIND", "nodes": 0}"#, nodes, "expected a string"),
        policy(r#"{"mode": "MPOL_BIND", "nodes": "0", "flags": ["STATIC"]}"#, "linux.memoryPolicy.flags[0]", "MPOL_F_"),
        policy(r#"{"mode": "MPOL_BIND", "nodes": "0", "flags": "x"}"#, flags, "expected an array of strings"),
        policy(r#"{"mode": "MPOL_LOCAL", "flags": ["MPOL_F_STATIC_NODES"]}"#, flags, "has no meaning without nodes"),
        policy(r#"{"mode": "MPOL_PREFERRED", "flags": ["MPOL_F_RELATIVE_NODES"]}"#, flags, "without nodes"),
        policy(
            r#"{"mode": "MPOL_BIND", "nodes": "0", "flags": ["MPOL_F_STATIC_NODES", "MPOL_F_RELATIVE_NODES"]}"#,
            flags,
            "contradict each other",
        ),
        policy(
            r#"{"mode": "MPOL_INTERLEAVE", "nodes": "0", "flags": ["MPOL_F_NUMA_BALANCING"]}"#,
            flags,
            "has no meaning for MPOL_INTERLEAVE",
        ),
        persona("{}", "linux.personality.domain", "is required and missing"),
        persona(r#"{"domain": "linux"}"#, "linux.personality.domain", "LINUX, LINUX32"),
        persona(r#"{"domain": "PER_LINUX32"}"#, "linux.personality.domain", "is not valid here"),
        persona(r#"{"domain": "LINUX", "flags": "X"}"#, "linux.personality.flags", "expected an array of strings"),
    ]);
}
