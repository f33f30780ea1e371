"""Waits that a signal handler, such as Ctrl-C's, can interrupt."""

from __future__ import annotations

import threading
import time
from typing import Callable, Optional, TypeVar

from . import _arguments
from ._errors import Timeout

T = TypeVar("T")

#: The maximum time of one call of the library in the main thread. Signals do not interrupt the library's waits, and
#: Python runs signal handlers only in the main thread and only after the call has returned.
_SLICE_MS = 200


def wait(call: Callable[[int], T], timeout: Optional[float]) -> T:
    """Calls a function with a timeout in milliseconds until it returns a result or ``timeout`` seconds are over."""
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
