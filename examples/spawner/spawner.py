"""A service that gives each connection a shell in a container of its own.

    python3 spawner.py [--idle SECONDS] [--prefix TEXT] SOCKET ROOTFS STATE

SOCKET is a unix socket; whoever may connect to it gets a shell, so put it into a directory that only those can enter.
The first line of a connection says what the client wants:

    shell [ROWS COLUMNS]    the connection becomes a terminal; it ends with the shell, and the shell with it
    stats                   a line of JSON for each session, with what it uses at this moment

A session without input and output is paused: it keeps its memory but gets no CPU time. Its next input resumes it. On
SIGTERM the service deletes all containers; what is left after it was killed, it deletes when it starts again.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import logging
import os
import signal
import time
from typing import Any, Dict, Set

import berth
import berth.aio

log = logging.getLogger("spawner")


def shell_config(rootfs: str) -> berth.Config:
    spec = berth.default_spec()
    spec["hostname"] = "shell"
    spec["process"].update(args=["sh"], terminal=True)
    spec["linux"]["resources"].update(memory={"limit": 64 << 20, "swap": 64 << 20}, pids={"limit": 50})
    return berth.Config.from_json(spec, rootfs=rootfs)


class Session:
    """A connection and its container."""

    def __init__(self, container: berth.aio.Container, idle: float) -> None:
        self.container = container
        self.idle = idle
        self.active = time.monotonic()
        # Input may arrive while the container is being paused: only one of the two may change its state.
        self.changing = asyncio.Lock()
        self.paused = False

    async def run(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Copies between the connection and the terminal until one of them ends."""
        output, keyboard = await self.container.init.open_terminal()
        tasks = [
            asyncio.create_task(self.copy_input(reader, keyboard)),
            asyncio.create_task(self.copy_output(output, writer)),
            asyncio.create_task(self.pause_when_idle()),
        ]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        except (ConnectionError, berth.NotRunning):
            # The client has gone, or the shell has ended at the moment when it was to be paused.
            pass
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def copy_input(self, reader: asyncio.StreamReader, keyboard: asyncio.StreamWriter) -> None:
        while data := await reader.read(4096):
            self.active = time.monotonic()
            await self.wake()
            keyboard.write(data)
            await keyboard.drain()

    async def copy_output(self, output: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await output.read(4096):
            self.active = time.monotonic()
            writer.write(data)
            # While the client does not read, neither do we: the terminal fills up, and the shell waits.
            await writer.drain()

    async def wake(self) -> None:
        async with self.changing:
            if self.paused:
                await self.container.resume()
                self.paused = False
                log.info("%s: resumed", self.container.id)

    async def pause_when_idle(self) -> None:
        while True:
            await asyncio.sleep(max(self.active + self.idle - time.monotonic(), self.idle / 10))
            async with self.changing:
                if not self.paused and time.monotonic() >= self.active + self.idle:
                    await self.container.pause()
                    self.paused = True
                    log.info("%s: paused", self.container.id)

    def report(self) -> Dict[str, Any]:
        """Status and statistics are read from the kernel, at once: these calls need no await."""
        used = self.container.stats()
        return {
            "id": self.container.id,
            "status": str(self.container.status()),
            "cpu_ns": used.cpu_usage_ns,
            "memory_bytes": used.memory_usage,
            "tasks": used.pids_current,
        }


class Service:
    def __init__(self, runtime: berth.aio.Runtime, config: berth.Config, options: argparse.Namespace) -> None:
        self.runtime = runtime
        self.config = config
        self.idle: float = options.idle
        self.prefix: str = options.prefix
        self.count = 0
        self.sessions: Set[Session] = set()
        self.tasks: Set[asyncio.Task[None]] = set()

    async def clean_up(self) -> None:
        """Deletes what a killed service has left. The state directory is this service's alone."""
        # First containers that were being created or deleted at that moment, then complete ones.
        for container_id in await self.runtime.recover():
            log.info("%s: recovered", container_id)
        for state in self.runtime.list():
            with self.runtime.load(state["id"]) as container:
                await container.delete(force=True)
            log.info("%s: deleted, left by a service that was killed", state["id"])

    def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self.serve(reader, writer))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            wish = (await reader.readline()).decode(errors="replace").split()
            if wish[:1] == ["shell"]:
                await self.shell(wish[1:], reader, writer)
            elif wish == ["stats"]:
                for session in self.sessions:
                    writer.write(json.dumps(session.report()).encode() + b"\n")
            else:
                writer.write(b"say shell or stats\n")
            await writer.drain()
        except (ConnectionError, ValueError, berth.Error) as error:
            # One client's trouble is no reason to end the others' sessions.
            log.warning("a connection has failed: %s", error)
        finally:
            writer.close()

    async def shell(self, size: list[str], reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.count += 1
        container_id = f"{self.prefix}-{os.getpid()}-{self.count}"
        # Deletes the container however the block is left: also if the service stops and cancels this task.
        async with berth.aio.deleting(await self.runtime.run(container_id, self.config)) as container:
            if len(size) == 2:
                container.init.resize_terminal(int(size[0]), int(size[1]))
            session = Session(container, self.idle)
            self.sessions.add(session)
            log.info("%s: started", container_id)
            try:
                await session.run(reader, writer)
            finally:
                self.sessions.discard(session)
        log.info("%s: ended", container_id)


async def main() -> None:
    parser = argparse.ArgumentParser(description="Give each connection a shell in a container.")
    parser.add_argument("--idle", type=float, default=60, help="seconds after which a session is paused")
    parser.add_argument("--prefix", default="shell", help="beginning of the containers' ids")
    parser.add_argument("socket")
    parser.add_argument("rootfs")
    parser.add_argument("state")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")

    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    with shell_config(options.rootfs) as config, berth.aio.Runtime(options.state) as runtime:
        service = Service(runtime, config, options)
        await service.clean_up()
        server = await asyncio.start_unix_server(service.connected, options.socket)
        log.info("listening")
        await stop.wait()

        # No new connections; then end the sessions, and wait until their containers are deleted.
        server.close()
        for task in service.tasks:
            task.cancel()
        await asyncio.gather(*service.tasks, return_exceptions=True)
        # Python 3.13 and newer have removed the socket with the server.
        with contextlib.suppress(FileNotFoundError):
            os.unlink(options.socket)
        log.info("stopped")


if __name__ == "__main__":
    asyncio.run(main())
