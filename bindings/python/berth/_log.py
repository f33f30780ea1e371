"""Where the library's log goes: nowhere, until it is told."""

from __future__ import annotations

import atexit
import logging
from typing import Any, Callable, Optional, Union

from . import _arguments, raw
from ._arguments import HasFileno
from ._constants import Constant
from ._errors import Error
from ._library import library


class LogLevel(Constant):
    """How much a line of the log matters (``BERTH_LOG_LEVEL_...``)."""

    ERROR = raw.BERTH_LOG_LEVEL_ERROR
    WARN = raw.BERTH_LOG_LEVEL_WARN
    INFO = raw.BERTH_LOG_LEVEL_INFO
    DEBUG = raw.BERTH_LOG_LEVEL_DEBUG
    TRACE = raw.BERTH_LOG_LEVEL_TRACE


#: Gets the level, the part of the library a line comes from ("berth::container::delete"), and a sentence.
LogCallback = Callable[[LogLevel, str, str], None]

_callback: Optional[LogCallback] = None


def _line(_userdata: Any, level: int, target: bytes, message: bytes) -> None:
    callback = _callback
    if callback is not None:
        callback(LogLevel(level), target.decode(), message.decode())


_LINE = raw.berth_log_callback(_line)
_NULL = raw.berth_log_callback(0)


def set_log_callback(callback: Optional[LogCallback]) -> None:
    """Sends the library's log to a function; None ends that, as does :func:`set_log_fd`.

    It is called in whichever threads are in calls of the library, and should return soon. What it raises is printed and
    ignored. When this returns, no thread is in the function set before.

    :raises Busy: called from within a callback.
    """
    global _callback
    before, _callback = _callback, callback
    try:
        loaded = library()
        loaded.call(loaded.functions.berth_log_set_callback, _NULL if callback is None else _LINE, None)
    except Error:
        _callback = before
        raise


@atexit.register
def _end() -> None:
    """Nobody may call into an interpreter that is being taken down."""
    if _callback is not None:
        set_log_callback(None)


def set_log_fd(file: Union[int, HasFileno, None]) -> None:
    """Sends the library's log to a descriptor or file, which is duplicated; None ends that, as does
    :func:`set_log_callback`.

    Each line is a JSON object with "time" (RFC 3339), "level", "target" and "msg", in one write(2). The log never makes a
    call wait or fail: a line that a full pipe cannot take at once is lost.

    :raises InvalidArgument: it is not an open descriptor.
    :raises Busy: called from within a callback.
    """
    fd = -1 if file is None else _arguments.descriptor(file, "file")
    loaded = library()
    loaded.call(loaded.functions.berth_log_set_fd, fd)


def set_log_level(level: LogLevel) -> None:
    """Says how much goes to the log: lines up to this level. ``DEBUG``, if it is never called.

    ``TRACE`` is for finding out where the time goes: each call says when it passes the stages of its work, in lines of the
    target "berth::point": the stage's name ("create.cgroups"), a space, and the nanoseconds of CLOCK_MONOTONIC.

    :raises InvalidArgument: there is no such level.
    :raises Busy: called from within a callback.
    """
    loaded = library()
    loaded.call(loaded.functions.berth_log_set_level, _arguments.number(level, "level"))


_LEVELS = {
    LogLevel.ERROR: logging.ERROR,
    LogLevel.WARN: logging.WARNING,
    LogLevel.INFO: logging.INFO,
    LogLevel.DEBUG: logging.DEBUG,
    LogLevel.TRACE: logging.DEBUG // 2,
}


def set_logger(logger: Optional[logging.Logger]) -> None:
    """Sends the library's log to one of :mod:`logging`'s loggers; None ends that. As :func:`set_log_callback`."""
    if logger is None:
        return set_log_callback(None)
    receiver = logger

    def callback(level: LogLevel, target: str, message: str) -> None:
        receiver.log(_LEVELS[level], "%s: %s", target, message)

    set_log_callback(callback)
