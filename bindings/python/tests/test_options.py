"""Options of processes and configurations that are not part of their specification."""

import errno
import json
import os
import tempfile
import threading
import time
import unittest
from pathlib import Path
from unittest import mock

from support import LONG, QUIET, WithContainers, berth, config_of, eventually, spec_of

from berth import _library, _streams, raw


class Options(unittest.TestCase):
    def made(self, **options):
        return _streams.process_options(_library.library(), (None, None, None), berth.ProcessOptions(**options))

    def test_each_flag_is_passed_as_its_constant(self):
        self.assertEqual(self.made().flags, 0)
        self.assertEqual(self.made(inherit_keyring=True).flags, raw.BERTH_PROCESS_INHERIT_KEYRING)
        self.assertEqual(self.made(wait_while_paused=True).flags, raw.BERTH_PROCESS_WAIT_WHILE_PAUSED)
        self.assertEqual(self.made(find_program=True).flags, raw.BERTH_PROCESS_FIND_PROGRAM)
        self.assertEqual(self.made(inherit_keyring=True, find_program=True).flags, 1 | 4)

    def test_lists_are_passed_with_their_length(self):
        made = self.made(cgroups=["a", "memory:b"], extra_fds=[0, 1, 2])
        self.assertEqual(made.cgroups[: made.cgroup_count], [b"a", b"memory:b"])
        self.assertEqual(made.extra_fds[: made.extra_fd_count], [0, 1, 2])

    def test_streams_are_passed_as_kind_and_descriptor(self):
        stdio = (berth.PIPE, berth.DEVNULL, 1)
        made = _streams.process_options(_library.library(), stdio, None)
        found = [(one.kind, one.fd) for one in made.stdio]
        self.assertEqual(found, [(raw.BERTH_STDIO_PIPE, 0), (raw.BERTH_STDIO_NULL, 0), (raw.BERTH_STDIO_FD, 1)])


class OnContainers(WithContainers):
    def test_a_missing_program_is_found_out_when_asked_for(self):
        spec = spec_of("true")
        spec["process"]["args"] = ["/bin/nothing-here"]
        with berth.Config.from_json(spec, rootfs=self.world.rootfs) as config:
            with self.assertRaises(berth.System) as caught:
                self.runtime.create("never", config, **QUIET, options=berth.ProcessOptions(find_program=True))
            self.assertEqual(caught.exception.errno, errno.ENOENT)
            self.assertEqual(self.runtime.list(), [])
            with berth.deleting(self.runtime.create("later", config, **QUIET)) as container:
                with self.assertRaises(berth.System):
                    container.start()

    def test_a_process_may_wait_while_its_container_is_paused(self):
        with berth.deleting(self.world.run("sleep 1000")) as container:
            container.pause()
            found = []
            options = berth.ProcessOptions(wait_while_paused=True)
            waiting = threading.Thread(target=lambda: found.append(container.exec(["true"], **QUIET, options=options)))
            waiting.start()
            eventually("executing", lambda: container._calls == 1)
            time.sleep(0.05)
            self.assertEqual(found, [])
            container.resume()
            waiting.join()
            self.assertEqual(found[0].wait(LONG).code, 0)

    def test_a_process_is_put_into_a_cgroup_of_the_container(self):
        with berth.deleting(self.world.run("sleep 1000")) as container:
            options = berth.ProcessOptions(cgroups=["/not-there"])
            with self.assertRaisesRegex(berth.Error, "not-there"):
                container.exec(["true"], **QUIET, options=options)
            folders = {Path(path, "below") for path in container.state()["cgroupPaths"].values()}
            for folder in folders:
                folder.mkdir()
                # On cgroup v1 a new cpuset is empty.
                for name in ("cpuset.cpus", "cpuset.mems"):
                    if (folder / name).exists() and not (folder / "cgroup.type").exists():
                        (folder / name).write_text((folder.parent / name).read_text())
            options = berth.ProcessOptions(cgroups=["/below"])
            with container.exec(["sleep", "1000"], **QUIET, options=options) as process:
                for folder in folders:
                    self.assertEqual(Path(folder, "cgroup.procs").read_text().split(), [str(process.pid)])

    def test_extra_descriptors_are_the_processs_third_and_fourth(self):
        with berth.deleting(self.world.run("sleep 1000")) as container:
            with tempfile.TemporaryFile() as one, tempfile.TemporaryFile() as two:
                options = berth.ProcessOptions(extra_fds=[one, two.fileno()])
                script = ["sh", "-c", "echo three >&3; echo four >&4"]
                with container.exec(script, **QUIET, options=options) as process:
                    self.assertEqual(process.wait(LONG).code, 0)
                for file, content in ((one, b"three\n"), (two, b"four\n")):
                    file.seek(0)
                    self.assertEqual(file.read(), content)


class Runtimes(WithContainers):
    def owner_of_a_file(self, runtime):
        """Return the owner of a file of the host's root, as a container in a user namespace sees it."""
        spec = spec_of("stat -c %u /bin/busybox")
        spec["linux"]["namespaces"].append({"type": "user"})
        ids = [{"containerID": 0, "hostID": 100000, "size": 65536}]
        spec["linux"].update(uidMappings=ids, gidMappings=ids)
        with berth.Config.from_json(spec, rootfs=self.world.rootfs) as config:
            options = {**QUIET, "stdout": berth.PIPE}
            with berth.deleting(runtime.run(self.world.new_id(), config, **options)) as container:
                return int(container.init.communicate(timeout=LONG)[0])

    def test_the_roots_files_may_be_mapped(self):
        self.assertEqual(self.owner_of_a_file(self.runtime), 65534)
        with berth.Runtime(self.world.state_root, idmapped_root=True) as runtime:
            try:
                self.assertEqual(self.owner_of_a_file(runtime), 0)
            except berth.Unsupported as reason:
                self.skipTest(str(reason))

    def test_a_root_may_be_had_without_pivot_root(self):
        with berth.Runtime(self.world.state_root, no_pivot=True) as runtime, config_of("exit 5") as config:
            with berth.deleting(runtime.run(self.world.new_id(), config, **QUIET)) as container:
                self.assertEqual(container.wait(LONG).code, 5)

    def test_each_option_is_passed_as_its_member(self):
        functions, passed = _library.library().functions, []
        opened = functions.berth_runtime_new

        def spy(options, *others):
            found = options._obj
            passed.append({name: getattr(found, name) for name, _ in found._fields_})
            return opened(options, *others)

        with mock.patch.object(functions, "berth_runtime_new", spy):
            for options in (
                {"setup_timeout": 1, "lock_timeout": 2.5, "hook_timeout": 0.0001, "cgroup_timeout": 4},
                {"systemd_annotations": True, "cgroup_manager": berth.CgroupManager.SYSTEMD},
                {"no_pivot": True},
                {"idmapped_root": True},
                {"rootless": True},
                {"rootless_auto": True},
                {"return_devices": True},
            ):
                berth.Runtime(self.world.state_root, **options).close()
        times = [passed[0][f"{name}_timeout_ms"] for name in ("setup", "lock", "hook", "cgroup")]
        self.assertEqual(times, [1000, 2500, 1, 4000])
        flags = [0, raw.BERTH_RUNTIME_SYSTEMD_ANNOTATIONS, raw.BERTH_RUNTIME_NO_PIVOT]
        flags += [raw.BERTH_RUNTIME_IDMAPPED_ROOT, raw.BERTH_RUNTIME_ROOTLESS, raw.BERTH_RUNTIME_ROOTLESS_AUTO]
        flags += [raw.BERTH_RUNTIME_RETURN_DEVICES]
        self.assertEqual([one["flags"] for one in passed], flags)
        self.assertEqual([one["cgroup_manager"] for one in passed], [0, 1, 0, 0, 0, 0, 0])
        self.assertEqual({one["state_root"].decode() for one in passed}, {self.world.state_root})

    def test_hooks_get_the_environment_that_is_for_them(self):
        """A failing hook's output is in the error."""
        hook = {"path": "/bin/sh", "args": ["sh", "-c", "echo $ONE $TWO; exit 1"]}
        spec = spec_of("true", hooks={"createRuntime": [hook]})
        for env, reason in (({"ONE": "first", "TWO": "second=2"}, ": first second=2"), ({}, "status 1"), (None, "status 1")):
            with berth.Runtime(self.world.state_root, hook_env=env) as runtime:
                with berth.Config.from_json(spec, rootfs=self.world.rootfs) as config:
                    with self.assertRaisesRegex(berth.Hook, reason + "$"):
                        runtime.create(self.world.new_id(), config, **QUIET)
        for wrong in ({"": "x"}, {"NUL": "\0"}):
            with self.assertRaises(berth.InvalidArgument):
                berth.Runtime(self.world.state_root, hook_env=wrong)

    def test_containers_without_cgroups_have_no_statistics(self):
        spec = spec_of("exit 6")
        del spec["linux"]["resources"]
        manager = berth.CgroupManager.DISABLED
        with berth.Runtime(self.world.state_root, cgroup_manager=manager) as runtime:
            with berth.Config.from_json(spec, rootfs=self.world.rootfs) as config:
                with berth.deleting(runtime.create(self.world.new_id(), config, **QUIET)) as container:
                    with self.assertRaises(berth.Unsupported):
                        container.stats()
                    container.start()
                    self.assertEqual(container.wait(LONG).code, 6)

    def test_times_are_seconds(self):
        """A hook without a timeout of its own gets the runtime's."""
        hook = {"path": "/bin/sleep", "args": ["sleep", "1000"]}
        spec = spec_of("true", hooks={"createRuntime": [hook]})
        with berth.Runtime(self.world.state_root, hook_timeout=0.3) as runtime:
            with berth.Config.from_json(spec, rootfs=self.world.rootfs) as config:
                before = time.monotonic()
                with self.assertRaises(berth.Error) as caught:
                    runtime.run("never", config, **QUIET)
                self.assertIn(type(caught.exception), (berth.Timeout, berth.Hook))
                self.assertGreaterEqual(time.monotonic() - before, 0.3)
        self.assertEqual(self.runtime.list(), [])


class Configurations(WithContainers):
    def test_a_bundles_configuration_may_have_another_name(self):
        with tempfile.TemporaryDirectory(prefix="berth-bundle.") as folder:
            Path(folder, "other.json").write_text(json.dumps(spec_of("exit 6", root={"path": self.world.rootfs})))
            with berth.Config.from_bundle(folder, Path(folder, "other.json")) as config:
                with berth.deleting(self.runtime.run(self.world.new_id(), config, **QUIET)) as container:
                    self.assertEqual(container.wait(LONG).code, 6)
                    self.assertEqual(container.state()["bundle"], os.path.realpath(folder))

    def test_the_specification_without_privileges_maps_the_caller_to_root(self):
        spec = berth.default_rootless_spec(1000, 2**32 - 2)
        maps = spec["linux"]["uidMappings"] + spec["linux"]["gidMappings"]
        self.assertEqual([one["hostID"] for one in maps], [1000, 2**32 - 2])
        with self.assertRaises(berth.InvalidArgument):
            berth.default_rootless_spec(-1, 0)

    def test_the_features_document_has_what_the_default_specification_asks_for(self):
        found = berth.features()
        asked = {one["type"] for one in berth.default_spec()["linux"]["namespaces"]}
        self.assertLessEqual(asked, set(found["linux"]["namespaces"]))
        self.assertIn("ociVersionMax", found)

    def test_explaining_makes_nothing(self):
        with config_of("true") as config:
            self.assertTrue(config.explain()["steps"])
            self.assertIn("outside", config.explain())
            config.validate()
        self.assertEqual(self.runtime.list(), [])


if __name__ == "__main__":
    unittest.main()
