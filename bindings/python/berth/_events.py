"""Memory events of a container."""

from __future__ import annotations

import dataclasses
from ctypes import byref, c_int32
from typing import Iterator, Optional

from . import _waiting, raw
from ._constants import Constant
from ._handle import Handle


class Pressure(Constant):
    """Memory pressure levels (``BERTH_PRESSURE_...``). Levels are independent: subscribe to each that you need."""

    #: The kernel reclaims memory; caches shrink.
    LOW = raw.BERTH_PRESSURE_LOW
    #: Processes are stalled noticeably.
    MEDIUM = raw.BERTH_PRESSURE_MEDIUM
    #: Little work gets done for lack of memory; the OOM killer may be next.
    CRITICAL = raw.BERTH_PRESSURE_CRITICAL


@dataclasses.dataclass(frozen=True)
class Occurred:
    """The events since the previous read."""

    #: Number of events.
    count: int
    #: The container's init has ended: no more events follow.
    ended: bool


class EventsHandle(Handle):
    """Base class of :class:`berth.Events` and :class:`berth.aio.Events`."""

    _free = "berth_event_free"

    def dup(self) -> int:
        """Returns a new descriptor for :mod:`select` or :mod:`selectors`, which the caller closes.

        It becomes readable when a read may return an event, and when the container's init has ended. It may be readable
        although there is no event. Do not read from it.
        """
        fd = c_int32(-1)
        self._call(self._c.berth_event_fd, byref(fd))
        return fd.value

    def _read_ms(self, timeout_ms: int) -> Occurred:
        found = raw.berth_occurred()
        self._call(self._c.berth_event_read, timeout_ms, byref(found))
        return Occurred(found.count, bool(found.ended))


class Events(EventsHandle):
    """A subscription to events of one container; closing it ends the subscription.

    Iterating blocks until there is an event, and ends when the container's init has ended.
    """

    def read(self, timeout: Optional[float] = None) -> Occurred:
        """Returns the events since the previous call. Blocks until there is one; Ctrl-C interrupts it.

        If several threads call it, each event goes to one of them. When the container's init ends, the last events are
        returned with or before ``ended``.

        :param timeout: in seconds; None: no limit, 0: do not block.
        :raises Timeout: nothing has happened.
        """
        return _waiting.wait(self._read_ms, timeout)

    def __iter__(self) -> Iterator[Occurred]:
        while True:
            occurred = self.read()
            if occurred.count:
                yield occurred
            if occurred.ended:
                return
