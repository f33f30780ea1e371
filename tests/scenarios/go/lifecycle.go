package main

import (
	"encoding/json"
	"os"
	"path/filepath"

	"berth"
)

// Scenarios of create, start, exec and bundles.
var lifeScenarios = []scenario{
	{"lifecycle", lifecycle},
	{"run", run},
	{"exec", execFurther},
	{"exec-in-created", execInCreated},
	{"bundle", bundle},
}

func lifecycle(p *place) {
	options := berth.NoStdio()
	options.Stdin = berth.Pipe()
	container := value(p.Create(p.newID(), config(spec("read line; exit 7")), options))
	hasStatus(container, berth.StatusCreated)
	must(container.Start())
	hasStatus(container, berth.StatusRunning)
	stdin, _, _, err := value(container.InitProcess()).TakeStdio()
	must(err)
	must(stdin.Close())
	exits(container, 7)
	hasStatus(container, berth.StatusStopped)
	must(container.Delete())
	_, err = container.Status()
	fails(berth.ErrNotFound, container.ID(), err)
	_, err = p.Load(container.ID())
	fails(berth.ErrNotFound, container.ID(), err)
}

func run(p *place) {
	hasStatus(p.run("sleep 1000", nil), berth.StatusRunning)
}

func execFurther(p *place) {
	container := p.run("exec sleep 1000", nil)
	process := value(container.Exec(process("cat /proc/1/comm; read line; exit 9"),
		&berth.ProcessOptions{Stdin: berth.Pipe(), Stdout: berth.Pipe(), Stderr: berth.Null()}))
	pid := value(process.Pid())
	check(pid > 1 && pid != os.Getpid(), "pid %d", pid)
	pidfd := value(process.Pidfd())
	defer pidfd.Close()
	check(!isReadable(pidfd, 0), "it has not ended")
	stdin, stdout, _, err := process.TakeStdio()
	must(err)
	must(stdin.Close())
	text := readAll(stdout)
	check(text == "sleep\n", "%q", text)
	exits(process, 9)
	check(isReadable(pidfd, longTime), "it has ended")
}

func execInCreated(p *place) {
	container := value(p.Create(p.newID(), config(spec("exit 3")), berth.NoStdio()))
	exits(exec(container, "exit 4"), 4)
	hasStatus(container, berth.StatusCreated)
	must(container.Start())
	exits(container, 3)
}

func bundle(p *place) {
	folder := filepath.Join(p.folder, "bundle")
	must(os.Mkdir(folder, 0o700))
	must(os.Symlink(rootfs, filepath.Join(folder, "rootfs")))
	must(os.WriteFile(filepath.Join(folder, "config.json"), value(json.Marshal(spec("exit 5"))), 0o600))
	config := value(berth.ConfigFromBundle(folder))
	must(config.Validate())
	exits(value(p.Run(p.newID(), config, berth.NoStdio())), 5)
}
