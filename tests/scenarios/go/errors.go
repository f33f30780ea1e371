package main

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"strings"
	"syscall"
	"time"

	"berth"
)

// Scenarios of errors: bad input, and calls in the wrong state.
var errorScenarios = []scenario{
	{"bad-config", badConfig},
	{"bad-resources", badResources},
	{"bad-process", badProcess},
	{"bad-id", badID},
	{"bad-argument", badArgument},
	{"id-in-use", idInUse},
	{"not-found", notFound},
	{"wrong-state", wrongState},
	{"error-facts", errorFacts},
	{"timeout", timeout},
}

func badConfig(*place) {
	wrong := spec("true")
	wrong["hostname"] = 7
	_, err := berth.NewConfig(wrong, rootfs)
	fails(berth.ErrConfigInvalid, "hostname", err)
	wrong = spec("true")
	wrong["linux"].(object)["namespaces"].([]any)[2] = object{"type": "colour"}
	_, err = berth.NewConfig(wrong, rootfs)
	fails(berth.ErrConfigInvalid, "linux.namespaces[2].type", err)
	_, err = berth.NewConfig(`{"ociVersion":`, rootfs)
	fails(berth.ErrConfigInvalid, "JSON", err)
}

func badResources(p *place) {
	container := p.run("sleep 1000", nil)
	before := value(container.ConfigJSON())
	fails(berth.ErrConfigInvalid, "memory.limit", container.Set(object{"memory": object{"limit": -5}}))
	check(value(container.ConfigJSON()) == before, "nothing was changed")
}

func badProcess(p *place) {
	spec := spec("true")
	spec["process"].(object)["args"] = []string{"/bin/nothing-here"}
	_, err := p.Run(p.newID(), config(spec), berth.NoStdio())
	found := fails(berth.ErrSystem, "/bin/nothing-here", err)
	check(errors.Is(err, syscall.ENOENT) && errors.Is(err, fs.ErrNotExist), "%v", err)
	check(found.Errno == syscall.ENOENT && found.Stage == berth.StageInit, "%+v", found)
	check(ids(p) == "", "nothing is left")
}

func badID(p *place) {
	config := config(spec("true"))
	for _, id := range []string{"", "../up", strings.Repeat("x", 201)} {
		_, err := p.Create(id, config, berth.NoStdio())
		fails(berth.ErrIDInvalid, "id", err)
		_, err = p.Load(id)
		fails(berth.ErrIDInvalid, "id", err)
	}
}

func badArgument(p *place) {
	container := p.run("sleep 1000", nil)
	_, err := p.Load("a\x00b")
	fails(berth.ErrInvalidArgument, "id has a NUL at byte 1", err)
	_, err = berth.NewConfig("{}\x00", rootfs)
	fails(berth.ErrInvalidArgument, "json has a NUL", err)
	fails(berth.ErrInvalidArgument, "999", container.Signal(999))
	hasStatus(container, berth.StatusRunning)
}

func idInUse(p *place) {
	container := p.run("sleep 1000", nil)
	_, err := p.Create(container.ID(), config(spec("true")), berth.NoStdio())
	fails(berth.ErrIDInUse, container.ID(), err)
	hasStatus(container, berth.StatusRunning)
}

func notFound(p *place) {
	_, err := p.Load("not-there")
	fails(berth.ErrNotFound, "not-there", err)
}

func wrongState(p *place) {
	container := p.run("sleep 1000", nil)
	fails(berth.ErrAlreadyRunning, "running", container.Start())
	fails(berth.ErrNotPaused, "running", container.Resume())
	fails(berth.ErrNotStopped, "running", container.Delete())
	must(container.Pause())
	fails(berth.ErrPaused, "paused", container.Pause())
	must(container.Resume())
	must(container.Signal(syscall.SIGKILL))
	isKilled(container)
	fails(berth.ErrNotRunning, "stopped", container.Signal(syscall.SIGKILL))
}

func errorFacts(*place) {
	wrong := spec("true")
	wrong["hostname"] = 7
	_, err := berth.NewConfig(wrong, rootfs)
	found := fails(berth.ErrConfigInvalid, "hostname", err)
	check(found.Errno == 0 && found.Stage == berth.StageHost && errors.Unwrap(err) == nil, "%+v", found)
	var detail object
	must(json.Unmarshal(found.Detail, &detail))
	check(detail["json_path"] == "hostname", "%s", found.Detail)
	_, err = berth.ConfigFromBundle("/nothing/here")
	found = fails(berth.ErrSystem, "/nothing/here", err)
	check(found.Errno == syscall.ENOENT && errors.Is(err, syscall.ENOENT), "%+v", found)
	for code := berth.ErrInternal; code < 0; code++ {
		check(len(code.Error()) > 5 && strings.HasPrefix(code.Name(), "BERTH_E_"), "%d", code)
	}
}

func timeout(p *place) {
	container := p.run("sleep 1000", nil)
	_, err := container.Wait(within(0))
	fails(berth.ErrTimeout, "in time", err)
	before := time.Now()
	_, err = container.Wait(within(200 * time.Millisecond))
	fails(berth.ErrTimeout, "in time", err)
	check(errors.Is(err, context.DeadlineExceeded) && time.Since(before) >= 199*time.Millisecond, "%v", err)
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	_, err = container.Wait(ended)
	check(err == context.Canceled, "%v", err)
}
