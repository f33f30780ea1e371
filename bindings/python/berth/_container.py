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

    #: Somebody is at work on creating it.
    CREATING = raw.BERTH_STATUS_CREATING
    #: Set up, its program not started.
    CREATED = raw.BERTH_STATUS_CREATED
    #: Its program runs.
    RUNNING = raw.BERTH_STATUS_RUNNING
    #: Frozen, by pause or by somebody else.
    PAUSED = raw.BERTH_STATUS_PAUSED
    #: Its init has ended, or its creator was killed at work.
    STOPPED = raw.BERTH_STATUS_STOPPED


#: What is to be executed: an OCI "process" object, a dictionary or its text; or only the arguments.
ProcessSpec = Union[Document, Sequence[str]]


class ContainerHandle(Handle):
    """Queries that :class:`berth.Container` and :class:`berth.aio.Container` share and that do not block."""

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
        """Returns the state: OCI "State" (ociVersion, id, status, pid, bundle, annotations) with rootfs, created,
        initProcessStartTime, cgroupPaths, namespacePaths and externalDescriptors. The status may also be "paused".

        :raises NotFound: the container was deleted.
        """
        state: Dict[str, Any] = self._json(self._c.berth_container_state_json)
        return state

    def config(self) -> Dict[str, Any]:
        """Returns the configuration that it was created from, with the limits that :meth:`Container.set` has changed.

        :raises NotFound: the container was deleted.
        """
        config: Dict[str, Any] = self._json(self._c.berth_container_config_json)
        return config

    def pids(self) -> List[int]:
        """Returns the ids of all processes in the container's cgroups, in the caller's pid namespace, in ascending order.

        :raises NotFound, NotRunning: there is no such container; it has no processes any more.
        """
        pids, count = POINTER(c_int32)(), c_size_t()
        self._call(self._c.berth_container_pids, byref(pids), byref(count))
        try:
            return pids[: count.value]
        finally:
            self._c.berth_pids_free(pids)

    def stats(self) -> Stats:
        """Reads the container's resource usage (cgroups(7)).

        Designed for frequent calls: the first call opens the files that are read (up to 25 descriptors, closed with this
        handle), and later calls read them again. All handles together keep at most a quarter of RLIMIT_NOFILE; the
        others open the files each time.

        :raises NotFound, NotRunning: there is no such container; it has ended.
        """
        found = raw.berth_stats(ctypes.sizeof(raw.berth_stats))
        self._call(self._c.berth_container_stats, byref(found))
        return stats(found)

    def stats_json(self) -> Dict[str, Any]:
        """Returns all statistics in the format of "data" in runc's "events --stats".

        :raises NotFound, NotRunning: as :meth:`stats`.
        """
        usage: Dict[str, Any] = self._json(self._c.berth_container_stats_json)
        return usage

    def pidfd(self) -> int:
        """Returns a new descriptor, which the caller closes, that polls readable when the container's init has ended.

        The kernel keeps init of a pid namespace from ending as long as a process in it is a zombie, which executed
        processes are until their status is taken: by :meth:`Process.wait`, or by any call on the container. So whoever
        only polls this waits for the processes it has executed, too.

        :raises NotRunning: init is gone and this handle has not seen it.
        :raises NotFound: the container was deleted.
        """
        fd = c_int32(-1)
        self._call(self._c.berth_container_pidfd, byref(fd))
        return fd.value

    def oom_killed(self) -> bool:
        """Whether the kernel's OOM killer has ended init. Call it after waiting and before deleting.

        True if init ended by SIGKILL, processes of the container were OOM-killed, and no SIGKILL was sent through this
        handle. The kernel counts by cgroup: where another process of the container was OOM-killed before, a SIGKILL from
        outside of this handle is taken for one more.

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
        process: Dict[str, Any] = self.config()["process"]
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
    """A handle of one container. Several, also in several processes, may refer to the same container.

    As a context manager it is closed at the end; the container is not affected. :func:`berth.deleting` deletes the
    container at the end.

    Calls that start, stop, freeze or change a container hold its lock, across all processes. A call that cannot get it
    in time (``lock_timeout`` of :class:`Runtime`) raises :class:`Busy`.
    """

    _init: Optional[Process] = None

    @property
    def init(self) -> Process:
        """The container's init, for its pipes and terminal, which belong to the handle that created the container.

        Closed with this handle.

        :raises NotRunning: init is gone and this handle has not seen it.
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
        """Starts a created container (OCI "start") and returns when its program runs. Any process may call it.

        Blocks for the time of the startContainer and poststart hooks. If its program cannot be executed the container is
        stopped; if a startContainer or poststart hook fails it is deleted, after its poststop hooks have run.

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
        """Executes another process in the container and returns when its program runs.

        The container must be running or created. Blocks at most the setup timeout. The process is a child of this
        program.

        :param process: an OCI "process" object, a dictionary or its text; capabilities and other security settings
            that it omits are the container's own. Or a list of arguments: the rest, except a terminal, is as for init.
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

        A paused container takes SIGKILL at once; other signals reach it when it is resumed. Blocks with ``all`` only:
        SIGKILL until the processes are gone, other signals while it is made sure that none is missed; at most the
        cgroup timeout.

        :param signal: its number, as in :mod:`signal`.
        :raises NotRunning, NotFound: init has ended; the container was deleted.
        :raises Timeout, Busy: with ``all``.
        :raises InvalidArgument: unknown signal.
        """
        self._signal(signal, all)

    def pause(self) -> None:
        """Freezes all processes of a running or created container and returns when the kernel reports that they are frozen.

        Blocks at most the cgroup timeout; if they cannot be frozen by then, they keep running.

        :raises Paused: it is already.
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

        What is given takes the place of what was set, member by member, lists as a whole; what is not given stays. The
        change is saved: :meth:`config` has it. If anything fails, what was written before is taken back.

        :param resources: an OCI "linux.resources" object, a dictionary or its text.
        :raises ConfigInvalid: with the JSON path, like "linux.resources.memory.limit"; nothing was touched.
        :raises Unsupported: the host has no such limit.
        :raises System: the kernel refuses a value; ``detail["restored"]`` is False if it did not let the old ones back.
        :raises NotRunning, NotFound, Busy:
        """
        self._set(resources)

    def checkpoint(self, images: StrPath, *, options: Optional[CheckpointOptions] = None) -> None:
        """Dumps the processes of a running or paused container into images, from which :meth:`Runtime.restore` makes them
        anew, here or on another host. Afterwards the container is stopped, unless ``options`` let it run on.

        The images are those of criu(8), with "descriptors.json" beside them, which is written last: a directory without it
        is no checkpoint. docs/checkpoint.md says what cannot be dumped, and what to do. Blocks until CRIU is done; others
        that change the container wait meanwhile.

        After an error the container goes on as before, or is paused as before.

        :param images: the directory for them; made if missing.
        :raises Criu: with its first errors and a remedy in the message; ``detail["log"]`` is the end of its log,
            ``detail["log_file"]`` where all of it is.
        :raises Timeout: CRIU took too long and was killed.
        :raises Unsupported: there is no CRIU, the kernel lacks what the options need, or the container has something that
            cannot be dumped.
        :raises NotRunning, NotFound, Busy:
        """
        self._checkpoint(checkpoint_options(self._library, images, options))

    def wait(self, timeout: Optional[float] = None) -> ExitStatus:
        """Waits until the container's init has ended and returns how. Ctrl-C interrupts it.

        A handle that has seen init end returns its status also after the container was deleted.

        :param timeout: in seconds; None for ever, 0 not at all.
        :raises Timeout: it has not ended yet.
        :raises StatusUnknown: it has ended, and its status is not available.
        :raises NotFound: the container was deleted.
        """
        return _waiting.wait(self._wait_ms, timeout)

    def delete(self, *, force: bool = False) -> None:
        """Removes a stopped container (OCI "delete"): what is left of processes and cgroups, and its state; then its
        poststop hooks run. The id may be used again; this handle stays valid, its calls raise :class:`NotFound`.

        Blocks until everything is gone: at most twice the cgroup timeout, and the time of the hooks.

        :param force: a container in any state is killed first; also what a killed creator left is removed.
        :raises NotStopped: it is not stopped, and ``force`` is False.
        :raises NotFound: it was deleted.
        :raises Timeout, Busy: a process could not be killed; somebody else is at work. It may be called again.
        """
        self._delete(force)

    def interfaces(self, *, inside: bool = False) -> Dict[str, Any]:
        """What the container's networks have carried: the list "networks" has the veth pairs that
        :meth:`Config.with_networks` asked for, with counters (receivedBytes, sentPackets, ...; received is what has come
        into the container).

        :param inside: also the list "interfaces" of every interface of the container's network namespace. A helper
            process is started for it, which ends before the call returns.
        :raises NotFound: the container was deleted.
        :raises NotRunning: with ``inside``, it is stopped.
        """
        return self._interfaces(inside)

    def notify_oom(self) -> Events:
        """Subscribes to the container's running out of memory; only what happens from now on counts.

        On cgroup v2 each process that the OOM killer kills counts; on v1 each time that the limit, or one above it,
        cannot be kept.

        :raises Unsupported: there is no memory controller.
        :raises NotRunning, NotFound:
        """
        return Events(self._library, self._notify_oom())

    def notify_memory_pressure(self, level: Pressure) -> Events:
        """Subscribes to memory's being hard to get.

        On cgroup v2, ``LOW`` is that some process has waited for memory for 30 ms within one second, ``MEDIUM`` for
        100 ms, ``CRITICAL`` that all processes at once have waited for 100 ms; counted at most once a second. (Without
        CAP_SYS_RESOURCE: twice these times within two seconds.) On v1, the kernel's own levels.

        :raises Unsupported: the kernel does not measure pressure, or there is no memory controller.
        :raises NotRunning, NotFound:
        """
        return Events(self._library, self._notify_memory_pressure(level))


@contextlib.contextmanager
def deleting(container: Container) -> Iterator[Container]:
    """A context manager at whose end the container is killed, deleted and closed, if it is still there::

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
