"""Scenarios of queries: containers, runtimes, configurations and the library."""

import json
import os
import signal

from scenario import LONG, berth, check, fails, is_cloexec, is_readable, needs, scenario, was_killed
from support import QUIET, config_of, eventually, spec_of


@scenario("stats")
def stats(world):
    with berth.deleting(world.run("while :; do :; done")) as container:
        before = container.stats()
        check.assertIsNone(before.memory_limit)
        check.assertIsNone(before.pids_limit)
        check.assertIsNotNone(before.cpu_usage_ns)
        eventually("using the CPU", lambda: container.stats().cpu_usage_ns > before.cpu_usage_ns)


@scenario("stats-json")
def stats_json(world):
    with berth.deleting(world.run("sleep 1000")) as container:
        usage = container.stats_json()
        check.assertLessEqual({"cpu", "memory", "pids"}, set(usage))
        check.assertEqual([one["Name"] for one in usage["network_interfaces"]], ["lo"])


@scenario("set-limits")
def set_limits(world):
    with berth.deleting(world.run("sleep 1000")) as container:
        with needs("the pids controller"):
            container.set({"pids": {"limit": 77}})
        check.assertEqual(container.stats().pids_limit, 77)
        check.assertEqual(container.config()["linux"]["resources"]["pids"], {"limit": 77})


@scenario("oom-event")
def oom_event(world):
    with berth.deleting(world.create("exec tail /dev/zero")) as container:
        with needs("the memory controller"):
            container.set({"memory": {"limit": 25165824, "swap": 25165824}})
        with container.notify_oom() as events:
            fd = events.dup()
            is_cloexec(fd)
            with fails(berth.Timeout):
                events.read(0)
            container.start()
            check.assertTrue(is_readable(fd, LONG))
            os.close(fd)
            check.assertGreater(sum(occurred.count for occurred in events), 0)
        was_killed(container)
        check.assertTrue(container.oom_killed())


@scenario("pressure-event")
def pressure_event(world):
    with berth.deleting(world.run("sleep 1000")) as container:
        with needs("memory pressure"):
            subscriptions = [container.notify_memory_pressure(level) for level in berth.Pressure]
        for events in subscriptions:
            os.close(events.dup())
            with fails(berth.Timeout):
                events.read(0)
        container.signal(signal.SIGKILL)
        for events in subscriptions:
            with events:
                while not events.read(LONG).ended:
                    pass


@scenario("list")
def list_(world):
    check.assertEqual(world.runtime.list(), [])
    with config_of("sleep 1000") as config:
        b = world.runtime.create("scenario-python-b", config, **QUIET)
        a = world.runtime.run("scenario-python-a", config, **QUIET)
    with berth.deleting(a), berth.deleting(b):
        found = [(state["id"], state["status"]) for state in world.runtime.list()]
        check.assertEqual(found, [("scenario-python-a", "running"), ("scenario-python-b", "created")])
    check.assertEqual(world.runtime.list(), [])


@scenario("load-from-another-handle")
def load_from_another_handle(world):
    with berth.deleting(world.create("sleep 1000")) as container:
        with berth.Runtime(world.state_root) as other, other.load(container.id) as loaded:
            check.assertEqual(loaded.status(), berth.Status.CREATED)
            loaded.start()
            check.assertEqual(loaded.status(), berth.Status.RUNNING)
        check.assertEqual(container.status(), berth.Status.RUNNING)


@scenario("force-delete")
def force_delete(world):
    with config_of("sleep 1000") as config:
        with world.runtime.run("scenario-python-forced", config, **QUIET) as container:
            with fails(berth.NotStopped, container.id):
                container.delete()
            check.assertEqual(container.status(), berth.Status.RUNNING)
            container.delete(force=True)
        with berth.deleting(world.runtime.run("scenario-python-forced", config, **QUIET)):
            pass


@scenario("recover")
def recover(world):
    with berth.deleting(world.run("sleep 1000")) as container:
        check.assertEqual(world.runtime.recover(), [])
        check.assertEqual(container.status(), berth.Status.RUNNING)


@scenario("interfaces")
def interfaces(world):
    with berth.deleting(world.run("sleep 1000")) as container:
        found = container.interfaces(inside=True)
        check.assertEqual([one["name"] for one in found["interfaces"]], ["lo"])
        check.assertNotIn("interfaces", container.interfaces())


@scenario("networks")
def networks(world):
    with (
        config_of("sleep 1000") as plain,
        plain.with_networks({"networks": [{"type": "veth", "name": "net0"}]}) as config,
    ):
        with berth.deleting(world.runtime.run(world.new_id(), config, **QUIET)) as container:
            found = container.interfaces(inside=True)
            check.assertEqual([one["name"] for one in found["networks"]], ["net0"])
            up = {one["name"]: one["up"] for one in found["interfaces"]}
            check.assertEqual(up, {"lo": True, "net0": True})


@scenario("state-json")
def state_json(world):
    spec = spec_of("sleep 1000", annotations={"org.example": "mine"})
    with berth.Config.from_json(spec, rootfs=world.rootfs) as config:
        with berth.deleting(world.runtime.run(world.new_id(), config, **QUIET)) as container:
            state = container.state()
            check.assertEqual(
                (state["id"], state["status"], state["pid"], state["annotations"]),
                (container.id, "running", container.init.pid, {"org.example": "mine"}),
            )
            check.assertEqual(state["rootfs"], os.path.realpath(world.rootfs))


@scenario("config-json")
def config_json(world):
    spec = spec_of("sleep 1000", hostname="mine")
    text = json.dumps(spec)
    with berth.Config.from_json(text, rootfs=world.rootfs) as config:
        check.assertEqual(config.to_json(), text)
        with berth.deleting(world.runtime.run(world.new_id(), config, **QUIET)) as container:
            check.assertEqual(container.config(), spec)


@scenario("explain")
def explain(world):
    with config_of("true") as config:
        steps = config.explain()["steps"]
    check.assertGreater(len(steps), 10)
    check.assertIn("/bin/sh", json.dumps(steps[-1]))
    check.assertEqual(world.runtime.list(), [])


@scenario("hook-fails")
def hook_fails(world):
    hook = {"path": "/bin/sh", "args": ["sh", "-c", "echo it is $WHO; exit 3"]}
    spec = spec_of("sleep 1000", hooks={"poststart": [hook]})
    env = {"WHO": "the caller", "PATH": "/bin"}
    with berth.Runtime(world.state_root, hook_env=env) as other:
        with berth.Config.from_json(spec, rootfs=world.rootfs) as config:
            container = other.create(world.new_id(), config, **QUIET)
        with container:
            with fails(berth.Hook, "it is the caller"):
                container.start()
            with fails(berth.NotFound, container.id):
                container.delete(force=True)
            with fails(berth.NotFound, container.id):
                other.load(container.id)


@scenario("explain-runtime")
def explain_runtime(world):
    def steps(**options):
        with config_of("true") as config:
            plan = world.runtime.explain(config, options=berth.ProcessOptions(**options))
        return [step["op"] for step in plan["steps"]]

    check.assertIn("FindProgram", steps(find_program=True))
    check.assertNotIn("FindProgram", steps())
    check.assertEqual(world.runtime.list(), [])


@scenario("library")
def library(_world):
    check.assertRegex(berth.version(), r"^\d+\.\d+\.\d+$")
    check.assertEqual(berth.abi_version(), berth.raw.BERTH_ABI_VERSION)
    for name in ("exec", "pause", "events", "cgroup-v2"):
        check.assertTrue(berth.has_feature(name), name)
    check.assertFalse(berth.has_feature("time-travel"))
    check.assertEqual(berth.features()["ociVersionMax"], "1.3.0")


def warn(world):
    """A failing poststop hook is only logged."""
    hook = {"path": "/bin/sh", "args": ["sh", "-c", "echo sorry >&2; exit 3"]}
    spec = spec_of("true", hooks={"poststop": [hook]})
    with berth.Config.from_json(spec, rootfs=world.rootfs) as config:
        world.runtime.create(world.new_id(), config, **QUIET).delete(force=True)


@scenario("log")
def log(world):
    lines = []
    berth.set_log_callback(lambda *line: lines.append(line))
    warn(world)
    berth.set_log_level(berth.LogLevel.ERROR)
    warn(world)
    berth.set_log_level(berth.LogLevel.DEBUG)
    reader, writer = os.pipe()
    with os.fdopen(reader) as log_file:
        with os.fdopen(writer, "w") as file:
            berth.set_log_fd(file)
        warn(world)
        berth.set_log_fd(None)
        warn(world)
        logged = [json.loads(line) for line in log_file]
    # The library may also report what it meets on the machine, such as a busy cgroup.
    lines = [line for line in lines if "sorry" in line[2]]
    logged = [line for line in logged if "sorry" in line["msg"]]
    check.assertEqual([(level, target) for level, target, _ in lines], [(berth.LogLevel.WARN, "berth::hooks")])
    check.assertEqual([(line["level"], line["target"]) for line in logged], [("warn", "berth::hooks")])
    check.assertIn("time", logged[0])
