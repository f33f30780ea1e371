package berth_test

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"berth"
)

// A container that answers each line with its number continues after a restore.
func TestCheckpointAndRestore(t *testing.T) {
	criu := os.Getenv("BERTH_TEST_CRIU")
	if criu == "" {
		t.Skip("BERTH_TEST_CRIU does not name a CRIU (tools/install-criu brings one)")
	}
	host, err := berth.NewRuntime(&berth.RuntimeOptions{StateRoot: stateRoot, Criu: criu})
	must(t, err)
	defer host.Close()
	report, err := host.CriuCheck()
	must(t, err)
	if report == "" {
		t.Error("nothing is reported")
	}
	settings := config(t, "n=0; while read line; do n=$((n+1)); echo $n $line; done")
	defer settings.Close()
	pipes := &berth.ProcessOptions{Stdin: berth.Pipe(), Stdout: berth.Pipe(), Stderr: berth.Null()}
	answers := func(container *berth.Container, number int) {
		t.Helper()
		process, err := container.InitProcess()
		must(t, err)
		defer process.Close()
		stdin, stdout, _, err := process.TakeStdio()
		must(t, err)
		t.Cleanup(func() { stdin.Close(); stdout.Close() })
		fmt.Fprintln(stdin, "hello")
		line, err := bufio.NewReader(stdout).ReadString('\n')
		if want := fmt.Sprintf("%d hello\n", number); err != nil || line != want {
			t.Fatal(line, err)
		}
	}
	container, err := host.Run(newID(), settings, pipes)
	must(t, err)
	defer container.Close()
	answers(container, 1)
	images := filepath.Join(t.TempDir(), "images")
	if err := container.Checkpoint(berth.CheckpointOptions{}); !errors.Is(err, berth.ErrInvalidArgument) {
		t.Error(err)
	}
	must(t, container.Checkpoint(berth.CheckpointOptions{Images: images, LeaveRunning: true}))
	must(t, container.Checkpoint(berth.CheckpointOptions{
		Images: images, CgroupMode: berth.CgroupModeSoft, NetworkLock: berth.NetworkLockSkip,
	}))
	if status, err := container.Status(); err != nil || status != berth.StatusStopped {
		t.Error(status, err)
	}
	must(t, container.Delete())
	_, err = host.Restore(newID(), settings, berth.RestoreOptions{
		Images: images, Process: pipes, CgroupRoots: []berth.CgroupRoot{{Controller: "none-of-these", Path: "/"}},
	})
	if !errors.Is(err, berth.ErrInvalidArgument) {
		t.Error(err)
	}
	restored, err := host.Restore(newID(), settings, berth.RestoreOptions{Images: images, Process: pipes})
	must(t, err)
	defer restored.Close()
	answers(restored, 2)
	must(t, restored.ForceDelete())
}
