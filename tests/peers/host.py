"""Mounts and cgroups of the driver's own mount namespace."""

import ctypes
import os
import subprocess
from pathlib import Path

LIBC = ctypes.CDLL(None, use_errno=True)
MNT_DETACH = 2


def mount(source, target, kind, options=""):
    if LIBC.mount(source.encode(), str(target).encode(), kind.encode(), 0, options.encode()) < 0:
        raise OSError(ctypes.get_errno(), f"mounting {kind} on {target}")


def points():
    with open("/proc/self/mountinfo") as table:
        return [line.split()[4] for line in table]


def unmount_below(folder):
    for point in reversed(points()):
        if point.startswith(f"{folder}/"):
            LIBC.umount2(point.encode(), MNT_DETACH)


def hierarchies():
    """The mount points of the cgroup hierarchies by name: the controllers of v1, "v2"."""
    found = {}
    with open("/proc/self/mountinfo") as table:
        for line in table:
            before, _, after = line.partition(" - ")
            kind, _, options = after.split()[:3]
            if kind == "cgroup2":
                found["v2"] = Path(before.split()[4])
            elif kind == "cgroup":
                known = [name for name in options.split(",") if name not in ("rw", "ro", "xattr", "clone_children")]
                found[",".join(known)] = Path(before.split()[4])
    return found


def cgroup_folders(path):
    return [tree / path.lstrip("/") for tree in hierarchies().values()]


def ip(*arguments):
    subprocess.run(["ip", *arguments], check=True, stderr=subprocess.PIPE)


def processes_of(folder):
    """The pids in a cgroup and those below it."""
    found = []
    for root, _, _ in os.walk(folder):
        try:
            found += [int(pid) for pid in Path(root, "cgroup.procs").read_text().split()]
        except OSError:
            pass
    return found


def mount_with(target, options):
    """A tmpfs with these flags."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", ",".join(options), "tmpfs", str(target)], check=True)
