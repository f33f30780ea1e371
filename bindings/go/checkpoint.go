package berth

/*
#include <berth.h>
#include <stdlib.h>
*/
import "C"

import (
	"os"
	"runtime"
	"time"
	"unsafe"
)

// CgroupMode is what becomes of cgroups that a container has made below its own; see berth_cgroup_mode.
type CgroupMode int32

// See berth_cgroup_mode.
const (
	CgroupModeSoft       CgroupMode = C.BERTH_CGROUP_MODE_SOFT
	CgroupModeIgnore     CgroupMode = C.BERTH_CGROUP_MODE_IGNORE
	CgroupModeNone       CgroupMode = C.BERTH_CGROUP_MODE_NONE
	CgroupModeProperties CgroupMode = C.BERTH_CGROUP_MODE_PROPERTIES
	CgroupModeFull       CgroupMode = C.BERTH_CGROUP_MODE_FULL
	CgroupModeStrict     CgroupMode = C.BERTH_CGROUP_MODE_STRICT
)

// CheckpointOptions say how a container is to be dumped. What is zero has the library's default; see
// berth_checkpoint_options.
type CheckpointOptions struct {
	// Images is the directory for the images; made if missing. Required.
	Images string
	// Work is the directory of CRIU's log. "": one in the container's state.
	Work string
	// ParentImages are the images of the checkpoint or pre-dump before, absolute or as seen from Images.
	ParentImages string
	// PageServerAddress and PageServerPort are where memory goes, or with LazyPages where it is given.
	PageServerAddress string
	PageServerPort    int
	// ConfigFile has options of CRIU's, which overrule all others.
	ConfigFile string
	// Timeout is how long CRIU may take; ten minutes by default.
	Timeout    time.Duration
	CgroupMode CgroupMode
	// Status, with LazyPages, gets a NUL byte when pages can be asked for.
	Status *os.File

	LeaveRunning, PreDump, ShellJob, TCPEstablished, TCPSkipInFlight, ExternalUnixSockets, FileLocks bool
	LazyPages, EmptyNetwork, AutoDedup, LinkRemap                                                    bool
}

// VethPair is a pair of links that a restore makes.
type VethPair struct {
	// Name is in the container, HostName that of its other end.
	Name, HostName string
}

// CgroupRoot is a cgroup in which the tree of the images begins; see berth_cgroup_root.
type CgroupRoot struct {
	Controller, Path string
}

// RestoreOptions say how a container is to be restored. What is zero has the library's default; see berth_restore_options.
type RestoreOptions struct {
	// Images is the directory with the images. Required.
	Images string
	Work   string
	// Process says where streams lead that were pipes, and where the terminal's master goes.
	Process     *ProcessOptions
	VethPairs   []VethPair
	CgroupRoots []CgroupRoot
	// LSMProfile is "apparmor:NAME" or "selinux:LABEL"; "": the dumped one. LSMMountContext is an SELinux label for mounts.
	LSMProfile, LSMMountContext string
	ConfigFile                  string
	Timeout                     time.Duration
	CgroupMode                  CgroupMode

	ShellJob, TCPEstablished, TCPClose, ExternalUnixSockets, FileLocks, LazyPages, EmptyNetwork, AutoDedup bool
}

type flag struct {
	set bool
	bit C.uint32_t
}

func flags(list ...flag) C.uint32_t {
	var bits C.uint32_t
	for _, one := range list {
		if one.set {
			bits |= one.bit
		}
	}
	return bits
}

// memory is what lives in C's memory for the time of a call, and the first error while it was filled.
type memory struct {
	owned []unsafe.Pointer
	err   error
}

// text is NULL for "".
func (m *memory) text(text, name string) *C.char {
	made, err := cStringOrNull(text, name)
	return m.keep(made, err)
}

func (m *memory) keep(made *C.char, err error) *C.char {
	m.owned = append(m.owned, unsafe.Pointer(made))
	if m.err == nil {
		m.err = err
	}
	return made
}

func (m *memory) array(count int, size uintptr) unsafe.Pointer {
	pointer := C.calloc(C.size_t(count), C.size_t(size))
	m.owned = append(m.owned, pointer)
	return pointer
}

func (m *memory) release() {
	for _, pointer := range m.owned {
		C.free(pointer)
	}
}

// CriuCheck tells as JSON what CRIU can do here; see berth_criu_check. Blocks at most a minute.
//
// Errors: ErrUnsupported with ENOENT if there is no CRIU, ErrCriu, ErrTimeout.
func (r *Runtime) CriuCheck() (string, error) {
	pointer, err := r.handle.acquire("runtime")
	if err != nil {
		return "", err
	}
	defer r.handle.release()
	var text *C.char
	var raw *C.berth_error
	if err := check(C.berth_criu_check(pointer, &text, &raw), raw); err != nil {
		return "", err
	}
	defer C.berth_string_free(text)
	return C.GoString(text), nil
}

// Checkpoint dumps a running or paused container into images, from which [Runtime.Restore] makes it anew. It is stopped
// then, unless the options let it run on. Blocks until CRIU is done. After an error the container goes on as before.
//
// Errors: ErrCriu, ErrUnsupported, ErrTimeout, ErrNotRunning, ErrNotFound, ErrBusy, ErrInvalidArgument.
func (c *Container) Checkpoint(options CheckpointOptions) error {
	var made memory
	defer made.release()
	settings := &C.berth_checkpoint_options{}
	C.berth_checkpoint_options_init(settings, C.size_t(unsafe.Sizeof(*settings)))
	settings.images = made.text(options.Images, "images")
	settings.work = made.text(options.Work, "work")
	settings.parent_images = made.text(options.ParentImages, "parent_images")
	settings.page_server_address = made.text(options.PageServerAddress, "page_server_address")
	settings.page_server_port = C.int32_t(options.PageServerPort)
	settings.config_file = made.text(options.ConfigFile, "config_file")
	settings.timeout_ms = milliseconds(options.Timeout)
	settings.cgroup_mode = C.int32_t(options.CgroupMode)
	if options.Status != nil {
		settings.status = C.berth_stream{kind: C.BERTH_STDIO_FD, fd: descriptor(options.Status)}
	}
	settings.flags = flags(
		flag{options.LeaveRunning, C.BERTH_CHECKPOINT_LEAVE_RUNNING},
		flag{options.PreDump, C.BERTH_CHECKPOINT_PRE_DUMP},
		flag{options.ShellJob, C.BERTH_CHECKPOINT_SHELL_JOB},
		flag{options.TCPEstablished, C.BERTH_CHECKPOINT_TCP_ESTABLISHED},
		flag{options.TCPSkipInFlight, C.BERTH_CHECKPOINT_TCP_SKIP_IN_FLIGHT},
		flag{options.ExternalUnixSockets, C.BERTH_CHECKPOINT_EXTERNAL_UNIX_SOCKETS},
		flag{options.FileLocks, C.BERTH_CHECKPOINT_FILE_LOCKS},
		flag{options.LazyPages, C.BERTH_CHECKPOINT_LAZY_PAGES},
		flag{options.EmptyNetwork, C.BERTH_CHECKPOINT_EMPTY_NETWORK},
		flag{options.AutoDedup, C.BERTH_CHECKPOINT_AUTO_DEDUP},
		flag{options.LinkRemap, C.BERTH_CHECKPOINT_LINK_REMAP},
	)
	if made.err != nil {
		return made.err
	}
	defer runtime.KeepAlive(options)
	return c.call(func(pointer *C.berth_container, raw **C.berth_error) C.int32_t {
		return C.berth_container_checkpoint(pointer, settings, raw)
	})
}

// Restore makes a container of a free id from the images of a checkpoint: its processes go on where they were. config says
// what it may be and do. Blocks until they run. After an error nothing is left.
//
// Errors: as [Runtime.Create] and [Container.Checkpoint].
func (r *Runtime) Restore(id string, config *Config, options RestoreOptions) (*Container, error) {
	var made memory
	defer made.release()
	settings := &C.berth_restore_options{}
	C.berth_restore_options_init(settings, C.size_t(unsafe.Sizeof(*settings)))
	settings.images = made.text(options.Images, "images")
	settings.work = made.text(options.Work, "work")
	settings.lsm_profile = made.text(options.LSMProfile, "lsm_profile")
	settings.lsm_mount_context = made.text(options.LSMMountContext, "lsm_mount_context")
	settings.config_file = made.text(options.ConfigFile, "config_file")
	settings.timeout_ms = milliseconds(options.Timeout)
	settings.cgroup_mode = C.int32_t(options.CgroupMode)
	settings.flags = flags(
		flag{options.ShellJob, C.BERTH_RESTORE_SHELL_JOB},
		flag{options.TCPEstablished, C.BERTH_RESTORE_TCP_ESTABLISHED},
		flag{options.TCPClose, C.BERTH_RESTORE_TCP_CLOSE},
		flag{options.ExternalUnixSockets, C.BERTH_RESTORE_EXTERNAL_UNIX_SOCKETS},
		flag{options.FileLocks, C.BERTH_RESTORE_FILE_LOCKS},
		flag{options.LazyPages, C.BERTH_RESTORE_LAZY_PAGES},
		flag{options.EmptyNetwork, C.BERTH_RESTORE_EMPTY_NETWORK},
		flag{options.AutoDedup, C.BERTH_RESTORE_AUTO_DEDUP},
	)
	if count := len(options.VethPairs); count > 0 {
		settings.veth_pairs = (*C.berth_veth_pair)(made.array(count, unsafe.Sizeof(*settings.veth_pairs)))
		settings.veth_pair_count = C.size_t(count)
		for i, pair := range options.VethPairs {
			raw := &unsafe.Slice(settings.veth_pairs, count)[i]
			raw.name = made.keep(cString(pair.Name, "veth_pairs.name"))
			raw.host_name = made.keep(cString(pair.HostName, "veth_pairs.host_name"))
		}
	}
	if count := len(options.CgroupRoots); count > 0 {
		settings.cgroup_roots = (*C.berth_cgroup_root)(made.array(count, unsafe.Sizeof(*settings.cgroup_roots)))
		settings.cgroup_root_count = C.size_t(count)
		for i, root := range options.CgroupRoots {
			raw := &unsafe.Slice(settings.cgroup_roots, count)[i]
			raw.controller = made.keep(cString(root.Controller, "cgroup_roots.controller"))
			raw.path = made.keep(cString(root.Path, "cgroup_roots.path"))
		}
	}
	name := made.keep(cString(id, "id"))
	if made.err != nil {
		return nil, made.err
	}
	process, release, err := cProcessOptions(options.Process)
	if err != nil {
		return nil, err
	}
	defer release()
	if process != nil {
		// A struct in Go's memory may not have a pointer to another: it goes into C's for the call.
		copied := (*C.berth_process_options)(made.array(1, unsafe.Sizeof(*process)))
		*copied = *process
		settings.process = copied
	}
	pointer, err := r.handle.acquire("runtime")
	if err != nil {
		return nil, err
	}
	defer r.handle.release()
	spec, err := config.handle.acquire("config")
	if err != nil {
		return nil, err
	}
	defer config.handle.release()
	var container *C.berth_container
	var raw *C.berth_error
	if err := check(C.berth_container_restore(pointer, name, spec, settings, &container, &raw), raw); err != nil {
		return nil, err
	}
	return newContainer(container), nil
}
