"""Helpers shared by the scenarios: the list of scenarios, checks, and reasons to skip."""

import contextlib
import os
import select
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "bindings/python/tests"))

from support import LONG, World  # noqa: E402 (it says where berth is)

import berth  # noqa: E402

#: unittest's checks say what was expected and what came.
check = unittest.TestCase()
check.maxDiff = None

#: {name: function}, in the order of ../list.
SCENARIOS = {}


class Skip(Exception):
    """Raised to skip a scenario; names what the machine lacks."""


def scenario(name):
    def note(function):
        SCENARIOS[name] = function
        return function

    return note


@contextlib.contextmanager
def fails(kind, *parts):
    """Check that the block raises exactly this class, with a one-line message that has these parts."""
    try:
        yield
    except berth.Error as error:
        check.assertIs(type(error), kind, f"the error is: {error}")
        check.assertNotIn("\n", str(error))
        for part in parts:
            check.assertIn(part, str(error))
        return
    check.fail(f"no {kind.__name__} came")


@contextlib.contextmanager
def needs(what):
    """Skip the scenario if the block raises that the machine does not support it."""
    try:
        yield
    except berth.Unsupported as error:
        raise Skip(f"{what}: {error}") from None


def has_ended(container, code):
    check.assertEqual(container.wait(LONG), berth.ExitStatus(code))


def was_killed(container):
    check.assertEqual(container.wait(LONG), berth.ExitStatus(None, 9))


def is_readable(fd, seconds):
    return bool(select.select([fd], [], [], seconds)[0])


def is_cloexec(fd):
    check.assertGreater(fd, 2)
    check.assertFalse(os.get_inheritable(fd))


__all__ = [
    "LONG",
    "SCENARIOS",
    "Skip",
    "World",
    "berth",
    "check",
    "fails",
    "has_ended",
    "is_cloexec",
    "is_readable",
    "needs",
    "scenario",
    "was_killed",
]
