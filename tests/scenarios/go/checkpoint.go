package main

import (
	"os"
	"path/filepath"

	"berth"
)

// Scenarios of checkpoint and restore.
var checkpointScenarios = []scenario{
	{"checkpoint-restore", checkpointRestore},
}

// counts writes a line to the init's pipe and checks the answer; the pipes stay open.
func counts(container *berth.Container, expected string) (stdin, stdout *os.File) {
	stdin, stdout, _, err := value(container.InitProcess()).TakeStdio()
	must(err)
	write(stdin, "line\n")
	readUntil(stdout, expected+"\n")
	return
}

func checkpointRestore(p *place) {
	criu := os.Getenv("BERTH_TEST_CRIU")
	if criu == "" {
		panic(skipped("no CRIU"))
	}
	runtime := value(berth.NewRuntime(&berth.RuntimeOptions{StateRoot: filepath.Join(p.folder, "state"), Criu: criu}))
	defer runtime.Close()
	check(decoded(runtime.CriuCheck())["usable"] == true, "CRIU is usable")

	config := config(spec("n=0; while read line; do n=$((n+1)); echo $n; done"))
	images := filepath.Join(p.folder, "images")
	pipes := &berth.ProcessOptions{Stdin: berth.Pipe(), Stdout: berth.Pipe(), Stderr: berth.Null()}
	container := value(runtime.Run(p.newID(), config, pipes))
	stdin, stdout := counts(container, "1")
	must(container.Checkpoint(berth.CheckpointOptions{Images: images}))
	hasStatus(container, berth.StatusStopped)
	must(container.Delete())
	must(stdin.Close())
	must(stdout.Close())

	restored := value(runtime.Restore(container.ID(), config, berth.RestoreOptions{Images: images, Process: pipes}))
	hasStatus(restored, berth.StatusRunning)
	stdin, stdout = counts(restored, "2")
	defer stdout.Close()
	must(stdin.Close())
	exits(restored, 0)
}
