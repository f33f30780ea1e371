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

#: A new pipe; the process's handle provides the caller's end as a file object.
PIPE = subprocess.PIPE
#: /dev/null.
DEVNULL = subprocess.DEVNULL

#: A standard stream of a process: None (inherit the caller's), PIPE, DEVNULL, a descriptor or a file object.
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

    #: Descriptors or files of the caller, which become the process's descriptors 3, 4 and so on.
    extra_fds: Sequence[Union[int, HasFileno]] = ()
    #: Path of a unix socket to which the terminal's master is sent (SCM_RIGHTS, unix(7)), as runc's
    #: ``--console-socket``. None: :attr:`Process.terminal` is the master.
    console_socket: Optional[StrPath] = None
    #: Signal that the process receives when the *thread* that started it ends (PR_SET_PDEATHSIG(2const)). 0: none.
    parent_death_signal: int = 0
    #: At create: the container's processes keep the session keyring (keyrings(7)) of the process that starts them,
    #: instead of a new one.
    inherit_keyring: bool = False
    #: With exec: if the container is paused, wait until it is resumed. Raises :class:`Timeout` after the setup timeout.
    wait_while_paused: bool = False
    #: At create: fail (:class:`System` with ENOENT) if the program does not exist. Without it only start fails: until
    #: then hooks may provide the program.
    find_program: bool = False
    #: With ``process.terminal``: newlines in the program's output stay as they are (ONLCR, termios(3), is cleared).
    plain_newlines: bool = False
    #: With exec: cgroups below the container's own that the process joins. Each is "path", for all hierarchies, or
    #: "controller[,controller]:path", for the named ones. They must exist; ".." is refused.
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
        # The process has closed its input: the buffered data is dropped.
        pass


class Terminal(io.FileIO):
    """The master of a process's terminal, unbuffered: writes are the process's input, reads return its output.

    Reading blocks until there is output. When no process has the terminal open any more, the kernel returns EIO;
    reading then returns b"", as at the end of a file.
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
