"""Scenarios of running containers: signals, pause, statistics, limits, exit status."""

import os
import signal

from scenario import LONG, berth, check, fails, has_ended, is_cloexec, is_readable, scenario, was_killed
from support import QUIET, process_of


@scenario("pause-resume")
def pause_resume(world):
    with berth.deleting(world.run("sleep 1000")) as container:
        container.pause()
        check.assertEqual(container.status(), berth.Status.PAUSED)
        with fails(berth.Paused, "paused"):
            container.exec(process_of("true"), **QUIET)
        container.resume()
        check.assertEqual(container.status(), berth.Status.RUNNING)
        with container.exec(process_of("exit 3"), **QUIET) as process:
            check.assertEqual(process.wait(LONG).code, 3)


@scenario("kill")
def kill(world):
    with world.run("sleep 1000") as container:
        container.signal(signal.SIGKILL)
        was_killed(container)
        check.assertEqual(container.status(), berth.Status.STOPPED)
        container.delete()


@scenario("kill-all")
def kill_all(world):
    with berth.deleting(world.run("sleep 1000")) as container:
        with container.exec(process_of("exec sleep 1000"), **QUIET) as process:
            container.signal(signal.SIGKILL, all=True)
            check.assertEqual(process.wait(LONG).signal, signal.SIGKILL)
        was_killed(container)


@scenario("process-signal")
def process_signal(world):
    with berth.deleting(world.run("sleep 1000")) as container:
        with container.exec(process_of("exec sleep 1000"), **QUIET) as process:
            process.signal(0)
            process.signal(signal.SIGKILL)
            check.assertEqual(process.wait(LONG).signal, signal.SIGKILL)
            with fails(berth.NotRunning, "ended"):
                process.signal(signal.SIGKILL)
        check.assertEqual(container.status(), berth.Status.RUNNING)


@scenario("exit-code")
def exit_code(world):
    for code in (0, 7):
        with berth.deleting(world.run(f"exit {code}")) as container:
            has_ended(container, code)
            has_ended(container, code)


@scenario("exit-signal")
def exit_signal(world):
    with berth.deleting(world.run("sleep 1000")) as container:
        with container.exec(process_of("kill $$"), **QUIET) as process:
            check.assertEqual(process.wait(LONG), berth.ExitStatus(code=None, signal=signal.SIGTERM))
            check.assertEqual(process.wait().returncode, -15)


@scenario("wait-elsewhere")
def wait_elsewhere(world):
    with berth.deleting(world.run("sleep 1000")) as container:
        fd = container.pidfd()
        is_cloexec(fd)
        check.assertFalse(is_readable(fd, 0))
        container.signal(signal.SIGKILL)
        check.assertTrue(is_readable(fd, LONG))
        os.close(fd)
        was_killed(container)


@scenario("pids")
def pids(world):
    with berth.deleting(world.run("exec sleep 1000")) as container:
        with container.exec(process_of("exec sleep 1000"), **QUIET) as process:
            check.assertEqual(container.pids(), sorted([container.init.pid, process.pid]))
