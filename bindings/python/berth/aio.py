"""The classes of :mod:`berth` for :mod:`asyncio`: no call blocks the event loop.

The loop itself waits on descriptors for the end of a container or process, for events and for output. Calls that may
block (create, start, exec, delete, ...) run in the loop's default executor. Cancelling such a call waits for its
end; then a container that it has created is deleted, and a process that it has executed is killed. Queries (status,
stats, ...) are ordinary methods, as in :mod:`berth`. ::

    async def main():
        with berth.aio.Runtime() as runtime:
            async with berth.aio.deleting(await runtime.run("hello", config)) as container:
                print(await container.wait())

An object is bound to the event loop in which it is first awaited.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import functools
import os
import signal as signals
from typing import Any, AsyncIterator, Callable, Dict, List, Optional, Set, Tuple, TypeVar, Union

from . import raw
from ._arguments import Document
from ._checkpoint import CheckpointOptions, RestoreOptions, checkpoint_options, restore_options
from ._config import Config
from ._container import ContainerHandle, ProcessSpec
from ._errors import Error, NotFound, StatusUnknown, Timeout, invalid
from ._events import EventsHandle, Occurred, Pressure
from ._handle import Handle
from ._library import Library, StrPath
from ._process import ProcessHandle
from ._runtime import RuntimeHandle
from ._stats import ExitStatus
from ._streams import ProcessOptions, Stream, process_options

__all__ = ["Container", "Events", "Process", "Runtime", "deleting"]

T = TypeVar("T")


async def _blocking(function: Callable[..., T], *arguments: Any, undo: Optional[Callable[[T], object]] = None) -> T:
    """Runs a blocking call in the loop's executor.

    It cannot be interrupted: cancelling waits for its end and passes its result to ``undo``.
    """
    loop = asyncio.get_running_loop()
    call = loop.run_in_executor(None, functools.partial(function, *arguments))
    try:
        return await asyncio.shield(call)
    except asyncio.CancelledError:
        await _settled(call)
        if undo is not None and call.exception() is None:
            await _settled(loop.run_in_executor(None, undo, call.result()))
        raise


async def _settled(future: asyncio.Future[Any]) -> None:
    """Waits for a future and ignores cancellation; the caller is being cancelled already."""
    while not future.done():
        try:
            await asyncio.wait([future])
        except asyncio.CancelledError:
            pass
    # Retrieve the exception: asyncio logs exceptions that were never retrieved.
    future.exception()


class _Readable:
    """A descriptor that several tasks can wait for."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._loop: Optional[asyncio.AbstractEventLoop] = None
        self._waiters: Set[asyncio.Future[None]] = set()

    async def wait(self, timeout: Optional[float]) -> None:
        """Waits until it is readable or closed, or until the timeout, in seconds, has expired."""
        if self._fd < 0:
            return
        if not self._waiters:
            self._loop = asyncio.get_running_loop()
            self._loop.add_reader(self._fd, self._wake)
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.add(waiter)
        try:
            await asyncio.wait([waiter], timeout=timeout)
        finally:
            self._waiters.discard(waiter)
            if not self._waiters:
                self._forget()

    def _wake(self) -> None:
        self._forget()
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)
        self._waiters.clear()

    def _forget(self) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.remove_reader(self._fd)
        self._loop = None

    def close(self) -> None:
        if self._fd >= 0:
            self._wake()
            os.close(self._fd)
            self._fd = -1

    def __del__(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)


class _Watched(Handle):
    """A handle with a descriptor that becomes readable when its state may have changed."""

    _readable: Optional[_Readable] = None

    def _descriptor(self) -> int:
        raise NotImplementedError

    async def _ready(self, timeout: Optional[float] = None) -> None:
        if self._readable is None:
            self._readable = _Readable(self._descriptor())
        await self._readable.wait(timeout)

    def close(self) -> None:
        super().close()
        if self._readable is not None:
            # Wakes the waiting tasks, which then find the handle closed.
            self._readable.close()


async def _end(handle: Union[Process, Container], look: Optional[float]) -> ExitStatus:
    """Waits for the end of a process; also polls every ``look`` seconds."""
    while True:
        try:
            return handle._wait_ms(0)
        except Timeout:
            await handle._ready(look)
        except StatusUnknown:
            # Another process's child: the kernel returns the status only after the parent has reaped it. Wait for that.
            return await _blocking(handle._wait_ms, 2000)


#: Executed processes that have ended and were not waited for keep init from ending. A call on the container reaps them;
#: this is the interval of such calls, as in libberth's own waiting.
_LOOK_S = 1.0


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


class Process(_Watched, ProcessHandle):
    """A process: a container's init (:attr:`Container.init`), or one that :meth:`Container.exec` has started.

    Closing it also closes its streams; the process keeps running.

    :ivar stdin: the pipe to its standard input; None unless it was started with ``stdin=PIPE``.
    :ivar stdout: the pipe from its standard output; None unless it was started with ``stdout=PIPE``.
    :ivar stderr: the pipe from its standard error; None unless it was started with ``stderr=PIPE``.
    """

    _look: Optional[float] = None

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
        return await _end(self, self._look)

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


class Events(_Watched, EventsHandle):
    """A subscription to events of one container; closing it ends the subscription. An asynchronous iterator::

        async for occurred in container.notify_oom():
            print(occurred.count, "processes were killed")

    The iteration ends when the container's init has ended.
    """

    _over = False

    def _descriptor(self) -> int:
        return self.dup()

    def _free_pointer(self, free: raw.Function, pointer: Any) -> None:
        """Frees the handle in a thread: the kernel needs tens of milliseconds to end a pressure subscription."""
        try:
            asyncio.get_running_loop().run_in_executor(None, free, pointer)
        except RuntimeError:
            # No loop is running, or its executor has been shut down.
            free(pointer)

    async def read(self) -> Occurred:
        """Returns the events since the previous call. Waits until there is one.

        If several tasks call it, each event goes to one of them. When the container's init ends, the last events are
        returned with or before ``ended``.
        """
        while True:
            try:
                return self._read_ms(0)
            except Timeout:
                await self._ready()

    def __aiter__(self) -> Events:
        return self

    async def __anext__(self) -> Occurred:
        while not self._over:
            occurred = await self.read()
            self._over = occurred.ended
            if occurred.count:
                return occurred
        raise StopAsyncIteration


class Container(_Watched, ContainerHandle):
    """A handle of one container; see :class:`berth.Container`. Closing it does not affect the container."""

    _init: Optional[Process] = None

    def __init__(self, library: Library, pointer: Any) -> None:
        super().__init__(library, pointer)
        self._reapers: Set[asyncio.Task[None]] = set()

    def _descriptor(self) -> int:
        return self.pidfd()

    @property
    def init(self) -> Process:
        """The container's init, for its pipes and terminal, which belong to the handle that created the container.

        Closed with this handle.

        :raises NotRunning: init has ended and this handle has not seen it end.
        :raises NotFound: the container was deleted.
        """
        if self._init is None:
            self._init = Process(self._library, self._init_process())
            self._init._look = _LOOK_S
        return self._init

    def close(self) -> None:
        if self._init is not None:
            self._init.close()
        super().close()

    def _discard(self) -> None:
        """Deletes a container whose handle is not returned to the caller; blocks."""
        self._delete(force=True)
        self.close()

    async def start(self) -> None:
        """Starts it: see :meth:`berth.Container.start`."""
        await _blocking(self._call, self._c.berth_container_start)

    async def exec(
        self,
        process: ProcessSpec,
        *,
        stdin: Stream = None,
        stdout: Stream = None,
        stderr: Stream = None,
        options: Optional[ProcessOptions] = None,
    ) -> Process:
        """Executes another process in it: see :meth:`berth.Container.exec`.

        The process is reaped when it has ended, even without a call of :meth:`Process.wait`. Cancelling the call kills
        the process. A thread of the loop's executor starts it: ``options.parent_death_signal`` is sent when that thread
        ends.
        """
        made = process_options(self._library, (stdin, stdout, stderr), options)

        def start() -> Process:
            return Process(self._library, self._exec(process, made))

        started = await _blocking(start, undo=Process._discard)
        await _connected(started, started, undo=Process._discard)
        reaper = asyncio.ensure_future(started._reap())
        self._reapers.add(reaper)
        reaper.add_done_callback(self._reapers.discard)
        return started

    async def signal(self, signal: int, *, all: bool = False) -> None:
        """Sends a signal to its init, or to all its processes: see :meth:`berth.Container.signal`."""
        await _blocking(self._signal, signal, all)

    async def pause(self) -> None:
        """Freezes it: see :meth:`berth.Container.pause`."""
        await _blocking(self._call, self._c.berth_container_pause)

    async def resume(self) -> None:
        """Resumes it: see :meth:`berth.Container.resume`."""
        await _blocking(self._call, self._c.berth_container_resume)

    async def set(self, resources: Document) -> None:
        """Updates its limits: see :meth:`berth.Container.set`."""
        await _blocking(self._set, resources)

    async def wait(self) -> ExitStatus:
        """Waits until its init has ended and returns how. May be called repeatedly, and by several tasks at once.

        For a timeout use :func:`asyncio.wait_for`. A handle that has seen init end returns its status also after
        the container was deleted.

        :raises StatusUnknown: it has ended, and its status is not available.
        :raises NotFound: the container was deleted.
        """
        return await _end(self, _LOOK_S)

    async def checkpoint(self, images: StrPath, *, options: Optional[CheckpointOptions] = None) -> None:
        """Dumps its processes into images: see :meth:`berth.Container.checkpoint`."""
        await _blocking(self._checkpoint, checkpoint_options(self._library, images, options))

    async def delete(self, *, force: bool = False) -> None:
        """Deletes it: see :meth:`berth.Container.delete`."""
        await _blocking(self._delete, force)

    async def interfaces(self, *, inside: bool = False) -> Dict[str, Any]:
        """Returns the counters of its networks: see :meth:`berth.Container.interfaces`."""
        return await _blocking(self._interfaces, inside)

    def notify_oom(self) -> Events:
        """Subscribes to out-of-memory events: see :meth:`berth.Container.notify_oom`."""
        return Events(self._library, self._notify_oom())

    def notify_memory_pressure(self, level: Pressure) -> Events:
        """Subscribes to memory pressure: see :meth:`berth.Container.notify_memory_pressure`."""
        return Events(self._library, self._notify_memory_pressure(level))


async def _connected(process: Process, owner: T, *, undo: Callable[[T], object]) -> None:
    try:
        await process._connect()
    except BaseException:
        await _settled(asyncio.get_running_loop().run_in_executor(None, undo, owner))
        raise


class Runtime(RuntimeHandle):
    """A state root and its containers; for the parameters see :class:`berth.Runtime`. Closing affects no container."""

    async def create(
        self,
        id: str,
        config: Config,
        *,
        stdin: Stream = None,
        stdout: Stream = None,
        stderr: Stream = None,
        options: Optional[ProcessOptions] = None,
    ) -> Container:
        """Creates a container: see :meth:`berth.Runtime.create`.

        Cancelling the call deletes the container. A thread of the loop's executor starts its init:
        ``options.parent_death_signal`` is sent when that thread ends.
        """
        made = process_options(self._library, (stdin, stdout, stderr), options)
        return await self._made(self._c.berth_container_create, id, config, made, made)

    async def run(
        self,
        id: str,
        config: Config,
        *,
        stdin: Stream = None,
        stdout: Stream = None,
        stderr: Stream = None,
        options: Optional[ProcessOptions] = None,
    ) -> Container:
        """Creates and starts a container: see :meth:`create`."""
        made = process_options(self._library, (stdin, stdout, stderr), options)
        return await self._made(self._c.berth_container_run, id, config, made, made)

    async def restore(
        self,
        id: str,
        config: Config,
        images: StrPath,
        *,
        stdin: Stream = None,
        stdout: Stream = None,
        stderr: Stream = None,
        options: Optional[RestoreOptions] = None,
    ) -> Container:
        """Restores a container from the images of a checkpoint: see :meth:`berth.Runtime.restore`.

        Cancelling the call deletes the container.
        """
        made = restore_options(self._library, images, (stdin, stdout, stderr), options)
        return await self._made(self._c.berth_container_restore, id, config, made, made.process.contents)

    async def criu_check(self) -> Dict[str, Any]:
        """Returns what CRIU supports on this host: see :meth:`berth.Runtime.criu_check`."""
        return await _blocking(self._criu_check)

    async def _made(
        self, function: raw.Function, id: str, config: Config, options: Any, process: raw.berth_process_options
    ) -> Container:
        def make() -> Container:
            return Container(self._library, self._make(function, id, config, options))

        container = await _blocking(make, undo=Container._discard)
        if any(stream.kind == raw.BERTH_STDIO_PIPE for stream in process.stdio):
            await _connected(container.init, container, undo=Container._discard)
        return container

    def load(self, id: str) -> Container:
        """Opens an existing container: see :meth:`berth.Runtime.load`."""
        return Container(self._library, self._load(id))

    async def recover(self) -> List[str]:
        """Removes containers whose creating or deleting process was killed: see :meth:`berth.Runtime.recover`."""
        return await _blocking(self._recover)


@contextlib.asynccontextmanager
async def deleting(container: Container) -> AsyncIterator[Container]:
    """A context manager that kills, deletes and closes the container on exit: see :func:`berth.deleting`."""
    with container:
        try:
            yield container
        finally:
            try:
                await container.delete(force=True)
            except NotFound:
                pass
