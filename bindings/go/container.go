package berth

/*
#include <berth.h>
*/
import "C"

import (
	"context"
	"os"
	"runtime"
	"syscall"
)

// Container is a handle of one container. Several, also in several processes, may refer to the same one.
type Container struct {
	handle handle[*C.berth_container]
	id     string
}

func newContainer(raw *C.berth_container) *Container {
	container := &Container{handle[*C.berth_container]{pointer: raw}, C.GoString(C.berth_container_id(raw))}
	runtime.SetFinalizer(container, (*Container).Close)
	return container
}

// call calls a function that returns only an error.
func (c *Container) call(function func(*C.berth_container, **C.berth_error) C.int32_t) error {
	pointer, err := c.handle.acquire("container")
	if err != nil {
		return err
	}
	defer c.handle.release()
	var raw *C.berth_error
	return check(function(pointer, &raw), raw)
}

// ID returns the container's id.
func (c *Container) ID() string {
	return c.id
}

// Start starts a created container and returns when its program runs, after its hooks. Any process may call it.
//
// Errors: ErrAlreadyRunning, ErrPaused, ErrNotRunning if it is stopped, ErrNotFound, ErrHook, ErrTimeout, ErrBusy.
func (c *Container) Start() error {
	return c.call(func(pointer *C.berth_container, raw **C.berth_error) C.int32_t {
		return C.berth_container_start(pointer, raw)
	})
}

// Exec executes another process in a running or created container and returns when its program runs. process is an OCI
// "process": JSON text, or any value that encoding/json can encode. Blocks at most the setup timeout.
//
// Errors: ErrNotRunning, ErrPaused, ErrNotFound; ErrConfigInvalid and ErrUnsupported with the JSON path in process;
// ErrConsoleExists, ErrTimeout; ErrSystem at StageInit with ENOENT if there is no such program.
func (c *Container) Exec(process any, options *ProcessOptions) (*Process, error) {
	text, err := cJSON(process, "process_json")
	if err != nil {
		return nil, err
	}
	defer free(text)
	var owned memory
	defer owned.release()
	settings, err := cProcessOptions(options, &owned)
	if err != nil {
		return nil, err
	}
	var made *C.berth_process
	if err := c.call(func(pointer *C.berth_container, raw **C.berth_error) C.int32_t {
		return C.berth_container_exec(pointer, text, settings, &made, raw)
	}); err != nil {
		return nil, err
	}
	return newProcess(made), nil
}

// Signal sends a signal to the container's init.
//
// Errors: ErrNotRunning, ErrNotFound, ErrInvalidArgument.
func (c *Container) Signal(signal syscall.Signal) error {
	return c.call(func(pointer *C.berth_container, raw **C.berth_error) C.int32_t {
		return C.berth_container_signal(pointer, C.int32_t(signal), 0, raw)
	})
}

// SignalAll sends a signal to all processes of the container. Blocks until every process has received it, with SIGKILL
// until all are gone; at most the cgroup timeout. Errors: as Signal; ErrTimeout, ErrBusy.
func (c *Container) SignalAll(signal syscall.Signal) error {
	return c.call(func(pointer *C.berth_container, raw **C.berth_error) C.int32_t {
		return C.berth_container_signal(pointer, C.int32_t(signal), C.BERTH_SIGNAL_ALL, raw)
	})
}

// Pause freezes all processes and returns when the kernel reports that they are frozen.
//
// Errors: ErrPaused if it is already, ErrNotRunning, ErrNotFound, ErrTimeout, ErrBusy.
func (c *Container) Pause() error {
	return c.call(func(pointer *C.berth_container, raw **C.berth_error) C.int32_t {
		return C.berth_container_pause(pointer, raw)
	})
}

// Resume resumes a paused container. Errors: ErrNotPaused, ErrNotFound, ErrTimeout, ErrBusy.
func (c *Container) Resume() error {
	return c.call(func(pointer *C.berth_container, raw **C.berth_error) C.int32_t {
		return C.berth_container_resume(pointer, raw)
	})
}

// Set updates limits. resources is an OCI "linux.resources", as text or as any value that encoding/json can encode;
// members that it omits do not change. If a step fails, the previous values are restored.
//
// Errors: ErrConfigInvalid with the JSON path ("linux.resources.memory.limit"), ErrUnsupported if the host has no such limit, ErrSystem if the
// kernel refuses a value, ErrNotRunning, ErrNotFound, ErrBusy.
func (c *Container) Set(resources any) error {
	text, err := cJSON(resources, "resources_json")
	if err != nil {
		return err
	}
	defer free(text)
	return c.call(func(pointer *C.berth_container, raw **C.berth_error) C.int32_t {
		return C.berth_container_set(pointer, text, raw)
	})
}

// Delete deletes a stopped container. Blocks until everything is removed, including its poststop hooks.
//
// Errors: ErrNotStopped, ErrNotFound, ErrTimeout if a process could not be killed, ErrBusy.
func (c *Container) Delete() error {
	return c.delete(0)
}

// ForceDelete kills and deletes a container in any state, also one whose creator was killed.
func (c *Container) ForceDelete() error {
	return c.delete(C.BERTH_DELETE_FORCE)
}

func (c *Container) delete(flags C.uint32_t) error {
	return c.call(func(pointer *C.berth_container, raw **C.berth_error) C.int32_t {
		return C.berth_container_delete(pointer, flags, raw)
	})
}

// Wait waits until the container's init has ended and returns how. It may be called repeatedly, and by several
// goroutines at once; a handle that has seen init end returns its status also after the container was deleted.
//
// Errors: the context's; ErrStatusUnknown if the status is not available; ErrNotFound.
func (c *Container) Wait(ctx context.Context) (ExitStatus, error) {
	return waitFor(ctx, c.Pidfd, c.look)
}

// look reads the status if it is available within the time.
func (c *Container) look(timeoutMs C.int64_t) (ExitStatus, error) {
	var status C.berth_exit_status
	err := c.call(func(pointer *C.berth_container, raw **C.berth_error) C.int32_t {
		return C.berth_container_wait(pointer, timeoutMs, &status, raw)
	})
	return newExitStatus(status), err
}

// Pidfd returns a descriptor for the container's init, which polls readable when init has ended; see
// berth_container_pidfd.
func (c *Container) Pidfd() (*os.File, error) {
	var fd C.int32_t
	if err := c.call(func(pointer *C.berth_container, raw **C.berth_error) C.int32_t {
		return C.berth_container_pidfd(pointer, &fd, raw)
	}); err != nil {
		return nil, err
	}
	return newFile(fd, "pidfd of "+c.id), nil
}

// InitProcess returns a process handle of the container's init, for its pipes and terminal, which belong to the handle
// that created the container. Errors: ErrNotRunning, ErrNotFound.
func (c *Container) InitProcess() (*Process, error) {
	var process *C.berth_process
	if err := c.call(func(pointer *C.berth_container, raw **C.berth_error) C.int32_t {
		return C.berth_container_init_process(pointer, &process, raw)
	}); err != nil {
		return nil, err
	}
	return newProcess(process), nil
}

// Close releases the handle. The container is not affected.
func (c *Container) Close() error {
	C.berth_container_free(c.handle.close())
	return nil
}
