"""Conversion of arguments to C. Rejects values that ctypes would silently truncate."""

from __future__ import annotations

import json
import math
import os
from typing import Any, Mapping, Optional, Protocol, Union

from ._errors import invalid
from ._library import StrPath

#: A JSON document: a mapping, or JSON text.
Document = Union[Mapping[str, Any], str]

_FOR_EVER = -1


class HasFileno(Protocol):
    """An object with a file descriptor, such as a file or a socket."""

    def fileno(self) -> int:
        """Returns the file descriptor."""
        ...


def text(value: str, parameter: str) -> bytes:
    if not isinstance(value, str):
        raise TypeError(f"{parameter} must be a str, not {type(value).__name__}")
    try:
        encoded = value.encode()
    except UnicodeEncodeError as error:
        raise invalid(parameter, f"is not UTF-8: {error}") from None
    return _whole(encoded, parameter)


def path(value: StrPath, parameter: str) -> bytes:
    return _whole(os.fsencode(value), parameter)


def optional_path(value: Optional[StrPath], parameter: str) -> Optional[bytes]:
    return None if value is None else path(value, parameter)


def _whole(value: bytes, parameter: str) -> bytes:
    if b"\0" in value:
        raise invalid(parameter, f"has a NUL at position {value.index(0)}")
    return value


def document(value: Document, parameter: str) -> bytes:
    if isinstance(value, Mapping):
        value = json.dumps(value, allow_nan=False)
    return text(value, parameter)


def number(value: int, parameter: str, low: int = -(2**31), high: int = 2**31 - 1) -> int:
    if not isinstance(value, int):
        raise TypeError(f"{parameter} must be an int, not {type(value).__name__}")
    if not low <= value <= high:
        raise invalid(parameter, f"{int(value)} is out of range: {low} to {high}")
    return int(value)


def milliseconds(seconds: float, parameter: str) -> int:
    """Converts seconds to milliseconds. Rounds up, so that a short time does not become 0."""
    if not isinstance(seconds, (int, float)):
        raise TypeError(f"{parameter} must be a number of seconds, not {type(seconds).__name__}")
    if not 0 <= seconds < 2**62 / 1000:
        raise invalid(parameter, f"{seconds} is not a time: expected seconds, 0 or more")
    return math.ceil(seconds * 1000)


def timeout(seconds: Optional[float]) -> int:
    return _FOR_EVER if seconds is None else milliseconds(seconds, "timeout")


def descriptor(value: Union[int, HasFileno], parameter: str) -> int:
    return number(value if isinstance(value, int) else value.fileno(), parameter)
