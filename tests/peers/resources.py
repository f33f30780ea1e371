"""`linux.resources` and `linux.cgroupsPath`, mostly with cgroup v1 alone, where this has all controllers."""

from cases import case
from config import ABSENT, put

ALLOW = {"devices": [{"allow": True, "access": "rwm"}]}


def resources(name, value, view="v1", **more):
    def change(config, place):
        put(config, "linux.resources", value if value is ABSENT or value is None else {**ALLOW, **value})

    case(f"resources: {name}{'' if view == 'v1' else f' in {view}'}", change, view=view, **more)


M = 1 << 20
BOTH = {
    "absent": ABSENT,
    "null": None,
    "empty": {},
    "memory empty": {"memory": {}},
    "cpu empty": {"cpu": {}},
    "pids empty": {"pids": {}},
    "unified empty": {"unified": {}},
    "pids unlimited": {"pids": {"limit": -1}},
    "memory unlimited": {"memory": {"limit": -1}},
    "memory null": {"memory": None},
}
for name, value in BOTH.items():
    resources(name, value)
    resources(name, value, view="v2")

for name, value in {
    "memory": {"memory": {"limit": 64 * M}},
    "memory, odd": {"memory": {"limit": 64 * M + 1}},
    "memory 0": {"memory": {"limit": 0}},
    "memory below what is used": {"memory": {"limit": 1000}},
    "memory reservation": {"memory": {"reservation": 32 * M}},
    "memory reservation above the limit": {"memory": {"limit": 64 * M, "reservation": 128 * M}},
    "memory and swap": {"memory": {"limit": 64 * M, "swap": 128 * M}},
    "swap below memory": {"memory": {"limit": 64 * M, "swap": 32 * M}},
    "swap alone": {"memory": {"swap": 128 * M}},
    "swap unlimited": {"memory": {"limit": 64 * M, "swap": -1}},
    "swappiness": {"memory": {"swappiness": 10}},
    "swappiness 0": {"memory": {"swappiness": 0}},
    "swappiness beyond": {"memory": {"swappiness": 101}},
    "oom killer disabled": {"memory": {"limit": 64 * M, "disableOOMKiller": True}},
    "kernel memory": {"memory": {"kernel": 64 * M}},
    "kernel tcp memory": {"memory": {"kernelTCP": 64 * M}},
    "use hierarchy": {"memory": {"useHierarchy": True}},
    "check before update": {"memory": {"limit": 64 * M, "checkBeforeUpdate": True}},
    "cpu shares": {"cpu": {"shares": 512}},
    "cpu shares 0": {"cpu": {"shares": 0}},
    "cpu shares 1": {"cpu": {"shares": 1}},
    "cpu shares beyond": {"cpu": {"shares": 1000000}},
    "cpu quota": {"cpu": {"quota": 50000, "period": 100000}},
    "cpu quota alone": {"cpu": {"quota": 50000}},
    "cpu period alone": {"cpu": {"period": 50000}},
    "cpu quota -1": {"cpu": {"quota": -1, "period": 50000}},
    "cpu quota 0": {"cpu": {"quota": 0, "period": 50000}},
    "cpu quota too small": {"cpu": {"quota": 10, "period": 100000}},
    "cpu burst": {"cpu": {"quota": 50000, "period": 100000, "burst": 10000}},
    "cpu idle": {"cpu": {"idle": 1}},
    "cpu idle 2": {"cpu": {"idle": 2}},
    "realtime": {"cpu": {"realtimeRuntime": 0, "realtimePeriod": 1000000}},
    "cpus": {"cpu": {"cpus": "0"}},
    "cpus as a range": {"cpu": {"cpus": "0-1", "mems": "0"}},
    "cpus that are missing": {"cpu": {"cpus": "1000"}},
    "cpus, words": {"cpu": {"cpus": "words"}},
    "cpus empty": {"cpu": {"cpus": "", "mems": ""}},
    "mems that are missing": {"cpu": {"mems": "99"}},
    "pids": {"pids": {"limit": 100}},
    "pids 1": {"pids": {"limit": 5}},
    "pids 0": {"pids": {"limit": 0}},
    "pids -5": {"pids": {"limit": -5}},
    "weight": {"blockIO": {"weight": 500}},
    "weight 0": {"blockIO": {"weight": 0}},
    "weight beyond": {"blockIO": {"weight": 2000}},
    "block empty": {"blockIO": {}},
    "throttle": {"blockIO": {"throttleReadBpsDevice": [{"major": 254, "minor": 0, "rate": 1000000}]}},
    "throttle writes": {"blockIO": {"throttleWriteIOPSDevice": [{"major": 254, "minor": 0, "rate": 100}]}},
    "throttle a missing device": {"blockIO": {"throttleReadBpsDevice": [{"major": 77, "minor": 7, "rate": 1000}]}},
    "hugepages": {"hugepageLimits": [{"pageSize": "2MB", "limit": 2 * M}]},
    "hugepages unknown": {"hugepageLimits": [{"pageSize": "3MB", "limit": 2 * M}]},
    "network class": {"network": {"classID": 1048577}},
    "network priorities": {"network": {"priorities": [{"name": "lo", "priority": 5}]}},
    "network empty": {"network": {}},
    "rdma": {"rdma": {"mlx5": {"hcaHandles": 3}}},
    "unified in v1": {"unified": {"memory.max": "1000000000"}},
    "unknown member": {"nothing": {"a": 1}},
}.items():
    resources(name, value)

RULES = {
    "deny all, allow null": [
        {"allow": False, "access": "rwm"},
        {"allow": True, "type": "c", "major": 1, "minor": 3, "access": "rw"},
    ],
    "allow all": [{"allow": True, "access": "rwm"}],
    "empty": [],
    "deny one": [{"allow": True, "access": "rwm"}, {"allow": False, "type": "c", "major": 1, "minor": 5, "access": "rwm"}],
    "without access": [{"allow": True, "type": "c", "major": 1, "minor": 3}],
    "wildcards": [{"allow": False, "access": "rwm"}, {"allow": True, "type": "c", "major": 4, "minor": -1, "access": "r"}],
    "type a": [
        {"allow": False, "type": "a", "access": "rwm"},
        {"allow": True, "type": "b", "major": 8, "minor": 1, "access": "m"},
    ],
    "repeated": [{"allow": False, "access": "rwm"}] * 2,
    "unknown type": [{"allow": True, "type": "x", "access": "rwm"}],
    "unknown access": [{"allow": True, "type": "c", "major": 1, "minor": 3, "access": "rwx"}],
    "without allow": [{"type": "c", "major": 10, "minor": 200, "access": "rwm"}],
}
for name, value in RULES.items():
    resources(f"devices: {name}", {"devices": value})
    resources(f"devices: {name}", {"devices": value}, view="v2")

for name, value in {
    "hugepages": {"hugepageLimits": [{"pageSize": "2MB", "limit": 2 * M}]},
    "unified": {"unified": {"hugetlb.2MB.max": "4194304"}},
    "unified, unknown file": {"unified": {"nothing.here": "1"}},
    "unified, cgroup.freeze": {"unified": {"cgroup.freeze": "0"}},
    "unified, cgroup.kill": {"unified": {"cgroup.kill": "0"}},
    "unified, cgroup.type": {"unified": {"cgroup.type": "threaded"}},
    "unified, cgroup.subtree_control": {"unified": {"cgroup.subtree_control": "+hugetlb"}},
    "unified, cgroup.max.depth": {"unified": {"cgroup.max.depth": "3"}},
    "unified, a path": {"unified": {"../cgroup.procs": "1"}},
    # A process that does not exist would be an error of all; 0 is the one that writes.
    "unified, cgroup.procs": {"unified": {"cgroup.procs": "0"}},
    "memory that the host lacks": {"memory": {"limit": 64 * M}},
    "pids that the host lacks": {"pids": {"limit": 10}},
}.items():
    resources(name, value, view="v2")


def path(name, make, view="v1", **more):
    def change(config, place):
        put(config, "linux.cgroupsPath", make(place))

    case(f"cgroupsPath: {name}", change, view=view, **more)


for view in ("v1", "v2"):
    path(f"usual in {view}", lambda place: place.cgroup, view)
    path(f"deep in {view}", lambda place: f"{place.cgroup}/deep/er", view)
    path(f"dots in {view}", lambda place: f"{place.cgroup}/x/../y", view)
    path(f"slashes in {view}", lambda place: f"/{place.cgroup}//", view)
    path(f"absent in {view}", lambda place: ABSENT, view)
path("dots beyond the root", lambda place: f"/../..{place.cgroup}")
path("dots beyond the root in v2", lambda place: f"/../..{place.cgroup}", "v2")


def made_before(place):
    from host import cgroup_folders

    for folder in cgroup_folders(place.cgroup):
        folder.mkdir()


def made_with_a_process(place):
    import subprocess

    from host import cgroup_folders

    made_before(place)
    process = subprocess.Popen(["sleep", "1000"])
    for folder in cgroup_folders(place.cgroup):
        if "cpuset" not in str(folder):
            (folder / "cgroup.procs").write_text(str(process.pid))

    def end():
        process.kill()
        process.wait()

    place.undo.append(end)


for view in ("v1", "v2"):
    case(f"cgroupsPath: made before in {view}", prepare=made_before, view=view, change=lambda config, place: None)
    case(f"cgroupsPath: has a process in {view}", prepare=made_with_a_process, view=view, change=lambda config, place: None)
