package berth_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"berth"
)

// A timeout for calls that take milliseconds on an idle machine.
const longTime = 2 * time.Minute

var (
	rootfs    = os.Getenv("BERTH_TEST_ROOTFS")
	stateRoot string
	// Settings for the examples and the tests.
	runtime *berth.Runtime
)

func TestMain(m *testing.M) {
	if asHelper() {
		return
	}
	if os.Getuid() != 0 || rootfs == "" {
		fmt.Println("skipped: containers need root, and BERTH_TEST_ROOTFS a root filesystem (tools/rootfs makes one)")
		return
	}
	os.Exit(inStateRoot(m.Run))
}

func inStateRoot(run func() int) int {
	var err error
	if stateRoot, err = os.MkdirTemp("", "berth-go-"); err != nil {
		panic(err)
	}
	defer os.RemoveAll(stateRoot)
	if runtime, err = berth.NewRuntime(&berth.RuntimeOptions{StateRoot: stateRoot}); err != nil {
		panic(err)
	}
	defer runtime.Close()
	defer func() {
		states, _ := runtime.List()
		for _, state := range states {
			if container, err := runtime.Load(state.ID); err == nil {
				container.ForceDelete()
			}
		}
	}()
	return run()
}

var lastID atomic.Int64

func newID() string {
	return fmt.Sprintf("test-go-%s-%d-%d", os.Getenv("BERTH_TEST_RUN"), os.Getpid(), lastID.Add(1))
}

type object = map[string]any

// spec returns the default configuration with a shell script.
func spec(script string) object {
	text, err := berth.DefaultConfigJSON()
	if err != nil {
		panic(err)
	}
	var spec object
	if err := json.Unmarshal([]byte(text), &spec); err != nil {
		panic(err)
	}
	process := spec["process"].(object)
	process["terminal"] = false
	process["args"] = []string{"/bin/sh", "-c", script}
	return spec
}

func shell(script string) object {
	return object{
		"user": object{"uid": 0, "gid": 0}, "args": []string{"/bin/sh", "-c", script}, "env": []string{"PATH=/bin"}, "cwd": "/",
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%v (%T)", err, err)
	}
}

func config(t testing.TB, script string) *berth.Config {
	t.Helper()
	config, err := berth.NewConfig(spec(script), rootfs)
	must(t, err)
	return config
}

// run returns a running container, which is deleted at the end of the test.
func run(t testing.TB, script string, options *berth.ProcessOptions) *berth.Container {
	t.Helper()
	if options == nil {
		options = berth.NoStdio()
	}
	container, err := runtime.Run(newID(), config(t, script), options)
	must(t, err)
	t.Cleanup(func() {
		container.ForceDelete()
		container.Close()
	})
	return container
}

func within(t testing.TB, duration time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), duration)
	t.Cleanup(cancel)
	return ctx
}
