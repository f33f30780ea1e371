"""Checks spawner.py as its clients see it: sessions, statistics, pausing, SIGTERM, and what happens after SIGKILL.

    python3 check.py SOCKET PREFIX COMMAND...       COMMAND starts the service

tools/examples-check runs it.
"""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from typing import Any, Callable, Dict, List

PATIENCE_S = 60


def until(holds: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        if time.monotonic() > deadline:
            sys.exit(f"in vain: {what}")
        time.sleep(0.05)


class Client:
    """A connection to the service."""

    def __init__(self, path: str, wish: bytes) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(PATIENCE_S)
        self.socket.connect(path)
        self.socket.sendall(wish + b"\n")
        self.seen = b""

    def type(self, text: bytes, answer: bytes) -> None:
        """Types a line and reads until the terminal shows the answer."""
        self.socket.sendall(text + b"\n")
        while answer not in self.seen:
            data = self.socket.recv(4096)
            if not data:
                sys.exit(f"the session has ended before {answer!r}: {self.seen!r}")
            self.seen += data
        self.seen = b""

    def rest(self) -> bytes:
        """Reads to the end of the connection."""
        while data := self.socket.recv(4096):
            self.seen += data
        self.socket.close()
        return self.seen


def start(command: List[str]) -> subprocess.Popen[str]:
    service = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert service.stderr is not None
    while (line := service.stderr.readline()) != "listening\n":
        if not line:
            sys.exit("the service does not start")
        print(line, end="", flush=True)
    return service


def main() -> None:
    path, prefix, *command = sys.argv[1:]

    def sessions() -> Dict[str, Any]:
        reports = [json.loads(line) for line in Client(path, b"stats").rest().splitlines()]
        return {report["id"]: report for report in reports}

    service = start(command)
    try:
        first = Client(path, b"shell 33 44")
        first.type(b"stty size; echo $((40 + 2))", b"33 44\r\n42\r\n")
        (name,) = sessions()
        assert name.startswith(f"{prefix}-{service.pid}-"), name
        until(lambda: "paused" in sessions()[name].values(), "the session is to be paused")
        first.type(b"n=$((n + 1)); echo again $n", b"again 1\r\n")
        assert sessions()[name]["tasks"] >= 1

        second = Client(path, b"shell")
        second.type(b"hostname", b"shell\r\n")
        assert len(sessions()) == 2
        second.socket.sendall(b"exit\n")
        second.rest()
        until(lambda: len(sessions()) == 1, "the second session is to end")
        assert Client(path, b"something").rest() == b"say shell or stats\n"

        # The service also stops while a session is paused.
        until(lambda: "paused" in sessions()[name].values(), "the session is to be paused again")
        service.send_signal(signal.SIGTERM)
        first.rest()
        assert service.stderr is not None
        print(service.stderr.read(), end="")
        assert service.wait(PATIENCE_S) == 0

        # A service that is killed cannot delete its containers; the next one does.
        service = start(command)
        left = Client(path, b"shell")
        left.type(b"hostname", b"shell\r\n")
        service.kill()
        service.wait()
        service = start(command)
        assert sessions() == {}
        service.send_signal(signal.SIGTERM)
        assert service.wait(PATIENCE_S) == 0
    finally:
        if service.poll() is None:
            service.kill()
    print("all good")


if __name__ == "__main__":
    main()
