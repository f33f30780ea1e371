package berth_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	goruntime "runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"berth"
)

func TestClosedHandlesSayThatTheyAre(t *testing.T) {
	container := run(t, "sleep 1000", nil)
	process, err := container.InitProcess()
	must(t, err)
	loaded, err := runtime.Load(container.ID())
	must(t, err)
	made := config(t, "true")
	other, err := berth.NewRuntime(&berth.RuntimeOptions{StateRoot: stateRoot})
	must(t, err)
	for times := 0; times < 2; times++ {
		must(t, loaded.Close())
		must(t, process.Close())
		must(t, made.Close())
		must(t, other.Close())
	}
	_, configErr := runtime.Create("never-made", made, nil)
	_, loadErr := other.Load(container.ID())
	_, waitErr := loaded.Wait(context.Background())
	_, processErr := process.Wait(context.Background())
	_, jsonErr := made.JSON()
	for what, err := range map[string]error{
		"config is closed": configErr, "runtime is closed": loadErr, "container is closed": waitErr, "process is closed": processErr,
		"config is closed ": jsonErr,
	} {
		if !errors.Is(err, berth.ErrInvalidArgument) || err.Error() != strings.TrimSpace(what) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if loaded.ID() != container.ID() {
		t.Error("a closed handle has no id")
	}
	if status, err := container.Status(); err != nil || status != berth.StatusRunning {
		t.Error("closing handles touched the container", status, err)
	}
}

func TestClosingWhileOthersCallIsSafe(t *testing.T) {
	container := run(t, "sleep 1000", nil)
	for round := 0; round < 20; round++ {
		loaded, err := runtime.Load(container.ID())
		must(t, err)
		var group sync.WaitGroup
		for caller := 0; caller < 8; caller++ {
			group.Add(1)
			go func() {
				defer group.Done()
				for {
					if _, err := loaded.Stats(); err != nil {
						if !errors.Is(err, berth.ErrInvalidArgument) {
							t.Error(err)
						}
						return
					}
				}
			}()
		}
		loaded.Close()
		group.Wait()
	}
}

func TestForgottenHandlesAreCollected(t *testing.T) {
	container := run(t, "sleep 1000", nil)
	count := func() int {
		entries, err := os.ReadDir("/proc/self/fd")
		must(t, err)
		return len(entries)
	}
	before := count()
	for handle := 0; handle < 50; handle++ {
		loaded, err := runtime.Load(container.ID())
		must(t, err)
		// This call opens files that stay open with the handle.
		_, err = loaded.Stats()
		must(t, err)
	}
	if count() < before+50 {
		t.Fatal("handles of this test have no descriptors")
	}
	ctx := within(t, longTime)
	for count() > before {
		goruntime.GC()
		goruntime.Gosched()
		must(t, ctx.Err())
	}
}

func TestTextsThatCCannotTakeAreNamed(t *testing.T) {
	container := run(t, "sleep 1000", nil)
	_, loadErr := runtime.Load("a\x00")
	_, createErr := runtime.Create("\x00", config(t, "true"), nil)
	_, consoleErr := container.Exec(shell("true"), &berth.ProcessOptions{ConsoleSocket: "/\x00"})
	_, execErr := container.Exec("{\x00}", nil)
	_, bundleErr := berth.ConfigFromBundle("/\x00")
	_, rootErr := berth.NewRuntime(&berth.RuntimeOptions{StateRoot: "/\x00"})
	_, networksErr := config(t, "true").WithNetworks("\x00")
	for what, err := range map[string]error{
		"id has a NUL at byte 1":             loadErr,
		"id has a NUL at byte 0":             createErr,
		"console_socket has a NUL at byte 1": consoleErr,
		"process_json has a NUL at byte 1":   execErr,
		"bundle has a NUL at byte 1":         bundleErr,
		"state_root has a NUL at byte 1":     rootErr,
		"networks_json has a NUL at byte 0":  networksErr,
		"resources_json has a NUL at byte 0": container.Set("\x00"),
	} {
		if !errors.Is(err, berth.ErrInvalidArgument) || err.Error() != what {
			t.Errorf("%s: %v", what, err)
		}
	}
	if berth.HasFeature("create\x00") {
		t.Error("a feature with a NUL")
	}
	if _, err := container.Exec(make(chan int), nil); err == nil || !strings.Contains(err.Error(), "process_json") {
		t.Error("what JSON cannot take:", err)
	}
}

func TestFilesThatAreNotOpenAreNamed(t *testing.T) {
	reader, writer, err := os.Pipe()
	must(t, err)
	defer writer.Close()
	must(t, reader.Close())
	for _, file := range []*os.File{nil, reader} {
		options := berth.NoStdio()
		options.Stdin = berth.File(file)
		if _, err := runtime.Create(newID(), config(t, "true"), options); !errors.Is(err, berth.ErrInvalidArgument) {
			t.Error("as standard input:", err)
		}
		options = berth.NoStdio()
		options.ExtraFiles = []*os.File{writer, file}
		if _, err := runtime.Create(newID(), config(t, "true"), options); !errors.Is(err, berth.ErrInvalidArgument) {
			t.Error("as an extra file:", err)
		}
	}
}

func TestOptionsOfProcessesArrive(t *testing.T) {
	container := run(t, "sleep 1000", nil)
	options := berth.NoStdio()
	options.Cgroups = []string{"", "../up"}
	if _, err := container.Exec(shell("true"), options); err == nil || !strings.Contains(err.Error(), "../up") {
		t.Error("cgroups:", err)
	}
	options.Cgroups = nil
	options.ParentDeathSignal = 65
	if _, err := container.Exec(shell("true"), options); err == nil || !strings.Contains(err.Error(), "65") {
		t.Error("parent death signal:", err)
	}
	options.ParentDeathSignal = 0

	missing := spec("true")
	missing["process"].(object)["args"] = []string{"/bin/nothing-here"}
	config, err := berth.NewConfig(missing, rootfs)
	must(t, err)
	if made, err := runtime.Create(newID(), config, options); err != nil {
		t.Error("a missing program is found out when it is started:", err)
	} else {
		must(t, made.ForceDelete())
	}
	options.FindProgram = true
	if _, err := runtime.Create(newID(), config, options); !errors.Is(err, syscall.ENOENT) {
		t.Error("a missing program:", err)
	}
	options.FindProgram = false

	must(t, container.Pause())
	if _, err := container.Exec(shell("true"), options); !errors.Is(err, berth.ErrPaused) {
		t.Error("paused:", err)
	}
	options.WaitWhilePaused = true
	executed := make(chan error, 1)
	go func() {
		process, err := container.Exec(shell("exit 3"), options)
		if err == nil {
			defer process.Close()
			_, err = process.Wait(within(t, longTime))
		}
		executed <- err
	}()
	// The process is frozen as soon as it exists.
	for limit := within(t, longTime); ; must(t, limit.Err()) {
		if pids, err := container.Pids(); err != nil || len(pids) > 1 {
			must(t, err)
			break
		}
	}
	must(t, container.Resume())
	must(t, <-executed)
}

func TestOptionsOfRuntimesArrive(t *testing.T) {
	for name, options := range map[string]berth.RuntimeOptions{
		"setup_timeout_ms":  {SetupTimeout: -time.Millisecond},
		"lock_timeout_ms":   {LockTimeout: -time.Millisecond},
		"hook_timeout_ms":   {HookTimeout: -time.Millisecond},
		"cgroup_timeout_ms": {CgroupTimeout: -time.Millisecond},
		"cgroup_manager":    {CgroupManager: 7},
	} {
		options.StateRoot = stateRoot
		if _, err := berth.NewRuntime(&options); !errors.Is(err, berth.ErrInvalidArgument) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	mapped := spec("exit $(stat -c %u /bin/busybox)")
	mapping := []object{{"containerID": 0, "hostID": 100000, "size": 1000}}
	linux := mapped["linux"].(object)
	linux["namespaces"] = append(linux["namespaces"].([]any), object{"type": "user"})
	linux["uidMappings"], linux["gidMappings"] = mapping, mapping
	config, err := berth.NewConfig(mapped, rootfs)
	must(t, err)
	owner := func(options berth.RuntimeOptions) int {
		options.StateRoot = stateRoot
		runtime, err := berth.NewRuntime(&options)
		must(t, err)
		defer runtime.Close()
		container, err := runtime.Run(newID(), config, berth.NoStdio())
		must(t, err)
		defer container.ForceDelete()
		status, err := container.Wait(within(t, longTime))
		must(t, err)
		return status.Code
	}
	// The owner as an exit status, which keeps 8 bits: 65534 is an id without a mapping.
	if found := owner(berth.RuntimeOptions{NoPivot: true}); found != 65534&0xff {
		t.Error("the owner without an id-mapped root:", found)
	}
	if found := owner(berth.RuntimeOptions{IDMappedRoot: true}); found != 0 {
		t.Error("the owner with an id-mapped root:", found)
	}
}

func TestOptionsOfCheckpointsArrive(t *testing.T) {
	container := run(t, "sleep 1000", nil)
	const images = "/nothing/images"
	for what, options := range map[string]berth.CheckpointOptions{
		"images is NULL":      {},
		"images has a NUL":    {Images: "a\x00b"},
		"page_server_address": {Images: images, PageServerPort: 1},
		"not an IP address":   {Images: images, PageServerPort: 1, PageServerAddress: "host"},
		"cgroup_mode is 99":   {Images: images, CgroupMode: 99},
		"network_lock is 99":  {Images: images, NetworkLock: 99},
		"timeout_ms is -1":    {Images: images, Timeout: -time.Millisecond},
	} {
		if err := container.Checkpoint(options); !errors.Is(err, berth.ErrInvalidArgument) || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: %v", what, err)
		}
	}
	config := config(t, "sleep 1000")
	for what, options := range map[string]berth.RestoreOptions{
		"images is NULL":         {},
		"veth_pairs has a NUL":   {Images: images, VethPairs: []berth.VethPair{{Name: "a", HostName: "\x00"}}},
		"cgroup_roots has a NUL": {Images: images, CgroupRoots: []berth.CgroupRoot{{Controller: "\x00"}}},
		"cgroups has a NUL":      {Images: images, Process: &berth.ProcessOptions{Cgroups: []string{"\x00"}}},
		"cgroup_mode is 99":      {Images: images, CgroupMode: 99},
	} {
		if _, err := runtime.Restore(newID(), config, options); !errors.Is(err, berth.ErrInvalidArgument) || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := runtime.Restore(newID(), config, berth.RestoreOptions{Images: images}); !errors.Is(err, syscall.ENOENT) {
		t.Error("without images:", err)
	}
	without, err := berth.NewRuntime(&berth.RuntimeOptions{StateRoot: stateRoot, Criu: "/nothing/criu"})
	must(t, err)
	defer without.Close()
	if _, err := without.CriuCheck(); !errors.Is(err, berth.ErrUnsupported) || !strings.Contains(err.Error(), "/nothing/criu") {
		t.Error("without CRIU:", err)
	}
}

func TestConfigurationsComeFromFilesAndForOthers(t *testing.T) {
	bundle := t.TempDir()
	must(t, os.Symlink(rootfs, filepath.Join(bundle, "rootfs")))
	text, err := json.Marshal(spec("exit 5"))
	must(t, err)
	must(t, os.WriteFile(filepath.Join(bundle, "other.json"), text, 0o600))
	if _, err := berth.ConfigFromBundle(bundle); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	config, err := berth.ConfigFromFile(bundle, filepath.Join(bundle, "other.json"))
	must(t, err)
	container, err := runtime.Run(newID(), config, berth.NoStdio())
	must(t, err)
	status, err := container.Wait(within(t, longTime))
	if err != nil || status.Code != 5 {
		t.Error(status, err)
	}
	must(t, container.Delete())
	rootless, err := berth.DefaultRootlessConfigJSON(1234, 5678)
	if err != nil || !strings.Contains(rootless, "1234") || !strings.Contains(rootless, "5678") {
		t.Error(rootless, err)
	}
}

func TestErrorsAreFoundByCodeAndByReason(t *testing.T) {
	_, err := berth.ConfigFromBundle("/nothing/here")
	var found *berth.Error
	if !errors.As(err, &found) || found.Code != berth.ErrSystem || found.Errno != syscall.ENOENT || found.Stage.String() != "host" {
		t.Fatalf("%+v", err)
	}
	if !errors.Is(err, berth.ErrSystem) || !errors.Is(err, os.ErrNotExist) || errors.Is(err, berth.ErrNotFound) {
		t.Error("errors.Is:", err)
	}
	if errors.Is(&berth.Error{Code: berth.ErrBusy}, syscall.Errno(0)) || berth.ErrNotFound.Error() != "container does not exist" {
		t.Error("codes")
	}
}

func TestTheLogCanPanicAndCannotBeSetFromWithin(t *testing.T) {
	inside := make(chan error, 100)
	must(t, berth.SetLog(func(berth.LogLevel, string, string) {
		inside <- berth.SetLog(nil)
		panic("in the log")
	}))
	warned := spec("true")
	hook := object{"path": rootfs + "/bin/busybox", "args": []string{"sh", "-c", "exit 3"}}
	warned["hooks"] = object{"poststop": []object{hook}}
	config, err := berth.NewConfig(warned, rootfs)
	must(t, err)
	container, err := runtime.Run(newID(), config, berth.NoStdio())
	must(t, err)
	must(t, container.ForceDelete())
	must(t, berth.SetLog(nil))
	if err := <-inside; !errors.Is(err, berth.ErrBusy) {
		t.Error(err)
	}
	if err := berth.SetLogFile(nil); err != nil {
		t.Error(err)
	}
}
