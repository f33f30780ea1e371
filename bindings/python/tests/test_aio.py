"""Tests of asyncio: the event loop waits on descriptors; cancelled calls leave nothing."""

import asyncio
import gc
import os
import signal
import sys
import threading
import unittest
from unittest import mock

from support import LONG, QUIET, WithContainers, berth, children, config_of, descriptors, process_of

from berth import aio

#: Creates a container and waits for its end.
PARENT = f"""
import sys
sys.path.insert(0, {os.path.dirname(__file__)!r})
import support
from support import berth
berth.load(support.library_path())
with berth.Runtime(sys.argv[1]) as runtime, support.config_of("exit 4") as config:
    with runtime.create("another-programs", config, **support.QUIET) as container:
        print(container.id, flush=True)
        sys.exit(container.wait(support.LONG).code)
"""


class Loop(WithContainers, unittest.IsolatedAsyncioTestCase):
    def setUp(self):
        super().setUp()
        self.aio = aio.Runtime(self.world.state_root)
        self.addCleanup(self.aio.close)

    async def run_script(self, script, terminal=False, **options):
        options = options if terminal else {**QUIET, **options}
        with config_of(script, terminal) as config:
            return await self.aio.run(self.world.new_id(), config, **options)

    def deleting(self, container):
        return aio.deleting(container)


class Waiting(Loop):
    async def test_life_cycle(self):
        with config_of("exit 3") as config:
            container = await self.aio.create(self.world.new_id(), config, **QUIET)
        async with aio.deleting(container):
            self.assertEqual(container.status(), berth.Status.CREATED)
            await container.start()
            self.assertEqual(await container.wait(), berth.ExitStatus(3))
            self.assertEqual(container.status(), berth.Status.STOPPED)
            await container.delete()
            self.assertEqual(await container.wait(), berth.ExitStatus(3))
            self.assertEqual(await self.aio.recover(), [])

    async def test_waiting_starts_no_thread_and_does_not_block(self):
        async with aio.deleting(await self.run_script("sleep 1000")) as container:
            before = threading.enumerate()
            waiters = [asyncio.create_task(container.wait()) for _ in range(10)]
            await asyncio.sleep(0.05)
            self.assertFalse(any(waiter.done() for waiter in waiters))
            # Sent with os.kill, so that no call on the container is involved.
            os.kill(container.init.pid, signal.SIGKILL)
            self.assertEqual(await asyncio.gather(*waiters), [berth.ExitStatus(None, 9)] * 10)
            self.assertEqual(threading.enumerate(), before)

    async def test_waiting_can_be_given_up_and_begun_again(self):
        async with aio.deleting(await self.run_script("sleep 1000")) as container:
            for _ in range(3):
                with self.assertRaises(asyncio.TimeoutError):
                    await asyncio.wait_for(container.wait(), 0.02)
            self.assertFalse(container._readable._waiters)
            await container.signal(signal.SIGKILL)
            self.assertEqual((await container.wait()).signal, 9)

    async def test_an_executed_process_is_reaped_without_a_wait(self):
        async with aio.deleting(await self.run_script("sleep 1000")) as container:
            process = await container.exec(["true"], **QUIET)
            pid, reapers = process.pid, list(container._reapers)
            process = None
            await asyncio.wait_for(asyncio.gather(*reapers), LONG)
            self.assertNotIn(pid, children())

    async def test_executed_processes_do_not_keep_init_from_ending(self):
        """The kernel kills them with init, and then waits until their parent, this process, reaps them."""
        async with aio.deleting(await self.run_script("sleep 1000")) as container:
            await container.exec(["sleep", "1000"], **QUIET)
            with await container.exec(["sleep", "1000"], **QUIET):
                pass
            os.kill(container.init.pid, signal.SIGKILL)
            self.assertEqual((await asyncio.wait_for(container.wait(), LONG)).signal, 9)

    async def test_the_exit_of_another_programs_child_is_reported_or_unknown(self):
        """The kernel reports the status (PIDFD_INFO_EXIT, Linux 6.15) once the parent has reaped the process."""
        parent = await asyncio.create_subprocess_exec(
            sys.executable, "-c", PARENT, self.world.state_root, stdout=asyncio.subprocess.PIPE
        )
        identity = (await parent.stdout.readline()).decode().strip()
        with self.aio.load(identity) as container:
            waiter = asyncio.create_task(container.wait())
            await asyncio.sleep(0)
            await container.start()
            try:
                self.assertEqual(await waiter, berth.ExitStatus(4))
            except berth.StatusUnknown:
                self.assertLess(tuple(map(int, os.uname().release.split(".")[:2])), (6, 15))
        self.assertEqual(await parent.wait(), 4)

    async def test_a_handle_closed_meanwhile_ends_the_wait(self):
        async with aio.deleting(await self.run_script("sleep 1000")) as container:
            with self.aio.load(container.id) as other:
                waiter = asyncio.create_task(other.wait())
                await asyncio.sleep(0.02)
            with self.assertRaises(berth.InvalidArgument):
                await waiter

    async def test_pausing_and_limits(self):
        async with aio.deleting(await self.run_script("sleep 1000")) as container:
            await container.pause()
            self.assertEqual(container.status(), berth.Status.PAUSED)
            with self.assertRaises(berth.Paused):
                await container.exec(["true"])
            await container.resume()
            with self.assertRaises(berth.ConfigInvalid):
                await container.set({"memory": {"limit": -5}})
            names = [one["name"] for one in (await container.interfaces(inside=True))["interfaces"]]
            self.assertEqual(names, ["lo"])


class Streams(Loop):
    async def test_streams_of_init_and_of_a_process(self):
        script = "read line; echo got $line; echo failed >&2"
        pipes = {"stdin": berth.PIPE, "stdout": berth.PIPE, "stderr": berth.PIPE}
        async with aio.deleting(await self.run_script(script, **pipes)) as container:
            container.init.stdin.write(b"word\n")
            self.assertEqual(await container.init.stdout.readline(), b"got word\n")
            self.assertEqual(await container.init.communicate(), (b"", b"failed\n"))
        async with aio.deleting(await self.run_script("sleep 1000")) as container:
            with await container.exec(["cat"], **pipes) as process:
                much = b"x" * 1000000
                self.assertEqual(await process.communicate(much), (much, b""))
                self.assertEqual(await process.wait(), berth.ExitStatus(0))
            with await container.exec(process_of("exec <&-; sleep 1000"), **pipes) as process:
                process.stdin.write(b"x" * 1000000)
                process.signal(9)
                self.assertEqual(await process.communicate(b"more"), (b"", b""))
            self.assertIsNone(container.init.stdout)

    async def test_the_terminal_as_streams(self):
        async with aio.deleting(await self.run_script("sleep 1000")) as container:
            script = "read line; stty size; echo got $line"
            with await container.exec(process_of(script, terminal=True)) as process:
                reader, writer = await process.open_terminal()
                process.resize_terminal(33, 44)
                writer.write(b"word\n")
                shown = await reader.read()
                self.assertIn(b"33 44\r\ngot word\r\n", shown)
            with self.assertRaises(berth.InvalidArgument):
                await container.init.open_terminal()

    async def test_closing_gives_all_descriptors_back(self):
        async with aio.deleting(await self.run_script("sleep 1000")) as container:
            container.stats()
            before = descriptors()
            for _ in range(10):
                with await container.exec(["cat"], stdin=berth.PIPE, stdout=berth.PIPE) as process:
                    pass
                with await container.exec(process_of("true", terminal=True)) as process:
                    await process.open_terminal()
                    await process.wait()
            await container.signal(9, all=True)
            await container.wait()
            process = None
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            gc.collect()
            container.status()
            left = sorted(map(kind_of, descriptors().values()))
            # The pidfd of the waiting task, and the library's own.
            self.assertEqual(
                [one for one in left if one == "pipe"], [one for one in map(kind_of, before.values()) if one == "pipe"]
            )
            self.assertNotIn("/dev/ptmx", left)


def kind_of(target):
    return target.split(":")[0]


class Events(Loop):
    async def test_running_out_of_memory(self):
        with config_of("exec tail /dev/zero") as config:
            container = await self.aio.create(self.world.new_id(), config, **QUIET)
        async with aio.deleting(container):
            try:
                await container.set({"memory": {"limit": 25165824, "swap": 25165824}})
                events = container.notify_oom()
            except berth.Unsupported as reason:
                self.skipTest(str(reason))
            count = 0
            with events:
                await container.start()
                async for occurred in events:
                    count += occurred.count
                # The event stays at its end.
                self.assertEqual([one async for one in events], [])
            self.assertGreater(count, 0)
            self.assertTrue(container.oom_killed())

    async def test_the_end_of_init_ends_every_iteration(self):
        async with aio.deleting(await self.run_script("sleep 1000")) as container:
            try:
                subscriptions = [container.notify_memory_pressure(level) for level in berth.Pressure]
            except berth.Unsupported as reason:
                self.skipTest(str(reason))

            async def count(events):
                return sum([occurred.count async for occurred in events])

            before = threading.enumerate()
            # Two tasks on the same subscription, too.
            tasks = [asyncio.create_task(count(events)) for events in subscriptions + subscriptions]
            await asyncio.sleep(0.02)
            self.assertFalse(any(task.done() for task in tasks))
            self.assertEqual(threading.enumerate(), before)
            os.kill(container.init.pid, signal.SIGKILL)
            await asyncio.wait_for(asyncio.gather(*tasks), LONG)
            for events in subscriptions:
                events.close()

    async def test_ending_a_subscription_does_not_hold_up_the_loop(self):
        async with aio.deleting(await self.run_script("sleep 1000")) as container:
            try:
                events = [container.notify_memory_pressure(level) for level in berth.Pressure]
            except berth.Unsupported as reason:
                self.skipTest(str(reason))
            functions, freed_by = container._c, []
            free = functions.berth_event_free

            def spy(pointer):
                free(pointer)
                freed_by.append(threading.current_thread())

            with mock.patch.object(functions, "berth_event_free", spy):
                events.pop().close()
                with events.pop():
                    pass
                events.pop()
                while len(freed_by) < 3:
                    await asyncio.sleep(0.001)
            self.assertNotIn(threading.current_thread(), freed_by)


class Cancelled(Loop):
    async def cancel(self, call, while_in):
        """Cancel the call once it blocks in its thread, which is held there until then."""
        begun, go_on = threading.Event(), threading.Event()
        original = getattr(while_in, self.name)

        def slow(this, *arguments):
            result = original(this, *arguments)
            begun.set()
            go_on.wait(LONG)
            return result

        with mock.patch.object(while_in, self.name, slow):
            task = asyncio.ensure_future(call)
            while not begun.is_set():
                await asyncio.sleep(0.001)
            task.cancel()
            await asyncio.sleep(0)
            # Even with a second cancellation, the call waits until everything is undone.
            task.cancel()
            await asyncio.sleep(0.01)
            self.assertFalse(task.done())
            go_on.set()
            with self.assertRaises(asyncio.CancelledError):
                await task

    async def test_a_container_of_a_cancelled_create_is_deleted(self):
        self.name = "_make"
        with config_of("sleep 1000") as config:
            for function in (self.aio.run, self.aio.create):
                identity = self.world.new_id()
                await self.cancel(function(identity, config, **QUIET), berth._runtime.RuntimeHandle)
                self.assertEqual(self.aio.list(), [])
                # The id can be used again at once.
                async with aio.deleting(await function(identity, config, **QUIET)):
                    pass
        self.assertEqual(children(), [])

    async def test_a_process_of_a_cancelled_exec_is_killed_and_reaped(self):
        self.name = "_exec"
        async with aio.deleting(await self.run_script("sleep 1000")) as container:
            before = (children(), container.pids())
            await self.cancel(container.exec(["sleep", "1000"], **QUIET), berth._container.ContainerHandle)
            self.assertEqual((children(), container.pids()), before)

    async def test_an_error_in_its_thread_is_reported_once(self):
        complaints = []
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: complaints.append(context))
        self.name = "_exec"
        async with aio.deleting(await self.run_script("sleep 1000")) as container:
            task = asyncio.ensure_future(container.exec(["nothing-here"], **QUIET))
            await asyncio.sleep(0)
            task.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await task
        task = None
        gc.collect()
        await asyncio.sleep(0)
        self.assertEqual(complaints, [])


class Loops(WithContainers):
    def test_calls_do_not_hold_up_the_loop(self):
        """A thread waits for a slow hook; the loop keeps running."""

        async def main():
            hook = {"path": "/bin/sh", "args": ["sh", "-c", "read state; exec cat <" + fifo + " >/dev/null"]}
            spec_hooks = {"createRuntime": [hook]}
            with config_of("sleep 1000", hooks=spec_hooks) as config, aio.Runtime(self.world.state_root) as runtime:
                creating = asyncio.ensure_future(runtime.run(self.world.new_id(), config, **QUIET))
                ticks = 0
                for _ in range(20):
                    await asyncio.sleep(0.001)
                    ticks += not creating.done()
                with open(fifo, "wb"):
                    pass
                async with aio.deleting(await creating) as container:
                    self.assertEqual(container.status(), berth.Status.RUNNING)
                return ticks

        fifo = self.world.state_root + "-fifo"
        os.mkfifo(fifo)
        self.addCleanup(os.unlink, fifo)
        self.assertEqual(asyncio.run(main()), 20)

    def test_a_program_that_ends_in_the_middle_leaves_nothing_open(self):
        """asyncio.run cancels remaining tasks, among them those that watch executed processes."""

        async def main():
            with config_of("sleep 1000") as config, aio.Runtime(self.world.state_root) as runtime:
                container = await runtime.run(self.world.new_id(), config, **QUIET)
                await container.exec(["sleep", "1000"], **QUIET)
                asyncio.ensure_future(container.wait())
                await asyncio.sleep(0.01)

        asyncio.run(main())
        self.world.delete_all()
        gc.collect()
        before = descriptors()
        asyncio.run(main())
        self.world.delete_all()
        gc.collect()
        self.assertEqual(sorted(map(kind_of, descriptors().values())), sorted(map(kind_of, before.values())))
        self.assertEqual(children(), [])


if __name__ == "__main__":
    unittest.main()
