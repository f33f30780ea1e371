"""State roots."""

from __future__ import annotations

import ctypes
from ctypes import POINTER, byref, c_char_p
from typing import Any, Dict, List, Mapping, Optional

from . import _arguments, raw
from ._checkpoint import RestoreOptions, restore_options
from ._config import Config
from ._constants import Constant
from ._container import Container
from ._handle import Handle
from ._library import StrPath, library
from ._streams import ProcessOptions, Stream, process_options


class CgroupManager(Constant):
    """The manager of containers' cgroups (``BERTH_CGROUP_MANAGER_...``)."""

    #: libberth writes to the cgroup filesystems (cgroupfs). linux.cgroupsPath is a path.
    FILES = raw.BERTH_CGROUP_MANAGER_FILES
    #: systemd: each container is a transient scope (systemd.scope(5)). linux.cgroupsPath is "slice:prefix:name".
    #: Needs a host with cgroup v2 only (else create raises :class:`Unsupported`).
    SYSTEMD = raw.BERTH_CGROUP_MANAGER_SYSTEMD
    #: No cgroups: containers stay in the caller's cgroups. They need a new pid namespace and may have no
    #: linux.resources, including device rules. Pausing, listing and signalling all processes, statistics and events
    #: raise :class:`Unsupported`.
    DISABLED = raw.BERTH_CGROUP_MANAGER_DISABLED


class RuntimeHandle(Handle):
    """Base class of :class:`berth.Runtime` and :class:`berth.aio.Runtime`."""

    _free = "berth_runtime_free"

    def __init__(
        self,
        state_root: Optional[StrPath] = None,
        *,
        setup_timeout: float = 0,
        lock_timeout: float = 0,
        hook_timeout: float = 0,
        cgroup_timeout: float = 0,
        cgroup_manager: CgroupManager = CgroupManager.FILES,
        systemd_annotations: bool = False,
        no_pivot: bool = False,
        idmapped_root: bool = False,
        rootless: bool = False,
        rootless_auto: bool = False,
        return_devices: bool = False,
        criu: Optional[StrPath] = None,
        hook_env: Optional[Mapping[str, str]] = None,
    ) -> None:
        """Opens a runtime. Creates the state root if it is missing and changes nothing else; existing containers can be
        loaded. Several runtimes, also of several processes, may share one state root.

        Times are in seconds; 0 selects the default.

        :param state_root: directory for the state of the containers, an absolute path; created with mode 0700 if
            missing. It must belong to the caller. Default: "/run/berth". It should not survive a reboot, because
            containers do not.
        :param setup_timeout: time that init may take for setup, without the time of hooks. Default: 60 s.
        :param lock_timeout: time that a call waits for the container's lock before it raises :class:`Busy`.
            Default: 30 s.
        :param hook_timeout: timeout of hooks that have none of their own. Default: 60 s.
        :param cgroup_timeout: time that freezing, killing and removing cgroups may take. Default: 30 s.
        :param cgroup_manager: the cgroup manager for new containers.
        :param systemd_annotations: annotations whose names begin with "org.systemd.property." become properties of the
            container's scope. Do not set it for untrusted configurations: a scope's properties can affect more than
            the container.
        :param no_pivot: change the root of new containers with chroot(2) instead of pivot_root(2), for hosts whose root
            is the initial RAM filesystem. Less secure: a process that can unmount the root (CAP_SYS_ADMIN) reaches the
            host's mounts beneath it.
        :param idmapped_root: mount the root filesystem of new containers with a new user namespace id-mapped
            (Linux 5.12). Files that belong to the host's root then belong to the container's root without being
            changed.
        :param rootless: support unprivileged callers, as runc's --rootless. A container without linux.cgroupsPath gets
            cgroups only in those hierarchies where the caller may create them. In a user namespace, device rules that
            the caller may not set are omitted with a warning in the log.
        :param rootless_auto: as ``rootless`` if the caller is not root, or is root in a user namespace other than the
            initial one, when the first container is created.
        :param return_devices: return the devices of `linux.netDevices` to the host when their container is deleted.
            Without it they stay in the network namespace.
        :param criu: CRIU program for checkpoint and restore. Default: "criu" in the usual directories of the host.
        :param hook_env: the environment of hooks that run on the host and have none of their own; none by default.
            This process's own environment has secrets, and a configuration names the program that would get them.
        :raises System: with EACCES, the state root belongs to another user or others may write to it.
        """
        loaded = library()
        options = raw.berth_runtime_options()
        loaded.functions.berth_runtime_options_init(byref(options), ctypes.sizeof(options))
        options.state_root = _arguments.optional_path(state_root, "state_root")
        options.setup_timeout_ms = _arguments.milliseconds(setup_timeout, "setup_timeout")
        options.lock_timeout_ms = _arguments.milliseconds(lock_timeout, "lock_timeout")
        options.hook_timeout_ms = _arguments.milliseconds(hook_timeout, "hook_timeout")
        options.cgroup_timeout_ms = _arguments.milliseconds(cgroup_timeout, "cgroup_timeout")
        options.cgroup_manager = _arguments.number(cgroup_manager, "cgroup_manager")
        options.flags = (
            (raw.BERTH_RUNTIME_SYSTEMD_ANNOTATIONS if systemd_annotations else 0)
            | (raw.BERTH_RUNTIME_NO_PIVOT if no_pivot else 0)
            | (raw.BERTH_RUNTIME_IDMAPPED_ROOT if idmapped_root else 0)
            | (raw.BERTH_RUNTIME_ROOTLESS if rootless else 0)
            | (raw.BERTH_RUNTIME_ROOTLESS_AUTO if rootless_auto else 0)
            | (raw.BERTH_RUNTIME_RETURN_DEVICES if return_devices else 0)
        )
        options.criu = _arguments.optional_path(criu, "criu")
        variables = [_arguments.text(f"{name}={value}", "hook_env") for name, value in (hook_env or {}).items()]
        if variables:
            options.hook_env = (c_char_p * len(variables))(*variables)
            options.hook_env_count = len(variables)
        runtime = POINTER(raw.berth_runtime)()
        loaded.call(loaded.functions.berth_runtime_new, byref(options), byref(runtime))
        super().__init__(loaded, runtime)

    def list(self) -> List[Dict[str, Any]]:
        """Returns the states of all containers of the state root, sorted by id, each as :meth:`Container.state`.

        Omits containers that are deleted in the meantime. A container whose record is damaged has the status "unknown",
        and "error" says why. Waits for no lock.
        """
        states: List[Dict[str, Any]] = self._json(self._c.berth_runtime_list_json)
        return states

    def explain(self, config: Config, *, options: Optional[ProcessOptions] = None) -> Dict[str, Any]:
        """Lists every step of :meth:`Runtime.create` with this configuration and these options, without executing one.

        :meth:`Config.explain` assumes default options. Names of steps may change between versions.

        :raises ConfigInvalid, Unsupported: as :meth:`Config.validate`.
        """
        if not isinstance(config, Config):
            raise TypeError(f"config must be a berth.Config, not {type(config).__name__}")
        made = process_options(self._library, (None, None, None), options)
        with config._held() as held:
            plan: Dict[str, Any] = self._json(self._c.berth_runtime_explain_json, held, byref(made))
        return plan

    def _recover(self) -> List[str]:
        ids: List[str] = self._json(self._c.berth_runtime_recover)
        return ids

    def _criu_check(self) -> Dict[str, Any]:
        found: Dict[str, Any] = self._json(self._c.berth_criu_check)
        return found

    def _make(self, function: raw.Function, id: str, config: Config, options: Any) -> Any:
        """Creates, runs or restores a container; returns a pointer to it."""
        if not isinstance(config, Config):
            raise TypeError(f"config must be a berth.Config, not {type(config).__name__}")
        container = POINTER(raw.berth_container)()
        with config._held() as held:
            self._call(function, _arguments.text(id, "id"), held, byref(options), byref(container))
        return container

    def _load(self, id: str) -> Any:
        """Returns a pointer to a container."""
        container = POINTER(raw.berth_container)()
        self._call(self._c.berth_container_load, _arguments.text(id, "id"), byref(container))
        return container


class Runtime(RuntimeHandle):
    """A state root with its containers.

    As a context manager it is closed at the end. Its containers and their handles are not affected.
    """

    def create(
        self,
        id: str,
        config: Config,
        *,
        stdin: Stream = None,
        stdout: Stream = None,
        stderr: Stream = None,
        options: Optional[ProcessOptions] = None,
    ) -> Container:
        """Creates a container (OCI "create"): sets up namespaces, cgroups, root filesystem and hooks. Init then waits
        for :meth:`Container.start`.

        Blocks until setup is complete: at most the setup timeout, plus the time of the hooks. After an error nothing is
        left behind. Init is a child of the caller. If process.terminal is true in the configuration, its streams are
        the terminal, and ``stdin``, ``stdout`` and ``stderr`` must be None.

        :param id: 1 to 200 letters, digits and any of "_+-.", the first one not "+", "-" or "."; unique in the state
            root.
        :param stdin, stdout, stderr: the standard streams. None: the caller's own stream; ``PIPE``: a new pipe, whose
            other end is a file object of :attr:`Container.init`; ``DEVNULL``: /dev/null; or a descriptor, or a file
            object that has one.
        :param options: additional options: extra descriptors, a console socket, and so on.
        :raises IdInvalid, IdInUse:
        :raises ConfigInvalid, Unsupported: as :meth:`Config.validate`, before anything is created.
        :raises ConsoleExists: streams are given although the process has a terminal.
        :raises Hook, Timeout:
        :raises System: at ``Stage.INIT`` with the step that failed inside the container.
        """
        made = process_options(self._library, (stdin, stdout, stderr), options)
        return Container(self._library, self._make(self._c.berth_container_create, id, config, made))

    def run(
        self,
        id: str,
        config: Config,
        *,
        stdin: Stream = None,
        stdout: Stream = None,
        stderr: Stream = None,
        options: Optional[ProcessOptions] = None,
    ) -> Container:
        """Creates and starts a container. After an error nothing is left behind.

        Parameters as for :meth:`create`. Raises the errors of :meth:`create` and :meth:`Container.start`.
        """
        made = process_options(self._library, (stdin, stdout, stderr), options)
        return Container(self._library, self._make(self._c.berth_container_run, id, config, made))

    def restore(
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
        """Restores a container from the images of a checkpoint. Its processes continue where they were.

        Runs the prestart and createRuntime hooks when the namespaces exist, and no other hooks. Blocks until the
        processes run, at most the timeout of the options plus the time of the hooks. After an error nothing is left
        behind.

        CRIU processes images as root: restore only images from sources that you would allow to run the container.
        Whatever exceeds the configuration is an error before anything runs.

        :param id: must be free: delete a stopped container of the same id first (:meth:`Container.delete`).
        :param config: the dumped container's configuration, except for host paths. Namespaces, mounts, cgroups, limits,
            networks and hooks come from it, not from the images.
        :param images: directory with the images.
        :param stdin, stdout, stderr: standard streams that replace dumped pipes, as in :meth:`create`. A stream that
            was not a pipe is restored as it was and must be None here.
        :raises InvalidArgument: a stream that was not a pipe is to be replaced.
        :raises System: with ENOENT, the directory holds no checkpoint.
        :raises Criu, Timeout, Unsupported: as :meth:`Container.checkpoint`; and the errors of :meth:`create`.
        """
        made = restore_options(self._library, images, (stdin, stdout, stderr), options)
        return Container(self._library, self._make(self._c.berth_container_restore, id, config, made))

    def criu_check(self) -> Dict[str, Any]:
        """Returns what CRIU supports on this host: "path", "version", "usable" (whether libberth supports that
        version), "kernel" ("supported", and in "says" the lines of CRIU's own check), and "features" ("memoryTracking",
        "lazyPages", "pidfdStore"). Starts CRIU and blocks until it has answered, at most a minute. Changes nothing.

        :raises Unsupported: with ENOENT, there is no CRIU.
        :raises Criu: the program does not behave as CRIU.
        :raises Timeout: it did not answer in time.
        """
        return self._criu_check()

    def load(self, id: str) -> Container:
        """Opens an existing container, created by this or another process.

        :raises NotFound, IdInvalid:
        """
        return Container(self._library, self._load(id))

    def recover(self) -> List[str]:
        """Removes containers whose creating or deleting process was killed: their processes, cgroups and state. Returns
        the removed ids. Complete containers, and those that another process is creating or deleting, stay. Call it when
        a supervisor starts.

        Blocks until they are removed, at most the cgroup timeout for each. A container whose record is damaged stays,
        with a warning in the log.

        :raises Timeout: a process could not be killed in time; the other containers are removed nevertheless, and
            ``detail["recovered"]`` has their ids.
        """
        return self._recover()
