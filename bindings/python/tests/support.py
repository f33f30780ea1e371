"""Helpers shared by the tests of the binding and the driver of the scenarios: a runtime with a state root of its own, and
containers from a script.

BERTH_LIBRARY is the path of libberth.so (default: what cargo has built), BERTH_TEST_ROOTFS a root filesystem that
tools/rootfs has made, BERTH_TEST_CRIU a CRIU that tools/install-criu has unpacked.
"""

import itertools
import os
import shutil
import sys
import tempfile
import time
import unittest
from pathlib import Path

TOP = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(TOP / "bindings/python"))

import berth  # noqa: E402

#: Seconds, for everything that takes milliseconds on an idle machine.
LONG = 120

QUIET = {"stdin": berth.DEVNULL, "stdout": berth.DEVNULL, "stderr": berth.DEVNULL}
PIPES = {"stdin": berth.PIPE, "stdout": berth.PIPE, "stderr": berth.PIPE}

_numbers = itertools.count()


def library_path():
    if "BERTH_LIBRARY" in os.environ:
        return os.environ["BERTH_LIBRARY"]
    target = Path(os.environ.get("CARGO_TARGET_DIR", TOP / "target"))
    built = [target / kind / "libberth.so" for kind in ("release", "debug")]
    return str(next((path for path in built if path.exists()), built[0]))


needs_compiler = unittest.skipUnless(shutil.which("cc"), "there is no C compiler")


def rootfs():
    """Return the path of the root filesystem, or None if there is none."""
    folder = os.environ.get("BERTH_TEST_ROOTFS")
    return folder if folder and os.path.isdir(folder) else None


def spec_of(script, terminal=False, **members):
    """Return the default configuration with a shell script as its program."""
    spec = berth.default_spec()
    spec["process"].update(args=["/bin/sh", "-c", script], terminal=terminal)
    spec.update(members)
    return spec


def config_of(script, terminal=False, **members):
    return berth.Config.from_json(spec_of(script, terminal, **members), rootfs=rootfs())


def process_of(script, terminal=False):
    return dict(spec_of(script, terminal)["process"])


def eventually(what, happened):
    """Poll until the result is true, and return it."""
    deadline = time.monotonic() + LONG
    while True:
        answer = happened()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} has not happened")
        time.sleep(0.002)


def descriptors():
    """Return {number: link target} of this process's descriptors."""
    found = {}
    for name in os.listdir("/proc/self/fd"):
        try:
            found[int(name)] = os.readlink(f"/proc/self/fd/{name}")
        except FileNotFoundError:
            # The descriptor that lists the directory.
            pass
    return found


def children():
    """Return the pids of this process's children, zombies included (proc_pid_stat(5))."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            stat = Path(f"/proc/{name}/stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(stat.rpartition(") ")[2].split()[1]) == os.getpid():
            found.append(int(name))
    return sorted(found)


class World:
    """A runtime whose containers are deleted at the end."""

    def __init__(self, prefix="test-python", parent=None):
        self.prefix = prefix
        self.state_root = tempfile.mkdtemp(prefix="berth-python-state.", dir=parent)
        self.runtime = berth.Runtime(self.state_root)
        self.rootfs = rootfs()

    def new_id(self):
        run = os.environ.get("BERTH_TEST_RUN", "run")
        return f"{self.prefix}-{run}-{os.getpid()}-{next(_numbers)}"

    def create(self, script, terminal=False, **options):
        return self.runtime.create(self.new_id(), config_of(script, terminal), **self._streams(terminal, options))

    def run(self, script, terminal=False, **options):
        return self.runtime.run(self.new_id(), config_of(script, terminal), **self._streams(terminal, options))

    @staticmethod
    def _streams(terminal, options):
        return options if terminal else {**QUIET, **options}

    def delete_all(self):
        for state in self.runtime.list():
            with self.runtime.load(state["id"]) as container:
                container.delete(force=True)

    def close(self):
        self.delete_all()
        self.runtime.close()
        os.rmdir(self.state_root)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class WithContainers(unittest.TestCase):
    """Base class of tests that create containers in self.world; checks that nothing is left."""

    @classmethod
    def setUpClass(cls):
        if os.geteuid() != 0:
            raise unittest.SkipTest("containers need root")
        if rootfs() is None:
            raise unittest.SkipTest("BERTH_TEST_ROOTFS names no root filesystem; tools/rootfs makes one")

    def setUp(self):
        self.world = World()
        self.addCleanup(self.world.close)
        self.runtime = self.world.runtime
