package berth

/*
#include <berth.h>
*/
import "C"

import (
	"os"
	"syscall"
	"time"
	"unsafe"
)

// CgroupManager is the manager of containers' cgroups.
type CgroupManager int32

// cgroupfs, systemd, or no cgroups; see berth_cgroup_manager.
const (
	CgroupManagerFiles    CgroupManager = C.BERTH_CGROUP_MANAGER_FILES
	CgroupManagerSystemd  CgroupManager = C.BERTH_CGROUP_MANAGER_SYSTEMD
	CgroupManagerDisabled CgroupManager = C.BERTH_CGROUP_MANAGER_DISABLED
)

// RuntimeOptions are the options of a runtime. Zero values select the library's defaults; see berth_runtime_options.
type RuntimeOptions struct {
	// StateRoot is the absolute path of the state directory, which must belong to the caller; created if missing. "":
	// "/run/berth".
	StateRoot string
	// Durations are rounded up to milliseconds.
	SetupTimeout  time.Duration
	LockTimeout   time.Duration
	HookTimeout   time.Duration
	CgroupTimeout time.Duration
	CgroupManager CgroupManager
	// Criu is the CRIU program. "": "criu" in the usual directories.
	Criu string
	// SystemdAnnotations, with CgroupManagerSystemd: annotations that begin with "org.systemd.property." become properties
	// of the scope. Do not set it for untrusted configurations: a scope's properties can affect more than the container.
	SystemdAnnotations bool
	// NoPivot uses chroot(2) instead of pivot_root(2), for hosts whose root is the initial RAM filesystem.
	NoPivot bool
	// IDMappedRoot mounts root filesystems of new user namespaces id-mapped.
	IDMappedRoot bool
	// Rootless supports unprivileged callers: containers have cgroups of their own only where the caller may create them;
	// see BERTH_RUNTIME_ROOTLESS.
	Rootless bool
	// RootlessAuto is Rootless if the caller is not root, or is root in a user namespace; see BERTH_RUNTIME_ROOTLESS_AUTO.
	RootlessAuto bool
	// ReturnDevices returns the devices of linux.netDevices to the host when their container is deleted; see
	// BERTH_RUNTIME_RETURN_DEVICES.
	ReturnDevices bool
	// HookEnv is the environment, as NAME=VALUE, of hooks that run on the host and have none of their own. nil: an empty
	// environment. os.Environ() gives all that this process has, secrets included, to programs that a configuration names.
	HookEnv []string
}

// Stream is a standard stream of a process; the zero value is Inherit.
type Stream struct {
	kind C.int32_t
	file *os.File
}

// Inherit is the caller's own stream.
func Inherit() Stream {
	return Stream{kind: C.BERTH_STDIO_INHERIT}
}

// Null is /dev/null.
func Null() Stream {
	return Stream{kind: C.BERTH_STDIO_NULL}
}

// Pipe is a new pipe; [Process.TakeStdio] returns its other end.
func Pipe() Stream {
	return Stream{kind: C.BERTH_STDIO_PIPE}
}

// File is an open file of the caller, which may be closed after the call. It is put into blocking mode, as by os/exec,
// because the process shares the mode.
func File(file *os.File) Stream {
	return Stream{kind: C.BERTH_STDIO_FD, file: file}
}

// ProcessOptions are options for starting a process, in addition to its OCI specification; see berth_process_options.
// nil: the caller's own streams.
type ProcessOptions struct {
	Stdin, Stdout, Stderr Stream
	// ExtraFiles become the process's descriptors 3, 4 and so on; see File.
	ExtraFiles []*os.File
	// ConsoleSocket is the path of a unix socket to which the terminal's master is sent. "": [Process.Terminal] returns
	// it.
	ConsoleSocket string
	// ParentDeathSignal is sent when the thread that starts the process ends: use it only after runtime.LockOSThread.
	ParentDeathSignal syscall.Signal
	// InheritKeyring, at create: processes keep the session keyring of the process that starts them.
	InheritKeyring bool
	// WaitWhilePaused, with [Container.Exec]: if the container is paused, wait until it is resumed; ErrTimeout after the
	// setup timeout.
	WaitWhilePaused bool
	// FindProgram, at create: ErrSystem with ENOENT if the program does not exist, with EISDIR if it is a directory. Without it
	// only [Container.Start] fails.
	FindProgram bool
	// PlainNewlines, with process.terminal: newlines in the output stay as they are (ONLCR is cleared).
	PlainNewlines bool
	// Cgroups, with [Container.Exec]: cgroups below the container's own that the process joins, each "path", or
	// "controller[,controller]:path".
	Cgroups []string
}

// NoStdio is three times Null.
func NoStdio() *ProcessOptions {
	return &ProcessOptions{Stdin: Null(), Stdout: Null(), Stderr: Null()}
}

func milliseconds(duration time.Duration) C.int64_t {
	ms := duration / time.Millisecond
	if duration%time.Millisecond > 0 {
		ms++
	}
	return C.int64_t(ms)
}

// cRuntimeOptions converts the options to C.
func cRuntimeOptions(options *RuntimeOptions, owned *memory) (*C.berth_runtime_options, error) {
	raw := (*C.berth_runtime_options)(owned.array(1, unsafe.Sizeof(C.berth_runtime_options{})))
	C.berth_runtime_options_init(raw, C.size_t(unsafe.Sizeof(*raw)))
	if err := owned.optional(&raw.state_root, options.StateRoot, "state_root"); err != nil {
		return nil, err
	}
	if err := owned.optional(&raw.criu, options.Criu, "criu"); err != nil {
		return nil, err
	}
	raw.setup_timeout_ms = milliseconds(options.SetupTimeout)
	raw.lock_timeout_ms = milliseconds(options.LockTimeout)
	raw.hook_timeout_ms = milliseconds(options.HookTimeout)
	raw.cgroup_timeout_ms = milliseconds(options.CgroupTimeout)
	raw.cgroup_manager = C.int32_t(options.CgroupManager)
	raw.flags = flags(map[C.uint32_t]bool{
		C.BERTH_RUNTIME_SYSTEMD_ANNOTATIONS: options.SystemdAnnotations,
		C.BERTH_RUNTIME_NO_PIVOT:            options.NoPivot,
		C.BERTH_RUNTIME_IDMAPPED_ROOT:       options.IDMappedRoot,
		C.BERTH_RUNTIME_ROOTLESS:            options.Rootless,
		C.BERTH_RUNTIME_ROOTLESS_AUTO:       options.RootlessAuto,
		C.BERTH_RUNTIME_RETURN_DEVICES:      options.ReturnDevices,
	})
	raw.hook_env_count = C.size_t(len(options.HookEnv))
	return raw, owned.texts(&raw.hook_env, options.HookEnv, "hook_env")
}

// cProcessOptions converts the options to C, in C's memory; nil for nil.
func cProcessOptions(options *ProcessOptions, owned *memory) (*C.berth_process_options, error) {
	if options == nil {
		return nil, nil
	}
	owned.keep(options)
	raw := (*C.berth_process_options)(owned.array(1, unsafe.Sizeof(C.berth_process_options{})))
	C.berth_process_options_init(raw, C.size_t(unsafe.Sizeof(*raw)))
	for i, stream := range []Stream{options.Stdin, options.Stdout, options.Stderr} {
		raw.stdio[i].kind = stream.kind
		if stream.kind == C.BERTH_STDIO_FD {
			raw.stdio[i].fd = descriptor(stream.file)
		}
	}
	if count := len(options.ExtraFiles); count > 0 {
		raw.extra_fds = (*C.int32_t)(owned.array(count, unsafe.Sizeof(*raw.extra_fds)))
		raw.extra_fd_count = C.size_t(count)
		for i, file := range options.ExtraFiles {
			unsafe.Slice(raw.extra_fds, count)[i] = descriptor(file)
		}
	}
	if err := owned.optional(&raw.console_socket, options.ConsoleSocket, "console_socket"); err != nil {
		return nil, err
	}
	raw.parent_death_signal = C.int32_t(options.ParentDeathSignal)
	raw.flags = flags(map[C.uint32_t]bool{
		C.BERTH_PROCESS_INHERIT_KEYRING:   options.InheritKeyring,
		C.BERTH_PROCESS_WAIT_WHILE_PAUSED: options.WaitWhilePaused,
		C.BERTH_PROCESS_FIND_PROGRAM:      options.FindProgram,
		C.BERTH_PROCESS_PLAIN_NEWLINES:    options.PlainNewlines,
	})
	raw.cgroup_count = C.size_t(len(options.Cgroups))
	return raw, owned.texts(&raw.cgroups, options.Cgroups, "cgroups")
}

// flags combines the flags that are set.
func flags(wanted map[C.uint32_t]bool) (flags C.uint32_t) {
	for flag, on := range wanted {
		if on {
			flags |= flag
		}
	}
	return
}

// descriptor returns -1 for a nil or closed file.
func descriptor(file *os.File) C.int32_t {
	if file == nil {
		return -1
	}
	return C.int32_t(file.Fd())
}
