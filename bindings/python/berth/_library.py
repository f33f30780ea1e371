"""Finds and loads the shared library, once per process, and calls its functions."""

from __future__ import annotations

import ctypes
import json
import os
import threading
from ctypes import POINTER, byref, c_char_p
from pathlib import Path
from typing import Any, Optional, Union

from . import raw
from ._errors import take

SONAME = "libberth.so.0"
BUNDLED = Path(__file__).resolve().parent / SONAME

StrPath = Union[str, bytes, "os.PathLike[str]", "os.PathLike[bytes]"]


class LoadError(ImportError):
    """libberth was not found, is not libberth, or is too old for this package."""


class Library:
    """A loaded library. Its methods call C functions and raise an exception if they fail."""

    def __init__(self, path: str) -> None:
        try:
            # CDLL releases the GIL during a call, PyDLL does not: other Python threads run while a call blocks.
            library = ctypes.CDLL(path)
        except OSError as error:
            raise LoadError(f"{path} cannot be loaded: {error}") from error
        try:
            self.functions = raw.Functions(library)
        except AttributeError as error:
            raise LoadError(f"{path} is not libberth, or is older than this package: {error}") from error
        version = self.functions.berth_abi_version()
        if version < raw.BERTH_ABI_VERSION:
            raise LoadError(
                f"{path} is older than this package: its ABI's version is {version}, not {raw.BERTH_ABI_VERSION}"
            )
        self.path = path

    def call(self, function: raw.Function, *arguments: Any) -> None:
        """Calls a function whose last parameter is ``berth_error **``; raises :class:`berth.Error` if it fails."""
        error = POINTER(raw.berth_error)()
        code = function(*arguments, byref(error))
        if code != 0:
            raise take(self.functions, code, error)

    def text(self, function: raw.Function, *arguments: Any) -> str:
        """As :meth:`call`, for a function that returns a string in its last parameter before the error."""
        string = c_char_p()
        self.call(function, *arguments, byref(string))
        try:
            return (string.value or b"").decode()
        finally:
            self.functions.berth_string_free(string)

    def json(self, function: raw.Function, *arguments: Any) -> Any:
        return json.loads(self.text(function, *arguments))


_lock = threading.Lock()
_library: Optional[Library] = None


def library() -> Library:
    """Returns the library. Loads it at the first call."""
    return _library or _load(None)


def load(path: Optional[StrPath] = None) -> str:
    """Loads libberth and returns its path, or its soname if the system's loader found it.

    Only needed to choose the library. Without it, the first call loads the library in this package, if it was
    installed from a wheel that includes it, or else the one that the system's loader finds (``libberth.so.0``).

    :param path: the path of the library. A process can load only one: a different path later is an error.
    :raises LoadError: it was not found, is not libberth or is too old, or another library is already loaded.
    """
    return _load(None if path is None else os.path.realpath(os.fsdecode(path))).path


def _load(path: Optional[str]) -> Library:
    global _library
    with _lock:
        if _library is None:
            _library = _find() if path is None else Library(path)
        elif path is not None and path != _library.path:
            raise LoadError(f"{path} cannot be loaded: {_library.path} is in use already")
        return _library


def _find() -> Library:
    if BUNDLED.exists():
        return Library(str(BUNDLED))
    try:
        return Library(SONAME)
    except LoadError as error:
        if not isinstance(error.__cause__, OSError):
            # It was found, but is too old.
            raise
        raise LoadError(
            f"libberth was not found: this package does not carry it, and the system's loader says: "
            f"{error.__cause__}. Install libberth, or name its file: berth.load(path)"
        ) from error.__cause__
