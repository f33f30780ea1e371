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
from typing import Any, AsyncIterator, Dict, List, Optional, Set

from . import raw
from ._aio_process import Process, connected
from ._aio_waiting import Watched, blocking, end
from ._arguments import Document
from ._checkpoint import CheckpointOptions, RestoreOptions, checkpoint_options, restore_options
from ._config import Config
from ._container import ContainerHandle, ProcessSpec
from ._errors import NotFound, Timeout
from ._events import EventsHandle, Occurred, Pressure
from ._library import Library, StrPath
from ._runtime import RuntimeHandle
from ._stats import ExitStatus
from ._streams import ProcessOptions, Stream, process_options

__all__ = ["Container", "Events", "Process", "Runtime", "deleting"]

#: Executed processes that have ended and were not waited for keep init from ending. A call on the container reaps them;
#: this is the interval of such calls, as in libberth's own waiting.
_POLL_INTERVAL_S = 1.0


class Events(Watched, EventsHandle):
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


class Container(Watched, ContainerHandle):
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
            self._init._poll_interval = _POLL_INTERVAL_S
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
        await blocking(self._call, self._c.berth_container_start)

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

        started = await blocking(start, undo=Process._discard)
        await connected(started, started, undo=Process._discard)
        reaper = asyncio.ensure_future(started._reap())
        self._reapers.add(reaper)
        reaper.add_done_callback(self._reapers.discard)
        return started

    async def signal(self, signal: int, *, all: bool = False) -> None:
        """Sends a signal to its init, or to all its processes: see :meth:`berth.Container.signal`."""
        await blocking(self._signal, signal, all)

    async def pause(self) -> None:
        """Freezes it: see :meth:`berth.Container.pause`."""
        await blocking(self._call, self._c.berth_container_pause)

    async def resume(self) -> None:
        """Resumes it: see :meth:`berth.Container.resume`."""
        await blocking(self._call, self._c.berth_container_resume)

    async def set(self, resources: Document) -> None:
        """Updates its limits: see :meth:`berth.Container.set`."""
        await blocking(self._set, resources)

    async def wait(self) -> ExitStatus:
        """Waits until its init has ended and returns how. May be called repeatedly, and by several tasks at once.

        For a timeout use :func:`asyncio.wait_for`. A handle that has seen init end returns its status also after
        the container was deleted.

        :raises StatusUnknown: it has ended, and its status is not available.
        :raises NotFound: the container was deleted.
        """
        return await end(self._wait_ms, self._ready, _POLL_INTERVAL_S)

    async def checkpoint(self, images: StrPath, *, options: Optional[CheckpointOptions] = None) -> None:
        """Dumps its processes into images: see :meth:`berth.Container.checkpoint`."""
        await blocking(self._checkpoint, checkpoint_options(self._library, images, options))

    async def delete(self, *, force: bool = False) -> None:
        """Deletes it: see :meth:`berth.Container.delete`."""
        await blocking(self._delete, force)

    async def interfaces(self, *, inside: bool = False) -> Dict[str, Any]:
        """Returns the counters of its networks: see :meth:`berth.Container.interfaces`."""
        return await blocking(self._interfaces, inside)

    def notify_oom(self) -> Events:
        """Subscribes to out-of-memory events: see :meth:`berth.Container.notify_oom`."""
        return Events(self._library, self._notify_oom())

    def notify_memory_pressure(self, level: Pressure) -> Events:
        """Subscribes to memory pressure: see :meth:`berth.Container.notify_memory_pressure`."""
        return Events(self._library, self._notify_memory_pressure(level))


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
        return await blocking(self._criu_check)

    async def _made(
        self, function: raw.Function, id: str, config: Config, options: Any, process: raw.berth_process_options
    ) -> Container:
        def make() -> Container:
            return Container(self._library, self._make(function, id, config, options))

        container = await blocking(make, undo=Container._discard)
        if any(stream.kind == raw.BERTH_STDIO_PIPE for stream in process.stdio):
            await connected(container.init, container, undo=Container._discard)
        return container

    def load(self, id: str) -> Container:
        """Opens an existing container: see :meth:`berth.Runtime.load`."""
        return Container(self._library, self._load(id))

    async def recover(self) -> List[str]:
        """Removes containers whose creating or deleting process was killed: see :meth:`berth.Runtime.recover`."""
        return await blocking(self._recover)


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
