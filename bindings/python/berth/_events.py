"""What happens to a container's memory, as descriptors."""

from __future__ import annotations

import dataclasses
from ctypes import byref, c_int32
from typing import Iterator, Optional

from . import _waiting, raw
from ._constants import Constant
from ._handle import Handle


class Pressure(Constant):
    """How hard memory is to get (``BERTH_PRESSURE_...``). Levels are independent: who wants all subscribes to each."""

    #: Memory is being reclaimed: caches suffer.
    LOW = raw.BERTH_PRESSURE_LOW
    #: Processes wait noticeably.
    MEDIUM = raw.BERTH_PRESSURE_MEDIUM
    #: Little work is done for want of memory; the OOM killer may be next.
    CRITICAL = raw.BERTH_PRESSURE_CRITICAL


@dataclasses.dataclass(frozen=True)
class Occurred:
    """What has happened since it was asked before."""

    #: How often.
    count: int
    #: The container's init has ended: nothing more will come.
    ended: bool


class EventsHandle(Handle):
    """What :class:`berth.Events` and :class:`berth.aio.Events` share."""

    _free = "berth_event_free"

    def dup(self) -> int:
        """A new descriptor, the caller's to close, for :mod:`select` and the like: it becomes readable when there may be
        something to read, and when init has ended. It may be readable without anything being there. Do not read it.
        """
        fd = c_int32(-1)
        self._call(self._c.berth_event_fd, byref(fd))
        return fd.value

    def _read_ms(self, timeout_ms: int) -> Occurred:
        found = raw.berth_occurred()
        self._call(self._c.berth_event_read, timeout_ms, byref(found))
        return Occurred(found.count, bool(found.ended))


class Events(EventsHandle):
    """A subscription to events of one container; closing it ends it.

    Iterating blocks until something happens, and ends when the container's init has ended.
    """

    def read(self, timeout: Optional[float] = None) -> Occurred:
        """Returns the events since the last call and waits for one. Ctrl-C ends it.

        With several threads in here each event goes to one of them. When init ends, the last events come with or
        before ``ended``.

        :param timeout: in seconds; None for ever, 0 not at all.
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
