package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"berth"
)

// A timeout for calls that take milliseconds on an idle machine.
const longTime = 2 * time.Minute

// skipped is the panic value that skips a scenario; it names what the machine lacks.
type skipped string

// must stops the scenario on an error.
func must(err error) {
	if err != nil {
		panic(at(fmt.Sprintf("%v (%T)", err, err)))
	}
}

func value[T any](value T, err error) T {
	must(err)
	return value
}

func check(condition bool, what string, arguments ...any) {
	if !condition {
		panic(at("not so: " + fmt.Sprintf(what, arguments...)))
	}
}

// fails checks for an error with this code and message part.
func fails(code berth.Code, part string, err error) *berth.Error {
	if !errors.Is(err, code) {
		panic(at(fmt.Sprintf("expected %q, got %v", code.Error(), err)))
	}
	var found *berth.Error
	check(errors.As(err, &found), "it is a *berth.Error: %T", err)
	check(strings.Contains(err.Error(), part) && !strings.Contains(err.Error(), "\n"), "%q has %q", err, part)
	return found
}

// at returns the scenario's source line.
func at(what string) string {
	for skip := 1; ; skip++ {
		_, file, line, ok := runtime.Caller(skip)
		if !ok || filepath.Base(file) != "place.go" {
			return fmt.Sprintf("%s:%d: %s", filepath.Base(file), line, what)
		}
	}
}

// within returns a context whose deadline calls that take milliseconds on an idle machine do not reach.
func within(duration time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), duration)
	time.AfterFunc(duration+longTime, cancel)
	return ctx
}

// place is the state root and runtime of one scenario. Its leftover containers are removed with it.
type place struct {
	*berth.Runtime
	folder string
	name   string
	ids    []string
}

func newPlace(name string) *place {
	folder := folderOf(name)
	must(os.MkdirAll(folder, 0o700))
	opened := value(berth.NewRuntime(&berth.RuntimeOptions{StateRoot: filepath.Join(folder, "state")}))
	return &place{Runtime: opened, folder: folder, name: name}
}

func (p *place) remove() error {
	var failed error
	for _, id := range p.ids {
		container, err := p.Load(id)
		if err == nil {
			err = container.ForceDelete()
			container.Close()
		}
		if err != nil && !errors.Is(err, berth.ErrNotFound) && !errors.Is(err, berth.ErrIDInvalid) {
			failed = err
		}
	}
	p.Close()
	os.RemoveAll(p.folder)
	return failed
}

func (p *place) newID() string {
	id := fmt.Sprintf("test-go-%s-%s-%d-%d", os.Getenv("BERTH_TEST_RUN"), p.name, os.Getpid(), len(p.ids))
	p.ids = append(p.ids, id)
	return id
}

// run returns a running container with a script as its program; nil options mean no streams.
func (p *place) run(script string, options *berth.ProcessOptions) *berth.Container {
	if options == nil {
		options = berth.NoStdio()
	}
	return value(p.Run(p.newID(), config(spec(script)), options))
}

type object = map[string]any

// spec returns the default configuration with a shell script.
func spec(script string) object {
	var spec object
	must(json.Unmarshal([]byte(value(berth.DefaultConfigJSON())), &spec))
	process := spec["process"].(object)
	process["terminal"] = false
	process["args"] = []string{"/bin/sh", "-c", script}
	return spec
}

func config(spec object) *berth.Config {
	return value(berth.NewConfig(spec, rootfs))
}

func onTerminal(script string) *berth.Config {
	spec := spec(script)
	spec["process"].(object)["terminal"] = true
	return config(spec)
}

// process returns an OCI process object that runs a script.
func process(script string) object {
	return object{
		"user": object{"uid": 0, "gid": 0}, "args": []string{"/bin/sh", "-c", script}, "env": []string{"PATH=/bin"}, "cwd": "/",
	}
}

func exec(container *berth.Container, script string) *berth.Process {
	return value(container.Exec(process(script), berth.NoStdio()))
}

type waiter interface {
	Wait(context.Context) (berth.ExitStatus, error)
}

func end(of waiter) berth.ExitStatus {
	return value(of.Wait(within(longTime)))
}

func exits(of waiter, code int) {
	status := end(of)
	check(status == berth.ExitStatus{Code: code}, "%v is exit status %d", status, code)
}

func isKilled(of waiter) {
	status := end(of)
	check(status == berth.ExitStatus{Signal: syscall.SIGKILL}, "%v is SIGKILL", status)
}

func hasStatus(container *berth.Container, expected berth.Status) {
	status := value(container.Status())
	check(status == expected, "%v is %v", status, expected)
}

func readAll(file *os.File) string {
	defer file.Close()
	return string(value(io.ReadAll(file)))
}

// readUntil reads until the text appears.
func readUntil(file *os.File, text string) {
	must(file.SetReadDeadline(time.Now().Add(longTime)))
	var seen []byte
	part := make([]byte, 512)
	for !bytes.Contains(seen, []byte(text)) {
		count, err := file.Read(part)
		check(err == nil, "%q is expected: read %q, then %v", text, seen, err)
		seen = append(seen, part[:count]...)
	}
}

func write(file *os.File, text string) {
	value(file.WriteString(text))
}

func pipe() (reader, writer *os.File) {
	reader, writer, err := os.Pipe()
	must(err)
	return
}

func isCloexec(file *os.File) bool {
	var flags uintptr
	must(value(file.SyscallConn()).Control(func(fd uintptr) {
		flags, _, _ = syscall.Syscall(syscall.SYS_FCNTL, fd, syscall.F_GETFD, 0)
	}))
	return flags&syscall.FD_CLOEXEC != 0
}

// isReadable polls a descriptor without reading it.
func isReadable(file *os.File, wait time.Duration) bool {
	ready := struct {
		fd              int32
		events, revents int16
	}{events: 1}
	count := uintptr(0)
	timeout := syscall.NsecToTimespec(int64(wait))
	must(value(file.SyscallConn()).Control(func(fd uintptr) {
		ready.fd = int32(fd)
		for errno := syscall.EINTR; errno == syscall.EINTR; {
			count, _, errno = syscall.Syscall6(syscall.SYS_PPOLL, uintptr(unsafe.Pointer(&ready)), 1,
				uintptr(unsafe.Pointer(&timeout)), 0, 0, 0)
		}
	}))
	return count == 1
}
