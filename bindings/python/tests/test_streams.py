"""Streams as file objects, and signal handlers that interrupt waiting."""

import os
import signal
import tempfile
import threading
import time

from support import LONG, PIPES, WithContainers, berth, eventually, process_of


class Streams(WithContainers):
    def test_a_file_object_is_a_stream(self):
        with tempfile.TemporaryFile() as file:
            with berth.deleting(self.world.run("echo written", stdout=file)) as container:
                container.wait(LONG)
            file.seek(0)
            self.assertEqual(file.read(), b"written\n")

    def test_communicating_with_a_program_that_does_not_read(self):
        with berth.deleting(self.world.run("exec <&-; echo deaf; echo blind >&2", **PIPES)) as container:
            much = b"x" * 10000000
            self.assertEqual(container.init.communicate(much, timeout=LONG), (b"deaf\n", b"blind\n"))

    def test_communicating_has_a_deadline(self):
        with berth.deleting(self.world.run("sleep 1000", **PIPES)) as container:
            with self.assertRaises(berth.Timeout):
                container.init.communicate(timeout=0.05)

    def test_the_terminal_ends_like_a_file(self):
        with berth.deleting(self.world.run("sleep 1000")) as container:
            with container.exec(process_of("echo shown; exit 2", terminal=True)) as process:
                self.assertEqual(process.terminal.read(), b"shown\r\n")
                self.assertEqual(process.terminal.read(10), b"")
                self.assertEqual(process.terminal.readinto(bytearray(10)), 0)
                self.assertEqual(process.wait(LONG).code, 2)
            self.assertIsNone(container.init.terminal)

    def test_streams_beside_a_terminal_are_refused(self):
        with berth.deleting(self.world.run("sleep 1000")) as container:
            with self.assertRaises(berth.ConsoleExists):
                container.exec(process_of("true", terminal=True), stdout=berth.PIPE)


class Interrupted(Exception):
    pass


class Waiting(WithContainers):
    def interrupt(self, block):
        """The main thread waits forever; another one signals it; the exception of the handler ends the wait."""

        def handler(_signal, _frame):
            raise Interrupted

        before = signal.signal(signal.SIGUSR1, handler)
        self.addCleanup(signal.signal, signal.SIGUSR1, before)
        waiting = threading.Event()

        def later():
            waiting.wait()
            time.sleep(0.05)
            os.kill(os.getpid(), signal.SIGUSR1)

        other = threading.Thread(target=later)
        other.start()
        with self.assertRaises(Interrupted):
            waiting.set()
            block()
        other.join()

    def test_a_signals_handler_ends_waiting_for_a_container(self):
        with berth.deleting(self.world.run("sleep 1000")) as container:
            self.interrupt(container.wait)
            self.interrupt(lambda: container.wait(LONG))
            self.interrupt(container.init.wait)

    def test_a_signals_handler_ends_waiting_for_events(self):
        with berth.deleting(self.world.run("sleep 1000")) as container:
            try:
                events = container.notify_oom()
            except berth.Unsupported as reason:
                self.skipTest(str(reason))
            with events:
                self.interrupt(events.read)
                self.interrupt(lambda: list(events))

    def test_long_times_are_kept_across_slices(self):
        with berth.deleting(self.world.run("sleep 1000")) as container:
            before = time.monotonic()
            with self.assertRaises(berth.Timeout):
                container.wait(0.5)
            self.assertGreaterEqual(time.monotonic() - before, 0.5)

    def test_other_threads_run_while_one_waits(self):
        with berth.deleting(self.world.run("sleep 1000")) as container:
            found = []
            waiter = threading.Thread(target=lambda: found.append(container.wait()))
            waiter.start()
            eventually("waiting", lambda: container._calls == 1)
            self.assertEqual(container.status(), berth.Status.RUNNING)
            container.signal(signal.SIGTERM)
            container.signal(signal.SIGKILL)
            waiter.join()
            self.assertEqual(found[0].returncode, -9)


class Statuses(WithContainers):
    def test_they_read_well(self):
        self.assertEqual(str(berth.ExitStatus(3)), "exited with status 3")
        self.assertEqual(str(berth.ExitStatus(None, 9)), "was killed by SIGKILL")
        self.assertEqual(str(berth.ExitStatus(None, 11, True)), "was killed by SIGSEGV and left a core dump")
        self.assertEqual(str(berth.ExitStatus(None, 40)), "was killed by signal 40")
        self.assertEqual(f"{berth.Status.RUNNING} {berth.Status.RUNNING:d}", "running 2")
