"""Standard streams and options of a process."""

from __future__ import annotations

import ctypes
import dataclasses
import errno
import io
import subprocess
from ctypes import byref, c_char_p, c_int32
from typing import IO, Any, List, Optional, Sequence, Tuple, Union

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


@dataclasses.dataclass(frozen=True)
class ProcessOptions:
    """Options for starting a process, in addition to its specification and standard streams."""

    #: Descriptors or files that become the process's 3, 4 and so on.
    extra_fds: Sequence[Union[int, HasFileno]] = ()
    #: A unix socket that gets the master of the process's terminal in a message (SCM_RIGHTS, unix(7)), as runc's
    #: ``--console-socket``. Without it the master is :attr:`Process.terminal`.
    console_socket: Optional[StrPath] = None
    #: The signal that the process gets when the *thread* that started it ends (PR_SET_PDEATHSIG(2const)). 0: none.
    parent_death_signal: int = 0
    #: When a container is created: its processes keep the session keyring (keyrings(7)) of who starts them, instead of
    #: getting a new one.
    inherit_keyring: bool = False
    #: With exec: in a container that is paused the process begins when that is resumed, and the call returns then, or
    #: raises :class:`Timeout` after the setup timeout.
    wait_while_paused: bool = False
    #: When a container is created: that fails (:class:`System` with ENOENT) if the program does not exist. Without it only
    #: starting does: until then hooks may bring the program.
    find_program: bool = False
    #: With ``process.terminal``: newlines in the output stay as they are (ONLCR is cleared).
    plain_newlines: bool = False
    #: With exec: cgroups below the container's own that the process is put into, each "path", in all hierarchies, or
    #: "controller[,controller]:path", in those. They must exist.
    cgroups: Sequence[str] = ()


_FLAGS = {
    "inherit_keyring": raw.BERTH_PROCESS_INHERIT_KEYRING,
    "wait_while_paused": raw.BERTH_PROCESS_WAIT_WHILE_PAUSED,
    "find_program": raw.BERTH_PROCESS_FIND_PROGRAM,
    "plain_newlines": raw.BERTH_PROCESS_PLAIN_NEWLINES,
}


def process_options(
    library: Library, stdio: Tuple[Stream, Stream, Stream], options: Optional[ProcessOptions]
) -> raw.berth_process_options:
    wanted = options or ProcessOptions()
    made = raw.berth_process_options()
    library.functions.berth_process_options_init(byref(made), ctypes.sizeof(made))
    for index, name in enumerate(("stdin", "stdout", "stderr")):
        made.stdio[index] = _stream(stdio[index], name)
    if wanted.extra_fds:
        fds = [_arguments.descriptor(fd, f"extra_fds[{index}]") for index, fd in enumerate(wanted.extra_fds)]
        made.extra_fds = (c_int32 * len(fds))(*fds)
        made.extra_fd_count = len(fds)
    made.console_socket = _arguments.optional_path(wanted.console_socket, "console_socket")
    made.parent_death_signal = _arguments.number(wanted.parent_death_signal, "parent_death_signal")
    made.flags = sum(flag for name, flag in _FLAGS.items() if getattr(wanted, name))
    if wanted.cgroups:
        cgroups = [_arguments.text(one, f"cgroups[{index}]") for index, one in enumerate(wanted.cgroups)]
        made.cgroups = (c_char_p * len(cgroups))(*cgroups)
        made.cgroup_count = len(cgroups)
    return made


def close_pipe(file: IO[bytes]) -> None:
    try:
        file.close()
    except BrokenPipeError:
        # What was still buffered has no reader.
        pass


class Terminal(io.FileIO):
    """The master of a process's terminal, unbuffered: writing types input, reading returns output.

    Reading blocks until there is output. When no process has the terminal open any more, it returns b"", as at the end of
    other files (where the kernel returns EIO).
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
