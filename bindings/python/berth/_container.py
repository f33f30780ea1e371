"""Containers."""

from __future__ import annotations

import contextlib
import ctypes
import threading
from ctypes import POINTER, byref, c_int32, c_size_t
from typing import Any, Dict, Iterator, List, Optional, Sequence, Union

from . import _arguments, _waiting, raw
from ._arguments import Document
from ._checkpoint import CheckpointOptions, checkpoint_options
from ._constants import Constant
from ._errors import NotFound
from ._events import Events, Pressure
from ._handle import Handle
from ._library import Library, StrPath
from ._process import Process
from ._stats import ExitStatus, Stats, exit_status, stats
from ._streams import ProcessOptions, Stream, process_options


class Status(Constant):
    """The status of a container (OCI "State"; *paused* is libberth's addition)."""

    #: The container is being created.
    CREATING = raw.BERTH_STATUS_CREATING
    #: Setup is complete; the program has not been started.
    CREATED = raw.BERTH_STATUS_CREATED
    #: The program is running.
    RUNNING = raw.BERTH_STATUS_RUNNING
    #: The container's processes are frozen, by pause or through the cgroup.
    PAUSED = raw.BERTH_STATUS_PAUSED
    #: Init has ended, or the creator was killed.
    STOPPED = raw.BERTH_STATUS_STOPPED


#: The process to execute: an OCI "process" object, as a dictionary or JSON text; or only a list of arguments.
ProcessSpec = Union[Document, Sequence[str]]


class ContainerHandle(Handle):
    """Base class of :class:`berth.Container` and :class:`berth.aio.Container`, with the calls that do not block."""

    _free = "berth_container_free"

    def __init__(self, library: Library, pointer: Any) -> None:
        super().__init__(library, pointer)
        self._init_lock = threading.RLock()
        with self._held() as held:
            identity: bytes = self._c.berth_container_id(held)
        self._id = identity.decode()

    @property
    def id(self) -> str:
        """The container's id."""
        return self._id

    def __repr__(self) -> str:
        return f"<{type(self).__module__}.{type(self).__name__} {self._id!r}{' closed' if self.closed else ''}>"

    def status(self) -> Status:
        """Returns the current status, computed from the kernel's state on each call.

        :raises NotFound: the container was deleted.
        """
        status = c_int32()
        self._call(self._c.berth_container_status, byref(status))
        return Status(status.value)

    def state(self) -> Dict[str, Any]:
        """Returns the state: OCI "State" (ociVersion, id, status, pid, bundle, annotations) with the additional members
        rootfs, created, initProcessStartTime, cgroupPaths, namespacePaths and externalDescriptors. The status may also
        be "paused".

        :raises NotFound: the container was deleted.
        """
        state: Dict[str, Any] = self._json(self._c.berth_container_state_json)
        return state

    def config(self) -> Dict[str, Any]:
        """Returns the configuration that the container was created from, with the limits that :meth:`Container.set` has
        changed.

        :raises NotFound: the container was deleted.
        """
        config: Dict[str, Any] = self._json(self._c.berth_container_config_json)
        return config

    def pids(self) -> List[int]:
        """Returns the ids of all processes in the container's cgroups, in the caller's pid namespace and in ascending
        order.

        :raises NotFound, NotRunning: the container was deleted; it has no processes any more.
        """
        pids, count = POINTER(c_int32)(), c_size_t()
        self._call(self._c.berth_container_pids, byref(pids), byref(count))
        try:
            return pids[: count.value]
        finally:
            self._c.berth_pids_free(pids)

    def stats(self) -> Stats:
        """Reads the container's resource usage (cgroups(7)).

        Designed for frequent calls: the first call opens the files that are read (up to 25 descriptors, closed with
        this handle); later calls read them again. All handles together keep at most a quarter of RLIMIT_NOFILE open;
        further handles open the files on each call.

        The counters stay after the container's processes have ended, until it is deleted: then they are the totals of a
        job.

        :raises NotFound, NotRunning: the container was deleted; somebody else has removed its cgroups.
        """
        found = raw.berth_stats(ctypes.sizeof(raw.berth_stats))
        self._call(self._c.berth_container_stats, byref(found))
        return stats(found)

    def stats_json(self) -> Dict[str, Any]:
        """Returns all statistics of the container, in the format of "data" in runc's "events --stats".

        :raises NotFound, NotRunning: as :meth:`stats`.
        """
        usage: Dict[str, Any] = self._json(self._c.berth_container_stats_json)
        return usage

    def pidfd(self) -> int:
        """Returns a pidfd of the container's init: for poll(2), it becomes readable when init has ended. The caller
        closes it.

        The init of a pid namespace cannot end while the namespace contains a zombie. Exec'd processes are zombies until
        their status is read, by :meth:`Process.wait` or by any call on the container. So a caller that only polls this
        descriptor should wait for the processes that it has executed, too.

        :raises NotRunning: init has ended and this handle has not seen it.
        :raises NotFound: the container was deleted.
        """
        fd = c_int32(-1)
        self._call(self._c.berth_container_pidfd, byref(fd))
        return fd.value

    def oom_killed(self) -> bool:
        """Checks whether the kernel's OOM killer has ended the container's init. Call it after :meth:`Container.wait`
        and before :meth:`Container.delete`.

        True if init ended by SIGKILL, processes of the container were OOM-killed, and no SIGKILL was sent through this
        handle. The kernel counts OOM kills per cgroup, not per process: if another process of the container was
        OOM-killed before, a SIGKILL from outside this handle is mistaken for an OOM kill of init.

        :raises Timeout: init has not ended.
        :raises StatusUnknown: its status is not available.
        :raises Unsupported: the kernel does not count (cgroup v1 before Linux 4.13, or no memory controller).
        :raises NotFound: the container was deleted.
        """
        killed = c_int32()
        self._call(self._c.berth_container_oom_killed, byref(killed))
        return bool(killed.value)

    def _signal(self, signal: int, all: bool) -> None:
        flags = raw.BERTH_SIGNAL_ALL if all else 0
        self._call(self._c.berth_container_signal, _arguments.number(signal, "signal"), flags)

    def _delete(self, force: bool) -> None:
        self._call(self._c.berth_container_delete, raw.BERTH_DELETE_FORCE if force else 0)

    def _interfaces(self, inside: bool) -> Dict[str, Any]:
        flags = raw.BERTH_INTERFACES_INSIDE if inside else 0
        found: Dict[str, Any] = self._json(self._c.berth_container_interfaces_json, flags)
        return found

    def _set(self, resources: Document) -> None:
        self._call(self._c.berth_container_set, _arguments.document(resources, "resources"))

    def _exec(self, process: ProcessSpec, options: raw.berth_process_options) -> Any:
        """Returns a pointer to a process."""
        if not isinstance(process, (str, dict)) and isinstance(process, Sequence):
            process = self._process_with(process)
        started = POINTER(raw.berth_process)()
        text = _arguments.document(process, "process")
        self._call(self._c.berth_container_exec, text, byref(options), byref(started))
        return started

    def _process_with(self, args: Sequence[str]) -> Dict[str, Any]:
        """Returns the container's own process with other arguments and without a terminal."""
        process: Dict[str, Any] = self.config().get("process") or {"cwd": "/"}
        process.pop("consoleSize", None)
        process.update(args=list(args), terminal=False)
        return process

    def _checkpoint(self, options: raw.berth_checkpoint_options) -> None:
        self._call(self._c.berth_container_checkpoint, byref(options))

    def _init_process(self) -> Any:
        """Returns a pointer to a process."""
        process = POINTER(raw.berth_process)()
        self._call(self._c.berth_container_init_process, byref(process))
        return process

    def _notify_oom(self) -> Any:
        event = POINTER(raw.berth_event)()
        self._call(self._c.berth_container_notify_oom, byref(event))
        return event

    def _notify_memory_pressure(self, level: Pressure) -> Any:
        event = POINTER(raw.berth_event)()
        number = _arguments.number(level, "level")
        self._call(self._c.berth_container_notify_memory_pressure, number, byref(event))
        return event

    def _wait_ms(self, timeout_ms: int) -> ExitStatus:
        status = raw.berth_exit_status()
        self._call(self._c.berth_container_wait, timeout_ms, byref(status))
        return exit_status(status)


class Container(ContainerHandle):
    """A handle of one container. Several handles, also in several processes, may refer to the same container.

    As a context manager it is closed at the end; the container is not affected. :func:`berth.deleting` deletes the
    container at the end.

    Calls that start, stop, freeze or change a container hold its lock, which all processes share. A call that cannot
    acquire it in time (``lock_timeout`` of :class:`Runtime`) raises :class:`Busy`.
    """

    _init: Optional[Process] = None

    @property
    def init(self) -> Process:
        """The container's init. Its pipes and terminal are available only from the handle that created the container.

        It is closed with this handle.

        :raises NotRunning: init has ended and this handle has not seen it.
        :raises NotFound: the container was deleted.
        """
        with self._init_lock:
            if self._init is None:
                self._init = Process(self._library, self._init_process())
            return self._init

    def close(self) -> None:
        if self._init is not None:
            self._init.close()
        super().close()

    def start(self) -> None:
        """Starts a created container (OCI "start"). Returns when its program runs. Any process may call it, not only
        the creator.

        Blocks for the time of the startContainer and poststart hooks. If the program cannot be executed, the container
        is stopped. If a startContainer or poststart hook fails, the container is deleted, and its poststop hooks run.

        :raises AlreadyRunning, Paused: it is running already, or paused.
        :raises NotRunning, NotFound: it is stopped, or was deleted.
        :raises Hook, Timeout, Busy, System:
        """
        self._call(self._c.berth_container_start)

    def exec(
        self,
        process: ProcessSpec,
        *,
        stdin: Stream = None,
        stdout: Stream = None,
        stderr: Stream = None,
        options: Optional[ProcessOptions] = None,
    ) -> Process:
        """Executes another process in the container. Returns when its program runs.

        The container must be running or created. Blocks at most the setup timeout. The process is a child of the
        caller.

        :param process: an OCI "process" object, as a dictionary or JSON text; capabilities and other security settings
            that it omits are the container's own. Or a list of arguments: then the other settings are those of the
            container's own process, without a terminal.
        :param stdin, stdout, stderr, options: as :meth:`Runtime.create`.
        :raises NotRunning, Paused, NotFound: the container is in the wrong state.
        :raises ConfigInvalid, Unsupported: with the JSON path in ``process``, like "args[0]".
        :raises ConsoleExists: streams are given although the process has a terminal.
        :raises System: at ``Stage.INIT`` with ENOENT, the program does not exist.
        :raises Timeout: it was not started in time.
        """
        made = process_options(self._library, (stdin, stdout, stderr), options)
        return Process(self._library, self._exec(process, made))

    def signal(self, signal: int, *, all: bool = False) -> None:
        """Sends a signal to the container's init, or to all its processes.

        A paused container handles SIGKILL at once and other signals when it is resumed. Blocks only with ``all``: for
        SIGKILL until the processes are gone, for other signals until every process has received it; at most the cgroup
        timeout.

        :param signal: the signal number, as in :mod:`signal`.
        :param all: signal every process of the container.
        :raises NotRunning, NotFound: init has ended; the container was deleted.
        :raises Timeout, Busy: with ``all``.
        :raises InvalidArgument: unknown signal.
        """
        self._signal(signal, all)

    def pause(self) -> None:
        """Freezes all processes of a running or created container (cgroups(7), freezer). Returns when the kernel
        reports that they are frozen.

        Blocks at most the cgroup timeout; if they cannot be frozen by then, they keep running.

        :raises Paused: it is paused already.
        :raises NotRunning, NotFound, Timeout, Busy:
        """
        self._call(self._c.berth_container_pause)

    def resume(self) -> None:
        """Resumes a paused container. Blocks as :meth:`pause`.

        :raises NotPaused, NotFound, Timeout, Busy:
        """
        self._call(self._c.berth_container_resume)

    def set(self, resources: Document) -> None:
        """Updates the limits of a running, created or paused container.

        The members of ``resources`` replace the current ones, one by one and lists as a whole; members that it omits do
        not change. The result is saved: :meth:`config` returns it. If any step fails, the previous values are written
        back and nothing is saved.

        :param resources: an OCI "linux.resources" object, as a dictionary or JSON text.
        :raises ConfigInvalid: with the JSON path, like "linux.resources.memory.limit", before anything was changed.
        :raises Unsupported: the host has no such limit.
        :raises System: the kernel rejects a value; ``detail["restored"]`` is False if previous values could not be
            restored.
        :raises NotRunning, NotFound, Busy:
        """
        self._set(resources)

    def checkpoint(self, images: StrPath, *, options: Optional[CheckpointOptions] = None) -> None:
        """Dumps the processes of a running or paused container into images, from which :meth:`Runtime.restore`
        recreates them, here or on another host. Afterwards the container is stopped, unless ``options`` leave it
        running.

        The image format is criu(8)'s, with an additional "descriptors.json". It is written last: a directory without it
        holds no checkpoint. docs/checkpoint.md lists what cannot be dumped, and remedies. Blocks until CRIU is done, at
        most the timeout of the options; other calls that change the container wait.

        After an error the container continues, or stays paused, as before.

        :param images: directory for the images; created if missing.
        :raises Criu: with CRIU's first errors and a remedy in the message; ``detail["log"]`` is the end of its log,
            ``detail["log_file"]`` its path.
        :raises Timeout: CRIU did not finish in time and was killed.
        :raises Unsupported: there is no CRIU, the kernel lacks what the options need, the configuration has a namespace
            that cannot be dumped, or the container has a process that does not descend from its init.
        :raises NotRunning, NotFound, Busy:
        """
        self._checkpoint(checkpoint_options(self._library, images, options))

    def wait(self, timeout: Optional[float] = None) -> ExitStatus:
        """Waits until the container's init has ended and returns how. Ctrl-C interrupts the wait.

        A handle that has seen init end returns its status also after the container was deleted.

        :param timeout: in seconds; None waits for ever, 0 does not wait.
        :raises Timeout: it has not ended yet.
        :raises StatusUnknown: it has ended, and its status is not available.
        :raises NotFound: the container was deleted.
        """
        return _waiting.wait(self._wait_ms, timeout)

    def delete(self, *, force: bool = False) -> None:
        """Deletes a stopped container (OCI "delete"): removes remaining processes, cgroups and state, then runs its
        poststop hooks (a failing one is only logged). Afterwards the id can be used again. This handle stays valid; its
        calls raise :class:`NotFound`.

        Blocks until everything is removed: at most twice the cgroup timeout, plus the time of the hooks. After an error
        it can be called again.

        :param force: kill a container in any state first; this also removes what a killed creator left behind.
        :raises NotStopped: it is not stopped, and ``force`` is False.
        :raises NotFound: it was deleted.
        :raises Timeout, Busy: a process could not be killed; another process holds the container's lock.
        """
        self._delete(force)

    def interfaces(self, *, inside: bool = False) -> Dict[str, Any]:
        """Returns the container's network interfaces with their counters (receivedBytes, sentPackets, ...): the list
        "networks" has each veth pair that :meth:`Config.with_networks` has configured and that still exists. Received
        means received by the container.

        :param inside: include the list "interfaces", with every interface of the container's network namespace. This
            starts a helper process, which ends before the call returns.
        :raises NotFound: the container was deleted.
        :raises NotRunning: with ``inside``, it is stopped.
        """
        return self._interfaces(inside)

    def notify_oom(self) -> Events:
        """Subscribes to out-of-memory events. Only events after this call count.

        On cgroup v2 an event is a process that the OOM killer kills in the container or in cgroups below it. On v1 it
        is an out-of-memory condition of the container's limit or of one above it, also if the OOM killer is disabled.

        :raises Unsupported: there is no memory controller.
        :raises NotRunning, NotFound:
        """
        return Events(self._library, self._notify_oom())

    def notify_memory_pressure(self, level: Pressure) -> Events:
        """Subscribes to memory pressure of ``level``. Levels are independent: subscribe to each that you need.

        On cgroup v2, by pressure stall information: ``LOW`` when some process has waited for memory for 30 ms within
        one second, ``MEDIUM`` for 100 ms, and ``CRITICAL`` when all processes at once have waited for 100 ms; counted
        at most once a second (for callers without CAP_SYS_RESOURCE: twice these times within two seconds). On v1, by
        the kernel's own levels.

        :raises Unsupported: the kernel does not measure pressure, or there is no memory controller.
        :raises NotRunning, NotFound:
        """
        return Events(self._library, self._notify_memory_pressure(level))


@contextlib.contextmanager
def deleting(container: Container) -> Iterator[Container]:
    """A context manager that kills, deletes and closes the container at the end of the block, if it still exists::

        with berth.deleting(runtime.run("hello", config)) as container:
            print(container.wait())

    :raises Timeout, Busy: as :meth:`Container.delete`.
    """
    with container:
        try:
            yield container
        finally:
            try:
                container.delete(force=True)
            except NotFound:
                pass
