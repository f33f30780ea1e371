"""Tests of checkpoint and restore, and of every option as its constant or member."""

import asyncio
import dataclasses
import errno
import os
import shutil
import tempfile
import unittest
from pathlib import Path

from support import LONG, QUIET, WithContainers, berth, config_of, eventually, spec_of

from berth import _checkpoint, _library, aio, raw

COUNT = "n=0; while :; do n=$((n+1)); echo $n > /data/new; mv /data/new /data/count; sleep 0.01; done"


class Options(unittest.TestCase):
    def checkpoint(self, **options):
        return _checkpoint.checkpoint_options(_library.library(), "/images", berth.CheckpointOptions(**options))

    def restore(self, stdio=(None, None, None), **options):
        return _checkpoint.restore_options(_library.library(), "/images", stdio, berth.RestoreOptions(**options))

    def test_each_flag_is_passed_as_the_constant_of_its_name(self):
        for make, kind, prefix in (
            (self.checkpoint, berth.CheckpointOptions, "BERTH_CHECKPOINT_"),
            (self.restore, berth.RestoreOptions, "BERTH_RESTORE_"),
        ):
            flags = [field.name for field in dataclasses.fields(kind) if isinstance(field.default, bool)]
            constants = {
                name[len(prefix) :].lower(): value for name, value in vars(raw).items() if name.startswith(prefix)
            }
            self.assertEqual(make().flags, 0)
            self.assertEqual({name: make(**{name: True}).flags for name in flags}, constants)

    def test_everything_else_is_passed_as_its_member(self):
        made = self.checkpoint(
            work="/work",
            parent_images="../before",
            page_server=("127.0.0.1", 4711),
            config_file=b"/file",
            timeout=1.5,
            cgroup_mode=berth.CgroupMode.FULL,
            network_lock=berth.NetworkLock.SKIP,
            status=1,
        )
        paths = (made.images, made.work, made.parent_images, made.page_server_address, made.config_file)
        self.assertEqual(paths, (b"/images", b"/work", b"../before", b"127.0.0.1", b"/file"))
        self.assertEqual((made.page_server_port, made.timeout_ms, made.cgroup_mode), (4711, 1500, 4))
        self.assertEqual(made.network_lock, raw.BERTH_NETWORK_LOCK_SKIP)
        self.assertEqual((made.status.kind, made.status.fd), (raw.BERTH_STDIO_FD, 1))
        made = self.restore(
            (berth.PIPE, None, berth.DEVNULL),
            process=berth.ProcessOptions(console_socket="/socket"),
            veth_pairs=[("eth0", "host0"), ("eth1", "host1")],
            cgroup_roots=[("memory", "/a")],
            lsm_profile="apparmor:mine",
            lsm_mount_context="label",
        )
        pairs = [(pair.name, pair.host_name) for pair in made.veth_pairs[: made.veth_pair_count]]
        self.assertEqual(pairs, [(b"eth0", b"host0"), (b"eth1", b"host1")])
        roots = [(root.controller, root.path) for root in made.cgroup_roots[: made.cgroup_root_count]]
        self.assertEqual(roots, [(b"memory", b"/a")])
        self.assertEqual((made.lsm_profile, made.lsm_mount_context), (b"apparmor:mine", b"label"))
        process = made.process.contents
        self.assertEqual([one.kind for one in process.stdio], [raw.BERTH_STDIO_PIPE, 0, raw.BERTH_STDIO_NULL])
        self.assertEqual(process.console_socket, b"/socket")

    def test_bad_ones_are_refused(self):
        for options in (
            {"work": "/a\0b"},
            {"timeout": -1},
            {"page_server": ("127.0.0.1", 2**40)},
            {"cgroup_mode": 2**33},
            {"network_lock": 2**33},
        ):
            with self.assertRaises(berth.InvalidArgument):
                self.checkpoint(**options)
        with self.assertRaises(berth.InvalidArgument):
            self.restore(veth_pairs=[("eth0", "a\0b")])


class WithoutCriu(WithContainers):
    def test_where_there_is_none_the_error_says_so(self):
        with berth.Runtime(self.world.state_root, criu="/nothing/criu") as runtime:
            with self.assertRaises(berth.Unsupported) as caught:
                runtime.criu_check()
            self.assertEqual(caught.exception.errno, errno.ENOENT)
            self.assertIn("/nothing/criu", str(caught.exception))
            with berth.deleting(self.world.run("sleep 1000")) as container:
                with runtime.load(container.id) as other, self.assertRaises(berth.Unsupported):
                    other.checkpoint(self.world.state_root + "-never")
                self.assertEqual(container.status(), berth.Status.RUNNING)
        self.assertFalse(os.path.exists(self.world.state_root + "-never"))


class ThereAndBack(WithContainers):
    def setUp(self):
        if "BERTH_TEST_CRIU" not in os.environ:
            self.skipTest("BERTH_TEST_CRIU names no CRIU; tools/install-criu unpacks one")
        super().setUp()
        self.options = {"criu": os.environ["BERTH_TEST_CRIU"]}
        self.folder = Path(tempfile.mkdtemp(prefix="berth-checkpoint."))
        self.addCleanup(shutil.rmtree, self.folder)
        (self.folder / "data").mkdir()
        self.images = self.folder / "images"
        spec = spec_of(COUNT)
        data = {"destination": "/data", "type": "bind", "source": str(self.folder / "data"), "options": ["bind", "rw"]}
        spec["mounts"].append(data)
        self.config = berth.Config.from_json(spec, rootfs=self.world.rootfs)
        self.addCleanup(self.config.close)

    def count(self):
        try:
            return int((self.folder / "data/count").read_text())
        except FileNotFoundError:
            return 0

    def counts_on(self):
        before = self.count()
        eventually("counting", lambda: self.count() > before)
        return self.count()

    def test_a_container_continues_where_it_was(self):
        with berth.Runtime(self.world.state_root, **self.options) as runtime:
            self.assertTrue(runtime.criu_check()["usable"])
            with berth.deleting(runtime.run("counting", self.config, **QUIET)) as container:
                reached = self.counts_on()
                container.checkpoint(self.images, options=berth.CheckpointOptions(leave_running=True))
                self.counts_on()
                shutil.rmtree(self.images)
                container.checkpoint(self.images)
                reached = self.count()
                self.assertEqual(container.status(), berth.Status.STOPPED)
            (self.folder / "data/count").unlink()
            with berth.deleting(runtime.restore("again", self.config, self.images)) as container:
                self.assertGreater(self.counts_on(), reached)
                container.signal(9)
                self.assertEqual(container.wait(LONG).signal, 9)

    def test_pipes_are_new_ones_of_the_restored_handle(self):
        with berth.Runtime(self.world.state_root, **self.options) as runtime, config_of("cat") as config:
            pipes = {"stdin": berth.PIPE, "stdout": berth.PIPE}
            with berth.deleting(runtime.run("cat", config, **{**QUIET, **pipes})) as container:
                container.init.stdin.write(b"before\n")
                container.init.stdin.flush()
                self.assertEqual(container.init.stdout.readline(), b"before\n")
                container.checkpoint(self.images)
            with berth.deleting(runtime.restore("cat", config, self.images, **pipes)) as container:
                self.assertEqual(container.init.communicate(b"after\n", timeout=LONG)[0], b"after\n")
                self.assertEqual(container.wait(LONG).code, 0)

    def test_the_same_in_a_loop(self):
        async def main():
            with aio.Runtime(self.world.state_root, **self.options) as runtime, config_of("cat") as config:
                self.assertTrue((await runtime.criu_check())["usable"])
                pipes = {"stdin": berth.PIPE, "stdout": berth.PIPE}
                async with aio.deleting(await runtime.run("cat", config, **{**QUIET, **pipes})) as container:
                    container.init.stdin.write(b"before\n")
                    self.assertEqual(await container.init.stdout.readline(), b"before\n")
                    await container.checkpoint(self.images)
                async with aio.deleting(await runtime.restore("cat", config, self.images, **pipes)) as container:
                    self.assertEqual((await container.init.communicate(b"after\n"))[0], b"after\n")
                    self.assertEqual((await container.wait()).code, 0)

        asyncio.run(main())

    def test_a_folder_without_a_checkpoint_is_an_error_and_leaves_nothing(self):
        with berth.Runtime(self.world.state_root, **self.options) as runtime:
            with self.assertRaises(berth.System) as caught:
                runtime.restore("never", self.config, self.folder / "data")
            self.assertEqual(caught.exception.errno, errno.ENOENT)
            self.assertEqual(runtime.list(), [])


if __name__ == "__main__":
    unittest.main()
