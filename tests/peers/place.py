"""Where a container of one runtime lives: a bundle whose root filesystem is an overlay of its own, a state root, a cgroup."""

import contextlib
import json
import os
import shutil
import subprocess
from pathlib import Path

from host import cgroup_folders, hierarchies, mount, unmount_below

USER = 61234


class Place:
    """The same paths for every runtime, which use it one after the other."""

    def __init__(self, folder, lower, parent, name, who):
        self.folder = Path(folder)
        self.lower = lower
        self.name = name
        self.who = who
        self.id = name
        self.bundle = self.folder / "bundle"
        self.rootfs = self.bundle / "rootfs"
        self.upper = self.folder / "private/upper"
        self.outside = self.folder / "outside"
        self.state = self.folder / "state"
        self.cgroup = f"/{parent}/{name}"
        # What `run` gets before its id.
        self.options = []
        self.undo = []

    def __enter__(self):
        for path in (self.rootfs, self.folder / "private", self.outside, self.state):
            path.mkdir(parents=True)
        mount("tmpfs", self.folder / "private", "tmpfs")
        work = self.folder / "private/work"
        self.upper.mkdir()
        work.mkdir()
        os.chmod(self.upper, 0o755)
        mount("overlay", self.rootfs, "overlay", f"lowerdir={self.lower},upperdir={self.upper},workdir={work}")
        return self

    def __exit__(self, *_):
        for call in reversed(self.undo):
            with contextlib.suppress(OSError, subprocess.CalledProcessError):
                call()
        unmount_below(self.folder)
        shutil.rmtree(self.folder)
        for folder in cgroup_folders(self.cgroup):
            remove_cgroups(folder)

    def write(self, config):
        text = config if isinstance(config, (str, bytes)) else json.dumps(config)
        mode = "wb" if isinstance(text, bytes) else "w"
        with open(self.bundle / "config.json", mode) as file:
            file.write(text)
        if self.who == "rootless":
            for path in (self.folder, self.bundle, self.outside, self.state, self.bundle / "config.json"):
                os.chown(path, USER, USER)

    def file(self, path, text="", mode=0o644):
        """Makes a file beneath the case's folder."""
        path = self.folder / path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        os.chmod(path, mode)
        return str(path)

    def directory(self, path, mode=0o755):
        path = self.folder / path
        path.mkdir(parents=True, exist_ok=True)
        os.chmod(path, mode)
        return str(path)

    def link(self, path, target):
        path = self.folder / path
        path.parent.mkdir(parents=True, exist_ok=True)
        os.symlink(target, path)
        return str(path)

    def left(self):
        """What is there after the container: facts by name."""
        facts = {}
        for name, tree in hierarchies().items():
            if (tree / self.cgroup.lstrip("/")).exists():
                facts[f"left cgroup of {name}"] = "is there"
        for root, folders, files in os.walk(self.state):
            for name in folders + files:
                path = os.path.relpath(os.path.join(root, name), self.state)
                if path.split("/")[0] == self.id or self.id in path:
                    facts[f"left state of {self.id}"] = "is there"
        with open("/proc/self/mountinfo") as table:
            for line in table:
                point = line.split()[4]
                if point.startswith(str(self.folder)) and point not in (str(self.rootfs), str(self.folder / "private")):
                    facts[f"left mount {os.path.relpath(point, self.folder)}"] = "is there"
        return facts

    def changes(self):
        """What was made in the root filesystem: facts by path."""
        facts = {}
        for root, folders, files in os.walk(self.upper):
            for name in sorted(folders + files):
                path = os.path.join(root, name)
                status = os.lstat(path)
                facts[f"image {os.path.relpath(path, self.upper)}"] = f"{status.st_mode:o} {status.st_uid}:{status.st_gid}"
        return facts


def remove_cgroups(folder):
    for root, _, _ in os.walk(folder, topdown=False):
        with contextlib.suppress(OSError):
            os.rmdir(root)
