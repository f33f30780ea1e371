"""Exceptions: one class for each error code of the C ABI, with the same name."""

from __future__ import annotations

import json
from typing import Any, Dict, Mapping, Optional, Tuple, Type

from . import raw
from ._constants import Constant


class ErrorCode(Constant):
    """The error codes of the C ABI (``BERTH_E_...``). They do not change between versions."""

    ID_IN_USE = raw.BERTH_E_ID_IN_USE
    ID_INVALID = raw.BERTH_E_ID_INVALID
    NOT_FOUND = raw.BERTH_E_NOT_FOUND
    PAUSED = raw.BERTH_E_PAUSED
    NOT_STOPPED = raw.BERTH_E_NOT_STOPPED
    NOT_RUNNING = raw.BERTH_E_NOT_RUNNING
    NOT_PAUSED = raw.BERTH_E_NOT_PAUSED
    ALREADY_RUNNING = raw.BERTH_E_ALREADY_RUNNING
    CONFIG_INVALID = raw.BERTH_E_CONFIG_INVALID
    CONSOLE_EXISTS = raw.BERTH_E_CONSOLE_EXISTS
    SYSTEM = raw.BERTH_E_SYSTEM
    UNSUPPORTED = raw.BERTH_E_UNSUPPORTED
    TIMEOUT = raw.BERTH_E_TIMEOUT
    BUSY = raw.BERTH_E_BUSY
    CRIU = raw.BERTH_E_CRIU
    HOOK = raw.BERTH_E_HOOK
    STATUS_UNKNOWN = raw.BERTH_E_STATUS_UNKNOWN
    INVALID_ARGUMENT = raw.BERTH_E_INVALID_ARGUMENT
    INTERNAL = raw.BERTH_E_INTERNAL


class Stage(Constant):
    """The stage that failed (``BERTH_STAGE_...``)."""

    HOST = raw.BERTH_STAGE_HOST
    INIT = raw.BERTH_STAGE_INIT
    HOOK = raw.BERTH_STAGE_HOOK
    CRIU = raw.BERTH_STAGE_CRIU


class Error(Exception):
    """The error of a call. Each code has a subclass; a code that only a newer library has is an ``Error`` itself.

    :ivar code: the ``BERTH_E_...`` code, a negative number; an :class:`ErrorCode` if this package knows it.
    :ivar message: one sentence that names the object and the reason. It is for people and may change between versions.
    :ivar errno: the errno(3) of the failed system call, as in :mod:`errno`; 0 if there was none.
    :ivar stage: the stage that failed, a :class:`Stage`.
    :ivar detail: structured details; which members there are depends on the error ("json_path", "step", "hook",
        "output", "status", "parameter", "cleanup", ...).
    """

    code: int = raw.BERTH_E_INTERNAL
    message: str
    errno: int
    stage: Stage
    detail: Dict[str, Any]

    def __init__(
        self,
        message: str,
        *,
        code: Optional[int] = None,
        errno: int = 0,
        stage: int = Stage.HOST,
        detail: Optional[Mapping[str, Any]] = None,
    ) -> None:
        super().__init__(message)
        if code is not None:
            self.code = code
        self.message = message
        self.errno = errno
        self.stage = Stage(stage)
        self.detail = dict(detail or {})

    def __str__(self) -> str:
        return self.message

    @property
    def json_path(self) -> Optional[str]:
        """The JSON path of the invalid member, such as "linux.resources.pids.limit"; None if the error has none."""
        path = self.detail.get("json_path")
        return path if isinstance(path, str) else None

    def __reduce__(self) -> Tuple[Any, ...]:
        return _again, (type(self), self.message, int(self.code), self.errno, int(self.stage), self.detail)


def _again(kind: Type[Error], message: str, code: int, errno: int, stage: int, detail: Dict[str, Any]) -> Error:
    return kind(message, code=_known(code), errno=errno, stage=stage, detail=detail)


class IdInUse(Error):
    """A container with this id exists already."""

    code = ErrorCode.ID_IN_USE


class IdInvalid(Error, ValueError):
    """The id has characters or a length that are not allowed."""

    code = ErrorCode.ID_INVALID


class NotFound(Error, LookupError):
    """The state root has no container with this id."""

    code = ErrorCode.NOT_FOUND


class Paused(Error):
    """The container is paused and the call needs it running."""

    code = ErrorCode.PAUSED


class NotStopped(Error):
    """The container is not stopped and the call needs it stopped."""

    code = ErrorCode.NOT_STOPPED


class NotRunning(Error):
    """The container is not running (or, where the call allows it, not created)."""

    code = ErrorCode.NOT_RUNNING


class NotPaused(Error):
    """The container is not paused and the call needs it paused."""

    code = ErrorCode.NOT_PAUSED


class AlreadyRunning(Error):
    """The container was already started."""

    code = ErrorCode.ALREADY_RUNNING


class ConfigInvalid(Error, ValueError):
    """The configuration is invalid; :attr:`Error.json_path` is the JSON path of the invalid member."""

    code = ErrorCode.CONFIG_INVALID


class ConsoleExists(Error):
    """The process has a terminal, so its streams cannot be chosen."""

    code = ErrorCode.CONSOLE_EXISTS


class System(Error, OSError):
    """A system call failed; :attr:`Error.errno` is its error number."""

    code = ErrorCode.SYSTEM


class Unsupported(Error):
    """The kernel, the host or this version of libberth does not support the request."""

    code = ErrorCode.UNSUPPORTED


class Timeout(Error, TimeoutError):
    """The deadline passed."""

    code = ErrorCode.TIMEOUT


class Busy(Error):
    """Another process holds the container's lock."""

    code = ErrorCode.BUSY


class Criu(Error):
    """CRIU failed."""

    code = ErrorCode.CRIU


class Hook(Error):
    """A hook failed."""

    code = ErrorCode.HOOK


class StatusUnknown(Error):
    """The process has ended, and its exit status is no longer available."""

    code = ErrorCode.STATUS_UNKNOWN


class InvalidArgument(Error, ValueError):
    """A parameter is malformed or out of range; ``detail["parameter"]`` is its name."""

    code = ErrorCode.INVALID_ARGUMENT


class Internal(Error):
    """A defect of libberth, caught at the boundary of the C ABI."""

    code = ErrorCode.INTERNAL


_CLASSES: Dict[int, Type[Error]] = {int(kind.code): kind for kind in Error.__subclasses__()}


def _known(code: int) -> int:
    return ErrorCode(code) if code in _CLASSES else code


def invalid(parameter: str, problem: str) -> InvalidArgument:
    """Returns the exception for an argument that cannot be converted to C, in the form of the library's own errors."""
    return InvalidArgument(f"{parameter} {problem}", detail={"parameter": parameter})


def take(functions: raw.Functions, code: int, pointer: Any) -> Error:
    """Returns the exception for an error code and its ``berth_error``, which may be NULL; releases the latter."""
    if not pointer:
        words = functions.berth_strerror(code).decode()
        return _CLASSES.get(code, Error)(words, code=_known(code))
    try:
        code = functions.berth_error_code(pointer)
        return _CLASSES.get(code, Error)(
            functions.berth_error_message(pointer).decode(),
            code=_known(code),
            errno=functions.berth_error_errno(pointer),
            stage=functions.berth_error_stage(pointer),
            detail=json.loads(functions.berth_error_detail_json(pointer)),
        )
    finally:
        functions.berth_error_free(pointer)
