"""Tests of exceptions: classes, attributes and messages; and that bad arguments never reach C truncated."""

import concurrent.futures
import errno
import pickle
import unittest

from support import QUIET, WithContainers, berth, config_of, spec_of

from berth import _errors


class Exceptions(unittest.TestCase):
    def test_builtin_exceptions_catch_what_means_the_same(self):
        for kind, builtin in (
            (berth.Timeout, TimeoutError),
            (berth.System, OSError),
            (berth.NotFound, LookupError),
            (berth.ConfigInvalid, ValueError),
            (berth.IdInvalid, ValueError),
            (berth.InvalidArgument, ValueError),
        ):
            self.assertTrue(issubclass(kind, builtin), kind)

    def test_they_survive_pickling(self):
        for kind in berth.Error.__subclasses__() + [berth.Error]:
            error = kind("why", errno=2, stage=1, detail={"json_path": "root.path"})
            again = pickle.loads(pickle.dumps(error))
            self.assertIs(type(again), kind)
            self.assertEqual(
                (str(again), again.code, again.errno, again.stage, again.json_path),
                ("why", kind.code, 2, berth.Stage.INIT, "root.path"),
            )

    def test_a_code_that_is_not_known_is_an_error_with_that_code(self):
        loaded = berth._library.library()
        error = _errors.take(loaded.functions, -4711, None)
        self.assertIs(type(error), berth.Error)
        self.assertEqual(error.code, -4711)
        self.assertTrue(str(error))

    def test_the_kernels_reason_is_an_attribute(self):
        with self.assertRaises(OSError) as caught:
            berth.Config.from_bundle("/nothing/here")
        self.assertEqual(caught.exception.errno, errno.ENOENT)
        self.assertIn("/nothing/here", str(caught.exception))


class Arguments(unittest.TestCase):
    def refused(self, part, call, *arguments, **keywords):
        with self.assertRaises(berth.InvalidArgument) as caught:
            call(*arguments, **keywords)
        self.assertIn(part, str(caught.exception))

    def test_texts_and_paths_with_a_nul_are_refused(self):
        self.refused("spec has a NUL at position 1", berth.Config.from_json, "{\0}")
        self.refused("rootfs has a NUL", berth.Config.from_json, "{}", rootfs="/a\0b")
        self.refused("bundle has a NUL", berth.Config.from_bundle, b"/a\0b")
        self.refused("state_root has a NUL", berth.Runtime, "/tmp/berth\0")
        self.refused("name has a NUL", berth.has_feature, "exec\0")

    def test_text_that_is_not_utf8_is_refused(self):
        self.refused("spec is not UTF-8", berth.Config.from_json, '{"\udcff": 1}')

    def test_what_is_not_a_time_is_refused(self):
        for value in (-1, -0.001, float("nan"), float("inf"), 1e300):
            self.refused("setup_timeout", berth.Runtime, "/tmp/berth-never-made", setup_timeout=value)

    def test_other_types_are_type_errors(self):
        for call in (
            lambda: berth.Config.from_json(3),
            lambda: berth.Config.from_json(b"{}"),
            lambda: berth.Config.from_bundle(3.5),
            lambda: berth.Runtime("/tmp/berth-never-made", hook_timeout="soon"),
            lambda: berth.set_log_fd("file"),
            lambda: berth.strerror("-1"),
        ):
            with self.assertRaises((TypeError, AttributeError)):
                call()

    def test_a_member_that_is_no_json_is_named_by_python(self):
        with self.assertRaises(TypeError):
            berth.Config.from_json({"ociVersion": object()})
        with self.assertRaises(ValueError):
            berth.Config.from_json({"ociVersion": float("nan")})


class OnContainers(WithContainers):
    def test_numbers_that_c_would_cut_off_are_refused(self):
        with berth.deleting(self.world.run("sleep 1000")) as container:
            for call in (
                lambda: container.signal(2**32 + 9),
                lambda: container.signal(-(2**40)),
                lambda: container.init.signal(2**32 + 9),
                lambda: container.init.resize_terminal(65536, 1),
                lambda: container.init.resize_terminal(1, -1),
                lambda: container.notify_memory_pressure(2**32 + 1),
                lambda: container.wait(-1),
                lambda: container.exec(["true"], options=berth.ProcessOptions(parent_death_signal=2**32)),
                lambda: container.exec(["true"], stdout=-5),
                lambda: container.exec(["true"], options=berth.ProcessOptions(extra_fds=[2**32])),
            ):
                with self.assertRaises(berth.InvalidArgument):
                    call()
            self.assertEqual(container.status(), berth.Status.RUNNING)

    def test_what_has_no_descriptor_is_no_stream(self):
        with berth.deleting(self.world.run("sleep 1000")) as container:
            with self.assertRaises(AttributeError):
                container.exec(["true"], stdout="file")

    def test_nothing_is_made_by_a_call_that_is_refused(self):
        with config_of("true") as config:
            for options in (
                {"extra_fds": [4000]},
                {"console_socket": "/tmp/berth-nobody"},
                {"parent_death_signal": 99},
                {"cgroups": ["a\0b"]},
            ):
                with self.assertRaises(berth.InvalidArgument):
                    self.runtime.create("never", config, **QUIET, options=berth.ProcessOptions(**options))
            with self.assertRaises(TypeError):
                self.runtime.create("never", spec_of("true"), **QUIET)
        self.assertEqual(self.runtime.list(), [])

    def test_many_threads_each_get_their_own_error(self):
        def ask(number):
            try:
                self.runtime.load(f"not-there-{number}")
            except berth.NotFound as error:
                return error.detail["id"]

        with concurrent.futures.ThreadPoolExecutor(32) as pool:
            self.assertEqual(list(pool.map(ask, range(2000))), [f"not-there-{number}" for number in range(2000)])


if __name__ == "__main__":
    unittest.main()
