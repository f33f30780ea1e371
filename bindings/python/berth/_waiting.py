"""Waits that Ctrl-C interrupts."""

from __future__ import annotations

import threading
import time
from typing import Callable, Optional, TypeVar

from . import _arguments
from ._errors import Timeout

T = TypeVar("T")

#: How long the main thread stays in the library at a time. Signals do not cut a wait of the library's short, and Python
#: runs their handlers in the main thread only, and only between two calls.
_SLICE_MS = 200


def wait(call: Callable[[int], T], timeout: Optional[float]) -> T:
    """Calls a function with a time in milliseconds until it has a result or ``timeout``, in seconds, is over."""
    left = _arguments.timeout(timeout)
    if threading.current_thread() is not threading.main_thread():
        return call(left)
    deadline = None if timeout is None else time.monotonic() + timeout
    while left < 0 or left > _SLICE_MS:
        try:
            return call(_SLICE_MS)
        except Timeout:
            if deadline is not None:
                left = _arguments.timeout(max(0.0, deadline - time.monotonic()))
    return call(left)
