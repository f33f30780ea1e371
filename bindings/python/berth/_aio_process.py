"""The process of :mod:`berth.aio`, and its streams."""

from __future__ import annotations

import asyncio
import errno
import os
import signal as signals
from typing import Any, Callable, List, Optional, Tuple, TypeVar

from ._aio_waiting import Watched, end, settled
from ._errors import Error, invalid
from ._library import Library
from ._process import ProcessHandle
from ._stats import ExitStatus

T = TypeVar("T")


class _StreamProtocol(asyncio.StreamReaderProtocol):
    """Treats EIO, the end of a terminal, as end of file."""

    def connection_lost(self, error: Optional[Exception]) -> None:
        ended = isinstance(error, OSError) and error.errno == errno.EIO
        super().connection_lost(None if ended else error)


async def _reader(fd: int) -> Tuple[asyncio.StreamReader, asyncio.BaseTransport]:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    transport, _ = await loop.connect_read_pipe(lambda: _StreamProtocol(reader), os.fdopen(fd, "rb", 0))
    return reader, transport


async def _writer(fd: int) -> Tuple[asyncio.StreamWriter, asyncio.BaseTransport]:
    loop = asyncio.get_running_loop()
    protocol = asyncio.StreamReaderProtocol(asyncio.StreamReader())
    transport, _ = await loop.connect_write_pipe(lambda: protocol, os.fdopen(fd, "wb", 0))
    return asyncio.StreamWriter(transport, protocol, None, loop), transport


class Process(Watched, ProcessHandle):
    """A process: a container's init (:attr:`Container.init`), or one that :meth:`Container.exec` has started.

    Closing it also closes its streams; the process keeps running.

    :ivar stdin: the pipe to its standard input; None unless it was started with ``stdin=PIPE``.
    :ivar stdout: the pipe from its standard output; None unless it was started with ``stdout=PIPE``.
    :ivar stderr: the pipe from its standard error; None unless it was started with ``stderr=PIPE``.
    """

    _poll_interval: Optional[float] = None

    def __init__(self, library: Library, pointer: Any) -> None:
        super().__init__(library, pointer)
        self._streams: List[Tuple[object, asyncio.BaseTransport]] = []
        self.stdin: Optional[asyncio.StreamWriter] = None
        self.stdout: Optional[asyncio.StreamReader] = None
        self.stderr: Optional[asyncio.StreamReader] = None

    def _descriptor(self) -> int:
        return self.pidfd()

    async def _connect(self) -> None:
        """Creates streams from the pipes."""
        stdin, stdout, stderr = self._take_stdio()
        if stdin >= 0:
            self.stdin = self._keep(await _writer(stdin))
        if stdout >= 0:
            self.stdout = self._keep(await _reader(stdout))
        if stderr >= 0:
            self.stderr = self._keep(await _reader(stderr))

    def _keep(self, made: Tuple[T, asyncio.BaseTransport]) -> T:
        self._streams.append(made)
        return made[0]

    async def open_terminal(self) -> Tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Returns the master of the process's terminal (pty(7)), as a reader and a writer.

        The reader returns end of file when no process has the terminal open any more. Both are closed with this handle.
        :attr:`terminal` is the same terminal as a blocking file.

        :raises InvalidArgument: this handle has no terminal (see :attr:`terminal`).
        """
        terminal = self.terminal
        if terminal is None:
            raise invalid("process", "has no terminal that this handle knows")
        reader = self._keep(await _reader(os.dup(terminal.fileno())))
        return reader, self._keep(await _writer(os.dup(terminal.fileno())))

    async def communicate(self, input: Optional[bytes] = None) -> Tuple[bytes, bytes]:
        """Writes ``input``, closes standard input, and returns standard output and error, read until end of file.

        Only for streams that are pipes; ``b""`` for others. Does not wait for the process (see :meth:`wait`).
        """
        stdout, stderr, _ = await asyncio.gather(_all(self.stdout), _all(self.stderr), _feed(self.stdin, input))
        return stdout, stderr

    async def wait(self) -> ExitStatus:
        """Waits until the process has ended and returns how. May be called repeatedly, and by several tasks at once.

        :raises StatusUnknown: it has ended, and its status is not available.
        """
        return await end(self._wait_ms, self._ready, self._poll_interval)

    def close(self) -> None:
        for _stream, transport in self._streams:
            transport.close()
        super().close()

    async def _reap(self) -> None:
        """Waits for the process, so that it does not stay a zombie."""
        try:
            await self.wait()
        except Error:
            # The handle was closed, or the status is not available.
            pass

    def _discard(self) -> None:
        """Kills a process whose handle is not returned to the caller; blocks."""
        try:
            self.signal(signals.SIGKILL)
            self._wait_ms(1000)
        except Error:
            # It has ended; or it is frozen, and a later call on the container reaps it.
            pass
        self.close()


async def _all(reader: Optional[asyncio.StreamReader]) -> bytes:
    return b"" if reader is None else await reader.read()


async def _feed(writer: Optional[asyncio.StreamWriter], input: Optional[bytes]) -> None:
    if writer is None:
        return
    try:
        writer.write(input or b"")
        await writer.drain()
    except (BrokenPipeError, ConnectionResetError):
        # The process has closed its input: the rest is dropped.
        pass
    writer.close()


async def connected(process: Process, owner: T, *, undo: Callable[[T], object]) -> None:
    """Creates the streams of a new process; if that fails, passes ``owner`` to ``undo``, which blocks."""
    try:
        await process._connect()
    except BaseException:
        await settled(asyncio.get_running_loop().run_in_executor(None, undo, owner))
        raise
