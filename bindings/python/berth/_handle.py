"""The base class of all handles. A handle is released once, and not before the calls on it have returned."""

from __future__ import annotations

import contextlib
import os
import threading
from types import TracebackType
from typing import Any, Iterator, Optional, Type, TypeVar

from . import raw
from ._errors import invalid
from ._library import Library

Self = TypeVar("Self", bound="Handle")


class Handle:
    """A handle of the library. Closing it does not affect the container or process.

    May be used by any number of threads at the same time. The garbage collector closes unreachable handles.
    """

    #: The name of the C function that releases the handle.
    _free: str

    def __init__(self, library: Library, pointer: Any) -> None:
        self._library = library
        self._pointer = pointer
        #: The pointer until it is released. Removing it is atomic, so that only one thread releases it.
        self._owned = [pointer]
        # Reentrant: a signal handler may interrupt any of these methods and use the same handle.
        self._lock = threading.RLock()
        self._calls = 0
        self._closed = False
        self._owner = os.getpid()

    @property
    def _c(self) -> raw.Functions:
        return self._library.functions

    @contextlib.contextmanager
    def _held(self) -> Iterator[Any]:
        """Provides the pointer, and prevents its release until the end of the block."""
        with self._lock:
            if self._closed:
                raise invalid("handle", f"is of a {type(self).__name__} that was closed")
            self._calls += 1
        try:
            yield self._pointer
        finally:
            with self._lock:
                self._calls -= 1
                last = self._closed and self._calls == 0
            if last:
                self._release()

    def _call(self, function: raw.Function, *arguments: Any) -> None:
        with self._held() as pointer:
            self._library.call(function, pointer, *arguments)

    def _json(self, function: raw.Function, *arguments: Any) -> Any:
        with self._held() as pointer:
            return self._library.json(function, pointer, *arguments)

    def _release(self) -> None:
        try:
            pointer = self._owned.pop()
        except IndexError:
            return
        self._free_pointer(getattr(self._library.functions, self._free), pointer)

    def _free_pointer(self, free: raw.Function, pointer: Any) -> None:
        free(pointer)

    @property
    def closed(self) -> bool:
        return self._closed

    def close(self) -> None:
        """Closes the handle; may be repeated. Calls in progress end normally, and the last one releases it."""
        with self._lock:
            now = not self._closed and self._calls == 0
            self._closed = True
        if now:
            self._release()

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        self.close()

    def __del__(self) -> None:
        # A forked child must not call the library, and has nothing to release.
        if not getattr(self, "_closed", True) and self._owner == os.getpid():
            self.close()

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise TypeError(f"a {type(self).__name__} cannot be copied or pickled")
