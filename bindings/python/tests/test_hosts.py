"""A caller with 32 threads and an event loop runs 200 containers, and then 200 more: nothing is left, nothing grows.

    test_hosts.py STATE_ROOT ROUNDS      is that host: it prints what it has after each round

It runs in a process of its own, so that other tests do not affect its memory.
"""

import asyncio
import concurrent.futures
import contextlib
import ctypes
import gc
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import support
from support import LONG, QUIET, WithContainers, berth, config_of, children, descriptors

from berth import aio

THREADS = 32
# In the emulated virtual machine everything takes ten times as long.
IN_THREADS = IN_LOOP = 20 if os.environ.get("BERTH_VM") else 100
AT_ONCE = 25
SCRIPT = "read line; echo $line; exit 3"


def live(runtime, config, number):
    """Run a container from create to delete in a thread."""
    options = {**QUIET, "stdin": berth.PIPE, "stdout": berth.PIPE}
    with berth.deleting(runtime.run(f"thread-{number}", config, **options)) as container:
        with subscribed(container) as events:
            container.stats()
            with container.exec(["cat"], **options) as process:
                assert process.communicate(b"word", timeout=LONG) == (b"word", b"")
                assert process.wait(LONG).code == 0
            container.pause()
            container.resume()
            try:
                container.start()
                raise AssertionError("it was started twice")
            except berth.AlreadyRunning:
                pass
            assert container.init.communicate(b"word\n", timeout=LONG)[0] == b"word\n"
            assert container.wait(LONG).code == 3
            assert events is None or list(events) == []


async def live_in_loop(runtime, config, number, turns):
    """Run a container from create to delete in the event loop."""
    options = {**QUIET, "stdin": berth.PIPE, "stdout": berth.PIPE}
    async with turns, aio.deleting(await runtime.create(f"loop-{number}", config, **options)) as container:
        await container.start()
        with subscribed(container) as events:
            container.stats()
            with await container.exec(["cat"], **options) as process:
                assert await process.communicate(b"word") == (b"word", b"")
                assert (await process.wait()).code == 0
            # This process is not waited for.
            await container.exec(["true"], **QUIET)
            ended = asyncio.ensure_future(container.wait())
            assert (await container.init.communicate(b"word\n"))[0] == b"word\n"
            assert (await ended).code == 3
            assert events is None or [one async for one in events] == []


@contextlib.contextmanager
def subscribed(container):
    """Return None if the machine has no memory controller."""
    try:
        events = container.notify_oom()
    except berth.Unsupported:
        yield None
    else:
        with events:
            yield events


async def loop(state_root, config):
    turns = asyncio.Semaphore(AT_ONCE)
    with aio.Runtime(state_root) as runtime:
        await asyncio.gather(*(live_in_loop(runtime, config, number, turns) for number in range(IN_LOOP)))


def host(state_root):
    """Run one round of containers at the same time, half of them in threads, half in the event loop."""
    with berth.Runtime(state_root) as runtime, config_of(SCRIPT) as config:
        with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
            lives = [pool.submit(live, runtime, config, number) for number in range(IN_THREADS)]
            asyncio.run(loop(state_root, config))
            for one in lives:
                one.result()
        assert runtime.list() == []


class Mallinfo(ctypes.Structure):
    _fields_ = [
        (name, ctypes.c_size_t)
        for name in "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost".split()
    ]


LIBC = ctypes.CDLL(None)
LIBC.mallinfo2.restype = Mallinfo


def footprint():
    gc.collect()
    info = LIBC.mallinfo2()
    status = Path("/proc/self/status").read_text()
    return {
        "descriptors": len(descriptors()),
        "threads": threading.active_count(),
        "tasks": len(os.listdir("/proc/self/task")),
        "children": len(children()),
        "heap": info.uordblks + info.hblkhd,
        "blocks": sys.getallocatedblocks(),
        "resident": 1024 * int(status.split("VmRSS:")[1].split()[0]),
    }


class Host(WithContainers):
    def test_nothing_stays_and_the_second_round_does_not_grow(self):
        # A first round fills caches of Python and of the C library.
        command = [sys.executable, __file__, self.world.state_root, "3"]
        environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True
        )
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        _, first, second = json.loads(done.stdout)
        message = f"after the first round: {first}, after the second: {second}"
        for found in (first, second):
            self.assertEqual((found["children"], found["threads"], found["tasks"]), (0, 1, 1), message)
        self.assertEqual(first["descriptors"], second["descriptors"], message)
        self.assertLess(second["descriptors"], 12, message)
        # A leak of a third of a kilobyte, or of two Python objects, for each container would exceed this.
        containers = IN_THREADS + IN_LOOP
        self.assertLess(second["heap"] - first["heap"], 330 * containers, message)
        self.assertLess(second["blocks"] - first["blocks"], 2 * containers, message)
        self.assertLess(second["resident"] - first["resident"], 2 << 20, message)


class Repeated(WithContainers):
    def grows_not(self, call, times):
        """Not even by 16 bytes for each call."""
        for _ in range(100):
            call()
        before = footprint()
        for _ in range(times):
            call()
        after = footprint()
        self.assertLess(after["heap"] - before["heap"], 16 * times)
        self.assertLess(after["blocks"] - before["blocks"], times // 2)

    def test_errors_are_released(self):
        def fail():
            try:
                self.runtime.load("not-there")
            except berth.NotFound:
                pass

        self.grows_not(fail, 3000)

    def test_configurations_and_strings_are_released(self):
        text = json.dumps(support.spec_of("true"))
        self.grows_not(lambda: berth.Config.from_json(text, rootfs="/").to_json(), 3000)

    def test_handles_pids_and_statistics_are_released(self):
        with self.world.run("sleep 1000") as container:

            def look():
                with self.runtime.load(container.id) as again:
                    again.pids()
                    again.init.pid
                container.stats()

            self.grows_not(look, 1000)


def main():
    berth.load(support.library_path())
    found = []
    for _ in range(int(sys.argv[2])):
        host(sys.argv[1])
        found.append(footprint())
    print(json.dumps(found))


if __name__ == "__main__":
    main()
