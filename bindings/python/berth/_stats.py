"""Resource usage and exit statuses."""

from __future__ import annotations

import dataclasses
import signal as signals
from typing import Optional

from . import raw

#: UINT64_MAX: the value of a member that is not available.
_NOTHING = 2**64 - 1


@dataclasses.dataclass(frozen=True)
class Stats:
    """Resource usage of a container (:meth:`Container.stats`).

    A member is None if the host does not provide it, or, for a limit, if there is none. Members that end in ``_ns`` are
    in nanoseconds; memory, swap and ``io_..._bytes`` are in bytes; all others are counts.
    """

    #: CPU time of all processes, running and ended.
    cpu_usage_ns: Optional[int]
    cpu_user_ns: Optional[int]
    cpu_system_ns: Optional[int]
    #: Number of enforcement periods in which the container had runnable tasks.
    cpu_periods: Optional[int]
    #: Number of periods in which the container was throttled by its quota.
    cpu_throttled_periods: Optional[int]
    cpu_throttled_ns: Optional[int]
    #: Memory usage, including the page cache.
    memory_usage: Optional[int]
    memory_limit: Optional[int]
    #: Maximum memory usage (cgroup v2: Linux 5.19).
    memory_peak: Optional[int]
    #: Swap usage, excluding memory.
    memory_swap_usage: Optional[int]
    memory_swap_limit: Optional[int]
    #: Number of the container's processes that the OOM killer has killed.
    oom_kills: Optional[int]
    #: Number of tasks (threads).
    pids_current: Optional[int]
    pids_limit: Optional[int]
    #: Number of times that memory usage reached the limit.
    memory_limit_hits: Optional[int]
    #: Anonymous memory.
    memory_anon: Optional[int]
    #: Page cache.
    memory_file: Optional[int]
    #: Page cache on the inactive list. Working set = memory_usage - memory_inactive_file.
    memory_inactive_file: Optional[int]
    #: Kernel memory.
    memory_kernel: Optional[int]
    page_faults: Optional[int]
    #: Page faults that needed disk I/O.
    page_faults_major: Optional[int]
    #: Sums over all block devices.
    io_read_bytes: Optional[int]
    io_write_bytes: Optional[int]
    io_reads: Optional[int]
    io_writes: Optional[int]
    #: Time in which at least one task (some) or all tasks (full) were stalled on a resource (PSI).
    cpu_pressure_some_ns: Optional[int]
    cpu_pressure_full_ns: Optional[int]
    memory_pressure_some_ns: Optional[int]
    memory_pressure_full_ns: Optional[int]
    io_pressure_some_ns: Optional[int]
    io_pressure_full_ns: Optional[int]


_NAMES = [field.name for field in dataclasses.fields(Stats)]


def stats(found: raw.berth_stats) -> Stats:
    numbers = (getattr(found, name) for name in _NAMES)
    return Stats(*(None if number == _NOTHING else number for number in numbers))


@dataclasses.dataclass(frozen=True)
class ExitStatus:
    """How a process has ended: ``code`` is its exit status, ``signal`` the signal that killed it; one is None."""

    code: Optional[int]
    signal: Optional[int] = None
    core_dumped: bool = False

    @property
    def returncode(self) -> int:
        """The exit status, or the negative signal number, as in :mod:`subprocess`."""
        return self.code if self.code is not None else -(self.signal or 0)

    def __str__(self) -> str:
        if self.signal is None:
            return f"exited with status {self.code}"
        try:
            name = signals.Signals(self.signal).name
        except ValueError:
            name = f"signal {self.signal}"
        return f"was killed by {name}" + (" and left a core dump" if self.core_dumped else "")


def exit_status(found: raw.berth_exit_status) -> ExitStatus:
    code = found.code if found.kind == raw.BERTH_EXIT_EXITED else None
    signal = found.signal if found.kind == raw.BERTH_EXIT_SIGNALED else None
    return ExitStatus(code, signal, bool(found.core_dumped))
