"""Run all tests of the binding; the last line is "N passed, N failed, N skipped".

python3 bindings/python/tests [NAME]...      names as unittest has them: test_aio, test_aio.Waiting
"""

import sys
import unittest

sys.dont_write_bytecode = True

import support  # noqa: E402
from support import berth  # noqa: E402


def main():
    berth.load(support.library_path())
    # Exceptions in __del__ and callbacks cannot be caught; they fail the run, too.
    unraisable = []
    sys.unraisablehook = unraisable.append
    loader = unittest.TestLoader()
    names = sys.argv[1:]
    suite = loader.loadTestsFromNames(names) if names else loader.discover(str(support.TOP / "bindings/python/tests"))
    result = unittest.TextTestRunner(verbosity=2, warnings="error").run(suite)
    for one in unraisable:
        print(f"unraisable exception: {one.exc_value!r} in {one.object!r}")
    failed = len(result.failures) + len(result.errors) + len(result.unexpectedSuccesses) + len(unraisable)
    skipped = len(result.skipped)
    print(f"{result.testsRun - failed - skipped} passed, {failed} failed, {skipped} skipped")
    return 1 if failed or not result.testsRun else 0


if __name__ == "__main__":
    sys.exit(main())
