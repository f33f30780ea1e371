"""A process of a container."""

from __future__ import annotations

import os
import threading
from ctypes import byref, c_int32
from typing import IO, Any, List, Optional, Tuple

from . import _arguments, _communicate, _waiting, raw
from ._handle import Handle
from ._library import Library
from ._stats import ExitStatus, exit_status
from ._streams import Terminal, close_pipe

Files = Tuple[Optional[IO[bytes]], Optional[IO[bytes]], Optional[IO[bytes]]]


class ProcessHandle(Handle):
    """Base class of :class:`berth.Process` and :class:`berth.aio.Process`."""

    _free = "berth_process_free"

    def __init__(self, library: Library, pointer: Any) -> None:
        super().__init__(library, pointer)
        self._streams_lock = threading.RLock()
        self._terminal: Optional[Terminal] = None

    @property
    def pid(self) -> int:
        """The process's id in the caller's pid namespace.

        After the process has ended and was waited for, the number may be reused; a :meth:`pidfd` is not affected.
        """
        pid = c_int32()
        self._call(self._c.berth_process_pid, byref(pid))
        return pid.value

    def pidfd(self) -> int:
        """Returns a pidfd of the process (pidfd_open(2)), which becomes readable when the process has ended.

        The caller closes it. Read the status with :meth:`wait`, not with :func:`os.waitid`.

        :raises System: the limit of open descriptors is reached.
        """
        fd = c_int32(-1)
        self._call(self._c.berth_process_pidfd, byref(fd))
        return fd.value

    def signal(self, signal: int) -> None:
        """Sends a signal to the process (pidfd_send_signal(2)); 0 only checks whether it exists.

        Never signals another process that has got the same id.

        :param signal: the signal number, as in :mod:`signal`.
        :raises NotRunning: the process has ended.
        :raises InvalidArgument: unknown signal.
        """
        self._call(self._c.berth_process_signal, _arguments.number(signal, "signal"))

    @property
    def terminal(self) -> Optional[Terminal]:
        """The master of the process's terminal (pty(7)), as a file that is closed with this handle.

        None if the process has no terminal, if the master was sent to a console socket, or if this handle did not start
        the process.
        """
        with self._streams_lock:
            if self._terminal is None:
                fd = c_int32(-1)
                self._call(self._c.berth_process_terminal, byref(fd))
                self._terminal = Terminal(fd.value) if fd.value >= 0 else None
            return self._terminal

    def resize_terminal(self, rows: int, columns: int) -> None:
        """Sets the size of the process's terminal, in characters; its foreground processes receive SIGWINCH.

        :raises InvalidArgument: this handle has no :attr:`terminal`. The receiver of a console socket resizes the
            terminal itself.
        """
        rows = _arguments.number(rows, "rows", 0, 0xFFFF)
        columns = _arguments.number(columns, "columns", 0, 0xFFFF)
        self._call(self._c.berth_process_resize_terminal, rows, columns)

    def close(self) -> None:
        if self._terminal is not None:
            self._terminal.close()
        super().close()

    def _wait_ms(self, timeout_ms: int) -> ExitStatus:
        status = raw.berth_exit_status()
        self._call(self._c.berth_process_wait, timeout_ms, byref(status))
        return exit_status(status)

    def _take_stdio(self) -> List[int]:
        """Takes the caller's ends of the pipes, -1 where there is none. Each end is returned once."""
        fds = (c_int32 * 3)(-1, -1, -1)
        self._call(self._c.berth_process_take_stdio, fds)
        return list(fds)


class Process(ProcessHandle):
    """A process: a container's init (:attr:`Container.init`), or one that :meth:`Container.exec` has started.

    A context manager that closes the handle and its streams on exit; the process keeps running. A process that was not
    waited for stays a zombie of the caller until a later call on its container, or the caller's end.
    """

    _files: Optional[Files] = None

    def _stdio(self) -> Files:
        with self._streams_lock:
            if self._files is None:
                stdin, stdout, stderr = self._take_stdio()
                self._files = (
                    os.fdopen(stdin, "wb") if stdin >= 0 else None,
                    os.fdopen(stdout, "rb") if stdout >= 0 else None,
                    os.fdopen(stderr, "rb") if stderr >= 0 else None,
                )
            return self._files

    @property
    def stdin(self) -> Optional[IO[bytes]]:
        """The pipe to the process's standard input, a buffered file; None unless it was started with ``stdin=PIPE``.

        Writing blocks while the pipe is full, and raises :class:`BrokenPipeError` if the process has closed it.
        """
        return self._stdio()[0]

    @property
    def stdout(self) -> Optional[IO[bytes]]:
        """The pipe from its standard output, a buffered, blocking file; None unless started with ``stdout=PIPE``."""
        return self._stdio()[1]

    @property
    def stderr(self) -> Optional[IO[bytes]]:
        """The pipe from its standard error, a buffered, blocking file; None unless started with ``stderr=PIPE``."""
        return self._stdio()[2]

    def communicate(self, input: Optional[bytes] = None, timeout: Optional[float] = None) -> Tuple[bytes, bytes]:
        """Writes ``input``, closes standard input, and returns standard output and error, read until end of file.

        Only for streams that are pipes; ``b""`` for others. Does not wait for the process (see :meth:`wait`).

        :param timeout: in seconds; None: no limit.
        :raises Timeout: a process still has the streams open. The data read so far is lost.
        """
        return _communicate.communicate(self._stdio(), input, timeout)

    def wait(self, timeout: Optional[float] = None) -> ExitStatus:
        """Waits until the process has ended and returns how. May be called repeatedly, and by several threads at once.

        Waits only for this process, never for another child of the caller. Ctrl-C interrupts it.

        :param timeout: in seconds; None: no limit, 0: do not block.
        :raises Timeout: it has not ended yet.
        :raises StatusUnknown: it has ended, and its status is not available.
        """
        return _waiting.wait(self._wait_ms, timeout)

    def close(self) -> None:
        for file in self._files or ():
            if file is not None:
                close_pipe(file)
        super().close()
