"""Standard streams: where a process's lead, and the caller's ends as file objects."""

from __future__ import annotations

import ctypes
import errno
import io
import subprocess
from ctypes import byref, c_int32
from typing import IO, Any, List, Optional, Sequence, Union

from . import _arguments, raw
from ._arguments import HasFileno
from ._errors import invalid
from ._library import Library, StrPath

#: A new pipe, whose other end is a file object of the process's handle.
PIPE = subprocess.PIPE
#: /dev/null.
DEVNULL = subprocess.DEVNULL

#: Where a standard stream leads: None is where the caller's own does; PIPE; DEVNULL; a descriptor or a file object.
Stream = Union[None, int, HasFileno]


def _stream(value: Stream, parameter: str) -> raw.berth_stream:
    if value is None:
        return raw.berth_stream(raw.BERTH_STDIO_INHERIT, 0)
    if isinstance(value, int) and value in (PIPE, DEVNULL):
        return raw.berth_stream(raw.BERTH_STDIO_PIPE if value == PIPE else raw.BERTH_STDIO_NULL, 0)
    fd = _arguments.descriptor(value, parameter)
    if fd < 0:
        raise invalid(parameter, f"is {fd}: expected None, berth.PIPE, berth.DEVNULL, a descriptor or a file")
    return raw.berth_stream(raw.BERTH_STDIO_FD, fd)


def process_options(
    library: Library,
    stdin: Stream,
    stdout: Stream,
    stderr: Stream,
    extra_fds: Sequence[Union[int, HasFileno]],
    console_socket: Optional[StrPath],
    parent_death_signal: int,
) -> raw.berth_process_options:
    options = raw.berth_process_options()
    library.functions.berth_process_options_init(byref(options), ctypes.sizeof(options))
    for index, (name, value) in enumerate([("stdin", stdin), ("stdout", stdout), ("stderr", stderr)]):
        options.stdio[index] = _stream(value, name)
    if extra_fds:
        fds = [_arguments.descriptor(value, f"extra_fds[{index}]") for index, value in enumerate(extra_fds)]
        options.extra_fds = (c_int32 * len(fds))(*fds)
        options.extra_fd_count = len(fds)
    options.console_socket = _arguments.optional_path(console_socket, "console_socket")
    options.parent_death_signal = _arguments.number(parent_death_signal, "parent_death_signal")
    return options


def close_pipe(file: IO[bytes]) -> None:
    try:
        file.close()
    except BrokenPipeError:
        # What was still buffered has no reader.
        pass


class Terminal(io.FileIO):
    """The master of a process's terminal, unbuffered: what is written is typed, what is shown can be read.

    Reading blocks until something is shown. When no process has the terminal open any more, it gives b"", as at the end of
    other files (where the kernel says EIO).
    """

    def __init__(self, fd: int) -> None:
        super().__init__(fd, "r+")

    def read(self, size: Optional[int] = -1) -> Any:
        if size is None or size < 0:
            return self.readall()
        try:
            return super().read(size)
        except OSError as error:
            return _at_end(error, b"")

    def readinto(self, buffer: Any) -> Any:
        try:
            return super().readinto(buffer)
        except OSError as error:
            return _at_end(error, 0)

    def readall(self) -> bytes:
        chunks: List[bytes] = []
        while not chunks or chunks[-1]:
            chunks.append(self.read(io.DEFAULT_BUFFER_SIZE))
        return b"".join(chunks)


def _at_end(error: OSError, value: Any) -> Any:
    if error.errno != errno.EIO:
        raise error
    return value
