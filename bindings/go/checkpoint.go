package berth

/*
#include <berth.h>
*/
import "C"

import (
	"os"
	"time"
	"unsafe"
)

// CgroupMode selects how cgroups that the container has created are handled; see berth_cgroup_mode.
type CgroupMode int32

// CgroupModeSoft is the default.
const (
	CgroupModeSoft       CgroupMode = C.BERTH_CGROUP_MODE_SOFT
	CgroupModeIgnore     CgroupMode = C.BERTH_CGROUP_MODE_IGNORE
	CgroupModeNone       CgroupMode = C.BERTH_CGROUP_MODE_NONE
	CgroupModeProperties CgroupMode = C.BERTH_CGROUP_MODE_PROPERTIES
	CgroupModeFull       CgroupMode = C.BERTH_CGROUP_MODE_FULL
	CgroupModeStrict     CgroupMode = C.BERTH_CGROUP_MODE_STRICT
)

// NetworkLock selects how packets of TCP connections are blocked during a checkpoint; see berth_network_lock.
type NetworkLock int32

// NetworkLockNftables is the default.
const (
	NetworkLockNftables NetworkLock = C.BERTH_NETWORK_LOCK_NFTABLES
	NetworkLockIptables NetworkLock = C.BERTH_NETWORK_LOCK_IPTABLES
	NetworkLockSkip     NetworkLock = C.BERTH_NETWORK_LOCK_SKIP
)

// CheckpointOptions are the options of a checkpoint; see berth_checkpoint_options and the BERTH_CHECKPOINT_ constants.
type CheckpointOptions struct {
	// Images is the directory for the images; created if missing. Required.
	Images string
	// Work is the directory for CRIU's log. "": one in the container's state.
	Work string
	// ParentImages are the images of the previous dump. "": none.
	ParentImages string
	// PageServerAddress is the IP address that receives the memory, at PageServerPort. "" and 0: none.
	PageServerAddress string
	PageServerPort    int
	// ConfigFile is a CRIU configuration file. "": none.
	ConfigFile string
	// Timeout is how long CRIU may take. 0: ten minutes.
	Timeout     time.Duration
	CgroupMode  CgroupMode
	NetworkLock NetworkLock
	// Status, with LazyPages, receives a NUL byte when pages can be requested. nil: none.
	Status *os.File

	LeaveRunning, PreDump, ShellJob, TCPEstablished, TCPSkipInFlight              bool
	ExternalUnixSockets, FileLocks, LazyPages, EmptyNetwork, AutoDedup, LinkRemap bool
}

// VethPair is a veth pair that a restore creates: its name in the container, and the name of its other end on the host.
type VethPair struct {
	Name, HostName string
}

// CgroupRoot is a cgroup that becomes the root of the images' cgroup tree; see berth_cgroup_root.
type CgroupRoot struct {
	Controller, Path string
}

// RestoreOptions are the options of a restore; see berth_restore_options and the BERTH_RESTORE_ constants.
type RestoreOptions struct {
	// Images, Work, ConfigFile, Timeout and CgroupMode are as in CheckpointOptions.
	Images, Work, ConfigFile string
	Timeout                  time.Duration
	CgroupMode               CgroupMode
	// Process has the streams that replace dumped pipes, and the recipient of the terminal's master. nil: the default.
	Process *ProcessOptions
	// VethPairs are created in addition to those of the configuration's networks.
	VethPairs []VethPair
	// CgroupRoots replace the container's own cgroups.
	CgroupRoots []CgroupRoot
	// LSMProfile, "apparmor:NAME" or "selinux:LABEL", replaces the dumped label; LSMMountContext is an SELinux label for
	// mounts.
	LSMProfile, LSMMountContext string

	ShellJob, TCPEstablished, TCPClose, ExternalUnixSockets bool
	FileLocks, LazyPages, EmptyNetwork, AutoDedup           bool
}

// CriuCheck returns what CRIU supports on this host, as a JSON object; see berth_criu_check. Starts CRIU and blocks at
// most a minute.
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
	return taken(text), nil
}

// Checkpoint dumps the processes of a running or paused container into images for [Runtime.Restore]. Then it is
// stopped, unless options leave it running. Blocks until CRIU is done. After an error the container continues as
// before.
//
// Errors: ErrCriu with "log" and "log_file" in its details, ErrTimeout, ErrUnsupported, ErrNotRunning, ErrNotFound, ErrBusy.
func (c *Container) Checkpoint(options CheckpointOptions) error {
	var owned memory
	defer owned.release()
	raw := &C.berth_checkpoint_options{}
	C.berth_checkpoint_options_init(raw, C.size_t(unsafe.Sizeof(*raw)))
	for _, text := range []struct {
		place           **C.char
		text, parameter string
	}{
		{&raw.images, options.Images, "images"},
		{&raw.work, options.Work, "work"},
		{&raw.parent_images, options.ParentImages, "parent_images"},
		{&raw.page_server_address, options.PageServerAddress, "page_server_address"},
		{&raw.config_file, options.ConfigFile, "config_file"},
	} {
		if err := owned.optional(text.place, text.text, text.parameter); err != nil {
			return err
		}
	}
	raw.page_server_port = C.int32_t(options.PageServerPort)
	raw.timeout_ms = milliseconds(options.Timeout)
	raw.cgroup_mode = C.int32_t(options.CgroupMode)
	raw.network_lock = C.int32_t(options.NetworkLock)
	if options.Status != nil {
		raw.status.kind, raw.status.fd = C.BERTH_STDIO_FD, descriptor(options.Status)
	}
	raw.flags = flags(map[C.uint32_t]bool{
		C.BERTH_CHECKPOINT_LEAVE_RUNNING:         options.LeaveRunning,
		C.BERTH_CHECKPOINT_PRE_DUMP:              options.PreDump,
		C.BERTH_CHECKPOINT_SHELL_JOB:             options.ShellJob,
		C.BERTH_CHECKPOINT_TCP_ESTABLISHED:       options.TCPEstablished,
		C.BERTH_CHECKPOINT_TCP_SKIP_IN_FLIGHT:    options.TCPSkipInFlight,
		C.BERTH_CHECKPOINT_EXTERNAL_UNIX_SOCKETS: options.ExternalUnixSockets,
		C.BERTH_CHECKPOINT_FILE_LOCKS:            options.FileLocks,
		C.BERTH_CHECKPOINT_LAZY_PAGES:            options.LazyPages,
		C.BERTH_CHECKPOINT_EMPTY_NETWORK:         options.EmptyNetwork,
		C.BERTH_CHECKPOINT_AUTO_DEDUP:            options.AutoDedup,
		C.BERTH_CHECKPOINT_LINK_REMAP:            options.LinkRemap,
	})
	owned.keep(options.Status)
	return c.call(func(pointer *C.berth_container, err **C.berth_error) C.int32_t {
		return C.berth_container_checkpoint(pointer, raw, err)
	})
}

// Restore restores a container from the images of a checkpoint; its processes continue where they were. config must be
// the dumped container's configuration, except for host paths. Blocks until CRIU is done, including the hooks.
//
// Errors: as [Container.Checkpoint] and [Runtime.Create]. After an error nothing is left behind.
func (r *Runtime) Restore(id string, config *Config, options RestoreOptions) (*Container, error) {
	var owned memory
	defer owned.release()
	settings, err := cRestoreOptions(options, &owned)
	if err != nil {
		return nil, err
	}
	return r.make(id, config, nil, func(runtime *C.berth_runtime, id *C.char, config *C.berth_config,
		_ *C.berth_process_options, made **C.berth_container, raw **C.berth_error) C.int32_t {
		return C.berth_container_restore(runtime, id, config, settings, made, raw)
	})
}

// cRestoreOptions converts the options to C, in C's memory.
func cRestoreOptions(options RestoreOptions, owned *memory) (*C.berth_restore_options, error) {
	settings := (*C.berth_restore_options)(owned.array(1, unsafe.Sizeof(C.berth_restore_options{})))
	C.berth_restore_options_init(settings, C.size_t(unsafe.Sizeof(*settings)))
	for _, text := range []struct {
		place           **C.char
		text, parameter string
	}{
		{&settings.images, options.Images, "images"},
		{&settings.work, options.Work, "work"},
		{&settings.config_file, options.ConfigFile, "config_file"},
		{&settings.lsm_profile, options.LSMProfile, "lsm_profile"},
		{&settings.lsm_mount_context, options.LSMMountContext, "lsm_mount_context"},
	} {
		if err := owned.optional(text.place, text.text, text.parameter); err != nil {
			return nil, err
		}
	}
	if count := len(options.VethPairs); count > 0 {
		settings.veth_pairs = (*C.berth_veth_pair)(owned.array(count, unsafe.Sizeof(*settings.veth_pairs)))
		settings.veth_pair_count = C.size_t(count)
		for i, pair := range options.VethPairs {
			place := &unsafe.Slice(settings.veth_pairs, count)[i]
			if err := owned.text(&place.name, pair.Name, "veth_pairs"); err != nil {
				return nil, err
			}
			if err := owned.text(&place.host_name, pair.HostName, "veth_pairs"); err != nil {
				return nil, err
			}
		}
	}
	if count := len(options.CgroupRoots); count > 0 {
		settings.cgroup_roots = (*C.berth_cgroup_root)(owned.array(count, unsafe.Sizeof(*settings.cgroup_roots)))
		settings.cgroup_root_count = C.size_t(count)
		for i, root := range options.CgroupRoots {
			place := &unsafe.Slice(settings.cgroup_roots, count)[i]
			if err := owned.text(&place.controller, root.Controller, "cgroup_roots"); err != nil {
				return nil, err
			}
			if err := owned.text(&place.path, root.Path, "cgroup_roots"); err != nil {
				return nil, err
			}
		}
	}
	settings.timeout_ms = milliseconds(options.Timeout)
	settings.cgroup_mode = C.int32_t(options.CgroupMode)
	settings.flags = flags(map[C.uint32_t]bool{
		C.BERTH_RESTORE_SHELL_JOB:             options.ShellJob,
		C.BERTH_RESTORE_TCP_ESTABLISHED:       options.TCPEstablished,
		C.BERTH_RESTORE_TCP_CLOSE:             options.TCPClose,
		C.BERTH_RESTORE_EXTERNAL_UNIX_SOCKETS: options.ExternalUnixSockets,
		C.BERTH_RESTORE_FILE_LOCKS:            options.FileLocks,
		C.BERTH_RESTORE_LAZY_PAGES:            options.LazyPages,
		C.BERTH_RESTORE_EMPTY_NETWORK:         options.EmptyNetwork,
		C.BERTH_RESTORE_AUTO_DEDUP:            options.AutoDedup,
	})
	var err error
	settings.process, err = cProcessOptions(options.Process, owned)
	return settings, err
}
