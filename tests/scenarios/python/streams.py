"""Scenarios of standard streams and terminals."""

import os
import socket

from scenario import LONG, berth, check, has_ended, is_cloexec, is_readable, scenario
from support import PIPES


def expect(terminal, word):
    """Read until the word appears."""
    shown = b""
    while word not in shown:
        check.assertTrue(is_readable(terminal, LONG), f"only this has come: {shown!r}")
        chunk = terminal.read(1024)
        check.assertTrue(chunk, f"only this has come: {shown!r}")
        shown += chunk


@scenario("stdio-pipes")
def stdio_pipes(world):
    with berth.deleting(world.run("read line; echo got $line; echo failed >&2", **PIPES)) as container:
        init = container.init
        for file in (init.stdin, init.stdout, init.stderr):
            is_cloexec(file.fileno())
        with world.runtime.load(container.id) as other:
            check.assertEqual((other.init.stdin, other.init.stdout, other.init.stderr), (None, None, None))
        init.stdin.write(b"word\n")
        init.stdin.close()
        check.assertEqual(init.stdout.read(), b"got word\n")
        check.assertEqual(init.stderr.read(), b"failed\n")
        has_ended(container, 0)
    with berth.deleting(world.run("cat; echo failed >&2", **PIPES)) as container:
        much = b"x" * 1000000
        check.assertEqual(container.init.communicate(much, timeout=LONG), (much, b"failed\n"))


@scenario("stdio-null")
def stdio_null(world):
    with berth.deleting(world.run("echo lost; echo lost >&2; read line || exit 4")) as container:
        init = container.init
        check.assertEqual((init.stdin, init.stdout, init.stderr), (None, None, None))
        has_ended(container, 4)


@scenario("stdio-descriptors")
def stdio_descriptors(world):
    pipes = [os.pipe() for _ in range(3)]
    into, out, extra = [(os.fdopen(reader, "rb"), os.fdopen(writer, "wb", 0)) for reader, writer in pipes]
    options = {"stdin": into[0], "stdout": out[1].fileno(), "options": berth.ProcessOptions(extra_fds=[extra[1]])}
    with berth.deleting(world.run("cat; echo extra >&3", **options)) as container:
        for file in (into[0], out[1], extra[1]):
            file.close()
        into[1].write(b"through\n")
        into[1].close()
        with out[0], extra[0]:
            check.assertEqual(out[0].read(), b"through\n")
            check.assertEqual(extra[0].read(), b"extra\n")
        has_ended(container, 0)


@scenario("terminal")
def terminal(world):
    with berth.deleting(world.run("tty; read line; echo got $line; exit 6", terminal=True)) as container:
        master = container.init.terminal
        is_cloexec(master.fileno())
        expect(master, b"/dev/pts/0")
        master.write(b"word\n")
        expect(master, b"got word")
        check.assertIn(master.read(), (b"", b"\r\n"))
        has_ended(container, 6)


@scenario("terminal-newlines")
def terminal_newlines(world):
    for plain, shown in ((False, b"one\r\ntwo\r\n"), (True, b"one\ntwo\n")):
        options = berth.ProcessOptions(plain_newlines=plain)
        with berth.deleting(world.run("echo one; echo two; read line", terminal=True, options=options)) as container:
            expect(container.init.terminal, shown)


@scenario("console-socket")
def console_socket(world):
    path = world.state_root + "-console"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        options = berth.ProcessOptions(console_socket=path)
        with berth.deleting(world.run("echo ready; sleep 1000", terminal=True, options=options)) as container:
            connection, _ = listener.accept()
            with connection:
                _, fds, _, _ = socket.recv_fds(connection, 64, 1)
            with berth.Terminal(fds[0]) as master:
                check.assertTrue(master.isatty())
                expect(master, b"ready")
            check.assertIsNone(container.init.terminal)
    os.unlink(path)


@scenario("console-resize")
def console_resize(world):
    with berth.deleting(world.run("echo ready; read line; stty size", terminal=True)) as container:
        master = container.init.terminal
        expect(master, b"ready")
        container.init.resize_terminal(24, 80)
        master.write(b"\n")
        expect(master, b"24 80")
