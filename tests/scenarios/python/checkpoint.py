"""Scenarios of checkpoint and restore."""

import os

from scenario import LONG, Skip, berth, check, has_ended, is_readable, scenario
from support import config_of


def counts(container, expected):
    """Writes a line to the init's pipe and reads the answer; the pipes stay open."""
    stdin, stdout = container.init.stdin, container.init.stdout
    stdin.write(b"line\n")
    stdin.flush()
    check.assertTrue(is_readable(stdout, LONG))
    check.assertEqual(stdout.readline(), expected)
    return stdin, stdout


@scenario("checkpoint-restore")
def checkpoint_restore(world):
    if "BERTH_TEST_CRIU" not in os.environ:
        raise Skip("no CRIU")
    images = world.state_root + "-images"
    pipes = {"stdin": berth.PIPE, "stdout": berth.PIPE, "stderr": berth.DEVNULL}
    script = "n=0; while read line; do n=$((n+1)); echo $n; done"
    with berth.Runtime(world.state_root, criu=os.environ["BERTH_TEST_CRIU"]) as runtime, config_of(script) as config:
        check.assertTrue(runtime.criu_check()["usable"])
        identity = world.new_id()
        with runtime.run(identity, config, **pipes) as container:
            stdin, stdout = counts(container, b"1\n")
            container.checkpoint(images)
            check.assertEqual(container.status(), berth.Status.STOPPED)
            container.delete()
            stdin.close()
            stdout.close()
        with berth.deleting(runtime.restore(identity, config, images, **pipes)) as restored:
            check.assertEqual(restored.status(), berth.Status.RUNNING)
            stdin, stdout = counts(restored, b"2\n")
            stdin.close()
            has_ended(restored, 0)
            stdout.close()
