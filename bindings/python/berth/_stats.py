"""Resource usage and exit statuses."""

from __future__ import annotations

import dataclasses
import signal as signals
from typing import Optional

from . import raw

#: What the library says where there is no number.
_NOTHING = 2**64 - 1


@dataclasses.dataclass(frozen=True)
class Stats:
    """Resource usage of a container (:meth:`Container.stats`).

    A member is None if the host does not provide it, or if there is no limit. Names that end in ``_ns`` are times in
    nanoseconds; memory, swap and ``io_..._bytes`` are bytes; all others are counts.
    """

    #: CPU time used by all processes, living and dead.
    cpu_usage_ns: Optional[int]
    cpu_user_ns: Optional[int]
    cpu_system_ns: Optional[int]
    #: Enforcement periods in which the container had something to run.
    cpu_periods: Optional[int]
    #: Periods in which it was held back by its quota.
    cpu_throttled_periods: Optional[int]
    cpu_throttled_ns: Optional[int]
    #: Memory with the page cache.
    memory_usage: Optional[int]
    memory_limit: Optional[int]
    #: The highest usage so far (cgroup v2: Linux 5.19).
    memory_peak: Optional[int]
    #: Swap without memory.
    memory_swap_usage: Optional[int]
    memory_swap_limit: Optional[int]
    #: Processes of the container that the OOM killer has killed.
    oom_kills: Optional[int]
    #: Threads, which is what the kernel counts here.
    pids_current: Optional[int]
    pids_limit: Optional[int]
    #: How often memory was at its limit.
    memory_limit_hits: Optional[int]
    #: Memory of processes that no file is behind.
    memory_anon: Optional[int]
    #: Page cache.
    memory_file: Optional[int]
    #: The part of it that was not used lately.
    memory_inactive_file: Optional[int]
    #: Memory of the kernel's own.
    memory_kernel: Optional[int]
    page_faults: Optional[int]
    #: Those that had to wait for a disk.
    page_faults_major: Optional[int]
    #: All block devices together.
    io_read_bytes: Optional[int]
    io_write_bytes: Optional[int]
    io_reads: Optional[int]
    io_writes: Optional[int]
    #: Time in which at least one task (some) or every task (full) waited for a resource (PSI).
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
    """How a process has ended: ``code`` is its exit status if it exited, ``signal`` the signal that killed it. The other is None."""

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
