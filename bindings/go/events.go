package berth

/*
#include <berth.h>
*/
import "C"

import (
	"context"
	"errors"
	"os"
	"runtime"
	"sync"
)

// Pressure is a level of memory pressure; see berth_pressure.
type Pressure int32

// The kernel reclaims memory; processes are stalled noticeably; little work gets done.
const (
	PressureLow      Pressure = C.BERTH_PRESSURE_LOW
	PressureMedium   Pressure = C.BERTH_PRESSURE_MEDIUM
	PressureCritical Pressure = C.BERTH_PRESSURE_CRITICAL
)

// Occurred is what has happened since the previous read.
type Occurred struct {
	Count uint64
	// Ended: the container's init has ended; no more events follow.
	Ended bool
}

// Events is a subscription to events of one container.
type Events struct {
	handle handle[*C.berth_event]
	once   sync.Once
	closed chan struct{}
}

func newEvents(raw *C.berth_event) *Events {
	events := &Events{handle: handle[*C.berth_event]{pointer: raw}, closed: make(chan struct{})}
	runtime.SetFinalizer(events, (*Events).Close)
	return events
}

func (e *Events) call(function func(*C.berth_event, **C.berth_error) C.int32_t) error {
	pointer, err := e.handle.acquire("event")
	if err != nil {
		return err
	}
	defer e.handle.release()
	var raw *C.berth_error
	return check(function(pointer, &raw), raw)
}

// OOMEvents subscribes to out-of-memory events; see berth_container_notify_oom.
//
// Errors: ErrUnsupported if there is no memory controller, ErrNotRunning, ErrNotFound.
func (c *Container) OOMEvents() (*Events, error) {
	var event *C.berth_event
	if err := c.call(func(pointer *C.berth_container, raw **C.berth_error) C.int32_t {
		return C.berth_container_notify_oom(pointer, &event, raw)
	}); err != nil {
		return nil, err
	}
	return newEvents(event), nil
}

// MemoryPressureEvents subscribes to memory pressure; see berth_container_notify_memory_pressure.
//
// Errors: as OOMEvents; ErrInvalidArgument for an unknown level.
func (c *Container) MemoryPressureEvents(level Pressure) (*Events, error) {
	var event *C.berth_event
	if err := c.call(func(pointer *C.berth_container, raw **C.berth_error) C.int32_t {
		return C.berth_container_notify_memory_pressure(pointer, C.int32_t(level), &event, raw)
	}); err != nil {
		return nil, err
	}
	return newEvents(event), nil
}

// NotifyOOM returns the events of OOMEvents in a channel, until init has ended (the last value says so) or the context
// is done; then the channel is closed. Nobody needs to receive: events that were not received are added up.
func (c *Container) NotifyOOM(ctx context.Context) (<-chan Occurred, error) {
	events, err := c.OOMEvents()
	if err != nil {
		return nil, err
	}
	return events.channel(ctx), nil
}

// NotifyMemoryPressure returns the events of MemoryPressureEvents in a channel, as NotifyOOM.
func (c *Container) NotifyMemoryPressure(ctx context.Context, level Pressure) (<-chan Occurred, error) {
	events, err := c.MemoryPressureEvents(level)
	if err != nil {
		return nil, err
	}
	return events.channel(ctx), nil
}

func (e *Events) channel(ctx context.Context) <-chan Occurred {
	// Buffered, and filled only by this goroutine, so that it never waits for a receiver.
	channel := make(chan Occurred, 1)
	go func() {
		defer close(channel)
		defer e.Close()
		for {
			occurred, err := e.Read(ctx)
			if err != nil {
				return
			}
			select {
			case earlier := <-channel:
				occurred.Count += earlier.Count
			default:
			}
			channel <- occurred
			if occurred.Ended {
				return
			}
		}
	}()
	return channel
}

// Read returns the events since the last call and waits for one. If several goroutines call it, each event goes to one
// of them.
func (e *Events) Read(ctx context.Context) (Occurred, error) {
	var file *os.File
	for {
		if err := contextError(ctx); err != nil {
			return Occurred{}, err
		}
		occurred, err := e.TryRead()
		if !errors.Is(err, ErrTimeout) {
			return occurred, err
		}
		if file == nil {
			if file, err = e.File(); err != nil {
				return Occurred{}, err
			}
			defer file.Close()
		}
		if _, err := waitReadable(ctx, e.closed, file, 0); err != nil {
			return Occurred{}, err
		}
	}
}

// TryRead is Read without waiting: ErrTimeout if there is no event.
func (e *Events) TryRead() (Occurred, error) {
	var occurred C.berth_occurred
	err := e.call(func(pointer *C.berth_event, raw **C.berth_error) C.int32_t {
		return C.berth_event_read(pointer, 0, &occurred, raw)
	})
	return Occurred{uint64(occurred.count), occurred.ended != 0}, err
}

// File returns a descriptor for the caller's poll(2): readable when an event may be available. Do not read from it.
func (e *Events) File() (*os.File, error) {
	var fd C.int32_t
	if err := e.call(func(pointer *C.berth_event, raw **C.berth_error) C.int32_t {
		return C.berth_event_fd(pointer, &fd, raw)
	}); err != nil {
		return nil, err
	}
	return newFile(fd, "events"), nil
}

// Close ends the subscription and a waiting Read.
func (e *Events) Close() error {
	C.berth_event_free(e.handle.close())
	e.once.Do(func() { close(e.closed) })
	return nil
}
