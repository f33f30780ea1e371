"""libberth: a Linux container runtime as a library.

A :class:`Runtime` is a state root with its containers; a :class:`Container` is created from a validated
:class:`Config`, started and deleted; a :class:`Process` is its init, or an exec'd process. All four are handles and
context managers; on exit only the handle is released. :func:`deleting` deletes the container at the end of a block. ::

    import berth

    spec = berth.default_spec()
    spec["process"].update(args=["echo", "hello"], terminal=False)
    config = berth.Config.from_json(spec, rootfs="/srv/busybox")
    with berth.Runtime() as runtime:
        with berth.deleting(runtime.run("hello", config, stdout=berth.PIPE)) as container:
            print(container.init.stdout.read(), container.wait())

A failed call raises an :class:`Error`; each code of the C ABI has its own subclass. Times are in seconds. All objects
may be used from any thread; :mod:`berth.aio` is for asyncio. Every call may raise :class:`InvalidArgument`,
:class:`System` (a system call failed) and :class:`Internal` (a defect of libberth); other errors are listed at each
method.

"OCI" is the Open Container Initiative's runtime specification, https://github.com/opencontainers/runtime-spec.
"""

from . import raw
from ._arguments import Document, HasFileno
from ._checkpoint import CgroupMode, CheckpointOptions, NetworkLock, RestoreOptions
from ._config import Config, default_rootless_spec, default_spec
from ._container import Container, ProcessSpec, Status, deleting
from ._errors import (
    AlreadyRunning,
    Busy,
    ConfigInvalid,
    ConsoleExists,
    Criu,
    Error,
    ErrorCode,
    Hook,
    IdInUse,
    IdInvalid,
    Internal,
    InvalidArgument,
    NotFound,
    NotPaused,
    NotRunning,
    NotStopped,
    Paused,
    Stage,
    StatusUnknown,
    System,
    Timeout,
    Unsupported,
)
from ._events import Events, Occurred, Pressure
from ._library import LoadError, StrPath, load
from ._log import LogLevel, set_log_callback, set_log_fd, set_log_level, set_logger
from ._process import Process
from ._runtime import CgroupManager, Runtime
from ._stats import ExitStatus, Stats
from ._streams import DEVNULL, PIPE, ProcessOptions, Stream, Terminal
from ._version import HEADER_VERSION, __version__, abi_version, error_name, features, has_feature, status_name, strerror, version

# Set __module__ to the public package, so that repr() and pickle use the public names, not those of private modules.
for _thing in list(globals().values()):
    if isinstance(_thing, type) and _thing.__module__.startswith("berth._"):
        _thing.__module__ = "berth"
del _thing

__all__ = [
    "AlreadyRunning",
    "Busy",
    "CgroupManager",
    "CgroupMode",
    "CheckpointOptions",
    "Config",
    "ConfigInvalid",
    "ConsoleExists",
    "Container",
    "Criu",
    "DEVNULL",
    "Document",
    "Error",
    "ErrorCode",
    "Events",
    "ExitStatus",
    "HasFileno",
    "Hook",
    "IdInUse",
    "IdInvalid",
    "Internal",
    "InvalidArgument",
    "LoadError",
    "LogLevel",
    "NetworkLock",
    "NotFound",
    "NotPaused",
    "NotRunning",
    "NotStopped",
    "Occurred",
    "PIPE",
    "Paused",
    "Pressure",
    "Process",
    "ProcessOptions",
    "ProcessSpec",
    "RestoreOptions",
    "Runtime",
    "Stage",
    "Stats",
    "Status",
    "StatusUnknown",
    "StrPath",
    "Stream",
    "System",
    "Terminal",
    "Timeout",
    "Unsupported",
    "__version__",
    "HEADER_VERSION",
    "abi_version",
    "default_rootless_spec",
    "default_spec",
    "deleting",
    "error_name",
    "features",
    "has_feature",
    "load",
    "raw",
    "set_log_callback",
    "set_log_fd",
    "set_log_level",
    "set_logger",
    "status_name",
    "strerror",
    "version",
]
