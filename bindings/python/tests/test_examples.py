"""The examples of the README print the documented output, and the demo runs."""

import os
import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import support
from support import TOP, WithContainers

PACKAGE = TOP / "bindings/python"


def python(*arguments):
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-X", "dev", *arguments],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        universal_newlines=True,
    )
    return done.returncode, done.stdout, done.stderr


class Readme(WithContainers):
    def examples(self):
        """Return (code, output) of each example: a block of Python, then an indented block."""
        text = (PACKAGE / "README.md").read_text()
        found = re.findall(r"```python\n(.*?)```\n\n((?:    [^\n]*\n)+)", text, flags=re.S)
        self.assertEqual(len(found), text.count("```python"))
        return found

    def test_each_example_prints_what_it_says(self):
        for number, (code, output) in enumerate(self.examples()):
            with self.subTest(example=number), tempfile.TemporaryDirectory(prefix="berth-example.") as folder:
                code = code.replace("/srv/busybox", self.world.rootfs).replace("/run/supervisor", folder + "/state")
                path = Path(folder, "example.py")
                path.write_text(f"import berth\nberth.load({support.library_path()!r})\n" + code)
                status, stdout, stderr = python(str(path))
                if "Unsupported" in stderr:
                    self.skipTest(stderr.splitlines()[-1])
                self.assertEqual((stderr, status), ("", 0))
                # The container closes its pipe when it exits, so the order of these two lines is undefined.
                self.assertEqual(
                    sorted(stdout.splitlines()), sorted(re.sub("^    ", "", output, flags=re.M).splitlines())
                )


class Demo(WithContainers):
    def test_it_shows_one_life_cycle(self):
        status, stdout, stderr = python("-m", "berth", "--library", support.library_path(), self.world.rootfs)
        self.assertEqual((stderr, status), ("", 0))
        for part in (
            "'demo' is created",
            "hello from berth-demo: I am process 1",
            "is paused",
            "exited with status 7",
            "pids.limit",
            "0 containers are left",
        ):
            self.assertIn(part, stdout)

    def test_it_makes_a_root_filesystem_of_busybox(self):
        status, stdout, stderr = python("-m", "berth", "--library", support.library_path())
        self.assertEqual((stderr, status), ("", 0))
        self.assertIn("hello from berth-demo", stdout)

    def test_what_fails_is_one_line(self):
        status, _, stderr = python("-m", "berth", "--library", support.library_path(), "/nothing/here")
        self.assertEqual(status, 1)
        self.assertRegex(stderr, r"^berth: root\.path: \"/nothing/here\": .*\n$")
        status, _, stderr = python("-m", "berth", "--library", "/nothing/here.so")
        self.assertEqual(status, 1)
        self.assertRegex(stderr, r"^berth: /nothing/here\.so cannot be loaded: .*\n$")


if __name__ == "__main__":
    unittest.main()
