"""Concurrent writing of a process's input and reading of its output, so that a full pipe blocks neither side."""

from __future__ import annotations

import os
import selectors
import time
from typing import IO, Dict, Optional, Tuple

from . import _arguments
from ._errors import Timeout
from ._streams import close_pipe

_CHUNK = 65536
_STDIN, _STDOUT, _STDERR = 0, 1, 2


def communicate(
    files: Tuple[Optional[IO[bytes]], Optional[IO[bytes]], Optional[IO[bytes]]],
    input: Optional[bytes],
    timeout: Optional[float],
) -> Tuple[bytes, bytes]:
    _arguments.timeout(timeout)
    deadline = None if timeout is None else time.monotonic() + timeout
    left = memoryview(input or b"")
    read: Dict[int, bytearray] = {_STDOUT: bytearray(), _STDERR: bytearray()}
    with selectors.DefaultSelector() as selector:
        for index, end in enumerate(files):
            if end is None or end.closed:
                continue
            if index != _STDIN:
                selector.register(end, selectors.EVENT_READ, (index, end))
            elif left:
                end.flush()
                os.set_blocking(end.fileno(), False)
                selector.register(end, selectors.EVENT_WRITE, (index, end))
            else:
                close_pipe(end)
        while selector.get_map():
            ready = selector.select(None if deadline is None else max(0.0, deadline - time.monotonic()))
            if not ready and deadline is not None and time.monotonic() >= deadline:
                raise Timeout("the process has not closed its output in time")
            for key, _events in ready:
                number: int = key.data[0]
                file: IO[bytes] = key.data[1]
                if number == _STDIN:
                    left = left[_write(key.fd, left) :]
                    over = not left
                else:
                    chunk = os.read(key.fd, _CHUNK)
                    read[number] += chunk
                    over = not chunk
                if over:
                    selector.unregister(key.fileobj)
                    close_pipe(file)
    return bytes(read[_STDOUT]), bytes(read[_STDERR])


def _write(fd: int, data: memoryview) -> int:
    try:
        return os.write(fd, data[:_CHUNK])
    except BlockingIOError:
        return 0
    except BrokenPipeError:
        # The process has closed its input: the rest is dropped.
        return len(data)
