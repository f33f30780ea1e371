package berth

/*
#include <berth.h>
*/
import "C"

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"syscall"
)

// Process is a process of a container.
type Process struct {
	handle handle[*C.berth_process]
}

func newProcess(raw *C.berth_process) *Process {
	process := &Process{handle[*C.berth_process]{pointer: raw}}
	runtime.SetFinalizer(process, (*Process).Close)
	return process
}

func (p *Process) call(function func(*C.berth_process, **C.berth_error) C.int32_t) error {
	pointer, err := p.handle.acquire("process")
	if err != nil {
		return err
	}
	defer p.handle.release()
	var raw *C.berth_error
	return check(function(pointer, &raw), raw)
}

// ExitStatus is how a process ended.
type ExitStatus struct {
	// Code is the exit status, 0 to 255, if the process exited.
	Code int
	// Signal is the signal that killed the process; 0 if none did.
	Signal     syscall.Signal
	CoreDumped bool
}

func newExitStatus(raw C.berth_exit_status) (status ExitStatus) {
	switch raw.kind {
	case C.BERTH_EXIT_EXITED:
		status.Code = int(raw.code)
	case C.BERTH_EXIT_SIGNALED:
		status.Signal, status.CoreDumped = syscall.Signal(raw.signal), raw.core_dumped != 0
	}
	return
}

// Success reports an exit status of 0.
func (s ExitStatus) Success() bool {
	return s.Signal == 0 && s.Code == 0
}

func (s ExitStatus) String() string {
	if s.Signal != 0 {
		return fmt.Sprintf("killed by signal %d (%v)", int(s.Signal), s.Signal)
	}
	return fmt.Sprintf("exit status %d", s.Code)
}

// Pid returns the process's id in the caller's pid namespace. After the process was waited for, the number may be
// reused.
func (p *Process) Pid() (int, error) {
	var pid C.int32_t
	err := p.call(func(pointer *C.berth_process, raw **C.berth_error) C.int32_t {
		return C.berth_process_pid(pointer, &pid, raw)
	})
	return int(pid), err
}

// Pidfd returns a descriptor for the process, which polls readable when it has ended.
func (p *Process) Pidfd() (*os.File, error) {
	var fd C.int32_t
	if err := p.call(func(pointer *C.berth_process, raw **C.berth_error) C.int32_t {
		return C.berth_process_pidfd(pointer, &fd, raw)
	}); err != nil {
		return nil, err
	}
	return newFile(fd, "pidfd"), nil
}

// Wait waits until the process has ended and returns how. It may be called repeatedly, and by several goroutines at
// once.
//
// Errors: the context's; ErrStatusUnknown if the status is not available.
func (p *Process) Wait(ctx context.Context) (ExitStatus, error) {
	return waitFor(ctx, p.Pidfd, p.look)
}

func (p *Process) look(timeoutMs C.int64_t) (ExitStatus, error) {
	var status C.berth_exit_status
	err := p.call(func(pointer *C.berth_process, raw **C.berth_error) C.int32_t {
		return C.berth_process_wait(pointer, timeoutMs, &status, raw)
	})
	return newExitStatus(status), err
}

// Signal sends a signal to the process; 0 only checks whether it exists.
//
// Errors: ErrNotRunning if it has ended, ErrInvalidArgument for an unknown signal.
func (p *Process) Signal(signal syscall.Signal) error {
	return p.call(func(pointer *C.berth_process, raw **C.berth_error) C.int32_t {
		return C.berth_process_signal(pointer, C.int32_t(signal), raw)
	})
}

// TakeStdio returns the caller's ends of the pipes that were requested with [Pipe], nil where there is none. Each is
// returned once. They are in Go's poller: closing one ends a read in another goroutine, and deadlines work.
func (p *Process) TakeStdio() (stdin, stdout, stderr *os.File, err error) {
	var fds [3]C.int32_t
	if err = p.call(func(pointer *C.berth_process, raw **C.berth_error) C.int32_t {
		return C.berth_process_take_stdio(pointer, &fds[0], raw)
	}); err != nil {
		return nil, nil, nil, err
	}
	return newFile(fds[0], "stdin"), newFile(fds[1], "stdout"), newFile(fds[2], "stderr"), nil
}

// Terminal returns the master of the process's terminal, a new descriptor each time; nil if the process has none, if it
// was sent to a console socket, or if this handle did not start the process.
func (p *Process) Terminal() (*os.File, error) {
	var fd C.int32_t
	if err := p.call(func(pointer *C.berth_process, raw **C.berth_error) C.int32_t {
		return C.berth_process_terminal(pointer, &fd, raw)
	}); err != nil {
		return nil, err
	}
	return newFile(fd, "terminal"), nil
}

// ResizeTerminal sets the size of the process's terminal, in characters. Errors: ErrInvalidArgument without a terminal.
func (p *Process) ResizeTerminal(rows, columns uint16) error {
	return p.call(func(pointer *C.berth_process, raw **C.berth_error) C.int32_t {
		return C.berth_process_resize_terminal(pointer, C.uint16_t(rows), C.uint16_t(columns), raw)
	})
}

// Close releases the handle, and the pipes and the terminal that were not taken. The process keeps running.
func (p *Process) Close() error {
	C.berth_process_free(p.handle.close())
	return nil
}
