"""Containers of an ordinary user, without anybody's help: one id, no cgroup."""

import os

from cases import case
from config import ABSENT, mount, put, watch
from mounts import KINDS


def rootless(name, change=None, **more):
    case(f"rootless: {name}", change, who="rootless", **more)


def field(path, value, *watched):
    def change(config, place):
        put(config, path, value)
        watch(config, *watched)

    rootless(f"{path}: {value if value is not ABSENT else 'absent'}", change)


def own(place):
    os.chmod(place.upper, 0o777)


rootless("usual")
rootless("usual in v1", view="v1")
for kind in ("bind of a directory", "bind of a file", "tmpfs", "proc", "devpts", "mqueue", "sysfs", "overlay"):

    def over(config, place, kind=kind):
        config["mounts"].append(KINDS[kind](place, "/mnt"))
        watch(config, "/mnt")

    rootless(f"{kind} over a directory", over)


def new_target(config, place):
    config["mounts"].append(mount("/made/here", "tmpfs", "tmpfs"))
    watch(config, "/made/here")


rootless("a target that is missing", new_target)
rootless("a target that is missing, in a root of its own", new_target, prepare=own)
field("process.user", {"uid": 1000, "gid": 1000})
field("process.user.additionalGids", [5])
field("process.oomScoreAdj", 500)
field("process.oomScoreAdj", -500)
field("process.noNewPrivileges", False)
field("process.capabilities", ABSENT)
field("process.rlimits", [{"type": "RLIMIT_NOFILE", "soft": 100, "hard": 100}])
field("process.rlimits", [{"type": "RLIMIT_NOFILE", "soft": 1 << 30, "hard": 1 << 30}])
field("hostname", "mine")
field("root.readonly", True)
field("linux.sysctl", {"kernel.domainname": "mine"}, "/proc/sys/kernel/domainname")
field("linux.cgroupsPath", "/berth-peers-of-a-user")
field("linux.resources", {"pids": {"limit": 100}})
field("linux.resources", {"devices": [{"allow": False, "access": "rwm"}]})
field("linux.uidMappings", ABSENT)
field("linux.uidMappings", [{"containerID": 0, "hostID": 0, "size": 1}])
field("linux.uidMappings", [{"containerID": 0, "hostID": 61234, "size": 10}])
field("linux.devices", [{"path": "/dev/null", "type": "c", "major": 1, "minor": 3}])
field("linux.devices", [{"path": "/dev/a", "type": "c", "major": 1, "minor": 3}])
field("linux.maskedPaths", ["/etc"], "/etc")
field("linux.readonlyPaths", ["/tmp"], "/tmp")
field("linux.rootfsPropagation", "rslave")
field(
    "linux.seccomp", {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mkdir"], "action": "SCMP_ACT_ERRNO"}]}, "/tmp"
)


def with_network(config, place):
    config["linux"]["namespaces"].append({"type": "network"})


rootless("a network namespace", with_network)


def without_user_namespace(config, place):
    linux = config["linux"]
    linux["namespaces"] = [entry for entry in linux["namespaces"] if entry["type"] != "user"]
    linux.pop("uidMappings"), linux.pop("gidMappings")


rootless("without a user namespace", without_user_namespace)
