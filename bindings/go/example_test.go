package berth_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"syscall"
	"time"

	"berth"
)

// Runs a container that prints something, from the configuration to its deletion.
func Example() {
	runtime, err := berth.NewRuntime(&berth.RuntimeOptions{StateRoot: stateRoot})
	if err != nil {
		log.Fatal(err)
	}
	defer runtime.Close()

	text, err := berth.DefaultConfigJSON()
	if err != nil {
		log.Fatal(err)
	}
	var spec map[string]any
	if err := json.Unmarshal([]byte(text), &spec); err != nil {
		log.Fatal(err)
	}
	process := spec["process"].(map[string]any)
	process["terminal"] = false
	process["args"] = []string{"echo", "hello from a container"}
	config, err := berth.NewConfig(spec, rootfs)
	if err != nil {
		log.Fatal(err)
	}
	defer config.Close()

	container, err := runtime.Run("go-example", config,
		&berth.ProcessOptions{Stdin: berth.Null(), Stdout: berth.Pipe(), Stderr: berth.Null()})
	if err != nil {
		log.Fatal(err)
	}
	defer container.Close()
	init, err := container.InitProcess()
	if err != nil {
		log.Fatal(err)
	}
	defer init.Close()
	_, stdout, _, err := init.TakeStdio()
	if err != nil {
		log.Fatal(err)
	}
	defer stdout.Close()
	if _, err := io.Copy(os.Stdout, stdout); err != nil {
		log.Fatal(err)
	}

	status, err := container.Wait(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(status)
	if err := container.Delete(); err != nil {
		log.Fatal(err)
	}
	// Output:
	// hello from a container
	// exit status 0
}

func ExampleRuntime_Load() {
	_, err := runtime.Load("not-there")
	if errors.Is(err, berth.ErrNotFound) {
		fmt.Println("it is not there")
	}
	// Output: it is not there
}

func ExampleError() {
	_, err := berth.NewConfig(`{"ociVersion":"1.0.2","root":{"path":"/"},"process":{"args":["sh"],"cwd":7}}`, rootfs)
	var found *berth.Error
	if errors.As(err, &found) {
		fmt.Println(found.Code)
		fmt.Println(string(found.Detail))
	}
	// Output:
	// configuration is invalid
	// {"json_path":"process.cwd"}
}

func ExampleContainer_Wait() {
	container := sleeping()
	defer container.ForceDelete()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	_, err := container.Wait(ctx)
	fmt.Println(errors.Is(err, context.DeadlineExceeded))

	if err := container.Signal(syscall.SIGKILL); err != nil {
		log.Fatal(err)
	}
	status, err := container.Wait(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(status)
	// Output:
	// true
	// killed by signal 9 (killed)
}

func ExampleContainer_Exec() {
	container := sleeping()
	defer container.ForceDelete()
	process, err := container.Exec(map[string]any{
		"user": map[string]any{"uid": 0, "gid": 0},
		"args": []string{"hostname"},
		"env":  []string{"PATH=/bin"},
		"cwd":  "/",
	}, &berth.ProcessOptions{Stdin: berth.Null(), Stdout: berth.Pipe(), Stderr: berth.Null()})
	if err != nil {
		log.Fatal(err)
	}
	defer process.Close()
	_, stdout, _, err := process.TakeStdio()
	if err != nil {
		log.Fatal(err)
	}
	defer stdout.Close()
	if _, err := io.Copy(os.Stdout, stdout); err != nil {
		log.Fatal(err)
	}
	if _, err := process.Wait(context.Background()); err != nil {
		log.Fatal(err)
	}
	// Output: berth
}

func ExampleContainer_Set() {
	container := sleeping()
	defer container.ForceDelete()
	err := container.Set(map[string]any{"memory": map[string]any{"limit": -5}})
	fmt.Println(err)
	// Output: linux.resources.memory.limit: -5 is not a limit; expected -1 for none, or more
}

func ExampleContainer_NotifyMemoryPressure() {
	container := sleeping()
	defer container.ForceDelete()
	channel, err := container.NotifyMemoryPressure(context.Background(), berth.PressureMedium)
	if errors.Is(err, berth.ErrUnsupported) {
		fmt.Println("the container has ended") // A host that does not measure it.
		return
	}
	if err != nil {
		log.Fatal(err)
	}
	if err := container.Signal(syscall.SIGKILL); err != nil {
		log.Fatal(err)
	}
	for occurred := range channel {
		if occurred.Ended {
			fmt.Println("the container has ended")
		}
	}
	// Output: the container has ended
}

// sleeping returns a container that runs until it is killed.
func sleeping() *berth.Container {
	config, err := berth.NewConfig(spec("exec sleep 1000"), rootfs)
	if err != nil {
		log.Fatal(err)
	}
	container, err := runtime.Run(newID(), config, berth.NoStdio())
	if err != nil {
		log.Fatal(err)
	}
	return container
}
