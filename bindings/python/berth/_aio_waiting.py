"""What :mod:`berth.aio` waits with: descriptors that the event loop watches, and blocking calls in its executor."""

from __future__ import annotations

import asyncio
import functools
import os
from typing import Any, Awaitable, Callable, Optional, Set, TypeVar

from ._errors import StatusUnknown, Timeout
from ._handle import Handle
from ._stats import ExitStatus

T = TypeVar("T")


async def blocking(function: Callable[..., T], *arguments: Any, undo: Optional[Callable[[T], object]] = None) -> T:
    """Runs a blocking call in the loop's executor.

    It cannot be interrupted: cancelling waits for its end and passes its result to ``undo``.
    """
    loop = asyncio.get_running_loop()
    call = loop.run_in_executor(None, functools.partial(function, *arguments))
    try:
        return await asyncio.shield(call)
    except asyncio.CancelledError:
        await settled(call)
        if undo is not None and call.exception() is None:
            await settled(loop.run_in_executor(None, undo, call.result()))
        raise


async def settled(future: asyncio.Future[Any]) -> None:
    """Waits for a future and ignores cancellation; the caller is being cancelled already."""
    while not future.done():
        try:
            await asyncio.wait([future])
        except asyncio.CancelledError:
            pass
    # Retrieve the exception: asyncio logs exceptions that were never retrieved.
    future.exception()


class Readable:
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


class Watched(Handle):
    """A handle with a descriptor that becomes readable when its state may have changed."""

    _readable: Optional[Readable] = None

    def _descriptor(self) -> int:
        raise NotImplementedError

    async def _ready(self, timeout: Optional[float] = None) -> None:
        if self._readable is None:
            self._readable = Readable(self._descriptor())
        await self._readable.wait(timeout)

    def close(self) -> None:
        super().close()
        if self._readable is not None:
            # Wakes the waiting tasks, which then find the handle closed.
            self._readable.close()


async def end(
    wait_ms: Callable[[int], ExitStatus], ready: Callable[[Optional[float]], Awaitable[None]], interval: Optional[float]
) -> ExitStatus:
    """Waits for the end of a process; also polls every ``interval`` seconds."""
    while True:
        try:
            return wait_ms(0)
        except Timeout:
            await ready(interval)
        except StatusUnknown:
            # Another process's child: the kernel returns the status only after the parent has reaped it. Wait for that.
            return await blocking(wait_ms, 2000)
