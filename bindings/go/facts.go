package berth

/*
#include <berth.h>
*/
import "C"

import (
	"encoding/json"
	"strconv"
	"time"
	"unsafe"
)

// Status is the status of a container.
type Status int32

// The states of OCI, and paused.
const (
	StatusCreating Status = C.BERTH_STATUS_CREATING
	StatusCreated  Status = C.BERTH_STATUS_CREATED
	StatusRunning  Status = C.BERTH_STATUS_RUNNING
	StatusPaused   Status = C.BERTH_STATUS_PAUSED
	StatusStopped  Status = C.BERTH_STATUS_STOPPED
)

// String is the status as the OCI runtime specification spells it.
func (s Status) String() string {
	return C.GoString(C.berth_status_name(C.int32_t(s)))
}

// State is the content of [Container.StateJSON]: OCI's state and additional members.
type State struct {
	OCIVersion           string            `json:"ociVersion"`
	ID                   string            `json:"id"`
	Status               string            `json:"status"`
	Pid                  int               `json:"pid"`
	Bundle               string            `json:"bundle"`
	Annotations          map[string]string `json:"annotations"`
	Rootfs               string            `json:"rootfs"`
	Created              time.Time         `json:"created"`
	InitProcessStartTime uint64            `json:"initProcessStartTime"`
	CgroupPaths          map[string]string `json:"cgroupPaths"`
	NamespacePaths       map[string]string `json:"namespacePaths"`
	ExternalDescriptors  []string          `json:"externalDescriptors"`
	// Error, in [Runtime.List]: why the state cannot be read. Status is then "unknown".
	Error string `json:"error"`
}

// Status returns the current status, computed from the kernel's state on each call. Errors: ErrNotFound if the
// container was deleted.
func (c *Container) Status() (Status, error) {
	var status C.int32_t
	err := c.call(func(pointer *C.berth_container, raw **C.berth_error) C.int32_t {
		return C.berth_container_status(pointer, &status, raw)
	})
	return Status(status), err
}

func (c *Container) text(function func(*C.berth_container, **C.char, **C.berth_error) C.int32_t) (string, error) {
	var text *C.char
	if err := c.call(func(pointer *C.berth_container, raw **C.berth_error) C.int32_t {
		return function(pointer, &text, raw)
	}); err != nil {
		return "", err
	}
	return taken(text), nil
}

// State returns the container's state. Errors: ErrNotFound.
func (c *Container) State() (*State, error) {
	text, err := c.StateJSON()
	if err != nil {
		return nil, err
	}
	state := &State{}
	return state, json.Unmarshal([]byte(text), state)
}

// StateJSON returns State as JSON.
func (c *Container) StateJSON() (string, error) {
	return c.text(func(pointer *C.berth_container, text **C.char, raw **C.berth_error) C.int32_t {
		return C.berth_container_state_json(pointer, text, raw)
	})
}

// ConfigJSON returns the configuration that the container was created from, with the limits that Set has changed.
func (c *Container) ConfigJSON() (string, error) {
	return c.text(func(pointer *C.berth_container, text **C.char, raw **C.berth_error) C.int32_t {
		return C.berth_container_config_json(pointer, text, raw)
	})
}

// StatsJSON returns all statistics in the format of runc's "events --stats". Errors: ErrNotFound, ErrNotRunning.
func (c *Container) StatsJSON() (string, error) {
	return c.text(func(pointer *C.berth_container, text **C.char, raw **C.berth_error) C.int32_t {
		return C.berth_container_stats_json(pointer, text, raw)
	})
}

// NetworksJSON returns the counters of the container's networks; see berth_container_interfaces_json.
func (c *Container) NetworksJSON() (string, error) {
	return c.interfacesJSON(0)
}

// InterfacesJSON returns NetworksJSON with every interface inside the container. Errors: ErrNotFound, ErrNotRunning.
func (c *Container) InterfacesJSON() (string, error) {
	return c.interfacesJSON(C.BERTH_INTERFACES_INSIDE)
}

func (c *Container) interfacesJSON(flags C.uint32_t) (string, error) {
	return c.text(func(pointer *C.berth_container, text **C.char, raw **C.berth_error) C.int32_t {
		return C.berth_container_interfaces_json(pointer, flags, text, raw)
	})
}

// Pids returns the processes of the container in the caller's pid namespace, in ascending order. Errors: ErrNotFound,
// ErrNotRunning.
func (c *Container) Pids() ([]int, error) {
	var raw *C.int32_t
	var count C.size_t
	if err := c.call(func(pointer *C.berth_container, error **C.berth_error) C.int32_t {
		return C.berth_container_pids(pointer, &raw, &count, error)
	}); err != nil {
		return nil, err
	}
	defer C.berth_pids_free(raw)
	pids := make([]int, count)
	for i, pid := range unsafe.Slice(raw, count) {
		pids[i] = int(pid)
	}
	return pids, nil
}

// OOMKilled reports whether the kernel's OOM killer has ended init. Call it after Wait and before Delete.
//
// Errors: ErrTimeout if init has not ended, ErrStatusUnknown, ErrUnsupported if the kernel does not count, ErrNotFound.
func (c *Container) OOMKilled() (bool, error) {
	var killed C.int32_t
	err := c.call(func(pointer *C.berth_container, raw **C.berth_error) C.int32_t {
		return C.berth_container_oom_killed(pointer, &killed, raw)
	})
	return killed != 0, err
}

// Number is a count or a number of bytes that the host may not provide, or a limit that may not exist.
type Number uint64

// String is the number, or "unknown".
func (n Number) String() string {
	if !n.Known() {
		return "unknown"
	}
	return strconv.FormatUint(uint64(n), 10)
}

// Known is false if the host does not provide the value, or if there is no limit.
func (n Number) Known() bool {
	return n != Number(^uint64(0))
}

// Nanoseconds is a time that the host may not provide.
type Nanoseconds uint64

// String is the time as time.Duration prints it, or "unknown".
func (n Nanoseconds) String() string {
	if !n.Known() {
		return "unknown"
	}
	return n.Duration().String()
}

// Known is false if the host does not provide the value.
func (n Nanoseconds) Known() bool {
	return n != Nanoseconds(^uint64(0))
}

// Duration is 0 if the value is unknown.
func (n Nanoseconds) Duration() time.Duration {
	if !n.Known() {
		return 0
	}
	return time.Duration(n)
}

// Stats is the resource usage of a container; see berth_stats. Memory and I/O are bytes.
type Stats struct {
	CPUUsage, CPUUser, CPUSystem                                             Nanoseconds
	CPUPeriods, CPUThrottledPeriods                                          Number
	CPUThrottled                                                             Nanoseconds
	MemoryUsage, MemoryLimit, MemoryPeak, MemorySwapUsage, MemorySwapLimit   Number
	OOMKills, PidsCurrent, PidsLimit, MemoryLimitHits                        Number
	MemoryAnon, MemoryFile, MemoryInactiveFile, MemoryKernel                 Number
	PageFaults, PageFaultsMajor                                              Number
	IOReadBytes, IOWriteBytes, IOReads, IOWrites                             Number
	CPUPressureSome, CPUPressureFull, MemoryPressureSome, MemoryPressureFull Nanoseconds
	IOPressureSome, IOPressureFull                                           Nanoseconds
}

// Stats reads the resource usage; it is designed for frequent calls. The counters stay after the container's processes
// have ended, until it is deleted. Errors: ErrNotFound; ErrNotRunning if somebody else has removed its cgroups.
func (c *Container) Stats() (Stats, error) {
	var s C.berth_stats
	s.size = C.size_t(unsafe.Sizeof(s))
	if err := c.call(func(pointer *C.berth_container, raw **C.berth_error) C.int32_t {
		return C.berth_container_stats(pointer, &s, raw)
	}); err != nil {
		return Stats{}, err
	}
	return Stats{
		CPUUsage:            Nanoseconds(s.cpu_usage_ns),
		CPUUser:             Nanoseconds(s.cpu_user_ns),
		CPUSystem:           Nanoseconds(s.cpu_system_ns),
		CPUPeriods:          Number(s.cpu_periods),
		CPUThrottledPeriods: Number(s.cpu_throttled_periods),
		CPUThrottled:        Nanoseconds(s.cpu_throttled_ns),
		MemoryUsage:         Number(s.memory_usage),
		MemoryLimit:         Number(s.memory_limit),
		MemoryPeak:          Number(s.memory_peak),
		MemorySwapUsage:     Number(s.memory_swap_usage),
		MemorySwapLimit:     Number(s.memory_swap_limit),
		OOMKills:            Number(s.oom_kills),
		PidsCurrent:         Number(s.pids_current),
		PidsLimit:           Number(s.pids_limit),
		MemoryLimitHits:     Number(s.memory_limit_hits),
		MemoryAnon:          Number(s.memory_anon),
		MemoryFile:          Number(s.memory_file),
		MemoryInactiveFile:  Number(s.memory_inactive_file),
		MemoryKernel:        Number(s.memory_kernel),
		PageFaults:          Number(s.page_faults),
		PageFaultsMajor:     Number(s.page_faults_major),
		IOReadBytes:         Number(s.io_read_bytes),
		IOWriteBytes:        Number(s.io_write_bytes),
		IOReads:             Number(s.io_reads),
		IOWrites:            Number(s.io_writes),
		CPUPressureSome:     Nanoseconds(s.cpu_pressure_some_ns),
		CPUPressureFull:     Nanoseconds(s.cpu_pressure_full_ns),
		MemoryPressureSome:  Nanoseconds(s.memory_pressure_some_ns),
		MemoryPressureFull:  Nanoseconds(s.memory_pressure_full_ns),
		IOPressureSome:      Nanoseconds(s.io_pressure_some_ns),
		IOPressureFull:      Nanoseconds(s.io_pressure_full_ns),
	}, nil
}
