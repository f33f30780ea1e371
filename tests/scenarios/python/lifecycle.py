"""Scenarios of create, start, exec and bundles."""

import json
import os
from pathlib import Path

from scenario import LONG, berth, check, fails, has_ended, is_readable, scenario
from support import QUIET, config_of, process_of, spec_of


@scenario("lifecycle")
def lifecycle(world):
    identity = world.new_id()
    with config_of("read line; exit 7") as config:
        container = world.runtime.create(identity, config, **{**QUIET, "stdin": berth.PIPE})
    check.assertEqual(container.id, identity)
    check.assertEqual(container.status(), berth.Status.CREATED)
    container.start()
    check.assertEqual(container.status(), berth.Status.RUNNING)
    container.init.stdin.close()
    has_ended(container, 7)
    check.assertEqual(container.status(), berth.Status.STOPPED)
    container.delete()
    with fails(berth.NotFound, identity):
        container.status()
    with fails(berth.NotFound, identity):
        world.runtime.load(identity)
    has_ended(container, 7)
    container.close()


@scenario("run")
def run(world):
    with berth.deleting(world.run("sleep 1000")) as container:
        check.assertEqual(container.status(), berth.Status.RUNNING)


@scenario("exec")
def execute(world):
    options = {**QUIET, "stdin": berth.PIPE, "stdout": berth.PIPE}
    with berth.deleting(world.run("exec sleep 1000")) as container:
        with container.exec(process_of("hostname; read line; exit 9"), **options) as process:
            check.assertGreater(process.pid, 1)
            check.assertIn(process.pid, container.pids())
            pidfd = process.pidfd()
            check.assertFalse(is_readable(pidfd, 0))
            host_name = container.config()["hostname"]
            check.assertEqual(process.communicate(timeout=LONG)[0].decode(), host_name + "\n")
            check.assertEqual(process.wait(LONG), berth.ExitStatus(9))
            check.assertTrue(is_readable(pidfd, 0))
            os.close(pidfd)
        # The arguments are enough: the other attributes are those of the container's process.
        with container.exec(["sh", "-c", "exit 4"], **QUIET) as process:
            check.assertEqual(process.wait(LONG).code, 4)


@scenario("exec-in-created")
def exec_in_created(world):
    with berth.deleting(world.create("exit 3")) as container:
        with container.exec(process_of("exit 4"), **QUIET) as process:
            check.assertEqual(process.wait(LONG).code, 4)
        check.assertEqual(container.status(), berth.Status.CREATED)
        container.start()
        has_ended(container, 3)


@scenario("bundle")
def bundle(world):
    folder = Path(world.state_root + "-bundle")
    folder.mkdir()
    (folder / "rootfs").symlink_to(world.rootfs)
    (folder / "config.json").write_text(json.dumps(spec_of("exit 5", root={"path": "rootfs", "readonly": True})))
    with berth.Config.from_bundle(folder) as config:
        config.validate()
        with berth.deleting(world.runtime.run(world.new_id(), config, **QUIET)) as container:
            check.assertEqual(container.state()["bundle"], str(folder))
            has_ended(container, 5)
