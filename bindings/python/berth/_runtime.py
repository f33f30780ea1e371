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

    #: The library, in the cgroup filesystems. linux.cgroupsPath is a path.
    FILES = raw.BERTH_CGROUP_MANAGER_FILES
    #: systemd: each container is a transient scope. linux.cgroupsPath is "slice:prefix:name". Needs a host with
    #: cgroup v2 alone (else :class:`Unsupported` from create).
    SYSTEMD = raw.BERTH_CGROUP_MANAGER_SYSTEMD
    #: Nobody: containers stay in the caller's cgroups. They need a new pid namespace, and may have no linux.resources,
    #: device rules included; pausing, listing and signalling all of their processes, statistics and events are
    #: :class:`Unsupported`.
    DISABLED = raw.BERTH_CGROUP_MANAGER_DISABLED


class RuntimeHandle(Handle):
    """What :class:`berth.Runtime` and :class:`berth.aio.Runtime` share."""

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
        loaded. Several runtimes, also of several programs, may share one state root.

        Times are in seconds; 0 is the default.

        :param state_root: where the state of the containers is kept, an absolute path of a directory for the caller alone.
            Default: "/run/berth". It should not outlive a reboot, because the containers do not.
        :param setup_timeout: how long init may take to set a container up, without the time of hooks. Default: 60 s.
        :param lock_timeout: how long a call waits for the container's lock before it raises
            :class:`Busy`. Default: 30 s.
        :param hook_timeout: how long a hook may run that has no timeout of its own. Default: 60 s.
        :param cgroup_timeout: how long freezing, killing and removing may take. Default: 30 s.
        :param cgroup_manager: the cgroup manager for new containers.
        :param systemd_annotations: annotations "org.systemd.property...." of a configuration become properties of its
            scope. Not for configurations that come from others: properties can reach beyond the container.
        :param no_pivot: containers that are created get their root by chroot(2), not by pivot_root(2): for hosts whose
            root is the initial RAM filesystem. Weaker: who may unmount (CAP_SYS_ADMIN) reaches the host's mounts.
        :param idmapped_root: containers that are created with a new user namespace see the files of their root filesystem
            with its mappings (Linux 5.12), so that it need not be changed for them.
        :param rootless: for callers without privileges: containers whose configuration asks for no cgroup have their own only
            where the caller may make them, and device rules that the caller may not set are left out where no device can
            be made.
        :param rootless_auto: the same if the caller, when the first container is created, is not root, or is the root of a
            user namespace.
        :param return_devices: the devices of `linux.netDevices` return to the host when their container is deleted, instead
            of staying in the network namespace.
        :param criu: CRIU's program, for checkpoint and restore. Default: "criu" in the usual directories of the host.
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

        Omits containers that are deleted in the meantime. One whose record is damaged has the status "unknown", and "error"
        says why. Takes no locks.
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
        """Creates a container (OCI "create"); its init waits for :meth:`Container.start`.

        Blocks until init is ready: at most the setup timeout, and the time of the hooks. After an error nothing is left.
        Init is a child of this program. Whether it has a terminal is said by its configuration (process.terminal);
        then its streams are the terminal's, and none may be given here.

        :param id: 1 to 200 letters, digits and any of "_+-.", the first one not "+", "-" or "."; unique below the state
            root.
        :param stdin, stdout, stderr: where its standard streams lead: None, where this program's do; ``PIPE``, whose
            other end is a file of :attr:`Container.init`; ``DEVNULL``; a descriptor, or a file object that has one.
        :param options: what is seldom needed: more descriptors, a console socket, and so on.
        :raises IdInvalid, IdInUse:
        :raises ConfigInvalid, Unsupported: as :meth:`Config.validate`, before anything is made.
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

        Parameters as :meth:`create`; raises as that and :meth:`Container.start`.
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

        Runs the prestart and createRuntime hooks when the namespaces are there, and no others. Blocks until the processes
        run. After an error nothing is left.

        CRIU processes images as root: restore only images from sources that you would allow to run the container. Whatever
        exceeds the configuration is an error before anything runs.

        :param id: must be free: a stopped container of the same id is deleted first.
        :param config: what the container may be and do: namespaces, mounts, cgroups, limits, networks and hooks are taken
            from there, not from the images, and must be the dumped container's but for paths of the host.
        :param images: the directory with the checkpoint.
        :param stdin, stdout, stderr: where standard streams lead that were pipes, as in :meth:`create`. A stream that was
            no pipe is as it was, and must be left at None.
        :raises InvalidArgument: a stream that was not a pipe is to be replaced.
        :raises System: with ENOENT, the directory holds no checkpoint.
        :raises Criu, Timeout, Unsupported: as :meth:`Container.checkpoint`. And all that :meth:`create` raises.
        """
        made = restore_options(self._library, images, (stdin, stdout, stderr), options)
        return Container(self._library, self._make(self._c.berth_container_restore, id, config, made))

    def criu_check(self) -> Dict[str, Any]:
        """Returns what CRIU supports on this host: "path", "version", "usable" (whether libberth can work with that version), "kernel"
        ("supported", and in "says" the lines of CRIU's own check), and "features" ("memoryTracking", "lazyPages",
        "pidfdStore"). Starts CRIU and blocks until it has answered, at most a minute. Changes nothing.

        :raises Unsupported: with ENOENT, there is no CRIU.
        :raises Criu, Timeout: it does not answer as CRIU does, or not in time.
        """
        return self._criu_check()

    def load(self, id: str) -> Container:
        """Opens a container that this or another process has created.

        :raises NotFound, IdInvalid:
        """
        return Container(self._library, self._load(id))

    def recover(self) -> List[str]:
        """Takes back what programs have left behind that were killed while they created or deleted a container, and
        returns the ids. Containers that are whole, and those somebody is at work on, stay. For a supervisor's start.

        Blocks until they are removed, at most the cgroup timeout for each.

        :raises Timeout: a process could not be killed in time. What was removed before stays removed.
        """
        return self._recover()
