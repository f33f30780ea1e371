package main

import (
	"fmt"
	"sort"
	"syscall"

	"berth"
)

// Scenarios of running containers: signals, pause, statistics, limits, exit status.
var runningScenarios = []scenario{
	{"pause-resume", pauseResume},
	{"kill", killInit},
	{"kill-all", killAll},
	{"process-signal", processSignal},
	{"exit-code", exitCode},
	{"exit-signal", exitSignal},
	{"wait-elsewhere", waitElsewhere},
	{"pids", pids},
}

func pauseResume(p *place) {
	container := p.run("sleep 1000", nil)
	must(container.Pause())
	hasStatus(container, berth.StatusPaused)
	_, err := container.Exec(process("true"), nil)
	fails(berth.ErrPaused, "paused", err)
	must(container.Resume())
	hasStatus(container, berth.StatusRunning)
	exits(exec(container, "exit 3"), 3)
}

func killInit(p *place) {
	container := p.run("sleep 1000", nil)
	must(container.Signal(syscall.SIGKILL))
	isKilled(container)
	hasStatus(container, berth.StatusStopped)
	must(container.Delete())
}

func killAll(p *place) {
	container := p.run("sleep 1000", nil)
	process := exec(container, "exec sleep 1000")
	must(container.SignalAll(syscall.SIGKILL))
	isKilled(process)
	isKilled(container)
}

func processSignal(p *place) {
	container := p.run("sleep 1000", nil)
	process := exec(container, "exec sleep 1000")
	must(process.Signal(0))
	must(process.Signal(syscall.SIGKILL))
	isKilled(process)
	fails(berth.ErrNotRunning, "ended", process.Signal(syscall.SIGKILL))
	hasStatus(container, berth.StatusRunning)
}

func exitCode(p *place) {
	for _, code := range []int{0, 7} {
		container := p.run(fmt.Sprint("exit ", code), nil)
		exits(container, code)
		exits(container, code)
		check(end(container).Success() == (code == 0), "success")
	}
}

func exitSignal(p *place) {
	status := end(exec(p.run("sleep 1000", nil), "kill $$"))
	check(status == berth.ExitStatus{Signal: syscall.SIGTERM} && !status.Success(), "%v", status)
}

func waitElsewhere(p *place) {
	container := p.run("sleep 1000", nil)
	pidfd := value(container.Pidfd())
	defer pidfd.Close()
	check(isCloexec(pidfd) && !isReadable(pidfd, 0), "close-on-exec, and not ended")
	must(container.Signal(syscall.SIGKILL))
	check(isReadable(pidfd, longTime), "ended")
	isKilled(container)
}

func pids(p *place) {
	container := p.run("exec sleep 1000", nil)
	expected := []int{value(value(container.InitProcess()).Pid()), value(exec(container, "exec sleep 1000").Pid())}
	sort.Ints(expected)
	found := value(container.Pids())
	check(fmt.Sprint(found) == fmt.Sprint(expected), "%v are %v", found, expected)
}
