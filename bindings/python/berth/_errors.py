"""Exceptions: one class for each code of the C ABI, by the same names."""

from __future__ import annotations

import json
from typing import Any, Dict, Mapping, Optional, Tuple, Type

from . import raw
from ._constants import Constant


class ErrorCode(Constant):
    """The stable codes of the C ABI (``BERTH_E_...``)."""

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
    """Who was at work when it failed (``BERTH_STAGE_...``)."""

    HOST = raw.BERTH_STAGE_HOST
    INIT = raw.BERTH_STAGE_INIT
    HOOK = raw.BERTH_STAGE_HOOK
    CRIU = raw.BERTH_STAGE_CRIU


class Error(Exception):
    """Why a call failed. Each code has a subclass; what a newer library has beside these is an ``Error`` itself.

    :ivar code: the ``BERTH_E_...`` code, a negative number; an :class:`ErrorCode` if it is a known one.
    :ivar message: one sentence that names the object and the reason. For people: it may change between versions.
    :ivar errno: the kernel's reason, as in :mod:`errno`; 0 where there was none.
    :ivar stage: who was at work, a :class:`Stage`.
    :ivar detail: facts beside the sentence; which there are depends on what failed ("json_path", "step", "hook",
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
        """The field of the configuration that is wrong, like "linux.resources.pids.limit"; None if none is."""
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
    """No container of this id is known below the state root."""

    code = ErrorCode.NOT_FOUND


class Paused(Error):
    """The container is paused and the call needs it running."""

    code = ErrorCode.PAUSED


class NotStopped(Error):
    """The container is not stopped and the call needs it stopped."""

    code = ErrorCode.NOT_STOPPED


class NotRunning(Error):
    """The container is not running (or, where that will do, not created)."""

    code = ErrorCode.NOT_RUNNING


class NotPaused(Error):
    """Resume was asked of a container that is not paused."""

    code = ErrorCode.NOT_PAUSED


class AlreadyRunning(Error):
    """Start was asked of a container that runs already."""

    code = ErrorCode.ALREADY_RUNNING


class ConfigInvalid(Error, ValueError):
    """The configuration is wrong; :attr:`Error.json_path` says where."""

    code = ErrorCode.CONFIG_INVALID


class ConsoleExists(Error):
    """The process has a terminal already."""

    code = ErrorCode.CONSOLE_EXISTS


class System(Error, OSError):
    """The kernel refused something; :attr:`Error.errno` says why."""

    code = ErrorCode.SYSTEM


class Unsupported(Error):
    """The kernel, the host or this version of libberth cannot do what was asked."""

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
    """The process has ended, and its exit status was consumed by another wait."""

    code = ErrorCode.STATUS_UNKNOWN


class InvalidArgument(Error, ValueError):
    """A parameter is malformed or out of range; ``detail["parameter"]`` is its name."""

    code = ErrorCode.INVALID_ARGUMENT


class Internal(Error):
    """A defect of libberth itself, caught at the boundary."""

    code = ErrorCode.INTERNAL


_CLASSES: Dict[int, Type[Error]] = {int(kind.code): kind for kind in Error.__subclasses__()}


def _known(code: int) -> int:
    return ErrorCode(code) if code in _CLASSES else code


def invalid(parameter: str, problem: str) -> InvalidArgument:
    """What the library would say of a parameter that cannot even be passed to it."""
    return InvalidArgument(f"{parameter} {problem}", detail={"parameter": parameter})


def take(functions: raw.Functions, code: int, pointer: Any) -> Error:
    """The exception for a call that has returned this code and, if it had the memory, this error; that is released."""
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
