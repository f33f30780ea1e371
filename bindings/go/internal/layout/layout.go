// Package layout has the structs of berth.h as cgo sees them, to be compared with the C compiler's view.
package layout

/*
#cgo pkg-config: berth
#include <berth.h>
*/
import "C"

import "reflect"

// Structs are all of the header's.
func Structs() map[string]reflect.Type {
	return map[string]reflect.Type{
		"berth_cgroup_root":        reflect.TypeOf(C.berth_cgroup_root{}),
		"berth_checkpoint_options": reflect.TypeOf(C.berth_checkpoint_options{}),
		"berth_restore_options":    reflect.TypeOf(C.berth_restore_options{}),
		"berth_veth_pair":          reflect.TypeOf(C.berth_veth_pair{}),
		"berth_exit_status":        reflect.TypeOf(C.berth_exit_status{}),
		"berth_occurred":           reflect.TypeOf(C.berth_occurred{}),
		"berth_process_options":    reflect.TypeOf(C.berth_process_options{}),
		"berth_runtime_options":    reflect.TypeOf(C.berth_runtime_options{}),
		"berth_stats":              reflect.TypeOf(C.berth_stats{}),
		"berth_stream":             reflect.TypeOf(C.berth_stream{}),
	}
}
