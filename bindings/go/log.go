package berth

/*
#include <berth.h>

extern void berthGoLog(void *, int32_t, char *, char *);
*/
import "C"

import (
	"os"
	"sync"
	"sync/atomic"
	"unsafe"
)

// LogLevel is the severity of a log line.
type LogLevel int32

// From most to least severe.
const (
	LogError LogLevel = C.BERTH_LOG_LEVEL_ERROR
	LogWarn  LogLevel = C.BERTH_LOG_LEVEL_WARN
	LogInfo  LogLevel = C.BERTH_LOG_LEVEL_INFO
	LogDebug LogLevel = C.BERTH_LOG_LEVEL_DEBUG
	LogTrace LogLevel = C.BERTH_LOG_LEVEL_TRACE
)

// LogFunc receives a log line: its level, the module that logs, and the message. Its panics are dropped.
type LogFunc func(level LogLevel, target, message string)

var (
	logMutex sync.Mutex
	logFunc  atomic.Pointer[LogFunc]
)

// SetLog sends the log to a function; nil disables it. Any goroutine inside a call of this package may call it; it
// should return soon. When SetLog returns, no goroutine is in the previous function.
//
// Errors: ErrBusy inside a LogFunc, and while another goroutine is here.
func SetLog(function LogFunc) error {
	if !logMutex.TryLock() {
		return logBusy()
	}
	defer logMutex.Unlock()
	var raw *C.berth_error
	if function == nil {
		return check(C.berth_log_set_callback(nil, nil, &raw), raw)
	}
	before := logFunc.Swap(&function)
	err := check(C.berth_log_set_callback(C.berth_log_callback(C.berthGoLog), nil, &raw), raw)
	if err != nil {
		logFunc.Store(before)
	}
	return err
}

// SetLogLevel sets the most detailed level that is logged, as berth_log_set_level.
func SetLogLevel(level LogLevel) error {
	var raw *C.berth_error
	return check(C.berth_log_set_level(C.int32_t(level), &raw), raw)
}

// SetLogFile sends the log to a file as lines of JSON, as berth_log_set_fd; nil disables it. The file may be closed
// afterwards.
//
// Errors: as SetLog; ErrInvalidArgument if the file is closed.
func SetLogFile(file *os.File) error {
	if !logMutex.TryLock() {
		return logBusy()
	}
	defer logMutex.Unlock()
	fd := C.int32_t(-1)
	if file != nil {
		if fd = descriptor(file); fd < 0 {
			return invalid("file", "is closed")
		}
	}
	var raw *C.berth_error
	return check(C.berth_log_set_fd(fd, &raw), raw)
}

func logBusy() error {
	return &Error{Code: ErrBusy, Message: "the log is being set by another goroutine", Detail: []byte("{}")}
}

//export berthGoLog
func berthGoLog(_ unsafe.Pointer, level C.int32_t, target, message *C.char) {
	// No panic may unwind through the library.
	defer func() { _ = recover() }()
	if function := logFunc.Load(); function != nil {
		(*function)(LogLevel(level), C.GoString(target), C.GoString(message))
	}
}
