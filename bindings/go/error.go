package berth

/*
#include <berth.h>
#include <stdlib.h>
*/
import "C"

import (
	"encoding/json"
	"fmt"
	"strings"
	"syscall"
)

// Code is an error code. Each is an error value, for errors.Is.
type Code int32

// The codes, with the names of the BERTH_E_ constants.
const (
	ErrIDInUse         Code = C.BERTH_E_ID_IN_USE
	ErrIDInvalid       Code = C.BERTH_E_ID_INVALID
	ErrNotFound        Code = C.BERTH_E_NOT_FOUND
	ErrPaused          Code = C.BERTH_E_PAUSED
	ErrNotStopped      Code = C.BERTH_E_NOT_STOPPED
	ErrNotRunning      Code = C.BERTH_E_NOT_RUNNING
	ErrNotPaused       Code = C.BERTH_E_NOT_PAUSED
	ErrAlreadyRunning  Code = C.BERTH_E_ALREADY_RUNNING
	ErrConfigInvalid   Code = C.BERTH_E_CONFIG_INVALID
	ErrConsoleExists   Code = C.BERTH_E_CONSOLE_EXISTS
	ErrSystem          Code = C.BERTH_E_SYSTEM
	ErrUnsupported     Code = C.BERTH_E_UNSUPPORTED
	ErrTimeout         Code = C.BERTH_E_TIMEOUT
	ErrBusy            Code = C.BERTH_E_BUSY
	ErrCriu            Code = C.BERTH_E_CRIU
	ErrHook            Code = C.BERTH_E_HOOK
	ErrStatusUnknown   Code = C.BERTH_E_STATUS_UNKNOWN
	ErrInvalidArgument Code = C.BERTH_E_INVALID_ARGUMENT
	ErrInternal        Code = C.BERTH_E_INTERNAL
)

// Name is the code's name in C: "BERTH_E_NOT_FOUND".
func (c Code) Name() string {
	return C.GoString(C.berth_error_name(C.int32_t(c)))
}

// Error describes the code.
func (c Code) Error() string {
	return C.GoString(C.berth_strerror(C.int32_t(c)))
}

// Stage is the stage at which a call failed.
type Stage int32

// The caller, berth-init inside the container, a hook, or CRIU.
const (
	StageHost Stage = C.BERTH_STAGE_HOST
	StageInit Stage = C.BERTH_STAGE_INIT
	StageHook Stage = C.BERTH_STAGE_HOOK
	StageCriu Stage = C.BERTH_STAGE_CRIU
)

func (s Stage) String() string {
	switch s {
	case StageHost:
		return "host"
	case StageInit:
		return "init"
	case StageHook:
		return "hook"
	case StageCriu:
		return "criu"
	}
	return fmt.Sprintf("stage %d", int32(s))
}

// Error is the reason why a call failed.
type Error struct {
	Code Code
	// Errno is the errno of the failed system call; 0 if there was none.
	Errno syscall.Errno
	Stage Stage
	// Message is one sentence, without a newline, that names the object and the reason. For people.
	Message string
	// Detail has details as a JSON object; see berth_error_detail_json.
	Detail json.RawMessage

	cause error
}

func (e *Error) Error() string {
	return e.Message
}

// Is compares the code with one of the Err constants.
func (e *Error) Is(target error) bool {
	code, ok := target.(Code)
	return ok && code == e.Code
}

// Unwrap returns the context's error, or the errno.
func (e *Error) Unwrap() error {
	if e.cause != nil {
		return e.cause
	}
	if e.Errno != 0 {
		return e.Errno
	}
	return nil
}

// check converts the result and the error object of a C function, and releases the object.
func check(code C.int32_t, raw *C.berth_error) error {
	if code == 0 {
		return nil
	}
	defer C.berth_error_free(raw)
	if raw == nil {
		return Code(code)
	}
	return &Error{
		Code:    Code(C.berth_error_code(raw)),
		Errno:   syscall.Errno(C.berth_error_errno(raw)),
		Stage:   Stage(C.berth_error_stage(raw)),
		Message: C.GoString(C.berth_error_message(raw)),
		Detail:  json.RawMessage(C.GoString(C.berth_error_detail_json(raw))),
	}
}

func invalid(parameter, message string) error {
	detail, _ := json.Marshal(map[string]string{"parameter": parameter})
	return &Error{Code: ErrInvalidArgument, Message: parameter + " " + message, Detail: detail}
}

// cString copies a string for C and refuses a NUL inside it. Release it with free.
func cString(text, parameter string) (*C.char, error) {
	if at := strings.IndexByte(text, 0); at >= 0 {
		return nil, invalid(parameter, fmt.Sprintf("has a NUL at byte %d", at))
	}
	return C.CString(text), nil
}

// cStringOrNull returns NULL for an empty string.
func cStringOrNull(text, parameter string) (*C.char, error) {
	if text == "" {
		return nil, nil
	}
	return cString(text, parameter)
}

// cJSON copies a document for C: text as it is, any other value encoded by encoding/json.
func cJSON(document any, parameter string) (*C.char, error) {
	switch text := document.(type) {
	case string:
		return cString(text, parameter)
	case []byte:
		return cString(string(text), parameter)
	case json.RawMessage:
		return cString(string(text), parameter)
	}
	text, err := json.Marshal(document)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", parameter, err)
	}
	return cString(string(text), parameter)
}

// taken copies a string that C has returned, and releases it.
func taken(text *C.char) string {
	defer C.berth_string_free(text)
	return C.GoString(text)
}
