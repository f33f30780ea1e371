"""Scenarios of errors: bad input, and calls in the wrong state."""

import errno
import signal
import time

from scenario import berth, check, fails, scenario, was_killed
from support import QUIET, config_of, spec_of


@scenario("bad-config")
def bad_config(world):
    colour = {"namespaces": [{"type": "mount"}, {"type": "colour"}]}
    for spec, path in (
        (spec_of("true", hostname=7), "hostname"),
        (spec_of("true", linux=colour), "linux.namespaces[1].type"),
    ):
        with fails(berth.ConfigInvalid, path):
            berth.Config.from_json(spec, rootfs=world.rootfs)
        try:
            berth.Config.from_json(spec, rootfs=world.rootfs)
        except berth.ConfigInvalid as error:
            check.assertEqual(error.json_path, path)
    with fails(berth.ConfigInvalid, "JSON"):
        berth.Config.from_json('{"ociVersion":', rootfs=world.rootfs)


@scenario("bad-resources")
def bad_resources(world):
    with berth.deleting(world.run("sleep 1000")) as container:
        before = container.config()
        with fails(berth.ConfigInvalid, "memory.limit"):
            container.set({"memory": {"limit": -5}})
        check.assertEqual(container.config(), before)


@scenario("bad-process")
def bad_process(world):
    spec = spec_of("true")
    spec["process"]["args"] = ["/bin/nothing-here"]
    with berth.Config.from_json(spec, rootfs=world.rootfs) as config:
        try:
            world.runtime.run(world.new_id(), config, **QUIET).close()
        except berth.System as error:
            check.assertEqual((error.errno, error.stage), (errno.ENOENT, berth.Stage.INIT))
            check.assertIn("/bin/nothing-here", str(error))
        else:
            check.fail("it was run")
    check.assertEqual(world.runtime.list(), [])


@scenario("bad-id")
def bad_id(world):
    with config_of("true") as config:
        for identity in ("", "../up", "x" * 201):
            with fails(berth.IdInvalid, "id"):
                world.runtime.create(identity, config, **QUIET)
            with fails(berth.IdInvalid, "id"):
                world.runtime.load(identity)


@scenario("bad-argument")
def bad_argument(world):
    with fails(berth.InvalidArgument, "id", "NUL"):
        world.runtime.load("with\0in")
    with fails(berth.InvalidArgument, "bundle", "NUL"):
        berth.Config.from_bundle("/a\0b")
    with berth.deleting(world.run("sleep 1000")) as container:
        # ctypes would truncate the last one to SIGKILL.
        for number in (999, 2**32 + 9):
            with fails(berth.InvalidArgument, str(number)):
                container.signal(number)
        check.assertEqual(container.status(), berth.Status.RUNNING)


@scenario("id-in-use")
def id_in_use(world):
    with berth.deleting(world.run("sleep 1000")) as container, config_of("true") as config:
        with fails(berth.IdInUse, container.id):
            world.runtime.create(container.id, config, **QUIET)
        check.assertEqual(container.status(), berth.Status.RUNNING)


@scenario("not-found")
def not_found(world):
    with fails(berth.NotFound, "not-there"):
        world.runtime.load("not-there")


@scenario("wrong-state")
def wrong_state(world):
    with berth.deleting(world.run("sleep 1000")) as container:
        with fails(berth.AlreadyRunning, "running"):
            container.start()
        with fails(berth.NotPaused, "running"):
            container.resume()
        with fails(berth.NotStopped, "running"):
            container.delete()
        container.pause()
        with fails(berth.Paused, "paused"):
            container.pause()
        container.resume()
        container.signal(signal.SIGKILL)
        was_killed(container)
        with fails(berth.NotRunning, "stopped"):
            container.signal(signal.SIGKILL)


@scenario("error-facts")
def error_facts(world):
    try:
        berth.Config.from_json(spec_of("true", hostname=7), rootfs=world.rootfs)
    except berth.Error as error:
        facts = (error.code, error.errno, error.stage, error.json_path, error.detail["json_path"])
        check.assertEqual(facts, (berth.ErrorCode.CONFIG_INVALID, 0, berth.Stage.HOST, "hostname", "hostname"))
        check.assertNotIn("\n", error.message)
    try:
        berth.Config.from_bundle("/nothing/here")
    except berth.System as error:
        check.assertEqual(error.errno, errno.ENOENT)
        check.assertIn("/nothing/here", error.message)
    for code in berth.ErrorCode:
        check.assertGreater(len(berth.strerror(code)), 5)
        check.assertEqual(berth.error_name(code), f"BERTH_E_{code.name}")
    for status in berth.Status:
        check.assertEqual(berth.status_name(status), status.name.lower())


@scenario("timeout")
def timeout(world):
    with berth.deleting(world.run("sleep 1000")) as container:
        with fails(berth.Timeout, "in time"):
            container.wait(0)
        before = time.monotonic()
        with fails(berth.Timeout, "in time"):
            container.wait(0.2)
        check.assertGreaterEqual(time.monotonic() - before, 0.199)
