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

    #: Create them; restore values only in those created.
    SOFT = raw.BERTH_CGROUP_MODE_SOFT
    #: Neither dump nor create them: all processes are in the container's own cgroups.
    IGNORE = raw.BERTH_CGROUP_MODE_IGNORE
    #: All must exist.
    NONE = raw.BERTH_CGROUP_MODE_NONE
    #: All must exist; restore their values.
    PROPERTIES = raw.BERTH_CGROUP_MODE_PROPERTIES
    #: Create missing ones; restore all values.
    FULL = raw.BERTH_CGROUP_MODE_FULL
    #: None may exist; create all. On cgroup v1 CRIU counts the container's own cgroups and refuses a restore.
    STRICT = raw.BERTH_CGROUP_MODE_STRICT


class NetworkLock(Constant):
    """How packets of TCP connections are blocked during a dump (``BERTH_NETWORK_LOCK_...``). A restore removes the
    lock that its images were dumped with.
    """

    #: nftables, which CRIU controls itself.
    NFTABLES = raw.BERTH_NETWORK_LOCK_NFTABLES
    #: The host's programs ``iptables-restore`` and ``ip6tables-restore``. Their rules stay if CRIU is killed.
    IPTABLES = raw.BERTH_NETWORK_LOCK_IPTABLES
    #: Not at all: a packet that arrives during the dump ends its connection.
    SKIP = raw.BERTH_NETWORK_LOCK_SKIP


@dataclasses.dataclass(frozen=True)
class CheckpointOptions:
    """Options of a checkpoint."""

    #: Directory for CRIU's log and working files; created if missing. None: a directory in the container's state.
    work: Optional[StrPath] = None
    #: Images of the previous checkpoint or pre-dump, absolute or relative to the directory of the images. Needs a
    #: kernel with memory tracking (else :class:`Unsupported`).
    parent_images: Optional[StrPath] = None
    #: IP address and TCP port of a ``criu page-server`` that receives the memory instead of the images. With
    #: ``lazy_pages``, the address and port of this host that serve it.
    page_server: Optional[Tuple[str, int]] = None
    #: CRIU configuration file, which overrides all other options (criu(8), "configuration files").
    config_file: Optional[StrPath] = None
    #: How long CRIU may take, in seconds. 0: ten minutes.
    timeout: float = 0
    cgroup_mode: CgroupMode = CgroupMode.SOFT
    network_lock: NetworkLock = NetworkLock.NFTABLES
    #: With ``lazy_pages``: a descriptor or file to which a NUL byte is written when pages can be requested.
    status: Union[int, HasFileno, None] = None
    #: Leave the container running after the checkpoint. Otherwise it is stopped.
    leave_running: bool = False
    #: Dump only memory and leave the container running: the next checkpoint, with these images as ``parent_images``,
    #: saves only what changed since. May be repeated. Needs a kernel with memory tracking (else :class:`Unsupported`).
    pre_dump: bool = False
    #: The container's terminal or session belongs to the caller. The restore needs the same option.
    shell_job: bool = False
    #: Dump established TCP connections. The restore needs the same option.
    tcp_established: bool = False
    #: Skip TCP connections that are not established yet; otherwise they are an error.
    tcp_skip_in_flight: bool = False
    #: Dump unix sockets that are connected to processes outside the container. The restore needs the same option.
    external_unix_sockets: bool = False
    #: Dump file locks. The restore needs the same option.
    file_locks: bool = False
    #: Keep memory here until a restore elsewhere requests it, at ``page_server``; the checkpoint waits for that. Needs
    #: a kernel with userfaultfd (else :class:`Unsupported`).
    lazy_pages: bool = False
    #: Do not dump the contents of the container's network namespace. The restore needs the same option.
    empty_network: bool = False
    #: Remove pages from ``parent_images`` that this dump contains as well.
    auto_dedup: bool = False
    #: Link open files that were unlinked, in their directory, for the time of the checkpoint.
    link_remap: bool = False


@dataclasses.dataclass(frozen=True)
class RestoreOptions:
    """Options of a restore."""

    #: As in :class:`CheckpointOptions`.
    work: Optional[StrPath] = None
    #: Further options, such as the recipient of the terminal's master. ``extra_fds`` must be empty.
    process: Optional[ProcessOptions] = None
    #: Veth pairs in addition to those of the configuration's networks: the interface's name in the container, and its
    #: peer's name on the host.
    veth_pairs: Sequence[Tuple[str, str]] = ()
    #: Root cgroups for the cgroup tree of the images, instead of the container's own: a v1 controller, "name=..." for a
    #: named hierarchy, or "" for the v2 hierarchy; and the path of a cgroup as in /proc/<pid>/cgroup, which must be the
    #: container's own or below it.
    cgroup_roots: Sequence[Tuple[str, str]] = ()
    #: Security label that replaces the dumped one: "apparmor:NAME" or "selinux:LABEL".
    lsm_profile: Optional[str] = None
    #: SELinux label for the restored mounts. None: no label.
    lsm_mount_context: Optional[str] = None
    #: As in :class:`CheckpointOptions`.
    config_file: Optional[StrPath] = None
    #: How long CRIU may take, in seconds. 0: ten minutes.
    timeout: float = 0
    cgroup_mode: CgroupMode = CgroupMode.SOFT
    #: As in :class:`CheckpointOptions`; ``stdin`` is the container's standard input.
    shell_job: bool = False
    #: As in :class:`CheckpointOptions`.
    tcp_established: bool = False
    #: Restore established TCP connections as closed ones.
    tcp_close: bool = False
    #: As in :class:`CheckpointOptions`.
    external_unix_sockets: bool = False
    #: As in :class:`CheckpointOptions`.
    file_locks: bool = False
    #: Request memory when it is used, from a ``criu lazy-pages`` that runs in the same work directory.
    lazy_pages: bool = False
    #: As in :class:`CheckpointOptions`.
    empty_network: bool = False
    #: Remove pages from the images as soon as they are restored.
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
    """Sets the members that both structures have."""
    made.images = _arguments.path(images, "images")
    made.work = _arguments.optional_path(wanted.work, "work")
    made.config_file = _arguments.optional_path(wanted.config_file, "config_file")
    made.timeout_ms = _arguments.milliseconds(wanted.timeout, "timeout")
    made.cgroup_mode = _arguments.number(wanted.cgroup_mode, "cgroup_mode")
    made.flags = sum(flag for name, flag in flags.items() if getattr(wanted, name))
