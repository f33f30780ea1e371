"""Logging. The library does not log until one of these functions is called."""

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
    """The level of a log line (``BERTH_LOG_LEVEL_...``)."""

    ERROR = raw.BERTH_LOG_LEVEL_ERROR
    WARN = raw.BERTH_LOG_LEVEL_WARN
    INFO = raw.BERTH_LOG_LEVEL_INFO
    DEBUG = raw.BERTH_LOG_LEVEL_DEBUG
    TRACE = raw.BERTH_LOG_LEVEL_TRACE


#: Receives a log line: the level, the module that logs ("berth::container::delete"), and a message without a newline.
LogCallback = Callable[[LogLevel, str, str], None]

_callback: Optional[LogCallback] = None


def _line(_userdata: Any, level: int, target: bytes, message: bytes) -> None:
    callback = _callback
    if callback is not None:
        callback(LogLevel(level), target.decode(), message.decode())


_LINE = raw.berth_log_callback(_line)
_NULL = raw.berth_log_callback(0)


def set_log_callback(callback: Optional[LogCallback]) -> None:
    """Sends the log to a callback; None disables it. Replaces a file that was set with :func:`set_log_fd`.

    The library calls the callback from any thread that is inside one of its calls, at most once at a time per thread.
    The callback should return soon; an exception that it raises is printed and ignored. Blocks while another thread is
    in the previous callback; when this function returns, no thread is in it and none will be.

    :raises Busy: it was called from inside the callback.
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
    """Removes the callback before the interpreter is finalized."""
    if _callback is not None:
        set_log_callback(None)


def set_log_fd(file: Union[int, HasFileno, None]) -> None:
    """Sends the log to a descriptor or file, which is duplicated; None disables it. Replaces a callback that was set
    with :func:`set_log_callback`, and blocks while another thread is in it.

    Each line is a JSON object with the members "time" (RFC 3339), "level", "target" and "msg", written with one
    write(2). Logging never blocks a call or makes it fail: a line that a full pipe or socket cannot take at once is
    dropped, and so is every line once the reader is gone, without SIGPIPE.

    :raises InvalidArgument: ``file`` is not an open descriptor.
    :raises Busy: it was called from inside the callback.
    """
    fd = -1 if file is None else _arguments.descriptor(file, "file")
    loaded = library()
    loaded.call(loaded.functions.berth_log_set_fd, fd)


def set_log_level(level: LogLevel) -> None:
    """Sets the most detailed level that is logged. The default is ``DEBUG``.

    ``TRACE`` is for profiling: each call logs when it passes a stage. Such a line has the target "berth::point" and
    consists of the stage's name ("create.cgroups"), a space, and the nanoseconds of CLOCK_MONOTONIC. The names may
    change between versions.

    :raises InvalidArgument: the level is not one of the constants.
    :raises Busy: it was called from inside the callback.
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
    """Sends the log to a logger of :mod:`logging`; None disables it. Otherwise as :func:`set_log_callback`."""
    if logger is None:
        return set_log_callback(None)
    receiver = logger

    def callback(level: LogLevel, target: str, message: str) -> None:
        receiver.log(_LEVELS[level], "%s: %s", target, message)

    set_log_callback(callback)
