"""How the library's constants look in Python."""

from __future__ import annotations

import enum


class Constant(enum.IntEnum):
    """A constant of the C ABI with a name, as which it prints: "running"."""

    def __str__(self) -> str:
        return self.name.lower()

    def __format__(self, spec: str) -> str:
        return format(int(self), spec) if spec else str(self)
