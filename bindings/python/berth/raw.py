"""ctypes declarations of the C ABI: all constants, structs and functions of include/berth.h, by their own names.

Generated from include/berth.h by bindings/python/generate; do not edit. The header documents every name. Programs that
use :mod:`berth` do not need this module, except for direct access to the C functions.
"""

from ctypes import (
    CDLL,
    CFUNCTYPE,
    POINTER,
    Structure,
    c_char_p,
    c_int32,
    c_int64,
    c_size_t,
    c_uint16,
    c_uint32,
    c_uint64,
    c_void_p,
)
from typing import Any, Callable, Dict, List, Tuple

Function = Callable[..., Any]

BERTH_ABI_VERSION = 2
BERTH_VERSION_MAJOR = 0
BERTH_VERSION_MINOR = 1
BERTH_VERSION_PATCH = 0
BERTH_RUNTIME_SYSTEMD_ANNOTATIONS = 1
BERTH_RUNTIME_NO_PIVOT = 2
BERTH_RUNTIME_IDMAPPED_ROOT = 4
BERTH_RUNTIME_ROOTLESS = 8
BERTH_RUNTIME_ROOTLESS_AUTO = 16
BERTH_RUNTIME_RETURN_DEVICES = 32
BERTH_PROCESS_INHERIT_KEYRING = 1
BERTH_PROCESS_WAIT_WHILE_PAUSED = 2
BERTH_PROCESS_FIND_PROGRAM = 4
BERTH_PROCESS_PLAIN_NEWLINES = 8
BERTH_SIGNAL_ALL = 1
BERTH_DELETE_FORCE = 1
BERTH_INTERFACES_INSIDE = 1
BERTH_CHECKPOINT_LEAVE_RUNNING = 1
BERTH_CHECKPOINT_PRE_DUMP = 2
BERTH_CHECKPOINT_SHELL_JOB = 4
BERTH_CHECKPOINT_TCP_ESTABLISHED = 8
BERTH_CHECKPOINT_TCP_SKIP_IN_FLIGHT = 16
BERTH_CHECKPOINT_EXTERNAL_UNIX_SOCKETS = 32
BERTH_CHECKPOINT_FILE_LOCKS = 64
BERTH_CHECKPOINT_LAZY_PAGES = 128
BERTH_CHECKPOINT_EMPTY_NETWORK = 256
BERTH_CHECKPOINT_AUTO_DEDUP = 512
BERTH_CHECKPOINT_LINK_REMAP = 1024
BERTH_RESTORE_SHELL_JOB = 4
BERTH_RESTORE_TCP_ESTABLISHED = 8
BERTH_RESTORE_TCP_CLOSE = 16
BERTH_RESTORE_EXTERNAL_UNIX_SOCKETS = 32
BERTH_RESTORE_FILE_LOCKS = 64
BERTH_RESTORE_LAZY_PAGES = 128
BERTH_RESTORE_EMPTY_NETWORK = 256
BERTH_RESTORE_AUTO_DEDUP = 512

# enum berth_e
BERTH_E_ID_IN_USE = -1
BERTH_E_ID_INVALID = -2
BERTH_E_NOT_FOUND = -3
BERTH_E_PAUSED = -4
BERTH_E_NOT_STOPPED = -5
BERTH_E_NOT_RUNNING = -6
BERTH_E_NOT_PAUSED = -7
BERTH_E_ALREADY_RUNNING = -8
BERTH_E_CONFIG_INVALID = -9
BERTH_E_CONSOLE_EXISTS = -10
BERTH_E_SYSTEM = -11
BERTH_E_UNSUPPORTED = -12
BERTH_E_TIMEOUT = -13
BERTH_E_BUSY = -14
BERTH_E_CRIU = -15
BERTH_E_HOOK = -16
BERTH_E_STATUS_UNKNOWN = -17
BERTH_E_INVALID_ARGUMENT = -18
BERTH_E_INTERNAL = -19

# enum berth_stage
BERTH_STAGE_HOST = 0
BERTH_STAGE_INIT = 1
BERTH_STAGE_HOOK = 2
BERTH_STAGE_CRIU = 3

# enum berth_status
BERTH_STATUS_CREATING = 0
BERTH_STATUS_CREATED = 1
BERTH_STATUS_RUNNING = 2
BERTH_STATUS_PAUSED = 3
BERTH_STATUS_STOPPED = 4

# enum berth_log_level
BERTH_LOG_LEVEL_ERROR = 1
BERTH_LOG_LEVEL_WARN = 2
BERTH_LOG_LEVEL_INFO = 3
BERTH_LOG_LEVEL_DEBUG = 4
BERTH_LOG_LEVEL_TRACE = 5

# enum berth_stdio
BERTH_STDIO_INHERIT = 0
BERTH_STDIO_NULL = 1
BERTH_STDIO_FD = 2
BERTH_STDIO_PIPE = 3

# enum berth_exit
BERTH_EXIT_EXITED = 1
BERTH_EXIT_SIGNALED = 2

# enum berth_pressure
BERTH_PRESSURE_LOW = 1
BERTH_PRESSURE_MEDIUM = 2
BERTH_PRESSURE_CRITICAL = 3

# enum berth_cgroup_manager
BERTH_CGROUP_MANAGER_FILES = 0
BERTH_CGROUP_MANAGER_SYSTEMD = 1
BERTH_CGROUP_MANAGER_DISABLED = 2

# enum berth_cgroup_mode
BERTH_CGROUP_MODE_SOFT = 0
BERTH_CGROUP_MODE_IGNORE = 1
BERTH_CGROUP_MODE_NONE = 2
BERTH_CGROUP_MODE_PROPERTIES = 3
BERTH_CGROUP_MODE_FULL = 4
BERTH_CGROUP_MODE_STRICT = 5

# enum berth_network_lock
BERTH_NETWORK_LOCK_NFTABLES = 0
BERTH_NETWORK_LOCK_IPTABLES = 1
BERTH_NETWORK_LOCK_SKIP = 2


class berth_config(Structure):
    """Opaque."""


class berth_container(Structure):
    """Opaque."""


class berth_error(Structure):
    """Opaque."""


class berth_event(Structure):
    """Opaque."""


class berth_process(Structure):
    """Opaque."""


class berth_runtime(Structure):
    """Opaque."""


berth_log_callback = CFUNCTYPE(None, c_void_p, c_int32, c_char_p, c_char_p)


class berth_runtime_options(Structure):
    _fields_ = [
        ("size", c_size_t),
        ("state_root", c_char_p),
        ("setup_timeout_ms", c_int64),
        ("lock_timeout_ms", c_int64),
        ("hook_timeout_ms", c_int64),
        ("cgroup_timeout_ms", c_int64),
        ("cgroup_manager", c_int32),
        ("flags", c_uint32),
        ("criu", c_char_p),
        ("hook_env", POINTER(c_char_p)),
        ("hook_env_count", c_size_t),
    ]


class berth_stream(Structure):
    _fields_ = [
        ("kind", c_int32),
        ("fd", c_int32),
    ]


class berth_process_options(Structure):
    _fields_ = [
        ("size", c_size_t),
        ("stdio", berth_stream * 3),
        ("extra_fds", POINTER(c_int32)),
        ("extra_fd_count", c_size_t),
        ("console_socket", c_char_p),
        ("parent_death_signal", c_int32),
        ("flags", c_uint32),
        ("cgroups", POINTER(c_char_p)),
        ("cgroup_count", c_size_t),
    ]


class berth_stats(Structure):
    _fields_ = [
        ("size", c_size_t),
        ("cpu_usage_ns", c_uint64),
        ("cpu_user_ns", c_uint64),
        ("cpu_system_ns", c_uint64),
        ("cpu_periods", c_uint64),
        ("cpu_throttled_periods", c_uint64),
        ("cpu_throttled_ns", c_uint64),
        ("memory_usage", c_uint64),
        ("memory_limit", c_uint64),
        ("memory_peak", c_uint64),
        ("memory_swap_usage", c_uint64),
        ("memory_swap_limit", c_uint64),
        ("oom_kills", c_uint64),
        ("pids_current", c_uint64),
        ("pids_limit", c_uint64),
        ("memory_limit_hits", c_uint64),
        ("memory_anon", c_uint64),
        ("memory_file", c_uint64),
        ("memory_inactive_file", c_uint64),
        ("memory_kernel", c_uint64),
        ("page_faults", c_uint64),
        ("page_faults_major", c_uint64),
        ("io_read_bytes", c_uint64),
        ("io_write_bytes", c_uint64),
        ("io_reads", c_uint64),
        ("io_writes", c_uint64),
        ("cpu_pressure_some_ns", c_uint64),
        ("cpu_pressure_full_ns", c_uint64),
        ("memory_pressure_some_ns", c_uint64),
        ("memory_pressure_full_ns", c_uint64),
        ("io_pressure_some_ns", c_uint64),
        ("io_pressure_full_ns", c_uint64),
    ]


class berth_exit_status(Structure):
    _fields_ = [
        ("kind", c_int32),
        ("code", c_int32),
        ("signal", c_int32),
        ("core_dumped", c_int32),
    ]


class berth_checkpoint_options(Structure):
    _fields_ = [
        ("size", c_size_t),
        ("images", c_char_p),
        ("work", c_char_p),
        ("parent_images", c_char_p),
        ("page_server_address", c_char_p),
        ("config_file", c_char_p),
        ("timeout_ms", c_int64),
        ("flags", c_uint32),
        ("cgroup_mode", c_int32),
        ("status", berth_stream),
        ("page_server_port", c_int32),
        ("network_lock", c_int32),
    ]


class berth_veth_pair(Structure):
    _fields_ = [
        ("name", c_char_p),
        ("host_name", c_char_p),
    ]


class berth_cgroup_root(Structure):
    _fields_ = [
        ("controller", c_char_p),
        ("path", c_char_p),
    ]


class berth_restore_options(Structure):
    _fields_ = [
        ("size", c_size_t),
        ("images", c_char_p),
        ("work", c_char_p),
        ("process", POINTER(berth_process_options)),
        ("veth_pairs", POINTER(berth_veth_pair)),
        ("veth_pair_count", c_size_t),
        ("cgroup_roots", POINTER(berth_cgroup_root)),
        ("cgroup_root_count", c_size_t),
        ("lsm_profile", c_char_p),
        ("lsm_mount_context", c_char_p),
        ("config_file", c_char_p),
        ("timeout_ms", c_int64),
        ("flags", c_uint32),
        ("cgroup_mode", c_int32),
    ]


class berth_occurred(Structure):
    _fields_ = [
        ("count", c_uint64),
        ("ended", c_int32),
        ("reserved", c_int32),
    ]


SIGNATURES: Dict[str, Tuple[Any, List[Any]]] = {
    "berth_version": (c_char_p, []),
    "berth_abi_version": (c_uint32, []),
    "berth_has_feature": (c_int32, [c_char_p]),
    "berth_features_json": (c_int32, [POINTER(c_char_p), POINTER(POINTER(berth_error))]),
    "berth_log_set_callback": (c_int32, [berth_log_callback, c_void_p, POINTER(POINTER(berth_error))]),
    "berth_log_set_fd": (c_int32, [c_int32, POINTER(POINTER(berth_error))]),
    "berth_log_set_level": (c_int32, [c_int32, POINTER(POINTER(berth_error))]),
    "berth_string_free": (None, [c_char_p]),
    "berth_error_code": (c_int32, [POINTER(berth_error)]),
    "berth_error_errno": (c_int32, [POINTER(berth_error)]),
    "berth_error_stage": (c_int32, [POINTER(berth_error)]),
    "berth_error_message": (c_char_p, [POINTER(berth_error)]),
    "berth_error_detail_json": (c_char_p, [POINTER(berth_error)]),
    "berth_error_free": (None, [POINTER(berth_error)]),
    "berth_strerror": (c_char_p, [c_int32]),
    "berth_error_name": (c_char_p, [c_int32]),
    "berth_runtime_options_init": (None, [POINTER(berth_runtime_options), c_size_t]),
    "berth_runtime_new": (c_int32, [POINTER(berth_runtime_options), POINTER(POINTER(berth_runtime)), POINTER(POINTER(berth_error))]),
    "berth_runtime_free": (None, [POINTER(berth_runtime)]),
    "berth_runtime_list_json": (c_int32, [POINTER(berth_runtime), POINTER(c_char_p), POINTER(POINTER(berth_error))]),
    "berth_runtime_explain_json": (c_int32, [POINTER(berth_runtime), POINTER(berth_config), POINTER(berth_process_options), POINTER(c_char_p), POINTER(POINTER(berth_error))]),
    "berth_runtime_recover": (c_int32, [POINTER(berth_runtime), POINTER(c_char_p), POINTER(POINTER(berth_error))]),
    "berth_config_from_bundle": (c_int32, [c_char_p, POINTER(POINTER(berth_config)), POINTER(POINTER(berth_error))]),
    "berth_config_from_file": (c_int32, [c_char_p, c_char_p, POINTER(POINTER(berth_config)), POINTER(POINTER(berth_error))]),
    "berth_config_from_json": (c_int32, [c_char_p, c_char_p, POINTER(POINTER(berth_config)), POINTER(POINTER(berth_error))]),
    "berth_config_default_json": (c_int32, [POINTER(c_char_p), POINTER(POINTER(berth_error))]),
    "berth_config_default_rootless_json": (c_int32, [c_uint32, c_uint32, POINTER(c_char_p), POINTER(POINTER(berth_error))]),
    "berth_config_with_networks": (c_int32, [POINTER(berth_config), c_char_p, POINTER(POINTER(berth_config)), POINTER(POINTER(berth_error))]),
    "berth_config_validate": (c_int32, [POINTER(berth_config), POINTER(POINTER(berth_error))]),
    "berth_config_explain_json": (c_int32, [POINTER(berth_config), POINTER(c_char_p), POINTER(POINTER(berth_error))]),
    "berth_config_to_json": (c_int32, [POINTER(berth_config), POINTER(c_char_p), POINTER(POINTER(berth_error))]),
    "berth_config_free": (None, [POINTER(berth_config)]),
    "berth_process_options_init": (None, [POINTER(berth_process_options), c_size_t]),
    "berth_container_create": (c_int32, [POINTER(berth_runtime), c_char_p, POINTER(berth_config), POINTER(berth_process_options), POINTER(POINTER(berth_container)), POINTER(POINTER(berth_error))]),
    "berth_container_run": (c_int32, [POINTER(berth_runtime), c_char_p, POINTER(berth_config), POINTER(berth_process_options), POINTER(POINTER(berth_container)), POINTER(POINTER(berth_error))]),
    "berth_container_load": (c_int32, [POINTER(berth_runtime), c_char_p, POINTER(POINTER(berth_container)), POINTER(POINTER(berth_error))]),
    "berth_container_free": (None, [POINTER(berth_container)]),
    "berth_container_start": (c_int32, [POINTER(berth_container), POINTER(POINTER(berth_error))]),
    "berth_container_exec": (c_int32, [POINTER(berth_container), c_char_p, POINTER(berth_process_options), POINTER(POINTER(berth_process)), POINTER(POINTER(berth_error))]),
    "berth_container_signal": (c_int32, [POINTER(berth_container), c_int32, c_uint32, POINTER(POINTER(berth_error))]),
    "berth_container_pause": (c_int32, [POINTER(berth_container), POINTER(POINTER(berth_error))]),
    "berth_container_resume": (c_int32, [POINTER(berth_container), POINTER(POINTER(berth_error))]),
    "berth_container_set": (c_int32, [POINTER(berth_container), c_char_p, POINTER(POINTER(berth_error))]),
    "berth_container_delete": (c_int32, [POINTER(berth_container), c_uint32, POINTER(POINTER(berth_error))]),
    "berth_container_id": (c_char_p, [POINTER(berth_container)]),
    "berth_container_status": (c_int32, [POINTER(berth_container), POINTER(c_int32), POINTER(POINTER(berth_error))]),
    "berth_status_name": (c_char_p, [c_int32]),
    "berth_container_state_json": (c_int32, [POINTER(berth_container), POINTER(c_char_p), POINTER(POINTER(berth_error))]),
    "berth_container_config_json": (c_int32, [POINTER(berth_container), POINTER(c_char_p), POINTER(POINTER(berth_error))]),
    "berth_container_pids": (c_int32, [POINTER(berth_container), POINTER(POINTER(c_int32)), POINTER(c_size_t), POINTER(POINTER(berth_error))]),
    "berth_pids_free": (None, [POINTER(c_int32)]),
    "berth_container_stats": (c_int32, [POINTER(berth_container), POINTER(berth_stats), POINTER(POINTER(berth_error))]),
    "berth_container_stats_json": (c_int32, [POINTER(berth_container), POINTER(c_char_p), POINTER(POINTER(berth_error))]),
    "berth_container_wait": (c_int32, [POINTER(berth_container), c_int64, POINTER(berth_exit_status), POINTER(POINTER(berth_error))]),
    "berth_container_pidfd": (c_int32, [POINTER(berth_container), POINTER(c_int32), POINTER(POINTER(berth_error))]),
    "berth_container_init_process": (c_int32, [POINTER(berth_container), POINTER(POINTER(berth_process)), POINTER(POINTER(berth_error))]),
    "berth_container_interfaces_json": (c_int32, [POINTER(berth_container), c_uint32, POINTER(c_char_p), POINTER(POINTER(berth_error))]),
    "berth_checkpoint_options_init": (None, [POINTER(berth_checkpoint_options), c_size_t]),
    "berth_restore_options_init": (None, [POINTER(berth_restore_options), c_size_t]),
    "berth_criu_check": (c_int32, [POINTER(berth_runtime), POINTER(c_char_p), POINTER(POINTER(berth_error))]),
    "berth_container_checkpoint": (c_int32, [POINTER(berth_container), POINTER(berth_checkpoint_options), POINTER(POINTER(berth_error))]),
    "berth_container_restore": (c_int32, [POINTER(berth_runtime), c_char_p, POINTER(berth_config), POINTER(berth_restore_options), POINTER(POINTER(berth_container)), POINTER(POINTER(berth_error))]),
    "berth_process_pid": (c_int32, [POINTER(berth_process), POINTER(c_int32), POINTER(POINTER(berth_error))]),
    "berth_process_pidfd": (c_int32, [POINTER(berth_process), POINTER(c_int32), POINTER(POINTER(berth_error))]),
    "berth_process_wait": (c_int32, [POINTER(berth_process), c_int64, POINTER(berth_exit_status), POINTER(POINTER(berth_error))]),
    "berth_process_signal": (c_int32, [POINTER(berth_process), c_int32, POINTER(POINTER(berth_error))]),
    "berth_process_take_stdio": (c_int32, [POINTER(berth_process), POINTER(c_int32), POINTER(POINTER(berth_error))]),
    "berth_process_terminal": (c_int32, [POINTER(berth_process), POINTER(c_int32), POINTER(POINTER(berth_error))]),
    "berth_process_resize_terminal": (c_int32, [POINTER(berth_process), c_uint16, c_uint16, POINTER(POINTER(berth_error))]),
    "berth_process_free": (None, [POINTER(berth_process)]),
    "berth_container_notify_oom": (c_int32, [POINTER(berth_container), POINTER(POINTER(berth_event)), POINTER(POINTER(berth_error))]),
    "berth_container_notify_memory_pressure": (c_int32, [POINTER(berth_container), c_int32, POINTER(POINTER(berth_event)), POINTER(POINTER(berth_error))]),
    "berth_event_fd": (c_int32, [POINTER(berth_event), POINTER(c_int32), POINTER(POINTER(berth_error))]),
    "berth_event_read": (c_int32, [POINTER(berth_event), c_int64, POINTER(berth_occurred), POINTER(POINTER(berth_error))]),
    "berth_event_free": (None, [POINTER(berth_event)]),
    "berth_container_oom_killed": (c_int32, [POINTER(berth_container), POINTER(c_int32), POINTER(POINTER(berth_error))]),
}


class Functions:
    """The functions of a loaded library."""

    berth_version: Function
    berth_abi_version: Function
    berth_has_feature: Function
    berth_features_json: Function
    berth_log_set_callback: Function
    berth_log_set_fd: Function
    berth_log_set_level: Function
    berth_string_free: Function
    berth_error_code: Function
    berth_error_errno: Function
    berth_error_stage: Function
    berth_error_message: Function
    berth_error_detail_json: Function
    berth_error_free: Function
    berth_strerror: Function
    berth_error_name: Function
    berth_runtime_options_init: Function
    berth_runtime_new: Function
    berth_runtime_free: Function
    berth_runtime_list_json: Function
    berth_runtime_explain_json: Function
    berth_runtime_recover: Function
    berth_config_from_bundle: Function
    berth_config_from_file: Function
    berth_config_from_json: Function
    berth_config_default_json: Function
    berth_config_default_rootless_json: Function
    berth_config_with_networks: Function
    berth_config_validate: Function
    berth_config_explain_json: Function
    berth_config_to_json: Function
    berth_config_free: Function
    berth_process_options_init: Function
    berth_container_create: Function
    berth_container_run: Function
    berth_container_load: Function
    berth_container_free: Function
    berth_container_start: Function
    berth_container_exec: Function
    berth_container_signal: Function
    berth_container_pause: Function
    berth_container_resume: Function
    berth_container_set: Function
    berth_container_delete: Function
    berth_container_id: Function
    berth_container_status: Function
    berth_status_name: Function
    berth_container_state_json: Function
    berth_container_config_json: Function
    berth_container_pids: Function
    berth_pids_free: Function
    berth_container_stats: Function
    berth_container_stats_json: Function
    berth_container_wait: Function
    berth_container_pidfd: Function
    berth_container_init_process: Function
    berth_container_interfaces_json: Function
    berth_checkpoint_options_init: Function
    berth_restore_options_init: Function
    berth_criu_check: Function
    berth_container_checkpoint: Function
    berth_container_restore: Function
    berth_process_pid: Function
    berth_process_pidfd: Function
    berth_process_wait: Function
    berth_process_signal: Function
    berth_process_take_stdio: Function
    berth_process_terminal: Function
    berth_process_resize_terminal: Function
    berth_process_free: Function
    berth_container_notify_oom: Function
    berth_container_notify_memory_pressure: Function
    berth_event_fd: Function
    berth_event_read: Function
    berth_event_free: Function
    berth_container_oom_killed: Function

    def __init__(self, library: CDLL) -> None:
        """Sets the types of all functions. Raises AttributeError if the library lacks one, because it is older."""
        for name, (result, arguments) in SIGNATURES.items():
            function = library[name]
            function.restype = result
            function.argtypes = arguments
            setattr(self, name, function)
