#!/usr/bin/env python3
"""A container's life through ctypes alone, and the layout of every struct compared with C's.

    tests/python-smoke.py [LIBRARY [ROOTFS]]

LIBRARY: default target/release/libberth.so; ROOTFS: a folder that tests/rootfs has made, default BERTH_TEST_ROOTFS.
Exit status: 0 passed, 77 skipped, else failed.
"""

import ctypes
import json
import os
import subprocess
import sys
import tempfile
from ctypes import POINTER, byref, c_char_p, c_int32, c_int64, c_size_t, c_uint32, c_uint64, c_void_p
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", HERE / "target"))


class RuntimeOptions(ctypes.Structure):
    c_name = "berth_runtime_options"
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
    ]


class Stream(ctypes.Structure):
    c_name = "berth_stream"
    _fields_ = [("kind", c_int32), ("fd", c_int32)]


class ProcessOptions(ctypes.Structure):
    c_name = "berth_process_options"
    _fields_ = [
        ("size", c_size_t),
        ("stdio", Stream * 3),
        ("extra_fds", POINTER(c_int32)),
        ("extra_fd_count", c_size_t),
        ("console_socket", c_char_p),
        ("parent_death_signal", c_int32),
        ("flags", c_uint32),
        ("cgroups", POINTER(c_char_p)),
        ("cgroup_count", c_size_t),
    ]


class Stats(ctypes.Structure):
    c_name = "berth_stats"
    _fields_ = [("size", c_size_t)] + [
        (name, c_uint64)
        for name in (
            "cpu_usage_ns cpu_user_ns cpu_system_ns cpu_periods cpu_throttled_periods cpu_throttled_ns "
            "memory_usage memory_limit memory_peak memory_swap_usage memory_swap_limit oom_kills "
            "pids_current pids_limit memory_limit_hits memory_anon memory_file memory_inactive_file "
            "memory_kernel page_faults page_faults_major io_read_bytes io_write_bytes io_reads io_writes "
            "cpu_pressure_some_ns cpu_pressure_full_ns memory_pressure_some_ns memory_pressure_full_ns "
            "io_pressure_some_ns io_pressure_full_ns "
        ).split()
    ]


class ExitStatus(ctypes.Structure):
    c_name = "berth_exit_status"
    _fields_ = [("kind", c_int32), ("code", c_int32), ("signal", c_int32), ("core_dumped", c_int32)]


class Occurred(ctypes.Structure):
    c_name = "berth_occurred"
    _fields_ = [("count", c_uint64), ("ended", c_int32), ("reserved", c_int32)]


STRUCTS = [RuntimeOptions, Stream, ProcessOptions, Stats, ExitStatus, Occurred]
PIPE, NULL = 3, 1
EXITED = 1
NOT_FOUND = -3


class BerthError(Exception):
    def __init__(self, code, errno, stage, message, detail):
        super().__init__(f"{message} (code {code}, errno {errno}, stage {stage}, {detail})")
        self.code = code


class Library:
    def __init__(self, path):
        self.c = ctypes.CDLL(str(path))
        for name in ("berth_version", "berth_error_message", "berth_error_detail_json", "berth_container_id"):
            getattr(self.c, name).restype = c_char_p
        for name in ("berth_error_message", "berth_error_detail_json", "berth_error_code", "berth_error_errno",
                     "berth_error_stage", "berth_error_free", "berth_string_free", "berth_runtime_free",
                     "berth_config_free", "berth_container_free", "berth_process_free", "berth_container_id"):
            getattr(self.c, name).argtypes = [c_void_p]
        self.c.berth_container_wait.argtypes = [c_void_p, c_int64, POINTER(ExitStatus), c_void_p]
        self.c.berth_container_delete.argtypes = [c_void_p, c_uint32, c_void_p]

    def call(self, name, *arguments):
        """Calls a function whose last parameter is the error."""
        error = c_void_p()
        code = getattr(self.c, f"berth_{name}")(*arguments, byref(error))
        if code == 0:
            assert not error, name
            return
        c = self.c
        facts = (c.berth_error_code(error), c.berth_error_errno(error), c.berth_error_stage(error),
                 c.berth_error_message(error).decode(), json.loads(c.berth_error_detail_json(error)))
        c.berth_error_free(error)
        assert facts[0] == code, (name, code, facts)
        raise BerthError(*facts)

    def make(self, name, *arguments):
        """A function that gives a handle out."""
        handle = c_void_p()
        self.call(name, *arguments, byref(handle))
        return handle

    def text(self, name, *arguments):
        pointer = self.make(name, *arguments)
        text = ctypes.string_at(pointer).decode()
        self.c.berth_string_free(pointer)
        return text


def layout_in_c():
    """What the C compiler says of every struct in the header, as {name: {member: (offset, size)}}; "." is the struct."""
    printed = subprocess.run([HERE / "tests/layout"], check=True, capture_output=True, text=True).stdout
    found = {}
    for line in printed.splitlines():
        name, member, first, second = line.split()
        found.setdefault(name, {})[member] = (int(first), int(second))
    return found


def structs_are_as_in_c():
    found = layout_in_c()
    assert set(found) == {struct.c_name for struct in STRUCTS}, set(found)
    for struct in STRUCTS:
        expected = {".": (ctypes.sizeof(struct), 0)}
        for member, *_ in struct._fields_:
            field = getattr(struct, member)
            expected[member] = (field.offset, field.size)
        assert found[struct.c_name] == expected, (struct.c_name, found[struct.c_name], expected)


def a_life(library, rootfs, state_root):
    options = RuntimeOptions()
    library.c.berth_runtime_options_init(byref(options), c_size_t(ctypes.sizeof(options)))
    assert options.size == ctypes.sizeof(options)
    options.state_root = state_root.encode()
    runtime = library.make("runtime_new", byref(options))

    spec = json.loads(library.text("config_default_json"))
    spec["process"]["terminal"] = False
    spec["process"]["args"] = ["/bin/sh", "-c", "echo hello from a container; exit 7"]
    config = library.make("config_from_json", json.dumps(spec).encode(), rootfs.encode())
    assert json.loads(library.text("config_explain_json", config))["steps"]

    process_options = ProcessOptions()
    library.c.berth_process_options_init(byref(process_options), c_size_t(ctypes.sizeof(process_options)))
    process_options.stdio[0].kind, process_options.stdio[1].kind, process_options.stdio[2].kind = NULL, PIPE, NULL
    identity = f"test-python-{os.getpid()}".encode()
    container = library.make("container_create", runtime, identity, config, byref(process_options))
    assert library.c.berth_container_id(container) == identity
    state = json.loads(library.text("container_state_json", container))
    assert (state["id"], state["status"]) == (identity.decode(), "created"), state
    library.call("container_start", container)

    init = library.make("container_init_process", container)
    fds = (c_int32 * 3)()
    library.call("process_take_stdio", init, fds)
    assert (fds[0], fds[2]) == (-1, -1)
    with os.fdopen(fds[1]) as stdout:
        assert stdout.read() == "hello from a container\n"
    stats = Stats(size=ctypes.sizeof(Stats))
    library.call("container_stats", container, byref(stats))
    assert stats.cpu_usage_ns > 0
    status = ExitStatus()
    library.call("container_wait", container, 60000, byref(status))
    assert (status.kind, status.code) == (EXITED, 7), (status.kind, status.code)
    library.c.berth_process_free(init)
    library.call("container_delete", container, 0)
    try:
        library.text("container_state_json", container)
        raise AssertionError("a deleted container has a state")
    except BerthError as error:
        print(f"as it should be: {error}")
        assert error.code == NOT_FOUND
    library.c.berth_container_free(container)
    library.c.berth_config_free(config)
    assert json.loads(library.text("runtime_list_json", runtime)) == []
    library.c.berth_runtime_free(runtime)


def main():
    path = sys.argv[1] if len(sys.argv) > 1 else TARGET / "release/libberth.so"
    rootfs = sys.argv[2] if len(sys.argv) > 2 else os.environ.get("BERTH_TEST_ROOTFS")
    structs_are_as_in_c()
    print("every struct is as in C")
    if os.geteuid() != 0 or not rootfs or not Path(rootfs).is_dir():
        print("skipped: a container needs root and BERTH_TEST_ROOTFS (tests/rootfs makes one)")
        return 77
    library = Library(path)
    print(f"libberth {library.c.berth_version().decode()}")
    with tempfile.TemporaryDirectory(prefix="berth-python-state.") as state_root:
        a_life(library, rootfs, state_root)
    print("a container has lived and is gone")
    return 0


if __name__ == "__main__":
    sys.exit(main())
