// Package berth runs Linux containers from inside the program: libberth for Go.
//
// A [Runtime] is a state root with its containers. A [Container] is created from a [Config], started, watched and
// deleted; a [Process] runs in it. berth.h is the manual: each method here wraps the function of the same name there,
// and comments describe only the differences.
//
// # Errors
//
// Every error of the library is an [*Error], which [errors.As] finds. errors.Is(err, berth.ErrNotFound) compares its
// code, and errors.Is(err, syscall.ENOENT) its errno.
//
// # Waiting
//
// A call that waits for a process or an event takes a [context.Context], returns at once when it is done, and waits in
// Go's own poller: no thread is occupied. The error is then the context's: errors.Is(err, context.Canceled) or
// context.DeadlineExceeded, the latter also ErrTimeout. Every other call blocks its goroutine, and a thread, as long as
// berth.h says: create and start for setup and hooks, freezing and deleting as long as the kernel takes.
//
// # Ownership
//
// Close releases a handle, waits for calls that use it, and never affects the container or process; the garbage
// collector closes unreachable handles. The caller closes files that methods return. Neither Go nor C keeps an argument
// after a call.
//
// # Goroutines
//
// Everything may be used from any goroutine, and one handle from several at once. No goroutine needs to stay on its
// thread, with one exception: [ProcessOptions].ParentDeathSignal refers to the thread.
//
// # Building
//
// pkg-config must find "berth". The build tag berth_static links the library statically.
package berth

/*
#cgo !berth_static pkg-config: berth
#cgo berth_static pkg-config: --static berth
#cgo berth_static LDFLAGS: -Wl,--as-needed -l:libberth.a
#include <berth.h>
#include <stdlib.h>
*/
import "C"

import "unsafe"

// Version is the library's version, like "0.1.0".
func Version() string {
	return C.GoString(C.berth_version())
}

// ABIVersion is the version of the library's ABI.
func ABIVersion() uint32 {
	return uint32(C.berth_abi_version())
}

// HeaderABIVersion is the ABI version of the header that this package was compiled with.
const HeaderABIVersion uint32 = C.BERTH_ABI_VERSION

// The version of that header.
const (
	HeaderVersionMajor uint32 = C.BERTH_VERSION_MAJOR
	HeaderVersionMinor uint32 = C.BERTH_VERSION_MINOR
	HeaderVersionPatch uint32 = C.BERTH_VERSION_PATCH
)

// HasFeature reports whether the library has a feature; see berth_has_feature.
func HasFeature(name string) bool {
	raw, err := cString(name, "name")
	if err != nil {
		return false
	}
	defer free(raw)
	return C.berth_has_feature(raw) == 1
}

// FeaturesJSON returns the features document of the OCI runtime specification.
func FeaturesJSON() (string, error) {
	var text *C.char
	var raw *C.berth_error
	if err := check(C.berth_features_json(&text, &raw), raw); err != nil {
		return "", err
	}
	return taken(text), nil
}

func free(text *C.char) {
	C.free(unsafe.Pointer(text))
}
