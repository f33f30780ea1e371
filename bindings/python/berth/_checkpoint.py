"""Options of checkpoint and restore."""

from __future__ import annotations

import ctypes
import dataclasses
from ctypes import byref, pointer
from typing import Any, Mapping, Optional, Sequence, Tuple, Union

from . import _arguments, raw
from ._arguments import HasFileno
from ._constants import Constant
from ._library import Library, StrPath
from ._streams import ProcessOptions, Stream, process_options


class CgroupMode(Constant):
    """How a restore handles cgroups that the container has created below its own, and their values
    (``BERTH_CGROUP_MODE_...``). The container's own cgroups and limits are always those of the configuration.
    """

    #: They are made again; values are restored in those that are made.
    SOFT = raw.BERTH_CGROUP_MODE_SOFT
    #: Nothing is dumped or made: all processes are in the container's own cgroups.
    IGNORE = raw.BERTH_CGROUP_MODE_IGNORE
    #: All must be there already.
    NONE = raw.BERTH_CGROUP_MODE_NONE
    #: All must be there already, and get their values.
    PROPERTIES = raw.BERTH_CGROUP_MODE_PROPERTIES
    #: They are made if missing, and all get their values.
    FULL = raw.BERTH_CGROUP_MODE_FULL
    #: None may be there, all are made.
    STRICT = raw.BERTH_CGROUP_MODE_STRICT


class NetworkLock(Constant):
    """How packets of TCP connections are blocked during a dump (``BERTH_NETWORK_LOCK_...``). A restore ends the block that
    its images were dumped with.
    """

    #: The kernel's nftables, by CRIU itself.
    NFTABLES = raw.BERTH_NETWORK_LOCK_NFTABLES
    #: The programs ``iptables-restore`` and ``ip6tables-restore`` of the host. Their rules stay if CRIU is killed.
    IPTABLES = raw.BERTH_NETWORK_LOCK_IPTABLES
    #: Nothing: what arrives while nobody is there ends the connection.
    SKIP = raw.BERTH_NETWORK_LOCK_SKIP


@dataclasses.dataclass(frozen=True)
class CheckpointOptions:
    """Options of a checkpoint."""

    #: The directory for CRIU's log and the other files of its work; made if missing. None: one in the container's state.
    work: Optional[StrPath] = None
    #: The images of the checkpoint or pre-dump before, absolute or as seen from the directory of the images. Needs a kernel
    #: with memory tracking (else :class:`Unsupported`).
    parent_images: Optional[StrPath] = None
    #: The IP address and the port at which a ``criu page-server`` takes the memory. With ``lazy_pages``, the address of
    #: this host and the port at which it is given.
    page_server: Optional[Tuple[str, int]] = None
    #: A file of options of CRIU's, which overrule all others (criu(8), "configuration files").
    config_file: Optional[StrPath] = None
    #: How long CRIU may take, in seconds. 0: ten minutes.
    timeout: float = 0
    cgroup_mode: CgroupMode = CgroupMode.SOFT
    network_lock: NetworkLock = NetworkLock.NFTABLES
    #: With ``lazy_pages``: a descriptor or file to which a NUL byte is written when pages can be requested.
    status: Union[int, HasFileno, None] = None
    #: The container runs on afterwards. Otherwise it is stopped.
    leave_running: bool = False
    #: Only memory is dumped, and the container runs on: the next checkpoint, with these images as ``parent_images``, has
    #: only what has changed since. May be repeated. Needs a kernel with memory tracking (else :class:`Unsupported`).
    pre_dump: bool = False
    #: The container's terminal, or its session, are the caller's. Also for the restore.
    shell_job: bool = False
    #: Established TCP connections. Also for the restore.
    tcp_established: bool = False
    #: TCP connections that are not established yet are left out; otherwise they are an error.
    tcp_skip_in_flight: bool = False
    #: Unix sockets whose other end is outside of the container. Also for the restore.
    external_unix_sockets: bool = False
    #: File locks. Also for the restore.
    file_locks: bool = False
    #: Memory stays here until a restore elsewhere asks for it, at ``page_server``: the checkpoint waits for that. Needs a
    #: kernel with userfaultfd (else :class:`Unsupported`).
    lazy_pages: bool = False
    #: What is in the container's network namespace is not dumped. Also for the restore.
    empty_network: bool = False
    #: Pages that are in the images of ``parent_images``, too, are removed there.
    auto_dedup: bool = False
    #: Open files that have lost their name get one, in their directory, for the time of the checkpoint.
    link_remap: bool = False


@dataclasses.dataclass(frozen=True)
class RestoreOptions:
    """Options of a restore."""

    #: As in :class:`CheckpointOptions`.
    work: Optional[StrPath] = None
    #: A console socket, and the like. ``extra_fds`` must be empty.
    process: Optional[ProcessOptions] = None
    #: Pairs of links that are made beside those of the configuration's networks: the name in the container, and that of
    #: the other end on the host.
    veth_pairs: Sequence[Tuple[str, str]] = ()
    #: Cgroups in which the tree of the images begins, instead of the container's own: a v1 controller, "name=..." for a
    #: named hierarchy, or "" for the v2 tree; and the path of a cgroup as /proc/<pid>/cgroup spells it, which must be the
    #: container's own or below it.
    cgroup_roots: Sequence[Tuple[str, str]] = ()
    #: The security profile instead of the dumped one: "apparmor:NAME" or "selinux:LABEL".
    lsm_profile: Optional[str] = None
    #: An SELinux label for the restored mounts.
    lsm_mount_context: Optional[str] = None
    #: As in :class:`CheckpointOptions`.
    config_file: Optional[StrPath] = None
    #: How long CRIU may take, in seconds. 0: ten minutes.
    timeout: float = 0
    cgroup_mode: CgroupMode = CgroupMode.SOFT
    #: As in :class:`CheckpointOptions`; the container's standard input is given.
    shell_job: bool = False
    #: As in :class:`CheckpointOptions`.
    tcp_established: bool = False
    #: Established TCP connections are restored as closed ones.
    tcp_close: bool = False
    #: As in :class:`CheckpointOptions`.
    external_unix_sockets: bool = False
    #: As in :class:`CheckpointOptions`.
    file_locks: bool = False
    #: Memory is asked for when it is used, of a ``criu lazy-pages`` that works in the same work directory.
    lazy_pages: bool = False
    #: As in :class:`CheckpointOptions`.
    empty_network: bool = False
    #: Pages are removed from the images as soon as they are restored.
    auto_dedup: bool = False


_CHECKPOINT_FLAGS = {
    "leave_running": raw.BERTH_CHECKPOINT_LEAVE_RUNNING,
    "pre_dump": raw.BERTH_CHECKPOINT_PRE_DUMP,
    "shell_job": raw.BERTH_CHECKPOINT_SHELL_JOB,
    "tcp_established": raw.BERTH_CHECKPOINT_TCP_ESTABLISHED,
    "tcp_skip_in_flight": raw.BERTH_CHECKPOINT_TCP_SKIP_IN_FLIGHT,
    "external_unix_sockets": raw.BERTH_CHECKPOINT_EXTERNAL_UNIX_SOCKETS,
    "file_locks": raw.BERTH_CHECKPOINT_FILE_LOCKS,
    "lazy_pages": raw.BERTH_CHECKPOINT_LAZY_PAGES,
    "empty_network": raw.BERTH_CHECKPOINT_EMPTY_NETWORK,
    "auto_dedup": raw.BERTH_CHECKPOINT_AUTO_DEDUP,
    "link_remap": raw.BERTH_CHECKPOINT_LINK_REMAP,
}
_RESTORE_FLAGS = {
    "shell_job": raw.BERTH_RESTORE_SHELL_JOB,
    "tcp_established": raw.BERTH_RESTORE_TCP_ESTABLISHED,
    "tcp_close": raw.BERTH_RESTORE_TCP_CLOSE,
    "external_unix_sockets": raw.BERTH_RESTORE_EXTERNAL_UNIX_SOCKETS,
    "file_locks": raw.BERTH_RESTORE_FILE_LOCKS,
    "lazy_pages": raw.BERTH_RESTORE_LAZY_PAGES,
    "empty_network": raw.BERTH_RESTORE_EMPTY_NETWORK,
    "auto_dedup": raw.BERTH_RESTORE_AUTO_DEDUP,
}


def checkpoint_options(
    library: Library, images: StrPath, wanted: Optional[CheckpointOptions]
) -> raw.berth_checkpoint_options:
    wanted = wanted or CheckpointOptions()
    made = raw.berth_checkpoint_options()
    library.functions.berth_checkpoint_options_init(byref(made), ctypes.sizeof(made))
    _fill(made, images, wanted, _CHECKPOINT_FLAGS)
    made.network_lock = _arguments.number(wanted.network_lock, "network_lock")
    made.parent_images = _arguments.optional_path(wanted.parent_images, "parent_images")
    if wanted.page_server is not None:
        address, port = wanted.page_server
        made.page_server_address = _arguments.text(address, "page_server")
        made.page_server_port = _arguments.number(port, "page_server")
    if wanted.status is not None:
        made.status = raw.berth_stream(raw.BERTH_STDIO_FD, _arguments.descriptor(wanted.status, "status"))
    return made


def restore_options(
    library: Library, images: StrPath, stdio: Tuple[Stream, Stream, Stream], wanted: Optional[RestoreOptions]
) -> raw.berth_restore_options:
    wanted = wanted or RestoreOptions()
    made = raw.berth_restore_options()
    library.functions.berth_restore_options_init(byref(made), ctypes.sizeof(made))
    _fill(made, images, wanted, _RESTORE_FLAGS)
    made.process = pointer(process_options(library, stdio, wanted.process))
    if wanted.veth_pairs:
        pairs = [
            raw.berth_veth_pair(name=_arguments.text(name, "veth_pairs"), host_name=_arguments.text(host, "veth_pairs"))
            for name, host in wanted.veth_pairs
        ]
        made.veth_pairs = (raw.berth_veth_pair * len(pairs))(*pairs)
        made.veth_pair_count = len(pairs)
    if wanted.cgroup_roots:
        roots = [
            raw.berth_cgroup_root(
                controller=_arguments.text(one, "cgroup_roots"), path=_arguments.text(path, "cgroup_roots")
            )
            for one, path in wanted.cgroup_roots
        ]
        made.cgroup_roots = (raw.berth_cgroup_root * len(roots))(*roots)
        made.cgroup_root_count = len(roots)
    if wanted.lsm_profile is not None:
        made.lsm_profile = _arguments.text(wanted.lsm_profile, "lsm_profile")
    if wanted.lsm_mount_context is not None:
        made.lsm_mount_context = _arguments.text(wanted.lsm_mount_context, "lsm_mount_context")
    return made


def _fill(
    made: Any, images: StrPath, wanted: Union[CheckpointOptions, RestoreOptions], flags: Mapping[str, int]
) -> None:
    """Fills the members that both options have."""
    made.images = _arguments.path(images, "images")
    made.work = _arguments.optional_path(wanted.work, "work")
    made.config_file = _arguments.optional_path(wanted.config_file, "config_file")
    made.timeout_ms = _arguments.milliseconds(wanted.timeout, "timeout")
    made.cgroup_mode = _arguments.number(wanted.cgroup_mode, "cgroup_mode")
    made.flags = sum(flag for name, flag in flags.items() if getattr(wanted, name))
