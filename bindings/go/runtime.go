package berth

/*
#include <berth.h>
*/
import "C"

import (
	"encoding/json"
	"runtime"
)

// Runtime is a state root with its containers. Several, also of several processes, may share one state root.
type Runtime struct {
	handle handle[*C.berth_runtime]
}

// NewRuntime opens a runtime; nil options are the defaults. It creates the state root if it is missing.
//
// Errors: ErrSystem with EACCES if the state root belongs to another user or others may write to it.
func NewRuntime(options *RuntimeOptions) (*Runtime, error) {
	if options == nil {
		options = &RuntimeOptions{}
	}
	var owned memory
	defer owned.release()
	settings, err := cRuntimeOptions(options, &owned)
	if err != nil {
		return nil, err
	}
	var pointer *C.berth_runtime
	var raw *C.berth_error
	if err := check(C.berth_runtime_new(settings, &pointer, &raw), raw); err != nil {
		return nil, err
	}
	made := &Runtime{handle[*C.berth_runtime]{pointer: pointer}}
	runtime.SetFinalizer(made, (*Runtime).Close)
	return made, nil
}

// Create creates a container: namespaces, cgroups, root filesystem and hooks; its program waits for [Container.Start].
// Blocks until setup is complete, at most the setup timeout plus the time of the hooks. After an error nothing is left
// behind.
//
// Errors: ErrIDInvalid, ErrIDInUse; ErrConfigInvalid and ErrUnsupported before anything is created; ErrConsoleExists,
// ErrHook, ErrTimeout; ErrSystem, at StageInit with the step that failed.
func (r *Runtime) Create(id string, config *Config, options *ProcessOptions) (*Container, error) {
	return r.make(id, config, options, func(runtime *C.berth_runtime, id *C.char, config *C.berth_config,
		options *C.berth_process_options, made **C.berth_container, raw **C.berth_error) C.int32_t {
		return C.berth_container_create(runtime, id, config, options, made, raw)
	})
}

// Run is Create and [Container.Start] in one call. After an error nothing is left behind. Errors: as both.
func (r *Runtime) Run(id string, config *Config, options *ProcessOptions) (*Container, error) {
	return r.make(id, config, options, func(runtime *C.berth_runtime, id *C.char, config *C.berth_config,
		options *C.berth_process_options, made **C.berth_container, raw **C.berth_error) C.int32_t {
		return C.berth_container_run(runtime, id, config, options, made, raw)
	})
}

func (r *Runtime) make(id string, config *Config, options *ProcessOptions,
	call func(*C.berth_runtime, *C.char, *C.berth_config, *C.berth_process_options, **C.berth_container, **C.berth_error) C.int32_t,
) (*Container, error) {
	name, err := cString(id, "id")
	if err != nil {
		return nil, err
	}
	defer free(name)
	var owned memory
	defer owned.release()
	settings, err := cProcessOptions(options, &owned)
	if err != nil {
		return nil, err
	}
	pointer, err := r.handle.acquire("runtime")
	if err != nil {
		return nil, err
	}
	defer r.handle.release()
	spec, err := config.handle.acquire("config")
	if err != nil {
		return nil, err
	}
	defer config.handle.release()
	var container *C.berth_container
	var raw *C.berth_error
	if err := check(call(pointer, name, spec, settings, &container, &raw), raw); err != nil {
		return nil, err
	}
	return newContainer(container), nil
}

// Load opens a container that this or another process has created.
//
// Errors: ErrNotFound, ErrIDInvalid.
func (r *Runtime) Load(id string) (*Container, error) {
	name, err := cString(id, "id")
	if err != nil {
		return nil, err
	}
	defer free(name)
	pointer, err := r.handle.acquire("runtime")
	if err != nil {
		return nil, err
	}
	defer r.handle.release()
	var container *C.berth_container
	var raw *C.berth_error
	if err := check(C.berth_container_load(pointer, name, &container, &raw), raw); err != nil {
		return nil, err
	}
	return newContainer(container), nil
}

// List returns the states of all containers, sorted by id. It takes no locks.
func (r *Runtime) List() ([]State, error) {
	text, err := r.ListJSON()
	if err != nil {
		return nil, err
	}
	var states []State
	err = json.Unmarshal([]byte(text), &states)
	return states, err
}

// ListJSON returns List as JSON: an array of the objects of [Container.StateJSON].
func (r *Runtime) ListJSON() (string, error) {
	pointer, err := r.handle.acquire("runtime")
	if err != nil {
		return "", err
	}
	defer r.handle.release()
	var text *C.char
	var raw *C.berth_error
	if err := check(C.berth_runtime_list_json(pointer, &text, &raw), raw); err != nil {
		return "", err
	}
	return taken(text), nil
}

// ExplainJSON lists every step of [Runtime.Create] with this configuration and these options, without executing one.
// [Config.ExplainJSON] assumes default options.
func (r *Runtime) ExplainJSON(config *Config, options *ProcessOptions) (string, error) {
	var owned memory
	defer owned.release()
	settings, err := cProcessOptions(options, &owned)
	if err != nil {
		return "", err
	}
	pointer, err := r.handle.acquire("runtime")
	if err != nil {
		return "", err
	}
	defer r.handle.release()
	spec, err := config.handle.acquire("config")
	if err != nil {
		return "", err
	}
	defer config.handle.release()
	var text *C.char
	var raw *C.berth_error
	if err := check(C.berth_runtime_explain_json(pointer, spec, settings, &text, &raw), raw); err != nil {
		return "", err
	}
	return taken(text), nil
}

// Recover removes containers whose creating or deleting process was killed, and returns their ids. Blocks until they
// are removed, at most the cgroup timeout for each.
func (r *Runtime) Recover() ([]string, error) {
	pointer, err := r.handle.acquire("runtime")
	if err != nil {
		return nil, err
	}
	defer r.handle.release()
	var text *C.char
	var raw *C.berth_error
	if err := check(C.berth_runtime_recover(pointer, &text, &raw), raw); err != nil {
		return nil, err
	}
	var ids []string
	err = json.Unmarshal([]byte(taken(text)), &ids)
	return ids, err
}

// Close releases the runtime. Its containers and their handles are not affected.
func (r *Runtime) Close() error {
	C.berth_runtime_free(r.handle.close())
	return nil
}
