"""Handles are closed once, never during a call of another thread, and do not affect the container."""

import copy
import gc
import os
import pickle
import threading
import unittest

from support import LONG, QUIET, WithContainers, berth, config_of, descriptors, eventually


class Handles(WithContainers):
    def test_a_closed_handle_says_so(self):
        with self.world.run("sleep 1000") as container:
            pass
        container.close()
        self.assertTrue(container.closed)
        with self.assertRaisesRegex(berth.InvalidArgument, "a Container that was closed"):
            container.status()
        self.assertIn("closed", repr(container))
        with config_of("true") as config:
            pass
        with self.assertRaisesRegex(berth.InvalidArgument, "a Config that was closed"):
            self.runtime.create("never", config, **QUIET)

    def test_closing_touches_nothing(self):
        with self.world.run("sleep 1000") as container:
            identity = container.id
        with self.runtime.load(identity) as container:
            self.assertEqual(container.status(), berth.Status.RUNNING)

    def test_a_dropped_handle_is_closed(self):
        with self.world.run("sleep 1000") as container:
            container.stats()
            before = descriptors()
            for _ in range(50):
                self.runtime.load(container.id).stats()
                container.exec(["true"], stdin=berth.DEVNULL, stdout=berth.DEVNULL, stderr=berth.DEVNULL).wait(LONG)
            gc.collect()
            # The library keeps executed processes until the next call on their container.
            container.status()
            self.assertEqual(descriptors(), before)

    def test_a_handle_closed_by_another_thread_stays_for_the_calls_in_it(self):
        container = self.world.run("sleep 1000")
        found = []
        waiters = [threading.Thread(target=lambda: found.append(container.wait(LONG))) for _ in range(8)]
        for waiter in waiters:
            waiter.start()
        eventually("waiting", lambda: container._calls == len(waiters))
        container.close()
        with self.assertRaises(berth.InvalidArgument):
            container.status()
        with self.runtime.load(container.id) as again:
            again.signal(9)
        for waiter in waiters:
            waiter.join()
        self.assertEqual(found, [berth.ExitStatus(None, 9)] * len(waiters))
        self.assertEqual(container._calls, 0)

    def test_a_signals_handler_may_use_the_handle_that_it_interrupts(self):
        """At any point: also while this thread holds the handle's lock, and while it closes the handle."""
        freed = []
        with self.world.run("sleep 1000") as container:
            with container._lock:
                self.assertEqual(container.status(), berth.Status.RUNNING)
            container._free_pointer = lambda free, pointer: (
                container.close(),
                container._release(),
                freed.append(free(pointer)),
            )
        self.assertEqual(len(freed), 1)

    def test_copies_of_handles_would_be_freed_twice_and_are_refused(self):
        with config_of("true") as config:
            for attempt in (copy.copy, copy.deepcopy, pickle.dumps):
                with self.assertRaisesRegex(TypeError, "Config cannot be copied or pickled"):
                    attempt(config)

    def test_a_forked_child_does_not_call_the_library_for_its_copies(self):
        container = self.world.run("sleep 1000")
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            called = []
            container._release = lambda: called.append(1)
            container.__del__()
            os.write(writer, b"called" if called else b"left")
            os._exit(0)
        os.waitpid(child, 0)
        os.close(writer)
        with os.fdopen(reader, "rb") as stream:
            self.assertEqual(stream.read(), b"left")
        self.assertEqual(container.status(), berth.Status.RUNNING)
        container.close()

    def test_streams_are_closed_with_their_process_and_that_with_its_container(self):
        before = descriptors()
        container = self.world.run("sleep 1000", stdin=berth.PIPE, stdout=berth.PIPE)
        with self.world.run("sleep 1000", terminal=True) as other:
            terminal = other.init.terminal
        self.assertTrue(terminal.closed)
        init = container.init
        init.stdin.write(b"never read")
        container.close()
        self.world.delete_all()
        self.assertTrue(init.closed and init.stdin.closed and init.stdout.closed)
        gc.collect()
        self.assertEqual(descriptors(), before)


class Deleting(WithContainers):
    def test_it_is_gone_at_the_end_whatever_happened(self):
        with self.assertRaisesRegex(ZeroDivisionError, "division"):
            with berth.deleting(self.world.run("sleep 1000")) as container:
                1 / 0
        self.assertTrue(container.closed)
        self.assertEqual(self.runtime.list(), [])

    def test_deleting_it_before_is_no_error(self):
        with berth.deleting(self.world.run("sleep 1000")) as container:
            container.delete(force=True)


if __name__ == "__main__":
    unittest.main()
