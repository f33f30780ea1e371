// Package berth runs Linux containers from inside the program: libberth for Go.
//
// A [Runtime] is a state root with containers. A [Container] is created from a [Config], started, watched and deleted; a
// [Process] is one that runs in it. berth.h is the manual: each method here is the function of the same name there, and
// only what differs is said.
//
// # Errors
//
// Every error of the library is an [*Error], which [errors.As] finds. Its code is compared by
// errors.Is(err, berth.ErrNotFound), and the kernel's reason by errors.Is(err, syscall.ENOENT).
//
// # Waiting
//
// What waits for a process or an event takes a [context.Context], ends at once when it is done, and waits in Go's own poller:
// no thread is held. If the context has ended, so says the error: errors.Is(err, context.Canceled) or
// context.DeadlineExceeded, the latter also ErrTimeout. Everything else blocks its goroutine, and a thread, for as long as
// berth.h says: creating and starting for the time of setting up and of hooks, freezing and deleting for what the kernel takes.
//
// # Ownership
//
// Close releases a handle, waits for calls that use it, and never touches the container or process that it names; the
// garbage collector closes what was forgotten. Files that methods return are the caller's to close. Nothing that is passed
// in is kept, neither by Go nor by C.
//
// # Goroutines
//
// Everything may be used from any goroutine, and one handle from several at once. No goroutine needs to stay on its thread,
// with one exception: [ProcessOptions].ParentDeathSignal means the thread.
//
// # Building
//
// pkg-config must find "berth". With the build tag berth_static the library becomes part of the program.
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

// HeaderABIVersion is the version of the header that this package was compiled with.
const HeaderABIVersion uint32 = C.BERTH_ABI_VERSION

// HasFeature tells whether the library can do something, by name; berth_has_feature has the names.
func HasFeature(name string) bool {
	raw, err := cString(name, "name")
	if err != nil {
		return false
	}
	defer free(raw)
	return C.berth_has_feature(raw) == 1
}

// FeaturesJSON is the features document of the OCI runtime specification: what a configuration may say.
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
