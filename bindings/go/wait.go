package berth

/*
#include <berth.h>
#include <poll.h>

static int readable(int fd) {
    struct pollfd ready = {fd, POLLIN, 0};
    return poll(&ready, 1, 0) == 1;
}
*/
import "C"

import (
	"context"
	"errors"
	"os"
	"syscall"
	"time"
)

// newFile wraps an owned descriptor in a file in Go's poller; nil for -1. Descriptors of processes and events are not
// read, so their blocking mode does not matter.
func newFile(fd C.int32_t, name string) *os.File {
	if fd < 0 {
		return nil
	}
	_ = syscall.SetNonblock(int(fd), true)
	return os.NewFile(uintptr(fd), name)
}

// The interval at which the library reaps abandoned children that keep an init from ending, as in its own waits.
const tick = time.Second

// The time that the library waits for another parent to reap its child, and a margin.
const graceMs = 1500

// waitFor waits for a process in Go's poller. look must not block longer than its argument.
func waitFor(ctx context.Context, pidfd func() (*os.File, error), look func(C.int64_t) (ExitStatus, error)) (ExitStatus, error) {
	if err := contextError(ctx); err != nil {
		return ExitStatus{}, err
	}
	file, err := pidfd()
	if err != nil {
		// The process may be gone although its status is known.
		status, known := look(0)
		if errors.Is(known, ErrTimeout) {
			return ExitStatus{}, err
		}
		return status, known
	}
	defer file.Close()
	for {
		ended, err := waitReadable(ctx, nil, file, tick)
		if err != nil {
			return ExitStatus{}, err
		}
		status, err := look(0)
		if ended && errors.Is(err, ErrStatusUnknown) {
			return retryStatus(ctx, look)
		}
		if !errors.Is(err, ErrTimeout) {
			return status, err
		}
	}
}

// retryStatus repeats the query with a timeout, in which the parent of another process's child can reap it.
func retryStatus(ctx context.Context, look func(C.int64_t) (ExitStatus, error)) (ExitStatus, error) {
	type answer struct {
		status ExitStatus
		err    error
	}
	answers := make(chan answer, 1)
	go func() {
		status, err := look(graceMs)
		answers <- answer{status, err}
	}()
	select {
	case answer := <-answers:
		return answer.status, answer.err
	case <-ctx.Done():
		return ExitStatus{}, contextError(ctx)
	}
}

// waitReadable waits until the file polls readable, the time is over (0: none), or one of the others ends the wait. It
// occupies no thread. The file belongs to this call alone: deadlines are a file's, not a wait's.
func waitReadable(ctx context.Context, stopped <-chan struct{}, file *os.File, atMost time.Duration) (bool, error) {
	conn, err := file.SyscallConn()
	if err != nil {
		return false, closed(err)
	}
	var limit time.Time
	if atMost > 0 {
		limit = time.Now().Add(atMost)
	}
	if err := file.SetReadDeadline(limit); err != nil {
		return false, closed(err)
	}
	if ctx.Done() != nil || stopped != nil {
		over := make(chan struct{})
		defer close(over)
		go func() {
			select {
			case <-ctx.Done():
			case <-stopped:
			case <-over:
				return
			}
			// A deadline in the past ends the wait. Closing the file ends it, too.
			_ = file.SetReadDeadline(time.Unix(1, 0))
		}()
	}
	err = conn.Read(func(fd uintptr) bool { return C.readable(C.int(fd)) != 0 })
	switch {
	case err == nil:
		return true, nil
	case ctx.Err() != nil:
		return false, contextError(ctx)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return false, nil
	}
	return false, closed(err)
}

// contextError is nil while the context is not done. A deadline is also ErrTimeout.
func contextError(ctx context.Context) error {
	err := ctx.Err()
	if errors.Is(err, context.DeadlineExceeded) {
		return &Error{Code: ErrTimeout, Message: "nothing has come in time", Detail: []byte("{}"), cause: err}
	}
	return err
}

func closed(err error) error {
	if errors.Is(err, os.ErrClosed) {
		return invalid("handle", "is closed")
	}
	return err
}
