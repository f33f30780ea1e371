"""Namespaces, new, joined and absent; sysctls, devices, masked paths and the rest of `linux` that is no resource."""

import os
import subprocess
from pathlib import Path

from cases import case
from config import ABSENT, in_user_namespace, mount, put, watch


def linux(name, value, *watched, member="", who="root", view="v2", **more):
    def change(config, place):
        put(config, f"linux.{member or name.partition(':')[0]}", value)
        watch(config, *watched)

    case(f"linux.{name}", change, who=who, view=view, **more)


def without(kind, *also, view="v2", **more):
    def change(config, place):
        config["linux"]["namespaces"] = [entry for entry in config["linux"]["namespaces"] if entry["type"] != kind]
        for path, value in also:
            put(config, path, value)

    case(f"linux.namespaces: without {kind}", change, view=view, **more)


without("pid")
without("network")
without("ipc")
without("uts", ("hostname", ABSENT))
without("cgroup")
without("mount")


def a_writable_cgroup_mount(config, place):
    config["linux"]["namespaces"] = [entry for entry in config["linux"]["namespaces"] if entry["type"] != "cgroup"]
    for entry in config["mounts"]:
        if entry["type"] == "cgroup":
            entry["options"] = [option for option in entry["options"] if option != "ro"]


case("linux.namespaces: without cgroup, with a writable mount of cgroups", a_writable_cgroup_mount, view="v1")


def entries(name, make, **more):
    def change(config, place):
        make(config["linux"]["namespaces"], place)

    case(f"linux.namespaces: {name}", change, **more)


entries("twice the same", lambda all, place: all.append({"type": "pid"}))
entries("unknown", lambda all, place: all.append({"type": "nothing"}))
entries("upper case", lambda all, place: all.append({"type": "PID"}))
entries("time", lambda all, place: all.append({"type": "time"}))
entries("empty path", lambda all, place: all.append({"type": "time", "path": ""}))
entries("without a type", lambda all, place: all.append({"path": "/proc/self/ns/net"}))
linux("namespaces: empty", [])
linux("namespaces: absent", ABSENT)
linux("namespaces: null", None)


def holder(place, *types):
    """A process with new namespaces, which lives as long as the case; its folder in /proc."""
    own = subprocess.Popen(["unshare", *types, "sh", "-c", "echo ready; exec sleep 1000"], stdout=subprocess.PIPE)
    own.stdout.readline()

    def end():
        own.kill()
        own.wait()
        own.stdout.close()

    place.undo.append(end)
    return f"/proc/{own.pid}/ns"


def joined(kind, option, also=None, name="", **more):
    file = {"network": "net", "mount": "mnt"}.get(kind, kind)

    def change(config, place):
        folder = holder(place, option)
        for entry in config["linux"]["namespaces"]:
            if entry["type"] == kind:
                entry["path"] = f"{folder}/{file}"
        if also:
            also(config)

    case(f"linux.namespaces: joined {kind}{name}", change, **more)


joined("network", "--net")
joined("ipc", "--ipc")
joined("uts", "--uts")
joined("cgroup", "--cgroup")
joined("mount", "--mount")
joined("network", "--net", lambda config: put(config, "linux.sysctl", {"net.ipv4.ip_forward": "1"}), " with a sysctl")
joined("ipc", "--ipc", lambda config: put(config, "linux.sysctl", {"kernel.shmmax": "1000000"}), " with a sysctl")
for view in ("v1", "v2"):
    joined("cgroup", "--cgroup", name=f" in a user namespace in {view}", who="userns", view=view)


def wrong_namespace(config, place):
    folder = holder(place, "--uts")
    config["linux"]["namespaces"][1]["path"] = f"{folder}/uts"


case("linux.namespaces: joined by the path of another type", wrong_namespace)


def missing_namespace(config, place):
    config["linux"]["namespaces"][1]["path"] = "/nothing/here"


case("linux.namespaces: joined by a path that is missing", missing_namespace)

linux("timeOffsets: usual", {"monotonic": {"secs": 1000, "nanosecs": 0}})


def time_offsets(config, place):
    config["linux"]["namespaces"].append({"type": "time"})
    config["linux"]["timeOffsets"] = {"monotonic": {"secs": 1000, "nanosecs": 5}, "boottime": {"secs": 10}}


case("linux.timeOffsets: in a time namespace", time_offsets)

NET, IPC, UTS = "/proc/sys/net/ipv4/ip_forward", "/proc/sys/kernel/shmmax", "/proc/sys/kernel/domainname"
linux("sysctl: empty", {})
linux("sysctl: null", None)
linux("sysctl: net", {"net.ipv4.ip_forward": "1"}, NET)
linux("sysctl: net, with slashes", {"net/ipv4/ip_forward": "1"}, NET)
linux("sysctl: ipc", {"kernel.shmmax": "1000000", "fs.mqueue.msg_max": "20"}, IPC, "/proc/sys/fs/mqueue/msg_max")
linux("sysctl: uts", {"kernel.domainname": "example"}, UTS)
linux("sysctl: hostname", {"kernel.hostname": "other"})
# Should a runtime set it, it sets what there is.
linux("sysctl: of the host", {"kernel.pid_max": Path("/proc/sys/kernel/pid_max").read_text().strip()})
linux("sysctl: unknown", {"net.nothing.here": "1"})
linux("sysctl: empty name", {"": "1"})
linux("sysctl: empty value", {"net.ipv4.ip_forward": ""}, NET)
linux("sysctl: a value that is refused", {"net.ipv4.ip_forward": "words"})
linux("sysctl: dots in an interface's name", {"net/ipv4/conf/lo/forwarding": "1"}, "/proc/sys/net/ipv4/conf/lo/forwarding")
linux("sysctl: two spellings", {"net.ipv4.ip_forward": "1", "net/ipv4/ip_forward": "0"}, NET)
linux("sysctl: two spellings, equal", {"net.ipv4.ip_forward": "1", "net/ipv4/ip_forward": "1"}, NET)


def domain_names(domain, sysctl):
    def change(config, place):
        config["domainname"] = domain
        config["linux"]["sysctl"] = {"kernel.domainname": sysctl}

    return change


case("domainname: twice, different", domain_names("one", "two"))
case("domainname: twice, equal", domain_names("one", "one"))

A = {"path": "/dev/a", "type": "c", "major": 1, "minor": 3, "fileMode": 0o640, "uid": 5, "gid": 6}


def devices(name, *made, who="root", allow=True, **more):
    def change(config, place):
        config["linux"]["devices"] = list(made)
        if allow and who != "rootless":
            config["linux"]["resources"]["devices"] = [{"allow": True, "access": "rwm"}]
        watch(config, *{device["path"] for device in made if device.get("path", "").startswith("/opt")})

    more_name = {"userns": " in a user namespace"}.get(who, "")
    case(f"linux.devices: {name}{more_name}", change, who=who, **more)


devices("empty")
linux("devices: null", None)
devices("usual", A)
devices("not allowed", A, allow=False)
devices("without mode and owner", {"path": "/dev/a", "type": "c", "major": 1, "minor": 3})
devices("fifo", {"path": "/dev/pipe", "type": "p", "fileMode": 0o600})
devices("block", {"path": "/dev/block", "type": "b", "major": 7, "minor": 0, "fileMode": 0o660})
devices("u", {"path": "/dev/u", "type": "u", "major": 1, "minor": 3})
devices("unknown type", {"path": "/dev/x", "type": "x", "major": 1, "minor": 3})
devices("without numbers", {"path": "/dev/x", "type": "c"})
devices("outside /dev", {**A, "path": "/opt/a"})
devices("deep", {**A, "path": "/dev/deep/er/a"})
devices("with dots", {**A, "path": "/dev/../dev/./a"})
devices("relative", {**A, "path": "a"})
devices("twice, equal", A, A)
devices("twice, different", A, {**A, "minor": 5})
devices("one of the default ones", {**A, "path": "/dev/null"})
devices("another at a default path", {**A, "path": "/dev/zero"})
devices("another mode", {**A, "path": "/dev/null", "fileMode": 0o600})
devices("null", {"path": "/dev/null", "type": "c", "major": 1, "minor": 3}, who="userns")
devices("mode and owner", {**A, "path": "/dev/zero", "minor": 5}, who="userns")
devices("another path", A, who="userns")

for name, value in {
    "absent": ABSENT,
    "empty": [],
    "null": None,
    "usual": ["/proc/filesystems", "/etc"],
    "missing": ["/nothing/here"],
    "repeated": ["/etc", "/etc"],
    "relative": ["etc"],
    "dots": ["/opt/../etc"],
    "empty word": [""],
    "link": ["/usr/bin"],
    "the program": ["/etc/passwd"],
}.items():
    linux(f"maskedPaths: {name}", value, "/etc", "/proc/filesystems", "/etc/passwd")
    linux(f"readonlyPaths: {name}", value, "/etc", "/proc/filesystems", "/etc/passwd")

for value in ("", "private", "rprivate", "slave", "rslave", "shared", "rshared", "unbindable", "runbindable", "nothing"):
    linux(f"rootfsPropagation: {value or 'empty'}", value)
linux("mountLabel: empty", "")
linux("personality: usual", {"domain": "LINUX"})
linux("personality: 32 bits", {"domain": "LINUX32"})
linux("personality: unknown", {"domain": "NOTHING"})
linux("personality: flags", {"domain": "LINUX", "flags": ["ADDR_NO_RANDOMIZE"]})

ERRNO = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO"}]}
linux("seccomp: usual", ERRNO, "/tmp")
linux("seccomp: null", None)
linux("seccomp: empty", {})
linux("seccomp: nothing refused", {"defaultAction": "SCMP_ACT_ALLOW"})
linux("seccomp: with architectures", {**ERRNO, "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"]}, "/tmp")
linux("seccomp: unknown architecture", {**ERRNO, "architectures": ["SCMP_ARCH_NOTHING"]})
linux("seccomp: unknown action", {"defaultAction": "SCMP_ACT_NOTHING"})
linux(
    "seccomp: unknown call",
    {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["frobnicate"], "action": "SCMP_ACT_ERRNO"}]},
)
linux("seccomp: another errno", {**ERRNO, "syscalls": [{**ERRNO["syscalls"][0], "errnoRet": 5}]}, "/tmp")
linux(
    "seccomp: argument",
    {
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [
            {"names": ["mkdir"], "action": "SCMP_ACT_ERRNO", "args": [{"index": 1, "value": 0o777, "op": "SCMP_CMP_EQ"}]}
        ],
    },
    "/tmp",
)
linux(
    "seccomp: argument beyond the last",
    {
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{"names": ["mkdir"], "action": "SCMP_ACT_ERRNO", "args": [{"index": 6, "value": 0, "op": "SCMP_CMP_EQ"}]}],
    },
)
linux("seccomp: empty names", {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": [], "action": "SCMP_ACT_ERRNO"}]})
linux("seccomp: flags", {**ERRNO, "flags": ["SECCOMP_FILTER_FLAG_LOG"]}, "/tmp")
linux("seccomp: unknown flag", {**ERRNO, "flags": ["SECCOMP_FILTER_FLAG_NOTHING"]})
linux("seccomp: the same call twice", {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": ERRNO["syscalls"] * 2}, "/tmp")
linux("seccomp: default errno", {"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 38, "syscalls": []})
linux("seccomp: notify by default", {"defaultAction": "SCMP_ACT_NOTIFY", "listenerPath": "/nothing/here"})

linux("intelRdt: where there is none", {"closID": "x"})
linux("netDevices: missing", {"nothing0": {}})
linux("uidMappings: without a user namespace", [{"containerID": 0, "hostID": 100000, "size": 10}])


def device_moved(config, place):
    from host import ip

    name = f"p{os.getpid() % 100000}{place.name}"
    ip("link", "add", name, "type", "veth", "peer", "name", f"q{name[1:]}")
    place.undo.append(lambda: ip("link", "delete", f"q{name[1:]}"))
    config["linux"]["netDevices"] = {name: {"name": "moved0"}}


case("linux.netDevices: moved and renamed", device_moved)


def mounts_joined(config, place):
    folder = holder(place, "--mount")
    for entry in config["linux"]["namespaces"]:
        if entry["type"] == "mount":
            entry["path"] = f"{folder}/mnt"
    config["mounts"] = [mount("/proc", "proc", "proc"), mount("/mnt", "tmpfs", "tmpfs")]
    config["linux"].pop("maskedPaths")
    config["linux"].pop("readonlyPaths")


case("linux.namespaces: joined mount with mounts", mounts_joined)


def mapped(name, **members):
    def change(config, place):
        in_user_namespace(config)
        for entry in config["mounts"]:
            # A group that the mappings need not have.
            entry["options"] = [option for option in entry["options"] if option != "gid=5"]
        for member, value in members.items():
            put(config, f"linux.{member}", value)

    case(f"user namespace: {name}", change, who="root")


def one(size, inside=0, outside=100000):
    return [{"containerID": inside, "hostID": outside, "size": size}]


mapped("without mappings", uidMappings=ABSENT, gidMappings=ABSENT)
mapped("empty mappings", uidMappings=[], gidMappings=[])
mapped("without gid mappings", gidMappings=ABSENT)
mapped("of one id", uidMappings=one(1), gidMappings=one(1))
mapped("without the root", uidMappings=one(10, 5), gidMappings=one(10, 5))
mapped("two ranges", uidMappings=one(10) + one(10, 10, 200000), gidMappings=one(10) + one(10, 10, 200000))
mapped("overlapping ranges", uidMappings=one(10) + one(10, 5, 200000), gidMappings=one(10))
mapped("size 0", uidMappings=one(0), gidMappings=one(0))
mapped("the host's root", uidMappings=one(65536, 0, 0), gidMappings=one(65536, 0, 0))
