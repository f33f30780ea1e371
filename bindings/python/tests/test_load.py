"""Which library is loaded: the named one, else the one in the package, else the system's; and the error if
there is none.

Each test runs in a process of its own, because a process loads one library.
"""

import ctypes.util
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from support import TOP, library_path, needs_compiler

TELL = "import berth; print(berth.load()); print(berth.version())"


class Load(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="berth-load.")
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.library = os.path.realpath(library_path())

    def installed(self, with_library=False):
        """Return a copy of the package, as if it were installed."""
        site = self.folder / "site"
        shutil.copytree(
            TOP / "bindings/python/berth", site / "berth", ignore=shutil.ignore_patterns("__pycache__", "*.so*")
        )
        if with_library:
            shutil.copy(self.library, site / "berth/libberth.so.0")
        return site

    def python(self, code, site, loader_path=""):
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(site), "LD_LIBRARY_PATH": loader_path}
        done = subprocess.run(
            [sys.executable, "-c", code],
            env=environment,
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            universal_newlines=True,
        )
        return done.stdout.split(), done.stderr

    def system(self):
        """Return a directory in which the dynamic loader finds the library."""
        folder = self.folder / "system"
        folder.mkdir()
        (folder / "libberth.so.0").symlink_to(self.library)
        return str(folder)

    def test_importing_alone_loads_nothing(self):
        stdout, stderr = self.python("import berth, berth.aio; print('fine')", self.installed())
        self.assertEqual((stdout, stderr), (["fine"], ""))

    def test_the_one_that_is_named_comes_first(self):
        code = f"import berth; berth.load({self.library!r}); " + TELL
        stdout, _ = self.python(code, self.installed(with_library=True), self.system())
        self.assertEqual(stdout[0], self.library)

    def test_the_one_in_the_package_comes_before_the_systems(self):
        site = self.installed(with_library=True)
        stdout, _ = self.python(TELL, site, self.system())
        self.assertEqual(stdout[0], str(site / "berth/libberth.so.0"))

    def test_the_systems_comes_last(self):
        stdout, _ = self.python(TELL, self.installed(), self.system())
        self.assertEqual(stdout[0], "libberth.so.0")

    def test_an_environment_variable_of_its_own_decides_nothing(self):
        text = "".join(path.read_text() for path in (TOP / "bindings/python/berth").glob("*.py"))
        self.assertNotRegex(text, r"environ\b|getenv")

    def test_a_second_library_is_refused_and_the_same_one_is_not(self):
        other = self.folder / "other.so"
        shutil.copy(self.library, other)
        link = self.folder / "link.so"
        link.symlink_to(self.library)
        same = f"berth.load({self.library!r}); berth.load({str(link)!r}); berth.load()"
        code = f"import berth; {same}; berth.load({str(other)!r})"
        _, stderr = self.python(code, self.installed())
        self.assertIn("LoadError", stderr)
        self.assertIn(f"{self.library} is in use already", stderr)

    @unittest.skipIf(ctypes.util.find_library("berth"), "this machine has libberth installed")
    def test_without_any_the_error_says_what_to_do(self):
        _, stderr = self.python("import berth; berth.version()", self.installed())
        self.assertIn("libberth was not found", stderr)
        self.assertIn("berth.load(path)", stderr)

    @needs_compiler
    def test_a_file_that_is_not_libberth_is_named(self):
        site = self.installed()
        _, stderr = self.python("import berth; berth.load('/nothing/here.so')", site)
        self.assertIn("LoadError: /nothing/here.so cannot be loaded", stderr)
        source = self.folder / "old.c"
        source.write_text("int berth_version(void) { return 0; }\n")
        old = self.folder / "old.so"
        subprocess.run(["cc", "-shared", "-fPIC", "-o", str(old), str(source)], check=True)
        _, stderr = self.python(f"import berth; berth.load({str(old)!r})", site)
        self.assertIn("is not libberth, or is older than this package", stderr)
        self.assertIn("berth_abi_version", stderr)
        # The same one where the system's loader finds it.
        old.rename(self.folder / "libberth.so.0")
        _, stderr = self.python("import berth; berth.version()", site, str(self.folder))
        self.assertIn("LoadError: libberth.so.0 is not libberth, or is older than this package", stderr)
        self.assertNotIn("was not found", stderr)

    def test_after_a_failure_another_one_may_be_loaded(self):
        code = f"""
import berth
try:
    berth.load("/nothing/here.so")
except ImportError:
    berth.load({self.library!r})
print(berth.version())"""
        stdout, stderr = self.python(code, self.installed())
        self.assertEqual(stderr, "")
        self.assertTrue(stdout)


if __name__ == "__main__":
    unittest.main()
