"""The base class of the enumerations of the library's constants."""

from __future__ import annotations

import enum


class Constant(enum.IntEnum):
    """A constant of the C ABI. ``str`` returns its name in lower case, such as "running"."""

    def __str__(self) -> str:
        return self.name.lower()

    def __format__(self, spec: str) -> str:
        return format(int(self), spec) if spec else str(self)
