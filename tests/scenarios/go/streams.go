package main

import (
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"berth"
)

// Scenarios of standard streams and terminals.
var streamScenarios = []scenario{
	{"stdio-pipes", stdioPipes},
	{"stdio-null", stdioNull},
	{"stdio-descriptors", stdioDescriptors},
	{"terminal", terminal},
	{"terminal-newlines", terminalNewlines},
	{"console-socket", consoleSocket},
	{"console-resize", consoleResize},
}

func stdioPipes(p *place) {
	container := p.run("read line; echo got $line; echo failed >&2",
		&berth.ProcessOptions{Stdin: berth.Pipe(), Stdout: berth.Pipe(), Stderr: berth.Pipe()})
	init := value(container.InitProcess())
	stdin, stdout, stderr, err := init.TakeStdio()
	must(err)
	check(isCloexec(stdin) && isCloexec(stdout) && isCloexec(stderr), "all close-on-exec")
	again0, again1, again2, err := init.TakeStdio()
	check(err == nil && again0 == nil && again1 == nil && again2 == nil, "given once")
	write(stdin, "word\n")
	must(stdin.Close())
	text := readAll(stdout)
	check(text == "got word\n", "%q", text)
	text = readAll(stderr)
	check(text == "failed\n", "%q", text)
	exits(container, 0)
}

func stdioNull(p *place) {
	container := p.run("echo lost; echo lost >&2; read line || exit 4", nil)
	stdin, stdout, stderr, err := value(container.InitProcess()).TakeStdio()
	check(err == nil && stdin == nil && stdout == nil && stderr == nil, "nothing to take")
	exits(container, 4)
}

func stdioDescriptors(p *place) {
	in, ourIn := pipe()
	ourOut, out := pipe()
	ourExtra, extra := pipe()
	container := p.run("cat; echo extra >&3", &berth.ProcessOptions{
		Stdin: berth.File(in), Stdout: berth.File(out), Stderr: berth.Null(), ExtraFiles: []*os.File{extra},
	})
	must(in.Close())
	must(out.Close())
	must(extra.Close())
	write(ourIn, "through\n")
	must(ourIn.Close())
	text := readAll(ourOut)
	check(text == "through\n", "%q", text)
	text = readAll(ourExtra)
	check(text == "extra\n", "%q", text)
	exits(container, 0)
}

func terminal(p *place) {
	container := value(p.Run(p.newID(), onTerminal("tty; read line; echo got $line; exit 6"), nil))
	master := value(value(container.InitProcess()).Terminal())
	defer master.Close()
	check(isCloexec(master), "close-on-exec")
	readUntil(master, "/dev/pts/0")
	write(master, "word\n")
	readUntil(master, "got word")
	exits(container, 6)
}

func terminalNewlines(p *place) {
	for plain, shown := range map[bool]string{false: "one\r\ntwo\r\n", true: "one\ntwo\n"} {
		options := &berth.ProcessOptions{PlainNewlines: plain}
		container := value(p.Run(p.newID(), onTerminal("echo one; echo two; read line"), options))
		master := value(value(container.InitProcess()).Terminal())
		readUntil(master, shown)
		must(master.Close())
	}
}

func receiveDescriptor(listener *net.UnixListener) *os.File {
	must(listener.SetDeadline(time.Now().Add(longTime)))
	connection := value(listener.AcceptUnix())
	defer connection.Close()
	control := make([]byte, syscall.CmsgSpace(4))
	_, size, _, _, err := connection.ReadMsgUnix(make([]byte, 64), control)
	must(err)
	messages := value(syscall.ParseSocketControlMessage(control[:size]))
	check(len(messages) == 1, "one message")
	fds := value(syscall.ParseUnixRights(&messages[0]))
	must(syscall.SetNonblock(fds[0], true))
	return os.NewFile(uintptr(fds[0]), "console")
}

func consoleSocket(p *place) {
	path := filepath.Join(p.folder, "console")
	listener := value(net.ListenUnix("unix", &net.UnixAddr{Name: path}))
	defer listener.Close()
	container := value(p.Run(p.newID(), onTerminal("echo ready; sleep 1000"), &berth.ProcessOptions{ConsoleSocket: path}))
	master := receiveDescriptor(listener)
	defer master.Close()
	readUntil(master, "ready")
	check(value(value(container.InitProcess()).Terminal()) == nil, "only there")
}

func consoleResize(p *place) {
	container := value(p.Run(p.newID(), onTerminal("echo ready; read line; stty size"), nil))
	init := value(container.InitProcess())
	master := value(init.Terminal())
	defer master.Close()
	readUntil(master, "ready")
	must(init.ResizeTerminal(24, 80))
	write(master, "\n")
	readUntil(master, "24 80")
}
