"""Runs a case under one runtime and collects facts: what the program sees, what the host sees, what is left."""

import contextlib
import os
import signal
import subprocess
import threading

import config as configs
import facts
from host import cgroup_folders, hierarchies, processes_of
from place import USER

SECONDS = 60

CGROUP_FILES = (
    "cgroup.type",
    "cgroup.freeze",
    "cpu.shares",
    "cpu.cfs_quota_us",
    "cpu.cfs_period_us",
    "cpu.cfs_burst_us",
    "cpu.idle",
    "cpu.rt_runtime_us",
    "cpu.rt_period_us",
    "cpu.max",
    "cpu.max.burst",
    "cpu.weight",
    "cpuset.cpus",
    "cpuset.mems",
    "memory.limit_in_bytes",
    "memory.soft_limit_in_bytes",
    "memory.memsw.limit_in_bytes",
    "memory.kmem.limit_in_bytes",
    "memory.kmem.tcp.limit_in_bytes",
    "memory.swappiness",
    "memory.oom_control",
    "memory.max",
    "memory.high",
    "memory.low",
    "memory.swap.max",
    "pids.max",
    "devices.list",
    "blkio.weight",
    "blkio.bfq.weight",
    "blkio.throttle.read_bps_device",
    "blkio.throttle.write_bps_device",
    "blkio.throttle.read_iops_device",
    "blkio.throttle.write_iops_device",
    "io.max",
    "freezer.state",
    "hugetlb.2MB.limit_in_bytes",
    "hugetlb.2MB.max",
    "hugetlb.1GB.max",
    "hugetlb.2MB.rsvd.max",
    "rdma.max",
)


class Runtime:
    """One of the runtimes, which run in turn in the same Place."""

    def __init__(self, name, program):
        self.name = name
        self.program = str(program)

    def start(self, place, *arguments, **more):
        if place.who == "rootless":
            home = {
                "HOME": str(place.folder),
                "USER": "peers",
                "XDG_RUNTIME_DIR": str(place.folder),
                "PATH": os.environ["PATH"],
            }
            more = {"user": USER, "group": USER, "extra_groups": [], "env": home, **more}
        return subprocess.Popen([self.program, "--root", str(place.state), *arguments], cwd=place.folder, **more)

    def call(self, place, *arguments, given="", seconds=SECONDS, **more):
        """The exit status and both outputs of a command that ends by itself."""
        streams = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        with self.start(place, *arguments, **streams, **more) as process:
            with deadline(process, place, seconds):
                output, errors = process.communicate(given.encode())
        return process.returncode, output.decode(errors="replace"), errors.decode(errors="replace")


@contextlib.contextmanager
def deadline(process, place, seconds=SECONDS):
    def end():
        for folder in cgroup_folders(place.cgroup):
            for pid in processes_of(folder):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        process.kill()

    timer = threading.Timer(seconds, end)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def configuration(case, place):
    config = configs.usual()
    config["linux"]["cgroupsPath"] = place.cgroup
    if case.who == "userns":
        configs.in_user_namespace(config)
    elif case.who == "rootless":
        configs.rootless(config, USER)
    if case.prepare:
        case.prepare(place)
    if case.change:
        config = case.change(config, place) or config
    return config


def perform(runtime, case, place):
    """The facts of one case under one runtime."""
    place.write(configuration(case, place))
    if case.commands:
        found = case.commands(runtime, place)
    else:
        found = run(runtime, place)
    if found.get("outcome") == "ran":
        found.update(place.changes())
        if (place.outside / "said").exists():
            found["said by a hook"] = (place.outside / "said").read_text().strip()
    found.update(place.left())
    clean_up(runtime, place)
    return found


def run(runtime, place):
    """`run` in the foreground, with pipes; the program waits until the host has looked."""
    with runtime.start(
        place,
        "run",
        "--bundle",
        str(place.bundle),
        *place.options,
        place.id,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process, deadline(process, place):
        lines = []
        for line in process.stdout:
            lines.append(line.decode(errors="replace").rstrip("\n"))
            if lines[-1] == "@ready":
                break
        found = seen_by_the_host(place) if lines and lines[-1] == "@ready" else {}
        rest, errors = process.communicate(b"go\n")
    if "@ready" not in lines:
        return {"outcome": "exit 0" if process.returncode == 0 else "refused", "#errors": errors.decode(errors="replace").strip()}
    found.update(facts.of_program(lines))
    found["outcome"] = "ran"
    found["exit status"] = str(process.returncode)
    found["output after it was let go"] = rest.decode(errors="replace").strip()
    return found


def seen_by_the_host(place):
    found = {}
    for name, tree in hierarchies().items():
        folder = tree / place.cgroup.lstrip("/")
        if not folder.exists():
            found[f"cgroup of {name}"] = "is missing"
            continue
        status = folder.stat()
        found[f"cgroup of {name}"] = (
            f"{status.st_mode:o} {status.st_uid}:{status.st_gid}, {len(processes_of(folder))} processes"
        )
        for file in CGROUP_FILES:
            with contextlib.suppress(OSError):
                value = (folder / file).read_text().strip()
                if file == "devices.list":
                    found.update(
                        {f"device rule {line.rpartition(' ')[0]}": line.rpartition(" ")[2] for line in value.splitlines()}
                    )
                # No limit is the same as a controller that is not enabled.
                elif value not in ("max", "9223372036854771712"):
                    found[f"cgroup file {file}" if name == "v2" else f"cgroup file {name}/{file}"] = value
    return found


def clean_up(runtime, place):
    """Removes what a runtime has left, so that the next one finds nothing of it."""
    if any(place.state.rglob("state.json")) or any(place.state.rglob("status")):
        with contextlib.suppress(subprocess.TimeoutExpired):
            runtime.call(place, "delete", "--force", place.id)
    for folder in cgroup_folders(place.cgroup):
        for pid in processes_of(folder):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
